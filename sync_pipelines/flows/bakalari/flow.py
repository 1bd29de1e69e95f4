"""The declaration: what is read of a school, and which of it goes through which mapper into which table."""

from __future__ import annotations

from sync_pipelines.flows.bakalari import mapping
from sync_pipelines.flows.bakalari.outcome import ROSTER, STREAMS
from sync_pipelines.flows.bakalari.roster import open_landed, open_reader
from sync_pipelines.flows.bakalari.schools import BAKALARI, SCHOOLS
from sync_pipelines.flows.spec import Part, PartitionedFlow, Stage
from sync_pipelines.postgres.spec import TableSpec
from sync_pipelines.postgres.tables import bakalari as tables

__all__ = ["ROSTERS"]

_KEY = ("school_id", "external_id")

ROSTERS = PartitionedFlow(
    stream=ROSTER,
    upstream=BAKALARI,
    description=(
        "What Bakalari's accounts can see of a **school**, read once. One partition a school.\n\n"
        "Teachers and superusers give marking sheets (rosters), students and parents what is their own; the "
        "public timetable lists classes and teachers; an export may give everything. `coverage` says who was "
        "asked and what came of it.\n\n"
        "A thing counts as gone when a list that had it was read to its end and has it no more; what nobody could "
        "be asked about stays. Marks, averages and phone numbers go no further than the client."
    ),
    partitions=SCHOOLS,
    parts=(
        Part(
            stream="bakalari/schools",
            system="bakalari:{}:school",
            table=TableSpec(
                tables.schools, natural_key=("id",), owned=("name", "base_url"), adopt=True, id="row_id"
            ),
            view="bakalari.schools_current",
            mapper=mapping.school_mapper,
            description="The **schools** of the settings, by their id there. `name` is the server's word for it.",
            after=(ROSTER,),
        ),
        Part(
            stream=STREAMS["class"],
            system="bakalari:{}:class",
            table=TableSpec(
                tables.classes,
                natural_key=_KEY,
                owned=("abbrev", "name", "grade", "grade_guessed"),
                adopt=True,
            ),
            view="bakalari.classes_current",
            mapper=mapping.class_mapper,
            description=(
                "The **classes** of a school, by Bakalari's id.\n\n"
                "`grade` is the year that its students' accounts say, or that its abbreviation shows (`1.A`, "
                "`G6.A`, `IV.B`, `oktáva`); `grade_guessed` says that neither does."
            ),
            after=("bakalari/schools",),
        ),
        Part(
            stream=STREAMS["subject"],
            system="bakalari:{}:subject",
            table=TableSpec(tables.subjects, natural_key=_KEY, owned=("code", "name"), adopt=True),
            view="bakalari.subjects_current",
            mapper=mapping.subject_mapper,
            description=(
                "The **subjects** of a school, by Bakalari's id.\n\n"
                "`code` is its abbreviation; where another subject has that, with the id after it: `IVT~12`."
            ),
            after=(STREAMS["class"],),
        ),
        Part(
            stream=STREAMS["user"],
            system="bakalari:{}:user",
            table=TableSpec(
                tables.users,
                natural_key=("school_id", "user_type", "external_id"),
                owned=("user_uid", "full_name", "class_id"),
                initial=("email", "role"),
                adopt=True,
            ),
            view="bakalari.users_current",
            mapper=mapping.user_mapper,
            description=(
                "The **people** of a school: students, teachers and parents.\n\n"
                "`role` and `email` are set when a person is first seen, and are people's own from then on. An "
                "address that the school does not give is made of the id (`…@bakalari.local`)."
            ),
            after=(STREAMS["subject"],),
        ),
        Part(
            stream=STREAMS["enrollment"],
            system="bakalari:{}:enrollment",
            table=TableSpec(
                tables.enrollments,
                natural_key=("user_id", "subject_id"),
                owned=("school_id", "external_id", "class_id"),
                adopt=True,
            ),
            view="bakalari.enrollments_current",
            mapper=mapping.enrollment_mapper,
            description=(
                "**Who learns what**: a student and a subject, once each.\n\n"
                "A student who changes class keeps the row. Students released from a subject are not enrolled."
            ),
            after=(STREAMS["user"],),
        ),
    ),
    open_reader=open_reader,
    stage=Stage(tables.rosters, open_landed),
)
