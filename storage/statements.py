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

from sqlalchemy import BigInteger, ColumnElement, String, Text, bindparam
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


class _Compiled:
    def __init__(self, statement: Any, dialect: SqlDialect) -> None:
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


class Statement:
    """One statement of a family. ``build`` gets a ``Build`` and returns the SQLAlchemy expression."""

    def __init__(self, build: Callable[[Build], Any]) -> None:
        self._build = build
        self._compiled: dict[str, _Compiled] = {}

    def compiled(self, dialect: str) -> _Compiled:
        found = self._compiled.get(dialect)
        if found is None:
            found = self._compiled[dialect] = _Compiled(self._build(Build(dialect)), DIALECTS[dialect])
        return found


class Runner:
    """Runs statements on one cursor. Not shared between threads."""

    def __init__(self, cursor: Cursor, dialect: str) -> None:
        self.cursor = cursor
        self.dialect = dialect
        self._array: Callable[[Sequence[Any]], Any] = json.dumps if dialect == "sqlite" else list

    def _bind(self, form: _Compiled, values: Mapping[str, Any]) -> dict[str, Any]:
        bound = dict(form.fixed)
        for name, value in values.items():
            if isinstance(value, datetime):
                bound[name] = to_micros(value)
            elif isinstance(value, (list, tuple)):
                # psycopg writes an enumeration's name, not its value.
                bound[name] = self._array([v.value if isinstance(v, Enum) else v for v in value])
            elif type(value) is bool:
                bound[name] = int(value)
            elif isinstance(value, str) and type(value) is not str:
                bound[name] = str(value)
            else:
                bound[name] = value
        return bound

    def run(self, statement: Statement, **values: Any) -> None:
        form = statement.compiled(self.dialect)
        self.cursor.execute(form.sql, self._bind(form, values))

    def each(self, statement: Statement, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            form = statement.compiled(self.dialect)
            self.cursor.executemany(form.sql, [self._bind(form, row) for row in rows])

    def one(self, statement: Statement, **values: Any) -> Row | None:
        self.run(statement, **values)
        row = self.cursor.fetchone()
        times = statement.compiled(self.dialect).times
        return row if row is None or not times else _timed(row, times)

    def all(self, statement: Statement, **values: Any) -> list[Row]:
        self.run(statement, **values)
        rows = self.cursor.fetchall()
        times = statement.compiled(self.dialect).times
        return [_timed(row, times) for row in rows] if times else rows

    def scalar(self, statement: Statement, **values: Any) -> Any:
        row = self.one(statement, **values)
        return None if row is None else row[0]


def _timed(row: Row, times: tuple[int, ...]) -> Row:
    cells = list(row)
    for index in times:
        if cells[index] is not None:
            cells[index] = from_micros(cells[index])
    return tuple(cells)
