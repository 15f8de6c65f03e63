"""Handles that members gave up are kept for them for a time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "kept_handles",
        sa.Column("handle", sa.Text(), nullable=False),
        sa.Column("skeleton", sa.Text(), nullable=False),
        sa.Column("member_id", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["member_id"], ["members.id"], name=op.f("fk_kept_handles_member_id_members")
        ),
        sa.PrimaryKeyConstraint("handle", name=op.f("pk_kept_handles")),
    )
    op.create_index(op.f("ix_kept_handles_skeleton"), "kept_handles", ["skeleton"])
    op.create_index(op.f("ix_kept_handles_member_id"), "kept_handles", ["member_id"])
