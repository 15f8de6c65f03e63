"""What a transaction has in hand: rows it read by key, and changes that are written together.

The rules ask for one row at a time and change one row at a time. A ``Shelf`` answers from what was read before (for
a whole batch with one statement, where a statement is a round trip) and keeps what changed; a ``Pile`` keeps new
rows. Both are written set-wise: before the commit, or before a statement that touches their table. A ``Journal``
takes back what a refusal undoes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    String,
    Table,
    Text,
    and_,
    bindparam,
    delete,
    func,
)
from sqlalchemy import column as column_
from sqlalchemy import select as select_
from sqlalchemy import table as table_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import SQLCompiler

from storage.tables import metadata

Row = tuple[Any, ...]
R = TypeVar("R")

#: Parents before their children.
_ORDER = {table.name: number for number, table in enumerate(metadata.sorted_tables)}
_DIALECTS: dict[str, Dialect] = {
    "sqlite": sqlite.dialect(paramstyle="qmark"),
    "postgresql": postgresql.psycopg.dialect(paramstyle="format"),
}


# -- statements that are declared once and written in both forms ------------------------------------------------------


def _sql(statement: Any, dialect: str, names: Sequence[str]) -> str:
    compiled = statement.compile(dialect=_DIALECTS[dialect])
    assert isinstance(compiled, SQLCompiler)
    assert compiled.positiontup == list(names), f"{compiled.positiontup} instead of {names}"
    return str(compiled)


#: The column of the numbers of the keys that are given, from 1.
NUMBER = "number"


def _unnested(columns: Sequence[ColumnElement[Any]], names: Sequence[str]) -> Any:
    """One array a column, read as rows."""
    arrays = [
        bindparam(name, type_=postgresql.ARRAY(Text() if isinstance(column.type, String) else BigInteger()))
        for name, column in zip(names, columns, strict=True)
    ]
    return func.unnest(*arrays).table_valued(*names, with_ordinality=NUMBER).render_derived("given")


#: How many new rows one statement of SQLite takes, where there are that many.
TOGETHER = 32


class Bulk:
    """One change of many rows: a row a statement on SQLite, one statement over arrays on PostgreSQL.

    ``one`` writes it with a bound parameter a column, ``many`` with the columns of the rows that are given; ``new``:
    it is an INSERT.
    """

    def __init__(
        self,
        table: Table,
        columns: Sequence[Column[Any]],
        one: Callable[[Sequence[Any]], Any],
        many: Callable[[Any], Any],
        *,
        new: bool = False,
    ) -> None:
        self.table = table.name
        self.new = new
        self.names = tuple(f"k_{column.name}" for column in columns)
        self._columns = columns
        self._build = {"sqlite": one, "postgresql": many}
        self._compiled: dict[str, str] = {}
        self._together: str | None = None

    def sql(self, dialect: str) -> str:
        found = self._compiled.get(dialect)
        if found is None:
            if dialect == "sqlite":
                given: Any = [
                    bindparam(n, type_=c.type) for n, c in zip(self.names, self._columns, strict=True)
                ]
            else:
                rows = _unnested(self._columns, self.names)
                given = [rows.c[name] for name in self.names]
            found = self._compiled[dialect] = _sql(self._build[dialect](given), dialect, self.names)
        return found

    @property
    def together(self) -> str:
        """SQLite's form for exactly ``TOGETHER`` new rows: a quarter less than one by one."""
        if self._together is None:
            row = f"({', '.join('?' * len(self.names))})"
            rows = ", ".join([row] * TOGETHER)
            self._together = self.sql("sqlite").replace(f" VALUES {row}", f" VALUES {rows}", 1)
        return self._together

    @classmethod
    def insert(
        cls, table: Table, names: Sequence[str], *, identity: Sequence[str] = (), ignore: bool = False
    ) -> Bulk:
        """New rows. ``identity``: one that is there already is changed; ``ignore``: it stays as it is."""
        columns = [table.c[name] for name in names]
        # In the table's order, since that is how the statement binds them.
        assert columns == [c for c in table.c if c.name in names]

        def conflict(row: Any) -> Any:
            if identity:
                new = {n: row.excluded[n] for n in names if n not in identity}
                return row.on_conflict_do_update(index_elements=[table.c[n] for n in identity], set_=new)
            return row.on_conflict_do_nothing() if ignore else row

        return cls(
            table,
            columns,
            lambda given: conflict(sqlite.insert(table).values(dict(zip(names, given, strict=True)))),
            lambda given: conflict(postgresql.insert(table).from_select(names, select_(*given))),
            new=True,
        )

    @classmethod
    def delete(cls, table: Table, identity: Sequence[str]) -> Bulk:
        columns = [table.c[name] for name in identity]

        def drop(given: Any) -> Any:
            return delete(table).where(and_(*(c == g for c, g in zip(columns, given, strict=True))))

        return cls(table, columns, drop, drop)


class Keyed(Generic[R]):
    """Rows of one table that are looked up by ``key``, columns of it that are all among ``columns``.

    ``record`` makes of a row what the rules see. Where they may change: ``row`` makes a row again, ``identity``
    names the columns that tell the rows of one key apart, and ``only_new`` says that a row which is there already
    (written by somebody else since) is an error. ``also``: tables that columns computed by the database read.
    """

    def __init__(
        self,
        table: Table,
        columns: Sequence[ColumnElement[Any]],
        key: Sequence[Column[Any]],
        record: Callable[[Row], R],
        *,
        source: Any = None,
        also: Iterable[Table] = (),
        row: Callable[[R], Row] | None = None,
        identity: Sequence[str] = (),
        only_new: bool = False,
    ) -> None:
        self.table = table.name
        #: Whatever changes one of these may change what is known.
        self.tables = frozenset(c.table.name for c in columns if isinstance(c, Column)) | {
            t.name for t in also
        }
        self.record = record
        self.row = row
        self.key = tuple(f"k_{column.name}" for column in key)
        self._columns, self._by, self._source = columns, key, table if source is None else source
        self._compiled: dict[tuple[str, bool], str] = {}
        self._given: dict[int, str] = {}
        names = [column.name for column in columns]
        places = [names.index(name) for name in identity]
        self.told_apart: Callable[[Row], Row] = lambda row: tuple([row[place] for place in places])
        if row is not None:
            changes = [name for name in names if name not in identity]
            self.put = Bulk.insert(
                table,
                names,
                identity=identity if changes and not only_new else (),
                ignore=not changes and not only_new,
            )
            self.drop = Bulk.delete(table, identity)

    def one(self, dialect: str) -> str:
        """The rows of one key."""
        return self._select(dialect, many=False)

    def many(self, dialect: str) -> str:
        """The rows of many keys: of arrays on PostgreSQL, of the rows of ``given`` on SQLite (see ``given``).

        In the last column stands the number of the key that a row belongs to, from 1.
        """
        return self._select(dialect, many=True)

    def _select(self, dialect: str, *, many: bool) -> str:
        found = self._compiled.get((dialect, many))
        if found is None:
            statement, names = self._of_many(dialect) if many else self._of_one()
            found = self._compiled[dialect, many] = _sql(statement, dialect, names)
        return found

    def _of_one(self) -> tuple[Any, Sequence[str]]:
        given = [bindparam(n, type_=c.type) for n, c in zip(self.key, self._by, strict=True)]
        return select_(*self._columns).select_from(self._source).where(self._is(given)), self.key

    def _of_many(self, dialect: str) -> tuple[Any, Sequence[str]]:
        """The statement, and the names of its parameters."""
        if dialect == "postgresql":
            given, names = _unnested(self._by, self.key), self.key
        else:
            given, names = table_("given", *map(column_, (*self.key, NUMBER))), ()
        cells = [given.c[name] for name in self.key]
        rows = select_(*self._columns, given.c[NUMBER]).select_from(given, self._source)
        return rows.where(self._is(cells)), names

    def _is(self, given: Sequence[Any]) -> ColumnElement[bool]:
        return and_(*(c == g for c, g in zip(self._by, given, strict=True)))

    def given(self, size: int) -> str:
        """SQLite's form for exactly so many keys. A parameter a cell takes a third of the time of ``json_each``."""
        found = self._given.get(size)
        if found is None:
            cells = "?, " * len(self.key)
            rows = ", ".join(f"({cells}{number + 1})" for number in range(size))
            names = ", ".join((*self.key, NUMBER))
            found = f"WITH given({names}) AS (VALUES {rows}) {self.many('sqlite')}"
            self._given[size] = found
        return found


# -- what is in hand --------------------------------------------------------------------------------------------------


_ALL, _ADDED = object(), object()


class Undoable(Protocol):
    def revert(self, key: Any, before: Any) -> None: ...


class Journal:
    """What was changed in hand since the outermost savepoint, the newest last."""

    def __init__(self) -> None:
        #: The same list for as long as the transaction lasts.
        self.entries: list[tuple[Undoable, Any, Any]] = []
        self.add = self.entries.append

    def undo(self, mark: int) -> None:
        entries = self.entries
        while len(entries) > mark:
            what, key, before = entries.pop()
            what.revert(key, before)


class Access(Protocol):
    """The way to the database, as shelves and piles need it."""

    dialect: str

    def fetch(self, sql: str, key: Any) -> list[Row]: ...
    def fetch_many(self, keyed: Keyed[Any], keys: list[Any]) -> list[Row]: ...
    def write(self, bulk: Bulk, rows: list[Row]) -> None: ...
    def waits(self, table: str) -> None: ...


class Shelf(Generic[R]):
    """Rows of one ``Keyed`` by their key, a tuple of records each; the key of one column is its value alone."""

    def __init__(self, keyed: Keyed[R], access: Access, journal: Journal) -> None:
        self.keyed = keyed
        self.table = keyed.table
        self._access = access
        self._note = journal.add
        self._waits = access.waits
        self._one = keyed.one(access.dialect)
        self._single = len(keyed.key) == 1
        #: What is in hand, be it that there is nothing.
        self.known: dict[Any, tuple[R, ...]] = {}
        #: Of the keys that changed: what the database has.
        self._stored: dict[Any, tuple[R, ...]] = {}
        # Made within a savepoint it may read what that savepoint changed, and must forget it with the savepoint.
        self._note((self, _ALL, ({}, {}, [])))
        #: First rows of their keys, not written yet.
        self._new: list[Row] = []

    def all(self, key: Any) -> tuple[R, ...]:
        rows = self.known.get(key)
        return self._read(key) if rows is None else rows

    def one(self, key: Any) -> R | None:
        rows = self.known.get(key)
        if rows is None:
            rows = self._read(key)
        return rows[0] if rows else None

    def _read(self, key: Any) -> tuple[R, ...]:
        record = self.keyed.record
        found = self._access.fetch(self._one, (key,) if self._single else key)
        rows = self.known[key] = tuple([record(row) for row in found])
        return rows

    def read_ahead(self, keys: Iterable[Any]) -> list[R]:
        """All these at once, where that saves round trips. Returns what was not in hand yet."""
        known = self.known
        wanted = [key for key in dict.fromkeys(keys) if key not in known]
        if not wanted:
            return []
        known.update(dict.fromkeys(wanted, ()))
        record, records = self.keyed.record, []
        for row in self._access.fetch_many(self.keyed, wanted):
            made = record(row[:-1])
            records.append(made)
            known[wanted[row[-1] - 1]] += (made,)
        return records

    def put(self, key: Any, rows: tuple[R, ...]) -> None:
        """From now on these are the rows of that key."""
        before = self.all(key)
        self._note((self, key, before))
        if key not in self._stored:
            self._stored[key] = before
        self.known[key] = rows
        self._waits(self.table)

    def add(self, key: Any, record: R, row: Row) -> None:
        """The first row of a key that has none, be that in hand or not; ``row`` is what ``keyed.row`` makes of it.

        What changes it later is written after it.
        """
        self._note((self, key, _ADDED))
        self._new.append(row)
        self.known[key] = (record,)
        self._waits(self.table)

    def learn(self, key: Any, rows: tuple[R, ...]) -> None:
        """Somebody else writes them."""
        self._note((self, key, self.known.get(key)))
        self.known[key] = rows

    def forget(self) -> None:
        """What was read may not be true any more; nothing may wait to be written."""
        self._note((self, _ALL, (self.known, self._stored, self._new)))
        self.known, self._stored, self._new = {}, {}, []

    def revert(self, key: Any, before: Any) -> None:
        if key is _ALL:
            self.known, self._stored, self._new = before
        elif before is _ADDED:
            # The newest goes first: its row is the last one.
            self._new.pop()
            self.known[key] = ()
        elif before is None:
            self.known.pop(key, None)
        else:
            self.known[key] = before

    def flush(self) -> None:
        new, changed = self._new, self._stored
        self._note((self, _ALL, (self.known, changed, new)))
        self._stored, self._new = {}, []
        if new:
            self._access.write(self.keyed.put, new)
        if changed:
            self._write(changed)

    def _write(self, changed: dict[Any, tuple[R, ...]]) -> None:
        puts: list[Row] = []
        drops: list[Row] = []
        row, told_apart, known = self.keyed.row, self.keyed.told_apart, self.known
        assert row is not None
        for key, before in changed.items():
            after = list(map(row, known[key]))
            held = {told_apart(r): r for r in map(row, before)}
            puts += [r for r in after if held.get(told_apart(r)) != r]
            kept = set(map(told_apart, after))
            drops += [r for r in held if r not in kept]
        if drops:
            self._access.write(self.keyed.drop, drops)
        if puts:
            self._access.write(self.keyed.put, puts)


class Pile:
    """Rows that one ``Bulk`` will write. ``fold`` makes of them what is written, where two may speak of one row."""

    def __init__(
        self,
        bulk: Bulk,
        access: Access,
        journal: Journal,
        fold: Callable[[list[Row]], list[Row]] | None = None,
    ) -> None:
        self.table = bulk.table
        self._bulk = bulk
        self._access = access
        self._note = journal.add
        self._waits = access.waits
        self._fold = fold
        self._rows: list[Row] = []

    def add(self, row: Row) -> None:
        self._note((self, self._rows, len(self._rows)))
        self._rows.append(row)
        self._waits(self.table)

    def extend(self, rows: Iterable[Row]) -> None:
        self._note((self, self._rows, len(self._rows)))
        self._rows.extend(rows)
        self._waits(self.table)

    def revert(self, key: Any, before: int) -> None:
        self._rows = key
        del self._rows[before:]

    def flush(self) -> None:
        rows = self._rows
        if rows:
            self._note((self, rows, len(rows)))
            self._rows = []
            self._access.write(self._bulk, self._fold(rows) if self._fold else rows)


def in_order(shelves: Iterable[Shelf[Any] | Pile]) -> list[Shelf[Any] | Pile]:
    return sorted(shelves, key=lambda shelf: _ORDER[shelf.table])
