"""Somebody who looks at pages with a browser that runs no scripts: it sends forms as they stand on the page."""

from typing import Any, Self

import httpx
from selectolax.lexbor import LexborHTMLParser, LexborNode


class Visitor(httpx.Client):
    """A browser without scripts. It follows no redirect that a test wants to see."""

    def __init__(self, address: str, **headers: str) -> None:
        self.origin = address
        super().__init__(base_url=address, timeout=60, headers={"Accept-Language": "en", **headers})

    def __enter__(self) -> Self:
        super().__enter__()
        return self

    def read(self, path: str) -> LexborHTMLParser:
        """The page at a path."""
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        return LexborHTMLParser(answer.text)

    def post_form(self, path: str, data: dict[str, str], **headers: str) -> httpx.Response:
        """Post as a browser does from a page of ours."""
        return self.post(path, data=data, headers={"Origin": self.origin, **headers})

    def submit(self, page: LexborHTMLParser, action: str, **fields: str) -> httpx.Response:
        """Send the page's form that goes there, with what it holds and what is typed in."""
        form = page.css_first(f'form[action="{action}"]')
        assert form is not None, action
        return self.post_form(action, {**_held(form), **fields})

    def log_in(self, token: str) -> httpx.Response:
        """By the login page."""
        return self.submit(self.read("/admin/login"), "/admin/login", token=token)


def heading(answer: httpx.Response) -> str:
    """What a page calls itself."""
    found = LexborHTMLParser(answer.text).css_first("h1")
    assert found is not None
    return found.text().strip()


def _held(form: LexborNode) -> dict[str, Any]:
    return {
        str(field.attributes["name"]): field.attributes.get("value") or ""
        for field in form.css("input[name]")
        if field.attributes.get("type") != "checkbox" or "checked" in field.attributes
    }
