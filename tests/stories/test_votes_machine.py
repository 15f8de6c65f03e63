"""Votes against a plain model: accounts join, link and unlink, and react on several copies in any order."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.migrated import migrated_file
from tests.stories.world import Line, Person, World

ACCOUNTS = ("telegram:a", "telegram:b", "discord:c", "discord:d", "matrix:e")
COPIES = (0, 1, 2)
PLATFORM = ("telegram", "discord", "matrix")
EMOJI = ("👍", "❤")


pytestmark = pytest.mark.timeout(240)


@dataclass
class Model:
    """Who spoke last for whom. A member is a number; `spoke` outlives unlinking.

    `at`: when each signal was given; `acted`: when each member acted last, also where they took it back.
    """

    member: dict[str, int] = field(default_factory=dict)
    members: int = 0
    spoke: dict[str, int] = field(default_factory=dict)
    standing: dict[tuple[str, int, str], bool] = field(default_factory=dict)
    order: list[tuple[str, int, str]] = field(default_factory=list)
    vote: dict[int, str] = field(default_factory=dict)
    now: int = 0
    at: dict[tuple[str, int, str], int] = field(default_factory=dict)
    acted: dict[int, int] = field(default_factory=dict)

    def give(self, account: str, signal: tuple[str, int, str]) -> None:
        """`standing[signal]` says whether it may still be taken back as the one that counts."""
        member = self.member.get(account)
        self.standing[signal] = True
        if member is None:
            return
        mine = self.spoke.setdefault(account, member) == member
        if not mine or self.acted.get(member, 0) > self.at[signal]:
            self.standing[signal] = False
            return
        for other in self.standing:
            if other != signal and self.member.get(other[0]) == member:
                self.standing[other] = False
        self.vote[member] = account
        self.acted[member] = self.at[signal]

    def add(self, account: str, copy: int, emoji: str) -> None:
        signal = (account, copy, emoji)
        if signal not in self.standing:
            self.order.append(signal)
            self.at[signal] = self.now
            self.give(account, signal)

    def remove(self, account: str, copy: int, emoji: str) -> None:
        signal = (account, copy, emoji)
        if signal not in self.standing:
            return
        counts = self.standing.pop(signal)
        self.order.remove(signal)
        member = self.spoke.get(account)
        if counts and member is not None and self.vote.get(member) == account:
            del self.vote[member]
            self.acted[member] = self.now

    def bind(self, account: str, member: int) -> None:
        self.member[account] = member
        for signal in list(self.order):
            if signal[0] == account:
                self.give(account, signal)

    @property
    def tally(self) -> tuple[int, int]:
        guests = {a for a, _, _ in self.standing if a not in self.member and a not in self.spoke}
        return len(self.vote), len(guests)


class VotesMachine(RuleBasedStateMachine):
    """The core on SQLite in memory's stead: a file that is gone with the machine."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.world = self.runner.run(self._world())
        self.model = Model()
        self.people: dict[str, Person] = {}
        for name in ACCOUNTS:
            platform, _, key = name.partition(":")
            self.people[name] = self.world.person(platform, key)
        self.copies = self.runner.run(self._stage())

    async def _world(self) -> World:
        world = World(migrated_file(Path(self.folder.name) / "votes.sqlite"), made=True)
        await world.start()
        return world

    async def _stage(self) -> list[Line]:
        world = self.world
        rooms = [world.room(platform, f"room-{platform}") for platform in PLATFORM]
        await world.community(*rooms)
        for room in rooms[1:]:
            await world.mirrors(room, "room-telegram")
        author = await world.member("telegram", "author")
        own = await author.posts(rooms[0], "swifts")
        return [own, rooms[1].copies[0], rooms[2].copies[0]]

    def _on(self, account: str) -> tuple[Person, int, Line]:
        copy = PLATFORM.index(account.partition(":")[0])
        return self.people[account], copy, self.copies[copy]

    def _do(self, work: Any) -> None:
        self.model.now += 1
        self.runner.run(work)
        self.world.clock.advance(self.world.tick)

    @initialize(mouths=st.permutations(ACCOUNTS))
    def one_person_with_three_accounts(self, mouths: list[str]) -> None:
        """What unlinking leaves behind is seldom met by chance."""
        first, *others = mouths[:3]
        self.join(first)
        for other in others:
            self.link(first, other)

    @rule(account=st.sampled_from(ACCOUNTS), emoji=st.sampled_from(EMOJI), again=st.booleans())
    def add(self, account: str, emoji: str, again: bool) -> None:
        person, copy, line = self._on(account)
        event = person.reaction(line, emoji)
        self._do(self.world.hand(event, *([event] if again else [])))
        self.model.add(account, copy, emoji)

    @rule(account=st.sampled_from(ACCOUNTS), emoji=st.sampled_from(EMOJI))
    def remove(self, account: str, emoji: str) -> None:
        person, copy, line = self._on(account)
        self._do(self.world.hand(person.reaction(line, emoji, off=True)))
        self.model.remove(account, copy, emoji)

    @rule(account=st.sampled_from(ACCOUNTS), emoji=st.sets(st.sampled_from((*EMOJI, "🎉"))))
    def whole(self, account: str, emoji: set[str]) -> None:
        person, copy, line = self._on(account)
        ordered = sorted(emoji)
        self._do(self.world.hand(person.reaction(line, *ordered, whole=True)))
        for other in sorted(set(EMOJI) - emoji):
            self.model.remove(account, copy, other)
        for one in ordered:
            if one in EMOJI:
                self.model.add(account, copy, one)

    @rule(account=st.sampled_from(ACCOUNTS))
    def join(self, account: str) -> None:
        person = self.people[account]
        self._do(person.runs(person.private, "join"))
        if account not in self.model.member:
            self.model.members += 1
            self.model.bind(account, self.model.members)

    @rule(first=st.sampled_from(ACCOUNTS), second=st.sampled_from(ACCOUNTS))
    def link(self, first: str, second: str) -> None:
        if first not in self.model.member or second in self.model.member:
            return
        self._do(self.world.link(self.people[first], self.people[second]))
        self.model.bind(second, self.model.member[first])

    @rule(account=st.sampled_from(ACCOUNTS))
    def unlink(self, account: str) -> None:
        member = self.model.member.get(account)
        alone = sum(m == member for m in self.model.member.values()) == 1
        person = self.people[account]
        self._do(person.runs(person.private, "unlink"))
        if member is not None and not alone:
            del self.model.member[account]

    @precondition(lambda self: self.model.standing)
    @rule()
    def restart(self) -> None:
        self._do(self.world.restart())

    @invariant()
    def the_tally_is_the_model_s(self) -> None:
        if hasattr(self, "copies"):
            rows = self.runner.run(self.world.rows("SELECT score, guests FROM posts"))
            assert rows == [self.model.tally]

    def teardown(self) -> None:
        self.runner.run(self.world.stop())
        self.runner.close()
        self.folder.cleanup()


VotesMachine.TestCase.settings = settings(
    max_examples=20, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
TestVotes = VotesMachine.TestCase
