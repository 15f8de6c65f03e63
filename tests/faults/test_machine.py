"""Whatever people, platforms and crashes do in whatever order: each room ends with what the model says, and once.

The real engine, courier and database of a story's world; platforms on paper. A crash is an end at a named crash point:
from then on no step of the old process has any effect, and what it had not acknowledged comes again after the start.
"""

from __future__ import annotations

import asyncio
import threading
import unittest
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, event, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from core import crashpoints
from core.errors import RetryLater
from core.events import Inbound, MessageDeleted
from core.types import Platform
from tests.faults.conftest import WHOLE
from tests.faults.matrix import INBOUND, OUTBOUND
from tests.migrated import migrated_file
from tests.stories.world import Line, Person, Room, World

pytestmark = [
    pytest.mark.timeout(1800),
    # A writer whose process has ended ends, too.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]

#: What lies in the core and the writer; adapters are on paper here.
POINTS = sorted(
    {
        step.partition("@")[0]
        for trigger in (*INBOUND.values(), *OUTBOUND.values())
        for step in trigger.split(">")
        if step.startswith(("outbound.", "writer.", "inbound.claimed", "inbound.done"))
    }
)
#: Where a repeat is recognised.
KEYED = ("discord", "matrix")
#: Longer than any pause between two tries.
CALM = timedelta(minutes=3)
CRASHES = st.none() | st.tuples(st.sampled_from(POINTS), st.integers(1, 6))
Crash = tuple[str, int] | None
#: Which of those that there are.
WHICH = st.integers(0, 1000)
T = TypeVar("T")


class Ended(BaseException):
    """The process has ended: raised by whatever would go on."""


class Death:
    """Ends a process in its own process: at the n-th passage of a point, and at every point from then on."""

    def __init__(self, point: str, number: int, ended: asyncio.Event) -> None:
        self._point, self._left = point, number
        self._ended, self._loop = ended, asyncio.get_running_loop()
        self._lock = threading.Lock()

    def __call__(self, name: str, _platform: str) -> None:
        with self._lock:
            self._left -= name == self._point
            if self._left > 0:
                return
        self._loop.call_soon_threadsafe(self._ended.set)
        raise Ended


def _unless_ended(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Nobody is left to ask for the answers that the dead process owed."""
    if not isinstance(context.get("exception"), Ended):
        loop.default_exception_handler(context)


@dataclass(eq=False)
class Post:
    """``gone``: rooms from which a moderator took it, for good."""

    author: Person
    home: Room
    words: str
    line: Line
    text: str = ""
    deleted: bool = False
    gone: set[str] = field(default_factory=set)
    voters: dict[Person, Line] = field(default_factory=dict)


class FaultsMachine(RuleBasedStateMachine):
    """Four rooms on three platforms, each mirroring the whole community."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.runner.get_loop().set_exception_handler(_unless_ended)
        self.posts: list[Post] = []
        self.handed: list[Inbound] = []
        self.gap = False

    @initialize(gap=st.booleans())
    def a_community(self, gap: bool) -> None:
        self.gap = gap
        self._do(self._stage())

    async def _stage(self) -> None:
        file = Path(self.folder.name) / "faults.sqlite"
        far = timedelta(days=1)
        self.world = world = World(
            migrated_file(file), made=True, copies_an_hour=10_000, copies_a_day=10_000, fold_after=far
        )
        await world.start()
        names = ("telegram:group", "telegram:mirror", "discord:news", "matrix:room")
        self.rooms = [world.room(*name.split(":")) for name in names]
        founder = await world.community(*self.rooms)
        for room in self.rooms:
            await world.mirrors(room, "group")
        if self.gap:
            await founder.runs(self.rooms[0], "doubt gap")
        self.authors = {
            room: await world.member(room.paper.platform, f"author-{room.ref.key}")
            for room in (self.rooms[0], self.rooms[3])
        }
        self.voters = {
            room: await world.member(room.paper.platform, f"voter-{room.ref.key}") for room in self.rooms
        }

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        self.runner.run(work)

    # -- what people do --------------------------------------------------------------------------------------------

    @rule(home=st.sampled_from((0, 3)), crash=CRASHES)
    def publish(self, home: int, crash: Crash) -> None:
        room = self.rooms[home]
        author, words = self.authors[room], f"words {len(self.posts)}."
        act = author.command(room, f"post {words}")
        line = author.paper.find(act.message) if act.message else None
        assert line is not None
        self.posts.append(Post(author, room, words, line, words))
        self._do(self._hand(act, crash))

    @precondition(lambda self: self._living())
    @rule(which=WHICH, crash=CRASHES)
    def edit(self, which: int, crash: Crash) -> None:
        post = _one_of(self._living(), which)
        post.text = f"{post.text} again."
        self._do(self._hand(post.author.edit(post.home, post.line, f"/post {post.text}"), crash))

    @precondition(lambda self: self._living())
    @rule(which=WHICH, crash=CRASHES)
    def delete(self, which: int, crash: Crash) -> None:
        post = _one_of(self._living(), which)
        post.deleted = post.line.deleted = True
        self._do(self._hand(MessageDeleted(key=self.world.new_key(), message=post.line.ref), crash))

    @precondition(lambda self: self._known())
    @rule(which=WHICH, crash=CRASHES)
    def vote(self, which: int, crash: Crash) -> None:
        """For a copy that stands, or back from where the vote was given."""
        post, line = _one_of(self._known(), which)
        voter = self.voters[self.world.room_of(line)]
        given = post.voters.pop(voter, None)
        if given is None:
            post.voters[voter] = line
        self._do(self._hand(voter.reaction(given or line, "👍", off=given is not None), crash))

    @precondition(lambda self: self._known())
    @rule(which=WHICH, crash=CRASHES)
    def answer(self, which: int, crash: Crash) -> None:
        """A reply to a copy is a post, told wherever that one stands."""
        _, copy = _one_of(self._known(), which)
        room = self.world.room_of(copy)
        author, words = self.voters[room], f"words {len(self.posts)}."
        line = author.paper.write(room.ref, author.key, words)
        self.posts.append(Post(author, room, words, line, words))
        self._do(self._hand(author.message(room, line, words, reply_to=copy, to_bot=True), crash))

    @precondition(lambda self: self._known())
    @rule(which=WHICH, crash=CRASHES)
    def moderate(self, which: int, crash: Crash) -> None:
        """Somebody takes a copy away there."""
        post, line = _one_of(self._known(), which)
        line.deleted = True
        post.gone.add(line.ref.chat.key)
        self._do(self._hand(MessageDeleted(key=self.world.new_key(), message=line.ref), crash))

    # -- what platforms and machines do ----------------------------------------------------------------------------

    @rule(platform=st.sampled_from(("telegram", *KEYED)), after=st.booleans(), after_limit=st.booleans())
    def fail(self, platform: str, after: bool, after_limit: bool) -> None:
        """The answer to the next call is lost, before or after it took effect; or it is a 429."""
        pause = timedelta(seconds=2) if after_limit else None
        error = RetryLater("on order", after=pause, unknown=not after_limit)
        self.world.papers[Platform(platform)].fails(error, after=after and not after_limit)

    @rule(number=st.integers(1, 5))
    def reconnect(self, number: int) -> None:
        """A platform tells again what it told: nothing changes by it."""
        self._do(self.world.hand(*self.handed[-number:]))
        self._do(self._quiet())

    @rule()
    def restart(self) -> None:
        self._do(self.world.restart())
        self._do(self._quiet())

    async def _hand(self, act: Inbound, crash: Crash) -> None:
        self.handed.append(act)
        if crash is None:
            await self.world.hand(act)
        elif await self._died(act, *crash):
            event(f"died at {crash[0]}")
            await self._crash()
            await self.world.hand(act)
        await self._quiet()

    async def _died(self, act: Inbound, point: str, number: int) -> bool:
        ended = asyncio.Event()
        crashpoints.watch = Death(point, number, ended)
        living = asyncio.create_task(self._live(act))
        dying = asyncio.create_task(ended.wait())
        await asyncio.wait({living, dying}, return_when=asyncio.FIRST_COMPLETED)
        for task in (living, dying):
            task.cancel()
        await asyncio.gather(living, dying, return_exceptions=True)
        if not ended.is_set():
            crashpoints.watch = None
        return ended.is_set()

    async def _live(self, act: Inbound) -> None:
        await self.world.hand(act)
        await self.world.passes(CALM)

    async def _crash(self) -> None:
        await self.world.crash()
        crashpoints.watch = None
        for paper in self.world.papers.values():
            # Nobody was there to be told of what the bot itself had taken away.
            for echo in paper.echoes:
                echo.cancel()
            paper.echoes.clear()
        await self.world.start_quietly()

    # -- the model -------------------------------------------------------------------------------------------------

    def _living(self) -> list[Post]:
        """Those whose author's own message can be edited and deleted."""
        return [post for post in self.posts if not post.deleted and post.line.text.startswith("/post")]

    def _known(self) -> list[tuple[Post, Line]]:
        """Copies that stand and that the program knows."""
        return [
            (post, line)
            for post in self.posts
            if not post.deleted
            for room in self.rooms
            for line in self._lines(post, room)
            if line.ref.key in self.known
        ]

    @staticmethod
    def _lines(post: Post, room: Room) -> list[Line]:
        return [line for line in room.copies if _said(line).startswith(post.words)]

    async def _quiet(self) -> None:
        """All pauses are over; then every room is as the model says."""
        await self.world.passes(CALM)
        self.known = {
            key for (key,) in await self.world.rows("SELECT message_key FROM copies WHERE ours = 1")
        }
        for post in self.posts:
            for room in self.rooms:
                await self._check(post, room)
            await self._check_votes(post)
        assert await self.world.rows("SELECT kind, error FROM dead_letters") == []

    async def _check(self, post: Post, room: Room) -> None:
        lines = self._lines(post, room)
        wanted = int(room is not post.home and not post.deleted and room.ref.key not in post.gone)
        doubts = await self._doubts(post, room)
        current = sum(_said(line) == post.text for line in lines)
        told = f"{post.words!r} in {room.ref.key}: {[line.text for line in lines]}, {wanted} wanted, {doubts}"
        note(told)
        surplus = max(len(lines) - wanted, 0)
        if room.paper.platform in KEYED:
            assert (len(lines), current, doubts) == (wanted, wanted, []), told
        else:
            assert surplus <= len(doubts), told
            assert current >= wanted or "left out" in doubts, told

    async def _doubts(self, post: Post, room: Room) -> list[str]:
        rows = await self.world.rows(
            "SELECT resolution FROM doubts JOIN chats ON chats.id = chat_id WHERE thing_id IN"
            f" (SELECT post_id FROM revisions WHERE source LIKE '%{post.words}%') AND chats.key = '{room.ref.key}'"
        )
        return [str(resolution) for (resolution,) in rows]

    async def _check_votes(self, post: Post) -> None:
        rows = await self.world.rows(
            "SELECT DISTINCT score FROM posts JOIN revisions ON post_id = id"
            f" WHERE source LIKE '%{post.words}%' AND deleted_at IS NULL"
        )
        assert rows == ([] if post.deleted else [(len(post.voters),)]), post.words

    def teardown(self) -> None:
        crashpoints.watch = None
        if hasattr(self, "world"):
            self._do(self.world.stop())
        self.runner.close()
        self.folder.cleanup()


def _one_of(several: Sequence[T], which: int) -> T:
    return several[which % len(several)]


def _said(line: Line) -> str:
    """Without the lines of what is answered."""
    return line.text.rpartition("\n\n")[2]


def _tests(examples: int, *, always_the_same: bool) -> type[unittest.TestCase]:
    machine = type("FaultsMachine", (FaultsMachine,), {})
    assert issubclass(machine, FaultsMachine)
    machine.TestCase.settings = settings(
        max_examples=examples,
        stateful_step_count=15,
        derandomize=always_the_same,
        deadline=None,
        phases=[phase for phase in Phase if phase is not Phase.explain],
        suppress_health_check=list(HealthCheck),
    )
    return machine.TestCase


TestFaults = _tests(12, always_the_same=True)
TestManyFaults = pytest.mark.faults(_tests(300 if WHOLE else 40, always_the_same=False))
