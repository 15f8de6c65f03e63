"""A picture that is too large for a platform is made smaller, the right way up, and nothing is unpacked without end."""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from core.metadata import sides, stripped
from stormo import pictures
from stormo.pictures import smaller


def noise(width: int, height: int) -> Image.Image:
    """What compresses badly."""
    return Image.frombytes("RGB", (width, height), random.Random(1).randbytes(width * height * 3))


def saved(picture: Image.Image, kind: str, **more: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **more)
    return out.getvalue()


def test_a_large_picture_becomes_a_jpeg_that_fits(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(saved(noise(1200, 900), "PNG"))
    made = smaller(tmp_path / "large", 300_000)
    assert made is not None
    assert len(made) <= 300_000
    shown = Image.open(io.BytesIO(made))
    assert shown.format == "JPEG"
    assert abs(shown.width / shown.height - 4 / 3) < 0.01
    assert smaller(tmp_path / "large", 100) is None


def test_it_is_the_right_way_up_and_says_how_it_lies(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "A camera"
    taken = saved(noise(300, 200), "JPEG", exif=exif)
    clean = stripped(taken, "image/jpeg")
    assert b"A camera" not in clean
    assert sides(clean, "image/jpeg") == (200, 300)
    (tmp_path / "lying").write_bytes(clean)
    made = smaller(tmp_path / "lying", 1_000_000)
    assert made is not None
    assert Image.open(io.BytesIO(made)).size == (200, 300)


def test_what_is_seen_through_lies_on_white(tmp_path: Path) -> None:
    (tmp_path / "clear").write_bytes(saved(Image.new("RGBA", (50, 50), (0, 0, 0, 0)), "PNG"))
    made = smaller(tmp_path / "clear", 1_000_000)
    assert made is not None
    assert Image.open(io.BytesIO(made)).getpixel((25, 25)) == (255, 255, 255)


def test_what_would_unpack_to_too_much_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bomb").write_bytes(saved(Image.new("1", (2000, 2000)), "PNG"))
    monkeypatch.setattr(pictures, "MAX_PIXELS", 1_000_000)
    assert smaller(tmp_path / "bomb", 1_000_000) is None


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\nnone", b"\xff\xd8\xff\xe0", b"<svg/>"])
def test_what_is_no_picture_stays_what_it_is(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    assert smaller(tmp_path / "x", 1000) is None


@pytest.mark.parametrize(
    ("kind", "mime"), [("PNG", "image/png"), ("GIF", "image/gif"), ("JPEG", "image/jpeg")]
)
def test_every_kind_tells_its_sides(kind: str, mime: str) -> None:
    assert sides(saved(noise(120, 80), kind), mime) == (120, 80)


def test_sides_that_cannot_be_are_not_believed() -> None:
    header = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
    assert sides(header + (2**32 - 1).to_bytes(4) + (1).to_bytes(4), "image/png") == (0, 0)
