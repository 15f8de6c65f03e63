"""Who sends next: strict windows, no place left unused, nobody starved."""

from __future__ import annotations

import heapq
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import combinations, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from core.intents import Quota, Window
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


class Witness:
    """Says by brute force whether one more send would break a window, from nothing but the sends so far."""

    def __init__(self, token: tuple[Window, ...], chat: tuple[Window, ...]) -> None:
        self._token = token
        self._chat = chat

    def allows(self, post: Post, chat: ChatId) -> bool:
        """Whether the chat could send now, with answers that take no time."""
        every = [at for at, _, _ in post.sent]
        own = [at for at, one, _ in post.sent if one == chat]
        return self._fits(every, self._token, post.now) and self._fits(own, self._chat, post.now)

    @staticmethod
    def _fits(sent: list[float], windows: tuple[Window, ...], now: float) -> bool:
        return all(
            sum(now - at < window.period.total_seconds() for at in sent) < window.count for window in windows
        )


@settings(max_examples=150)
@given(
    _WINDOWS,
    _WINDOWS,
    st.lists(st.tuples(st.integers(0, 4), st.integers(1, 6), st.sampled_from(list(Class))), max_size=8),
    st.lists(st.integers(0, 40), max_size=30),
)
def test_whenever_somebody_may_send_somebody_does(
    token: tuple[Window, ...],
    chat: tuple[Window, ...],
    work: list[tuple[int, int, Class]],
    steps: list[int],
) -> None:
    """At no moment is a place left unused, and what is told of the next moment never comes too late."""
    post, witness = Post(Scheduler(token, chat)), Witness(token, chat)
    for step, number in enumerate(steps):
        if step < len(work):
            post.add(ChatId(work[step][0]), *work[step][1:])
        post.go(post.now + number / 4)
        waiting = [chat for chat, left in post.left.items() if any(left.values())]
        assert not any(witness.allows(post, chat) for chat in waiting)
        told = post.scheduler.next_at(post.now)
        if waiting:
            post.now = min(told, post.now + 100) - 1 / 1024
            assert not any(witness.allows(post, chat) for chat in waiting)
            post.now = told
            assert any(witness.allows(post, chat) for chat in waiting)


def shortest(lefts: tuple[int, ...], at_once: int, rest: int) -> int:
    """The fewest turns in which everybody has sent all, by trying out everything.

    At most ``at_once`` send in a turn, and nobody twice within ``rest`` turns.
    """
    states, turns = {tuple((left, 0) for left in lefts)}, 0
    while all(any(left for left, _ in state) for state in states):
        following = set()
        for state in states:
            able = [i for i, (left, tired) in enumerate(state) if left and not tired]
            for chosen in combinations(able, min(at_once, len(able))):
                following.add(
                    tuple(
                        sorted(
                            (left - 1, rest - 1) if i in chosen else (left, max(tired - 1, 0))
                            for i, (left, tired) in enumerate(state)
                        )
                    )
                )
        states, turns = following, turns + 1
    return turns


@settings(max_examples=100)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=5).map(tuple), st.integers(1, 3), st.integers(1, 4))
def test_no_order_of_sends_ends_sooner(lefts: tuple[int, ...], at_once: int, rest: int) -> None:
    scheduler = Scheduler((Window(at_once, SECOND),), (Window(1, rest * SECOND),), fair=1000)
    post = Post(scheduler)
    for number, left in enumerate(lefts):
        post.add(ChatId(number), left)
    post.go()
    assert post.sent[-1][0] + 1 == shortest(lefts, at_once, rest)


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


# -- what a platform teaches -----------------------------------------------------------------------------------------


def sends(scheduler: Scheduler, chat: ChatId, until: float, now: float = 0.0) -> list[float]:
    """When a chat with an endless backlog sends."""
    post = Post(scheduler, now=now)
    post.add(chat, 1000)
    post.go(until)
    return [at for at, _, _ in post.sent]


def hold(scheduler: Scheduler, chat: ChatId, now: float = 0.0) -> None:
    scheduler.wake(chat, now)
    assert scheduler.seize(chat)


def test_a_park_holds_its_chat_only_unless_it_is_for_all() -> None:
    scheduler = Scheduler((), ())
    hold(scheduler, ONE)
    scheduler.park(ONE, 30)
    scheduler.free(ONE, 0, 0)
    assert sends(scheduler, TWO, 5)[0] == 0
    assert scheduler.next_at(5) == 30
    whole = Scheduler((), ())
    hold(whole, ONE)
    whole.park(ONE, 30, whole_token=True)
    whole.free(ONE, 0, 0)
    assert sends(whole, TWO, 40)[0] == 30


def test_what_a_platform_counts_wins_over_the_guess() -> None:
    scheduler = Scheduler((), (Window(5, 5 * SECOND),))
    hold(scheduler, ONE)
    scheduler.learn(ONE, Quota(limit=2, remaining=1, reset=4.0), 0)
    scheduler.free(ONE, 0, NEVER)
    assert sends(scheduler, ONE, 9) == [0, 0, 4, 4, 8, 8]
    hold(scheduler, ONE, 100)
    scheduler.learn(ONE, Quota(limit=3, remaining=0, reset=7.5), 100)
    scheduler.free(ONE, 100, NEVER)
    assert sends(scheduler, ONE, 108, 100)[0] == 107.5
    hold(scheduler, ONE, 200)
    scheduler.learn(ONE, Quota(limit=4, remaining=3, reset=4.0), 200)
    scheduler.free(ONE, 200, NEVER)
    assert sends(scheduler, ONE, 204, 200) == [200] * 4 + [204] * 4, "and it may be more"


def test_a_window_of_another_length_is_one_more() -> None:
    scheduler = Scheduler((), (Window(5, 5 * SECOND), Window(7, 60 * SECOND)))
    hold(scheduler, ONE)
    scheduler.learn(ONE, Quota(limit=3, remaining=2, reset=4.0), 0)
    scheduler.free(ONE, 0, NEVER)
    assert sends(scheduler, ONE, 59) == [0] * 3 + [4] * 3 + [8]


def test_told_too_many_twice_a_chat_sends_more_slowly_and_then_slowly_faster_again() -> None:
    scheduler = Scheduler((), (Window(1, SECOND),))
    for _ in range(2):
        hold(scheduler, ONE)
        scheduler.warn(ONE)
        scheduler.free(ONE, 0, NEVER)
    times = sends(scheduler, ONE, 2000)
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert pauses[0] == 1.5
    rounded = [round(pause, 9) for pause in pauses]
    assert rounded == sorted(rounded, reverse=True)
    assert rounded[-1] == 1
    assert sum(pause > 1 for pause in rounded) > 60
    assert sends(scheduler, TWO, 3) == [0, 1, 2, 3], "others never suffered from it"


def test_told_too_many_once_nothing_changes() -> None:
    scheduler = Scheduler((Window(1, SECOND),), ())
    hold(scheduler, ONE)
    scheduler.warn(ONE, whole_token=True)
    scheduler.free(ONE, 0, NEVER)
    assert sends(scheduler, TWO, 3) == [0, 1, 2, 3]
    hold(scheduler, ONE, 10)
    scheduler.warn(ONE, whole_token=True)
    scheduler.free(ONE, 10, NEVER)
    assert sends(scheduler, TWO, 13, 10) == [10, 11.5, 13]
