"""kill -9 at every crash point, on every platform, on both databases, and an exact count of what every room shows."""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Callable, Iterable

import pytest

from tests.conftest import ROOT
from tests.faults.conftest import SEED, WHOLE, Note
from tests.faults.flock import FlockStage, Post
from tests.faults.matrix import (
    ENDING,
    FILES,
    INBOUND,
    KEEPING,
    LOSING,
    LOST,
    OUTBOUND,
    PARTS,
    PLACES,
    SWEEP,
    TAKING,
    Round,
    files_in,
    files_out,
    gaps,
    in_authors_names,
    parts,
    sample,
    whole,
)
from tests.faults.pieces import Picture
from tests.faults.play import Player
from tests.stage import until
from tests.syntax import tree

pytestmark = [
    pytest.mark.peer,
    pytest.mark.timeout(3600),
    # aiohttp's own reader of forms, where a portion of a large file ends amid a boundary.
    pytest.mark.filterwarnings("ignore:unread_data:DeprecationWarning"),
]

TABLES = (INBOUND, OUTBOUND, LOST, FILES, PLACES, SWEEP, PARTS, TAKING, KEEPING, LOSING, ENDING)
#: What `make test` takes for each database, what CI adds to it, and how many rounds a stage bears before it gets slow.
FEW, SOME, A_STAGE = 4, 40, 60


def _shares() -> list[list[Round]]:
    """The rounds of this run, a stage each."""
    rounds = whole() if WHOLE else sample(SOME, SEED)
    return [rounds[start : start + A_STAGE] for start in range(0, len(rounds), A_STAGE)]


def test_the_matrix_has_every_crash_point_of_the_code_and_no_other() -> None:
    named = {
        step for table in TABLES for trigger in table.values() for step in re.findall(r"\w+\.\w+", trigger)
    }
    assert named == {name for folder in ("core", "storage", "bots", "stormo") for name in _passed(folder)}


def test_every_point_of_the_matrix_has_a_round() -> None:
    rounds = {one.point for one in (*whole(), *files_in(), *files_out(), *parts())}
    assert rounds == {*INBOUND, *OUTBOUND, *FILES, *PLACES, *PARTS}


def _passed(folder: str) -> set[str]:
    """The first argument of every call of ``passing``; it has to be written out."""
    found = set()
    for file in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(tree(file)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "passing":
                name = node.args[0]
                assert isinstance(name, ast.Constant), f"{file}:{node.lineno}"
                found.add(str(name.value))
    return found


async def test_a_few_points(flock: FlockStage, note: Note) -> None:
    pieces = (*sample(1, "fixed", files_in), *sample(1, "fixed", parts))
    await _play(flock, [*sample(FEW, "fixed"), *pieces], note)


@pytest.mark.faults
@pytest.mark.parametrize("share", _shares(), ids=lambda share: f"from {share[0].point}")
async def test_many_points(flock: FlockStage, note: Note, share: list[Round]) -> None:
    await _play(flock, share, note)


@pytest.mark.faults
async def test_rather_a_gap_than_a_copy_twice(flock: FlockStage, note: Note) -> None:
    await flock.rather_gaps()
    await _play(flock, gaps() if WHOLE else _some_of(gaps()), note)


@pytest.mark.faults
async def test_in_their_authors_names(flock: FlockStage, note: Note) -> None:
    await flock.speak_as_authors()
    await _play(flock, in_authors_names() if WHOLE else _some_of(in_authors_names()), note)


@pytest.mark.faults
@pytest.mark.parametrize("way", [files_in, files_out, parts])
async def test_files_and_parts(flock: FlockStage, note: Note, way: Callable[[], Iterable[Round]]) -> None:
    await _play(flock, [*way()] if WHOLE else _some_of([*way()]), note)


@pytest.mark.faults
async def test_a_file_that_nothing_shows_any_more_goes(flock: FlockStage, note: Note) -> None:
    """Wherever that ends in between."""
    post = Post("discord", "flight 0f", pictures=[Picture.of("a file that goes")])
    await flock.publish(post)
    await until(lambda: flock.stored(post), "the post in the database")
    await flock.quiet()
    post.deleted = True
    await flock.delete(post)
    await until(lambda: flock.stored(post), "the deletion in the database")
    await flock.quiet()
    await flock.end()
    flock.age_store()
    for point in SWEEP.values():
        flock.launch(point)
        await flock.dead()
    await flock.restart()
    await flock.check_store("swept")
    assert not flock.ask(f"SELECT 1 FROM blobs WHERE digest = '{post.pictures[0].digest}'")
    note("points", "sweep", "files", _database(flock), await flock.count(post, "swept"))


def _some_of(rounds: list[Round]) -> list[Round]:
    return random.Random(SEED).sample(rounds, 6)


async def _play(flock: FlockStage, rounds: list[Round], note: Note) -> None:
    player = Player(flock, "points")
    await player.play(rounds)
    for one, counted in player.tally.items():
        note("points", f"{one.way}: {one.point}{' (gap)' * one.gap}", one.adapter, _database(flock), counted)
    assert len(player.tally) == len(rounds)


def _database(flock: FlockStage) -> str:
    return "postgresql" if flock.database.startswith("postgresql") else "sqlite"
