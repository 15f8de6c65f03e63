"""A try says whether its key helps, whether its message can be found again, and since when its answer is lost."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # What an earlier program sent shows no key.
    op.add_column("tries", sa.Column("keyed", sa.Integer(), server_default="1", nullable=False))
    op.add_column("tries", sa.Column("signed", sa.Integer(), server_default="0", nullable=False))
    op.add_column("tries", sa.Column("lost_at", sa.BigInteger(), nullable=True))
