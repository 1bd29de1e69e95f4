import re
import tomllib
from pathlib import Path

import pytest

import sync_pipelines
from sync_pipelines.errors import NotSetUp, SettingsError
from sync_pipelines.log import redact
from sync_pipelines.settings import Pace, Settings

EXAMPLE = Path(sync_pipelines.__file__).parent.parent / ".env.example"
ONE_SCHOOL = {
    "BAKALARI_URL": "https://bakalari.skola.cz/",
    "BAKALARI_USERNAME": "novak7788",
    "BAKALARI_PASSWORD": "hunter22",
}


def set_all(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)


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
    secret = ("WTL_API_TOKEN", "BAKALARI_USERNAME", "BAKALARI_PASSWORD", "SYNC_SECRET_KEY")
    set_all(monkeypatch, dict.fromkeys(secret, "hunter22"))
    monkeypatch.setenv("SYNC_DATABASE_URL", "postgresql://u:hunter22@h/d")
    settings = Settings.load()
    assert "hunter22" not in f"{settings!r} {settings!s} {settings.overview()}"
    shown = dict(settings.overview())
    assert {shown[name] for name in (*secret, "SYNC_DATABASE_URL")} == {"set (hidden)"}


@pytest.mark.parametrize("name", ["WTL_API_TOKEN", "BAKALARI_PASSWORD", "SYNC_SECRET_KEY"])
def test_a_secret_that_was_read_is_taken_out_of_every_log_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, f"the-value-of-{name}")
    Settings.load()
    assert redact(f"the school said the-value-of-{name}!") == "the school said ***!"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WTL_API_URL", "elms.pl/api/v1"),
        ("WTL_API_URL", "https://user:hunter22@elms.pl/api/v1"),
        ("BAKALARI_URL", "https://user:hunter22℀@skola.cz"),
        ("BAKALARI_URL", "https://[hunter22]/"),
        ("BAKALARI_URL", "https://skola.cz:hunter22"),
        ("BAKALARI_URL", "https://skola.cz/?key=hunter22"),
        ("BAKALARI_URL", "https://skola.cz?"),
        ("BAKALARI_URL", "https://skola.cz/hunter22 /"),
        ("BAKALARI_SUPERUSER", "hunter22"),
        ("SYNC_SCHEMA", 'x"; DROP TABLE hunter22'),
        ("BAKALARI_SCHEMA", "hunter22-"),
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


def test_the_three_variables_of_a_school_are_a_school(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, {**ONE_SCHOOL, "BAKALARI_SUPERUSER": "true"})
    (school,) = Settings.load().schools()
    (account,) = school.accounts
    assert (school.id, school.url) == ("bakalari-skola-cz", "https://bakalari.skola.cz")
    assert (account.username, account.password, account.superuser) == ("novak7788", "hunter22", True)
    assert "hunter22" not in repr(school)
    assert "novak7788" not in repr(school)


def test_without_any_school_bakalari_is_not_set_up() -> None:
    with pytest.raises(NotSetUp, match="BAKALARI_URL and BAKALARI_USERNAME and BAKALARI_PASSWORD"):
        Settings.load().schools()


@pytest.mark.parametrize("missing", ONE_SCHOOL)
def test_a_school_of_which_a_variable_is_missing_is_an_error_that_names_it(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(monkeypatch, {name: value for name, value in ONE_SCHOOL.items() if name != missing})
    with pytest.raises(SettingsError, match=f"^{missing} not set") as caught:
        Settings.load().schools()
    assert not isinstance(caught.value, NotSetUp)


@pytest.mark.parametrize("name", [*ONE_SCHOOL, "BAKALARI_SUPERUSER"])
def test_a_file_of_schools_and_a_variable_of_one_are_refused_together(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAKALARI_SCHOOLS_FILE", "schools.toml")
    monkeypatch.setenv(name, ONE_SCHOOL.get(name, "true"))
    with pytest.raises(SettingsError, match=f"BAKALARI_SCHOOLS_FILE and {name} are both set"):
        Settings.load().schools()


def test_the_example_file_names_every_setting_and_no_other() -> None:
    named = set(re.findall(r"^# ([A-Z_]+)=", EXAMPLE.read_text(), re.MULTILINE))
    assert named == {name for name, _ in Settings.load().overview()}


def test_the_examples_file_of_schools_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = re.findall(r"((?:^#   .*\n)+)# BAKALARI_SCHOOLS_FILE=", EXAMPLE.read_text(), re.MULTILINE)
    text = re.sub(r"^# {3}", "", example, flags=re.MULTILINE)
    for variable in re.findall(r"env:(\w+)", text):
        monkeypatch.setenv(variable, "hunter22")
    Path("schools.toml").write_text(text, "utf-8")
    monkeypatch.setenv("BAKALARI_SCHOOLS_FILE", "schools.toml")
    (school,) = Settings.load().schools()
    assert school.id == tomllib.loads(text)["school"][0]["id"]
    assert [account.label for account in school.accounts] == ["deputy head", "#2"]


def test_what_is_secret_may_lie_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a-long-token\n")
    monkeypatch.setenv("WTL_API_URL", "https://x.example/api/v1")
    monkeypatch.setenv("WTL_API_TOKEN_FILE", str(tmp_path / "token"))
    settings = Settings.load()
    assert settings.webtolearn()[1] == "a-long-token"
    assert "a-long-token" not in repr(settings)
    monkeypatch.setenv("WTL_API_TOKEN", "another-token")
    with pytest.raises(SettingsError, match="WTL_API_TOKEN and WTL_API_TOKEN_FILE are both set"):
        Settings.load()
    (tmp_path / "token").write_text("\n")
    assert Settings.load().webtolearn()[1] == "another-token"
    monkeypatch.delenv("WTL_API_TOKEN")
    with pytest.raises(SettingsError, match="WTL_API_TOKEN not set"):
        Settings.load().webtolearn()
    monkeypatch.setenv("WTL_API_TOKEN_FILE", str(tmp_path / "none"))
    with pytest.raises(SettingsError, match=r"WTL_API_TOKEN_FILE .* cannot be read"):
        Settings.load()


def test_addresses_of_alerts_may_hold_commas_and_are_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    urls = "mailto://u:secret77@x.cz?to=a@x.cz,b@x.cz", "json://localhost:9/path", "slack://T1/T2/T3/#data"
    monkeypatch.setenv("SYNC_ALERT_URLS", f" {urls[0]}, {urls[1]}\n{urls[2]} ")
    settings = Settings.load()
    assert settings.alerted() == urls
    assert redact(f"cannot reach {urls[2]}") == "cannot reach ***"
    assert "secret77" not in repr(settings)


def test_a_flow_may_be_slower_than_others(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.load().slow_after("wtl") == 60
    monkeypatch.setenv("SYNC_SLOW_SECONDS", "30, bakalari=300.5")
    assert (Settings.load().slow_after("wtl"), Settings.load().slow_after("bakalari")) == (30, 300.5)
    monkeypatch.setenv("SYNC_SLOW_SECONDS", "soon")
    with pytest.raises(SettingsError, match="SYNC_SLOW_SECONDS: soon is none"):
        Settings.load()


@pytest.mark.parametrize("minutes", ["7", "0", "61", "x"])
def test_the_pace_divides_the_hour(minutes: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNC_EVERY_MINUTES", minutes)
    with pytest.raises(SettingsError, match=r"^SYNC_EVERY_MINUTES: "):
        Pace.load()


def test_a_schools_password_may_lie_in_a_file_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("in-a-file\n")
    (tmp_path / "schools.toml").write_text(
        '[[school]]\nid = "s"\nurl = "https://s.example"\n'
        '[[school.account]]\nusername = "novak"\npassword = "env:PASSWORD_OF_NOVAK"\n'
    )
    monkeypatch.setenv("BAKALARI_SCHOOLS_FILE", str(tmp_path / "schools.toml"))
    monkeypatch.setenv("PASSWORD_OF_NOVAK_FILE", str(tmp_path / "password"))
    (school,) = Settings.load().schools()
    assert school.accounts[0].password == "in-a-file"
