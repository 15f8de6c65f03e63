"""What answers a post is found, to show other words of it or none."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    some = sa.text("reply_to IS NOT NULL")
    op.create_index("ix_posts_reply_to", "posts", ["reply_to"], sqlite_where=some, postgresql_where=some)
