"""What a camera wrote into a picture stays behind; the picture itself is not touched."""

from __future__ import annotations

import struct
import zlib

from hypothesis import given
from hypothesis import strategies as st

from core.metadata import stripped

PLACE = b"45.4408 N 12.3155 E"


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def exif(order: str, turned: int) -> bytes:
    mark = b"II" if order == "<" else b"MM"
    entries = struct.pack(f"{order}HHIHH", 0x0112, 3, 1, turned, 0)
    entries += struct.pack(f"{order}HHII", 0x8825, 4, 1, 38)
    return (
        b"Exif\0\0"
        + mark
        + struct.pack(f"{order}HIH", 42, 8, 2)
        + entries
        + struct.pack(f"{order}I", 0)
        + PLACE
    )


JFIF = segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
TABLES = segment(0xDB, b"\0" + bytes(64)) + segment(0xC0, b"\x08\0\1\0\1\1\1\x11\0")
SCAN = segment(0xDA, b"\1\1\0\0\x3f\0") + b"\x12\xff\0\x34\xff\xd0\x56"
PROFILE = segment(0xE2, b"ICC_PROFILE\0\1\1colours")


def jpeg(*around: bytes, behind: bytes = b"") -> bytes:
    return b"\xff\xd8" + b"".join(around) + TABLES + SCAN + b"\xff\xd9" + behind


def test_a_photograph_says_no_more_where_it_was_taken() -> None:
    taken = jpeg(
        JFIF, segment(0xE1, exif(">", 1)), PROFILE, segment(0xED, b"Photoshop " + PLACE), segment(0xFE, PLACE)
    )
    assert stripped(taken, "image/jpeg") == jpeg(JFIF, PROFILE)


def test_it_keeps_its_way_up() -> None:
    for order in "<>":
        clean = stripped(jpeg(JFIF, segment(0xE1, exif(order, 6))), "image/jpeg")
        assert PLACE not in clean
        assert clean == jpeg(
            JFIF, segment(0xE1, b"Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0")
        )
        assert stripped(clean, "image/jpeg") == clean


def test_what_stands_behind_the_picture_goes_too() -> None:
    """Some phones append a second picture, with a place of its own."""
    taken = jpeg(JFIF, segment(0xE2, b"MPF\0" + PLACE), behind=jpeg(segment(0xE1, exif(">", 1))))
    assert stripped(taken, "image/jpeg") == jpeg(JFIF)


def test_metadata_between_two_scans_goes() -> None:
    taken = b"\xff\xd8" + JFIF + TABLES + SCAN + segment(0xE1, exif(">", 1)) + SCAN + b"\xff\xd9"
    assert stripped(taken, "image/jpeg") == b"\xff\xd8" + JFIF + TABLES + SCAN + SCAN + b"\xff\xd9"


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def test_a_png_loses_its_texts_and_place() -> None:
    head, data, end = chunk(b"IHDR", bytes(13)), chunk(b"IDAT", b"x"), chunk(b"IEND", b"")
    sign = b"\x89PNG\r\n\x1a\n"
    dirty = (
        sign
        + head
        + chunk(b"eXIf", PLACE)
        + chunk(b"tEXt", PLACE)
        + chunk(b"iCCP", b"p")
        + data
        + end
        + PLACE
    )
    assert stripped(dirty, "image/png") == sign + head + chunk(b"iCCP", b"p") + data + end


def webp(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"WEBP" + b"".join(n + struct.pack("<I", len(c)) + c + bytes(len(c) % 2) for n, c in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def test_a_webp_loses_its_place_and_no_longer_announces_it() -> None:
    dirty = webp((b"VP8X", b"\x2c" + bytes(9)), (b"VP8 ", b"abc"), (b"EXIF", PLACE), (b"XMP ", PLACE))
    assert stripped(dirty, "image/webp") == webp((b"VP8X", b"\x20" + bytes(9)), (b"VP8 ", b"abc"))


@given(st.binary(max_size=200), st.sampled_from(["image/jpeg", "image/png", "image/webp", "video/mp4"]))
def test_what_is_no_picture_stays_as_it_is_and_nothing_fails(content: bytes, mime: str) -> None:
    once = stripped(content, mime)
    assert stripped(once, mime) == once


@given(st.binary(max_size=40))
def test_damaged_photographs_never_fail(rest: bytes) -> None:
    stripped(b"\xff\xd8\xff\xe1\0\x20Exif\0\0" + rest, "image/jpeg")
    stripped(b"\x89PNG\r\n\x1a\n" + rest, "image/png")
    stripped(b"RIFF\0\0\0\0WEBP" + rest, "image/webp")
