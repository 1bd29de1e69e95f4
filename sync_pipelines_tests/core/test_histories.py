"""Random histories of an upstream, and of what goes wrong on the way, against a model without batches, bindings,
versions or transactions. A run that dies leaves either the old or the new; a run that ends leaves what the model
says, and says so in its counters."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_pipelines.core import Coverage, ExternalKey, Page, Payload, Records, Unreadable, fingerprint
from sync_pipelines.errors import GuardTripped, SourceUnavailable
from sync_pipelines.postgres.engine import Session
from sync_pipelines_tests.core.workshop import (
    SYSTEM,
    BulkTitleMapper,
    TitleMapper,
    Workshop,
    counts,
    in_memory,
    in_postgres,
    key,
    record,
)

KEYS = "123456"
GOOD = ["Fizyka", "Chemia", "Łacina"]
MALFORMED, FORBIDDEN, CLASHING, LONG = "malformed", "forbidden", "clashing", "x" * 501


class Death(BaseException):
    """The process ends here."""


@dataclass
class Mortal:
    """Passes every call on, until a number of them are done; then the process is dead."""

    inner: Any
    lives: "Lives"

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self.inner, name)
        if not callable(attribute):
            return attribute

        def call(*arguments: Any, **named: Any) -> Any:
            self.lives.spend()
            return attribute(*arguments, **named)

        return call


@dataclass
class Lives:
    left: int

    def spend(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Death


@dataclass(frozen=True)
class Step:
    """One run: what the upstream shows, and what goes wrong.

    `rows` are (key, title), a title of None being a row without an id; `dies_after` counts calls to target and
    store; `fails_at` is the row that does not come.
    """

    rows: Sequence[tuple[str, str | None]]
    complete: bool = True
    fails_at: int | None = None
    dies_after: int | None = None
    approved: bool = False
    in_columns: bool = False
    in_pages: bool = False
    mapped_in_bulk: bool = False
    deleted_by_hand: str | None = None


@dataclass
class Model:
    """What must be there: rows, which keys are bound and vanished, which rejects are open."""

    rows: dict[str, str] = field(default_factory=dict[str, str])
    bound: dict[str, bool] = field(default_factory=dict[str, bool])
    rejects: set[str] = field(default_factory=set[str])

    def run(self, step: Step) -> dict[str, int] | None:
        """Change as one run must; gives its counters, or None where the guard must stop it."""
        names = ("created", "updated", "skipped", "failed", "deleted", "restored")
        count: dict[str, int] = dict.fromkeys(names, 0)
        taken, refused, nameless = dict[str, str](), set[str](), set[str]()
        for k, title in step.rows:
            if title is None:
                name = nobody(k).key.key
                nameless.add(name)
                self.rejects.add(name)
                count["failed"] += 1
            elif title == MALFORMED or (k in taken and taken[k] != title):
                refused.add(k)
                self.rejects.add(k)
                count["failed"] += 1
            elif k in taken:
                count["skipped"] += 1
            else:
                taken[k] = title
                count[self.take(k, title)] += 1
                if title in GOOD and self.bound.get(k):
                    count["restored"] += k in self.rows and self.was_there
                if title in GOOD:
                    self.rows[k], self.bound[k] = title, False
        if not step.complete:
            return positive(count)
        return self.absences(step, taken.keys() | refused, nameless, count)

    def take(self, k: str, title: str) -> str:
        self.was_there = k in self.rows
        if title not in GOOD:
            self.rejects.add(k)
            return "failed"
        self.rejects.discard(k)
        if k not in self.rows:
            return "created"
        return "skipped" if self.rows[k] == title and not self.bound[k] else "updated"

    def absences(
        self, step: Step, read: set[str], nameless: set[str], count: dict[str, int]
    ) -> dict[str, int] | None:
        missing = [k for k, vanished in self.bound.items() if not vanished and k not in read]
        if missing and not nameless:
            if not read and not step.approved:
                return None
            self.bound.update(dict.fromkeys(missing, True))
            count["deleted"] = len(missing)
        self.rejects &= read | nameless
        return positive(count)


def positive(count: dict[str, int]) -> dict[str, int]:
    return {name: n for name, n in count.items() if n}


def nobody(mark: str) -> Unreadable:
    row = {"id": None, "mark": mark}
    return Unreadable(ExternalKey.unidentified(SYSTEM, row), row, "the id is missing")


def items_of(step: Step) -> list[Any]:
    if step.in_pages:
        return failing(step, [page_of(step.rows[i : i + 2]) for i in range(0, len(step.rows), 2)])
    items: list[Any] = []
    for k, title in step.rows:
        if title is None:
            items.append(nobody(k))
        elif step.in_columns and title != MALFORMED:
            items.append(Records(SYSTEM, [k], [fingerprint(title)], [title]))
        else:
            items.append(record(k, title))
    return joined(failing(step, items))


def failing(step: Step, items: list[Any]) -> list[Any]:
    if step.fails_at is not None:
        items.insert(min(step.fails_at, len(items)), SourceUnavailable("a page did not come"))
    return items


def page_of(rows: Sequence[tuple[str, str | None]]) -> Page[str]:
    good = [(k, title) for k, title in rows if title not in (MALFORMED, None)]
    titles = [str(title) for _, title in good]
    columns = Records(SYSTEM, [k for k, _ in good], [fingerprint(t) for t in titles], titles)
    bad = [
        Unreadable(key(k), title, "malformed") if title else nobody(k)
        for k, title in rows
        if (k, title) not in good
    ]
    return Page(fingerprint(list(rows)), lambda: [columns, *bad])


def joined(items: list[Any]) -> list[Any]:
    """Columns next to one another become one."""
    out: list[Any] = []
    for item in items:
        if isinstance(item, Records) and out and isinstance(out[-1], Records):
            last: Records[str] = out.pop()
            item = Records(
                SYSTEM, [*last.keys, *item.keys], [*last.versions, *item.versions], [*last.data, *item.data]
            )
        out.append(item)
    return out


rows = st.lists(
    st.tuples(
        st.sampled_from(KEYS),
        st.one_of(st.sampled_from(GOOD), st.sampled_from([*GOOD, MALFORMED, FORBIDDEN, CLASHING, LONG, None])),
    ),
    max_size=9,
)
steps = st.builds(
    Step,
    rows=rows,
    complete=st.booleans() | st.just(True),
    fails_at=st.none() | st.none() | st.integers(0, 9),
    dies_after=st.none() | st.integers(0, 40),
    approved=st.booleans(),
    in_columns=st.booleans(),
    in_pages=st.booleans(),
    mapped_in_bulk=st.booleans(),
    deleted_by_hand=st.none() | st.none() | st.sampled_from(KEYS),
)
histories = st.lists(steps, min_size=1, max_size=6)


def each_key_once(rows: Sequence[tuple[str, str | None]]) -> Sequence[tuple[str, str | None]]:
    """A key that is on a page that is skipped and on one that is not is a change, not a repetition."""
    return list({k: (k, title) for k, title in reversed(rows)}.values())[::-1]


def observed(workshop: Workshop) -> Model:
    return Model(workshop.titles(), workshop.bound(), set(workshop.rejects()))


def replay(workshop: Workshop, history: Sequence[Step], batch_size: int) -> None:
    """Run every step, and at last the last one's upstream once more without any trouble."""
    history = [replace(step, rows=each_key_once(step.rows)) if step.in_pages else step for step in history]
    calm = Step(each_key_once(history[-1].rows), approved=True, in_pages=history[-1].in_pages)
    one_less = replace(calm, rows=calm.rows[1:])
    deleted = replace(calm, deleted_by_hand=calm.rows[0][0] if calm.rows else None)
    for step in [*history, calm, calm, deleted, one_less, calm, calm]:
        if step.deleted_by_hand and step.deleted_by_hand in workshop.bound():
            workshop.forget_row(step.deleted_by_hand)
        before, after = observed(workshop), observed(workshop)
        expected = after.run(step)
        coverage = Coverage.snapshot(SYSTEM) if step.complete else Coverage.partial("a page is missing")
        options: dict[str, Any] = {"batch_size": batch_size, "allow_mass_vanish": step.approved}
        options["mapper"] = BulkTitleMapper() if step.mapped_in_bulk else TitleMapper()
        if step.dies_after is not None or step.fails_at is not None:
            interrupted(workshop, step, coverage, options)
            between(before, after, observed(workshop), step)
        elif expected is None:
            with pytest.raises(GuardTripped):
                workshop.sync(items_of(step), coverage, **options)
            assert observed(workshop) == Model(after.rows, after.bound, observed(workshop).rejects)
        else:
            report = workshop.sync(items_of(step), coverage, **options)
            assert counts(report) == expected
            assert report.complete == step.complete
            living = [k for k, vanished in after.bound.items() if not vanished]
            assert report.rows == (len(living) if step.complete else None)
            assert observed(workshop) == after
        consistent(workshop)
    again = workshop.snapshot(items_of(calm), batch_size=batch_size, allow_mass_vanish=True)
    assert (again.created, again.updated, again.deleted, again.restored) == (0, 0, 0, 0)


def interrupted(workshop: Workshop, step: Step, coverage: Coverage, options: dict[str, Any]) -> None:
    lives = Lives(10_000 if step.dies_after is None else step.dies_after)
    mortal = Workshop(**{**vars(workshop), "target": Mortal(workshop.target, lives)})
    mortal.store = Mortal(workshop.store, lives)
    with suppress(Death, SourceUnavailable, GuardTripped):
        mortal.sync(items_of(step), coverage, **options)


def between(before: Model, after: Model, now: Model, step: Step) -> None:
    """Each row is as it was or as it should be, and nothing vanished that must not."""
    titles = {k: {t for key, t in step.rows if key == k} for k in KEYS}
    for k in before.rows.keys() | now.rows.keys():
        assert now.rows.get(k) in {before.rows.get(k), *titles[k]}
        assert k in now.rows or k not in before.rows
    for k, vanished in now.bound.items():
        assert not vanished or before.bound.get(k) or (step.complete and step.fails_at is None and after.bound[k])


def consistent(workshop: Workshop) -> None:
    """Every row has its binding, and is marked as the binding is."""
    bound, held = workshop.bound(), workshop.titles()
    assert held.keys() <= bound.keys()
    assert workshop.vanished() == {k for k, vanished in bound.items() if vanished and k in held}


@given(histories, st.integers(1, 12))
@settings(max_examples=900)
def test_any_history_ends_as_the_model_says_in_memory(history: list[Step], batch_size: int) -> None:
    replay(in_memory(), history, batch_size)


@given(history=histories, batch_size=st.integers(1, 12))
@settings(max_examples=150)
def test_any_history_ends_as_the_model_says_in_postgresql(
    session: Session, quick_query: Callable[..., list[Any]], history: list[Step], batch_size: int
) -> None:
    quick_query("TRUNCATE wtl.courses, sync.external_refs, sync.rejects, sync.streams CASCADE")
    replay(in_postgres(session, quick_query), history, batch_size)


def test_a_record_without_a_version_is_compared_by_its_row(workshop: Workshop) -> None:
    items = [(key("1"), Payload("Fizyka", None))]
    assert counts(workshop.snapshot(items)) == {"created": 1}
    assert counts(workshop.snapshot(items)) == {"skipped": 1}
    assert counts(workshop.snapshot([(key("1"), Payload("Chemia", None))])) == {"updated": 1}
