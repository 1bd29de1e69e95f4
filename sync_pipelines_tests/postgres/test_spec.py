import pytest

from sync_pipelines.errors import SettingsError
from sync_pipelines.postgres import tables
from sync_pipelines.postgres.spec import TableSpec


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"owned": ("nothing",)}, "no column nothing"),
        ({"vanished_at": "gone_since"}, "no column gone_since"),
        ({"columns": {"titel": "title"}}, "titel, which no field is called"),
        ({"columns": {"name": "title"}, "owned": ("title", "name")}, "to one column"),
        ({"columns": {"title": "last_sync_at"}}, "to one column"),
        ({"columns": {"title": "id"}}, "to one column"),
    ],
)
def test_a_declaration_that_contradicts_itself_or_its_table_says_how(
    columns: dict[str, object], says: str
) -> None:
    given = {"natural_key": ("wtl_lesson_id",), "owned": ("title",), **columns}
    with pytest.raises(ValueError, match=rf"wtl\.lessons.*{says}"):
        TableSpec(tables.wtl.lessons, **given)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("name", ["lessons", "db.wtl.lessons", ""])
def test_a_table_is_named_with_its_schema(name: str) -> None:
    with pytest.raises(ValueError, match=r"schema\.table"):
        TableSpec(name, natural_key=("code",), owned=("title",))


def test_a_settings_file_says_with_an_empty_name_that_there_is_no_such_column() -> None:
    data = {"table": "app.records", "natural_key": ["code"], "owned": ["title"], "vanished_at": "", "id": "uid"}
    spec = TableSpec.from_dict(data)
    assert (spec.vanished_at, spec.id, spec.natural_key, spec.adopt) == (None, "uid", ("code",), False)
    with pytest.raises(SettingsError, match="cannot be declared"):
        TableSpec.from_dict({**data, "coloured": "red"})
