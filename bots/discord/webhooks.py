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
from bots.discord.attachments import Upload
from bots.discord.channels import Channels
from bots.discord.rest import Refused, Rest, Route
from core.errors import RetryLater, StormoError
from core.intents import NotAsAuthor
from core.types import MessageRef

log = logging.getLogger(__name__)

_OF_CHANNEL = "/channels/{}/webhooks"
_WEBHOOK = "/webhooks/{}"
_SPEAK = "/webhooks/{}/{}"
_MESSAGE = "/webhooks/{}/{}/messages/{}"

_NAME = "Stormo"
_UNKNOWN_WEBHOOK, _BAD_TOKEN = 10015, 50027
#: Answers after which a webhook is no more, or its token no longer good.
ENDED = frozenset({_UNKNOWN_WEBHOOK, _BAD_TOKEN})
#: Answers to a webhook that may stand elsewhere by now: it knows no such thread, is in a forum, or in none.
_ELSEWHERE = frozenset({10003, 220001, 220003})
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
class Spoken:
    """What a webhook said, and where."""

    channel: str
    id: str
    via: str


@dataclass(frozen=True, slots=True)
class Home:
    """Where a channel's webhook belongs: threads speak through their channel's. In a ``forum`` it begins posts."""

    channel: str
    query: Mapping[str, str]
    forum: bool = False


class Webhooks:
    """Belongs to one event loop. Calls raise ``Refused`` and ``RetryLater`` as ``Rest`` does."""

    def __init__(self, rest: Rest, channels: Channels) -> None:
        self._rest = rest
        self._channels = channels
        self._hooks: dict[str, Hook] = {}
        self._tokens: dict[str, Hook] = {}
        self._taken: Counter[str] = Counter()
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._application: Mapping[str, Any] = {}

    async def speak(
        self, channel: str, payload: Mapping[str, Any], files: Sequence[Upload] = (), *, title: str
    ) -> Spoken:
        """A new message, which in a forum begins a post with that title.

        Raises ``Voiceless`` where there can be no webhook (any more).
        """
        home, moved = await self._home(channel), False
        if home.forum:
            payload = {**payload, "thread_name": title}
        while True:
            hook = await self._hook(home)
            route = Route("POST", _SPEAK, (hook.id, hook.token), secret=True, limit="webhooks")
            try:
                answer = await self._rest.call(route, payload, {"wait": "true", **home.query}, files)
            except Refused as refused:
                if refused.code not in ENDED and (moved or refused.code not in _ELSEWHERE):
                    raise
                moved = moved or refused.code in _ELSEWHERE
            else:
                spoken = _spoken(answer, hook)
                if await self._as_asked(spoken, channel, home):
                    return spoken
                # Somebody moved our webhook: what it said stands where nobody asked for it.
                parts = (hook.id, hook.token, spoken.id)
                query = {"thread_id": spoken.channel} if home.forum else None
                await self._rest.call(
                    Route("DELETE", _MESSAGE, parts, secret=True, unbound=True), query=query
                )
            self._lose(home, hook)

    async def _as_asked(self, spoken: Spoken, channel: str, home: Home) -> bool:
        """Whether it stands there, or begins a post there."""
        if not home.forum:
            return spoken.channel == channel
        try:
            return (await self._channels.now(spoken.channel)).parent == channel
        except (Refused, RetryLater):
            # It stands somewhere. Told that it does not, it would be said again.
            return True

    async def edit(self, message: MessageRef, payload: Mapping[str, Any]) -> None:
        """Only the webhook that said it can change it."""
        await self._at(message, "PATCH", payload)

    async def withdraw(self, message: MessageRef) -> None:
        await self._at(message, "DELETE")

    async def read(self, message: MessageRef) -> Any:
        """Our own words, also where the bot may not read what others write."""
        return await self._at(message, "GET")

    async def me(self) -> str:
        """The bot's own account."""
        return convert.snowflake((await self._about_us())["bot"]["id"])

    async def ours(self, payload: Mapping[str, Any]) -> bool:
        """Whether the bot or a webhook of its own said this."""
        us = await self._about_us()
        if payload.get("webhook_id") is not None:
            return str(payload.get("application_id")) == str(us["id"])
        return str(payload["author"]["id"]) == str(us["bot"]["id"])

    async def _at(self, message: MessageRef, method: str, payload: Mapping[str, Any] | None = None) -> Any:
        channel, key = convert.address(message)
        home = await self._home(channel)
        hook = await self._of(message.via)
        parts = (hook.id, hook.token, key)
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
            answer = await self._channels.ask(Route("GET", _WEBHOOK, (id_,)))
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
            answer = await self._channels.ask(Route("POST", _OF_CHANNEL, (home.channel,)), {"name": _NAME})
        except Refused as refused:
            if refused.code not in _WHY:
                raise
            log.info("discord: no webhook in channel %s: %s", home.channel, refused)
            raise Voiceless(_WHY[refused.code]) from None
        return Hook(convert.snowflake(answer["id"]), str(answer["token"]))

    async def _listed(self, home: Home) -> Iterable[Hook]:
        """Others' webhooks may stand there too; Discord shows us the tokens of our own only."""
        ours = convert.snowflake((await self._about_us())["id"])
        answer = await self._channels.ask(Route("GET", _OF_CHANNEL, (home.channel,)))
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

    async def _home(self, channel: str) -> Home:
        there = await self._channels.of(channel)
        if there.thread:
            return Home(there.parent, {"thread_id": channel})
        return Home(channel, {}, there.forum)

    async def _about_us(self) -> Mapping[str, Any]:
        if not self._application:
            self._application = await self._channels.ask(Route("GET", "/applications/@me"))
        return self._application


def _spoken(answer: Any, hook: Hook) -> Spoken:
    try:
        return Spoken(convert.snowflake(answer["channel_id"]), convert.snowflake(answer["id"]), hook.id)
    except (KeyError, TypeError, ValueError):
        raise RetryLater("an answer without a message", unknown=True) from None
