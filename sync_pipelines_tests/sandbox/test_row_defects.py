"""Every row defect does what its sentence says: to each tenth row, and to the same rows on every page."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from sync_pipelines.sandbox.webtolearn import Platform
from sync_pipelines.sandbox.webtolearn.row_defects import ROW_DEFECTS
from sync_pipelines_tests.sandbox.asking import EVERYTHING

USERS = ("same-email-other-case", "two-ids-one-email")


@pytest.fixture(scope="module")
def platform() -> Platform:
    return Platform.invented(courses=1, lessons=75, users=40)


def path(platform: Platform, defect: str) -> str:
    if defect == "unknown-expiry":
        return f"/training/{platform.courses[0]['id']}/user/list"
    return "/user/list" if defect in USERS else "/lesson/list"


def rows(api: httpx.Client, path: str, text: str = EVERYTHING) -> list[Any]:
    return api.get(path, params={"range": text}).json()


def titles(change: Callable[[Any], bool]) -> Callable[[Any, Any], bool]:
    """Only the title is another, and such a one."""
    return lambda row, was: change(row["name"]) and row["name"] != was["name"] and row | was == was


# What a changed row is like, beside what it was.
CHANGED: dict[str, Callable[[Any, Any], bool]] = {
    "int-ids": lambda row, was: row == was | {"id": int(was["id"])},
    "odd-ids": lambda row, was: row["id"] in ("1.0", True, None, "", " 1", 1.0) and row["name"] == was["name"],
    "long-id": lambda row, was: len(row["id"]) == 300 and row["id"].isdecimal(),
    "nul-title": titles(lambda text: "\x00" in text),
    "lone-surrogate": titles(lambda text: "\ud83d" in text),
    "blank-title": titles(lambda text: text != "" and text.isspace()),
    "null-title": titles(lambda text: text is None),
    "long-title": titles(lambda text: len(text) == 600),
    "html-title": titles(lambda text: "<script>" in text),
    "literal-backslash-title": titles(lambda text: "\\n" in text and "\n" not in text),
    "extra-fields": lambda row, was: row.keys() > was.keys() and row | was == row,
    "missing-title": lambda row, was: row == {"id": was["id"]},
    "alias-titles": lambda row, was: row == {"id": was["id"], "title": was["name"]},
    "disagreeing-aliases": lambda row, was: row == was | {"title": row["title"]} and row["title"] != was["name"],
    "same-email-other-case": lambda row, was: row["email"].isupper() and row["id"] == was["id"],
    "two-ids-one-email": lambda row, was: row["email"] != was["email"] and row["id"] == was["id"],
    "unknown-expiry": lambda row, was: row == was | {"expired_at": "kiedyś"},
    "null-rows": lambda row, was: row in (None, "Lekcja", 7, []),
    "all-rows-null": lambda row, was: row is None,
}
EVERY_ROW = ("int-ids", "extra-fields", "alias-titles", "all-rows-null")


def test_every_defect_is_tried() -> None:
    assert CHANGED.keys() == ROW_DEFECTS.keys()


@pytest.mark.parametrize("defect", CHANGED)
def test_a_defect_does_what_it_says_to_its_rows_and_no_others(
    api: httpx.Client, platform: Platform, defect: str
) -> None:
    good = rows(api, path(platform, defect))
    platform.switch_on(defect)
    bad = rows(api, path(platform, defect))
    step = 1 if defect in EVERY_ROW else 10
    places = {1} if defect in USERS else {*range(0, len(good), step)}
    assert len(bad) == len(good)
    assert all(CHANGED[defect](bad[i], good[i]) for i in places)
    assert {i for i in range(len(good)) if repr(bad[i]) != repr(good[i])} == places


@pytest.mark.parametrize("defect", CHANGED)
def test_a_row_is_the_same_on_every_page(api: httpx.Client, platform: Platform, defect: str) -> None:
    platform.switch_on(defect)
    whole = rows(api, path(platform, defect))
    for first, last in ((0, 9), (9, 20), (20, 31), (5, 5)):
        assert repr(rows(api, path(platform, defect), f"[{first},{last}]")) == repr(whole[first : last + 1])


@pytest.mark.parametrize(
    ("defect", "kinds"),
    [("odd-ids", ["'1.0'", "True", "None", "''", "' 1'", "1.0"]), ("null-rows", ["None", "'Lekcja'", "7", "[]"])],
)
def test_the_kinds_come_in_turn(api: httpx.Client, platform: Platform, defect: str, kinds: list[str]) -> None:
    platform.switch_on(defect)
    bad = rows(api, "/lesson/list")[::10]
    assert [repr(row["id"] if isinstance(row, dict) else row) for row in bad][: len(kinds)] == kinds


def test_two_users_have_one_address(api: httpx.Client, platform: Platform) -> None:
    for defect, changed in (("two-ids-one-email", str), ("same-email-other-case", str.upper)):
        platform.faults.clear()
        platform.switch_on(defect)
        first, second, *_ = rows(api, "/user/list")
        assert second == {"id": platform.users[1]["id"], "email": changed(first["email"])}


def test_a_users_text_is_the_address(api: httpx.Client, platform: Platform) -> None:
    platform.switch_on("blank-title")
    assert rows(api, "/user/list")[0]["email"].isspace()


def test_the_platforms_own_rows_stay_as_they_are(api: httpx.Client, platform: Platform) -> None:
    for defect in ROW_DEFECTS:
        platform.switch_on(defect, path="*")
    for asked in ("/lesson/list", "/user/list", "/training/list"):
        api.get(asked)
    platform.faults.clear()
    assert platform == Platform.invented(courses=1, lessons=75, users=40)
