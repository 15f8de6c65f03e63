"""Pictures without what their camera wrote into them: no place, no device, no hour. Pure.

Nothing is decoded or compressed anew: segments that are not the picture are left out, and the way up is kept. JPEG
after ITU T.81 annex B and Exif 2.3, PNG after its third edition, WebP after RFC 9649.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Final

#: APP1 (Exif, XMP) to APP13, and comments; APP14 holds Adobe's colour transform, APP2 perhaps the colour profile.
_LEFT_OUT: Final = frozenset({*range(0xE1, 0xEE), 0xEF, 0xFE})
_PROFILE: Final = b"ICC_PROFILE\0"
_SCAN, _END = 0xDA, 0xD9
#: Frame headers: SOF0 to SOF15, among which other markers stand.
_FRAMES: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_LONGEST_SIDE: Final = 1_000_000
#: Orientations from here on turn by a quarter.
_LYING: Final = 5
#: What ends a scan: neither a stuffed byte nor a restart.
_NEXT_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_EXIF: Final = b"Exif\0\0"
_ORIENTATION: Final = 0x0112
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_PNG_LEFT_OUT: Final = frozenset({b"eXIf", b"tEXt", b"zTXt", b"iTXt", b"tIME"})
_WEBP_LEFT_OUT: Final = frozenset({b"EXIF", b"XMP "})
#: The flags of a WebP header that announce Exif and XMP.
_WEBP_FLAGS: Final = 0x08 | 0x04


def stripped(data: bytes, mime: str) -> bytes:
    """The same picture without its metadata; anything else, or what does not have its form, as it is."""
    strip = _STRIPS.get(mime)
    if strip is None:
        return data
    try:
        return strip(data)
    except (ValueError, IndexError, struct.error):
        return data


# -- JPEG --------------------------------------------------------------------------------------------------------


def sides(data: bytes, mime: str) -> tuple[int, int]:
    """Width and height as the picture is seen, in pixels; 0 where its first bytes do not tell."""
    try:
        if mime == "image/png":
            width, height = struct.unpack_from(">II", data, 16)
        elif mime == "image/gif":
            width, height = struct.unpack_from("<HH", data, 6)
        elif mime == "image/jpeg":
            width, height = _frame(data)
        else:
            return 0, 0
    except (ValueError, IndexError, struct.error):
        return 0, 0
    # Anybody may write anything there.
    return (int(width), int(height)) if max(width, height) <= _LONGEST_SIDE else (0, 0)


def _frame(data: bytes) -> tuple[int, int]:
    """Of the frame header; a picture that lies on its side is as wide as that is high."""
    lying = False
    for marker, segment in _segments(data):
        if segment[4:10] == _EXIF:
            lying = _way_up(segment[10:]) >= _LYING
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", segment, 5)
            return (height, width) if lying else (width, height)
    return 0, 0


def _jpeg(data: bytes) -> bytes:
    parts, way = [data[:2]], 0
    for marker, segment in _segments(data):
        if marker not in _LEFT_OUT or segment[4:16] == _PROFILE:
            parts.append(segment)
        elif segment[4:10] == _EXIF and not way:
            way = _way_up(segment[10:])
    # The way up goes behind JFIF's own header, which must be first.
    if way:
        parts.insert(2 if parts[1][1:2] == b"\xe0" else 1, _orientation(way))
    return b"".join(parts)


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Each segment of the first picture, a scan with its data; what stands behind its end is none of it."""
    at = 2
    while at < len(data):
        if data[at] != 0xFF:  # noqa: PLR2004
            raise ValueError("no marker where one must be")
        marker = data[at + 1]
        if marker == 0xFF:  # noqa: PLR2004
            at += 1
            continue
        if marker == _END:
            yield marker, data[at : at + 2]
            return
        (length,) = struct.unpack_from(">H", data, at + 2)
        end = at + 2 + length
        if marker == _SCAN:
            found = _NEXT_MARKER.search(data, end)
            end = found.start() if found else len(data)
        yield marker, data[at:end]
        at = end


def _way_up(tiff: bytes) -> int:
    """How the picture lies, from 2 to 8 as Exif counts it; 0 where it lies as usual."""
    order = "<" if tiff[:2] == b"II" else ">"
    try:
        (first,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, first)
        for entry in range(count):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, first + 2 + entry * 12)
            if tag == _ORIENTATION and kind == 3 and 1 < value <= 8:  # noqa: PLR2004
                return int(value)
    except struct.error:
        pass
    return 0


def _orientation(value: int) -> bytes:
    """An Exif segment that says nothing else."""
    tiff = struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, _ORIENTATION, 3, 1, value, 0, 0)
    return struct.pack(">BBH", 0xFF, 0xE1, 2 + len(_EXIF) + len(tiff)) + _EXIF + tiff


# -- PNG and WebP ------------------------------------------------------------------------------------------------


def _png(data: bytes) -> bytes:
    chunks = list(_png_chunks(data))
    return _PNG + b"".join(whole for name, whole in chunks if name not in _PNG_LEFT_OUT)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_PNG)
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        end = at + 12 + length
        if end > len(data):
            raise ValueError("a chunk reaches past the end")
        yield data[at + 4 : at + 8], data[at:end]
        if data[at + 4 : at + 8] == b"IEND":
            return
        at = end


def _webp(data: bytes) -> bytes:
    kept = [whole for name, whole in _webp_chunks(data) if name not in _WEBP_LEFT_OUT]
    if kept and kept[0][:4] == b"VP8X":
        head = bytearray(kept[0])
        head[8] &= ~_WEBP_FLAGS
        kept[0] = bytes(head)
    body = b"WEBP" + b"".join(kept)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at + 4)
        end = at + 8 + length + length % 2
        if at + 8 + length > len(data):
            raise ValueError("a chunk reaches past the end")
        yield data[at : at + 4], data[at:end]
        at = end


_STRIPS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "image/jpeg": _jpeg,
    "image/png": _png,
    "image/webp": _webp,
}
