"""The OpenAPI document and docs/progress-api.md say what is so. (That answers are as documented, every test of the
service checks: `conftest.documented`.)"""

import json
import re
import shlex
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from fastapi import FastAPI

from sync_pipelines_tests.service.asking import PROGRESS, Learner, lesson
from sync_pipelines_tests.service.conftest import documented

Learners = Callable[..., Learner]
GUIDE = Path(__file__).parents[2] / "docs" / "progress-api.md"
TEXT = GUIDE.read_text("utf-8")
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.M | re.S)
CURLS = [code for language, code in BLOCKS if language == "sh" and code.startswith("curl")]


@pytest.fixture
def document(api: httpx.Client) -> dict[str, Any]:
    """As anybody gets it."""
    return api.get("/api/openapi.json").json()


def parts(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in it."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from parts(inner)


def test_the_document_is_whole(document: dict[str, Any]) -> None:
    for part in parts(document):
        if isinstance(reference := part.get("$ref"), str):
            where: Any = document
            for name in reference.removeprefix("#/").split("/"):
                where = where[name]
    schemas = document["components"]["schemas"]
    for name, schema in schemas.items():
        jsonschema.Draft202012Validator.check_schema(schema)
        for example in schema.get("examples", ()):
            jsonschema.validate(example, {**schema, "components": document["components"]})
        assert schema["description"], name
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for operation in operations:
        assert operation["description"]
    # What is refused is refused by us, in our shape.
    assert "HTTPValidationError" not in schemas


def test_all_but_health_needs_a_token_or_a_signature(document: dict[str, Any]) -> None:
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert ("401" in operation["responses"]) is (path not in ("/healthz", "/readyz"))
            is_signed = path.startswith("/api/webhooks/")
            assert ("security" in operation) is ("401" in operation["responses"] and not is_signed)


def test_what_the_document_gives_as_examples_is_taken(
    learner: Learners, document: dict[str, Any], query: Callable[..., list[Any]]
) -> None:
    me = learner()
    query("INSERT INTO wtl.lessons (wtl_lesson_id, title) VALUES ('123', 'Procenta')")
    schemas = document["components"]["schemas"]
    for method, path, model in (("PATCH", "123/", "LessonBody"), ("POST", "import/", "ImportBody")):
        operation = document["paths"][PROGRESS + path.replace("123", "{lesson_id}")][method.lower()]
        (content,) = operation["requestBody"]["content"].values()
        assert content["schema"]["$ref"].endswith(model)
        for example in schemas[model]["examples"]:
            answer = me.ask(method, path, content=json.dumps(example))
            assert answer.status_code == 200
            assert not answer.json().get("rejected")
    (row,) = me.rows()
    assert row == schemas["LessonRow"]["examples"][0]


def test_an_answer_that_is_not_documented_would_be_noticed(service: FastAPI) -> None:
    check = documented(service)
    request = httpx.Request("GET", f"http://here{PROGRESS}")
    headers = {"X-Request-ID": "a"}
    check(httpx.Response(200, json=[], request=request, headers=headers))
    for wrong in (httpx.Response(409, json={}), httpx.Response(200, json={}), httpx.Response(204)):
        wrong.headers.update(headers)
        wrong.request = request
        with pytest.raises((AssertionError, ValueError, jsonschema.ValidationError)):
            check(wrong)


def test_what_the_guide_sends_is_taken_and_answered_as_it_says(
    learner: Learners, query: Callable[..., list[Any]]
) -> None:
    me = learner()
    query("INSERT INTO wtl.lessons (wtl_lesson_id, title) VALUES ('123', 'Procenta')")
    query("INSERT INTO wtl.lessons (wtl_lesson_id, title) VALUES ('124', 'Zlomky')")
    me.send({"123": lesson(updated_at="2026-01-01T00:00:00Z", time_ms=30_000)}, device="another")
    asked, patched, imported = (shlex.split(code.replace("\\\n", " ")) for code in CURLS)

    def run(words: list[str]) -> httpx.Response:
        """As curl would."""
        headers = dict(value.split(": ", 1) for flag, value in pairwise(words) if flag == "-H")
        assert headers.pop("Authorization") == "Bearer $TOKEN"
        method = words[words.index("-X") + 1] if "-X" in words else "GET"
        (address,) = [word for word in words if word.startswith("$APP_URL")]
        body = words[words.index("-d") + 1] if "-d" in words else None
        path = address.removeprefix("$APP_URL" + PROGRESS)
        return me.ask(method, path, headers=headers, content=body)

    answers = [json.loads(code) for language, code in BLOCKS if language == "json"]
    said = run(imported)
    assert said.json() == answers[1]
    assert run(imported).headers["Idempotency-Replayed"] == "true"
    newer = me.rows()
    assert run(asked).json() == [{**newer[0], "device_time_ms": 90_000}]
    assert run(asked).json() == answers[0]
    changed = run(patched)
    assert changed.json() == {
        **newer[0],
        "completed": True,
        "percent": 100,
        "updated_at": "2026-01-12T10:25:00.000000Z",
    }
    wrong = me.patch(124, lesson(percent=140))
    assert {**wrong.json(), "requestId": ""} == {**answers[2], "requestId": ""}


def test_every_code_and_status_of_the_guide_is_one_of_the_document(document: dict[str, Any]) -> None:
    listed = {int(status) for status in re.findall(r"^\| (\d+) \|", TEXT, re.M)}
    mine = [o for path, o in document["paths"].items() if path.startswith("/api/v1/learning/")]
    known = {int(status) for o in mine for m in o.values() for status in m["responses"]}
    assert listed == known - {200} | {405}


def test_every_link_of_the_guide_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", TEXT)
    assert links
    assert [link for link in links if "://" not in link and not (GUIDE.parent / link).exists()] == []
