"""Every row of a database as plain values, from one snapshot, and back into an empty one of either kind."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    MetaData,
    Table,
    Text,
    bindparam,
    cast,
    delete,
    func,
    insert,
    inspect,
    literal_column,
    select,
    update,
)

from core.records import CopyState, Verb
from core.stores import EVER
from core.types import ThingKind
from storage import tables as t
from storage.bell import ring
from storage.database import Link
from storage.intake import IntakeStore
from storage.statements import Runner, Statement

#: Rows in one portion.
PORTION = 5000
Values = list[Any]

_T, _O, _D, _C = t.tries.c, t.outbox.c, t.doubts.c, t.copies.c
_COLUMNS = ("chat_id", "key", "number", "thing_id", "part", "at", "resolution", "reason")
#: A send that may have happened; whatever else was tried can be done again without harm.
_SENDS = (_T.verb == Verb.CREATE.value) | (_T.verb == Verb.TELL.value)


def _numbers(chat: Any, key: Any) -> Any:
    return (
        select(func.count()).select_from(t.doubts).where(_D.chat_id == chat, _D.key == key).scalar_subquery()
    )


def _doubt_tries(_: object) -> Any:
    rows = select(
        _T.chat_id,
        _T.key,
        _numbers(_T.chat_id, _T.key),
        _T.thing_id,
        _T.part,
        bindparam("now_at", type_=t.Instant()),
        literal_column("'left out'", Text),
        literal_column("'restored from a backup'", Text),
    ).where(_SENDS)
    return insert(t.doubts).from_select(_COLUMNS, rows)


def _doubt_rows(_: object) -> Any:
    key = literal_column("'restored:'", Text) + cast(_O.thing_id, Text)
    tried = select(_T.key).where(_T.chat_id == _O.chat_id, _T.thing_id == _O.thing_id, _SENDS)
    rows = select(
        _O.chat_id,
        key,
        _numbers(_O.chat_id, key),
        _O.thing_id,
        select(func.coalesce(func.max(_C.part) + 1, 0))
        .where(_C.chat_id == _O.chat_id, _C.thing_id == _O.thing_id)
        .scalar_subquery(),
        bindparam("now_at", type_=t.Instant()),
        literal_column("'left out'", Text),
        literal_column("'restored from a backup'", Text),
    ).where(_O.due == 1, _O.shown == 0, ~tried.exists())
    return insert(t.doubts).from_select(_COLUMNS, rows)


DOUBT_TRIES = Statement(_doubt_tries)
DOUBT_ROWS = Statement(_doubt_rows)
COUNT_OPEN = Statement(lambda _: select(func.count()).select_from(t.outbox).where(_O.due == 1, _O.shown == 0))
CLOSE_ROWS = Statement(
    lambda _: (
        update(t.outbox)
        .where(_O.due == 1, _O.shown == 0)
        .values(state=CopyState.DOUBT.value, due=0, reason="restored from a backup")
    )
)
DROP_TRIES = Statement(lambda _: delete(t.tries))
#: The files stand before the dot, and are taken for the same.
FORGET_WORDS = Statement(lambda _: update(t.copies).values(digest=_C.digest + "?"))
CLOSE_TRIED = Statement(
    lambda _: (
        update(t.outbox)
        .where(
            _O.shown == 0,
            _O.kind != ThingKind.NOTICE.value,
            select(_T.key).where(_T.chat_id == _O.chat_id, _T.thing_id == _O.thing_id, _SENDS).exists(),
        )
        .values(state=CopyState.DOUBT.value, due=0, reason="restored from a backup")
    )
)

END_LEASES = (
    Statement(lambda _: update(t.leases).values(expires_at=EVER)),
    Statement(lambda _: update(t.processes).values(expires_at=EVER)),
)


def leave_out(run: Runner, now: datetime) -> int:
    """Whatever was not shown yet may have been since: it is listed as in doubt and never sent. Returns how many.

    Edits of copies that are known stay: an edit shows nothing twice. Which words those copies show by now is not known.
    """
    run.run(DOUBT_ROWS, now_at=now)
    run.run(DOUBT_TRIES, now_at=now)
    count = int(run.scalar(COUNT_OPEN))
    run.run(CLOSE_ROWS)
    run.run(CLOSE_TRIED)
    run.run(DROP_TRIES)
    run.run(FORGET_WORDS)
    return count


@contextmanager
def snapshot(engine: Engine) -> Iterator[Snapshot]:
    """The database as it is now, while others go on changing it."""
    link = Link(engine, read_only=True)
    try:
        link.begin()
        yield Snapshot(link)
        link.rollback()
    finally:
        link.close()


class Snapshot:
    """One state of the whole database."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def portions(self) -> Iterator[tuple[str, list[str], list[Values]]]:
        """Table, columns, rows; parents before their children. Every table comes, an empty one with no rows."""
        for table in t.metadata.sorted_tables:
            names = [column.name for column in table.columns]
            yield from ((table.name, names, rows) for rows in self._rows(table, names))

    def _rows(self, table: Table, names: list[str]) -> Iterator[list[Values]]:
        cursor = self._link.cursor
        query = f"SELECT {', '.join(names)} FROM {table.name}"  # noqa: S608
        fetch = "FETCH FORWARD %d FROM portion" % PORTION  # noqa: UP031
        on_server = self._link.dialect == "postgresql"
        cursor.execute(f"DECLARE portion NO SCROLL CURSOR FOR {query}" if on_server else query)
        some = False
        while True:
            if on_server:
                cursor.execute(fetch)
            rows = [[_plain(value) for value in row] for row in cursor.fetchmany(PORTION)]
            if rows or not some:
                yield rows
            some = True
            if len(rows) < PORTION:
                break
        if on_server:
            cursor.execute("CLOSE portion")


def _plain(value: object) -> object:
    """What JSON can carry."""
    return {"bytes": base64.b64encode(value).decode()} if isinstance(value, (bytes, memoryview)) else value


def _stored(value: object) -> object:
    return base64.b64decode(value["bytes"]) if isinstance(value, dict) else value


def holds_tables(connection: Connection) -> bool:
    """Whether anything of ours, or of somebody else under our names, is there."""
    return bool(set(inspect(connection).get_table_names()) & {*t.metadata.tables, "alembic_version"})


class Loader:
    """Fills the tables that a revision made, whichever that is, inside the caller's transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._there = MetaData()
        self._there.reflect(connection)

    def load(self, table: str, columns: Sequence[str], rows: Sequence[Values]) -> None:
        """Raises ``KeyError`` for a table that this version does not have."""
        target = self._there.tables[table]
        if rows:
            self._connection.execute(
                insert(target),
                [{name: _stored(value) for name, value in zip(columns, row, strict=True)} for row in rows],
            )

    def finish(self, now: datetime) -> int:
        """The schema is the newest now: the instance waits, and what was open is in doubt. Returns how many."""
        driver: Any = self._connection.connection.driver_connection
        cursor = driver.cursor()
        run = Runner(cursor, self._connection.dialect.name)
        count = leave_out(run, now)
        # No process that the backup knows is at work on this database.
        for statement in END_LEASES:
            run.run(statement)
        IntakeStore(run).set_meta("paused", now.isoformat())
        cursor.close()
        return count


def end_pause(engine: Engine, now: datetime, nudge: str) -> int | None:
    """A restored instance speaks again, without what piled up until now. ``None`` if it was not paused.

    ``nudge``: the name in ``meta`` that tells a serving process to look at everything.
    """
    link = Link(engine, read_only=False)
    try:
        link.begin()
        run = Runner(link.cursor, link.dialect)
        intake = IntakeStore(run)
        count = None
        if intake.meta("paused"):
            count = leave_out(run, now)
            intake.set_meta("paused", "")
            intake.set_meta(nudge, now.isoformat())
        link.commit()
        if link.dialect == "postgresql":
            ring(link, frozenset())
        return count
    finally:
        link.rollback()
        link.close()
