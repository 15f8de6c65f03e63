"""Posts are reported to the moderators of a community."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "reports",
        sa.Column("post_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("community_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["community_id"], ["communities.id"], name=op.f("fk_reports_community_id_communities")
        ),
        sa.ForeignKeyConstraint(["post_id"], ["posts.id"], name=op.f("fk_reports_post_id_posts")),
        sa.PrimaryKeyConstraint("post_id", "account_id", name=op.f("pk_reports")),
    )
    op.create_index(op.f("ix_reports_account_id_at"), "reports", ["account_id", "at"])
    unread = sa.text("closed_at IS NULL")
    op.create_index(
        "ix_reports_open",
        "reports",
        ["community_id", "post_id"],
        sqlite_where=unread,
        postgresql_where=unread,
    )
