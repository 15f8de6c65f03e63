"""Our own files on the disk, each once, named by the SHA-256 of its bytes: ``ab/abcdef…`` below one folder.

A file appears whole or not at all: it is written beside, brought to the disk and then renamed. Whoever is killed
meanwhile leaves a part behind, which ``clear_parts`` takes away; ``drop`` does so with what no row names.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from core.crashpoints import passing
from core.errors import FileRefused, FileWhy
from core.formats import HEAD, allowed, sniff
from core.metadata import sides, stripped
from core.records import Blob

#: Seconds for which what no row names is left alone: its row may be about to be written.
GRACE: Final = 3600.0
#: The same for a part: nothing is on its way in for so long.
PART_GRACE: Final = 600.0
_PARTS: Final = "parts"
#: Letters of a digest; the name of a part has fewer.
_DIGEST: Final = 64
_PORTION: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaRules:
    """What the operator keeps, and where. ``types``: families (``image``) and types (``application/pdf``).

    ``patience``: how long a post waits for its files before it travels without those that are missing.
    ``quota``: bytes in the store, 0 for any number.
    """

    folder: Path = Path("data") / "media"
    max_bytes: int = 25 * 1024 * 1024
    types: tuple[str, ...] = ("image", "video", "audio", "application/pdf", "text/plain")
    quota: int = 10 * 1024**3
    patience: timedelta = timedelta(minutes=2)

    def may(self, mime: str) -> bool:
        return allowed(mime, self.types)


class Incoming:
    """A file on its way in. ``take`` its bytes as they come, then ``MediaStore.keep`` it, or ``discard`` it.

    Raises ``FileRefused`` as soon as its size or type forbids it.
    """

    def __init__(self, path: Path, rules: MediaRules) -> None:
        self.path = path
        self.mime = ""
        self._rules = rules
        self._size = 0
        self._head = b""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")

    def take(self, portion: bytes) -> None:
        self._size += len(portion)
        if self._size > self._rules.max_bytes:
            raise FileRefused(FileWhy.SIZE, f"more than {self._rules.max_bytes} bytes")
        if len(self._head) < HEAD:
            self._head = (self._head + portion)[:HEAD]
            if len(self._head) == HEAD:
                self._judge()
        self._file.write(portion)
        passing("media.portion")

    def finish(self) -> None:
        """All of it is here."""
        if not self._size:
            raise FileRefused(FileWhy.DAMAGED, "it is empty")
        self._judge()
        self._file.close()

    def discard(self) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)

    def _judge(self) -> None:
        self.mime = sniff(self._head)
        if not self._rules.may(self.mime):
            raise FileRefused(FileWhy.TYPE, self.mime)


class MediaStore:
    """The folder. Everything here waits for the disk: call it in a thread, but for ``path``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, digest: str) -> Path:
        return self.folder / digest[:2] / digest

    def incoming(self, rules: MediaRules) -> Incoming:
        return Incoming(self.folder / _PARTS / secrets.token_hex(16), rules)

    def keep(self, file: Incoming) -> Blob:
        """Takes it in, without what a camera wrote into it. The same bytes again are the same file."""
        file.finish()
        width, height = _strip(file.path, file.mime)
        passing("media.stripped")
        size, digest = _digest(file.path)
        passing("media.synced")
        blob = Blob(digest=digest, mime=file.mime, size=size, width=width, height=height)
        target = self.path(digest)
        if target.exists():
            # Nobody may take it for forgotten before its row is written.
            with suppress(FileNotFoundError):
                os.utime(target)
                passing("media.known")
                file.path.unlink()
                return blob
        if not target.parent.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            _sync(self.folder)
        passing("media.naming")
        file.path.replace(target)
        passing("media.named")
        _sync(target.parent)
        return blob

    def drop_all(self, digests: Collection[str]) -> None:
        for digest in digests:
            self.drop(digest)

    def drop(self, digest: str) -> None:
        """Takes a file away that no row names, unless somebody just stored it again."""
        path, aside = self.path(digest), self.folder / _PARTS / digest
        with suppress(FileNotFoundError):
            if _age(path) <= GRACE:
                return
            aside.parent.mkdir(exist_ok=True)
            path.rename(aside)
            passing("media.aside")
            if _age(aside) > GRACE:
                aside.unlink()
                passing("media.dropped")
            else:
                # Somebody stored the same bytes between the two looks.
                aside.replace(path)

    def digests(self) -> Iterator[str]:
        """Every file there is."""
        for folder in self.folder.glob("??"):
            yield from (path.name for path in folder.iterdir())

    def clear_parts(self) -> None:
        """Takes away what an earlier run left half written. What it had only set aside goes back to its name."""
        for part in self.folder.glob(f"{_PARTS}/*"):
            with suppress(FileNotFoundError):
                if len(part.name) == _DIGEST:
                    part.replace(self.path(part.name))
                elif _age(part) > PART_GRACE:
                    part.unlink()


def _age(path: Path) -> float:
    return time.time() - path.stat().st_mtime


def _strip(path: Path, mime: str) -> tuple[int, int]:
    """Takes a picture's metadata out, and gives its width and height where it tells them."""
    if not mime.startswith("image/"):
        return 0, 0
    before = path.read_bytes()
    after = stripped(before, mime)
    if after != before:
        path.write_bytes(after)
    return sides(after, mime)


def _digest(path: Path) -> tuple[int, str]:
    """Size and SHA-256 of a file, which the disk has when this returns."""
    found, size = hashlib.sha256(), 0
    with path.open("r+b") as file:
        while portion := file.read(_PORTION):
            found.update(portion)
            size += len(portion)
        os.fsync(file.fileno())
    return size, found.hexdigest()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
