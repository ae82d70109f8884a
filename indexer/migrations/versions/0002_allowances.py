"""Allow-list rules; a rule that was taken back keeps its row, with who did it and when."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create the table of rules."""
    op.create_table(
        "allowances",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.Column("note", TEXT, nullable=False),
        sa.Column("author", TEXT, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("until_us", sa.BigInteger),
        sa.Column("removed_by", TEXT),
        sa.Column("removed_us", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_allowances"),
    )
