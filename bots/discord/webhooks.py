"""The webhooks through which people's words stand in their own name: found, made, and lost again.

One a channel is enough. Its token is read from Discord when it is needed and lives in memory only. A webhook knows no
nonce: what it was asked to say twice stands there twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bots.discord import convert
from bots.discord.rest import Refused, Rest, Route, Upload
from core.errors import RetryLater, StormoError
from core.intents import NotAsAuthor
from core.types import ChatRef, MessageRef

log = logging.getLogger(__name__)

_CHANNEL = "/channels/{}"
_OF_CHANNEL = "/channels/{}/webhooks"
_WEBHOOK = "/webhooks/{}"
_SPEAK = "/webhooks/{}/{}"
_MESSAGE = "/webhooks/{}/{}/messages/{}"

_NAME = "Stormo"
_THREADS = frozenset({10, 11, 12})
_UNKNOWN_WEBHOOK, _BAD_TOKEN = 10015, 50027
#: Answers after which a webhook is no more, or its token no longer good.
ENDED = frozenset({_UNKNOWN_WEBHOOK, _BAD_TOKEN})
_WHY: Mapping[int, NotAsAuthor] = {
    30007: NotAsAuthor.FULL,
    50001: NotAsAuthor.FORBIDDEN,
    50003: NotAsAuthor.UNABLE,  # a private chat
    50013: NotAsAuthor.FORBIDDEN,
    50024: NotAsAuthor.UNABLE,  # a kind of channel without webhooks
}
#: What somebody may take away before we understand that it is not wanted.
_MADE_ANEW = 1


class Voiceless(StormoError):
    """Nobody's words can stand in their own name there."""

    def __init__(self, why: NotAsAuthor) -> None:
        self.why = why
        super().__init__(why)


@dataclass(frozen=True, slots=True)
class Hook:
    """One of our webhooks. Who has its token may speak through it."""

    id: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Home:
    """Where a chat's webhook belongs: threads speak through their channel's."""

    channel: str
    query: Mapping[str, str]


class Webhooks:
    """Belongs to one event loop. Calls raise ``Refused`` and ``RetryLater`` as ``Rest`` does."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._homes: dict[str, Home] = {}
        self._hooks: dict[str, Hook] = {}
        self._tokens: dict[str, Hook] = {}
        self._taken: Counter[str] = Counter()
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._application: Mapping[str, Any] = {}

    async def speak(
        self, chat: ChatRef, payload: Mapping[str, Any], files: Sequence[Upload] = ()
    ) -> MessageRef:
        """A new message. Raises ``Voiceless`` where there can be no webhook (any more)."""
        home = await self._home(chat)
        while True:
            hook = await self._hook(home)
            route = Route("POST", _SPEAK, (hook.id, hook.token), secret=True, limit="webhooks")
            try:
                answer = await self._rest.call(route, payload, {"wait": "true", **home.query}, files)
            except Refused as refused:
                if refused.code not in ENDED:
                    raise
            else:
                message = _message(chat, answer, hook)
                if message.chat == chat:
                    return message
                # Somebody moved our webhook: what it said stands where nobody asked for it.
                parts = (hook.id, hook.token, message.key)
                await self._rest.call(Route("DELETE", _MESSAGE, parts, secret=True, unbound=True))
            self._lose(home, hook)

    async def edit(self, message: MessageRef, payload: Mapping[str, Any]) -> None:
        """Only the webhook that said it can change it."""
        await self._at(message, "PATCH", payload)

    async def withdraw(self, message: MessageRef) -> None:
        await self._at(message, "DELETE")

    async def read(self, message: MessageRef) -> Any:
        """Our own words, also where the bot may not read what others write."""
        return await self._at(message, "GET")

    async def ours(self, payload: Mapping[str, Any]) -> bool:
        """Whether the bot or a webhook of its own said this."""
        us = await self._about_us()
        if payload.get("webhook_id") is not None:
            return str(payload.get("application_id")) == str(us["id"])
        return str(payload["author"]["id"]) == str(us["bot"]["id"])

    async def _at(self, message: MessageRef, method: str, payload: Mapping[str, Any] | None = None) -> Any:
        home = await self._home(message.chat)
        hook = await self._of(message.via)
        parts = (hook.id, hook.token, message.key)
        route = Route(method, _MESSAGE, parts, secret=True, limit=f"{method} of webhooks")
        try:
            return await self._rest.call(route, payload, home.query)
        except Refused as refused:
            if refused.code in ENDED:
                self._tokens.pop(hook.id, None)
            raise

    async def _of(self, id_: str) -> Hook:
        """One that a message came through."""
        if id_ not in self._tokens:
            answer = await self._ask(Route("GET", _WEBHOOK, (id_,)))
            self._tokens[id_] = Hook(id_, str(answer["token"]))
        return self._tokens[id_]

    # Finding and making

    async def _hook(self, home: Home) -> Hook:
        async with self._turns[home.channel]:
            if home.channel not in self._hooks:
                hook = await self._found_or_made(home)
                self._hooks[home.channel] = self._tokens[hook.id] = hook
        return self._hooks[home.channel]

    async def _found_or_made(self, home: Home) -> Hook:
        try:
            found = list(await self._listed(home))
            if found:
                return found[0]
            if self._taken[home.channel] > _MADE_ANEW:
                del self._taken[home.channel]
                raise Voiceless(NotAsAuthor.TAKEN_AWAY)
            answer = await self._ask(Route("POST", _OF_CHANNEL, (home.channel,)), {"name": _NAME})
        except Refused as refused:
            if refused.code not in _WHY:
                raise
            log.info("discord: no webhook in channel %s: %s", home.channel, refused)
            raise Voiceless(_WHY[refused.code]) from None
        return Hook(convert.snowflake(answer["id"]), str(answer["token"]))

    async def _listed(self, home: Home) -> Iterable[Hook]:
        """Others' webhooks may stand there too; Discord shows us the tokens of our own only."""
        ours = convert.snowflake((await self._about_us())["id"])
        answer = await self._ask(Route("GET", _OF_CHANNEL, (home.channel,)))
        return [
            Hook(convert.snowflake(one["id"]), str(one["token"]))
            for one in answer or []
            if one.get("token") and str(one.get("application_id")) == ours
        ]

    def _lose(self, home: Home, hook: Hook) -> None:
        """Deleted, or moved away, by somebody who may."""
        self._taken[home.channel] += 1
        self._tokens.pop(hook.id, None)
        if self._hooks.get(home.channel) == hook:
            del self._hooks[home.channel]

    async def _home(self, chat: ChatRef) -> Home:
        if chat.key not in self._homes:
            answer = await self._ask(Route("GET", _CHANNEL, (chat.key,)))
            inside = answer.get("type") in _THREADS
            self._homes[chat.key] = (
                Home(convert.snowflake(answer["parent_id"]), {"thread_id": chat.key})
                if inside
                else Home(chat.key, {})
            )
        return self._homes[chat.key]

    async def _about_us(self) -> Mapping[str, Any]:
        if not self._application:
            self._application = await self._ask(Route("GET", "/applications/@me"))
        return self._application

    async def _ask(self, route: Route, body: Mapping[str, Any] | None = None) -> Any:
        """A call that shows nobody anything, whatever becomes of its answer."""
        try:
            return await self._rest.call(route, body)
        except RetryLater as later:
            raise RetryLater(
                str(later), after=later.after, whole_token=later.whole_token, too_many=later.too_many
            ) from None


def _message(asked: ChatRef, answer: Any, hook: Hook) -> MessageRef:
    try:
        channel, key = convert.snowflake(answer["channel_id"]), convert.snowflake(answer["id"])
    except (KeyError, TypeError, ValueError):
        raise RetryLater("an answer without a message", unknown=True) from None
    return MessageRef(ChatRef(asked.platform, channel), key, via=hook.id)
