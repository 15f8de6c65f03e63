"""Forums: each thing shown there is a post, a thread that begins with its message and is called by its words."""

from __future__ import annotations

import logging
from collections import OrderedDict
from typing import Any, Final

from bots.discord import convert, render
from bots.discord.attachments import uploads
from bots.discord.channels import Channels
from bots.discord.refusals import MISSING_PERMISSIONS, rejected
from bots.discord.rest import Refused, Rest, Route
from bots.discord.webhooks import Webhooks
from core.errors import RetryLater
from core.intents import Create, Receipt
from core.types import MessageRef

log = logging.getLogger(__name__)

_CHANNEL: Final = "/channels/{}"
_THREADS: Final = "/channels/{}/threads"
_TITLES_KEPT: Final = 2048


class Forums:
    """Belongs to one event loop. Raises ``Rejected`` and ``RetryLater``."""

    def __init__(self, rest: Rest, channels: Channels, webhooks: Webhooks) -> None:
        self._rest = rest
        self._channels = channels
        self._webhooks = webhooks
        #: Thread -> the title that it was given last, as Discord may have another spelling of it.
        self._titles: OrderedDict[str, str] = OrderedDict()

    async def begin(self, intent: Create, payload: dict[str, Any]) -> Receipt:
        """A post of the bot's, of a message's payload. A thread knows no nonce."""
        if intent.keyed:
            raise RetryLater("a forum knows no nonce", keyless=True)
        for alone in ("nonce", "enforce_nonce", "message_reference"):
            payload.pop(alone, None)
        body = {"name": render.title(intent.view), "message": payload}
        files, forum = uploads(intent.view), intent.chat.key
        try:
            answer = await self._rest.call(Route("POST", _THREADS, (forum,)), body, files=files)
            return Receipt(convert.message_at(answer["id"], answer["id"], forum))
        except Refused as refused:
            raise rejected(refused, embeds=bool(payload.get("embeds")), files=bool(files)) from None
        except (KeyError, TypeError, ValueError):
            raise RetryLater("an answer without a thread", unknown=True) from None

    async def retitle(self, message: MessageRef, title: str) -> None:
        """A post of a forum is called by its first words, also once these are others."""
        thread, _ = convert.address(message)
        if self._titles.get(thread) == title:
            return
        try:
            if (await self._channels.now(thread)).name != title:
                route = Route("PATCH", _CHANNEL, (thread,))
                await self._channels.awake(thread, lambda: self._rest.call(route, {"name": title}))
        except Refused as refused:
            log.info("discord: a post keeps its title: %s", refused)
        except RetryLater as later:
            # Discord lets nobody rename often. Other things of this forum do not wait for that.
            raise RetryLater(str(later)) from None
        self._titles[thread] = title
        if len(self._titles) > _TITLES_KEPT:
            self._titles.popitem(last=False)

    async def close(self, message: MessageRef) -> bool:
        """Takes a whole post of a forum away, if we began it and may; else its title at least."""
        thread, _ = convert.address(message)
        try:
            if not message.via and (await self._channels.now(thread)).owner != await self._webhooks.me():
                return False
            await self._rest.call(Route("DELETE", _CHANNEL, (thread,)))
        except Refused as refused:
            if refused.code != MISSING_PERMISSIONS:
                raise rejected(refused, post=True) from None
            log.info("discord: a post of a forum is only emptied: %s", refused)
            await self.retitle(message, render.NOTHING)
            return False
        return True
