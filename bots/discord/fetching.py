"""Fetching what people attached, also after Discord's link to it ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bots.discord.attachments import Source, link_of
from bots.discord.convert import PLATFORM
from bots.discord.rest import Refused, Rest, Route
from bots.download import Downloader
from core.crashpoints import passing
from core.errors import FileRefused, FileWhy

_MESSAGE: Final = "/channels/{}/messages/{}"


class Fetching:
    """Belongs to one event loop. ``cdn_url``: Discord's own server of files."""

    def __init__(self, rest: Rest, cdn_url: str) -> None:
        self._rest = rest
        self._downloader = Downloader(cdn_url)

    async def close(self) -> None:
        await self._downloader.close()

    async def fetch(self, source: str, take: Callable[[bytes], None]) -> None:
        """See ``core.ports.Adapter``."""
        there = Source.read(source)
        try:
            await self._downloader.fetch(there.url, take)
        except FileRefused as refused:
            if refused.why is not FileWhy.GONE or not there.message:
                raise
            await self._downloader.fetch(await self._renewed(there), take)

    async def _renewed(self, there: Source) -> str:
        """A link is signed for a day; the message that it came with has a new one."""
        try:
            message = await self._rest.call(Route("GET", _MESSAGE, (there.channel, there.message)))
        except Refused as refused:
            raise FileRefused(FileWhy.GONE, str(refused)) from None
        passing("media.located", PLATFORM)
        link = link_of(message, there.id)
        if not link:
            raise FileRefused(FileWhy.GONE, "its message has it no more")
        return link
