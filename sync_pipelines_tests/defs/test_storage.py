import pytest
import sqlalchemy as sa

from sync_pipelines.defs.storage import postgres_url


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p@h/d",
        "postgresql+psycopg://u:p@h/d?sslmode=require",
        "postgres://u@/d?host=/run/pg&options=-cstatement_timeout%3D5s",
    ],
)
def test_dagster_gets_psycopg_2_and_its_own_schema_first_and_keeps_what_was_asked_for(url: str) -> None:
    made = postgres_url(url, "dagster")
    assert made.drivername == "postgresql+psycopg2"
    assert str(made.query["options"]).endswith("-csearch_path=dagster")
    for name, value in sa.make_url(url.replace("postgres://", "postgresql://")).query.items():
        assert str(value) in str(made.query[name])
