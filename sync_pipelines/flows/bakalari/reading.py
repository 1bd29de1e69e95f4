"""Asks a school everything that the settings let us ask: accounts by their type, the public timetable, exports.

What fails takes nothing else with it; what came of each is the coverage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from threading import Event
from types import TracebackType
from typing import Literal, Self, TypeVar

from sync_pipelines.clients.bakalari import (
    Account,
    AccountClient,
    Atom,
    BulkSnapshot,
    PublicLists,
    Rows,
    SchoolClient,
    Sheet,
    Taught,
    Timetable,
    TokenVault,
    User,
    read_bulk,
)
from sync_pipelines.clients.http import Spent
from sync_pipelines.errors import (
    AccessRefused,
    NeedsLogin,
    NotFound,
    SourceError,
    SourceUnavailable,
    UnexpectedAnswer,
)
from sync_pipelines.flows.bakalari.snapshot import user_key
from sync_pipelines.settings import School, SchoolAccount

__all__ = ["AccountReading", "Asked", "Patience", "SchoolReading", "SheetReading", "read_school"]

A = TypeVar("A")
T = TypeVar("T")
#: So many requests of one school are under way at a time.
IN_FLIGHT = 4
_SAID = 3
_MOST_UNANSWERED = 10
_OF_A_PUPIL = ("student", "parents")


@dataclass(frozen=True)
class Asked:
    """What came of one source: a row of the coverage. `type` is the account's; `said` has no personal data."""

    source: str
    type: str
    outcome: Literal["ok", "none", "partial", "needs_login", "error"]
    requests: int
    said: str = ""

    @property
    def complete(self) -> bool:
        """Whether it gave all that it has."""
        return self.outcome in ("ok", "none")


class Patience:
    """With one school: where it stops answering, the hundreds of questions that are left are not asked."""

    def __init__(self) -> None:
        self._unanswered = 0

    def ask(self, read: Callable[[], T]) -> T:
        """What `read` gives. Raises its SourceError, or SourceUnavailable after too many in a row."""
        if self._unanswered >= _MOST_UNANSWERED:
            raise SourceUnavailable("not asked any more: the school stopped answering")
        try:
            result = read()
        except SourceError as error:
            self._unanswered = self._unanswered + 1 if error.transient else 0
            raise
        self._unanswered = 0
        return result


@dataclass
class AccountReading:
    """What an account gave. What it was not asked for, or did not give, is None; `errors` say why not."""

    account: SchoolAccount
    client: AccountClient = field(repr=False)
    patience: Patience = field(default_factory=Patience, repr=False)
    user: User | None = None
    subjects: Rows[Taught] | None = None
    timetable: Timetable | None = None
    atoms: Rows[Atom] | None = None
    errors: list[SourceError] = field(default_factory=list[SourceError])
    logins_before: int = 0
    changed: bool = False

    @property
    def type(self) -> str:
        """As the school says, in lower case; "" where it could not be asked."""
        return self.user.type.casefold() if self.user else ""

    @property
    def key(self) -> str | None:
        """That of the account's holder."""
        return user_key(self.type, self.user.code) if self.user else None

    def asked(self) -> Asked:
        """The account's row of the coverage."""
        errors = list(dict.fromkeys(map(str, self.errors)))
        said = "; ".join(errors[:_SAID]) + (f"; and {len(errors) - _SAID} more" if len(errors) > _SAID else "")
        outcome = "ok" if not self.errors else "partial" if self.user else "error"
        if any(isinstance(error, NeedsLogin) for error in self.errors):
            outcome = "needs_login"
        shown = "superuser" if self.account.superuser else self.type or "not known"
        return Asked(f"account {self.account.label}", shown, outcome, self.client.spent.requests, said)


@dataclass
class SheetReading:
    """A marking unit, the accounts that list it, and its sheet; or why none of them got it."""

    atom: Atom
    accounts: list[AccountReading]
    sheet: Sheet | None = None
    error: SourceError | None = None


@dataclass
class SchoolReading:
    """All that came of asking a school once."""

    school: School
    accounts: Sequence[AccountReading]
    sheets: Sequence[SheetReading]
    public: PublicLists | None
    bulk: Sequence[BulkSnapshot]
    asked: Sequence[Asked]
    spent: Spent


def read_school(school: School, vault: TokenVault, stop: Event) -> SchoolReading:
    """Ask a school; `stop` ends it between two requests. Raises SyncError: SourceUnavailable where it is down."""
    with SchoolClient(school.url, in_flight=IN_FLIGHT) as client, _Crew(stop) as crew:
        _knock(client, school)
        patience = Patience()
        accounts = [_to_be_asked(client, account, vault, patience) for account in school.accounts]
        (public,) = crew.do(_attempted, [client.public_lists])
        bulk = crew.do(_attempted, [partial(read_bulk, export.url, export.token) for export in school.bulk])
        crew.do(_ask, accounts)
        sheets = _sheets(accounts)
        crew.do(_ask_sheet, sheets)
        crew.do(_ask_again, accounts)
    asked = [
        *(reading.asked() for reading in accounts),
        _asked_of("public timetable", public),
        *(_asked_of(f"bulk export {number}", export) for number, export in enumerate(bulk, 1)),
    ]
    spent = Spent(client.spent.requests + len(bulk), client.spent.retries)
    gave = [*(reading.user for reading in accounts), public, *bulk]
    if all(one is None or isinstance(one, SourceError) for one in gave):
        raise _nothing(school, accounts, [*bulk, public])
    return SchoolReading(
        school,
        accounts,
        sheets,
        None if isinstance(public, SourceError) else public,
        [export for export in bulk if isinstance(export, BulkSnapshot)],
        asked,
        spent,
    )


class _Crew:
    """Threads that ask for one school. Leaving it on an error, or by `stop`, begins nothing that has not begun."""

    def __init__(self, stop: Event) -> None:
        self._stop = stop
        self._pool = ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="bakalari")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=error is None, cancel_futures=True)

    def do(self, task: Callable[[A], T], of: Iterable[A]) -> list[T]:
        """What the task gives for each, in order. Raises the first error."""

        def unless_stopped(argument: A) -> T:
            if self._stop.is_set():
                raise CancelledError
            return task(argument)

        return list(self._pool.map(unless_stopped, of))


def _knock(client: SchoolClient, school: School) -> None:
    """Raise SourceUnavailable where nobody answers: no account need be tried, and no password sent."""
    try:
        client.info()
    except SourceError as error:
        if error.transient:
            raise SourceUnavailable(f"{school.url} is down: {error}") from error


def _nothing(school: School, accounts: Sequence[AccountReading], others: Iterable[object]) -> SourceError:
    """Why nothing at all came of a school."""
    errors = [error for reading in accounts for error in reading.errors]
    errors += [error for error in others if isinstance(error, SourceError)]
    # Where trying again may help one of them, it may help.
    first = next((error for error in errors if error.transient), errors[0])
    said = f"nothing of {school.url} could be read: {first}"
    if len(accounts) > 1:
        said += f" (and {len(accounts) - 1} more accounts)"
    if first.transient:
        return SourceUnavailable(said)
    return NeedsLogin(said) if isinstance(first, AccessRefused) else UnexpectedAnswer(said)


def _attempted(read: Callable[[], T]) -> T | SourceError:
    try:
        return read()
    except SourceError as error:
        return error


def _asked_of(source: str, came: object) -> Asked:
    """A row of the coverage. A school that publishes no timetable is no failure."""
    if not isinstance(came, SourceError):
        return Asked(source, "", "ok", 1)
    none = source == "public timetable" and isinstance(came, (AccessRefused, NotFound))
    return Asked(source, "", "none" if none else "error", 1, str(came))


def _to_be_asked(
    client: SchoolClient, account: SchoolAccount, vault: TokenVault, patience: Patience
) -> AccountReading:
    login = Account(account.username, account.password, account.refresh_token, account.label)
    return AccountReading(account, client.account(login, vault), patience)


def _ask(reading: AccountReading) -> None:
    """Who it is, and then what its type may see: one thing failing leaves the others alone."""
    client = reading.client
    reading.user = _noted(reading, client.user)
    reading.logins_before = client.logins
    if reading.user is None:
        return
    reading.timetable = _noted(reading, client.timetable)
    if reading.type in _OF_A_PUPIL:
        reading.subjects = _noted(reading, client.subjects)
    else:
        reading.atoms = _noted(reading, client.atoms)


def _ask_again(reading: AccountReading) -> None:
    """Who it is, once more, where it had to log in meanwhile: that may have made it another (fault 80)."""
    if reading.user is not None and reading.client.logins > reading.logins_before:
        before, now = reading.user, _noted(reading, reading.client.user)
        reading.changed = now is not None and now != before
        reading.user = now or before


def _noted(reading: AccountReading, read: Callable[[], T]) -> T | None:
    try:
        return reading.patience.ask(read)
    except SourceError as error:
        reading.errors.append(error)
        return None


def _sheets(accounts: Sequence[AccountReading]) -> list[SheetReading]:
    """The marking units, each once, whoever lists it."""
    found: dict[tuple[str, str], SheetReading] = {}
    for reading in accounts:
        for atom in reading.atoms.items if reading.atoms else ():
            found.setdefault((atom.id, atom.subject.id), SheetReading(atom, [])).accounts.append(reading)
    return list(found.values())


def _ask_sheet(reading: SheetReading) -> None:
    """Its sheet, from the first account that gets it."""
    for account in reading.accounts:
        try:
            ask = partial(account.client.sheet, reading.atom.id)
            reading.sheet, reading.error = account.patience.ask(ask), None
        except SourceError as error:
            reading.error = error
        else:
            return
    if reading.error is not None:
        reading.accounts[0].errors.append(reading.error)
