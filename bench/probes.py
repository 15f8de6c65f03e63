"""The raw scripts that the engine is measured against: the same rows by the bare driver, 100 acts a transaction.

They decide nothing, look nothing up and answer nobody. Tallies and wanted versions are moved once per post and
transaction, as the engine does it.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing

import psycopg

from bench.acts import COLUMNS, ROW, Act, moved

ACTS = 100
MOVE_SCORE = "UPDATE posts SET score = score + ?, version = version + 1 WHERE id = ?"
MOVE_WANTED = "UPDATE outbox SET wanted = wanted + 1, due = 1, rank = 3, ready_at = ? WHERE thing_id = ?"
COUNT_POSTS = "UPDATE members SET posts = posts + ? WHERE id = ?"
_TEXTS = frozenset(
    "key message_key emoji ref_key visibility body source dialect tag kind verb payload".split()  # noqa: SIM905
)


def _batches(acts: Sequence[Act]) -> list[tuple[dict[str, list[ROW]], dict[int, int], dict[int, int]]]:
    """Rows by table, votes by post and posts by author for each transaction, made before any clock runs."""
    batches = []
    for first in range(0, len(acts), ACTS):
        some = acts[first : first + ACTS]
        rows = {table: [row for act in some for row in act.rows.get(table, ())] for table in COLUMNS}
        batches.append(({table: found for table, found in rows.items() if found}, *moved(some)))
    return batches


def sqlite(path: str, acts: Sequence[Act]) -> float:
    """Seconds that a plain sqlite3 script takes: WAL, synchronous FULL, ``executemany`` per table."""
    inserts = {
        table: f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
        for table, names in COLUMNS.items()
    }
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        batches, cursor = _batches(acts), connection.cursor()
        began = time.perf_counter()
        now = time.time_ns() // 1000
        for rows, votes, written in batches:
            cursor.execute("BEGIN IMMEDIATE")
            for table, found in rows.items():
                cursor.executemany(inserts[table], found)
            cursor.executemany(MOVE_SCORE, [(more, post) for post, more in votes.items()])
            cursor.executemany(MOVE_WANTED, [(now, post) for post in votes])
            cursor.executemany(COUNT_POSTS, [(more, member) for member, more in written.items()])
            cursor.execute("COMMIT")
        return time.perf_counter() - began


def sqlite_by_rows(path: str, acts: Sequence[Act]) -> float:
    """Seconds that the same script takes with one ``execute`` a row, act by act: printed beside, never the bar."""
    inserts = {
        table: f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
        for table, names in COLUMNS.items()
    }
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        cursor = connection.cursor()
        began = time.perf_counter()
        now = time.time_ns() // 1000
        for first in range(0, len(acts), ACTS):
            some = acts[first : first + ACTS]
            cursor.execute("BEGIN IMMEDIATE")
            for act in some:
                for table, found in act.rows.items():
                    for row in found:
                        cursor.execute(inserts[table], row)
            votes, written = moved(some)
            for post, more in votes.items():
                cursor.execute(MOVE_SCORE, (more, post))
                cursor.execute(MOVE_WANTED, (now, post))
            for member, more in written.items():
                cursor.execute(COUNT_POSTS, (more, member))
            cursor.execute("COMMIT")
        return time.perf_counter() - began


def _array(name: str) -> str:
    return f"%s::{'text' if name in _TEXTS else 'bigint'}[]"


def postgres(url: str, acts: Sequence[Act]) -> float:
    """Seconds that a raw psycopg script takes: one array insert per table and transaction."""
    inserts = {
        table: f"INSERT INTO {table} ({', '.join(names)}) SELECT * FROM unnest({', '.join(map(_array, names))})"
        for table, names in COLUMNS.items()
    }
    pairs = "unnest(%s::bigint[], %s::bigint[]) AS m (id, more)"
    score = f"UPDATE posts p SET score = score + m.more, version = version + 1 FROM {pairs} WHERE p.id = m.id"
    wanted = (
        "UPDATE outbox SET wanted = wanted + 1, due = 1, rank = 3, ready_at = %s "
        "WHERE thing_id = ANY(%s::bigint[])"
    )
    count = f"UPDATE members p SET posts = posts + m.more FROM {pairs} WHERE p.id = m.id"
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.prepare_threshold = 3
        batches, cursor = _batches(acts), connection.cursor()
        began = time.perf_counter()
        now = time.time_ns() // 1000
        for rows, votes, written in batches:
            cursor.execute("BEGIN")
            for table, found in rows.items():
                cursor.execute(inserts[table].encode(), [list(column) for column in zip(*found, strict=True)])
            if votes:
                cursor.execute(score.encode(), [list(votes), list(votes.values())])
                cursor.execute(wanted.encode(), [now, list(votes)])
            if written:
                cursor.execute(count.encode(), [list(written), list(written.values())])
            cursor.execute("COMMIT")
        return time.perf_counter() - began
