"""Files on Matrix: what came with a message, how ours are shown, and their way to and from the homeserver.

Captions after MSC2530 (in the specification since 1.10), veils after MSC4193, which few clients know yet.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final

from bots.download import Downloader
from bots.matrix.homeserver import Homeserver, Refused
from bots.matrix.html import PLATFORM
from bots.matrix.room import mapping, words
from core.crashpoints import passing
from core.errors import FileRefused, FileWhy, Rejected, RejectedWhy, RetryLater
from core.events import Attachment
from core.intents import File

#: Messages that are files.
TYPES: Final = frozenset({"m.image", "m.file", "m.video", "m.audio"})
VEILED: Final = "page.codeberg.everypizza.msc4193.spoiler"
_FAMILIES: Final = {"image": "m.image", "video": "m.video", "audio": "m.audio"}
_MXC: Final = re.compile(r"mxc://([A-Za-z0-9.:\[\]-]{1,255})/([A-Za-z0-9_-]{1,255})")
#: How many uploads are remembered, so that a file goes to the homeserver once for all rooms.
_REMEMBERED: Final = 2000


# -- pure ------------------------------------------------------------------------------------------------------------


def attached(content: Mapping[str, Any]) -> tuple[Attachment, ...]:
    """What a message's content brings. What was encrypted for its room has no plain address: nothing comes of it."""
    uri = words(content.get("url"))
    if words(content.get("msgtype")) not in TYPES or not _MXC.fullmatch(uri):
        return ()
    info = mapping(content.get("info"))
    return (
        Attachment(
            source=uri,
            name=words(content.get("filename")) or words(content.get("body")),
            mime=words(info.get("mimetype")),
            size=_count(info.get("size")),
            spoiler=content.get(VEILED) is True,
            width=_count(info.get("w")),
            height=_count(info.get("h")),
        ),
    )


def has_caption(content: Mapping[str, Any]) -> bool:
    """Whether the body of a file's message is words; else it is the file's name once more."""
    filename = content.get("filename")
    return isinstance(filename, str) and bool(filename) and content.get("body") != filename


def shown(file: File, uri: str) -> dict[str, Any]:
    """The fields that show a file. Its caption, if it has any, is the body beside them."""
    info: dict[str, Any] = {"mimetype": file.mime, "size": file.size}
    if file.width and file.height:
        info |= {"w": file.width, "h": file.height}
    kind = _FAMILIES.get(file.mime.partition("/")[0], "m.file")
    fields: dict[str, Any] = {"msgtype": kind, "filename": file.name, "url": uri, "info": info}
    return fields | {VEILED: True} if file.spoiler else fields


def _count(value: object) -> int:
    number = isinstance(value, int) and not isinstance(value, bool)
    return int(str(value)) if number and 0 <= int(str(value)) < 2**53 else 0


# -- to and from the homeserver --------------------------------------------------------------------------------------


class Files:
    """Belongs to one event loop. ``url``: the homeserver, which may be anywhere."""

    def __init__(self, server: Homeserver, url: str) -> None:
        self._server = server
        self._url = url.rstrip("/")
        self._downloader = Downloader(url)
        self._uploaded: OrderedDict[str, str] = OrderedDict()

    async def close(self) -> None:
        await self._downloader.close()

    async def fetch(self, source: str, take: Callable[[bytes], None]) -> None:
        """See ``core.ports.Adapter``. The own homeserver brings what lies on others."""
        found = _MXC.fullmatch(source)
        if found is None:
            raise FileRefused(FileWhy.GONE, "no address of a file")
        address = f"{self._url}/_matrix/client/v1/media/download/{found[1]}/{found[2]}"
        await self._downloader.fetch(address, take, await self._server.authorization())

    async def uploaded(self, file: File) -> str:
        """Where a file lies on the homeserver, brought there unless it was. Raises ``Rejected``, ``RetryLater``."""
        known = self._uploaded.get(file.digest)
        if known is not None:
            return known
        try:
            with file.path.open("rb") as content:
                passing("media.placing", PLATFORM)
                answer = await self._server.upload(content, file.mime, file.name)
        except Refused as refused:
            raise Rejected(str(refused), why=RejectedWhy.FILE) from refused
        except RetryLater as later:
            # Whatever became of it, nobody sees anything yet.
            raise RetryLater(str(later), after=later.after, whole_token=later.whole_token) from later
        except OSError as error:
            raise RetryLater(f"a stored file cannot be read: {type(error).__name__}") from error
        uri = words(answer.get("content_uri"))
        if not _MXC.fullmatch(uri):
            raise RetryLater("the homeserver named no address")
        self._uploaded[file.digest] = uri
        passing("media.placed", PLATFORM)
        if len(self._uploaded) > _REMEMBERED:
            self._uploaded.popitem(last=False)
        return uri
