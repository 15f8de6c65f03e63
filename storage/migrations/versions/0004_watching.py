"""What went wrong of late is counted without looking at everything that went well."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(op.f("ix_doubts_at"), "doubts", ["at"])
    refused = sa.text("state = 'refused'")
    op.create_index(
        "ix_outbox_refused", "outbox", ["queued_at"], sqlite_where=refused, postgresql_where=refused
    )
