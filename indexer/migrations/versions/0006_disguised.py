"""Whether the letters of an event's texts were dressed up."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the column; it stays empty in the rows there are, whose texts as sent are gone."""
    op.add_column("events", sa.Column("disguised", sa.Integer))
