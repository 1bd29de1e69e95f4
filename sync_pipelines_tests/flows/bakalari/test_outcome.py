"""What a reading's report says of who was asked."""

from __future__ import annotations

from typing import cast

import pytest

from sync_pipelines.sandbox.bakalari import School
from sync_pipelines_tests.flows.bakalari.town import Town


@pytest.mark.parametrize("students", [3, 130])
def test_a_report_names_each_source_and_of_very_many_those_that_failed_first(town: Town, students: int) -> None:
    school = School.invented("s", classes=4, students=students, teachers=2)
    school.pages = "none"
    school.atoms = school.atoms[:2]
    town.open(school)
    town.accounts["s"] = [a.username for a in school.accounts.values() if a.kind == "student"]
    bad = town.accounts["s"][-1]
    town.passwords = {bad: "wrong"}
    done = town.run()["s"]
    rows = cast("list[dict[str, object]]", done.reports[0].facts["coverage"])
    assert len(rows) == min(students + 1, 101)
    outcomes = [row["outcome"] for row in rows]
    assert outcomes.count("needs_login") == 1
    if students > 100:
        assert outcomes[0] == "needs_login"
        assert rows[-1]["source"] == f"{students + 1 - 100} more"
    spent = cast("list[int]", [row["requests"] for row in rows])
    assert sum(spent) == done.reports[0].requests - 1, "and one that asked whether the school is up"
    (asked,) = town.query("SELECT jsonb_array_length(coverage->'asked') FROM bakalari.rosters")
    assert asked == students + 1
