"""Campaigns that other providers told of."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create the table of the bank."""
    op.create_table(
        "bank",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("campaign_id", TEXT, nullable=False),
        sa.Column("aim", TEXT, nullable=False),
        sa.Column("first_us", sa.BigInteger, nullable=False),
        sa.Column("last_us", sa.BigInteger, nullable=False),
        sa.Column("salt", TEXT, nullable=False),
        sa.Column("hashes", TEXT, nullable=False),
        sa.Column("until_us", sa.BigInteger, nullable=False),
        sa.Column("added_by", TEXT, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_bank"),
        sa.UniqueConstraint("source", "campaign_id", name="uq_bank_source_campaign_id"),
    )
