"""Marks, phones, passwords and tokens go nowhere; names and addresses no further than the tables."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterable

import pytest

from sync_pipelines.flows.syncing import PartitionDone
from sync_pipelines.sandbox.bakalari import FAULTS, School, marking
from sync_pipelines.sandbox.people import in_ascii
from sync_pipelines_tests.flows.bakalari.town import Town

MARK, AVERAGE, PHONE, NUMBER = "Známka-8c1f", "1,4142135", "+420 555 019 283", "R-77-4401"
PASSWORD, EXPORT_TOKEN = "H3slo-kter3-nikdo-n3zna", "token-of-the-export-31b7"
# These wait, or send 40 MB; what is said of them is what is said of the others.
SLOW = {"hang", "slow", "huge"}
EVERY_COLUMN = """
SELECT format('SELECT %L, t::text FROM %I.%I t', table_schema || '.' || table_name, table_schema, table_name)
FROM information_schema.tables
WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')
"""


@pytest.fixture
def private(town: Town, monkeypatch: pytest.MonkeyPatch) -> School:
    """A school where every secret and every name is unlike anything else; accounts of each kind, and an export."""
    monkeypatch.setattr(marking, "_OPTIONS", ((MARK, "slovy"),))
    monkeypatch.setattr(marking, "_average", lambda atom, code: AVERAGE)
    school = School.invented("s", classes=1, students=3, teachers=2, seed=12)
    for number, pupil in enumerate(school.pupils):
        pupil.first_name, pupil.last_name = f"Křestimil{number}", f"Žákoveček{number}"
        pupil.registration_number = NUMBER
    for number, teacher in enumerate(school.teachers):
        teacher.name, teacher.email = f"Učitelovič{number} Horymír", f"horymir{number}@skola-kdesi.example"
        teacher.school_phone = teacher.home_phone = teacher.mobile_phone = PHONE
    accounts = dict(school.accounts)
    school.accounts.clear()
    for number, account in enumerate(accounts.values()):
        account.username = "spravce" if account.username == "spravce" else f"prihlaseny-{number}"
        account.password = f"{PASSWORD}-{number}"
        account.holder = account.holder and f"Rodičovská{number} Drahomíra"
        school.accounts[account.username] = account
    school.bulk_token = EXPORT_TOKEN
    town.open_whole(school)
    town.accounts["s"] = list(school.accounts)
    return school


def secrets(school: School) -> list[str]:
    tokens = [*school.access_tokens, *school.refresh_tokens]
    return [MARK, AVERAGE, PHONE, NUMBER, PASSWORD, EXPORT_TOKEN, *(token[:40] for token in tokens)]


def names() -> list[str]:
    return ["Křestimil", "Žákoveček", "Učitelovič", "Horymír", "Rodičovská", "Drahomíra", "@skola", "prihlaseny"]


def told(town: Town, done: Iterable[PartitionDone], log: str) -> str:
    """All that anybody may come to see, but for the tables of people and the rows that were refused."""
    parts = [log]
    for one in done:
        parts += traceback.format_exception(one.error) if one.error else []
        parts += [f"{report!r} {report.to_dict()}" for report in one.reports]
    parts += town.query("SELECT last_report::text FROM sync.streams")
    parts += town.query("SELECT error FROM sync.rejects")
    parts += town.query("SELECT coverage::text FROM bakalari.rosters")
    parts += town.query("SELECT external_id || metadata::text FROM sync.external_refs")
    return "\n".join(map(str, parts))


def betrayed(text: str, words: Iterable[str]) -> list[str]:
    """Those of the words that stand there, in whatever letters."""
    plain = in_ascii(text).lower()
    return [word for word in words if word in text or in_ascii(word).lower() in plain]


def stored(town: Town) -> dict[str, str]:
    """Every row of every table of every schema, as text, by table."""
    found: dict[str, str] = {}
    for statement in town.query(EVERY_COLUMN):
        for place, row in town.query(statement):
            found[place] = f"{found.get(place, '')}\n{row}"
    return found


def test_no_mark_phone_number_password_or_token_is_stored_anywhere(town: Town, private: School) -> None:
    """Fault 77: in no column of any table of any schema."""
    town.run_well()
    private.access_tokens.clear()
    town.run_well()
    tables = stored(town)
    assert {"bakalari.users", "bakalari.rosters", "sync.upstream_tokens", "sync.streams"} <= tables.keys()
    assert betrayed(tables["bakalari.users"], names()) != []
    assert {place: betrayed(text, secrets(private)) for place, text in tables.items()} == {
        key: [] for key in tables
    }


def test_names_and_addresses_stand_in_the_tables_of_people_alone(town: Town, private: School) -> None:
    """Fault 77: a login's name with its tokens, and nowhere else."""
    town.run_well()
    where = {place: set(betrayed(text, names())) for place, text in stored(town).items()}
    assert {place for place, words in where.items() if words} == {
        "bakalari.users",
        "bakalari.rosters",
        "sync.upstream_tokens",
    }
    assert where["sync.upstream_tokens"] == {"prihlaseny"}
    assert "prihlaseny" not in where["bakalari.users"] | where["bakalari.rosters"]


def test_a_run_that_is_logged_to_the_last_detail_tells_nothing(
    town: Town, private: School, caplog: pytest.LogCaptureFixture
) -> None:
    """Fault 77."""
    caplog.set_level(logging.DEBUG)
    private.accounts["prihlaseny-0"].failed_logins = 9
    town.bulk = {"s"}
    done = town.run(allow_mass_vanish=True)
    text = told(town, done.values(), caplog.text)
    assert "account #1: needs_login" in text
    assert "bulk export 1: error" in text
    assert betrayed(text, [*secrets(private), *names()]) == []


def test_no_fault_betrays_anybody(town: Town, private: School, caplog: pytest.LogCaptureFixture) -> None:
    """Fault 77: whatever is answered, to whatever is asked."""
    caplog.set_level(logging.DEBUG)
    town.run_well()
    words: dict[str, list[str]] = {}
    for fault in sorted(FAULTS.keys() - SLOW):
        private.access_tokens.clear()
        for path in ("*user", "*/atoms", "*/subjects", "*/login", "*ublic"):
            private.switch_on(fault, path=path, times=3)
        text = told(town, town.run().values(), caplog.text)
        words[fault] = betrayed(text, [*secrets(private), *names()])
        private.faults.clear()
        caplog.clear()
    assert {fault: found for fault, found in words.items() if found} == {}


@pytest.mark.parametrize(
    "field", ["UserUID", "FullName", "FullUserName", "UserType", "Class", "StudyYear", "SchoolOrganizationName"]
)
@pytest.mark.parametrize(
    "wrong", [None, 7, "", "\0 Žákoveček", "\ud800 Žákoveček", {"Žákoveček": 1}, ["Žákoveček"]]
)
def test_a_wrong_field_is_told_by_its_name_and_never_by_its_value(
    town: Town, private: School, caplog: pytest.LogCaptureFixture, field: str, wrong: object
) -> None:
    """Faults 21, 44 and 77."""
    caplog.set_level(logging.DEBUG)
    town.accounts["s"] = [*town.accounts["s"][:1], "spravce"]
    town.alter(private, "/api/3/user", lambda value: value.update({field: wrong}))
    text = told(town, town.run().values(), caplog.text)
    assert betrayed(text, [*secrets(private), *names()]) == []
