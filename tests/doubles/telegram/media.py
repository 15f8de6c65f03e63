"""The files that our Bot API double keeps, and what the bot sees of them."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass, field
from typing import Any

from .model import Json

#: The server gives bots no file larger than this (bytes), and takes none larger than those.
MAX_DOWNLOAD = 20 * 1024 * 1024
MAX_UPLOAD = 50 * 1024 * 1024
MAX_PHOTO = 10 * 1024 * 1024
#: Width and height of a photo together, and how many times one may be the other.
MAX_SIDES, MAX_RATIO = 10_000, 20
KINDS = ("photo", "document", "video", "audio", "animation")


@dataclass(frozen=True)
class Media:
    """A file as it stands in a message."""

    kind: str
    file_id: str
    name: str
    mime: str
    data: bytes
    width: int = 0
    height: int = 0
    spoiler: bool = False

    @property
    def unique_id(self) -> str:
        return hashlib.sha256(self.data).hexdigest()[:16]

    @property
    def path(self) -> str:
        return f"{self.kind}s/{self.file_id}"

    def as_json(self) -> Json:
        """The fields of a Message that show it."""
        own: Json = {"file_id": self.file_id, "file_unique_id": self.unique_id, "file_size": len(self.data)}
        sides = {"width": self.width or 1, "height": self.height or 1}
        named = {"file_name": self.name, "mime_type": self.mime} if self.name else {"mime_type": self.mime}
        shapes: dict[str, Any] = {
            "photo": [own | sides],
            "document": own | named,
            "video": own | named | sides | {"duration": 1},
            "audio": own | named | {"duration": 1},
            "animation": own | named | sides | {"duration": 1},
        }
        found: Json = {self.kind: shapes[self.kind]}
        if self.kind == "animation":
            found["document"] = own | named
        if self.spoiler:
            found["has_media_spoiler"] = True
        return found


@dataclass
class Cabinet:
    """Every file by its id."""

    files: dict[str, Media] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def keep(self, kind: str, name: str, mime: str, data: bytes, *, spoiler: bool = False) -> Media:
        width, height = sides(data)
        file_id = f"BQACAgIAAx{next(self._numbers):08d}{kind[:1].upper()}"
        media = Media(kind, file_id, "" if kind == "photo" else name, mime, data, width, height, spoiler)
        self.files[file_id] = media
        return media


def sides(data: bytes) -> tuple[int, int]:
    """Width and height of a PNG or GIF; nothing of anything else."""
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) >= 24:
        return int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    if data.startswith(b"GIF8") and len(data) >= 10:
        return int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")
    return 0, 0
