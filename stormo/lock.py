"""One process serves a folder and a database file: two would send everything twice."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
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
def held(data: Path, database_url: str) -> Iterator[None]:
    """Holds both until the end of the block. Raises ``InUse``; the system lets go when the process ends."""
    with ExitStack() as stack:
        for place in places(data, database_url):
            place.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(place.open("a+", encoding="ascii"))
            _take(file, place)
        yield


def _take(file: IO[str], place: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
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
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return place.read_text(encoding="ascii").strip() or "?"
    except OSError:
        return None
    return None
