"""Durable events through the whole engine, against raw scripts that write the same rows.

Real writer thread, rules, inbox keys and schema; 256 callers wait for their answers. Engine and probe take turns on
fresh copies of one database, and the medians of the ratios of each turn are compared with the bar: the machine may be
shared, and both sides of a turn suffer from the same neighbours.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import psycopg
from psycopg import sql

from bench import acts as world
from bench import probes
from bench.acts import Act, acts
from core.engine import Engine
from core.events import Inbound
from core.scene import Rules
from storage.database import Readers, open_engine
from storage.migrate import upgrade
from storage.writer import Writer
from stormo.clock import SystemClock
from stormo.gate import EngineGate
from stormo.memory import settle_garbage
from tests.postgres import SETTINGS, PostgresServer

CALLERS = 256
KINDS = ("reactions", "posts", "mixed", "hot")
#: The least median ratio to the probe, by database and kind; and the most milliseconds of one caller's median.
BAR: dict[str, dict[str, float]] = {
    "sqlite": {"reactions": 0.65, "posts": 0.45, "mixed": 0.6},
    "postgres": {"reactions": 0.6, "posts": 0.45, "mixed": 0.4},
}
BAR_ONE_CALLER_MS = 1.0
#: Seconds of work between two looks at the loop's other tasks.
_SPIN = 0.002
#: What a database must hold alike after engine and probe did the same acts.
_SAME = (
    *(f"SELECT count(*) FROM {table}" for table in world.COLUMNS),
    "SELECT sum(score) FROM posts",
    "SELECT sum(due), sum(rank) FROM outbox",
    "SELECT sum(posts) FROM members",
    # From here on it depends on how many acts on one post a transaction holds.
    "SELECT sum(version) FROM posts",
    "SELECT sum(wanted) FROM outbox",
)


class Databases(Protocol):
    """Fresh copies of one seeded database."""

    def fresh(self) -> AbstractContextManager[str]: ...
    def probe(self, url: str, acts: Sequence[Act]) -> float: ...
    def ask(self, url: str) -> list[tuple[Any, ...]]: ...


class SqliteFiles:
    def __init__(self, folder: Path, others: int) -> None:
        self._folder = folder
        self._seed = folder / "seed.sqlite"
        url = f"sqlite:///{self._seed}"
        upgrade(url)
        engine = open_engine(url)
        world.seed(engine, others)
        engine.dispose()
        with closing(sqlite3.connect(self._seed)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextmanager
    def fresh(self) -> Iterator[str]:
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        shutil.copy(self._seed, folder / "stormo.sqlite")
        yield f"sqlite:///{folder / 'stormo.sqlite'}"
        shutil.rmtree(folder)

    def probe(self, url: str, acts: Sequence[Act]) -> float:
        return probes.sqlite(url.removeprefix("sqlite:///"), acts)

    def probe_by_rows(self, acts: Sequence[Act]) -> float:
        with self.fresh() as url:
            return probes.sqlite_by_rows(url.removeprefix("sqlite:///"), acts)

    def ask(self, url: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            return [connection.execute(question).fetchone() for question in _SAME]


class PostgresDatabases:
    def __init__(self, server: PostgresServer, others: int) -> None:
        self._server = server
        self._seed = server.create_database()
        self._count = 0
        upgrade(server.url(self._seed))
        engine = open_engine(server.url(self._seed))
        world.seed(engine, others)
        engine.dispose()
        with psycopg.connect(self._plain(self._seed), autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")

    def _plain(self, name: str) -> str:
        return self._server.url(name).replace("+psycopg", "")

    @contextmanager
    def fresh(self) -> Iterator[str]:
        self._count += 1
        name = f"bench_{self._count}"
        with psycopg.connect(self._plain("postgres"), autocommit=True) as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                    sql.Identifier(name), sql.Identifier(self._seed)
                )
            )
            connection.execute("CHECKPOINT")
        yield self._server.url(name)
        self._server.drop_database(name)

    def probe(self, url: str, acts: Sequence[Act]) -> float:
        return probes.postgres(url, acts)

    def ask(self, url: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(url.replace("+psycopg", "")) as connection:
            found = [connection.execute(question.encode()).fetchone() for question in _SAME]
        return [tuple(map(int, row or ())) for row in found]


# -- the engine's side -----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Run:
    """Seconds for all acts, and of each caller's wait."""

    seconds: float
    waits: list[float]

    def percentile(self, part: float) -> float:
        """Milliseconds."""
        return round(sorted(self.waits)[min(int(len(self.waits) * part), len(self.waits) - 1)] * 1000, 3)


@contextmanager
def opened(url: str) -> Iterator[EngineGate]:
    """The way of an event as the program wires it, without platforms."""
    engine, clock = open_engine(url), SystemClock()
    rules = Engine(Rules(instance="bench", key=b"bench" * 8))
    writer = Writer(engine, clock, rules.settle, lambda _chats: None, read_ahead=rules.read_ahead)
    readers = Readers(engine, clock)
    writer.start()
    settle_garbage()
    try:
        yield EngineGate(writer, readers, rules)
    finally:
        writer.close()
        readers.close()
        engine.dispose()
        gc.unfreeze()


async def drive(gate: EngineGate, events: Sequence[Inbound], callers: int, busy: float = 0.0) -> Run:
    """Hands over all events, each by a caller that waits for its answer before it takes the next one."""
    left = iter(events)
    waits: list[float] = []

    async def caller() -> None:
        for event in left:
            began = time.perf_counter()
            await gate.handle(event)
            waits.append(time.perf_counter() - began)

    other = asyncio.create_task(occupy(busy)) if busy else None
    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    seconds = time.perf_counter() - began
    if other is not None:
        other.cancel()
    return Run(seconds, waits)


async def occupy(part: float) -> None:
    """Keeps the event loop busy for this part of its time."""
    while True:
        until = time.perf_counter() + _SPIN
        while time.perf_counter() < until:
            pass
        await asyncio.sleep(_SPIN / part - _SPIN)


def engine_run(url: str, some: Sequence[Act], callers: int = CALLERS, busy: float = 0.0) -> Run:
    with opened(url) as gate:
        return asyncio.run(drive(gate, [act.event for act in some], callers, busy))


# -- turns -----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Turns:
    """What the turns of one kind of act gave."""

    engine: list[float] = field(default_factory=list)
    probe: list[float] = field(default_factory=list)
    ratio: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, float]:
        return {
            "engine_per_s": round(statistics.median(self.engine)),
            "probe_per_s": round(statistics.median(self.probe)),
            "ratio": round(statistics.median(self.ratio), 3),
            "ratio_least": round(min(self.ratio), 3),
            "ratio_most": round(max(self.ratio), 3),
            "p50_ms": round(statistics.median(self.p50), 2),
            "p99_ms": round(statistics.median(self.p99), 2),
        }


def take_turns(databases: Databases, kind: str, count: int, rounds: int) -> Turns:
    """Raises ``AssertionError`` when engine and probe leave different rows: then nothing was compared."""
    some, turns = acts(kind, count, datetime.now(UTC)), Turns()
    for _ in range(rounds):
        with databases.fresh() as url:
            run = engine_run(url, some)
            ours = databases.ask(url)
        with databases.fresh() as url:
            seconds = databases.probe(url, some)
            theirs = databases.ask(url)
        alike = len(_SAME) - 2 if kind == "hot" else len(_SAME)
        assert ours[:alike] == theirs[:alike], f"{kind}: the engine left {ours}, the probe {theirs}"
        turns.engine.append(count / run.seconds)
        turns.probe.append(count / seconds)
        turns.ratio.append(seconds / run.seconds)
        turns.p50.append(run.percentile(0.5))
        turns.p99.append(run.percentile(0.99))
    return turns


def one_caller(databases: Databases, count: int, rounds: int) -> dict[str, float]:
    """Milliseconds that a single caller waits for a reaction."""
    some = acts("reactions", count, datetime.now(UTC))
    runs = []
    for _ in range(rounds):
        with databases.fresh() as url:
            runs.append(engine_run(url, some, callers=1))
    return {
        "p50_ms": statistics.median(run.percentile(0.5) for run in runs),
        "p99_ms": statistics.median(run.percentile(0.99) for run in runs),
    }


def beside_a_busy_loop(databases: Databases, count: int, rounds: int) -> dict[str, dict[str, float]]:
    """Reactions while something else takes half of the event loop's time, and all of it."""
    some = acts("reactions", count, datetime.now(UTC))
    figures: dict[str, dict[str, float]] = {}
    for name, part in (("half", 0.5), ("fully", 1.0)):
        runs = []
        for _ in range(rounds):
            with databases.fresh() as url:
                runs.append(engine_run(url, some, busy=part))
        figures[name] = {
            "engine_per_s": round(statistics.median(count / run.seconds for run in runs)),
            "p50_ms": statistics.median(run.percentile(0.5) for run in runs),
            "p99_ms": statistics.median(run.percentile(0.99) for run in runs),
        }
    return figures


# -- the whole -------------------------------------------------------------------------------------------------------


def measure(name: str, databases: Databases, options: argparse.Namespace) -> dict[str, Any]:
    count = options.events if name == "sqlite" else options.events // 4
    figures: dict[str, Any] = {}
    for kind in options.kinds:
        figures[kind] = take_turns(databases, kind, count, options.rounds).figures()
        if isinstance(databases, SqliteFiles):
            seconds = databases.probe_by_rows(acts(kind, count, datetime.now(UTC)))
            figures[kind]["probe_by_rows_per_s"] = round(count / seconds)
        print(f"{name:8} {kind:9} {figures[kind]}", flush=True)
    if not options.extras:
        return figures
    figures["one_caller"] = one_caller(databases, max(count // 8, 200), options.rounds)
    print(f"{name:8} one caller {figures['one_caller']}", flush=True)
    if name == "sqlite":
        figures["busy_loop"] = beside_a_busy_loop(databases, max(count // 8, 200), min(options.rounds, 3))
        print(f"{name:8} busy loop {figures['busy_loop']}", flush=True)
    return figures


def missed(figures: dict[str, dict[str, Any]]) -> list[str]:
    """Every bar that these figures do not reach."""
    found = []
    for name, bars in BAR.items():
        ratios = figures.get(name, {})
        found += [
            f"{name} {kind}" for kind, bar in bars.items() if ratios.get(kind, {}).get("ratio", 0) < bar
        ]
    caller: dict[str, float] = figures.get("sqlite", {}).get("one_caller", {})
    if caller.get("p50_ms", BAR_ONE_CALLER_MS) >= BAR_ONE_CALLER_MS:
        found.append("sqlite one_caller")
    return found


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench writes")
    parser.add_argument("--database", choices=["sqlite", "postgres"], action="append", dest="databases")
    parser.add_argument("--kind", choices=KINDS, action="append", dest="kinds")
    parser.add_argument("--events", type=int, default=8000, help="acts a turn; a quarter of it on PostgreSQL")
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--others", type=int, default=100, help="rooms that mirror something else")
    parser.add_argument("--no-extras", action="store_false", dest="extras", help="only the turns")
    options = parser.parse_args(arguments)
    options.databases = options.databases or ["sqlite", "postgres"]
    options.kinds = options.kinds or list(KINDS)
    return options


def main(arguments: Sequence[str]) -> int:
    options = _options(arguments)
    openers: dict[str, Callable[[ExitStack], Databases]] = {
        "sqlite": lambda stack: SqliteFiles(
            Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stormo-bench-"))), options.others
        ),
        "postgres": lambda stack: PostgresDatabases(
            stack.enter_context(PostgresServer(durable(SETTINGS))), options.others
        ),
    }
    figures = {}
    for name in options.databases:
        with ExitStack() as stack:
            figures[name] = measure(name, openers[name](stack), options)
    short = missed(figures)
    bar = BAR | {"sqlite_one_caller_p50_ms": BAR_ONE_CALLER_MS}
    print(json.dumps({"bench": "writes", "figures": figures, "bar": bar, "missed": short, "ok": not short}))
    return 0


def durable(settings: Sequence[str]) -> tuple[str, ...]:
    """The tests' settings without those that would make a commit cheaper than it is."""
    return tuple(s for s in settings if not s.startswith(("fsync=", "full_page_writes=")))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
