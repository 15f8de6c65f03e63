"""How the gateway's text is packed: as it is, or in one of the two streams that a bot may ask for."""

from __future__ import annotations

import importlib
import zlib
from typing import Any, Protocol


class Packer(Protocol):
    def __call__(self, text: str) -> bytes | str: ...


def zlib_packer() -> Packer:
    stream = zlib.compressobj()
    return lambda text: stream.compress(text.encode()) + stream.flush(zlib.Z_SYNC_FLUSH)


def zstd_packer() -> Packer | None:
    """None where neither the `zstandard` package nor Python's own module is there."""
    try:
        found: Any = importlib.import_module("zstandard")
    except ImportError:
        try:
            found = importlib.import_module("compression.zstd")
        except ImportError:
            return None
        own = found.ZstdCompressor()
        return lambda text: bytes(own.compress(text.encode(), own.FLUSH_BLOCK))
    stream = found.ZstdCompressor().compressobj()
    return lambda text: bytes(stream.compress(text.encode()) + stream.flush(found.COMPRESSOBJ_FLUSH_BLOCK))
