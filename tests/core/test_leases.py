"""Two clocks that disagree, requests that take their time, processes that stop: one sender all the same."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule

from core.errors import LeaseLost
from core.leases import LIFE, MARGIN, RENEWED_EVERY, Leases
from core.types import Platform

BOT = Platform("telegram")
LIFE_SECONDS, MARGIN_SECONDS = LIFE.total_seconds(), MARGIN.total_seconds()
#: How much faster or slower than true time a clock may run: twenty times what quartz does.
DRIFT = 0.001
#: What all drifts together make of one lease.
TOLERANCE = LIFE_SECONDS * DRIFT * 2 + 1e-6


class Drifting:
    """A process's monotonic clock: it began anywhere, and runs a little too fast or too slow."""

    def __init__(self, world: World, offset: float, drift: float) -> None:
        self._world, self._offset, self._rate = world, offset, 1 + drift

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return self._offset + self._world.time * self._rate

    async def wait(self, woken: asyncio.Event, until: datetime | None) -> None:
        raise NotImplementedError


class World:
    """True time, and the row with the database's clock."""

    def __init__(self, drift: float) -> None:
        self.time = 0.0
        self._rate = 1 + drift
        self.epoch, self.expires = 0, 0.0

    @property
    def clock(self) -> float:
        return self.time * self._rate

    def take(self) -> int | None:
        if self.expires > self.clock:
            return None
        self.epoch += 1
        self.expires = self.clock + LIFE_SECONDS
        return self.epoch

    def renew(self, epoch: int) -> int | None:
        if epoch != self.epoch:
            return None
        self.expires = self.clock + LIFE_SECONDS
        return epoch


@dataclass(eq=False)
class Process:
    clock: Drifting
    leases: Leases
    epoch: int = 0


@dataclass(eq=False)
class Request:
    """On its way to the database, with what the process noted before it asked."""

    process: Process
    asked: float
    renews: int | None


@dataclass(eq=False)
class Answer:
    request: Request
    epoch: int | None


class Owners(RuleBasedStateMachine):
    """Three processes strive for one token."""

    requests, answers = Bundle("requests"), Bundle("answers")

    def __init__(self) -> None:
        super().__init__()
        self.world = World(0)
        self.processes: list[Process] = []
        self.written = 0

    @precondition(lambda self: len(self.processes) < 3)
    @rule(offset=st.floats(0, 1e6), drift=st.floats(-DRIFT, DRIFT))
    def starts(self, offset: float, drift: float) -> None:
        clock = Drifting(self.world, offset, drift)
        self.processes.append(Process(clock, Leases(clock)))

    @rule(seconds=st.floats(0, LIFE_SECONDS * 1.2))
    def time_passes(self, seconds: float) -> None:
        self.world.time += seconds

    @precondition(lambda self: self.processes)
    @rule(target=requests, data=st.data())
    def asks(self, data: st.DataObject) -> Request:
        process = data.draw(st.sampled_from(self.processes))
        held = process.leases.left(BOT) > 0
        return Request(process, process.clock.monotonic(), process.epoch if held else None)

    @rule(target=answers, request=consumes(requests))
    def the_database_is_asked(self, request: Request) -> Answer:
        """However late; a renewal is not even tried by who believes that it came too late."""
        if request.renews is None:
            return Answer(request, self.world.take())
        late = request.process.leases.left(BOT) <= 0 or request.process.epoch != request.renews
        return Answer(request, None if late else self.world.renew(request.renews))

    @rule(answer=consumes(answers))
    def the_answer_comes(self, answer: Answer) -> None:
        process = answer.request.process
        if answer.epoch is None:
            process.leases.drop(BOT)
        else:
            process.epoch = answer.epoch
            process.leases.hold(BOT, answer.epoch, answer.request.asked)

    @precondition(lambda self: self.processes)
    @rule(data=st.data())
    def calls(self, data: st.DataObject) -> None:
        """No other process may begin before this one has had its margin."""
        process = data.draw(st.sampled_from(self.processes))
        if process.leases.may_call(BOT):
            assert process.leases.epoch(BOT) == self.world.epoch
            assert self.world.expires - self.world.clock >= MARGIN_SECONDS - TOLERANCE

    @precondition(lambda self: self.processes)
    @rule(data=st.data())
    def writes(self, data: st.DataObject) -> None:
        """In the name of the epoch that it had, whatever it believes: only the newest one's is committed."""
        process = data.draw(st.sampled_from(self.processes))
        if process.epoch and process.epoch == self.world.epoch:
            assert process.epoch >= self.written
            self.written = process.epoch

    @invariant()
    def one_at_most_believes_that_it_is_the_owner(self) -> None:
        owners = [p for p in self.processes if p.leases.left(BOT) > TOLERANCE]
        assert len(owners) <= 1
        assert all(p.leases.epoch(BOT) == self.world.epoch for p in owners)


TestOwners = Owners.TestCase
TestOwners.settings = settings(stateful_step_count=40)


def test_three_renewals_may_fail_before_nothing_is_sent() -> None:
    assert LIFE - 3 * RENEWED_EVERY >= MARGIN


def test_who_is_alone_needs_no_lease() -> None:
    leases = Leases(Drifting(World(0), 0, 0), alone=[BOT])
    assert leases.platforms == [BOT]
    assert leases.may_call(BOT)
    assert leases.epoch(BOT) == 0


def test_what_is_lost_has_no_epoch() -> None:
    world = World(0)
    leases = Leases(Drifting(world, 5, 0))
    leases.hold(BOT, 7, asked=5)
    assert (leases.platforms, leases.epoch(BOT)) == ([BOT], 7)
    world.time = LIFE_SECONDS - MARGIN_SECONDS + 1
    assert leases.platforms == [BOT]
    assert not leases.may_call(BOT)
    world.time = LIFE_SECONDS
    assert leases.platforms == []
    with pytest.raises(LeaseLost):
        leases.epoch(BOT)
