"""kill -9 at every crash point, on every platform, on both databases, and an exact count of what every room shows."""

from __future__ import annotations

import ast
import os
import re

import pytest

from tests.conftest import ROOT
from tests.faults.flock import FlockStage
from tests.faults.matrix import INBOUND, OUTBOUND, Round, sample, whole
from tests.faults.play import Player

pytestmark = [pytest.mark.peer, pytest.mark.timeout(3600)]

#: What `make test` takes for each database, what CI adds to it, and how many rounds a stage bears before it gets slow.
FEW, SOME, A_STAGE = 4, 60, 60


def _shares() -> list[list[Round]]:
    """The rounds of this run, a stage each."""
    if os.environ.get("STORMO_FAULTS") == "all":
        rounds = whole()
    else:
        rounds = sample(SOME, os.environ.get("STORMO_FAULTS_SEED", "sample"))
    return [rounds[start : start + A_STAGE] for start in range(0, len(rounds), A_STAGE)]


def test_the_matrix_has_every_crash_point_of_the_code_and_no_other() -> None:
    triggers = (*INBOUND.values(), *OUTBOUND.values())
    named = {step for trigger in triggers for step in re.findall(r"\w+\.\w+", trigger)}
    assert named == {name for folder in ("core", "storage", "bots", "stormo") for name in _passed(folder)}


def _passed(folder: str) -> set[str]:
    """The first argument of every call of ``passing``; it has to be written out."""
    found = set()
    for file in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "passing":
                name = node.args[0]
                assert isinstance(name, ast.Constant), f"{file}:{node.lineno}"
                found.add(str(name.value))
    return found


async def test_a_few_points(flock: FlockStage) -> None:
    player = Player(flock, "fixed")
    await player.play(sample(FEW, "fixed"))
    assert len(player.tally) == FEW


@pytest.mark.faults
@pytest.mark.parametrize("share", _shares(), ids=lambda share: f"from {share[0].point}")
async def test_many_points(flock: FlockStage, share: list[Round]) -> None:
    player = Player(flock, "many")
    await player.play(share)
    assert len(player.tally) == len(share)
