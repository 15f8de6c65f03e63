"""Members pass posts on to their followers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "boosts",
        sa.Column("post_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("member_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["post_id"], ["posts.id"], name=op.f("fk_boosts_post_id_posts")),
        sa.PrimaryKeyConstraint("post_id", "member_id", name=op.f("pk_boosts")),
    )
    op.create_index(op.f("ix_boosts_member_id_at"), "boosts", ["member_id", "at"])
    op.add_column("outbox", sa.Column("boosted_by", sa.BigInteger(), nullable=True))
