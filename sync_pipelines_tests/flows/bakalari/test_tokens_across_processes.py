"""Tokens outlive the process that got them, even one that is killed, and two processes get one pair.

The numbers are those of contracts/faults.md.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from sync_pipelines.sandbox.bakalari import Account, School
from sync_pipelines_tests.flows.bakalari.known import truth
from sync_pipelines_tests.flows.bakalari.town import Town

SYNC = """
from sync_pipelines.flows.bakalari import ROSTERS
from sync_pipelines.flows.partitions import PartitionRunner
from sync_pipelines.settings import Settings

for done in PartitionRunner(Settings.load()).run(ROSTERS, ["s"]):
    assert done.error is None and done.reports[0].complete, done
"""


def sync(town: Town) -> subprocess.Popen[str]:
    """A process that reads the school and syncs it."""
    assert town.settings.schools()  # as this process sees them, so does the other
    return subprocess.Popen([sys.executable, "-c", SYNC], stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> str:
    """What a process said that ended well: nothing."""
    _, said = process.communicate()
    assert process.returncode == 0, said
    return said


@pytest.fixture
def admin(school: School) -> Account:
    """The account of all that is asked. Its tokens, that are stored, are no longer good; its refresh token is."""
    school.access_tokens.clear()
    return school.accounts["spravce"]


def killed_while(withheld: threading.Event, process: subprocess.Popen[str]) -> None:
    assert withheld.wait(60)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def test_a_process_killed_while_it_waits_for_new_tokens_costs_no_password(
    town: Town, school: School, admin: Account
) -> None:
    """Fault 50: the school has changed them, and nobody has them."""
    killed_while(town.withhold("/api/login", b"grant_type=refresh_token"), sync(town))
    assert (admin.password_logins, admin.refreshes) == (1, 1)
    assert ended(sync(town)) == ""
    assert (admin.password_logins, admin.failed_logins, admin.refreshes) == (1, 0, 2)
    assert town.held("s") == truth(school)
    school.access_tokens.clear()
    ended(sync(town))
    assert (admin.password_logins, admin.refreshes) == (1, 3)


def test_processes_killed_time_and_again_cost_one_password_at_last(
    town: Town, school: School, admin: Account
) -> None:
    """Faults 49 and 50: a refresh token serves three times."""
    for _ in range(school.refresh_reuses):
        killed_while(town.withhold("/api/login", b"grant_type=refresh_token"), sync(town))
    assert ended(sync(town)) == ""
    assert (admin.password_logins, admin.refreshes, admin.failed_logins) == (2, school.refresh_reuses, 0)
    assert town.held("s") == truth(school)


def test_a_process_killed_while_it_logs_in_leaves_the_school_to_the_next(town: Town) -> None:
    """Fault 69: at its first login, and in the middle of a reading."""
    school = School.invented("s", classes=1, students=4, teachers=2)
    town.open_whole(school)
    killed_while(town.withhold("/api/login", b"grant_type=password"), sync(town))
    killed_while(town.withhold("/api/3/timetable/permanent", b""), sync(town))
    assert town.held("s") == set()
    ended(sync(town))
    assert school.accounts["spravce"].password_logins == 2
    assert town.held("s") == truth(school)


def test_two_processes_that_read_a_school_at_once_renew_its_tokens_once(
    town: Town, school: School, admin: Account
) -> None:
    """Faults 51 and 70."""
    before = {table: rows for table, rows in town.everything().items() if table != "sync.upstream_tokens"}
    both = [sync(town), sync(town)]
    assert [ended(process) for process in both] == ["", ""]
    assert (admin.password_logins, admin.refreshes, admin.failed_logins) == (1, 1, 0)
    assert before.items() <= town.everything().items()


def test_a_process_that_begins_while_another_waits_for_tokens_uses_those(
    town: Town, school: School, admin: Account
) -> None:
    """Fault 51: and the other may be killed."""
    withheld = town.withhold("/api/login", b"grant_type=refresh_token")
    first = sync(town)
    assert withheld.wait(60)
    second = sync(town)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert ended(second) == ""
    assert (admin.password_logins, admin.refreshes) == (1, 2)
