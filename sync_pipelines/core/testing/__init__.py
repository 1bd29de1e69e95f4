"""The conformance kit: laws that a Source, a Mapper, a Target or a StateStore must keep, ready to be run.

    @pytest.mark.parametrize("law", source_laws(), ids=str)
    def test_the_source_keeps_the_law(law, tmp_path):
        law.check(lambda: SourceUnderTest(RoomsFile(tmp_path / "rooms.csv")))

A broken law is an AssertionError that says so in a sentence; a law that lacks what it needs to look, or whose
optional part (`load_rows`, `load_bindings`, `remember_pages`, `map_many`, `Page`) is not there, is a
unittest.SkipTest. Without pytest: `assert not broken(source_laws(), make)`. Standard library only.
"""

from sync_pipelines.core.testing.bulk_targets import bulk_target_laws
from sync_pipelines.core.testing.laws import Law, broken
from sync_pipelines.core.testing.mappers import MapperUnderTest, mapper_laws
from sync_pipelines.core.testing.sources import SourceUnderTest, source_laws
from sync_pipelines.core.testing.stores import StoreUnderTest, store_laws
from sync_pipelines.core.testing.targets import TargetUnderTest, target_laws
from sync_pipelines.core.testing.together import PairUnderTest, pair_laws

__all__ = [
    "Law",
    "MapperUnderTest",
    "PairUnderTest",
    "SourceUnderTest",
    "StoreUnderTest",
    "TargetUnderTest",
    "broken",
    "bulk_target_laws",
    "mapper_laws",
    "pair_laws",
    "source_laws",
    "store_laws",
    "target_laws",
]
