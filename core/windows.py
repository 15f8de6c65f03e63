"""Strict sliding windows, as guessed at first and as a platform teaches them. Times are monotonic seconds."""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from dataclasses import dataclass, field
from functools import lru_cache

from core.intents import Quota, Window

#: Each "too many" after a first one makes every period longer by this, up to the most.
_TIGHTER, _TIGHTEST = 1.5, 16.0
#: After so many sends without one the periods shrink again by this.
_CLEAN, _LOOSER = 30, 0.9
#: A window that a platform tells of takes the place of the guesses whose periods differ by less than this.
_SIMILAR = 2.0

_Limits = tuple[tuple[int, float], ...]


@lru_cache(maxsize=1024)
def _limits(guesses: tuple[Window, ...], told: tuple[int, float] | None, strain: float) -> _Limits:
    """Counts with their seconds: one value, however many chats have the same."""
    every = [(window.count, window.period.total_seconds()) for window in guesses]
    if told is not None:
        every = [told, *(w for w in every if not told[1] / _SIMILAR < w[1] < told[1] * _SIMILAR)]
    return tuple((count, seconds * strain) for count, seconds in every)


@dataclass(slots=True)
class _Strain:
    """How often a platform said "too many" of late, and what follows from it."""

    warnings: int = 0
    clean: int = 0
    factor: float = 1.0


@dataclass(slots=True)
class Windows:
    """Strict sliding windows over one token or one chat: never more than ``count`` sends in any ``period``.

    A token bucket would let twice that through at first, and earn a 429.
    """

    guesses: tuple[Window, ...]
    parked_until: float = 0.0
    #: Ascending; as many as the largest count.
    _sent: array[float] = field(default_factory=lambda: array("d"))
    _limits: _Limits = ()
    _longest: int = 1
    #: Seconds for each of a long row of sends.
    pace: float = 1.0
    _told: tuple[int, float] | None = None
    _strain: _Strain | None = None

    def __post_init__(self) -> None:
        self._set()

    def _set(self) -> None:
        """Which windows hold now."""
        self._limits = _limits(self.guesses, self._told, self._strain.factor if self._strain else 1.0)
        self._longest = max((count for count, _ in self._limits), default=1)
        self.pace = max((seconds / count for count, seconds in self._limits), default=1.0)

    def ready_at(self, now: float) -> float:
        """The earliest time at which one more send is allowed; ``now`` means at once."""
        at = max(self.parked_until, now)
        sent = self._sent
        held = len(sent)
        for count, seconds in self._limits:
            if held >= count and (free := sent[-count] + seconds) > at:
                at = free
        return at

    def take(self, at: float) -> None:
        """One send counts as of that time; ``inf``: it will start, and counts until it is moved or given back."""
        sent = self._sent
        if sent and at < sent[-1]:
            insort(sent, at)
        else:
            sent.append(at)
        if len(sent) > self._longest:
            del sent[0]
        if self._strain is not None:
            self._relax(self._strain)

    def give_back(self, taken: float) -> None:
        """The place taken at that time was not used."""
        # Others may have taken theirs meanwhile: the last one is not always ours.
        place = bisect_left(self._sent, taken)
        if place < len(self._sent) and self._sent[place] == taken:
            del self._sent[place]

    def move(self, taken: float, at: float) -> None:
        """What was taken at one time counts as of another."""
        self.give_back(taken)
        insort(self._sent, at)
        if len(self._sent) > self._longest:
            del self._sent[0]

    def park(self, until: float) -> None:
        self.parked_until = max(self.parked_until, until)

    # -- what the platform says ------------------------------------------------------------------------------------

    def learn(self, quota: Quota, now: float) -> None:
        """The platform's own count is better than ours: where nothing is left, its window is waited for.

        The first send of a window shows how long it is.
        """
        if quota.remaining <= 0:
            self.park(now + quota.reset)
        elif quota.remaining == quota.limit - 1 and quota.reset > 0:
            told = (quota.limit, quota.reset)
            if told != self._told:
                self._told = told
                self._set()

    def warn(self) -> None:
        """The platform said "too many". Once may be chance; from the second time on all periods grow."""
        strain = self._strain = self._strain or _Strain()
        strain.warnings += 1
        strain.clean = 0
        if strain.warnings > 1:
            strain.factor = min(strain.factor * _TIGHTER, _TIGHTEST)
            self._set()

    def _relax(self, strain: _Strain) -> None:
        strain.clean += 1
        if strain.clean < _CLEAN:
            return
        strain.clean = 0
        strain.factor *= _LOOSER
        if strain.factor <= 1:
            self._strain = None
        self._set()
