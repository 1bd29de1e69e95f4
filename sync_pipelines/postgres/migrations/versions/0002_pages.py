"""What a stream's last complete read was made of, and whether any binding has changed since.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    sync = op.get_context().config.attributes["schemas"]["sync"]  # pyright: ignore[reportOptionalMemberAccess]
    op.add_column(
        "streams",
        sa.Column("pages", JSONB, comment="digests of the pages of the last complete read; null: read everything"),
        schema=sync,
    )
    # A number that grows with every statement that may change a binding, whoever sends it.
    op.execute(f'CREATE SEQUENCE "{sync}".bindings_generation')
    op.execute(
        f'CREATE FUNCTION "{sync}".bindings_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER '
        "SET search_path = pg_catalog, pg_temp AS "
        f"$$ BEGIN PERFORM nextval('\"{sync}\".bindings_generation'); RETURN NULL; END $$"
    )
    op.execute(
        "CREATE TRIGGER bindings_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE "
        f'ON "{sync}".external_refs FOR EACH STATEMENT EXECUTE FUNCTION "{sync}".bindings_changed()'
    )


def downgrade() -> None:
    raise NotImplementedError("migrations only go forward: restore a backup instead")
