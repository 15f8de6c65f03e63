"""Files of things, and what lies in the store of files."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from core.records import Blob, Enclosure
from core.types import Platform, ThingId


class Media(Protocol):
    def add(self, rows: list[Enclosure]) -> None: ...

    def of(self, thing: ThingId) -> list[Enclosure]:
        """In the order in which they are shown."""
        ...

    def in_album(self, album: str) -> ThingId | None:
        """The thing that was made of the first message of this album."""
        ...

    def due(
        self, platforms: list[Platform], now: datetime, count: int
    ) -> tuple[list[Enclosure], datetime | None]:
        """What is to be fetched now from these platforms, and when there is more."""
        ...

    def store(self, thing: ThingId, position: int, digest: str) -> bool:
        """It is there. Whether it still was wanted."""
        ...

    def refuse(self, thing: ThingId, position: int, why: str) -> bool:
        """It will never be there. Whether it still was wanted."""
        ...

    def put_off(self, thing: ThingId, position: int, at: datetime, why: str) -> None: ...

    def hold_back(self, thing: ThingId, until: datetime) -> None:
        """The first sends of this thing wait for its files, at most until then."""
        ...

    def release(self, thing: ThingId, now: datetime) -> None:
        """They need wait no longer."""
        ...

    def describe(self, thing: ThingId, position: int, alt: str) -> None: ...

    def drop_one(self, thing: ThingId, position: int) -> None: ...

    def drop(self, thing: ThingId) -> None: ...

    def blob(self, digest: str) -> Blob | None: ...

    def add_blob(self, blob: Blob, now: datetime) -> None:
        """Where it is there already, nothing changes."""
        ...

    def total(self) -> int:
        """Bytes of everything in the store."""
        ...

    def known(self, digests: list[str]) -> set[str]: ...

    def forget(self, count: int) -> list[str]:
        """The digests of what no thing shows any more; their rows are gone with this."""
        ...
