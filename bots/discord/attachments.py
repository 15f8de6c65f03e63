"""Files of Discord: what came with a message or a command, and how ours are described. Pure.

A link of Discord's ends after a day. The message that it came with gives a new one; a command has no message.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from core.errors import FileRefused, FileWhy
from core.events import Attachment
from core.intents import File, View

Payload = Mapping[str, Any]

#: Before a name, what makes Discord veil a file.
_SPOILER: Final = "SPOILER_"
#: Characters of a description.
_ALT: Final = 1024
#: Bytes of a whole request, less what is no file in it.
MAX_REQUEST: Final = 25 * 1024 * 1024 - 64 * 1024
#: Of one file, in a guild that nobody boosted.
MAX_FILE: Final = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that goes beside a call."""

    path: Path
    name: str
    mime: str


@dataclass(frozen=True, slots=True)
class Source:
    """Where an attachment lies: its link, and the message that renews it, if any."""

    url: str
    id: str
    channel: str = ""
    message: str = ""

    def __str__(self) -> str:
        return json.dumps([self.url, self.id, self.channel, self.message])

    @classmethod
    def read(cls, source: str) -> Source:
        """Raises ``FileRefused`` for what no version of ours wrote."""
        try:
            url, id_, channel, message = (str(part) for part in json.loads(source))
        except (ValueError, TypeError):
            raise FileRefused(FileWhy.GONE, "no attachment of Discord's") from None
        return cls(url, id_, channel, message)


def attached(data: Payload) -> tuple[Attachment, ...]:
    """What came with a message. Raises what a malformed payload raises."""
    return _attachments(data.get("attachments") or [], str(data["channel_id"]), str(data["id"]))


def chosen(data: Payload) -> tuple[Attachment, ...]:
    """What was chosen for the fields of a slash command."""
    resolved = (data.get("resolved") or {}).get("attachments") or {}
    return _attachments(resolved.values(), "", "")


def link_of(message: object, id_: str) -> str:
    """The link that an attachment has now, by the message as Discord gives it; empty where it went."""
    attachments = message.get("attachments") if isinstance(message, Mapping) else None
    for one in attachments or []:
        if isinstance(one, Mapping) and str(one.get("id")) == id_:
            return str(one.get("url") or "")
    return ""


def described(files: Iterable[File], ids: Iterable[str] = ()) -> list[dict[str, Any]]:
    """The ``attachments`` of a message: of files that come with it, or (with their ids) of those that stand there."""
    standing = list(ids)
    if standing:
        return [{"id": id_, "description": f.alt[:_ALT]} for id_, f in zip(standing, files, strict=False)]
    return [
        {"id": number, "filename": filename(file), "description": file.alt[:_ALT]}
        for number, file in enumerate(files)
    ]


def uploads(view: View) -> list[Upload]:
    """The files of a view, as they go beside a call."""
    return [Upload(file.path, filename(file), file.mime) for file in view.files]


def filename(file: File) -> str:
    """A name as Discord takes it; spoilers are a matter of names there."""
    return f"{_SPOILER if file.spoiler else ''}{file.name}"


def _attachments(payloads: Iterable[Payload], channel: str, message: str) -> tuple[Attachment, ...]:
    return tuple(_attachment(one, channel, message) for one in payloads)


def _attachment(data: Payload, channel: str, message: str) -> Attachment:
    name, id_ = str(data["filename"]), str(data["id"])
    return Attachment(
        source=str(Source(str(data["url"]), id_, channel, message)),
        key=id_,
        name=name.removeprefix(_SPOILER),
        mime=str(data.get("content_type") or "").partition(";")[0],
        size=int(data.get("size") or 0),
        alt=str(data.get("description") or ""),
        spoiler=name.startswith(_SPOILER),
        width=int(data.get("width") or 0),
        height=int(data.get("height") or 0),
    )
