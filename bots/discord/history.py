"""What became of a send whose answer was lost: Discord's history has it, or it was never said.

Each copy carries its key in its button, so that it is known again whatever was edited since.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from bots.discord import convert, render
from bots.discord.acts import rejected
from bots.discord.rest import Refused, Rest, Route
from bots.discord.webhooks import Webhooks
from core.errors import Rejected, RejectedWhy
from core.intents import Create
from core.types import ChatRef, MessageRef

_MESSAGES = "/channels/{}/messages"
_PAGE, _PAGES = 100, 10
#: How much Discord's clock and ours may differ.
_SKEW = timedelta(minutes=2)
#: A call begins this soon after its try was written down, or never.
_WINDOW = timedelta(hours=1)


class History:
    """Reads what stands in a chat. Raises ``Rejected`` where that may not be read, ``RetryLater``."""

    def __init__(self, rest: Rest, webhooks: Webhooks) -> None:
        self._rest = rest
        self._webhooks = webhooks

    async def find(self, create: Create, since: datetime, *, surely_readable: bool) -> MessageRef | None:
        """The message that this made, if it made one.

        Discord answers with an empty list where we may not read: ``surely_readable`` says that an empty list means
        that nothing was written.
        """
        sign, seen = render.sign(create.key), False
        try:
            async for payload in self._written(create.chat, since):
                seen = True
                if sign in _signs(await self._read(create.chat, payload)):
                    return _ref(create.chat, payload)
        except Refused as refused:
            raise rejected(refused) from None
        if not (seen or surely_readable):
            raise Rejected("nothing is there, or nothing may be read", why=RejectedWhy.FORBIDDEN)
        return None

    async def _written(self, chat: ChatRef, since: datetime) -> AsyncIterator[Mapping[str, Any]]:
        """From shortly before that time on, oldest first."""
        after = convert.snowflake_at(since - _SKEW)
        for _ in range(_PAGES):
            query = {"after": after, "limit": str(_PAGE)}
            page = await self._rest.call(Route("GET", _MESSAGES, (chat.key,)), query=query)
            for payload in sorted(page, key=lambda payload: int(payload["id"])):
                after = convert.snowflake(payload["id"])
                yield payload
            if len(page) < _PAGE or convert.moment(after) > since + _WINDOW:
                return
        raise Rejected("too much was written since to look through", why=RejectedWhy.FORBIDDEN)

    async def _read(self, chat: ChatRef, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        """A message of ours, with its buttons; nothing of what others wrote."""
        if not await self._webhooks.ours(payload):
            return {}
        if payload.get("components") or payload.get("content") or payload.get("webhook_id") is None:
            return payload
        # Without the message-content intent even what our own webhooks said comes empty.
        answer = await self._webhooks.read(_ref(chat, payload))
        return answer if isinstance(answer, Mapping) else {}


def _ref(chat: ChatRef, payload: Mapping[str, Any]) -> MessageRef:
    return MessageRef(chat, convert.snowflake(payload["id"]), via=str(payload.get("webhook_id") or ""))


def _signs(payload: Mapping[str, Any]) -> Iterator[str]:
    for row in payload.get("components") or ():
        for part in row.get("components") or ():
            yield str(part.get("custom_id", ""))
