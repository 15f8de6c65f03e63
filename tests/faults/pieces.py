"""Posts that take several messages, and what several messages show of one, in order and each piece once."""

from __future__ import annotations

import hashlib
import random
import re
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

#: Three bytes and one UTF-16 unit each: so many make three messages on Telegram and Discord, and two on Matrix.
_FEATHER, _FEATHERS, _WORDS = "鳥", 80, 118
#: A picture of such sides is larger than a file may be on Discord.
SMALL, LARGE = 200, 1900


def words(id_: str, revision: int, *, long: bool) -> str:
    """Words of which no two are alike, and none is in another revision."""
    if not long:
        return f"flight {id_} {id_}r{revision}"
    return f"flight {id_} " + " ".join(
        f"{id_}r{revision}n{number:03} {_FEATHER * _FEATHERS}" for number in range(_WORDS)
    )


@dataclass(frozen=True)
class Picture:
    """What somebody brought, and what we keep of it."""

    brought: bytes
    kept: bytes

    @classmethod
    def of(cls, seed: str, side: int = SMALL) -> Picture:
        """A PNG that nothing makes smaller, with a line that says where it was taken."""
        draw = random.Random(seed)
        rows = b"".join(b"\0" + draw.randbytes(3 * side) for _ in range(side))
        head = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">2I5B", side, side, 8, 2, 0, 0, 0))
        tail = _chunk(b"IDAT", zlib.compress(rows, 0)) + _chunk(b"IEND", b"")
        return cls(head + _chunk(b"tEXt", b"Comment\0at home") + tail, head + tail)

    @property
    def digest(self) -> str:
        return digest(self.kept)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def tokens(text: str, id_: str) -> list[str]:
    """The words of a post in a message's text."""
    return re.findall(rf"{id_}[a-z0-9]*", text)


def fewest(messages: Sequence[Sequence[str]], wanted: Sequence[str]) -> int | None:
    """How many of these messages, in their order, show exactly what is wanted; ``None`` where none do."""
    if not wanted:
        return 0
    for number, message in enumerate(messages):
        if message and list(wanted[: len(message)]) == list(message):
            rest = fewest(messages[number + 1 :], wanted[len(message) :])
            if rest is not None:
                return rest + 1
    return None
