"""Intents put into calls, and Discord's refusals into ours."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from bots.discord import convert, render
from bots.discord.attachments import Upload, uploads
from bots.discord.channels import Call, Channels
from bots.discord.clickable import clickable
from bots.discord.forums import Forums
from bots.discord.handles import Handle, handle_of, read_handle
from bots.discord.portraits import Portraits
from bots.discord.refusals import (
    ARCHIVED,
    INVALID_FORM,
    LOCKED,
    NOT_FOR_MESSAGES,
    UNKNOWN_CHANNEL,
    UNKNOWN_MESSAGE,
    rejected,
)
from bots.discord.rest import Refused, Rest, Route
from bots.discord.webhooks import ENDED as WEBHOOK_ENDED
from bots.discord.webhooks import Voiceless, Webhooks
from core.errors import Rejected, RejectedWhy, RetryLater
from core.intents import Create, Edit, Form, Intent, Mark, Receipt, Tell, View, Withdraw
from core.ports import Clock
from core.types import ChatRef, MessageRef

log = logging.getLogger(__name__)

_MESSAGES = "/channels/{}/messages"
_MESSAGE = "/channels/{}/messages/{}"
_OWN_REACTION = "/channels/{}/messages/{}/reactions/{}/@me"
_PIN = "/channels/{}/messages/pins/{}"
_CALLBACK = "/interactions/{}/{}/callback"
_FOLLOWUP = "/webhooks/{}/{}"
_ORIGINAL = "/webhooks/{}/{}/messages/@original"

_DEFERRED_ANSWER, _DEFERRED_UPDATE = 5, 6
#: Discord's 15 minutes, less what a call may take.
_HANDLE_LIFE = timedelta(minutes=14, seconds=45)
_HANDLES_KEPT = 2048
#: Seconds for which a press waits for the words that it is about.
_READ_IN = 20.0
#: So long a second call after a first one waits for its place.
_SHORTLY = timedelta(seconds=2)

_TOKEN_ENDED = (401, 404)
_ALREADY_ACKNOWLEDGED = 40060


class Acts:
    """Performs intents through ``Rest``, each as one call; a pin is a second one that may fail."""

    def __init__(
        self, rest: Rest, channels: Channels, webhooks: Webhooks, portraits: Portraits, clock: Clock
    ) -> None:
        self._rest = rest
        self._channels = channels
        self._webhooks = webhooks
        self._forums = Forums(rest, channels, webhooks)
        self._portraits = portraits
        self._clock = clock
        #: The ids of the commands that Discord offers, by their names.
        self.offered: Mapping[str, str] = {}
        #: Handle (hashed) -> key of the answer that took the place of the "thinking" line, "" where none has.
        self._answers: OrderedDict[bytes, str] = OrderedDict()

    async def perform(self, intent: Intent) -> Receipt:
        """Raises ``RetryLater``, ``Rejected``, ``BadToken``."""
        match intent:
            case Create():
                return await self._create(intent)
            case Edit():
                return await self._edit(intent)
            case Withdraw(message=message):
                return await self._withdraw(message)
            case Mark():
                return await self._mark(intent)
            case Tell():
                return await self._tell(intent)

    async def respond(self, data: Mapping[str, Any], kind: int, answer: Mapping[str, Any]) -> None:
        """Answers an interaction at once, with a form or suggestions; whether that came is nothing to be kept."""
        handle = read_handle(handle_of(data))
        if handle is None:
            return
        parts = (convert.snowflake(data["id"]), handle.token)
        route = Route("POST", _CALLBACK, parts, secret=True, unbound=True)
        try:
            await self._rest.call(route, {"type": kind, "data": answer})
        except (Refused, RetryLater) as error:
            log.info("discord: an interaction was not answered: %s", error)

    async def read(self, channel: str, message: str) -> Mapping[str, Any]:
        """A message as it stands now; empty where it cannot be read."""
        try:
            async with asyncio.timeout(_READ_IN):
                found = await self._rest.call(Route("GET", _MESSAGE, (channel, message), patient=True))
        except (Refused, RetryLater, TimeoutError) as error:
            log.info("discord: a message was not read: %s", str(error) or "not in time")
            return {}
        return found if isinstance(found, dict) else {}

    async def acknowledge(self, data: Mapping[str, Any]) -> bool:
        """Tell Discord that an answer will come. ``False``: too late, and the person has been told so."""
        handle = read_handle(handle_of(data))
        if handle is None:
            return False
        answer: dict[str, Any] = {"type": _DEFERRED_UPDATE}
        if not handle.pressed:
            answer = {"type": _DEFERRED_ANSWER, "data": {"flags": render.EPHEMERAL}}
        parts = (convert.snowflake(data["id"]), handle.token)
        route = Route("POST", _CALLBACK, parts, secret=True, unbound=True)
        try:
            await self._rest.call(route, answer)
        except Refused as refused:
            log.info("discord: an interaction was not acknowledged: %s", refused)
            return refused.code == _ALREADY_ACKNOWLEDGED
        except RetryLater as error:
            log.warning("discord: an interaction may not be acknowledged: %s", error)
            return error.unknown
        self._note_answer(handle, "")
        return True

    async def _at(self, message: MessageRef, route: Route, body: Mapping[str, Any] | None = None) -> Any:
        """A call to a message that stands."""
        return await self._there(message, lambda: self._rest.call(route, body), embeds=_embeds(body))

    async def _there(self, message: MessageRef, call: Call, *, embeds: bool = False) -> Any:
        channel, _ = convert.address(message)
        try:
            return await self._channels.awake(channel, call)
        except Refused as refused:
            raise rejected(refused, embeds=embeds, post=channel != message.chat.key) from None

    # Showing

    async def _create(self, intent: Create) -> Receipt:
        if intent.view.as_author:
            return await self._as_author(intent)
        channel = channel_of(intent)
        payload = render.created(intent.view, intent.form, key=intent.key, reply_to=intent.reply_to)
        there = self._channels.known(channel)
        if there is not None and there.forum:
            receipt = await self._forums.begin(intent, payload)
        else:
            receipt = await self._send(intent.chat, channel, payload, uploads(intent.view))
        if intent.pin and receipt.message is not None:
            await self._pin(receipt.message)
        return receipt

    async def _as_author(self, intent: Create) -> Receipt:
        """In the author's own name; what that way is shut to, the bot says itself."""
        itself = replace(intent, view=replace(intent.view, as_author=False))
        portrait = await self._portraits.of(intent.view.portrait)
        payload = render.spoken(intent.view, intent.form, key=intent.key, portrait=portrait)
        files, channel = uploads(intent.view), channel_of(intent)
        try:
            said = await self._webhooks.speak(channel, payload, files, title=render.title(intent.view))
        except Voiceless as voiceless:
            return replace(await self._create(itself), not_as_author=voiceless.why)
        except Refused as refused:
            if refused.code != INVALID_FORM:
                raise _unsaid(refused, channel, intent.chat, files=bool(files)) from None
            # The name, as often as not: Discord's list of those that it keeps for itself is not told.
            log.info("discord: not said in its author's name: %s", refused)
            return await self._create(itself)
        forum = "" if said.channel == intent.chat.key else intent.chat.key
        message = replace(convert.message_at(said.channel, said.id, forum), via=said.via)
        if convert.begins_post(message):
            self._forums.called(message, render.title(intent.view))
        return Receipt(message)

    async def _send(
        self, chat: ChatRef, channel: str, payload: Mapping[str, Any], files: Sequence[Upload] = ()
    ) -> Receipt:
        """Of all acts, what Discord tells of this one's limit is worth knowing beforehand: most are such."""
        forum = "" if channel == chat.key else chat.key
        try:
            answer, quota = await self._rest.told(Route("POST", _MESSAGES, (channel,)), payload, files=files)
            return Receipt(convert.message_at(channel, answer["id"], forum), quota=quota)
        except Refused as refused:
            await self._learn(channel, refused)
            raise _unsaid(refused, channel, chat, embeds=_embeds(payload), files=bool(files)) from None
        except (KeyError, TypeError, ValueError):
            raise RetryLater("an answer without a message", unknown=True) from None

    async def _learn(self, channel: str, refused: Refused) -> None:
        """A channel of which the gateway told nothing may be a forum."""
        if refused.code == NOT_FOR_MESSAGES and (await self._channels.now(channel)).forum:
            raise RetryLater("it is a forum")

    async def _pin(self, message: MessageRef) -> None:
        route = Route("PUT", _PIN, convert.address(message))
        try:
            try:
                await self._rest.call(route)
            except RetryLater as later:
                if later.after is None or later.after > _SHORTLY:
                    raise
                await asyncio.sleep(later.after.total_seconds())
                await self._rest.call(route)
        except (Refused, RetryLater) as error:
            # The message stands; a refused pin is no reason to send it again.
            log.info("discord: a message was not pinned: %s", error)

    async def _edit(self, intent: Edit) -> Receipt:
        message, ids = intent.message, await self._standing(intent)
        made = render.voiced if message.via else render.message
        payload = render.with_files(made(intent.view, intent.form, key=intent.key), intent.view, ids)
        later = await self._retitle(message, render.title(intent.view), payload)
        if message.via:
            await self._through(message, lambda: self._webhooks.edit(message, payload))
        else:
            await self._at(message, Route("PATCH", _MESSAGE, convert.address(message)), payload)
        if later is not None:
            raise later
        return Receipt(message)

    async def _retitle(self, message: MessageRef, title: str, payload: dict[str, Any]) -> RetryLater | None:
        """Before the words, which tell whether it is still to be done. They do not wait where it must."""
        if not convert.begins_post(message):
            return None
        try:
            if await self._forums.renames(message, title, payload, lambda: self._found(message)):
                await self._forums.retitle(message, title)
        except RetryLater as later:
            return later
        return None

    async def _standing(self, intent: Edit) -> Sequence[str]:
        """The ids of the files that stand there: they are the ones wanted, and only their descriptions may change."""
        if not intent.view.files:
            return ()
        there = await self._found(intent.message)
        return [str(one["id"]) for one in there.get("attachments") or []]

    async def _found(self, message: MessageRef) -> Any:
        """What we said there, as it stands now."""
        if message.via:
            return await self._through(message, lambda: self._webhooks.read(message))
        return await self._at(message, Route("GET", _MESSAGE, convert.address(message)))

    async def _through(self, message: MessageRef, call: Call) -> Any:
        """By the webhook that said it. Nobody else can change it."""

        async def by_webhook() -> Any:
            try:
                return await call()
            except Refused as refused:
                if refused.code in WEBHOOK_ENDED:
                    why = "the webhook that said this was deleted"
                    raise Rejected(why, why=RejectedWhy.FROZEN) from None
                raise

        return await self._there(message, by_webhook)

    async def _withdraw(self, message: MessageRef) -> Receipt:
        if not convert.begins_post(message) or not await self._forums.ours(message):
            await self._take(message)
        elif not await self._forums.close(message):
            await self._empty(message)
        return Receipt()

    async def _empty(self, message: MessageRef) -> None:
        """A post of a forum stays without our words: what it began with goes first, as its title may have to wait."""
        gone: Rejected | None = None
        try:
            await self._take(message)
        except Rejected as refused:
            if refused.why is not RejectedWhy.GONE:
                raise
            gone = refused
        try:
            await self._forums.retitle(message, render.NOTHING)
        except RetryLater as later:
            # The words are gone: that is told, and is our own doing.
            raise RetryLater(str(later), unknown=True) from None
        if gone is not None:
            raise gone

    async def _take(self, message: MessageRef) -> None:
        """What a webhook said can also be taken away by a bot that may delete others' messages."""
        if message.via:
            channel, _ = convert.address(message)
            try:
                await self._channels.awake(channel, lambda: self._webhooks.withdraw(message))
                return
            except Refused as refused:
                if refused.code == UNKNOWN_MESSAGE:
                    raise rejected(refused) from None
                log.info("discord: not taken away through its webhook: %s", refused)
        await self._at(message, Route("DELETE", _MESSAGE, convert.address(message)))

    async def _mark(self, intent: Mark) -> Receipt:
        message = intent.message
        parts = (*convert.address(message), render.reaction(intent.emoji))
        method = "PUT" if intent.on else "DELETE"
        await self._at(message, Route(method, _OWN_REACTION, parts, limit="reactions"))
        return Receipt()

    async def _tell(self, intent: Tell) -> Receipt:
        if not intent.handle:
            return await self._tell_openly(intent)
        handle = read_handle(intent.handle)
        if handle is None or self._clock.now() - handle.created > _HANDLE_LIFE:
            raise Rejected("the interaction is too old to be answered", why=RejectedWhy.UNREACHABLE)
        await self._answer(handle, intent)
        return Receipt()

    def _own(self, view: View, shape: Callable[[View], dict[str, Any]]) -> dict[str, Any]:
        """The bot's own words, with the commands in them to be tapped."""
        return clickable(view, self.offered, shape)

    async def _tell_openly(self, intent: Tell) -> Receipt:
        channel = _thread_of(intent.reply_to) or intent.chat.key
        there = self._channels.known(channel)
        if there is not None and there.forum:
            raise Rejected("nobody is answered by a post of a forum", why=RejectedWhy.UNREACHABLE)
        payload = self._own(
            intent.view,
            lambda view: render.created(view, Form.FULL, key=intent.key, reply_to=intent.reply_to),
        )
        return await self._send(intent.chat, channel, payload)

    async def _answer(self, handle: Handle, intent: Tell) -> None:
        """The first answer takes the place of the "thinking" line, further ones follow it."""
        parts = (handle.application, handle.token)
        if not handle.pressed and await self._is_first(handle, intent.key):
            self._note_answer(handle, intent.key)
            route = Route("PATCH", _ORIGINAL, parts, secret=True, unbound=True)
            await self._whisper(route, self._own(intent.view, render.answer))
        else:
            route = Route("POST", _FOLLOWUP, parts, secret=True, unbound=True)
            await self._whisper(route, self._own(intent.view, render.followup))

    async def _whisper(self, route: Route, payload: Mapping[str, Any]) -> None:
        try:
            await self._rest.call(route, payload)
        except Refused as refused:
            why = RejectedWhy.UNREACHABLE if refused.status in _TOKEN_ENDED else rejected(refused).why
            raise Rejected(str(refused), why=why) from None

    async def _is_first(self, handle: Handle, key: str) -> bool:
        """A handle from another process: Discord knows whether its line still says "thinking"."""
        taken = self._answers.get(_hashed(handle))
        if taken is not None:
            return taken in ("", key)
        route = Route("GET", _ORIGINAL, (handle.application, handle.token), secret=True, unbound=True)
        try:
            there = await self._rest.call(route)
        except Refused as refused:
            raise Rejected(str(refused), why=RejectedWhy.UNREACHABLE) from None
        flags = there.get("flags", 0) if isinstance(there, dict) else 0
        return bool(flags & render.LOADING)

    def _note_answer(self, handle: Handle, key: str) -> None:
        self._answers[_hashed(handle)] = key
        if len(self._answers) > _HANDLES_KEPT:
            self._answers.popitem(last=False)


def _thread_of(message: MessageRef | None) -> str:
    """The post of a forum in which a message stands; empty for any other message."""
    channel = "" if message is None else convert.address(message)[0]
    return "" if message is None or channel == message.chat.key else channel


def channel_of(intent: Create) -> str:
    """In a forum, what follows or answers something stands in its thread."""
    return _thread_of(intent.follows) or _thread_of(intent.reply_to) or intent.chat.key


def _unsaid(
    refused: Refused, channel: str, chat: ChatRef, *, embeds: bool = False, files: bool = False
) -> Rejected:
    """Of a new message. Raises ``RetryLater`` where what it was to stand behind went: that will be told yet.

    One post of a forum that is locked says nothing of the forum.
    """
    if channel != chat.key and refused.code == UNKNOWN_CHANNEL:
        raise RetryLater(str(refused))
    if channel != chat.key and refused.code in (ARCHIVED, LOCKED):
        return Rejected(str(refused), why=RejectedWhy.CLOSED)
    return rejected(refused, embeds=embeds, files=files)


def _embeds(body: Mapping[str, Any] | None) -> bool:
    return bool(body and body.get("embeds"))


def _hashed(handle: Handle) -> bytes:
    return hashlib.sha256(handle.token.encode()).digest()
