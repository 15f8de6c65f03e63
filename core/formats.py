"""What kind of file some bytes are, by what they themselves say and never by what is said of them. Pure."""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from collections.abc import Collection, Mapping
from pathlib import PurePosixPath
from typing import Final

#: As many of the first bytes are enough to tell.
HEAD: Final = 4096
TEXT: Final = "text/plain"
UNKNOWN: Final = "application/octet-stream"
MAX_NAME: Final = 100
_ENDING: Final = 10

_BEGINNINGS: Final[tuple[tuple[bytes, str], ...]] = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"\x1a\x45\xdf\xa3", "video/webm"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"ID3", "audio/mpeg"),
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b", "application/gzip"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"MZ", "application/x-msdownload"),
    (b"\x7fELF", "application/x-executable"),
)
_RIFF: Final[Mapping[bytes, str]] = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
#: Brands of ISO base media files that are no video.
_BRANDS: Final[Mapping[bytes, str]] = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heic",
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
    b"qt  ": "video/quicktime",
}
_EXTENSIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "image/jpeg": (".jpg", ".jpeg", ".jpe"),
    "image/png": (".png",),
    "image/gif": (".gif",),
    "image/webp": (".webp",),
    "image/avif": (".avif",),
    "image/heic": (".heic", ".heif"),
    "image/svg+xml": (".svg",),
    "video/mp4": (".mp4", ".m4v"),
    "video/quicktime": (".mov", ".qt"),
    "video/webm": (".webm", ".mkv"),
    "video/x-msvideo": (".avi",),
    "audio/mpeg": (".mp3",),
    "audio/mp4": (".m4a", ".m4b", ".aac"),
    "audio/ogg": (".ogg", ".oga", ".opus"),
    "audio/flac": (".flac",),
    "audio/wav": (".wav",),
    "application/pdf": (".pdf",),
    "application/zip": (".zip", ".docx", ".xlsx", ".pptx", ".odt", ".ods", ".odp", ".epub"),
    "application/gzip": (".gz", ".tgz"),
    "text/html": (".html", ".htm"),
}
#: A text that a browser could take for markup.
_MARKUP: Final = re.compile(r"[\s\ufeff]*<[!?a-z]", re.IGNORECASE)
#: An MPEG audio frame: eleven set bits, then a layer that exists.
_LAYERS: Final = frozenset({0xFA, 0xFB, 0xF2, 0xF3, 0xE2, 0xE3})
_FOREIGN: Final = re.compile(r'[<>:"|?*]')


def sniff(head: bytes) -> str:
    """The type of a file that begins so."""
    for beginning, mime in _BEGINNINGS:
        if head.startswith(beginning):
            return mime
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12], UNKNOWN)
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "video/mp4")
    if len(head) > 1 and head[0] == 0xFF and head[1] in _LAYERS:  # noqa: PLR2004
        return "audio/mpeg"
    return _text(head)


def _text(head: bytes) -> str:
    try:
        # The last letter of a portion may be cut in two.
        words = getincrementaldecoder("utf-8")().decode(head, len(head) < HEAD)
    except UnicodeDecodeError:
        return UNKNOWN
    if not words or "\0" in words:
        return UNKNOWN
    if _MARKUP.match(words) is None:
        return TEXT
    return "image/svg+xml" if "<svg" in words.lower() else "text/html"


def allowed(mime: str, types: Collection[str]) -> bool:
    """Whether these types have it: ``image`` is every image without a script in it, ``image/png`` that one."""
    return mime in types or (mime != "image/svg+xml" and mime.partition("/")[0] in types)


def clean_name(name: str, mime: str) -> str:
    """A name that is harmless on every disk and fits what the file is; ``image.png`` where there was none."""
    name = "".join(letter if letter.isprintable() else " " for letter in name)
    name = PurePosixPath(name.replace("\\", "/")).name
    name = " ".join(_FOREIGN.sub("_", name).split()).strip(". ")
    endings = _EXTENSIONS.get(mime, ())
    name = name or (mime.partition("/")[0] if endings else "file")
    ending = PurePosixPath(name).suffix
    if endings and ending.lower() not in endings:
        ending = endings[0]
        name += ending
    return name if len(name) <= MAX_NAME else name[: MAX_NAME - len(ending[:_ENDING])] + ending[:_ENDING]
