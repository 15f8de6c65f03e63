"""When the first message of a thing was sent to a chat: what the room's caps count."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("outbox", sa.Column("sent_at", sa.BigInteger(), nullable=True))
    op.execute(
        "UPDATE outbox SET sent_at = (SELECT min(c.sent_at) FROM copies c WHERE c.chat_id = outbox.chat_id "
        "AND c.thing_id = outbox.thing_id AND c.ours = 1)"
    )
    sent = sa.text("sent_at IS NOT NULL")
    op.create_index(
        "ix_outbox_sent", "outbox", ["chat_id", "sent_at"], sqlite_where=sent, postgresql_where=sent
    )
