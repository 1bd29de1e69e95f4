"""What range=[a,b] may mean (contracts/wtl.md A13–A15)."""

import httpx
import pytest

from sync_pipelines.sandbox.webtolearn import Platform
from sync_pipelines.sandbox.webtolearn.ranges import MEANINGS
from sync_pipelines_tests.sandbox.asking import ids, total

# Rows that [2,5] gives out of rows 0..11, and what Content-Range says of them.
EXPECTED = {
    "inclusive": ([2, 3, 4, 5], "lessons 2-6/12"),
    "offset-limit": ([2, 3, 4, 5, 6], "lessons 2-8/12"),
    "offset-limit+1": ([2, 3, 4, 5, 6, 7], "lessons 2-8/12"),
    "half-open": ([2, 3, 4], "lessons 2-5/12"),
    "limit-offset": ([5, 6], "lessons 5-8/12"),
    "page-size": ([10, 11], "lessons 10-16/12"),
}


@pytest.fixture(scope="module")
def platform() -> Platform:
    return Platform(lessons=[{"id": str(i), "name": f"Lekcja {i}"} for i in range(12)])


@pytest.mark.parametrize("meaning", MEANINGS)
def test_a_range_means_one_thing(api: httpx.Client, platform: Platform, meaning: str) -> None:
    platform.range_meaning = meaning
    answer = api.get("/lesson/list", params={"range": "[2,5]"})
    assert ([int(i) for i in ids(answer)], answer.headers["Content-Range"]) == EXPECTED[meaning]


def test_the_two_small_ranges_tell_the_meanings_apart(api: httpx.Client, platform: Platform) -> None:
    counts: dict[str, tuple[int, ...]] = {}
    for platform.range_meaning in MEANINGS:
        asked = ("[0,1]", "[1,1]")
        counts[platform.range_meaning] = tuple(
            len(ids(api.get("/lesson/list", params={"range": r}))) for r in asked
        )
    assert counts == {
        "inclusive": (2, 1),
        "offset-limit": (1, 1),
        "offset-limit+1": (2, 2),
        "half-open": (1, 0),
        "limit-offset": (0, 1),
        "page-size": (1, 1),  # rows 0 and 1: page 1 is not page 0
    }


@pytest.mark.parametrize("meaning", [name for name in MEANINGS if name != "half-open"])
def test_the_recorded_range_has_the_recorded_header(api: httpx.Client, platform: Platform, meaning: str) -> None:
    platform.range_meaning = meaning
    del platform.lessons[5:]
    said = api.get("/lesson/list", params={"range": "[0,10]"}).headers["Content-Range"]
    assert said == ("lessons 10-11/5" if meaning == "limit-offset" else "lessons 0-11/5")


@pytest.mark.parametrize("meaning", MEANINGS)
@pytest.mark.parametrize("text", [None, "", "[]", "[1]", "[-1,5]", "[0,-5]", '["0","5"]', "[0,5,9]", "{}"])
def test_a_range_that_is_none_gives_the_first_hundred(
    api: httpx.Client, platform: Platform, meaning: str, text: str | None
) -> None:
    platform.range_meaning = meaning
    platform.lessons = [{"id": str(i), "name": "x"} for i in range(150)]
    answer = api.get("/lesson/list", params={} if text is None else {"range": text})
    assert (len(ids(answer)), answer.headers["Content-Range"]) == (100, "lessons 0-100/150")


@pytest.mark.parametrize("meaning", MEANINGS)
def test_a_capped_server_gives_fewer_rows_and_the_true_total(
    api: httpx.Client, platform: Platform, meaning: str
) -> None:
    platform.range_meaning = meaning
    uncapped = api.get("/lesson/list", params={"range": "[1,6]"})
    platform.page_cap = 2
    capped = api.get("/lesson/list", params={"range": "[1,6]"})
    assert ids(capped) == ids(uncapped)[:2]
    assert capped.headers["Content-Range"] == uncapped.headers["Content-Range"]
    assert total(capped) == 12


@pytest.mark.parametrize("meaning", MEANINGS)
def test_a_range_behind_the_end_is_empty(api: httpx.Client, platform: Platform, meaning: str) -> None:
    platform.range_meaning = meaning
    answer = api.get("/lesson/list", params={"range": f"[{10**30},{10**30}]"})
    assert (ids(answer), total(answer)) == ([], 12)
