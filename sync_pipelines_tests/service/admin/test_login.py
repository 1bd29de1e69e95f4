"""Sessions and forms: who is let in, by what, and for how long."""

from collections.abc import Callable
from typing import Any

from sync_pipelines_tests.service.admin.visiting import Visitor


def test_a_token_opens_a_session(visit: Callable[..., Visitor], token: Callable[..., str]) -> None:
    me = visit()
    asked = me.get("/admin/")
    assert (asked.status_code, asked.headers["location"]) == (303, "/admin/login")
    let_in = me.log_in(token("operator"))
    assert (let_in.status_code, let_in.headers["location"]) == (303, "/admin/")
    assert me.get("/admin/").status_code == 200
