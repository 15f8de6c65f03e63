"""A room chooses in whose name posts are shown there; a copy remembers how its adapter reaches it again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("chats", sa.Column("look", sa.Text(), server_default="bot", nullable=False))
    op.add_column("chats", sa.Column("look_lost", sa.Text(), server_default="", nullable=False))
    op.add_column("copies", sa.Column("via", sa.Text(), server_default="", nullable=False))
