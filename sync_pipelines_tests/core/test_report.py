"""The counters of a run, and what else its report says."""

import json

from sync_pipelines.core import SyncReport
from sync_pipelines.core.report import Tally


def test_a_report_survives_json_and_has_the_keys_people_rely_on() -> None:
    report = SyncReport("wtl/courses", fetched=3, created=1, skipped=2, complete=True, errors=("x",))
    assert SyncReport.from_dict(report.to_dict()) == report
    counters = ["fetched", "created", "updated", "skipped", "deleted", "restored", "failed"]
    rest = ["complete", "requests", "retries", "duration_ms", "errors"]
    assert list(report.to_dict()) == ["stream", "partition", *counters, *rest]


def test_a_report_stays_small_whatever_goes_wrong() -> None:
    tally = Tally("s")
    for i in range(1000):
        tally.error(f"error {i}")
    assert len(tally.report().errors) == 21
    assert tally.report().errors[-1] == "… and 980 more"


def test_a_report_has_facts_in_its_json_only_where_there_are_any() -> None:
    report = SyncReport("wtl/courses", facts={"plan": "school", "requests left today": 120, "trial": False})
    assert report.to_dict()["facts"] == {"plan": "school", "requests left today": 120, "trial": False}
    assert SyncReport.from_dict(json.loads(json.dumps(report.to_dict()))) == report
    assert "facts" not in SyncReport("wtl/courses").to_dict()
    assert SyncReport.from_dict({"stream": "wtl/courses"}).facts == {}


ROWS = [{"source": "account #1", "requests": 7, "complete": True}, {"source": "public timetable", "requests": 1}]


def test_a_fact_may_be_a_table_and_survives_json() -> None:
    report = SyncReport("bakalari/roster", facts={"coverage": ROWS, "none": [], "classes": 3})
    again = SyncReport.from_dict(json.loads(json.dumps(report.to_dict())))
    assert again == report
    assert again.facts == {"coverage": ROWS, "none": [], "classes": 3}


def test_a_table_among_the_facts_can_be_written_anywhere_whatever_stands_in_it() -> None:
    given = ({"half": "\ud800", "nul": "\x00", "left": 7, "there": False},)
    facts = Tally("s").report(facts={"coverage \udfff": given}).facts
    assert facts == {"coverage \\udfff": [{"half": "\\ud800", "nul": "\\x00", "left": 7, "there": False}]}


def test_a_report_can_be_written_anywhere_whatever_a_key_holds() -> None:
    tally = Tally("s", ended_by="half \ud800")
    tally.error("nul \x00: mapping: half \udfff")
    for sentence in tally.report().errors:
        assert "\x00" not in sentence
        assert sentence.encode()


def test_a_fact_can_be_written_anywhere_whatever_the_upstream_said() -> None:
    facts = Tally("s").report(facts={"half \ud800": "nul \x00", "left": 7}).facts
    assert facts == {"half \\ud800": "nul \\x00", "left": 7}
