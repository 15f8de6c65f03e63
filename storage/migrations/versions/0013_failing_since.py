"""Since when a row of the outbox is tried in vain, so that it ends some time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("outbox", sa.Column("failing_since", sa.BigInteger(), nullable=True))
