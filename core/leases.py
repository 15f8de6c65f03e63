"""Who speaks with a bot token: one process in the world, by a lease with an epoch.

The lease is a row. It expires by the database's clock; whoever holds it counts on its own monotonic clock, from before
it asked, and so always believes less than the database does. Each take-over gives it a new epoch, and what is
written in the name of an older one is refused in its own transaction.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from math import inf
from typing import Final

from core.errors import LeaseLost
from core.ports import Clock
from core.stores.unit import Unit
from core.types import Platform

#: How long a lease lasts, and how often its owner renews it: three renewals may fail before nothing more is sent.
LIFE: Final = timedelta(seconds=20)
RENEWED_EVERY: Final = timedelta(seconds=3)
#: Without so much of it left no call begins: what is under way then ends before another process begins.
MARGIN: Final = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Lease:
    """One platform's. ``until``: in monotonic seconds. Epoch 0: nobody else could ever have it."""

    platform: Platform
    epoch: int
    until: float


class Leases:
    """What this process holds now. Its methods are for the event loop, ``check`` is for jobs of the writer."""

    def __init__(self, clock: Clock, alone: Collection[Platform] = ()) -> None:
        """``alone``: platforms that no other process can serve, as the database is this process's only."""
        self._clock = clock
        self._held = {platform: Lease(platform, 0, inf) for platform in alone}

    def hold(self, platform: Platform, epoch: int, asked: float) -> None:
        """It was taken or renewed. ``asked``: monotonic seconds, of before the database was asked for it."""
        self._held[platform] = Lease(platform, epoch, asked + LIFE.total_seconds())

    def drop(self, platform: Platform) -> None:
        self._held.pop(platform, None)

    @property
    def platforms(self) -> Collection[Platform]:
        """Those that this process serves."""
        return [platform for platform in self._held if self.left(platform) > 0]

    def left(self, platform: Platform) -> float:
        """Seconds; not more than nothing where it is lost."""
        lease = self._held.get(platform)
        return 0.0 if lease is None else lease.until - self._clock.monotonic()

    def may_call(self, platform: Platform) -> bool:
        """Whether a call may begin now."""
        return self.left(platform) >= MARGIN.total_seconds()

    def epoch(self, platform: Platform) -> int:
        """Raises ``LeaseLost``."""
        if self.left(platform) <= 0:
            raise LeaseLost(platform)
        return self._held[platform].epoch

    @staticmethod
    def check(unit: Unit, platform: Platform, epoch: int) -> None:
        """In the transaction of whatever is done in that epoch's name. Raises ``LeaseLost``."""
        if epoch and unit.leases.epoch(platform) != epoch:
            raise LeaseLost(platform)
