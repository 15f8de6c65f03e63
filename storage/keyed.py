"""Statements over many rows, declared once and written for both databases: looked up by key, or written together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

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

Row = tuple[Any, ...]
R = TypeVar("R")

_DIALECTS: dict[str, Dialect] = {
    "sqlite": sqlite.dialect(paramstyle="qmark"),
    "postgresql": postgresql.psycopg.dialect(paramstyle="format"),
}


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
TOGETHER = (128, 32, 8)


class Bulk:
    """One change of many rows: on SQLite a row a statement, or some new ones; one over arrays on PostgreSQL.

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
        self._together: dict[int, str] = {}

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

    def together(self, size: int) -> str:
        """SQLite's form for exactly so many new rows: a third less than one by one."""
        found = self._together.get(size)
        if found is None:
            row = f"({', '.join('?' * len(self.names))})"
            rows = ", ".join([row] * size)
            found = self._together[size] = self.sql("sqlite").replace(f" VALUES {row}", f" VALUES {rows}", 1)
        return found

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
