"""Whatever is wrong at a school, a read gives the truth or says why it could not: never a part, never nothing."""

from collections.abc import Callable
from contextlib import suppress

import pytest

from sync_pipelines.clients.bakalari import AccountClient, SchoolClient
from sync_pipelines.clients.bakalari.client import HEADERS
from sync_pipelines.clients.budget import RateBudget
from sync_pipelines.clients.http import Sender
from sync_pipelines.errors import NeedsLogin, SourceError
from sync_pipelines.sandbox.bakalari import FAULTS, bakalari_app
from sync_pipelines_tests.clients.bakalari.asking import Serve, account_of, client_at, small_school
from sync_pipelines_tests.clients.bakalari.logins import Vault
from sync_pipelines_tests.clients.servers import no_sleep

READS: dict[str, tuple[str, Callable[[SchoolClient, AccountClient], object]]] = {
    "user": ("/api/3/user", lambda school, account: account.user()),
    "timetable": ("/api/3/timetable/permanent", lambda school, account: account.timetable()),
    "atoms": ("/api/3/marking/atoms", lambda school, account: account.atoms()),
    "info": ("/api/3", lambda school, account: school.info()),
    "public lists": ("/Timetable/Public", lambda school, account: school.public_lists()),
}
# As long as it takes, there is no answer: `test_a_server_that_falls_silent…` in test_http.py.
SILENT = {"hang", "slow"}
# They concern logins alone.
OF_LOGINS = {"no-refresh-token", "odd-expires-in", "no-expires-in"}


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("fault", sorted(FAULTS.keys() - SILENT - OF_LOGINS))
def test_a_fault_is_an_error_or_the_truth_and_passes_with_it(serve: Serve, fault: str, read: str) -> None:
    school = small_school()
    path, ask = READS[read]
    teacher = school.account_of(school.teachers[0])
    with client_at(f"{serve(bakalari_app([school]))}/{school.id}") as client:
        vault = Vault()
        truth = ask(client, client.account(account_of(teacher), vault))
        switched_on = school.switch_on(fault, path=path)
        with suppress(SourceError):
            assert ask(client, client.account(account_of(teacher), vault)) == truth
        assert switched_on.used
        school.faults.clear()
        assert ask(client, client.account(account_of(teacher), vault)) == truth
        assert teacher.password_logins == (1 if path.startswith("/api/3/") else 0)


@pytest.mark.parametrize("fault", sorted(FAULTS.keys() - SILENT))
def test_whatever_befalls_a_login_the_password_is_sent_once_a_run(serve: Serve, fault: str) -> None:
    school = small_school()
    teacher = school.account_of(school.teachers[0])
    with client_at(f"{serve(bakalari_app([school]))}/{school.id}") as client:
        vault = Vault()
        school.switch_on(fault, path="/api/login")
        account = client.account(account_of(teacher), vault)
        for _ in range(3):
            try:
                assert account.user().code == teacher.code
            except SourceError as error:
                assert not isinstance(error, NeedsLogin), "nobody refused the password"  # noqa: PT017
        assert account.logins == school.requests["/api/login"] == 1
        school.faults.clear()
        assert client.account(account_of(teacher), vault).user().code == teacher.code
        assert teacher.failed_logins == 0


@pytest.mark.parametrize("fault", sorted(SILENT))
def test_a_school_that_does_not_answer_in_time_is_unavailable(serve: Serve, fault: str) -> None:
    school = small_school()
    url = f"{serve(bakalari_app([school]))}/{school.id}"
    sender = Sender(url, HEADERS, timeout=0.1, attempts=1, sleep=no_sleep, budget=RateBudget(in_flight=64))
    with SchoolClient(url, sender=sender) as client:
        school.switch_on(fault, path="/Timetable/Public", seconds=60)
        with pytest.raises(SourceError, match="in time"):
            client.public_lists()
