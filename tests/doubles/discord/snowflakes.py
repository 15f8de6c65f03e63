"""Ids that carry their time, as the platform makes them: milliseconds since 2015, then 22 bits of counter."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

EPOCH = datetime(2015, 1, 1, tzinfo=UTC)
_COUNTER_BITS = 22


def at(moment: datetime) -> int:
    """The smallest id of that millisecond."""
    return ((moment - EPOCH) // timedelta(milliseconds=1)) << _COUNTER_BITS


def time_of(snowflake: int) -> datetime:
    """The moment an id was drawn, to the millisecond, in UTC."""
    return EPOCH + timedelta(milliseconds=snowflake >> _COUNTER_BITS)


class Snowflakes:
    """Draws ids that always grow, even when the clock stands still or goes back."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._last = 0

    def next(self) -> int:
        self._last = max(self._last + 1, at(self._now()))
        return self._last

    def next_of(self, shard: int, count: int) -> int:
        """One that a bot of so many shards hears of through this one: a guild's. It may be some milliseconds early."""
        milliseconds = (self.next() >> _COUNTER_BITS) + 1
        self._last = (milliseconds + (shard - milliseconds) % count) << _COUNTER_BITS
        return self._last
