"""What has landed of a school, as sources: one for each kind of thing, in the order in which they refer."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sync_pipelines.core import Coverage, ExternalKey, Fetch, Payload, Unreadable, fingerprint
from sync_pipelines.flows.bakalari.mapping import Fields
from sync_pipelines.flows.bakalari.observing import ROLES, Refusal
from sync_pipelines.flows.bakalari.snapshot import KINDS, Kind, Snapshot
from sync_pipelines.settings import School

__all__ = ["sources_of"]


@dataclass(frozen=True)
class _SchoolSource:
    """The school itself."""

    school: School
    name: str | None

    def fetch(self, since: str | None) -> Fetch[Fields]:
        fields: Fields = {"name": self.name, "base_url": self.school.url}
        key = ExternalKey(f"bakalari:{self.school.id}:school", self.school.id)
        yield key, Payload(fields, fingerprint(fields))
        return Coverage.changes()

    def validate(self, key: ExternalKey, payload: Payload[Fields]) -> None:
        """The settings were looked at."""


@dataclass(frozen=True)
class _KindSource:
    """The things of one kind. What the snapshot holds as gone has vanished; the rest is left alone."""

    system: str
    kind: Kind
    known: Collection[str]
    fields: Mapping[str, Fields]
    refusals: Sequence[Refusal]

    def fetch(self, since: str | None) -> Fetch[Fields]:
        refused = {refusal.key for refusal in self.refusals}
        for key, fields in self.fields.items():
            if key not in refused:
                yield ExternalKey(self.system, key), Payload(fields, fingerprint(fields))
        for number, refusal in enumerate(self.refusals):
            data = {"kind": refusal.kind, "key": refusal.key, "reason": refusal.reason}
            if refusal.key:
                yield Unreadable(ExternalKey(self.system, refusal.key), data, refusal.reason)
            else:
                # Each of several that look alike is one.
                yield Unreadable(ExternalKey.unidentified(self.system, [number, data]), data, refusal.reason)
        return Coverage.snapshot(self.system, within=self._speaks_of)

    def _speaks_of(self, key: ExternalKey) -> bool:
        """Whether a key that is not among the records is gone. What no row can have was refused once."""
        is_nobody = self.kind == "user" and key.key.partition(":")[0] not in ROLES
        return key.key in self.known or key.is_stand_in or is_nobody

    def validate(self, key: ExternalKey, payload: Payload[Fields]) -> None:
        """The client refused malformed rows already."""


def sources_of(
    school: School, name: str | None, snapshot: Snapshot, refusals: Sequence[Refusal]
) -> list[_SchoolSource | _KindSource]:
    """The school, its classes, subjects, users and enrollments."""
    sources: list[_SchoolSource | _KindSource] = [_SchoolSource(school, name)]
    for kind in KINDS:
        system = f"bakalari:{school.id}:{kind}"
        fields = dict(_fields(snapshot, kind))
        mine = [refusal for refusal in refusals if refusal.kind == kind]
        sources.append(_KindSource(system, kind, snapshot.of(kind), fields, mine))
    return sources


def _fields(snapshot: Snapshot, kind: Kind) -> Iterator[tuple[str, Fields]]:
    """Each thing that is there, with what its row also needs: its id, or for an enrollment the student's class."""
    users = snapshot.of("user")
    for key, fact in snapshot.there(kind):
        if kind == "enrollment":
            user = users.get(str(fact.fields["user"]))
            yield key, {**fact.fields, "key": key, "class_id": user.fields.get("class_id") if user else None}
        else:
            yield key, fact.fields if kind == "user" else {**fact.fields, "id": key}
