"""The pages' words: each language says all that the others say, and no page has words of its own."""

import re
import string
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from babel import Locale
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.alerts.problems import Kind
from sync_pipelines.core.records import Stage
from sync_pipelines.flows.naming import FLOWS_BY_NAME
from sync_pipelines.service import admin
from sync_pipelines.service.admin.texts import LANGUAGES, Texts, negotiated, sentences

PLACE = Path(admin.__file__).parent
TEMPLATES = sorted((PLACE / "templates").glob("*.html"))
SOURCES = [*TEMPLATES, *sorted(PLACE.glob("*.py"))]


def forms(sentence: object) -> dict[str, str]:
    return dict(sentence) if isinstance(sentence, dict) else {"": str(sentence)}


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_all_languages_say_the_same_things() -> None:
    for language in LANGUAGES:
        assert sentences(language).keys() == sentences("en").keys(), language


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_sentence_has_the_same_values_in_every_language_and_form(language: str) -> None:
    for key, english in sentences("en").items():
        expected = set.union(*(fields(text) for text in forms(english).values()))
        for form, text in forms(sentences(language)[key]).items():
            assert text.strip(), key
            # That of one may leave the number out.
            assert fields(text) | ({"count"} if form == "one" else set()) == expected, (key, text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_sentence_of_a_number_has_all_forms_that_the_language_has(language: str) -> None:
    needed = {*Locale.parse(language).plural_form.tags, "other"}
    for key, english in sentences("en").items():
        if isinstance(english, dict):
            assert sentences(language)[key].keys() == needed, key  # pyright: ignore[reportAttributeAccessIssue]


def test_every_sentence_that_is_named_is_there() -> None:
    named = {key for file in SOURCES for key in re.findall(r'\bt\(\s*f?"([a-z_.]+)"', file.read_text("utf-8"))}
    assert len(named) > 50
    assert {key for key in named if not key.endswith(".")} - {"area.key"} <= sentences("en").keys()


def test_no_page_has_words_of_its_own() -> None:
    for file in TEMPLATES:
        text = file.read_text("utf-8")
        for code in (r"{#.*?#}", r"{%.*?%}", r"{{.*?}}", r"<script.*?</script>"):
            text = re.sub(code, "", text, flags=re.DOTALL)
        shown = re.sub(r"<[^>]*>", "", text)
        for attribute in ("alt", "aria-label", "placeholder", "title"):
            shown += " ".join(re.findall(rf'\b{attribute}="([^"]*)"', text))
        assert not re.findall(r"[^\W\d_]{2,}", re.sub(r"&\w+;", "", shown)), file.name


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_flow_stream_stage_and_kind_of_incident_has_words(language: str) -> None:
    said = Texts(language)
    for flow in FLOWS_BY_NAME.values():
        for word in ("name", "what", "sync"):
            assert said.knows(f"flows.{flow.name}.{word}")
        for stream in flow.streams | flow.settled:
            assert said.knows(f"flows.stream.{stream}"), stream
    for kind in Kind:
        assert said.knows(f"overview.incident.{kind}.what"), kind
    for stage in Stage:
        assert said.knows(f"rejects.stage.{stage}"), stage


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("", "en"),
        ("cs", "cs"),
        ("pl-PL,pl;q=0.9,en;q=0.8", "pl"),
        ("de, cs;q=0.5, en;q=0.1", "cs"),
        ("en;q=0.1, pl;q=0.7", "pl"),
        ("de-AT", "en"),
        ("*", "en"),
        ("pl;q=0, cs", "cs"),
    ],
)
def test_the_language_is_the_one_that_the_browser_likes_best(asked: str, given: str) -> None:
    assert negotiated(asked) == given


@given(st.text())
def test_whatever_language_is_asked_for_there_is_one(asked: str) -> None:
    assert negotiated(asked) in LANGUAGES


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", "3 minutes ago"), ("cs", "před 3 minutami"), ("pl", "3 minuty temu")],
)
def test_how_long_ago_is_said_as_people_say_it(language: str, said: str) -> None:
    now = datetime(2026, 1, 12, 10, tzinfo=UTC)
    assert Texts(language).ago(now - timedelta(minutes=3, seconds=10), now) == said


def test_a_moment_is_shown_as_clocks_show_it_there() -> None:
    moment = datetime(2026, 7, 12, 22, 30, 5, tzinfo=UTC)
    assert Texts("en").moment(moment) == "13 Jul, 00:30"
    assert Texts("en").moment(moment, "UTC") == "12 Jul, 22:30"
    assert Texts("cs").moment(moment, full=True) == "13 čvc 2026, 00:30:05 CEST"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "1 sec"),
        (59.4, "59 sec"),
        (60, "1 min"),
        (200, "3 min 20 sec"),
        (7500, "2 hr 5 min"),
        (7205, "2 hr 5 sec"),
    ],
)
def test_how_long_it_took_is_said_in_two_units_at_most(seconds: float, said: str) -> None:
    assert Texts("en").lasted(seconds) == said
