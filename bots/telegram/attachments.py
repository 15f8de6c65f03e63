"""Files of Telegram messages: what came with one, and how one of ours is sent. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from telegram import Message

from bots.telegram.reading import well_formed
from core.events import Attachment
from core.intents import File

#: Bytes of the largest photograph; more goes as a document, which nobody has to open to see that it is there.
MAX_PHOTO: Final = 10_000_000
#: Width and height of a photograph together, and how many times longer than wide it may be.
_MAX_SIDES, _MAX_RATIO = 10_000, 20
_PHOTOS: Final = frozenset({"image/jpeg", "image/png", "image/webp"})
_KINDS: Final = {
    "image/gif": "animation",
    "video/mp4": "video",
    "audio/mpeg": "audio",
    "audio/mp4": "audio",
}
#: Kinds that can be shown only to who asks.
_VEILED: Final = frozenset({"photo", "animation", "video"})


def attached(message: Message) -> tuple[Attachment, ...]:
    """What came with a message: one file at most. A sticker is an expression, and no file."""
    spoiler = bool(message.has_media_spoiler)
    if message.photo:
        largest = max(message.photo, key=lambda size: size.width * size.height)
        return (_attachment(largest, mime="image/jpeg", spoiler=spoiler),)
    # An animation is a document as well, for programs that know none.
    for file, mime in (
        (message.animation, "video/mp4"),
        (message.video, "video/mp4"),
        (message.video_note, "video/mp4"),
        (message.audio, "audio/mpeg"),
        (message.voice, "audio/ogg"),
        (message.document, ""),
    ):
        if file is not None:
            return (_attachment(file, mime=mime, spoiler=spoiler),)
    return ()


def _attachment(file: Any, *, mime: str, spoiler: bool) -> Attachment:
    return Attachment(
        source=str(file.file_id),
        name=well_formed(getattr(file, "file_name", None) or ""),
        mime=well_formed(getattr(file, "mime_type", None) or mime),
        size=int(file.file_size or 0),
        spoiler=spoiler,
        width=int(getattr(file, "width", None) or 0),
        height=int(getattr(file, "height", None) or 0),
    )


def album(message: Message) -> str:
    """What the messages of one album share, or nothing."""
    group = message.media_group_id
    return f"telegram:{message.chat.id}:{well_formed(group)}" if group else ""


@dataclass(frozen=True, slots=True)
class Sending:
    """How a file is sent: the method ``send_<kind>`` takes it as its parameter of that name."""

    kind: str
    more: dict[str, Any]


def sending(file: File, *, as_document: bool = False) -> Sending:
    """The best form that Telegram has for it."""
    kind = "document" if as_document else _kind(file)
    more: dict[str, Any] = {}
    if file.spoiler and kind in _VEILED:
        more["has_spoiler"] = True
    if kind in ("video", "animation") and file.width and file.height:
        more |= {"width": file.width, "height": file.height}
    if kind == "video":
        more["supports_streaming"] = True
    if kind == "document":
        more["disable_content_type_detection"] = True
    return Sending(kind, more)


def _kind(file: File) -> str:
    if file.mime not in _PHOTOS:
        return _KINDS.get(file.mime, "document")
    shortest, longest = sorted((file.width or 1, file.height or 1))
    fits = file.width + file.height <= _MAX_SIDES and longest <= shortest * _MAX_RATIO
    return "photo" if fits and file.size <= MAX_PHOTO else "document"
