"""How each platform fares, by what it proved and not by an open socket."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from core.ports import Clock


class Doing(StrEnum):
    """How a platform fares."""

    #: It has not said anything yet.
    STARTING = "starting"
    #: It said something not long ago.
    RUNNING = "running"
    #: It listens, and nothing came for too long: not even an answer to a question.
    DEAF = "deaf"
    #: It failed, and is tried again by itself.
    WAITING = "waiting"
    #: It is not tried again: its token or its settings were refused.
    STOPPED = "stopped"
    #: Another process serves it; this one takes over when that one ends.
    STANDBY = "standby"


@dataclass(slots=True)
class Health:
    """One platform's. ``reason`` of the last fault is for the operator. Times are monotonic seconds.

    ``deaf_after``: so long without a proof of life it is deaf; ``None``: it needs none. ``in_vain``: how many calls of
    late bring it nearer to being shut out; ``None`` where that is not counted.
    """

    clock: Clock
    deaf_after: timedelta | None
    in_vain: Callable[[], int] | None = None
    reason: str = ""
    began_at: float = 0.0
    #: The last proof of life, of this connection; the last event, of this process.
    alive_at: float | None = None
    event_at: float | None = None
    events: int = 0
    #: Seconds between the last event and the act that it tells of, where its platform says when that was.
    lag: float | None = None
    _failed: Doing | None = None

    def begin(self) -> None:
        """A connection is made (again): what an earlier one proved says nothing of it."""
        self.began_at, self.alive_at, self._failed = self.clock.monotonic(), None, None

    def fail(self, doing: Doing, reason: str) -> None:
        self._failed, self.reason = doing, reason

    def stand_by(self, owner: str) -> None:
        self._failed, self.reason = Doing.STANDBY, f"served by {owner}"

    def alive(self) -> None:
        self.alive_at = self.clock.monotonic()

    def event(self, acted: datetime | None = None) -> None:
        """``acted``: the platform's own time of what the event tells of."""
        self.event_at = self.alive_at = self.clock.monotonic()
        self.events += 1
        if acted is not None:
            self.lag = max((self.clock.now() - acted).total_seconds(), 0.0)

    @property
    def doing(self) -> Doing:
        if self._failed is not None:
            return self._failed
        if self.deaf_after is None:
            return Doing.RUNNING
        last = self.began_at if self.alive_at is None else self.alive_at
        if self.clock.monotonic() - last > self.deaf_after.total_seconds():
            return Doing.DEAF
        return Doing.STARTING if self.alive_at is None else Doing.RUNNING

    @property
    def alive_age(self) -> float | None:
        """Seconds since the last proof of life."""
        return None if self.alive_at is None else self.clock.monotonic() - self.alive_at

    @property
    def event_age(self) -> float | None:
        """Seconds since the last event."""
        return None if self.event_at is None else self.clock.monotonic() - self.event_at
