"""The store's tables. `indexer.migrations` builds them; a test holds the two equal.

Times are whole microseconds since 1970 UTC. Names that many events share are stored once and referred to by
number, so an event is a few integers, its id and a digest.
"""

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

# SQLite numbers rows by itself only for the exact type INTEGER, which holds 64 bits there.
Number: Final = BigInteger().with_variant(Integer, "sqlite")
# Compared by their bytes, as SQLite does, and not as the language of a PostgreSQL database has it: no order and no
# index depends on where the database was made.
Words: Final = Text().with_variant(Text(collation="C"), "postgresql")

metadata: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)

# One row a canonical prompt; the texts are those of the first event that sent it.
prompts: Final = Table(
    "prompts",
    metadata,
    Column("id", Number, primary_key=True),
    Column("fingerprint", LargeBinary(16), nullable=False),
    Column("system", Words, nullable=False),
    Column("user", Words, nullable=False),
    UniqueConstraint("fingerprint"),
)

accounts: Final = Table(
    "accounts",
    metadata,
    Column("id", Number, primary_key=True),
    Column("account_id", Words, nullable=False),
    UniqueConstraint("account_id"),
)

# kind: "org", "model", "payment" or "network".
names: Final = Table(
    "names",
    metadata,
    Column("id", Number, primary_key=True),
    Column("kind", Words, nullable=False),
    Column("name", Words, nullable=False),
    UniqueConstraint("kind", "name"),
)

# digest: 16 bytes over everything the event holds besides its id, texts as sent and attributes included.
# disguised: 1 if letters of its texts were dressed up, else 0; NULL in rows from before that was looked at.
events: Final = Table(
    "events",
    metadata,
    Column("sequence", Number, primary_key=True),
    Column("event_id", Words, nullable=False),
    Column("account", Number, ForeignKey("accounts.id"), nullable=False),
    Column("org", Number, ForeignKey("names.id")),
    Column("model", Number, ForeignKey("names.id")),
    Column("payment", Number, ForeignKey("names.id")),
    Column("network", Number, ForeignKey("names.id")),
    Column("prompt", Number, ForeignKey("prompts.id"), nullable=False),
    Column("timestamp_us", BigInteger, nullable=False),
    Column("account_created_us", BigInteger),
    Column("attributes", JSON(none_as_null=True)),
    Column("digest", LargeBinary(16), nullable=False),
    Column("disguised", Integer),
    UniqueConstraint("event_id"),
    Index(None, "prompt"),
    sqlite_autoincrement=True,  # a sequence number is never given twice
)


def _label_columns() -> list[Column[object]]:
    return [
        Column("label", Words, nullable=False),
        Column("note", Words, nullable=False),
        Column("author", Words, nullable=False),
        Column("at_us", BigInteger, nullable=False),
        Column("until_us", BigInteger),
    ]


# The label in force. `label_history` keeps every label ever given, in the order they were given.
labels: Final = Table("labels", metadata, Column("campaign_id", Words, primary_key=True), *_label_columns())

label_history: Final = Table(
    "label_history",
    metadata,
    Column("id", Number, primary_key=True),
    Column("campaign_id", Words, nullable=False),
    *_label_columns(),
)

# Allow-list rules. One that was taken back stays, with who did it and when.
allowances: Final = Table(
    "allowances",
    metadata,
    Column("id", Number, primary_key=True),
    Column("kind", Words, nullable=False),
    Column("value", Words, nullable=False),
    Column("note", Words, nullable=False),
    Column("author", Words, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("until_us", BigInteger),
    Column("removed_by", Words),
    Column("removed_us", BigInteger),
)

# Modes of campaigns, in the order they were set; the last one of each is in force.
campaign_modes: Final = Table(
    "campaign_modes",
    metadata,
    Column("id", Number, primary_key=True),
    Column("campaign_id", Words, nullable=False),
    Column("mode", Words, nullable=False),
    Column("author", Words, nullable=False),
    Column("at_us", BigInteger, nullable=False),
)

# Prompts that were refused, or would have been in mode enforce. grounds: their names, with spaces between them.
blocks: Final = Table(
    "blocks",
    metadata,
    Column("id", Number, primary_key=True),
    Column("at_us", BigInteger, nullable=False),
    Column("request_id", Words, nullable=False),
    Column("asked_by", Words, nullable=False),
    Column("campaign_id", Words, nullable=False),
    Column("mode", Words, nullable=False),
    Column("blocked", Boolean, nullable=False),
    Column("grounds", Words, nullable=False),
    Column("view", Words, nullable=False),
    Column("similarity", Float, nullable=False),
    Column("threshold", Float, nullable=False),
    Column("generation", Words, nullable=False),
    Column("account_id", Words),
    Column("model", Words),
    Index(None, "campaign_id"),
    Index(None, "account_id"),
)

# API keys. Of the secret only its digest is kept. One that was revoked stays.
api_keys: Final = Table(
    "api_keys",
    metadata,
    Column("key_id", Words, primary_key=True),
    Column("name", Words, nullable=False),
    Column("role", Words, nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("rate", Float),
    Column("at_us", BigInteger, nullable=False),
    Column("until_us", BigInteger),
    Column("revoked_us", BigInteger),
)

# What analysts saw or took out. subject: a campaign's id or an account's pseudonym.
acts: Final = Table(
    "acts",
    metadata,
    Column("id", Number, primary_key=True),
    Column("at_us", BigInteger, nullable=False),
    Column("kind", Words, nullable=False),
    Column("subject", Words, nullable=False),
    Column("detail", Words, nullable=False),
    Column("author", Words, nullable=False),
    Column("note", Words, nullable=False),
    Index(None, "subject"),
)

# Campaigns that other providers told of. hashes: a JSON list.
bank: Final = Table(
    "bank",
    metadata,
    Column("id", Number, primary_key=True),
    Column("source", Words, nullable=False),
    Column("campaign_id", Words, nullable=False),
    Column("aim", Words, nullable=False),
    Column("first_us", BigInteger, nullable=False),
    Column("last_us", BigInteger, nullable=False),
    Column("salt", Words, nullable=False),
    Column("hashes", Words, nullable=False),
    Column("until_us", BigInteger, nullable=False),
    Column("added_by", Words, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    UniqueConstraint("source", "campaign_id"),
)
