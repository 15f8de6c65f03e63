"""Who sends next: strict windows, no place left unused, nobody starved."""

from __future__ import annotations

import heapq
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from core.intents import Window
from core.scheduler import FAIR, NEVER, Class, Scheduler
from core.types import ChatId

SECOND = timedelta(seconds=1)
ONE, TWO, THREE = ChatId(1), ChatId(2), ChatId(3)


def referee(sent: list[float], windows: tuple[Window, ...]) -> None:
    """In no half-open period of any window are more than its count."""
    for window in windows:
        for earlier, later in zip(sent, sent[window.count :], strict=False):
            assert later - earlier >= window.period.total_seconds()


@dataclass
class Post:
    """A bot on paper: what each chat has to send, and how long each call takes.

    All times are whole 4096ths of a second, so that sums of them are exact.
    """

    scheduler: Scheduler
    takes: Callable[[], float] = lambda: 0.0
    now: float = 0.0
    left: defaultdict[ChatId, Counter[Class]] = field(default_factory=lambda: defaultdict(Counter))
    #: Start, chat, class; and when the platform counted it.
    sent: list[tuple[float, ChatId, Class]] = field(default_factory=list)
    counted: list[tuple[float, ChatId]] = field(default_factory=list)
    calls: list[tuple[float, ChatId]] = field(default_factory=list)

    def add(self, chat: ChatId, more: int = 1, first: Class = Class.BULK) -> None:
        self.left[chat][first] += more
        self.scheduler.wake(chat, self.now, first=first, more=more)

    def go(self, until: float = NEVER, most: int = 10**9) -> None:
        """Time passes, from event to event, until nothing is left or so many are sent."""
        while len(self.sent) < most:
            while len(self.sent) < most and (chat := self.scheduler.choose(self.now)) is not None:
                self._send(chat)
            at = min(self.scheduler.next_at(self.now), self.calls[0][0] if self.calls else NEVER)
            if at > until or at == NEVER:
                self.now = max(self.now, min(until, at)) if until != NEVER else self.now
                return
            assert at > self.now or (self.calls and self.calls[0][0] <= self.now)
            self.now = max(at, self.now)
            while self.calls and self.calls[0][0] <= self.now:
                self._answered(heapq.heappop(self.calls)[1])

    def _send(self, chat: ChatId) -> None:
        found = next((c for c in Class if self.left[chat][c] > 0), None)
        if found is None:
            self.scheduler.free(chat, self.now, NEVER)
            return
        self.left[chat][found] -= 1
        self.scheduler.begin(chat, self.now, found)
        self.sent.append((self.now, chat, found))
        takes = self.takes()
        self.counted.append((self.now + min(takes, self.scheduler._flight) * random.randrange(65) / 64, chat))
        heapq.heappush(self.calls, (self.now + takes, chat))
        if takes == 0:
            self._answered(heapq.heappop(self.calls)[1])

    def _answered(self, chat: ChatId) -> None:
        self.scheduler.end(chat, self.now)
        more = any(self.left[chat].values())
        self.scheduler.free(chat, self.now, self.now if more else NEVER)

    @property
    def order(self) -> list[ChatId]:
        return [chat for _, chat, _ in self.sent]


# -- strict ------------------------------------------------------------------------------------------------------

_WINDOWS = st.lists(
    st.builds(Window, st.integers(1, 5), st.integers(1, 12).map(lambda s: timedelta(seconds=s))), max_size=2
).map(tuple)


def judge(post: Post, token: tuple[Window, ...], chat: tuple[Window, ...]) -> None:
    """By the times at which the calls started, and by those at which the platform counted them."""
    for seen in ([(at, c) for at, c, _ in post.sent], sorted(post.counted)):
        referee([at for at, _ in seen], token)
        for one in {c for _, c in seen}:
            referee([at for at, c in seen if c == one], chat)


@settings(max_examples=150)
@given(
    _WINDOWS,
    _WINDOWS,
    st.lists(st.tuples(st.integers(0, 9), st.integers(1, 6), st.sampled_from(list(Class))), max_size=12),
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 8), st.booleans()), max_size=4),
    st.randoms(use_true_random=False),
)
def test_no_window_is_ever_broken_however_slow_the_calls_are(
    token: tuple[Window, ...],
    chat: tuple[Window, ...],
    work: list[tuple[int, int, Class]],
    parks: list[tuple[int, float, bool]],
    chance: random.Random,
) -> None:
    post = Post(Scheduler(token, chat), takes=lambda: chance.choice([0.0, 1 / 64, 0.125, 3.0]))
    for number, more, first in work:
        post.add(ChatId(number), more, first)
        post.go(post.now + chance.randrange(256) / 64)
    for number, seconds, whole in parks:
        post.add(ChatId(number))
        post.scheduler.park(ChatId(number), post.now + seconds, whole_token=whole)
        post.go(post.now + chance.randrange(256) / 64)
    post.go()
    assert not any(any(left.values()) for left in post.left.values()), "everything is sent in the end"
    judge(post, token, chat)


# -- who goes first ------------------------------------------------------------------------------------------------


def test_an_answer_passes_a_backlog_of_thousands() -> None:
    post = Post(Scheduler((Window(10, SECOND),), ()))
    for number in range(1000):
        post.add(ChatId(number), 3)
    post.go(until=5)
    post.add(ChatId(5000), first=Class.ANSWER)
    post.add(ONE, first=Class.ANSWER)
    before = len(post.sent)
    post.go(until=6)
    assert {ChatId(5000), ONE} <= set(post.order[before : before + 3]), "one place in eight is for others"


def test_the_longest_backlog_goes_first_and_the_shortest_does_not_starve() -> None:
    post = Post(Scheduler((Window(1, SECOND),), ()))
    post.add(THREE, 1)
    post.add(ONE, 300)
    post.add(TWO, 100)
    post.go(most=180)
    seen = Counter(post.order)
    assert seen[THREE] == 1
    assert post.order.index(THREE) <= 2 * FAIR
    assert seen[ONE] > seen[TWO]


def test_tallies_come_last_and_do_not_starve_either() -> None:
    post = Post(Scheduler((Window(1, SECOND),), ()))
    post.add(ONE, 1, Class.TALLY)
    for number in range(10, 110):
        post.add(ChatId(number), 5)
    post.go()
    assert post.order.index(ONE) >= FAIR - 1
    assert post.order.index(ONE) <= 2 * FAIR


def test_everybody_eligible_is_served_within_a_bound() -> None:
    post = Post(Scheduler((Window(4, SECOND),), ()))
    for number in range(50):
        post.add(ChatId(number), 1)
    for number in range(100, 110):
        post.add(ChatId(number), 10_000)
    post.go(most=FAIR * 61)
    assert set(map(ChatId, range(50))) <= set(post.order)


# -- what is held --------------------------------------------------------------------------------------------------


def test_a_slow_call_holds_its_chat_and_never_the_token() -> None:
    post = Post(Scheduler((Window(1, SECOND),), ()), takes=lambda: 60.0 if not post.sent[1:] else 0.0)
    post.add(ONE, 2)
    post.go(until=0)
    for number in range(10, 15):
        post.add(ChatId(number))
    post.go(until=10)
    assert [at for at, _, _ in post.sent] == [0, 1.25, 2.25, 3.25, 4.25, 5.25]
    assert post.order[0] == ONE
    post.go()
    assert post.order[-1] == ONE
    assert post.sent[-1][0] == 60.0


def test_a_look_that_finds_nothing_costs_no_place() -> None:
    scheduler = Scheduler((Window(1, SECOND),), (Window(1, SECOND),))
    scheduler.wake(ONE, 0)
    scheduler.wake(TWO, 0)
    assert scheduler.choose(0) == ONE
    assert scheduler.choose(0) is None, "the only place is taken while somebody looks"
    assert scheduler.next_at(0) == NEVER
    scheduler.free(ONE, 0.1, NEVER)
    assert scheduler.choose(0.1) == TWO


def test_what_no_window_binds_takes_no_place() -> None:
    scheduler = Scheduler((Window(1, SECOND),), (Window(1, SECOND),))
    scheduler.wake(ONE, 0)
    assert scheduler.choose(0) == ONE
    scheduler.unbound(ONE)
    scheduler.wake(TWO, 0)
    assert scheduler.choose(0) == TWO
    scheduler.begin(ONE, 0, Class.ANSWER)
    scheduler.end(ONE, 0)
    scheduler.free(ONE, 0, 0)
    scheduler.free(TWO, 0, NEVER)
    assert scheduler.choose(0) == ONE, "its own window is untouched too"


def test_a_held_chat_is_seized_by_nobody() -> None:
    scheduler = Scheduler((Window(1, SECOND),), ())
    scheduler.wake(ONE, 0)
    scheduler.wake(TWO, 0)
    assert scheduler.choose(0) == ONE
    assert not scheduler.seize(ONE)
    assert scheduler.seize(TWO)
    scheduler.free(TWO, 0, 0)
    scheduler.free(ONE, 0, NEVER)
    assert scheduler.choose(0) == TWO


def test_who_was_woken_while_held_is_looked_at_again() -> None:
    scheduler = Scheduler((), ())
    scheduler.wake(ONE, 0)
    assert scheduler.choose(0) == ONE
    scheduler.wake(ONE, 1)
    scheduler.free(ONE, 2, NEVER)
    assert scheduler.choose(2) == ONE
    scheduler.free(ONE, 3, 100)
    assert scheduler.choose(99) is None
    assert scheduler.next_at(99) == 100
    assert scheduler.choose(100) == ONE


def test_a_chat_that_waits_is_noted_once_however_often_it_is_woken() -> None:
    scheduler = Scheduler((), ())
    for n in range(1000):
        scheduler.wake(ONE, n)
        assert scheduler.choose(n) == ONE
        scheduler.free(ONE, n, 5000)
    assert len(scheduler._waiting) == 1


def test_stale_entries_are_cleared_away() -> None:
    scheduler = Scheduler((Window(1, SECOND),), ())
    for n in range(100):
        scheduler.wake(ONE, 0, first=Class.BULK, more=2**n)
        scheduler.wake(TWO, 0, first=Class.TALLY)
        scheduler.hint(TWO, Class.BULK if n % 2 else Class.TALLY, 0)
    assert len(scheduler._eligible) < 100
