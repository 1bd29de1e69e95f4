"""A file of schools: what is refused, what is never said, and where secrets come from."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.errors import SettingsError
from sync_pipelines.log import redact
from sync_pipelines.settings import Settings
from sync_pipelines.settings.schools import one_school, read_schools, web_address

SCHOOLS = Path("schools.toml")
ACCOUNT = {"username": "novak7788", "password": "env:PASSWORD"}


@pytest.fixture(autouse=True)
def secrets_that_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PASSWORD", "TOKEN"):
        monkeypatch.setenv(name, f"hunter22-{name}")


def school(*accounts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": "a", "url": "https://a.cz", "account": list(accounts or (ACCOUNT,)), **more}


def read(*schools: dict[str, Any]) -> Any:
    SCHOOLS.write_text(f"school = [{', '.join(map(inline, schools))}]", "utf-8")
    return read_schools(SCHOOLS)


def inline(value: Any) -> str:
    """A value in TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {inline(v)}" for name, v in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(inline, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def refused(*schools: dict[str, Any]) -> str:
    with pytest.raises(SettingsError, match=r"^BAKALARI_SCHOOLS_FILE \(schools\.toml\)") as caught:
        read(*schools)
    assert "hunter22" not in str(caught.value)
    assert "novak7788" not in str(caught.value)
    return str(caught.value)


def test_schools_come_in_the_files_order_with_all_that_it_says() -> None:
    one, two = read(
        school(
            ACCOUNT,
            {"username": " b", "refresh_token": "env:TOKEN", "label": "head", "superuser": True},
            id="z",
            url="https://z.cz:8443/bakaweb/",
            bulk=[{"url": "https://z.cz/export?key=1", "token": "env:TOKEN"}],
        ),
        school(),
    )
    assert [(one.id, one.url), (two.id, two.url)] == [("z", "https://z.cz:8443/bakaweb"), ("a", "https://a.cz")]
    first, second = one.accounts
    assert (first.label, first.username, first.password) == ("#1", "novak7788", "hunter22-PASSWORD")
    assert (first.refresh_token, first.superuser) == (None, False)
    assert (second.label, second.username, second.password) == ("head", " b", None)
    assert (second.refresh_token, second.superuser) == ("hunter22-TOKEN", True)
    assert (one.bulk[0].url, one.bulk[0].token) == ("https://z.cz/export?key=1", "hunter22-TOKEN")


def test_a_schools_repr_tells_no_login_and_no_secret() -> None:
    schools = read(school({**ACCOUNT, "refresh_token": "env:TOKEN"}, bulk=[{"url": "https://a.cz?key=hunter22"}]))
    assert "hunter22" not in repr(schools)
    assert "novak7788" not in repr(schools)


@pytest.mark.parametrize("name", ["password", "refresh_token"])
def test_a_secret_in_the_file_itself_is_refused_and_not_quoted(name: str) -> None:
    said = refused(school({**ACCOUNT, name: "hunter22"}))
    assert f"school.1.account.1.{name}: name the variable that holds it" in said


def test_an_exports_token_in_the_file_itself_is_refused_and_not_quoted() -> None:
    assert "school.1.bulk.1.token: name the" in refused(
        school(bulk=[{"url": "https://a.cz", "token": "hunter22"}])
    )


@pytest.mark.parametrize("value", [None, ""])
def test_a_variable_that_is_not_set_is_named(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if value is not None:
        monkeypatch.setenv("OTHER", value)
    said = refused(school({**ACCOUNT, "password": "env:OTHER", "label": "head"}))
    assert "school a: account head: password: the variable OTHER is not set" in said


def test_a_variable_is_found_in_dotenv_too_and_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("PASSWORD=from-dotenv\nTOKEN=from-dotenv\nOTHER=from-dotenv\n")
    monkeypatch.setenv("OTHER", "")
    names = ("PASSWORD", "OTHER")
    (one,) = read(school(*({"username": name, "password": f"env:{name}"} for name in names)))
    assert [account.password for account in one.accounts] == ["hunter22-PASSWORD", "from-dotenv"]


def test_a_secret_that_was_found_is_taken_out_of_every_log_line() -> None:
    read(school())
    assert redact("said hunter22-PASSWORD") == "said ***"


@pytest.mark.parametrize(
    ("schools", "says"),
    [
        ([school(), school(url="https://b.cz")], "two have the same id: a"),
        ([school(), school(id="b", url="https://a.cz/")], "two have the same url: https://a.cz"),
        ([school(ACCOUNT, ACCOUNT)], "two have the same username in school a"),
        (
            [school({**ACCOUNT, "label": "#2"}, {**ACCOUNT, "username": "b"})],
            "two have the same label in school a",
        ),
        ([{"id": "a", "url": "https://a.cz"}], "school a has neither an account nor a bulk export"),
        ([school({"username": "novak7788"})], "school a: account #1 has neither a password nor a refresh_token"),
        ([school({**ACCOUNT, "pasword": "hunter22"})], "school.1.account.1.pasword"),
        ([school({**ACCOUNT, "superuser": "hunter22"})], "school.1.account.1.superuser"),
        ([school({**ACCOUNT, "username": ""})], "school.1.account.1.username"),
        ([school(url="https://novak7788:hunter22@a.cz")], "school.1.url: an address without user"),
        ([school(bulk=[{"url": "https://novak7788:hunter22@a.cz"}])], "school.1.bulk.1.url: an address without"),
        ([school(bulk=[{"url": "https://novak7788:hunter22℀@a.cz"}])], "school.1.bulk.1.url: not an address"),
        ([school(bulk=[{"url": "ftp://hunter22"}])], "school.1.bulk.1.url: not an address"),
        ([], "school"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_place(schools: list[dict[str, Any]], says: str) -> None:
    assert says in refused(*schools)


def test_a_bulk_export_alone_is_a_school() -> None:
    (one,) = read({"id": "a", "url": "https://a.cz", "bulk": [{"url": "https://a.cz/export"}]})
    assert (one.accounts, len(one.bulk)) == ((), 1)


@pytest.mark.parametrize("id_", ["", "A", "a b", "-a", "a_b", "š", "a\n", "a/b", "a:b", "a" * 64])
def test_a_school_is_called_by_lower_case_letters_digits_and_hyphens(id_: str) -> None:
    assert "school.1.id: lower-case letters, digits and hyphens, 63 at most" in refused(school(id=id_))


@given(st.from_regex(r"[a-z0-9][a-z0-9-]{0,62}", fullmatch=True))
def test_any_such_name_is_a_schools(id_: str) -> None:
    assert read(school(id=id_))[0].id == id_


@pytest.mark.parametrize("content", [None, b"\xff", b"school = hunter22", b"[[school]]\nid = 'hunter22"])
def test_a_file_that_cannot_be_read_is_named_and_not_quoted(content: bytes | None) -> None:
    if content is not None:
        SCHOOLS.write_bytes(content)
    with pytest.raises(SettingsError, match=r"BAKALARI_SCHOOLS_FILE \(schools\.toml\) cannot be read") as caught:
        read_schools(SCHOOLS)
    assert "hunter22" not in str(caught.value)


@given(
    st.sampled_from(["https://hunter22{}", "https://x:hunter22{}@a.cz", "{}hunter22", "http://[hunter22{}]/"]),
    st.text(st.characters(codec="utf-8"), max_size=5),
)
def test_no_address_is_ever_quoted_by_what_refuses_it(form: str, text: str) -> None:
    said = ""
    try:
        web_address(form.format(text))
    except ValueError as error:
        said = str(error)
    assert "hunter22" not in said


@given(st.text(st.characters(codec="utf-8"), max_size=80))
def test_the_one_school_has_a_name_as_those_of_a_file_have(host: str) -> None:
    try:
        url = web_address(f"https://{host}")
    except ValueError:
        return
    assert re.fullmatch("[a-z0-9][a-z0-9-]{0,62}", one_school(url, "u", "p", superuser=False).id)


def test_a_school_of_another_alphabet_has_a_name_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"URL": "https://学校", "USERNAME": "u", "PASSWORD": "p"}.items():
        monkeypatch.setenv(f"BAKALARI_{name}", value)
    assert Settings.load().schools()[0].id == "school"
