"""Which message of ours is pinned in a chat, so that it can go again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("chats", sa.Column("pinned_key", sa.Text(), server_default="", nullable=False))
