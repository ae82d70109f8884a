"""Modes of campaigns; each that was ever set keeps its row."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create the table of modes."""
    op.create_table(
        "campaign_modes",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("campaign_id", TEXT, nullable=False),
        sa.Column("mode", TEXT, nullable=False),
        sa.Column("author", TEXT, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_campaign_modes"),
    )
