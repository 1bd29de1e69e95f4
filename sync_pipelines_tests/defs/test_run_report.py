"""A run's report as people read it."""

from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.core import Difference, ExternalKey, SyncReport
from sync_pipelines.defs.run_report import run_report

CHANGES = (
    Difference.masked(ExternalKey("wtl:course", "12"), "updated", ["title"]),
    Difference.masked(ExternalKey("wtl:course", "13"), "created"),
)


def test_an_unchanged_run_is_a_line_and_its_counters() -> None:
    report = SyncReport("wtl/courses", fetched=3, skipped=3, complete=True, requests=1, duration_ms=40, rows=3)
    assert run_report(report) == (
        "**Complete**: 3 rows in all\n\n"
        "| read | unchanged | requests | ms |\n"
        "| --- | --- | --- | --- |\n"
        "| 3 | 3 | 1 | 40 |"
    )


def test_what_changed_is_shown_by_key_and_field() -> None:
    said = run_report(SyncReport("wtl/courses", "7", created=1, updated=1, complete=True, differences=CHANGES))
    assert "**Complete** of `7`" in said
    assert said.endswith(
        "**Changed**:\n\n| key | change | fields |\n| --- | --- | --- |\n"
        "| `12` | updated | `title` |\n| `13` | created |  |"
    )
    many = SyncReport("wtl/courses", created=1, updated=90, complete=True, differences=CHANGES)
    assert "**Changed**, the first 2 of 91:" in run_report(many)


def test_a_run_that_is_not_complete_says_why_and_what_comes_next() -> None:
    said = run_report(SyncReport("wtl/courses", errors=("the platform is down",)))
    assert said.startswith("**Incomplete**")
    assert "- `the platform is down`" in said
    assert "nothing was taken for gone. The next run reads it again." in said


def test_of_many_errors_the_first_are_shown_and_the_one_that_ended_the_run() -> None:
    errors = (*(f"{n}: mapping: the title is blank" for n in range(20)), "incomplete: a page is missing")
    said = run_report(SyncReport("wtl/courses", failed=20, errors=errors))
    assert [line for line in said.splitlines() if line.startswith("- ")] == [
        *(f"- `{n}: mapping: the title is blank`" for n in range(4)),
        "- `incomplete: a page is missing`",
    ]
    assert "sync-pipelines rejects list" in said


def test_no_address_is_in_it() -> None:
    said = run_report(SyncReport("wtl/users", errors=("7: mapping: anna.nowak@szkola.example is odd",)))
    assert "nowak" not in said


@given(st.text(min_size=1))
def test_whatever_an_upstream_says_stays_words(text: str) -> None:
    """Everything it says stands between two backticks on one line, and makes no column of its own."""
    key = ExternalKey("wtl:course", text)
    report = SyncReport(
        "s", text, updated=1, errors=(text,), differences=(Difference.masked(key, "updated", [text]),)
    )
    lines = run_report(report).split("\n")
    plain = run_report(SyncReport("s", "x", updated=1, errors=("x",), differences=(CHANGES[0],))).split("\n")
    assert len(lines) == len(plain)
    for line, other in zip(lines, plain, strict=True):
        assert (line.count("`"), line.count("|")) == (other.count("`"), other.count("|"))
