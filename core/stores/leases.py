"""Which process owns which bot token."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol


class LeaseRows(Protocol):
    def take(self, name: str, owner: str, site: str, life: timedelta) -> int | None:
        """Takes what is free or expired, or was held from the same site. Returns the new epoch, if it is ours now.

        ``owner`` is for people. ``site``: where its holder can prove that an earlier one has died; or empty.
        """
        ...

    def renew(self, name: str, epoch: int, life: timedelta) -> bool:
        """Whether it is still this epoch's."""
        ...

    def release(self, name: str, epoch: int) -> None:
        """Whoever waits for it may take it at once."""
        ...

    def epoch(self, name: str) -> int:
        """The newest one; 0 where nobody ever took it."""
        ...

    def any_held(self) -> bool:
        """Whether some process serves something now."""
        ...

    def holder(self, name: str, site: str) -> str | None:
        """Its owner, unless ``take`` from this site would succeed now."""
        ...
