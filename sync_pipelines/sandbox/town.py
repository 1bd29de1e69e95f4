"""All simulated upstreams behind one address: WebToLearn at /api/v1, and Bakalari's schools below /bakalari."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Literal

from starlette.applications import Starlette
from starlette.routing import Mount

from sync_pipelines.sandbox.bakalari import School, bakalari_app
from sync_pipelines.sandbox.webtolearn import Platform, webtolearn_app

__all__ = ["ACCOUNTS", "PASSWORD", "invented_schools", "schools_file", "town_app"]

ACCOUNTS = ("superuser", "teachers", "students", "parents")
_KINDS = {"superuser": "superuser", "teachers": "teacher", "students": "student", "parents": "parent"}
#: Of every account that a schools file names.
PASSWORD = "sandbox-password"  # noqa: S105


def town_app(platform: Platform, schools: Sequence[School]) -> Starlette:
    """The application; schools are looked at and changed at /bakalari/control."""
    app = webtolearn_app(platform)
    app.router.routes.insert(0, Mount("/bakalari", bakalari_app(schools)))
    return app


def invented_schools(count: int, students: int, seed: int) -> list[School]:
    """Schools of so many students each, in classes of 30, with a teacher for every thirteen or so."""
    classes, teachers = math.ceil(students / 30), math.ceil(students * 3 / 40)
    return [
        School.invented(f"skola-{number:02}", classes=classes, students=students, teachers=teachers, seed=seed)
        for number in range(1, count + 1)
    ]


def schools_file(
    schools: Sequence[School],
    address: str,
    accounts: Literal["superuser", "teachers", "students", "parents"],
    at_most: int | None,
    variable: str,
) -> str:
    """The settings' file of these schools, with some of their accounts, whose password it finds in a variable."""
    lines = ["# Written by the sandbox: the simulated schools, and accounts of theirs."]
    for school in schools:
        lines += ["", "[[school]]", f'id = "{school.id}"', f'url = "{address}/bakalari/{school.id}"']
        mine = [account for account in school.accounts.values() if account.kind == _KINDS[accounts]]
        for account in mine[:at_most]:
            account.password = PASSWORD
            # TOML's strings are JSON's, as far as they go here.
            lines += ["[[school.account]]", f"username = {json.dumps(account.username, ensure_ascii=False)}"]
            lines += [f'password = "env:{variable}"']
            lines += ["superuser = true"] if accounts == "superuser" else []
    return "\n".join(lines) + "\n"
