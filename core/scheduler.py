"""Who sends next: one scheduler a bot token. No I/O; monotonic seconds go in, decisions come out.

A chat waits (until it has something to do and its windows let it), is eligible (only a place of the token is missing)
or is held (somebody looks what it has to do, or its call is under way). Waiting chats lie in a heap by time, eligible
ones in a heap by class and then by what they have before them: answers and withdrawals first; then first sends and
edits, the longest remaining backlog first; then edits that only move a tally. A chat that cannot send costs nothing.

Longest backlog first reaches the largest possible number of deliveries: what must end last never waits for others. So
that nothing starves behind it, every ``FAIR``-th place goes to who has been eligible longest, whatever the class.

What a chat has before it is a hint that only orders: what is sent is decided when its turn comes.
"""

from __future__ import annotations

import heapq
import math
from collections import OrderedDict
from dataclasses import dataclass
from enum import IntEnum

from core.intents import Quota, Window
from core.types import ChatId, quick
from core.windows import Windows

#: Every so manieth place goes to who has waited longest.
FAIR = 8
#: Seconds after the start of a call by which the platform has counted it, however late the answer comes.
FLIGHT = 0.25
NEVER = math.inf
#: So many stale entries are not worth clearing away.
_STALE = 64

_Entry = tuple[int, float, ChatId]


@quick
class Class(IntEnum):
    """What goes before what, between chats."""

    ANSWER = 0
    BULK = 1
    TALLY = 2

    @classmethod
    def of(cls, rank: int) -> Class:
        """That of an outbox row: its ``rank`` tells answers, first sends, edits and tallies apart."""
        return (cls.ANSWER, cls.BULK, cls.BULK, cls.TALLY)[rank]


_WAITING, _ELIGIBLE, _HELD = range(3)


@dataclass(slots=True, eq=False)
class _Lane:
    """One chat."""

    windows: Windows
    state: int = _WAITING
    #: From when on it has something to do, as far as is known.
    due: float = NEVER
    #: How many rows of each class are due.
    answers: int = 0
    bulk: int = 0
    tallies: int = 0
    #: The time under which it lies among the waiting; an entry with another time is stale.
    noted: float = NEVER
    #: Its entry among the eligible; any other is stale.
    entry: _Entry | None = None
    #: While it is held: its place of the token by the time that it counts from, ``NEVER`` before the call starts.
    place: float | None = None
    #: Woken while it was held.
    woken: bool = False

    def add(self, first: Class, more: int) -> None:
        if first is Class.BULK:
            self.bulk += more
        elif first is Class.ANSWER:
            self.answers += more
        else:
            self.tallies += more

    def served(self, found: Class) -> None:
        """One of this class was found due, so nothing that goes before it was."""
        if found is Class.ANSWER:
            self.answers = max(self.answers - 1, 0)
            return
        self.answers = 0
        if found is Class.BULK:
            self.bulk = max(self.bulk - 1, 0)
        else:
            self.bulk, self.tallies = 0, max(self.tallies - 1, 0)

    @property
    def first(self) -> Class:
        if self.answers:
            return Class.ANSWER
        return Class.TALLY if self.tallies and not self.bulk else Class.BULK


class Scheduler:
    """``token`` windows bind all sends together, ``chat`` windows those of each chat; both are first guesses.

    ``fair`` and ``flight`` as ``FAIR`` and ``FLIGHT``. The way of a send is ``choose``, ``begin``, ``end``, ``free``;
    with nothing to send, ``choose`` and ``free``.
    """

    def __init__(
        self,
        token: tuple[Window, ...],
        chat: tuple[Window, ...],
        *,
        fair: int = FAIR,
        flight: float = FLIGHT,
    ) -> None:
        self._token = Windows(token)
        self._guesses = chat
        self._fair = fair
        self._flight = flight
        self._lanes: dict[ChatId, _Lane] = {}
        self._waiting: list[tuple[float, ChatId]] = []
        self._eligible: list[_Entry] = []
        #: The eligible, who has been so longest in front.
        self._turns: OrderedDict[ChatId, _Lane] = OrderedDict()
        self._chosen = 0

    # -- what there is to do ----------------------------------------------------------------------------------------

    def wake(self, chat: ChatId, now: float, *, first: Class = Class.BULK, more: int = 1) -> None:
        """The chat has ``more`` of this class to do now, as far as is known."""
        lane = self._lane(chat)
        lane.add(first, more)
        if lane.state == _HELD:
            lane.woken = True
        elif lane.state == _ELIGIBLE:
            self._reorder(chat, lane, now)
        else:
            lane.due = min(lane.due, now)
            self._settle(chat, lane, now)

    def wake_at(self, chat: ChatId, at: float, now: float) -> None:
        """The chat has something to do at that time."""
        if at <= now:
            self.wake(chat, now)
            return
        lane = self._lane(chat)
        if at < lane.due:
            lane.due = at
            if lane.state == _WAITING:
                self._settle(chat, lane, now)

    def sent(self, chat: ChatId, at: float) -> None:
        """An earlier run, or owner, sent something there at that time: it counts in all windows."""
        self._token.take(at)
        self._lane(chat).windows.take(at)

    def _lane(self, chat: ChatId) -> _Lane:
        lane = self._lanes.get(chat)
        if lane is None:
            lane = self._lanes[chat] = _Lane(Windows(self._guesses))
        return lane

    # -- who sends --------------------------------------------------------------------------------------------------

    def choose(self, now: float) -> ChatId | None:
        """The chat whose turn it is, with a place of the token; it is held until it is freed."""
        if self._token.ready_at(now) > now:
            return None
        self._ripen(now)
        if not self._turns:
            return None
        chat = self._next()
        lane = self._turns.pop(chat)
        lane.state, lane.entry, lane.place = _HELD, None, NEVER
        self._token.take(NEVER)
        return chat

    def next_at(self, now: float) -> float:
        """When ``choose`` is worth a call again; ``NEVER``: not before something else is told."""
        if self._turns:
            return self._token.ready_at(now)
        return max(self._waiting[0][0], self._token.ready_at(now)) if self._waiting else NEVER

    def hint(self, chat: ChatId, first: Class, now: float) -> None:
        """Of this class is what the chat would send first."""
        lane = self._lanes[chat]
        if first > Class.ANSWER:
            lane.answers = 0
        if first > Class.BULK:
            lane.bulk = 0
        if lane.first is not first:
            lane.add(first, 1)
        if lane.state == _ELIGIBLE:
            self._reorder(chat, lane, now)

    def seize(self, chat: ChatId) -> bool:
        """Holds the chat, without a place, unless it is held: for what no window binds."""
        lane = self._lanes[chat]
        if lane.state == _HELD:
            return False
        self._turns.pop(chat, None)
        lane.state, lane.entry, lane.place = _HELD, None, None
        return True

    def _next(self) -> ChatId:
        self._chosen += 1
        if self._chosen % self._fair == 0:
            return next(iter(self._turns))
        while True:
            entry = heapq.heappop(self._eligible)
            if self._lanes[entry[2]].entry is entry:
                return entry[2]

    def _ripen(self, now: float) -> None:
        """Those whose time has come become eligible."""
        while self._waiting and self._waiting[0][0] <= now:
            at, chat = heapq.heappop(self._waiting)
            lane = self._lanes[chat]
            if lane.noted == at:
                lane.noted = NEVER
                if lane.state == _WAITING:
                    self._settle(chat, lane, now)

    def _settle(self, chat: ChatId, lane: _Lane, now: float) -> None:
        """Puts a waiting chat where it belongs."""
        at = max(lane.due, lane.windows.ready_at(now))
        if at <= now:
            lane.state = _ELIGIBLE
            self._turns[chat] = lane
            self._enter(chat, lane, now)
        elif at < lane.noted:
            # Where it lies already it will be looked at, and put further back then.
            lane.noted = at
            heapq.heappush(self._waiting, (at, chat))

    def _enter(self, chat: ChatId, lane: _Lane, now: float) -> None:
        lane.entry = (*self._order(lane, now), chat)
        heapq.heappush(self._eligible, lane.entry)
        if len(self._eligible) > 2 * len(self._turns) + _STALE:
            self._eligible = [lane.entry for lane in self._turns.values() if lane.entry is not None]
            heapq.heapify(self._eligible)

    @staticmethod
    def _order(lane: _Lane, now: float) -> tuple[int, float]:
        """Bulk by the time that its rows will take in this chat at the least, the others by their age."""
        first = lane.first
        return first, -lane.bulk * lane.windows.pace if first is Class.BULK else now

    def _reorder(self, chat: ChatId, lane: _Lane, now: float) -> None:
        """Where its class changed, or its backlog so much that it is worth an entry."""
        assert lane.entry is not None
        first, before = lane.entry[:2]
        now_first, amount = self._order(lane, now)
        if now_first != first or (first == Class.BULK and amount < 2 * before):
            self._enter(chat, lane, now)

    # -- a held chat ------------------------------------------------------------------------------------------------

    def begin(self, chat: ChatId, now: float, first: Class) -> None:
        """Its call starts: of this class is what was found to be sent."""
        lane = self._lanes[chat]
        lane.served(first)
        if lane.place is not None:
            lane.place = now + self._flight
            self._token.move(NEVER, lane.place)

    def unbound(self, chat: ChatId) -> None:
        """What is to be sent needs no place."""
        lane = self._lanes[chat]
        if lane.place is not None:
            self._token.give_back(lane.place)
            lane.place = None

    def end(self, chat: ChatId, now: float) -> None:
        """The answer came.

        In the chat's windows the send counts from now on, in the token's from now or from ``flight`` after its start:
        it reached the platform at some time until then, and only so is the platform's own window never broken.
        """
        lane = self._lanes[chat]
        if lane.place is not None:
            self._token.move(lane.place, min(lane.place, now))
            lane.windows.take(now)
            lane.place = None

    def learn(self, chat: ChatId, quota: Quota, now: float) -> None:
        """What the platform told of the chat's window."""
        self._lanes[chat].windows.learn(quota, now)

    def park(self, chat: ChatId, until: float, *, whole_token: bool = False) -> None:
        """The platform asks to wait: the chat, and every other where it says so."""
        self._lanes[chat].windows.park(until)
        if whole_token:
            self._token.park(until)

    def warn(self, chat: ChatId, *, whole_token: bool = False) -> None:
        """The platform said that it was one too many."""
        (self._token if whole_token else self._lanes[chat].windows).warn()

    def free(self, chat: ChatId, now: float, at: float) -> None:
        """Held no longer. It has something to do at that time; ``now``: perhaps at once, ``NEVER``: nothing."""
        lane = self._lanes[chat]
        self.unbound(chat)
        if at > now:
            lane.answers = lane.bulk = lane.tallies = 0
        if lane.woken:
            at = now
        lane.woken, lane.state, lane.due = False, _WAITING, at
        self._settle(chat, lane, now)
