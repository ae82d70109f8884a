"""Events with their prompts, accounts and names; labels and their history."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create every table."""
    _create_dictionaries()
    _create_events()
    _create_labels()


def _create_dictionaries() -> None:
    op.create_table(
        "prompts",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(16), nullable=False),
        sa.Column("system", TEXT, nullable=False),
        sa.Column("user", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_prompts"),
        sa.UniqueConstraint("fingerprint", name="uq_prompts_fingerprint"),
    )
    op.create_table(
        "accounts",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("account_id", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
        sa.UniqueConstraint("account_id", name="uq_accounts_account_id"),
    )
    op.create_table(
        "names",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_names"),
        sa.UniqueConstraint("kind", "name", name="uq_names_kind_name"),
    )


def _create_events() -> None:
    op.create_table(
        "events",
        sa.Column("sequence", NUMBER, nullable=False),
        sa.Column("event_id", TEXT, nullable=False),
        sa.Column("account", NUMBER, nullable=False),
        sa.Column("org", NUMBER),
        sa.Column("model", NUMBER),
        sa.Column("payment", NUMBER),
        sa.Column("network", NUMBER),
        sa.Column("prompt", NUMBER, nullable=False),
        sa.Column("timestamp_us", sa.BigInteger, nullable=False),
        sa.Column("account_created_us", sa.BigInteger),
        sa.Column("attributes", sa.JSON),
        sa.Column("digest", sa.LargeBinary(16), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_events"),
        sa.UniqueConstraint("event_id", name="uq_events_event_id"),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_events_account"),
        sa.ForeignKeyConstraint(["org"], ["names.id"], name="fk_events_org"),
        sa.ForeignKeyConstraint(["model"], ["names.id"], name="fk_events_model"),
        sa.ForeignKeyConstraint(["payment"], ["names.id"], name="fk_events_payment"),
        sa.ForeignKeyConstraint(["network"], ["names.id"], name="fk_events_network"),
        sa.ForeignKeyConstraint(["prompt"], ["prompts.id"], name="fk_events_prompt"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_prompt", "events", ["prompt"])


def _create_labels() -> None:
    op.create_table(
        "labels",
        sa.Column("campaign_id", TEXT, nullable=False),
        *_label_columns(),
        sa.PrimaryKeyConstraint("campaign_id", name="pk_labels"),
    )
    op.create_table(
        "label_history",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("campaign_id", TEXT, nullable=False),
        *_label_columns(),
        sa.PrimaryKeyConstraint("id", name="pk_label_history"),
    )


def _label_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("label", TEXT, nullable=False),
        sa.Column("note", TEXT, nullable=False),
        sa.Column("author", TEXT, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("until_us", sa.BigInteger),
    ]
