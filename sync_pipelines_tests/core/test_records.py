import pytest

from sync_pipelines.core import ExternalKey, Records, SyncReport
from sync_pipelines.core.report import Tally


@pytest.mark.parametrize(("system", "key"), [("", "1"), ("wtl:course", ""), ("wtl:course", 1), (None, "1")])
def test_a_key_is_two_texts_that_say_something(system: str, key: str) -> None:
    with pytest.raises(ValueError, match="two non-empty strings"):
        ExternalKey(system, key)


def test_a_key_is_kept_exactly_as_sent() -> None:
    assert len({ExternalKey("s", k) for k in ("6", " 6", "6 ", "06", "\u0301e", "é")}) == 6


def test_a_key_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        ExternalKey("s", "1").key = "2"  # pyright: ignore[reportAttributeAccessIssue]


def test_a_row_without_an_id_has_the_same_stand_in_every_time() -> None:
    row = {"name": "Fizyka"}
    assert ExternalKey.unidentified("s", row) == ExternalKey.unidentified("s", dict(row))
    assert ExternalKey.unidentified("s", row) != ExternalKey.unidentified("s", {"name": "Chemia"})


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


@pytest.mark.parametrize("columns", [(["1"], ["a", "b"], ["A"]), (["1"], ["a"], []), ([], [None], ["A"])])
def test_columns_of_different_lengths_are_no_records(
    columns: tuple[list[str], list[str | None], list[str]],
) -> None:
    with pytest.raises(ValueError, match="versions and"):
        Records("wtl:course", *columns)


def test_a_report_can_be_written_anywhere_whatever_a_key_holds() -> None:
    tally = Tally("s", ended_by="half \ud800")
    tally.error("nul \x00: mapping: half \udfff")
    for sentence in tally.report().errors:
        assert "\x00" not in sentence
        assert sentence.encode()
