"""Who set a room up can be told that it is lost; lost rooms are found without looking at the others."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("chats", sa.Column("set_up_by", sa.BigInteger(), nullable=True))
    lost = sa.text("state != 'active'")
    op.create_index("ix_chats_lost", "chats", ["state_at"], sqlite_where=lost, postgresql_where=lost)
