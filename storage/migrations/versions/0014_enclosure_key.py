"""The platform's own name of a file, so that a copy loses what its author takes out of a message."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("enclosures", sa.Column("key", sa.Text(), nullable=False, server_default=""))
