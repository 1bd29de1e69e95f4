"""What a batch leaves behind: rows, bindings, rejects and the checkpoint, all of it or nothing."""

import pytest

from sync_pipelines.core import (
    ExternalKey,
    Mark,
    Payload,
    Projection,
    SilentLogger,
    SyncError,
    SyncReport,
    Unreadable,
)
from sync_pipelines.errors import SourceUnavailable
from sync_pipelines_tests.core.workshop import (
    STREAM,
    SYSTEM,
    TitleMapper,
    Workshop,
    counts,
    in_memory,
    key,
    record,
)


@pytest.mark.parametrize("bad", ["malformed", "forbidden"])
def test_one_bad_record_never_stops_the_others_and_is_kept_until_a_good_one_comes(
    workshop: Workshop, bad: str
) -> None:
    report = workshop.sync([record("1", "Fizyka"), record("2", bad), record("3", "Chemia")])
    assert counts(report) == {"created": 2, "failed": 1}
    assert report.complete
    assert workshop.rejects() == {"2": f"the title is {bad}"}
    workshop.sync([record("2", "Biologia")])
    assert workshop.rejects() == {}
    assert workshop.titles()["2"] == "Biologia"


@pytest.mark.parametrize("bad", ["malformed", "forbidden", "clashing"])
@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_a_record_that_is_good_again_and_as_it_was_settles_its_reject(
    workshop: Workshop, bad: str, batch_size: int
) -> None:
    items = [record("1", "Fizyka"), record("2", "Chemia"), record("3", "Biologia")]
    workshop.sync(items)
    workshop.sync([items[0], record("2", bad), items[2]], batch_size=batch_size)
    assert list(workshop.rejects()) == ["2"]
    assert counts(workshop.sync([*items, items[1]], batch_size=batch_size)) == {"skipped": 4}
    assert workshop.rejects() == {}


def test_a_bad_version_of_a_record_leaves_its_last_good_one(workshop: Workshop) -> None:
    workshop.sync([record("1", "Fizyka")])
    assert counts(workshop.sync([record("1", "forbidden")])) == {"failed": 1}
    assert workshop.titles() == {"1": "Fizyka"}


@pytest.mark.parametrize("title", ["x" * 501, "clashing"])
@pytest.mark.parametrize("position", [0, 5, 11])
def test_a_record_the_target_cannot_hold_fails_alone(workshop: Workshop, title: str, position: int) -> None:
    items = [record(str(i), title if i == position else "Fizyka") for i in range(12)]
    assert counts(workshop.sync(items, batch_size=5)) == {"created": 11, "failed": 1}
    assert list(workshop.rejects()) == [str(position)]
    items[position] = record(str(position), "Chemia")
    assert counts(workshop.sync(items, batch_size=5)) == {"created": 1, "skipped": 11}
    assert workshop.rejects() == {}


def test_an_unreadable_row_is_counted_and_kept(workshop: Workshop) -> None:
    row = {"id": None, "name": "Fizyka"}
    unreadable = Unreadable(ExternalKey.unidentified(SYSTEM, row), row, "id is missing")
    for _ in range(2):
        assert counts(workshop.sync([unreadable])) == {"failed": 1}
    assert list(workshop.rejects().values()) == ["id is missing"]


def test_a_record_without_a_version_is_written_every_time() -> None:
    workshop = in_memory()
    writes: list[str] = []

    class Simple:
        def validate(self, key: ExternalKey, projection: Projection) -> None: ...

        def upsert(self, key: ExternalKey, projection: Projection) -> str:
            writes.append(key.key)
            return "7"

    workshop.target = Simple()
    assert counts(workshop.sync([record("1", "Fizyka", None)])) == {"created": 1}
    assert counts(workshop.sync([record("1", "Fizyka", None)])) == {"updated": 1}
    assert writes == ["1", "1"]


def test_a_row_without_an_id_is_bound_to_nothing() -> None:
    workshop = in_memory()

    class Forgetful:
        def validate(self, key: ExternalKey, projection: Projection) -> None: ...

        def upsert(self, key: ExternalKey, projection: Projection) -> str:
            return "" if key.key == "1" else "7"

    workshop.target = Forgetful()
    assert counts(workshop.sync([record("1", "Fizyka"), record("2", "Chemia")])) == {"created": 1, "failed": 1}
    assert workshop.rejects() == {"1": "the target gave the row no id"}
    assert list(workshop.bound()) == ["2"]


def test_a_row_that_somebody_deleted_is_made_again(workshop: Workshop) -> None:
    workshop.sync([record("1", "Fizyka")])
    workshop.forget_row("1")
    assert counts(workshop.sync([record("1", "Fizyka")])) == {"created": 1}
    assert workshop.titles() == {"1": "Fizyka"}


def test_a_checkpoint_is_never_saved_before_its_rows(workshop: Workshop) -> None:
    class Dying(SilentLogger):
        def progress(self, report: SyncReport) -> None:
            if report.created == 2:
                raise KeyboardInterrupt

    items = [
        record("1", "Fizyka"),
        Mark("after 1"),
        record("2", "Chemia"),
        Mark("after 2"),
        record("3", "Biologia"),
    ]
    with pytest.raises(KeyboardInterrupt):
        workshop.sync(items, logger=Dying(), batch_size=1)
    assert workshop.store.get_checkpoint(STREAM) == "1:after 1"
    assert workshop.titles() == {"1": "Fizyka", "2": "Chemia"}


def test_rows_bindings_and_checkpoint_stand_or_fall_together(workshop: Workshop) -> None:
    """The process dies at the last step of the transaction: nothing of the batch is there."""
    save = workshop.store.save_checkpoint

    def die(stream: str, token: str) -> None:
        save(stream, token)
        raise KeyboardInterrupt

    workshop.store.save_checkpoint = die
    with pytest.raises(KeyboardInterrupt):
        workshop.sync([record("1", "Fizyka"), Mark("after 1")])
    del workshop.store.save_checkpoint
    assert workshop.titles() == {}
    assert workshop.store.get_binding(key("1")) is None
    assert workshop.store.get_checkpoint(STREAM) is None
    assert counts(workshop.sync([record("1", "Fizyka"), Mark("after 1")])) == {"created": 1}


def test_an_inconsistent_binding_fails_its_key_and_is_left_alone() -> None:
    workshop = in_memory()
    workshop.store.bind(key("1"), "", "1:x")
    assert counts(workshop.sync([record("1", "Fizyka"), record("2", "Chemia")])) == {"created": 1, "failed": 1}
    assert workshop.store.get_binding(key("1")).internal_id == ""


def test_trouble_of_the_whole_run_is_not_held_against_a_record(workshop: Workshop) -> None:
    class LooksUp(TitleMapper):
        def map(self, key: ExternalKey, payload: Payload[str]) -> Projection:
            raise SourceUnavailable("the look-up did not answer")

    with pytest.raises(SourceUnavailable):
        workshop.sync([record("1", "Fizyka")], mapper=LooksUp())
    assert workshop.rejects() == {}


def test_a_defect_of_the_mapper_is_not_taken_for_a_bad_record(workshop: Workshop) -> None:
    class Broken(TitleMapper):
        def map(self, key: ExternalKey, payload: Payload[str]) -> Projection:
            raise KeyError("title")

    with pytest.raises(KeyError):
        workshop.sync([record("1", "Fizyka")], mapper=Broken())


def test_the_logger_hears_of_every_record() -> None:
    heard: list[str] = []

    class Listening(SilentLogger):
        def created(self, key: ExternalKey) -> None:
            heard.append(f"created {key.key}")

        def skipped(self, key: ExternalKey) -> None:
            heard.append(f"skipped {key.key}")

        def error(self, key: ExternalKey, stage: str, error: SyncError) -> None:
            heard.append(f"{stage} {key.key}")

    in_memory().sync([record("1", "A"), record("1", "A"), record("2", "forbidden")], logger=Listening())
    assert sorted(heard) == ["created 1", "mapping 2", "skipped 1"]
