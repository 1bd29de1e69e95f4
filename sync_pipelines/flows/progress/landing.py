"""From state files to landed lessons: those of some files in one transaction, with the note that they came.

Files are archived only once that is durable. A run that is killed in between finds them claimed, and goes on.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from sync_pipelines.core import ExternalKey, Reject, Stage
from sync_pipelines.errors import SourceError, SourceUnavailable
from sync_pipelines.flows.progress.inbox import Inbox, StateFile
from sync_pipelines.flows.progress.states import State, read_state, user_id_of
from sync_pipelines.flows.spec import LocalRun
from sync_pipelines.postgres.progress import note_imports, noted_imports
from sync_pipelines.postgres.progress_bulk import LandedState, land
from sync_pipelines.postgres.state import PostgresStateStore
from sync_pipelines.progress.wire import BadPayload, parse, shown

__all__ = ["REFUSED", "land_files"]

#: The system of the keys of lessons that are refused: the learner, the device and the lesson, as JSON.
REFUSED = "progress:lesson"
_FILES_AT_A_TIME = 1000
_BYTES_AT_A_TIME = 64 * 1024 * 1024
_MEGABYTES_OF_A_FILE = 16
_STUCK = "stuck"
_IMPORTED = "imported from the inbox"


@dataclass(frozen=True)
class _Read:
    """A file that can be imported: whose it is, what it says, and what it is remembered by."""

    file: StateFile
    user_id: str
    state: State
    sha256: str
    refused: Sequence[Reject]

    @property
    def key(self) -> str:
        return f"file:{self.sha256}"


def land_files(run: LocalRun) -> None:
    """Land the lessons of every file of the inbox; of the archive again, where the run is a full one."""
    inbox = Inbox.of(run.settings)
    facts = Counter[str](lessons=0, refused_lessons=0)
    if not run.plan:
        inbox.make()
    for files in _some(_files(run, inbox, facts)):
        _land(run, inbox, files, facts)
        run.on_read(run.tally.created + run.tally.skipped + run.tally.failed, None)
    if aside := run.tally.failed:
        files = "1 file" if aside == 1 else f"{aside} files"
        run.tally.error(f"{files} set aside in {inbox.folder}/_set_aside, with the reason beside it")
    if stuck := facts.pop(_STUCK, 0):
        files = "1 file is" if stuck == 1 else f"{stuck} files are"
        run.tally.error(f"{files} not ours to move: give us the folders below {inbox.folder} to write in")
        run.tally.failed += stuck
    if refused := facts["refused_lessons"]:
        lessons = "1 lesson" if refused == 1 else f"{refused} lessons"
        run.tally.error(f"{lessons} refused: see `sync-pipelines rejects list --stream progress/imports`")
    run.facts.update(facts)
    run.tally.complete = True


def _files(run: LocalRun, inbox: Inbox, facts: Counter[str]) -> Iterator[StateFile]:
    """What a killed run left first. A plan looks at files where they lie."""
    yield from list(inbox.claimed())
    for file in list(inbox.waiting()):
        if run.plan:
            yield file
            continue
        try:
            claimed = inbox.claim(file)
        except SourceError as error:
            if error.ends_run:
                raise
            facts[_STUCK] += 1
        else:
            yield from (claimed,) if claimed else ()
    if run.full:
        yield from list(inbox.archived())


def _some(files: Iterable[StateFile]) -> Iterator[list[StateFile]]:
    """So many that they can be held in memory."""
    some: list[StateFile] = []
    size = 0
    for file in files:
        some.append(file)
        size += file.size
        if len(some) == _FILES_AT_A_TIME or size > _BYTES_AT_A_TIME:
            yield some
            some, size = [], 0
    if some:
        yield some


def _land(run: LocalRun, inbox: Inbox, files: Iterable[StateFile], facts: Counter[str]) -> None:
    good: dict[str, _Read] = {}
    twice: list[StateFile] = []
    bad: list[tuple[StateFile, str]] = []
    for file in files:
        try:
            read = _read(file)
        except BadPayload as error:
            bad.append((file, str(error)))
            continue
        if read.key in good:
            twice.append(file)
        else:
            good[read.key] = read
    new = _keep(run, list(good.values()))
    for key in new:
        facts["lessons"] += len(good[key].state.changes.lesson_id)
        facts["refused_lessons"] += len(good[key].refused)
    run.tally.created += len(new)
    run.tally.skipped += len(good) - len(new) + len(twice)
    run.tally.failed += len(bad)
    if run.plan:
        return
    for file in (*(read.file for read in good.values()), *twice):
        inbox.archive(file)
    for file, reason in bad:
        inbox.set_aside(file, reason)


def _keep(run: LocalRun, reads: Sequence[_Read]) -> set[str]:
    """Land what was not imported before, in one transaction; gives the keys of those files."""
    if run.plan:
        return {read.key for read in reads} - noted_imports(run.session, [read.key for read in reads])
    store = PostgresStateStore(run.session)
    with run.session.transaction():
        ledger = [(read.user_id, read.state.device_id, read.key, read.sha256) for read in reads]
        new = note_imports(run.session, ledger, _IMPORTED)
        landing = [read for read in reads if read.key in new or run.full]
        land(run.session, [LandedState(r.user_id, r.state.device_id, r.state.changes) for r in landing])
        rejects = list(chain.from_iterable(read.refused for read in landing))
        # In this order: of two files one may hold the good record, and the other still the bad one.
        store.resolve_rejects(list(_settled(store, landing)))
        store.save_rejects(list({reject.key: reject for reject in rejects}.values()))
    return new


def _settled(store: PostgresStateStore, reads: Sequence[_Read]) -> Iterator[ExternalKey]:
    """The keys of rejects in whose place a good lesson came."""
    refused = set(store.open_rejects(REFUSED))
    if refused:
        for read in reads:
            keys = (_key(read.user_id, read.state.device_id, str(i)) for i in read.state.changes.lesson_id)
            yield from (key for key in keys if key in refused)


def _read(file: StateFile) -> _Read:
    """Raises BadPayload for what no one can import, SourceUnavailable where the disk fails."""
    if file.size > _MEGABYTES_OF_A_FILE * 1024 * 1024:
        raise BadPayload(f"the file is larger than {_MEGABYTES_OF_A_FILE} MB: no device's state is")
    try:
        body = file.path.read_bytes()
    except PermissionError:
        raise BadPayload("the file is not ours to read") from None
    except OSError as error:
        raise SourceUnavailable(f"a file of the inbox cannot be read: {error.strerror}") from error
    state = read_state(body)
    user_id = state.user_id or user_id_of(file.folder)
    if user_id is None:
        raise BadPayload("nobody can tell whose it is: give it a user_id, or put it into a folder of that name")
    if file.folder not in (None, user_id):
        raise BadPayload("its user_id is not that of the folder it lies in")
    refused = _rejects(user_id, state, body) if state.refused else ()
    return _Read(file, user_id, state, hashlib.sha256(user_id.encode() + b"\0" + body).hexdigest(), refused)


def _rejects(user_id: str, state: State, body: bytes) -> list[Reject]:
    lessons: dict[str, Any] = {shown(key): value for key, value in parse(body)["lessons"].items()}
    return [
        Reject(
            _key(user_id, state.device_id, refusal.key),
            Stage.SOURCE,
            f"{refusal.field}: {refusal.reason}" if refusal.field else refusal.reason,
            lessons.get(refusal.key),
        )
        for refusal in state.refused
    ]


def _key(user_id: str, device_id: str, lesson: str) -> ExternalKey:
    return ExternalKey(REFUSED, json.dumps([user_id, device_id, lesson]))
