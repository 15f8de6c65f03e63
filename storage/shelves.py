"""What a transaction has in hand: rows it read by key, and changes that are written together.

The rules ask for one row at a time and change one row at a time. A ``Shelf`` answers from what was read before (for
a whole batch with one statement, where a statement is a round trip) and keeps what changed; a ``Pile`` keeps new
rows. Both are written set-wise: before the commit, or before a statement that touches their table. A ``Journal``
takes back what a refusal undoes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, Protocol, TypeVar

from storage.keyed import Bulk, Keyed, Row
from storage.tables import metadata

R = TypeVar("R")

#: Parents before their children.
_ORDER = {table.name: number for number, table in enumerate(metadata.sorted_tables)}
_ALL, _ADDED = object(), object()


class Undoable(Protocol):
    def revert(self, key: Any, before: Any) -> None: ...


class Journal:
    """What was changed in hand since the outermost savepoint, the newest last."""

    def __init__(self) -> None:
        #: The same list for as long as the transaction lasts.
        self.entries: list[tuple[Undoable, Any, Any]] = []
        self.add = self.entries.append
        #: The open savepoints, the outermost first: name, how many entries there were, depth in the database. The same
        #: list for as long as the transaction lasts, too: shelves look at it.
        self.open: list[tuple[str, int, int]] = []

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
        self._note, self._undoable = journal.add, journal.open
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
        """The first row of a key that has none: quicker than ``put``. ``row`` is what ``keyed.row`` makes of it.

        What changes it later is written after it.
        """
        if key in self._stored:
            return self.put(key, (record,))
        if self._undoable:
            self._note((self, key, _ADDED))
        if not self._new:
            self._waits(self.table)
        self._new.append(row)
        self.known[key] = (record,)
        return None

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
            # The newest goes first: its row is the last one, and what changed it since was undone before.
            self._new.pop()
            self._stored.pop(key, None)
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
    """Rows that one ``Bulk`` will write, each by itself or as ``fold`` makes them: in another order, or one of two."""

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
        rows = self._rows
        if not rows:
            self._waits(self.table)
        self._note((self, rows, len(rows)))
        rows.append(row)

    def extend(self, new: Iterable[Row]) -> None:
        rows = self._rows
        if not rows:
            self._waits(self.table)
        self._note((self, rows, len(rows)))
        rows += new

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
