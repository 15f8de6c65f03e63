"""Alembic's entry: runs the revisions on the connection, and inside the transaction, that `storage.migrate` opened."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext

from storage.tables import Instant, metadata


def _render(kind: str, item: Any, _autogen: AutogenContext) -> str | Literal[False]:
    # A revision stays what it was whatever becomes of our types.
    return "sa.BigInteger()" if kind == "type" and isinstance(item, Instant) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    compare_type=True,
    compare_server_default=True,
    render_item=_render,
    # SQLite rebuilds a table for most changes.
    render_as_batch=True,
)
context.run_migrations()
