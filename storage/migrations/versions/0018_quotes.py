"""A post may carry another one inside."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("posts", sa.Column("quote_of", sa.BigInteger(), nullable=True))
    some = sa.text("quote_of IS NOT NULL")
    op.create_index("ix_posts_quote_of", "posts", ["quote_of"], sqlite_where=some, postgresql_where=some)
