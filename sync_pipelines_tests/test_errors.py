import inspect

import pytest

from sync_pipelines import errors
from sync_pipelines.errors import SyncError

CLASSES: list[type[SyncError]] = [
    c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, SyncError)
]


def test_every_error_is_public_and_in_the_one_tree() -> None:
    raisable = {n for n, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, Exception)}
    assert raisable == {c.__name__ for c in CLASSES} == set(errors.__all__)
    assert sorted(errors.__all__) == errors.__all__


@pytest.mark.parametrize("error", CLASSES)
def test_every_error_is_in_the_drawing_of_the_tree(error: type[SyncError]) -> None:
    assert error.__name__ in (errors.__doc__ or "")


def test_only_what_may_heal_by_itself_is_transient() -> None:
    assert {c.__name__ for c in CLASSES if c.transient} == {
        "SourceUnavailable",
        "RateLimited",
        "StreamBusy",
        "DagsterUnavailable",
        "DatabaseUnavailable",
        "TransactionConflict",
    }


def test_a_transient_error_is_never_held_against_one_record() -> None:
    assert all(c.ends_run for c in CLASSES if c.transient)
