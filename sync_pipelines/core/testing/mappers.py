"""The laws of a Mapper, and of a BulkMapper where it is one."""

from __future__ import annotations

import unittest
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sync_pipelines.core.ports import BulkMapper, Mapper
from sync_pipelines.core.records import Projection, Projections, Record
from sync_pipelines.core.testing.laws import Law, Laws, must, needs
from sync_pipelines.errors import MappingError

__all__ = ["MapperUnderTest", "mapper_laws"]


@dataclass(frozen=True)
class MapperUnderTest:
    """A mapper, records that it takes, and `refused` ones: of each kind that `validate` or `map` refuses, one."""

    mapper: Mapper[Any]
    records: Sequence[Record[Any]]
    refused: Sequence[Record[Any]] = ()

    @property
    def bulk(self) -> BulkMapper[Any]:
        """The mapper, which can map many at once; skips the law where it cannot."""
        if not isinstance(self.mapper, BulkMapper):
            raise unittest.SkipTest("the mapper has no `map_many`: it maps a record at a time")
        return self.mapper

    def one(self, record: Record[Any]) -> Projection:
        """What the engine makes of one record."""
        self.mapper.validate(*record)
        return self.mapper.map(*record)

    def many(self, records: Sequence[Record[Any]]) -> Projections:
        """What the engine makes of many records of one system."""
        return self.bulk.map_many([key.key for key, _ in records], [payload.data for _, payload in records])

    def by_system(self) -> Sequence[Sequence[Record[Any]]]:
        """The records that it takes, those of each system together."""
        ordered = sorted(self.records, key=lambda record: record[0].system)
        return [list(records) for _, records in groupby(ordered, key=lambda record: record[0].system)]


_law = Laws[MapperUnderTest]()


def mapper_laws() -> Sequence[Law[MapperUnderTest]]:
    """Every law of a Mapper, and of a BulkMapper where it is one."""
    return tuple(_law.all)


@_law
def a_good_record_maps_to_the_same_row_each_time(given: MapperUnderTest) -> None:
    must(bool(given.records), "there must be some records to map")
    for record in given.records:
        first, second = given.one(record), given.one(record)
        must(bool(first.kind) and bool(first.fields), f"{record[0].key} maps to a row without a kind or a field")
        must(first == second, f"{record[0].key} mapped to {first}, then to {second}")


@_law
def a_bad_record_is_refused_and_concerns_no_other(given: MapperUnderTest) -> None:
    needs(given.refused, "refused")
    for record in given.refused:
        try:
            given.one(record)
        except MappingError as error:
            must(not error.ends_run, f"the mapper ends the whole run because of {record[0].key}")
            must(bool(str(error)), f"the mapper does not say what is wrong with {record[0].key}")
        else:
            must(False, f"the mapper took {record[0].key}, which breaks a rule: it raises MappingError")


def _rows(rows: Projections, count: int) -> Sequence[Mapping[str, Any]]:
    for name, column in rows.columns.items():
        must(len(column) == count, f"map_many of {count} records gave {name} {len(column)} values")
    return [{name: column[place] for name, column in rows.columns.items()} for place in range(count)]


@_law
def many_records_map_as_one_by_one(given: MapperUnderTest) -> None:
    _ = given.bulk
    for records in given.by_system():
        for some in (records, records[::-1], records[:1]):
            mapped = given.many(some)
            for record, row in zip(some, _rows(mapped, len(some)), strict=True):
                one = given.one(record)
                must(mapped.kind == one.kind, f"map gave a row of {one.kind}, and map_many one of {mapped.kind}")
                must(row == one.fields, f"{record[0].key}: map gave {dict(one.fields)}, and map_many {row}")


@_law
def one_bad_record_refuses_the_many(given: MapperUnderTest) -> None:
    _ = given.bulk
    needs(given.refused, "refused")
    for bad in given.refused:
        good = [record for record in given.records if record[0].system == bad[0].system]
        for place in {0, len(good) // 2, len(good)}:
            try:
                given.many([*good[:place], bad, *good[place:]])
            except MappingError:
                continue
            must(False, f"map_many took {bad[0].key}, which `validate` or `map` refuses: it raises MappingError")
