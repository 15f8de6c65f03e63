"""Who follows a member can be counted."""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(op.f("ix_follows_feed_kind_feed_key"), "follows", ["feed_kind", "feed_key"])
