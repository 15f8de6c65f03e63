"""What became of a send whose answer was lost: Discord's history has it, or it was never said.

Each copy carries its key in its button, so that it is known again whatever was edited since.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from bots.discord import convert, render
from bots.discord.acts import channel_of
from bots.discord.channels import Channel, Channels
from bots.discord.refusals import UNKNOWN_CHANNEL, UNKNOWN_MESSAGE, rejected
from bots.discord.rest import Refused, Rest, Route
from bots.discord.webhooks import Webhooks
from core.errors import Rejected, RejectedWhy
from core.intents import Create
from core.types import ChatRef, MessageRef

_MESSAGES = "/channels/{}/messages"
_MESSAGE = "/channels/{}/messages/{}"
_ACTIVE = "/guilds/{}/threads/active"
_ARCHIVED = "/channels/{}/threads/archived/public"
_PAGE, _PAGES = 100, 10
#: How much Discord's clock and ours may differ.
_SKEW = timedelta(minutes=2)
#: A call begins this soon after its try was written down, or never.
_WINDOW = timedelta(hours=1)


class History:
    """Reads what stands in a chat. Raises ``Rejected`` where that may not be read, ``RetryLater``."""

    def __init__(self, rest: Rest, channels: Channels, webhooks: Webhooks) -> None:
        self._rest = rest
        self._channels = channels
        self._webhooks = webhooks

    async def find(self, create: Create, since: datetime, *, surely_readable: bool) -> MessageRef | None:
        """The message that this made, if it made one.

        Discord answers with an empty list where we may not read: ``surely_readable`` says that an empty list means
        that nothing was written.
        """
        sign, seen, channel = render.sign(create.key), False, channel_of(create)
        try:
            there = await self._channels.of(channel)
            written = self._begun(there, since) if there.forum else self._written(channel, since)
            async for payload in written:
                seen = True
                ref = _ref(create.chat, payload)
                if sign in _signs(await self._read(ref, payload)):
                    return ref
        except Refused as refused:
            if refused.code == UNKNOWN_CHANNEL and channel != create.chat.key:
                # It would stand in a post of a forum that went.
                return None
            raise rejected(refused) from None
        if not (seen or surely_readable or there.forum):
            raise Rejected("nothing is there, or nothing may be read", why=RejectedWhy.FORBIDDEN)
        return None

    async def _begun(self, forum: Channel, since: datetime) -> AsyncIterator[Mapping[str, Any]]:
        """What the posts of a forum begin with, from shortly before that time on, oldest first."""
        after = int(convert.snowflake_at(since - _SKEW))
        for thread in sorted(await self._threads(forum)):
            if thread > after:
                try:
                    yield await self._rest.call(Route("GET", _MESSAGE, (str(thread), str(thread))))
                except Refused as refused:
                    # Its first message may be gone, or all of it meanwhile.
                    if refused.code not in (UNKNOWN_CHANNEL, UNKNOWN_MESSAGE):
                        raise

    async def _threads(self, forum: Channel) -> set[int]:
        """Those that are open, and those that somebody archived meanwhile."""
        active = await self._rest.call(Route("GET", _ACTIVE, (forum.guild,)))
        archived = await self._rest.call(Route("GET", _ARCHIVED, (forum.id,)), query={"limit": str(_PAGE)})
        found = [*active["threads"], *archived["threads"]]
        return {int(one["id"]) for one in found if str(one.get("parent_id")) == forum.id}

    async def _written(self, channel: str, since: datetime) -> AsyncIterator[Mapping[str, Any]]:
        """From shortly before that time on, oldest first."""
        after = convert.snowflake_at(since - _SKEW)
        for _ in range(_PAGES):
            query = {"after": after, "limit": str(_PAGE)}
            page = await self._rest.call(Route("GET", _MESSAGES, (channel,)), query=query)
            for payload in sorted(page, key=lambda payload: int(payload["id"])):
                after = convert.snowflake(payload["id"])
                yield payload
            if len(page) < _PAGE or convert.moment(after) > since + _WINDOW:
                return
        raise Rejected("too much was written since to look through", why=RejectedWhy.FORBIDDEN)

    async def _read(self, ref: MessageRef, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        """A message of ours, with its buttons; nothing of what others wrote."""
        if not await self._webhooks.ours(payload):
            return {}
        if payload.get("components") or payload.get("content") or payload.get("webhook_id") is None:
            return payload
        # Without the message-content intent even what our own webhooks said comes empty.
        answer = await self._webhooks.read(ref)
        return answer if isinstance(answer, Mapping) else {}


def _ref(chat: ChatRef, payload: Mapping[str, Any]) -> MessageRef:
    channel = convert.snowflake(payload["channel_id"])
    ref = convert.message_at(channel, payload["id"], "" if channel == chat.key else chat.key)
    return replace(ref, via=str(payload.get("webhook_id") or ""))


def _signs(payload: Mapping[str, Any]) -> Iterator[str]:
    for row in payload.get("components") or ():
        for part in row.get("components") or ():
            yield str(part.get("custom_id", ""))
