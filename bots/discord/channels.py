"""What kind of place a channel is: as the gateway tells, else as Discord answers."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bots.discord import convert
from bots.discord.refusals import ARCHIVED
from bots.discord.rest import Refused, Rest, Route
from core.errors import RetryLater

log = logging.getLogger(__name__)

Call = Callable[[], Awaitable[Any]]

_CHANNEL: Final = "/channels/{}"
_THREADS: Final = frozenset({10, 11, 12})
#: A forum, and one of pictures.
_FORUMS: Final = frozenset({15, 16})
_KEPT: Final = 4096


@dataclass(frozen=True, slots=True)
class Channel:
    """``parent``: the channel that a thread belongs to; ``owner``: who opened it."""

    id: str
    kind: int
    guild: str = ""
    name: str = ""
    parent: str = ""
    owner: str = ""

    @property
    def forum(self) -> bool:
        """Whether each thing that is shown there is a thread of its own."""
        return self.kind in _FORUMS

    @property
    def thread(self) -> bool:
        return self.kind in _THREADS


def read(data: Mapping[str, Any]) -> Channel:
    """A channel of Discord's HTTP API. Raises what a malformed payload raises."""
    thread = data["type"] in _THREADS
    return Channel(
        id=convert.snowflake(data["id"]),
        kind=int(data["type"]),
        guild=str(data.get("guild_id") or ""),
        name=str(data.get("name") or ""),
        parent=convert.snowflake(data["parent_id"]) if thread else "",
        owner=str(data.get("owner_id") or ""),
    )


class Channels:
    """Belongs to one event loop. ``told``: a channel as the gateway has it, if it has."""

    def __init__(self, rest: Rest, told: Callable[[str], Channel | None]) -> None:
        self._rest = rest
        self._told = told
        #: What was asked for. Of these only the name can change, and a bare channel into one of announcements.
        self._asked: dict[str, Channel] = {}

    def known(self, channel: str) -> Channel | None:
        """Without asking."""
        return self._told(channel) or self._asked.get(channel)

    async def of(self, channel: str) -> Channel:
        """Raises ``Refused``, and ``RetryLater``, never with an unknown outcome."""
        return self.known(channel) or await self.now(channel)

    async def now(self, channel: str) -> Channel:
        """As it is now, by the gateway or asked anew."""
        told = self._told(channel)
        if told is not None:
            return told
        answer = await self.ask(Route("GET", _CHANNEL, (channel,)))
        try:
            found = read(answer)
        except (KeyError, TypeError, ValueError):
            raise RetryLater("an answer without a channel") from None
        if len(self._asked) >= _KEPT:
            self._asked.clear()
        self._asked[channel] = found
        return found

    async def ask(self, route: Route, body: Mapping[str, Any] | None = None) -> Any:
        """A call that shows nobody anything, whatever becomes of its answer."""
        try:
            return await self._rest.call(route, body)
        except RetryLater as later:
            raise RetryLater(
                str(later), after=later.after, whole_token=later.whole_token, too_many=later.too_many
            ) from None

    async def awake(self, channel: str, call: Call) -> Any:
        """What an archived thread refuses is done while it is open for a moment: a vote moves no thread to the top."""
        try:
            return await call()
        except Refused as refused:
            if refused.code != ARCHIVED:
                raise
            asleep = refused
        thread = Route("PATCH", _CHANNEL, (channel,))
        try:
            await self._rest.call(thread, {"archived": False})
        except Refused:
            raise asleep from None
        done = await call()
        try:
            await self._rest.call(thread, {"archived": True})
        except (Refused, RetryLater) as error:
            log.info("discord: a thread stays open for now: %s", error)
        return done
