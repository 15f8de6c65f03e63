"""Since when a room is lost and when that was told; how often a refused copy was tried again; holds are chosen."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("chats", sa.Column("state_at", sa.BigInteger(), nullable=True))
    op.add_column("chats", sa.Column("told_at", sa.BigInteger(), nullable=True))
    op.add_column("outbox", sa.Column("retries", sa.Integer(), server_default="0", nullable=False))
    op.create_index(op.f("ix_doubts_thing_id"), "doubts", ["thing_id"])
    # Until now it was the newcomers' minute, which the config names; from now on it is what a community chose.
    op.execute("UPDATE communities SET hold_seconds = 0")
