"""The transaction with its stores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cached_property

from sqlalchemy import func, select, union_all

from core.ahead import Ahead
from core.counts import Happening
from core.ports import Clock
from core.types import ChatId, Platform, PostId
from storage import tables as t
from storage.ahead import read_ahead
from storage.backlog import BacklogStore
from storage.boosts import BoostStore
from storage.communities import CommunityStore
from storage.copies import CopyStore
from storage.folds import FoldStore
from storage.intake import IntakeStore
from storage.lanes import LaneStore
from storage.leases import LeaseStore, Number
from storage.media import EnclosureStore
from storage.notices import NoticeStore
from storage.outbox import OutboxStore
from storage.people import PeopleStore
from storage.placing import PlacingStore
from storage.posts import PostStore
from storage.reports import ReportStore
from storage.sight import SightStore
from storage.statements import Runner, Statement
from storage.timelines import TimelineStore
from storage.tries import TryStore
from storage.votes import VoteStore

_HIGHEST = Statement(
    lambda _: select(func.max(union_all(
        select(func.max(t.processes.c.last_id).label("id")),
        *(select(func.max(table.c.id)) for table in (
            t.communities, t.members, t.accounts, t.chats, t.notices, t.folds, t.posts, t.relays, t.parked,
            t.dead_letters)),
    ).subquery().c.id))
)  # fmt: skip

#: Milliseconds at 2026-01-01T00:00:00Z, where our ids begin: 41 bits last until 2095.
EPOCH_MS = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
#: The bits of an id in which its process stands.
_NUMBER = 1023 << 12


class Snowflakes:
    """Ids of 41 bits of milliseconds, 10 of process, 12 of counter; never behind the last one used."""

    def __init__(self, last: int, process: int = 0) -> None:
        self._last = last
        self._process = process << 12
        self._first = self._process

    @property
    def last(self) -> int:
        return self._last

    def at(self, now: datetime) -> None:
        """What is made from now on has this time."""
        milliseconds = int(now.timestamp() * 1000) - EPOCH_MS
        self._first = (max(milliseconds, 0) << 22) | self._process

    def next(self) -> int:
        following = self._last + 1
        if self._first >= following:
            following = self._first
        elif following & _NUMBER != self._process:
            # One that follows another process's, or a full counter, is of a later millisecond.
            following = (self._last >> 22) + 1 << 22 | self._process
        self._last = following
        return following


def _no_ids() -> int:
    raise RuntimeError("a reader makes no ids")


class SqlUnit:
    """One transaction. Lives in one thread; nothing of it may be kept after its end."""

    def __init__(self, run: Runner, clock: Clock, ids: Snowflakes | None) -> None:
        self._run = run
        self._ids = ids
        self.savepoint: Callable[[str], None] = run.savepoints.add
        self.release: Callable[[str], None] = run.savepoints.release
        #: The time of the whole batch: what is decided together has one time.
        self.now = clock.now()
        self.new_id: Callable[[], int] = _no_ids if ids is None else ids.next
        if ids is not None:
            ids.at(self.now)
        self.touched: set[PostId] = set()
        self.voted: set[PostId] = set()
        #: Chats whose outbox changed: the courier is woken for them after the commit.
        self.woken: set[ChatId] = set()
        #: What is counted once it is committed.
        self.happened: Counter[tuple[Platform, Happening]] = Counter()

    # Made when they are asked for: a transaction needs some of them, and most of its time is not to go into the others.

    @cached_property
    def people(self) -> PeopleStore:
        return PeopleStore(self._run)

    @cached_property
    def communities(self) -> CommunityStore:
        return CommunityStore(self._run)

    @cached_property
    def posts(self) -> PostStore:
        return PostStore(self._run)

    @cached_property
    def timelines(self) -> TimelineStore:
        return TimelineStore(self._run)

    @cached_property
    def boosts(self) -> BoostStore:
        return BoostStore(self._run)

    @cached_property
    def reports(self) -> ReportStore:
        return ReportStore(self._run)

    @cached_property
    def votes(self) -> VoteStore:
        return VoteStore(self._run)

    @cached_property
    def outbox(self) -> OutboxStore:
        return OutboxStore(self._run, self.woken)

    @cached_property
    def lanes(self) -> LaneStore:
        return LaneStore(self._run)

    @cached_property
    def copies(self) -> CopyStore:
        return CopyStore(self._run)

    @cached_property
    def tries(self) -> TryStore:
        return TryStore(self._run)

    @cached_property
    def notices(self) -> NoticeStore:
        return NoticeStore(self._run, self.outbox)

    @cached_property
    def folds(self) -> FoldStore:
        return FoldStore(self._run, self.outbox)

    @cached_property
    def media(self) -> EnclosureStore:
        return EnclosureStore(self._run, self.woken)

    @cached_property
    def intake(self) -> IntakeStore:
        return IntakeStore(self._run)

    @cached_property
    def sight(self) -> SightStore:
        return SightStore(self._run, self.woken)

    @cached_property
    def placing(self) -> PlacingStore:
        return PlacingStore(self._run, self.woken)

    @cached_property
    def backlog(self) -> BacklogStore:
        return BacklogStore(self._run)

    @cached_property
    def leases(self) -> LeaseStore:
        return LeaseStore(self._run)

    @staticmethod
    def highest_id(run: Runner) -> int:
        """The highest id ever used, by whichever process."""
        return int(run.scalar(_HIGHEST) or 0)

    def undo(self, name: str) -> None:
        self._run.undo(name)

    def note_ids(self, number: Number) -> None:
        """Raises ``NumberLost`` where the ids of this transaction may be another process's too."""
        assert self._ids is not None
        number.used(self._run, self._ids.last)

    def read_ahead(self, ahead: Ahead) -> None:
        read_ahead(self, ahead)

    def write(self) -> None:
        self._run.flush()

    def end(self) -> None:
        """The transaction is over."""
        self._run.end()
