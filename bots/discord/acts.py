"""Intents put into calls, and Discord's refusals into ours."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from bots.discord import convert, render
from bots.discord.attachments import filename
from bots.discord.clickable import clickable
from bots.discord.handles import Handle, handle_of, read_handle
from bots.discord.rest import Refused, Rest, Route, Upload
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
#: So long a second call after a first one waits for its place.
_SHORTLY = timedelta(seconds=2)

_WHY: Mapping[int, RejectedWhy] = {
    10003: RejectedWhy.CHAT_GONE,  # unknown channel
    10004: RejectedWhy.CHAT_GONE,  # unknown guild
    10008: RejectedWhy.GONE,  # unknown message
    10014: RejectedWhy.FORM,  # unknown emoji
    10015: RejectedWhy.UNREACHABLE,  # unknown webhook: an interaction's token that ended
    10062: RejectedWhy.UNREACHABLE,  # unknown interaction
    30010: RejectedWhy.FORBIDDEN,  # 20 distinct reactions stand there already
    50001: RejectedWhy.FORBIDDEN,  # missing access
    50005: RejectedWhy.FORBIDDEN,  # somebody else's message
    50006: RejectedWhy.FORM,  # empty message
    50007: RejectedWhy.UNREACHABLE,  # takes no direct messages
    50013: RejectedWhy.FORBIDDEN,  # missing permissions
    50027: RejectedWhy.UNREACHABLE,  # an interaction's token that ended
    50035: RejectedWhy.FORM,  # invalid form body
    50083: RejectedWhy.FORBIDDEN,  # archived thread
    90001: RejectedWhy.FORBIDDEN,  # reactions blocked
    160005: RejectedWhy.FORBIDDEN,  # locked thread
    200000: RejectedWhy.FORM,  # stopped by the guild's word filter
}
_BY_STATUS: Mapping[int, RejectedWhy] = {400: RejectedWhy.FORM, 404: RejectedWhy.GONE, 413: RejectedWhy.FORM}
_TOKEN_ENDED = (401, 404)
_MISSING_PERMISSIONS, _TOO_LARGE = 50013, 40005
_UNKNOWN_MESSAGE = 10008
_INVALID_FORM = 50035
_ALREADY_ACKNOWLEDGED = 40060


def rejected(refused: Refused, *, embeds: bool = False, files: bool = False) -> Rejected:
    """What a refusal means.

    Without the right to embed links, or to attach files, Discord refuses those as it refuses all writing: plain
    content, then words alone, each one step down the ladder, tell them apart.
    """
    why = _WHY.get(refused.code) or _BY_STATUS.get(refused.status, RejectedWhy.FORBIDDEN)
    if refused.code == _MISSING_PERMISSIONS and (embeds or files):
        why = RejectedWhy.FORM if embeds else RejectedWhy.FILE
    elif files and refused.code == _TOO_LARGE:
        why = RejectedWhy.FILE
    return Rejected(str(refused), why=why)


class Acts:
    """Performs intents through ``Rest``, each as one call; a pin is a second one that may fail."""

    def __init__(self, rest: Rest, webhooks: Webhooks, clock: Clock) -> None:
        self._rest = rest
        self._webhooks = webhooks
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
            found = await self._rest.call(Route("GET", _MESSAGE, (channel, message)))
        except (Refused, RetryLater) as error:
            log.info("discord: a message was not read: %s", error)
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

    async def _call(
        self, route: Route, body: Mapping[str, Any] | None = None, files: Sequence[Upload] = ()
    ) -> Any:
        try:
            return await self._rest.call(route, body, files=files)
        except Refused as refused:
            raise rejected(refused, embeds=bool(body and body.get("embeds")), files=bool(files)) from None

    async def _create(self, intent: Create) -> Receipt:
        if intent.view.as_author:
            return await self._as_author(intent)
        payload = render.created(intent.view, intent.form, key=intent.key, reply_to=intent.reply_to)
        receipt = await self._send(intent.chat, payload, _uploads(intent.view))
        if intent.pin and receipt.message is not None:
            await self._pin(receipt.message)
        return receipt

    async def _as_author(self, intent: Create) -> Receipt:
        """In the author's own name; what that way is shut to, the bot says itself."""
        itself = replace(intent, view=replace(intent.view, as_author=False))
        payload = render.spoken(intent.view, intent.form, key=intent.key)
        try:
            return Receipt(await self._webhooks.speak(intent.chat, payload, _uploads(intent.view)))
        except Voiceless as voiceless:
            return replace(await self._create(itself), not_as_author=voiceless.why)
        except Refused as refused:
            if refused.code != _INVALID_FORM:
                raise rejected(refused, files=bool(intent.view.files)) from None
            # The name, as often as not: Discord's list of those that it keeps for itself is not told.
            log.info("discord: not said in its author's name: %s", refused)
            return await self._create(itself)

    async def _send(self, chat: ChatRef, payload: Mapping[str, Any], files: Sequence[Upload] = ()) -> Receipt:
        """Of all acts, what Discord tells of this one's limit is worth knowing beforehand: most are such."""
        try:
            answer, quota = await self._rest.told(Route("POST", _MESSAGES, (chat.key,)), payload, files=files)
            return Receipt(MessageRef(chat, convert.snowflake(answer["id"])), quota=quota)
        except Refused as refused:
            raise rejected(refused, embeds=bool(payload.get("embeds")), files=bool(files)) from None
        except (KeyError, TypeError, ValueError):
            raise RetryLater("an answer without a message", unknown=True) from None

    async def _pin(self, message: MessageRef) -> None:
        route = Route("PUT", _PIN, (message.chat.key, message.key))
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
        if message.via:
            payload = render.voiced(intent.view, intent.form, key=intent.key)
            await self._through(message, render.with_files(payload, intent.view, ids))
            return Receipt(message)
        payload = render.with_files(
            render.message(intent.view, intent.form, key=intent.key), intent.view, ids
        )
        await self._call(Route("PATCH", _MESSAGE, (message.chat.key, message.key)), payload)
        return Receipt(message)

    async def _standing(self, intent: Edit) -> Sequence[str]:
        """The ids of the files that stand there: they are the ones wanted, and only their descriptions may change."""
        message = intent.message
        if not intent.view.files:
            return ()
        if message.via:
            try:
                there = await self._webhooks.read(message)
            except Refused as refused:
                raise rejected(refused) from None
        else:
            there = await self._call(Route("GET", _MESSAGE, (message.chat.key, message.key)))
        return [str(one["id"]) for one in there.get("attachments") or []]

    async def _through(self, message: MessageRef, payload: Mapping[str, Any]) -> None:
        try:
            await self._webhooks.edit(message, payload)
        except Refused as refused:
            if refused.code in WEBHOOK_ENDED:
                why = "the webhook that said this was deleted"
                raise Rejected(why, why=RejectedWhy.FORBIDDEN) from None
            raise rejected(refused) from None

    async def _withdraw(self, message: MessageRef) -> Receipt:
        """What a webhook said can also be taken away by a bot that may delete others' messages."""
        if message.via:
            try:
                await self._webhooks.withdraw(message)
                return Receipt()
            except Refused as refused:
                if refused.code == _UNKNOWN_MESSAGE:
                    raise rejected(refused) from None
                log.info("discord: not taken away through its webhook: %s", refused)
        await self._call(Route("DELETE", _MESSAGE, (message.chat.key, message.key)))
        return Receipt()

    async def _mark(self, intent: Mark) -> Receipt:
        message = intent.message
        parts = (message.chat.key, message.key, render.reaction(intent.emoji))
        method = "PUT" if intent.on else "DELETE"
        await self._call(Route(method, _OWN_REACTION, parts, limit="reactions"))
        return Receipt()

    async def _tell(self, intent: Tell) -> Receipt:
        if not intent.handle:
            payload = render.created(intent.view, Form.FULL, key=intent.key, reply_to=intent.reply_to)
            return await self._send(intent.chat, self._own(payload))
        handle = read_handle(intent.handle)
        if handle is None or self._clock.now() - handle.created > _HANDLE_LIFE:
            raise Rejected("the interaction is too old to be answered", why=RejectedWhy.UNREACHABLE)
        await self._answer(handle, intent)
        return Receipt()

    def _own(self, payload: dict[str, Any]) -> dict[str, Any]:
        """The bot's own words, with the commands in them to be tapped."""
        return clickable(payload, self.offered)

    async def _answer(self, handle: Handle, intent: Tell) -> None:
        """The first answer takes the place of the "thinking" line, further ones follow it."""
        parts = (handle.application, handle.token)
        if not handle.pressed and await self._is_first(handle, intent.key):
            self._note_answer(handle, intent.key)
            route = Route("PATCH", _ORIGINAL, parts, secret=True, unbound=True)
            await self._whisper(route, self._own(render.answer(intent.view)))
        else:
            route = Route("POST", _FOLLOWUP, parts, secret=True, unbound=True)
            await self._whisper(route, self._own(render.followup(intent.view)))

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


def _uploads(view: View) -> list[Upload]:
    return [Upload(file.path, filename(file), file.mime) for file in view.files]


def _hashed(handle: Handle) -> bytes:
    return hashlib.sha256(handle.token.encode()).digest()
