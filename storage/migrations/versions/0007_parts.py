"""What each message shows, in short, so that the next difference is found; and which first sends have begun."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # What stands already is compared at its next change, and edited once more than it need be.
    op.add_column("copies", sa.Column("digest", sa.Text(), server_default="", nullable=False))
    op.add_column("tries", sa.Column("digest", sa.Text(), server_default="", nullable=False))
    op.add_column("outbox", sa.Column("returns", sa.Integer(), server_default="0", nullable=False))
    op.add_column("outbox", sa.Column("begun", sa.Integer(), server_default="0", nullable=False))
    # Until now nothing else made a generation grow.
    op.execute("UPDATE outbox SET returns = generation")
    begun = sa.text("due = 1 AND begun = 1")
    op.create_index(
        "ix_outbox_begun", "outbox", ["chat_id", "thing_id"], sqlite_where=begun, postgresql_where=begun
    )
