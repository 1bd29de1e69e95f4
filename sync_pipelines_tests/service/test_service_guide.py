"""docs/service.md says what is so."""

import json
import re
from pathlib import Path

import httpx
import jsonschema

from sync_pipelines import errors
from sync_pipelines.errors import SyncError

GUIDE = Path(__file__).parents[2] / "docs" / "service.md"
TEXT = GUIDE.read_text("utf-8")
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.M | re.S)
# Of one record, of the command line, or of the service itself: no run ends by them.
NO_ENDS = {
    *("SyncError", "SourceError", "StateError", "MappingError", "TargetError", "NotSetUp"),
    *("CheckpointExpired", "KeyReused", "DagsterUnavailable"),
}


def test_the_answer_that_it_shows_is_one_of_the_document(api: httpx.Client) -> None:
    document = api.get("/api/openapi.json").json()
    (shown,) = [json.loads(code) for language, code in BLOCKS if language == "json" and '"location"' in code]
    schema = {"$ref": "#/components/schemas/SyncRun", "components": document["components"]}
    jsonschema.validate(shown, schema, format_checker=jsonschema.FormatChecker())


def test_it_names_every_status_of_asking_for_a_sync(api: httpx.Client) -> None:
    document = api.get("/api/openapi.json").json()
    listed = {
        status for line in re.findall(r"^\| ([\d, ]+) \|", TEXT, re.M) for status in re.findall(r"\d+", line)
    }
    assert listed == {*document["paths"]["/api/sync/wtl"]["post"]["responses"]}


def test_it_names_every_way_in_which_a_sync_can_fail() -> None:
    classes = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, SyncError)]
    for error in {c.__name__ for c in classes} - NO_ENDS:
        assert f"`{re.sub(r'(?<!^)(?=[A-Z])', '_', error).lower()}`" in TEXT


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", TEXT):
        assert (GUIDE.parent / target).exists(), target
