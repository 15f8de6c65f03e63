"""Core statements compiled once per dialect and run on the driver's own cursor.

SQLAlchemy's execute costs most of a small statement's time (measured: 0.12 of raw against 0.67 this way), so
its expressions are used to write the SQL and not to run it. Instants are the only type that needs converting.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any, Protocol

from sqlalchemy import BigInteger, ColumnElement, Select, String, Table, Text, bindparam
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect as SqlDialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from storage.tables import Instant, from_micros, to_micros

Row = tuple[Any, ...]


class Cursor(Protocol):
    """What sqlite3's and psycopg's cursors have in common."""

    rowcount: int

    def execute(self, sql: str, parameters: Any = ..., /) -> Any: ...
    def executemany(self, sql: str, parameters: Any, /) -> Any: ...
    def fetchone(self) -> Row | None: ...
    def fetchall(self) -> list[Row]: ...


class Among(ColumnElement[bool]):
    """``column`` is one of a set given as ONE parameter, so that the statement is compiled once."""

    inherit_cache = False

    def __init__(self, column: ColumnElement[Any], name: str) -> None:
        self.column = column
        self.name = name
        self.kind: Text | BigInteger = Text() if isinstance(column.type, String) else BigInteger()


@compiles(Among, "sqlite")
def _among_sqlite(element: Among, compiler: SQLCompiler, **kw: Any) -> str:
    bind = compiler.process(bindparam(element.name, type_=element.kind), **kw)
    return f"{compiler.process(element.column, **kw)} IN (SELECT value FROM json_each({bind}))"  # noqa: S608


@compiles(Among, "postgresql")
def _among_postgresql(element: Among, compiler: SQLCompiler, **kw: Any) -> str:
    array: postgresql.ARRAY[Any] = postgresql.ARRAY(element.kind)
    bind = compiler.process(bindparam(element.name, type_=array), **kw)
    return f"{compiler.process(element.column, **kw)} = ANY({bind})"


DIALECTS: Mapping[str, SqlDialect] = {
    "sqlite": sqlite.dialect(paramstyle="named"),
    "postgresql": postgresql.psycopg.dialect(),
}


class Build:
    """What differs between the dialects while a statement is written."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.insert: Callable[..., Any] = sqlite.insert if name == "sqlite" else postgresql.insert

    @staticmethod
    def among(column: ColumnElement[Any], name: str) -> Among:
        return Among(column, name)


class Savepoints:
    """Nested savepoints, made when there is something to undo.

    Those that nothing was written between share one of the database's. ``eager``: a failed read too needs one to
    go back to, since PostgreSQL then refuses everything else.
    """

    def __init__(self, cursor: Cursor, *, eager: bool) -> None:
        self.eager = eager
        #: Whether the innermost one is not made yet.
        self.waiting = False
        self._cursor = cursor
        #: Name and depth in the database, 0 for one that waits; only the innermost ones do.
        self._open: list[tuple[str, int]] = []

    def add(self, name: str) -> None:
        self._open.append((name, 0))
        self.waiting = True

    def make(self) -> None:
        depth = 1 + max((depth for _, depth in self._open), default=0)
        self._cursor.execute(f"SAVEPOINT s{depth}")
        self._open = [(name, made or depth) for name, made in self._open]
        self.waiting = False

    def release(self, name: str) -> None:
        depth = self._end(name)
        if depth > self._depth():
            self._cursor.execute(f"RELEASE SAVEPOINT s{depth}")

    def undo(self, name: str) -> None:
        depth = self._end(name)
        if depth:
            self._cursor.execute(f"ROLLBACK TO SAVEPOINT s{depth}")
        if depth > self._depth():
            self._cursor.execute(f"RELEASE SAVEPOINT s{depth}")

    def _end(self, name: str) -> int:
        """Ends it and those inside it that an error left open. Returns its depth in the database."""
        while True:
            ended, depth = self._open.pop()
            if ended == name:
                self.waiting = bool(self._open) and not self._open[-1][1]
                return depth

    def _depth(self) -> int:
        return self._open[-1][1] if self._open else 0


class _Compiled:
    def __init__(self, statement: Any, dialect: SqlDialect, *, kept: bool) -> None:
        compiled = statement.compile(dialect=dialect)
        assert isinstance(compiled, SQLCompiler)
        self.sql = str(compiled)
        self.fixed = {name: bind.value for name, bind in compiled.binds.items() if bind.value is not None}
        self.instants = frozenset(n for n, b in compiled.binds.items() if isinstance(b.type, Instant))
        self.names = frozenset(compiled.binds)
        columns = getattr(statement, "exported_columns", ())
        self.times = tuple(i for i, c in enumerate(columns) if isinstance(c.type, Instant))
        for name in self.instants & self.fixed.keys():
            self.fixed[name] = to_micros(self.fixed[name])
        #: The table that this statement changes; empty for one that only reads.
        self.changes = str(statement.table.name) if getattr(statement, "is_dml", False) else ""
        #: The one table that its rows come from, where they may be kept.
        self.kept = _only_table(statement) if kept else ""


def _only_table(statement: Select[Any]) -> str:
    (only,) = statement.get_final_froms()
    assert isinstance(only, Table)
    return only.name


class Statement:
    """One statement of a family. ``build`` gets a ``Build`` and returns the SQLAlchemy expression.

    ``kept``: a SELECT by key from one table that changes rarely and is asked for in every job. Its rows are
    remembered until the end of the transaction, or until something changes that table.
    """

    def __init__(self, build: Callable[[Build], Any], *, kept: bool = False) -> None:
        self._build = build
        self._kept = kept
        self._compiled: dict[str, _Compiled] = {}

    def compiled(self, dialect: str) -> _Compiled:
        found = self._compiled.get(dialect)
        if found is None:
            found = _Compiled(self._build(Build(dialect)), DIALECTS[dialect], kept=self._kept)
            self._compiled[dialect] = found
        return found


#: What both drivers take as it is.
_PLAIN = frozenset((int, str, float, bytes, type(None)))


class Runner:
    """Runs statements on one cursor, within one transaction. Not shared between threads."""

    def __init__(self, cursor: Cursor, dialect: str) -> None:
        self.cursor = cursor
        self.dialect = dialect
        self.savepoints = Savepoints(cursor, eager=dialect != "sqlite")
        self._array: Callable[[Sequence[Any]], Any] = json.dumps if dialect == "sqlite" else list
        self._kept: dict[str, dict[Any, list[Row]]] = {}

    def _bind(self, form: _Compiled, values: dict[str, Any]) -> dict[str, Any]:
        """Takes ``values`` over."""
        for name, value in values.items():
            if type(value) not in _PLAIN:
                values[name] = self._converted(value)
        return {**form.fixed, **values} if form.fixed else values

    def _converted(self, value: Any) -> Any:
        if isinstance(value, datetime):
            return to_micros(value)
        if isinstance(value, (list, tuple)):
            # psycopg writes an enumeration's name, not its value.
            return self._array([v.value if isinstance(v, Enum) else v for v in value])
        if type(value) is bool:
            return int(value)
        if isinstance(value, str):
            return str(value)
        return value

    def _execute(self, statement: Statement, values: dict[str, Any]) -> _Compiled:
        form = statement.compiled(self.dialect)
        self._before(form)
        self.cursor.execute(form.sql, self._bind(form, values))
        return form

    def _before(self, form: _Compiled) -> None:
        if self.savepoints.waiting and (form.changes or self.savepoints.eager):
            self.savepoints.make()
        if form.changes in self._kept:
            del self._kept[form.changes]

    def undo(self, name: str) -> None:
        """Back to that savepoint, which ends with it."""
        self.savepoints.undo(name)
        self._kept.clear()

    def run(self, statement: Statement, **values: Any) -> None:
        self._execute(statement, values)

    def each(self, statement: Statement, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            form = statement.compiled(self.dialect)
            self._before(form)
            self.cursor.executemany(form.sql, [self._bind(form, dict(row)) for row in rows])

    def one(self, statement: Statement, **values: Any) -> Row | None:
        form = statement.compiled(self.dialect)
        if form.kept:
            rows = self._remembered(statement, form, values)
            return rows[0] if rows else None
        self._execute(statement, values)
        row: Row | None = self.cursor.fetchone()
        return row if row is None or not form.times else _timed(row, form.times)

    def _remembered(self, statement: Statement, form: _Compiled, values: dict[str, Any]) -> list[Row]:
        kept = self._kept.setdefault(form.kept, {})
        key = (statement, *values.items())
        rows = kept.get(key)
        if rows is None:
            rows = kept[key] = self._fetched(statement, values)
        return rows

    def _fetched(self, statement: Statement, values: dict[str, Any]) -> list[Row]:
        form = self._execute(statement, values)
        rows = self.cursor.fetchall()
        return [_timed(row, form.times) for row in rows] if form.times else rows

    def all(self, statement: Statement, **values: Any) -> list[Row]:
        form = statement.compiled(self.dialect)
        return self._remembered(statement, form, values) if form.kept else self._fetched(statement, values)

    def scalar(self, statement: Statement, **values: Any) -> Any:
        row = self.one(statement, **values)
        return None if row is None else row[0]


def _timed(row: Row, times: tuple[int, ...]) -> Row:
    cells = list(row)
    for index in times:
        if cells[index] is not None:
            cells[index] = from_micros(cells[index])
    return tuple(cells)
