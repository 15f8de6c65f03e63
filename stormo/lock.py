"""One process serves a folder and a database file: two would send everything twice.

On PostgreSQL several share the folder, and who sends is settled by leases (``leases.py``); here one of them proves
that the process which had a lease before it on this machine has died.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import IO

from core.errors import StormoError, message
from storage.database import normalised


class InUse(StormoError):
    """Another process holds it."""

    def __init__(self, what: Path, owner: str) -> None:
        self.message = message("run.in_use", what=str(what), process=owner or "?")
        super().__init__(f"{what} is in use by process {owner or '?'}")


def places(data: Path, database_url: str) -> Sequence[Path]:
    """What must be held: the data folder, and the database where it is a file, which may be another config's too."""
    url = normalised(database_url)
    own = [data / "lock"]
    if url.get_backend_name() == "sqlite" and url.database:
        own.append(Path(f"{url.database}.lock"))
    return own


@contextmanager
def held(data: Path, database_url: str, *, among_others: bool = False) -> Iterator[None]:
    """Holds both until the end of the block. Raises ``InUse``; the system lets go when the process ends.

    ``among_others``: others that say the same may hold them too.
    """
    with ExitStack() as stack:
        for place in places(data, database_url):
            place.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(place.open("a+", encoding="ascii"))
            _take(file, place, fcntl.LOCK_SH if among_others else fcntl.LOCK_EX)
        yield


def _take(file: IO[str], place: Path, how: int) -> None:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        raise InUse(
            place.parent if place.name == "lock" else place.with_suffix(""), file.read().strip()
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()


def owner(data: Path) -> str | None:
    """The process that serves this folder now, if one does."""
    place = data / "lock"
    try:
        with place.open("r", encoding="ascii") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return place.read_text(encoding="ascii").strip() or "?"
    except OSError:
        return None
    return None


class Site:
    """A file that one process on this machine holds while it lives, whatever ends it.

    ``name`` tells it from every other file on every machine; it is empty where that is not known.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._held: IO[str] | None = None

    def hold(self) -> str:
        """Its name, an empty string where another process holds it."""
        if self._held is None:
            file = self._file.open("a+", encoding="ascii")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.close()
                return ""
            self._held = file
        there = os.fstat(self._held.fileno())
        return f"{_boot()}:{there.st_dev}:{there.st_ino}" if _boot() else ""

    def let_go(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None


@cache
def _boot() -> str:
    """What names this run of this machine's kernel; an empty string where there is no such thing."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
