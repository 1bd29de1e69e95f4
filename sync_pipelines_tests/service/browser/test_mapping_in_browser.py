"""A course's lessons in a real browser: dragged, moved by keys, by two people, by a finger, over a bad line."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from sync_pipelines.flows.runner import Runner
from sync_pipelines.flows.webtolearn import COURSES, LESSON_CATALOG
from sync_pipelines.sandbox.webtolearn import Platform
from sync_pipelines.settings import Settings

expect.set_options(timeout=60_000)

Query = Callable[..., list[Any]]
Contexts = Callable[[], BrowserContext]
# Of a course that has the first three.
LESSONS = ["Zlomky", "Květy", "Kosti", "Barvy", "Vesmír"]


@pytest.fixture
def course(service: Any, query: Query) -> str:
    for number, title in enumerate(LESSONS, 1):
        query("UPDATE wtl.lessons SET title = :t WHERE wtl_lesson_id = :n", t=title, n=str(number))
    (made,) = query("INSERT INTO wtl.courses (wtl_course_id, title) VALUES ('7', 'Přírodopis') RETURNING id::text")
    query(
        "INSERT INTO wtl.course_lessons (course_id, lesson_id, position) SELECT :c, id, wtl_lesson_id::int - 1 "
        "FROM wtl.lessons WHERE wtl_lesson_id IN ('1', '2', '3')",
        c=made,
    )
    return made


@pytest.fixture
def open_course(origin: str, token: Callable[..., str], course: str) -> Callable[[BrowserContext], Page]:
    """Logs in with a token of its own, and opens the course."""

    def make(context: BrowserContext) -> Page:
        page = context.new_page()
        page.goto(f"{origin}/admin/mapping/{course}")
        page.locator("#token").fill(token("operator"))
        page.locator("main button").click()
        expect(page.locator("#mapping.live")).to_be_visible()
        return page

    return make


@pytest.fixture
def page(new_context: Contexts, open_course: Callable[[BrowserContext], Page]) -> Page:
    return open_course(new_context())


def named(page: Page, title: str) -> Locator:
    return page.locator("li.lesson").filter(has=page.get_by_text(title, exact=True))


def shows(page: Page, *titles: str) -> None:
    expect(page.locator("#in-course .name")).to_have_text([*titles])
    expect(page.locator("#in-course .position")).to_have_text([str(n) for n, _ in enumerate(titles, 1)])


def said(page: Page, text: str) -> None:
    expect(page.locator("#said")).to_contain_text(text)


def stored(query: Query) -> list[str]:
    return query(
        "SELECT title FROM wtl.course_lessons m JOIN wtl.lessons l ON l.id = m.lesson_id ORDER BY m.position"
    )


def drag(page: Page, title: str, over: Locator) -> None:
    """Take a lesson by its grip, and let it go once it has made room for itself where the other one is."""
    lesson = named(page, title)
    lesson.scroll_into_view_if_needed()
    grip, target = lesson.locator(".grip").bounding_box(), over.bounding_box()
    assert grip is not None
    assert target is not None
    page.mouse.move(grip["x"] + grip["width"] / 2, grip["y"] + grip["height"] / 2)
    page.mouse.down()
    page.mouse.move(target["x"] + 40, target["y"] + 40, steps=3)
    page.mouse.move(target["x"] + 40, target["y"] + target["height"] / 4, steps=3)
    expect(page.locator(".lands-here")).to_have_attribute("data-lesson", lesson_id(lesson))
    expect(over.locator("xpath=preceding-sibling::li[1]")).to_have_class(re.compile("lands-here"))
    page.mouse.up()


def lesson_id(lesson: Locator) -> str:
    return lesson.first.get_attribute("data-lesson") or ""


def test_lessons_are_dragged_into_their_places_and_are_there_after_a_reload(page: Page, query: Query) -> None:
    shows(page, "Zlomky", "Květy", "Kosti")
    drag(page, "Vesmír", named(page, "Květy"))
    said(page, "Vesmír: added at position 2 of 4")
    shows(page, "Zlomky", "Vesmír", "Květy", "Kosti")
    drag(page, "Kosti", named(page, "Zlomky"))
    said(page, "Kosti: position 1 of 4")
    page.reload()
    shows(page, "Kosti", "Zlomky", "Vesmír", "Květy")
    assert stored(query) == ["Kosti", "Zlomky", "Vesmír", "Květy"]
    # And back, out of the course.
    drag(page, "Zlomky", named(page, "Barvy"))
    said(page, "Zlomky: taken out of the course")
    page.get_by_role("button", name="Put back at position 2").click()
    shows(page, "Kosti", "Zlomky", "Vesmír", "Květy")
    assert stored(query) == ["Kosti", "Zlomky", "Vesmír", "Květy"]


def test_by_keys_alone_a_lesson_is_added_moved_and_required_and_focus_stays_on_it(
    page: Page, query: Query
) -> None:
    page.get_by_role("button", name="Add to the course: Barvy").focus()
    page.keyboard.press("Enter")
    said(page, "Barvy: added at position 4 of 4")
    expect(named(page, "Barvy")).to_be_focused()
    page.get_by_role("button", name="Move up: Barvy").focus()
    for place in (3, 2, 1):
        page.keyboard.press("Enter")
        said(page, f"Barvy: position {place} of 4")
        expect(page.get_by_role("button", name="Move up: Barvy")).to_be_focused()
    shows(page, "Barvy", "Zlomky", "Květy", "Kosti")
    page.keyboard.press("Enter")
    page.keyboard.press("Shift+Tab")
    expect(page.get_by_role("switch", name="Required: Barvy")).to_be_focused()
    page.keyboard.press("Space")
    said(page, "Barvy: required")
    expect(page.get_by_role("switch", name="Required: Barvy")).to_be_checked()
    expect(page.get_by_role("switch", name="Required: Barvy")).to_be_focused()
    page.get_by_role("button", name="Take out of the course: Květy").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Put back at position 3")).to_be_focused()
    assert stored(query) == ["Barvy", "Zlomky", "Kosti"]
    assert query("SELECT title FROM wtl.lessons JOIN wtl.course_lessons ON id = lesson_id WHERE required") == [
        "Barvy"
    ]


def test_presses_faster_than_answers_are_all_done_in_their_order(page: Page, query: Query) -> None:
    page.evaluate(
        """for (const [what, place] of [["down", 0], ["down", 1], ["unpin", 2]]) {
          const lesson = document.querySelectorAll("#in-course > li")[place];
          lesson.querySelector(`button[id^=${what}]`).click();
        }"""
    )
    said(page, "Kosti: taken out of the course")
    shows(page, "Zlomky", "Květy")
    assert stored(query) == ["Zlomky", "Květy"]


def test_two_people_see_what_the_other_did_and_nothing_is_lost(
    page: Page, new_context: Contexts, open_course: Callable[[BrowserContext], Page], query: Query
) -> None:
    other = open_course(new_context())
    page.get_by_role("button", name="Add to the course: Barvy").click()
    said(page, "Barvy: added at position 4 of 4")
    # Of a page that may not know yet.
    other.get_by_role("button", name="Add to the course: Vesmír").click()
    said(other, "Vesmír: added at position 5 of 5")
    shows(other, "Zlomky", "Květy", "Kosti", "Barvy", "Vesmír")
    other.get_by_role("button", name="Take out of the course: Zlomky").click()
    shows(page, "Květy", "Kosti", "Barvy", "Vesmír")
    expect(page.locator("#news")).to_contain_text("Somebody else changed this course")
    assert stored(query) == ["Květy", "Kosti", "Barvy", "Vesmír"]


def test_what_could_not_be_saved_goes_back_and_is_told(page: Page, query: Query) -> None:
    page.route("**/lessons/**", lambda route: route.abort())
    drag(page, "Vesmír", named(page, "Zlomky"))
    said(page, "not saved")
    shows(page, "Zlomky", "Květy", "Kosti")
    expect(page.locator("#found .name")).to_have_text(["Barvy", "Vesmír"])
    # Looking at the lists does not take it away.
    with page.expect_response(re.compile("version=")):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    said(page, "not saved")
    page.unroute("**/lessons/**")
    drag(page, "Vesmír", named(page, "Zlomky"))
    said(page, "Vesmír: added at position 1 of 4")
    assert stored(query) == ["Vesmír", "Zlomky", "Květy", "Kosti"]


def test_a_page_whose_service_is_away_says_so_and_goes_on_by_itself(page: Page, query: Query) -> None:
    page.route("**/mapping/**", lambda route: route.abort())
    expect(page.locator("#notice")).to_be_visible()
    query("UPDATE wtl.course_lessons SET position = -position")
    page.unroute("**/mapping/**")
    shows(page, "Kosti", "Květy", "Zlomky")
    expect(page.locator("#notice")).to_be_hidden()


def test_a_search_narrows_the_other_lessons_while_it_is_typed(page: Page) -> None:
    page.get_by_role("searchbox").press_sequentially("vesmir")
    expect(page.locator("#found .name")).to_have_text(["Vesmír"])
    page.get_by_role("button", name="Add to the course: Vesmír").click()
    shows(page, "Zlomky", "Květy", "Kosti", "Vesmír")
    expect(page.get_by_role("searchbox")).to_have_value("vesmir")
    page.reload()
    expect(page.get_by_role("searchbox")).to_have_value("vesmir")
    expect(page.locator("#found .name")).to_have_count(0)


def test_on_a_phone_nothing_is_wider_than_it_and_a_finger_drags(page: Page, query: Query) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    first, last = named(page, "Zlomky"), named(page, "Kosti")
    first.scroll_into_view_if_needed()
    from_box, to_box = last.locator(".grip").bounding_box(), first.bounding_box()
    assert from_box is not None
    assert to_box is not None
    finger = page.context.new_cdp_session(page)

    def touch(kind: str, *point: float) -> None:
        points = [{"x": point[0], "y": point[1]}] if point else []
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    x, y = from_box["x"] + from_box["width"] / 2, from_box["y"] + from_box["height"] / 2
    touch("touchStart", x, y)
    expect(page.locator("li.sortable-chosen")).to_be_visible()
    for share in (0.3, 0.6, 0.9, 1):
        touch("touchMove", x + 10, y + share * (to_box["y"] + 15 - y))
    expect(page.locator("#in-course > li").first).to_have_class(re.compile("lands-here"))
    touch("touchEnd")
    said(page, "Kosti: position 1 of 3")
    shows(page, "Kosti", "Zlomky", "Květy")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert stored(query) == ["Kosti", "Zlomky", "Květy"]


def test_a_sync_leaves_the_mapping_as_it_is_and_marks_what_vanished(
    page: Page,
    course: str,
    query: Query,
    serve: Callable[..., str],
    sync_settings: Callable[..., Settings],
) -> None:
    query("DELETE FROM wtl.lessons")
    platform = Platform(
        courses=[{"id": "7", "name": "Přírodopis"}],
        lessons=[{"id": str(n), "name": title} for n, title in enumerate(LESSONS, 1)],
    )
    runner = Runner(sync_settings(serve(platform)))

    def sync() -> None:
        for flow in (COURSES, LESSON_CATALOG):
            assert runner.run(flow, allow_mass_vanish=True).complete

    sync()
    page.reload()
    for title in ("Květy", "Barvy"):
        page.get_by_role("button", name=f"Add to the course: {title}").click()
        said(page, f"{title}: added")
    drag(page, "Barvy", named(page, "Květy"))
    said(page, "Barvy: position 1 of 2")
    rows = "SELECT *, xmin::text, ctid::text FROM wtl.course_lessons ORDER BY 1, 2"
    before = query(rows)
    platform.lessons[:] = [{"id": "4", "name": "Barvy a světlo"}, {"id": "9", "name": "Nová"}]
    platform.courses[0]["name"] = "Přírodověda"
    sync()
    assert query(rows) == before
    page.reload()
    shows(page, "Barvy a světlo", "Květy")
    expect(named(page, "Květy")).to_contain_text("vanished in WebToLearn")
    expect(page.get_by_role("heading", level=1)).to_have_text("Přírodověda")
