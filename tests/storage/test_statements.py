"""Every statement is one that both databases take, and the hot ones find their rows through an index."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import psycopg
import pytest
from sqlalchemy import ARRAY, Engine, String, Text, select
from sqlalchemy.sql.compiler import SQLCompiler

from core.types import ThingKind
from storage import (
    boosts,
    communities,
    copies,
    folds,
    intake,
    lanes,
    media,
    notices,
    outbox,
    people,
    placing,
    posts,
    reports,
    sight,
    timelines,
    tries,
    unit,
    votes,
)
from storage import tables as t
from storage.database import Link
from storage.statements import DIALECTS, Build, Runner, Statement
from tests.storage.rows import a_member

MODULES: tuple[ModuleType, ...] = (
    boosts,
    communities,
    copies,
    folds,
    intake,
    lanes,
    media,
    notices,
    outbox,
    people,
    placing,
    posts,
    reports,
    sight,
    timelines,
    tries,
    unit,
    votes,
)
STATEMENTS = {
    f"{module.__name__.partition('.')[2]}.{name}": value
    for module in MODULES
    for name, value in vars(module).items()
    if isinstance(value, Statement)
}
HOT = (
    "posts",
    "outbox",
    "copies",
    "signals",
    "votes",
    "inbox",
    "tries",
    "vote_accounts",
    "revisions",
    "mirrors",
    "enclosures",
    "blobs",
    "boosts",
)
#: Statements that may read a whole hot table, and why.
WHOLE = {
    "outbox.STATES": "what an operator asks for: every row counts",
    "outbox.REFUSED": "what an operator asks for, newest first along the things, two hundred at most",
    "tries.TRIES": "read once, at the start, when there are as many rows as calls were open",
    "sight.OPEN_TRIES": "as many rows as calls are open or in doubt",
    "media.TOTAL": "once for each new file",
    "media.FORGET": "the housekeeping",
    "timelines.HOME": "newest first along the key, until the timelines get their own paths",
    "timelines.LATEST_IN": "newest first along the key, one row",
    "votes.FORGET_GUESTS": "the daily housekeeping",
    "votes.VOTES_BY": "two members become one, or one asks for their data",
    "votes.MOVE_SPEAKERS": "two members become one",
}


def _binds(statement: Statement, dialect: str) -> dict[str, Any]:
    compiled = statement._build(Build(dialect)).compile(dialect=DIALECTS[dialect])
    assert isinstance(compiled, SQLCompiler)
    return dict(compiled.binds)


def _sample(kind: Any) -> Any:
    if isinstance(kind, ARRAY):
        return [_sample(kind.item_type), _sample(kind.item_type)]
    return "x" if isinstance(kind, (String, Text)) else 1


def samples(statement: Statement) -> dict[str, Any]:
    """One value of the right type for each parameter."""
    return {
        name: _sample(bind.type)
        for name, bind in _binds(statement, "postgresql").items()
        if bind.value is None
    }


@contextmanager
def _link(engine: Engine) -> Iterator[Link]:
    link = Link(engine, read_only=False)
    link.begin()
    try:
        yield link
    finally:
        link.rollback()
        link.close()


def plan(link: Link, statement: Statement) -> list[str]:
    """The database's plan, a line a step."""
    form = statement.compiled(link.dialect)
    run = Runner(link.cursor, link.dialect)
    words = "EXPLAIN QUERY PLAN " if link.dialect == "sqlite" else "EXPLAIN "
    link.cursor.execute(words + form.sql, run._bind(samples(statement)))
    return [str(row[-1]) for row in link.cursor.fetchall()]


def test_there_are_statements_to_look_at() -> None:
    assert len(STATEMENTS) > 100


@pytest.mark.parametrize("name", STATEMENTS)
def test_both_dialects_ask_for_the_same_parameters(name: str) -> None:
    statement = STATEMENTS[name]
    sqlite, postgres = (
        {n for n, b in _binds(statement, dialect).items() if b.value is None}
        for dialect in ("sqlite", "postgresql")
    )
    assert sqlite == postgres


def test_every_statement_is_accepted_and_runs(schema: Engine) -> None:
    """EXPLAIN takes each, and so does the database itself on an empty schema, foreign keys apart."""
    with _link(schema) as link:
        run = Runner(link.cursor, link.dialect)
        for name, statement in STATEMENTS.items():
            assert plan(link, statement) or link.dialect == "sqlite", name
            link.cursor.execute("SAVEPOINT one")
            try:
                run.run(statement, **samples(statement))
            except Exception as error:  # noqa: BLE001
                # A made-up parent is the only thing that may be missing.
                assert "foreign key" in str(error).lower(), f"{name}: {error}"  # noqa: PT017
            link.cursor.execute("ROLLBACK TO SAVEPOINT one")


@pytest.mark.parametrize("name", [n for n in STATEMENTS if n not in WHOLE])
def test_no_statement_scans_a_hot_table(name: str, sqlite_schema: Engine) -> None:
    with _link(sqlite_schema) as link:
        steps = plan(link, STATEMENTS[name])
    scans = [s for s in steps if (m := re.match(r"SCAN (\w+)", s)) and m[1] in HOT]
    # A covering walk over the few rows of a partial index is what these are built on.
    assert [s for s in scans if "ix_outbox_" not in s] == []


def test_the_exceptions_are_needed(sqlite_schema: Engine) -> None:
    with _link(sqlite_schema) as link:
        free = [n for n in WHOLE if not any(re.match(r"SCAN ", s) for s in plan(link, STATEMENTS[n]))]
    assert free == []


LANE = ("NEXT", "NEXT_NOTICE", "NEXT_EXEMPT", "SOONEST", "FIRST_SENDS", "RETRIED_BEFORE")


@pytest.mark.parametrize("name", LANE)
def test_a_lane_looks_only_at_what_is_due(name: str, sqlite_schema: Engine) -> None:
    """Its reads use an index of the due rows alone: a chat with a long past costs no more than a new one."""
    with _link(sqlite_schema) as link:
        steps = plan(link, STATEMENTS[f"lanes.{name}"])
    assert any("ix_outbox_due" in s or "ix_outbox_ready" in s for s in steps), steps


def test_on_postgres_the_lane_reads_use_the_index_of_due_rows(postgres_schema: Engine) -> None:
    with _link(postgres_schema) as link:
        link.cursor.execute("SET LOCAL enable_seqscan = off")
        for name in ("NEXT", "SOONEST", "FIRST_SENDS"):
            steps = plan(link, STATEMENTS[f"lanes.{name}"])
            assert any("ix_outbox_due" in s or "ix_outbox_ready" in s for s in steps), (name, steps)


@pytest.mark.parametrize("dialect", list(DIALECTS))
def test_a_set_of_keys_is_one_parameter(dialect: str) -> None:
    compiled = people.MEMBERS_BY_ID.compiled(dialect)
    assert compiled.names == {"ids"}
    assert compiled is people.MEMBERS_BY_ID.compiled(dialect)


@pytest.mark.parametrize("size", [0, 1, 40_000])
def test_sets_of_any_size(unit: unit.SqlUnit, size: int) -> None:
    """Also more keys than either database takes parameters."""
    member = a_member(unit)
    found = unit.people.members([member, *range(1, size)][:size])
    assert set(found) == ({member} if size else set())


def test_sets_of_text_hold_any_letters(unit: unit.SqlUnit) -> None:
    slug = Statement(lambda d: select(t.bookmarks.c.scope).where(d.among(t.bookmarks.c.scope, "keys")))
    keys = ['"', "\\", "{a,b}", "NULL", "😀", "a'b", ""]
    for key in keys:
        unit.intake.set_bookmark(key, "1")
    assert sorted(row[0] for row in unit._run.all(slug, keys=keys)) == sorted(keys)
    assert unit._run.all(slug, keys=[]) == []


def test_values_of_enumerations_are_stored_as_their_text(unit: unit.SqlUnit) -> None:
    """In a set too: psycopg would write an enumeration's name instead."""
    kinds = Statement(lambda d: select(t.meta.c.value).where(d.among(t.meta.c.value, "kinds")))
    unit.intake.set_meta("kind", ThingKind.POST)
    assert unit._run.all(kinds, kinds=[ThingKind.POST]) == [("post",)]
    assert type(unit.intake.meta("kind")) is str


def test_a_parameter_that_was_forgotten_is_an_error(unit: unit.SqlUnit) -> None:
    with pytest.raises((sqlite3.ProgrammingError, psycopg.ProgrammingError), match="chat"):
        unit._run.run(outbox.DELIVERY, thing=1)
