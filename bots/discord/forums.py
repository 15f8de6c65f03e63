"""Forums: each thing shown there is a post, a thread that begins with its message and is called by its words."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from bots.discord import convert, render
from bots.discord.attachments import uploads
from bots.discord.channels import Call, Channels
from bots.discord.refusals import MISSING_ACCESS, MISSING_PERMISSIONS, rejected
from bots.discord.rest import Refused, Rest, Route
from bots.discord.webhooks import Webhooks
from core.errors import RetryLater
from core.intents import Create, Receipt
from core.types import MessageRef

log = logging.getLogger(__name__)

Payload = dict[str, Any]

_CHANNEL: Final = "/channels/{}"
_MESSAGES: Final = "/channels/{}/messages"
_THREADS: Final = "/channels/{}/threads"
#: Of the messages behind the first: more than titles that Discord tells of as such.
_LOOKED_AT: Final = "100"
_TITLES_KEPT: Final = 2048


class Forums:
    """Belongs to one event loop. Raises ``Rejected`` and ``RetryLater``."""

    def __init__(self, rest: Rest, channels: Channels, webhooks: Webhooks) -> None:
        self._rest = rest
        self._channels = channels
        self._webhooks = webhooks
        #: Thread -> the title that we gave it last; empty where that is still to be done.
        self._titles: OrderedDict[str, str] = OrderedDict()

    async def begin(self, intent: Create, payload: Payload) -> Receipt:
        """A post of the bot's, of a message's payload. A thread knows no nonce."""
        if intent.keyed:
            raise RetryLater("a forum knows no nonce", keyless=True)
        for alone in ("nonce", "enforce_nonce", "message_reference"):
            payload.pop(alone, None)
        body: Payload = {"name": render.title(intent.view), "message": payload}
        files, forum = uploads(intent.view), intent.chat.key
        try:
            answer = await self._rest.call(Route("POST", _THREADS, (forum,)), body, files=files)
            message = convert.message_at(answer["id"], answer["id"], forum)
        except Refused as refused:
            raise rejected(refused, embeds=bool(payload.get("embeds")), files=bool(files)) from None
        except (KeyError, TypeError, ValueError):
            raise RetryLater("an answer without a thread", unknown=True) from None
        self.called(message, body["name"])
        return Receipt(message)

    def called(self, message: MessageRef, title: str) -> None:
        """A post was given that title."""
        thread, _ = convert.address(message)
        self._titles[thread] = title
        self._titles.move_to_end(thread)
        if len(self._titles) > _TITLES_KEPT:
            self._titles.popitem(last=False)

    async def renames(self, message: MessageRef, title: str, payload: Payload, read: Call) -> bool:
        """Whether an edit to ``payload`` brings another title, asked before it is made; ``read`` has what stands there.

        What moderators called a post stays until its author has other words.
        """
        thread, _ = convert.address(message)
        if thread not in self._titles and _words(await read()) == _words(payload):
            self.called(message, title)
        return self._titles.get(thread) != title

    async def retitle(self, message: MessageRef, title: str) -> None:
        """A post of a forum is called by its first words, also once these are others."""
        thread, _ = convert.address(message)
        try:
            if (await self._channels.now(thread)).name != title:
                route = Route("PATCH", _CHANNEL, (thread,))
                await self._channels.awake(thread, lambda: self._rest.call(route, {"name": title}))
        except Refused as refused:
            log.info("discord: a post keeps its title: %s", refused)
        except RetryLater as later:
            # Discord lets nobody rename often. Other things of this forum do not wait for that.
            self.called(message, "")
            raise RetryLater(str(later)) from None
        self.called(message, title)

    async def ours(self, message: MessageRef) -> bool:
        """Whether the post that begins with this message is one of ours."""
        thread, _ = convert.address(message)
        try:
            return bool(message.via) or (await self._channels.now(thread)).owner == await self._webhooks.me()
        except Refused as refused:
            raise rejected(refused, post=True) from None

    async def close(self, message: MessageRef) -> bool:
        """Takes a whole post of ours away, if we may and nobody wrote in it: what others said is not ours to take."""
        thread, _ = convert.address(message)
        messages = Route("GET", _MESSAGES, (thread,))
        try:
            written = await self._rest.call(messages, query={"after": thread, "limit": _LOOKED_AT})
            if any(one.get("type") in convert.TALK for one in written):
                return False
            await self._rest.call(Route("DELETE", _CHANNEL, (thread,)))
        except Refused as refused:
            if refused.code not in (MISSING_PERMISSIONS, MISSING_ACCESS):
                raise rejected(refused, post=True) from None
            log.info("discord: a post of a forum is only emptied: %s", refused)
            return False
        return True


def _words(message: Mapping[str, Any]) -> str:
    """What a message says, without what stands under it."""
    embeds = message.get("embeds") or []
    content = str(embeds[0].get("description", "") if embeds else message.get("content", ""))
    return "\n".join(line for line in content.splitlines() if not line.startswith("-# ")).strip()
