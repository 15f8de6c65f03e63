"""Core statements compiled once per dialect and run on the driver's own cursor.

SQLAlchemy's execute costs most of a small statement's time (measured: 0.12 of raw against 0.67 this way), so
its expressions are used to write the SQL and not to run it. Instants are the only type that needs converting.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from itertools import chain
from typing import Any, Protocol, TypeVar

from msgspec.json import encode
from sqlalchemy import BigInteger, ColumnElement, Select, String, Table, Text, bindparam
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect as SqlDialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from storage.keyed import TOGETHER, Bulk, Keyed, Row
from storage.shelves import Journal, Pile, Shelf, in_order
from storage.tables import Instant, from_micros, metadata, to_micros

R = TypeVar("R")


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
    """Nested savepoints of what is in hand, made in the database too when something is written there.

    Those that nothing was written between share one of the database's.
    """

    def __init__(self, cursor: Cursor, journal: Journal) -> None:
        #: Whether the innermost one is not made yet.
        self.waiting = False
        self._cursor = cursor
        self._journal = journal
        self._entries = journal.entries
        #: The depth in the database is 0 for one that waits; only the innermost ones do.
        self._open = journal.open

    def add(self, name: str) -> None:
        self._open.append((name, len(self._entries), 0))
        self.waiting = True

    def make(self) -> None:
        depth = 1 + max((depth for _, _, depth in self._open), default=0)
        self._cursor.execute(f"SAVEPOINT s{depth}")
        self._open[:] = [(name, mark, made or depth) for name, mark, made in self._open]
        self.waiting = False

    def release(self, name: str) -> None:
        _, depth = self._end(name)
        if depth and depth > self._depth():
            self._cursor.execute(f"RELEASE SAVEPOINT s{depth}")
        if not self._open:
            self._entries.clear()

    def undo(self, name: str) -> None:
        mark, depth = self._end(name)
        if depth:
            self._cursor.execute(f"ROLLBACK TO SAVEPOINT s{depth}")
        if depth > self._depth():
            self._cursor.execute(f"RELEASE SAVEPOINT s{depth}")
        self._journal.undo(mark)

    def _end(self, name: str) -> tuple[int, int]:
        """Ends it and those inside it that an error left open. Returns its mark, and its depth in the database."""
        while True:
            ended, mark, depth = self._open.pop()
            if ended == name:
                self.waiting = bool(self._open) and not self._open[-1][2]
                return mark, depth

    def _depth(self) -> int:
        return self._open[-1][2] if self._open else 0


_WORDS = re.compile(r"\w+")


class _Compiled:
    def __init__(self, statement: Any, dialect: SqlDialect, *, kept: bool) -> None:
        compiled = statement.compile(dialect=dialect)
        assert isinstance(compiled, SQLCompiler)
        fixed = {name: bind.value for name, bind in compiled.binds.items() if bind.value is not None}
        self.sql = _written_out(str(compiled), fixed, dialect.name)
        self.instants = frozenset(n for n, b in compiled.binds.items() if isinstance(b.type, Instant))
        self.names = frozenset(compiled.binds.keys() - fixed.keys())
        columns = getattr(statement, "exported_columns", ())
        self.times = tuple(i for i, c in enumerate(columns) if isinstance(c.type, Instant))
        #: Every table that it may read or change, and perhaps more: a column may have a table's name.
        self.tables = frozenset(_WORDS.findall(self.sql)) & metadata.tables.keys()
        #: The table that this statement changes; empty for one that only reads.
        self.changes = str(statement.table.name) if getattr(statement, "is_dml", False) else ""
        #: The one table that its rows come from, where they may be kept.
        self.kept = _only_table(statement) if kept else ""


def _written_out(sql: str, fixed: Mapping[str, Any], dialect: str) -> str:
    """With what is always the same in its words: of a parameter no planner knows that it fits a partial index.

    SQLite even compiles such a statement anew each time that its parameters are bound.
    """
    form = r"(?<![:\w]):{}\b" if dialect == "sqlite" else r"%\({}\)s"
    for name, value in fixed.items():
        words = _literal(value, dialect).replace("\\", r"\\")
        sql = re.sub(form.format(re.escape(name)), words, sql)
    return sql


def _literal(value: Any, dialect: str) -> str:
    if isinstance(value, datetime):
        return str(to_micros(value))
    if isinstance(value, int):
        return str(int(value))
    assert isinstance(value, str), f"{value!r} is neither a word nor a number"
    words = value.replace("'", "''")
    return f"'{words if dialect == 'sqlite' else words.replace('%', '%%')}'"


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


#: How many keys a statement for many has on SQLite: few forms, so that each stays compiled (``database._COMPILED``).
_SIZES = (4, 8, 16, 32, 64, 128, 256)
#: What both drivers take as it is.
_PLAIN = frozenset((int, str, float, bytes, type(None)))


def _json(values: Sequence[Any]) -> str:
    return encode(values).decode()


class Runner:
    """Runs statements on one cursor, within one transaction, and holds what it has in hand. For one thread."""

    def __init__(self, cursor: Cursor, dialect: str) -> None:
        self.cursor = cursor
        self.dialect = dialect
        self._journal = Journal()
        self.savepoints = Savepoints(cursor, self._journal)
        self._array: Callable[[Sequence[Any]], Any] = _json if dialect == "sqlite" else list
        self._kept: dict[str, dict[Any, list[Row]]] = {}
        #: By the table that they write, and by the tables that they read.
        self._writers: dict[str, list[Shelf[Any] | Pile]] = {}
        self._shelves: dict[str, list[Shelf[Any]]] = {}
        #: Tables that changed in hand.
        self._unwritten: set[str] = set()
        self.waits = self._unwritten.add

    def end(self) -> None:
        """Nothing in hand is needed any more. Its shelves know it: they would stay until garbage is looked for."""
        for known in (self._kept, self._writers, self._shelves):
            known.clear()
        self._journal.entries.clear()

    # -- what is in hand ---------------------------------------------------------------------------------------------

    def shelf(self, keyed: Keyed[R]) -> Shelf[R]:
        shelf = Shelf(keyed, self, self._journal)
        self._writers.setdefault(shelf.table, []).append(shelf)
        for table in keyed.tables:
            self._shelves.setdefault(table, []).append(shelf)
        return shelf

    def pile(self, bulk: Bulk, fold: Callable[[list[Row]], list[Row]] | None = None) -> Pile:
        pile = Pile(bulk, self, self._journal, fold)
        self._writers.setdefault(pile.table, []).append(pile)
        return pile

    def fetch(self, sql: str, key: Any) -> list[Row]:
        """What a shelf does not have. Its own changes are of other keys, and nothing else writes its table unseen."""
        self.cursor.execute(sql, key)
        return self.cursor.fetchall()

    def fetch_many(self, keyed: Keyed[Any], keys: list[Any]) -> list[Row]:
        """The rows of all these keys, each with the number of its key, from 1."""
        several = isinstance(keys[0], tuple)
        if self.dialect != "sqlite":
            arrays = [list(column) for column in zip(*keys, strict=True)] if several else [keys]
            return self.fetch(keyed.many(self.dialect), arrays)
        if len(keys) > _SIZES[-1]:
            first, others = keys[: _SIZES[-1]], keys[_SIZES[-1] :]
            later = [(*row[:-1], row[-1] + len(first)) for row in self.fetch_many(keyed, others)]
            return self.fetch_many(keyed, first) + later
        size = next(size for size in _SIZES if size >= len(keys))
        cells = list(chain.from_iterable(keys)) if several else keys
        # No key is NULL, so what fills the statement up finds nothing.
        return self.fetch(keyed.given(size), cells + [None] * (size * len(keyed.key) - len(cells)))

    def write(self, bulk: Bulk, rows: list[Row]) -> None:
        if self.dialect == "sqlite":
            done = 0
            for size in TOGETHER if bulk.new else ():
                while len(rows) - done >= size:
                    cells = chain.from_iterable(rows[done : done + size])
                    self.cursor.execute(bulk.together(size), list(cells))
                    done += size
            if done < len(rows):
                self.cursor.executemany(bulk.sql("sqlite"), rows[done:])
        else:
            self.cursor.execute(bulk.sql("postgresql"), [list(column) for column in zip(*rows, strict=True)])

    def flush(self) -> None:
        """Writes what changed in hand."""
        if not self._unwritten:
            return
        if self.savepoints.waiting:
            self.savepoints.make()
        self._journal.add((self, None, set(self._unwritten)))
        for shelf in in_order(shelf for table in self._unwritten for shelf in self._writers[table]):
            shelf.flush()
        self._unwritten.clear()

    def revert(self, _key: Any, before: set[str]) -> None:
        self._unwritten |= before

    # -- statements --------------------------------------------------------------------------------------------------

    def _bind(self, values: dict[str, Any]) -> dict[str, Any]:
        """Takes ``values`` over."""
        for name, value in values.items():
            if type(value) not in _PLAIN:
                values[name] = self._converted(value)
        return values

    def _converted(self, value: Any) -> Any:
        if isinstance(value, datetime):
            return to_micros(value)
        if isinstance(value, (list, tuple)):
            # psycopg writes an enumeration's name, not its value. All of a set are of one kind.
            named = bool(value) and isinstance(value[0], Enum)
            return self._array([v.value for v in value] if named else value)
        if type(value) is bool:
            return int(value)
        if isinstance(value, str):
            return str(value)
        return value

    def _execute(self, statement: Statement, values: dict[str, Any]) -> _Compiled:
        form = statement.compiled(self.dialect)
        self._before(form.tables, form.changes)
        self.cursor.execute(form.sql, self._bind(values))
        return form

    def _before(self, tables: Iterable[str], changes: str) -> None:
        if self._unwritten and not self._unwritten.isdisjoint(tables):
            self.flush()
        if not changes:
            return
        if self.savepoints.waiting:
            self.savepoints.make()
        self._kept.pop(changes, None)
        for shelf in self._shelves.get(changes, ()):
            shelf.forget()

    def change(self, bulk: Bulk, rows: list[Row]) -> None:
        """At once what a pile would write later."""
        self._before((bulk.table,), bulk.table)
        self.write(bulk, rows)

    def undo(self, name: str) -> None:
        """Back to that savepoint, which ends with it."""
        self.savepoints.undo(name)
        self._kept.clear()

    def run(self, statement: Statement, **values: Any) -> None:
        self._execute(statement, values)

    def each(self, statement: Statement, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            form = statement.compiled(self.dialect)
            self._before(form.tables, form.changes)
            self.cursor.executemany(form.sql, [self._bind(dict(row)) for row in rows])

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
