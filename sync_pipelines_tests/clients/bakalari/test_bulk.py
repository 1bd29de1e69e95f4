"""A school's own export."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sync_pipelines.clients.bakalari import BulkClass, BulkEnrollment, BulkUser, Item, Refused, read_bulk
from sync_pipelines.clients.bakalari.bulk import snapshot_of
from sync_pipelines.errors import AccessRefused, NotFound, SourceError, UnexpectedAnswer
from sync_pipelines.sandbox.bakalari import bakalari_app
from sync_pipelines_tests.clients.bakalari.answers import anything_like
from sync_pipelines_tests.clients.bakalari.asking import Serve, small_school

TEXT = st.text(max_size=4)
EXPORT: dict[str, Any] = {
    "complete": st.booleans(),
    "classes": [{"id": TEXT, "abbrev": TEXT, "name": TEXT, "study_year": st.integers()}],
    "subjects": [{"id": TEXT, "abbrev": TEXT, "name": TEXT}],
    "users": [{"id": TEXT, "type": TEXT, "full_name": TEXT, "class_id": TEXT, "email": TEXT}],
    "enrollments": [{"user_id": TEXT, "subject_id": TEXT, "class_id": TEXT}],
}


@pytest.mark.parametrize("token", [None, "hunter22"])
def test_an_export_is_read_whole(serve: Serve, token: str | None) -> None:
    school = small_school(bulk_token=token)
    snapshot = read_bulk(f"{serve(bakalari_app([school]))}/{school.id}/export?format=json", token)
    assert snapshot.complete
    assert snapshot.refused == ()
    assert [(c.id, c.study_year) for c in snapshot.classes or ()] == [(c.id, c.study_year) for c in school.classes]
    assert [s.id for s in snapshot.subjects or ()] == [s.id for s in school.subjects]
    assert {(u.id, u.full_name, u.class_id, u.email) for u in snapshot.users or ()} == {
        *((p.code, p.name, p.class_id, None) for p in school.pupils),
        *((t.id, t.name, None, t.email or None) for t in school.teachers),
    }
    assert {(e.user_id, e.subject_id) for e in snapshot.enrollments or ()} == school.enrolled()


def test_an_export_that_is_refused_or_missing_says_what_to_do(serve: Serve) -> None:
    school = small_school(bulk_token="hunter22")
    url = f"{serve(bakalari_app([school]))}/{school.id}/export"
    with pytest.raises(AccessRefused, match="refuses the token"):
        read_bulk(url, "wrong")
    school.bulk = False
    with pytest.raises(NotFound):
        read_bulk(url)


def test_no_error_quotes_the_address_of_an_export_with_its_key(serve: Serve) -> None:
    asked: list[str] = []

    async def endpoint(request: Request) -> Response:
        asked.append(f"{request.scope['raw_path'].decode()}?{request.url.query}")
        return JSONResponse([])

    url = serve(Starlette(routes=[Route("/{path:path}", endpoint)]))
    with pytest.raises(UnexpectedAnswer) as caught:
        read_bulk(f"{url}/škola/ex%20port?key=hunter22&a=")
    assert "hunter22" not in str(caught.value)
    assert asked == ["/%C5%A1kola/ex%20port?key=hunter22&a="]


@pytest.mark.parametrize("url", ["http://[", "school", "", "ftp://127.0.0.1/x"])
def test_an_address_that_is_none_is_an_unexpected_answer(url: str) -> None:
    with pytest.raises(UnexpectedAnswer):
        read_bulk(url)


def test_lists_that_are_missing_say_nothing() -> None:
    snapshot = snapshot_of({"classes": [], "users": None})
    assert (snapshot.complete, snapshot.classes) == (False, ())
    assert (snapshot.subjects, snapshot.users, snapshot.enrollments) == (None, None, None)


@pytest.mark.parametrize("complete", [None, 1, "true", False, []])
def test_an_export_is_complete_only_if_it_says_true(complete: object) -> None:
    assert not snapshot_of({"complete": complete}).complete


def test_a_bad_row_stops_no_other() -> None:
    snapshot = snapshot_of(
        {
            "classes": [{"id": " X"}, {"id": 5}, {"id": ""}],
            "subjects": [{"id": " 6", "abbrev": 5}, {"id": " 7", "abbrev": "M  "}],
            "users": [{"id": "a", "type": "student", "full_name": " A  B", "class_id": " X"}, None],
            "enrollments": [{"user_id": "a", "subject_id": " 7"}, {"user_id": "a"}],
        }
    )
    assert snapshot.classes == (BulkClass(" X", None, None, None),)
    assert snapshot.subjects == (Item(" 7", "M", None),)
    assert snapshot.users == (BulkUser("a", "student", "A B", " X", None),)
    assert snapshot.enrollments == (BulkEnrollment("a", " 7", None),)
    assert snapshot.refused == (
        Refused("class", None, "id is not text (a number)"),
        Refused("subject", " 6", "abbrev is not text (a number)"),
        Refused("user", None, "the row is not an object (null)"),
        Refused("enrollment", None, "user_id or subject_id is missing"),
    )


@given(anything_like(EXPORT).filter(lambda body: isinstance(body, dict)))
def test_any_export_is_read_or_is_a_source_error(body: dict[str, Any]) -> None:
    try:
        snapshot_of(body)
    except SourceError:
        return
