"""Blocks: prompts that were refused, or would have been."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create the table of blocks."""
    op.create_table(
        "blocks",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("request_id", TEXT, nullable=False),
        sa.Column("asked_by", TEXT, nullable=False),
        sa.Column("campaign_id", TEXT, nullable=False),
        sa.Column("mode", TEXT, nullable=False),
        sa.Column("blocked", sa.Boolean, nullable=False),
        sa.Column("grounds", TEXT, nullable=False),
        sa.Column("view", TEXT, nullable=False),
        sa.Column("similarity", sa.Float, nullable=False),
        sa.Column("threshold", sa.Float, nullable=False),
        sa.Column("generation", TEXT, nullable=False),
        sa.Column("account_id", TEXT),
        sa.Column("model", TEXT),
        sa.PrimaryKeyConstraint("id", name="pk_blocks"),
    )
    op.create_index("ix_blocks_campaign_id", "blocks", ["campaign_id"])
    op.create_index("ix_blocks_account_id", "blocks", ["account_id"])
