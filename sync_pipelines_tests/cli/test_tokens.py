import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from sync_pipelines.postgres.api_tokens import find_token
from sync_pipelines.postgres.engine import Database
from sync_pipelines_tests.cli.commands import Run, one_clear_line, result


def test_a_token_is_printed_once_listed_without_itself_and_revoked(
    cli: Run, database_url: str, database: Database
) -> None:
    environment = {"SYNC_DATABASE_URL": database_url}
    made = cli("tokens", "create", "--name", "cron", "--scope", "operator", "--scope", "viewer", **environment)
    token = made.stdout.strip()
    assert (made.returncode, made.stdout) == (0, token + "\n")
    assert "not shown again" in made.stderr
    assert token not in made.stderr
    learner = ["--scope", "learner", "--subject", "user-1", "--expires-days", "30"]
    said = result(cli("tokens", "create", "--name", "tablet", *learner, "--json", **environment))
    assert (said["scopes"], said["subject"], said["state"]) == (["learner"], "user-1", "valid")
    with database.session() as session:
        found = find_token(session, token)
        assert found is not None
        assert (found.name, found.expires_at) == ("cron", None)
        assert find_token(session, said["token"]) is not None

    listed = cli("tokens", "list", **environment)
    assert listed.stdout.splitlines()[-1] == "2 of 2 tokens are valid"
    assert "operator viewer" in listed.stdout
    assert token not in listed.stdout
    told = result(cli("tokens", "list", "--json", **environment))["tokens"]
    assert told[1] == {name: value for name, value in said.items() if name != "token"}
    assert token not in json.dumps(told)

    assert "is revoked" in cli("tokens", "revoke", "cron", **environment).stdout
    assert result(cli("tokens", "revoke", str(said["id"]), "--json", **environment))["state"] == "revoked"
    assert "0 of 2 tokens are valid" in cli("tokens", "list", **environment).stdout
    assert "tokens list" in one_clear_line(cli("tokens", "revoke", "cron", **environment), 1)


def test_a_name_is_of_one_token_that_is_in_force(cli: Run, database_url: str) -> None:
    again = ["tokens", "create", "--name", "cron", "--scope", "viewer"]
    assert cli(*again, SYNC_DATABASE_URL=database_url).returncode == 0
    assert "in force" in one_clear_line(cli(*again, SYNC_DATABASE_URL=database_url), 1)


def test_without_a_name_each_has_one_of_its_own_and_an_empty_database_is_made_ready(
    cli: Run, create_database: Callable[..., str]
) -> None:
    url = create_database(empty=True)
    command = ["tokens", "create", "--scope", "learner", "--subject", "user-1", "--json"]
    names = [result(cli(*command, SYNC_DATABASE_URL=url))["name"] for _ in range(2)]
    assert all(re.fullmatch(r"learner-[0-9a-f]{6}", name) for name in names)
    assert names[0] != names[1]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--name", "a"],
        ["--name", "a", "--scope", "admin"],
        ["--name", "a", "--scope", "learner"],
        ["--name", "a", "--scope", "viewer", "--subject", "user-1"],
        ["--name", "a", "--scope", "learner", "--subject", " "],
        ["--name", "a", "--scope", "learner", "--subject", "user\n1"],
        ["--name", "17", "--scope", "viewer"],
        ["--name", "", "--scope", "viewer"],
        ["--name", "a" * 101, "--scope", "viewer"],
        ["--name", "a", "--scope", "viewer", "--expires-days", "0"],
    ],
)
def test_what_makes_no_token_is_bad_usage(cli: Run, arguments: list[str]) -> None:
    done = cli("tokens", "create", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Error: " in done.stderr


def test_where_there_are_no_tokens_it_says_so(cli: Run, database_url: str) -> None:
    assert cli("tokens", "list", SYNC_DATABASE_URL=database_url).stdout == "no tokens\n"
    assert result(cli("tokens", "list", "--json", SYNC_DATABASE_URL=database_url)) == {"tokens": []}


def test_tokens_of_a_database_that_is_not_up_to_date(cli: Run, create_database: Callable[..., Any]) -> None:
    done = cli("tokens", "list", SYNC_DATABASE_URL=create_database(empty=True))
    assert "sync-pipelines db upgrade" in one_clear_line(done, 1)
