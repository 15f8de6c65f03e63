"""Smaller pictures of large ones, for platforms that do not take those."""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

#: Pixels of a picture that is still opened: a small file may unpack to gigabytes.
MAX_PIXELS: Final = 80_000_000
#: The longest side, and JPEG's quality: the first of these that fits is taken.
_STEPS: Final = ((4096, 88), (2560, 85), (1920, 80), (1280, 75), (800, 65))
_FORMATS: Final = ("JPEG", "PNG", "WEBP")


def smaller(path: Path, limit: int) -> bytes | None:
    """The picture as a JPEG of at most ``limit`` bytes, the right way up; nothing where that cannot be made.

    Slow: call it in a thread. What moves, and what would unpack to too much, is left alone.
    """
    # Twenty megabytes of memory that most instances never need.
    from PIL import Image, ImageOps

    try:
        with Image.open(path, formats=_FORMATS) as opened:
            if opened.width * opened.height > MAX_PIXELS or getattr(opened, "n_frames", 1) > 1:
                return None
            opened.draft("RGB", (_STEPS[0][0], _STEPS[0][0]))
            turned = ImageOps.exif_transpose(opened)
            picture = Image.new("RGB", turned.size, "white")
            shown = turned.convert("RGBA")
            picture.paste(shown, mask=shown)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        log.info("a picture cannot be made smaller: %s", type(error).__name__)
        return None
    for side, quality in _STEPS:
        picture.thumbnail((side, side))
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=quality, optimize=True)
        if out.tell() <= limit:
            return out.getvalue()
    return None
