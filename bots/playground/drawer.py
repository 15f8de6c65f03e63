"""The files that stand in the playground's rooms: a platform keeps its own, whatever becomes of ours."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.events import Attachment
from core.formats import clean_name, sniff

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Filed:
    """A file of a message. ``id`` is what it is asked for by."""

    id: str
    name: str
    mime: str
    size: int
    alt: str = ""
    spoiler: bool = False

    @property
    def attachment(self) -> Attachment:
        return Attachment(
            source=self.id,
            name=self.name,
            mime=self.mime,
            size=self.size,
            alt=self.alt,
            spoiler=self.spoiler,
        )


class Drawer:
    """Files by their content, in a folder; in memory without one."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._memory: dict[str, bytes] = {}

    def put(self, content: bytes, name: str, *, alt: str = "", spoiler: bool = False) -> Filed:
        """The disk has it when this returns."""
        id_, mime = hashlib.sha256(content).hexdigest(), sniff(content)
        if self._folder is None:
            self._memory[id_] = content
        elif not (self._folder / id_).exists():
            self._write(self._folder, id_, content)
        return Filed(id_, clean_name(name, mime), mime, len(content), alt, spoiler)

    def get(self, id_: str) -> bytes | None:
        if self._folder is None:
            return self._memory.get(id_)
        path = self._folder / id_
        return path.read_bytes() if _DIGEST.fullmatch(id_) and path.is_file() else None

    def again(self, id_: str, name: str, *, alt: str = "", spoiler: bool = False) -> Filed | None:
        """What was put before, under whatever name a visitor gives it."""
        content = self.get(id_)
        return self.put(content, name, alt=alt, spoiler=spoiler) if content is not None else None

    @staticmethod
    def _write(folder: Path, id_: str, content: bytes) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f"{id_}.{os.getpid()}.part"
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(folder / id_)
