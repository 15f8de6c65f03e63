"""What happened since this process began, as plain numbers. The program may show them; nothing is decided by them.

Each number is written by one thread only, the event loop's or the writer's, and may be read by any.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from enum import StrEnum

from core.errors import Rejected, RejectedWhy, RetryLater
from core.types import Platform


class Happening(StrEnum):
    """What is counted once its transaction is committed."""

    #: An event that was seen before: its platform delivered it again.
    DUPLICATE = "duplicate"
    #: An event that kept failing.
    BURIED = "buried"
    #: More may have happened in an absence than could be read back.
    MISSED = "missed"
    #: An event that waited for a message which never became known.
    EXPIRED = "expired"
    #: A send of which nobody knows whether it happened.
    DOUBT = "doubt"


class Outcome(StrEnum):
    """What came of a call to a platform."""

    DONE = "done"
    #: The message is no longer there.
    GONE = "gone"
    REFUSED = "refused"
    #: The platform asked to wait (a 429).
    LIMITED = "limited"
    #: It failed, and surely did nothing.
    FAILED = "failed"
    #: Its answer was lost: perhaps it took effect.
    UNKNOWN = "unknown"

    @property
    def again(self) -> bool:
        """Whether the call is made once more."""
        return self in (Outcome.LIMITED, Outcome.FAILED, Outcome.UNKNOWN)


def outcome_of(error: Rejected | RetryLater) -> Outcome:
    """What an adapter's refusal means."""
    if isinstance(error, Rejected):
        ends = {RejectedWhy.GONE: Outcome.GONE, RejectedWhy.UNCHANGED: Outcome.DONE}
        return ends.get(error.why, Outcome.REFUSED)
    if error.unknown:
        return Outcome.UNKNOWN
    return Outcome.FAILED if error.after is None else Outcome.LIMITED


class Spread:
    """How many values fell at or under each bound, the last place being for greater ones, and their sum."""

    def __init__(self, *bounds: float) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


def _call_seconds() -> Spread:
    return Spread(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


@dataclass(slots=True)
class Counts:
    """One process's. ``commits`` in seconds, ``batches`` in jobs a transaction, ``calls`` in seconds by platform."""

    happened: Counter[tuple[Platform, Happening]] = field(default_factory=Counter)
    outcomes: Counter[tuple[Platform, Outcome]] = field(default_factory=Counter)
    calls: defaultdict[Platform, Spread] = field(default_factory=lambda: defaultdict(_call_seconds))
    batches: Spread = field(default_factory=lambda: Spread(1, 2, 4, 8, 16, 32, 64, 128, 256))
    commits: Spread = field(
        default_factory=lambda: Spread(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5)
    )

    def called(self, platform: Platform, outcome: Outcome, seconds: float) -> None:
        self.outcomes[platform, outcome] += 1
        self.calls[platform].add(seconds)
