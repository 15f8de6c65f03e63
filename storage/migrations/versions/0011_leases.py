"""Leases on bot tokens, and each process's own part of the ids."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "leases",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )
    op.create_table(
        "processes",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("last_id", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_processes")),
    )
    # Until now one process made ids, with the number 0, and noted the highest among the settings.
    op.execute(
        "INSERT INTO processes (number, epoch, last_id, expires_at) "
        "SELECT 0, 0, CAST(value AS BIGINT), 0 FROM meta WHERE name = 'last_id'"
    )
    op.execute("DELETE FROM meta WHERE name = 'last_id'")
