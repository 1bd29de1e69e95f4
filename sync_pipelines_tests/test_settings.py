import re
from pathlib import Path

import pytest

from sync_pipelines.errors import SettingsError
from sync_pipelines.settings import Settings


def test_nothing_needs_to_be_set() -> None:
    settings = Settings.load()
    assert settings.database_url is None
    assert settings.home == Path(".sync")


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNC_DATABASE_URL", "")
    assert Settings.load().database_url is None


def test_dotenv_is_read_and_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("WTL_API_URL=https://a.elms.pl/api/v1/\nWTL_API_TOKEN=from-file\n")
    monkeypatch.setenv("WTL_API_TOKEN", "from-environment")
    assert Settings.load().webtolearn() == ("https://a.elms.pl/api/v1", "from-environment")


def test_secrets_hide_in_every_rendering(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WTL_API_TOKEN", "hunter22")
    monkeypatch.setenv("SYNC_DATABASE_URL", "postgresql://u:hunter22@h/d")
    settings = Settings.load()
    assert "hunter22" not in f"{settings!r} {settings!s} {settings.overview()}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WTL_API_URL", "elms.pl/api/v1"),
        ("WTL_API_URL", "https://user:hunter22@elms.pl/api/v1"),
        ("SYNC_SCHEMA", 'x"; DROP TABLE hunter22'),
    ],
)
def test_a_wrong_value_is_named_by_its_variable_and_not_shown(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name) as caught:
        Settings.load()
    assert "hunter22" not in str(caught.value)


def test_missing_credentials_are_named_together() -> None:
    with pytest.raises(SettingsError, match="WTL_API_URL and WTL_API_TOKEN"):
        Settings.load().webtolearn()


def test_the_example_file_names_every_setting_and_no_other() -> None:
    import sync_pipelines

    example = Path(sync_pipelines.__file__).parent.parent / ".env.example"
    named = set(re.findall(r"^# ([A-Z_]+)=", example.read_text(), re.MULTILINE))
    assert named == {name for name, _ in Settings.load().overview()}
