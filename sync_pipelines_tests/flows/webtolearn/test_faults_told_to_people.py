"""What is said of faults, and to whom: no secret, address or name. The number is that of contracts/faults.md."""

import logging
import traceback

import pytest

from sync_pipelines.core import SyncReport
from sync_pipelines.errors import SyncError
from sync_pipelines.flows.webtolearn import COURSE_LESSONS
from sync_pipelines.sandbox.webtolearn.faults import FAULTS
from sync_pipelines_tests.flows.webtolearn.school import Outcome, School

SECRET = "s3cr3t-token-of-this-school"
NAMES = ("brzęczyszczykiewicz", "brzeczyszczykiewicz", "@", "szkola.example", SECRET)
# These wait, or send 40 MB; what is said of them is what is said of the others.
SLOW = {"hang", "slow", "huge"}


@pytest.fixture
def watched(school: School, caplog: pytest.LogCaptureFixture) -> School:
    """A school whose every user has a name that must not be told."""
    caplog.set_level(logging.DEBUG)
    platform = school.platform
    school.token = platform.token = SECRET
    for n, user in enumerate(platform.users, 1):
        platform.put("users", user["id"], user | {"email": f"jan.brzeczyszczykiewicz{n}@szkola.example"})
    school.sync()
    school.life_goes_on()
    return school


def said(school: School, outcomes: list[Outcome], log: str) -> str:
    """All that anybody may come to see, but for the rows that were refused, which are kept whole."""
    parts = [log]
    for outcome in outcomes:
        if isinstance(outcome, SyncError):
            parts += traceback.format_exception(outcome)
        report = outcome.report if isinstance(outcome, SyncError) else outcome
        parts.append(str(report.to_dict()) if isinstance(report, SyncReport) else "")
    parts += school.query("SELECT last_report::text FROM sync.streams")
    parts += school.query("SELECT error FROM sync.rejects")
    return "\n".join(map(str, parts)).lower()


def test_no_fault_betrays_anybody(watched: School, caplog: pytest.LogCaptureFixture) -> None:
    """Fault 77: any of them, and with courses' lessons asked for."""
    betrayed: dict[str, list[str]] = {}
    for fault in sorted(FAULTS.keys() - SLOW):
        watched.platform.switch_on(fault)
        outcomes = list(watched.outcomes().values())
        lessons, _ = watched.courses_until(flow=COURSE_LESSONS)
        outcomes += [done.report for done in lessons.values()]
        told = said(watched, outcomes, caplog.text)
        assert len(told) > 1000
        betrayed[fault] = [name for name in NAMES if name in told]
        watched.platform.faults.clear()
        watched.clock.now += 3600
        caplog.clear()
    assert {fault: names for fault, names in betrayed.items() if names} == {}
