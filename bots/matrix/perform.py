"""Acts on the homeserver.

One intent is one sending call under its own transaction id, so that a repeat within 24 hours shows nothing
twice; reading calls may stand before it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from bots.matrix import show
from bots.matrix.files import Files
from bots.matrix.homeserver import Homeserver, Refused, part
from bots.matrix.room import Room, mapping, words
from core.errors import Rejected, RejectedWhy, RetryLater
from core.intents import Create, Edit, Form, Intent, Mark, Receipt, Tell, Withdraw
from core.types import ChatRef, MessageRef

#: How many of our reactions are remembered, so that taking one back needs no search.
_REMEMBERED = 2000
_PAGES = 20

_ITS_FORM = {"M_TOO_LARGE", "M_BAD_JSON", "M_NOT_JSON", "M_INVALID_PARAM"}


class Performer:
    """Performs intents as the account of ``server``; ``rooms`` is what the listener knows by now."""

    def __init__(self, server: Homeserver, files: Files, rooms: Mapping[str, Room]) -> None:
        self._server = server
        self._files = files
        self._rooms = rooms
        self._marks: OrderedDict[tuple[MessageRef, str], str] = OrderedDict()

    async def perform(self, intent: Intent) -> Receipt:
        """Raises ``Rejected``, ``RetryLater`` and ``BadToken``."""
        chat = intent.chat if isinstance(intent, Create | Tell) else intent.message.chat
        try:
            return await self._act(intent)
        except Refused as refused:
            raise await self._rejected(refused, chat) from refused

    async def _act(self, intent: Intent) -> Receipt:
        match intent:
            case Create():
                return await self._create(intent)
            case Tell():
                return await self._tell(intent)
            case Edit():
                return await self._edit(intent)
            case Withdraw(key, message, pinned):
                if pinned:
                    await self._unpin(message)
                await self._redact(message, key)
                return Receipt()
            case Mark():
                return await (self._mark(intent) if intent.on else self._unmark(intent))

    async def _create(self, intent: Create) -> Receipt:
        self._in_clear(intent.chat)
        answered = _here(intent.reply_to, intent.chat)
        uri = await self._files.uploaded(intent.view.files[0]) if intent.view.files else ""
        content = show.message(intent.view, intent.form, self._server.me, answered, uri)
        sent = await self._send(intent.chat, "m.room.message", content, intent.key)
        if intent.pin:
            await self._pin(sent)
        return Receipt(sent)

    async def _tell(self, intent: Tell) -> Receipt:
        self._in_clear(intent.chat)
        view, answered = intent.view, _here(intent.reply_to, intent.chat)
        content = show.message(view, Form.FULL, self._server.me, answered)
        return Receipt(await self._send(intent.chat, "m.room.message", content, intent.key))

    async def _edit(self, intent: Edit) -> Receipt:
        self._in_clear(intent.message.chat)
        stands = await self._must_stand(intent.message)
        # The file that is wanted is the one that stands there.
        uri = words(stands.get("url")) if intent.view.files else ""
        content = show.edit(intent.view, intent.form, self._server.me, intent.message, uri)
        await self._send(intent.message.chat, "m.room.message", content, intent.key)
        return Receipt(intent.message)

    async def _must_stand(self, message: MessageRef) -> Mapping[str, Any]:
        """Its content. The server stores edits of removed messages, and a removed copy is final: so ask first."""
        path = f"/rooms/{part(message.chat.key)}/event/{part(message.key)}"
        event = await self._server.call("GET", path)
        if mapping(event.get("unsigned")).get("redacted_because") or not mapping(event.get("content")):
            raise Rejected("the message was removed", why=RejectedWhy.GONE)
        return mapping(event.get("content"))

    async def _mark(self, intent: Mark) -> Receipt:
        content = show.reaction(intent.message, intent.emoji)
        try:
            sent = await self._send(intent.message.chat, "m.reaction", content, intent.key)
        except Refused as refused:
            if refused.code == "M_DUPLICATE_ANNOTATION":
                return Receipt()
            raise
        self._marks[intent.message, intent.emoji] = sent.key
        if len(self._marks) > _REMEMBERED:
            self._marks.popitem(last=False)
        return Receipt(sent)

    async def _unmark(self, intent: Mark) -> Receipt:
        known = self._marks.pop((intent.message, intent.emoji), None)
        ours = known or await self._our_reaction(intent.message, intent.emoji)
        if ours is not None:
            await self._redact(MessageRef(intent.message.chat, ours), intent.key)
        return Receipt()

    async def _our_reaction(self, message: MessageRef, emoji: str) -> str | None:
        room, event = part(message.chat.key), part(message.key)
        path = f"/rooms/{room}/relations/{event}/m.annotation/m.reaction"
        query = {"limit": "100"}
        for _ in range(_PAGES):
            page = await self._server.call("GET", path, query=query, version="v1")
            for found in _objects(page.get("chunk")):
                relation = mapping(mapping(found.get("content")).get("m.relates_to"))
                if found.get("sender") == self._server.me and relation.get("key") == emoji:
                    return words(found.get("event_id"))
            if not page.get("next_batch"):
                break
            query["from"] = words(page.get("next_batch"))
        return None

    async def _send(self, chat: ChatRef, kind: str, content: Mapping[str, Any], key: str) -> MessageRef:
        path = f"/rooms/{part(chat.key)}/send/{kind}/{part(key)}"
        answer = await self._server.call("PUT", path, content)
        event = words(answer.get("event_id"))
        if not event:
            raise RetryLater("the homeserver named no event", unknown=True)
        return MessageRef(chat, event)

    async def _redact(self, message: MessageRef, key: str) -> None:
        path = f"/rooms/{part(message.chat.key)}/redact/{part(message.key)}/{part(key)}"
        await self._server.call("PUT", path, {})

    async def _pin(self, message: MessageRef) -> None:
        await self._set_pinned(
            message.chat, lambda pinned: [*pinned, message.key] if message.key not in pinned else pinned
        )

    async def _unpin(self, message: MessageRef) -> None:
        """A redacted event stays in the room's list of pinned ones."""
        await self._set_pinned(message.chat, lambda pinned: [p for p in pinned if p != message.key])

    async def _set_pinned(self, chat: ChatRef, change: Callable[[list[object]], list[object]]) -> None:
        """Best effort: a room may not let us, and the message itself stands."""
        path = f"/rooms/{part(chat.key)}/state/m.room.pinned_events/"
        try:
            pinned = await self._pinned(path)
            if change(pinned) != pinned:
                await self._server.call("PUT", path, {"pinned": change(pinned)})
        except (Refused, RetryLater):
            return

    async def _pinned(self, path: str) -> list[object]:
        try:
            found = (await self._server.call("GET", path)).get("pinned")
        except Refused as refused:
            if refused.status != HTTPStatus.NOT_FOUND:
                raise
            return []
        return found if isinstance(found, list) else []

    def _in_clear(self, chat: ChatRef) -> None:
        room = self._rooms.get(chat.key)
        if room is not None and room.encrypted:
            raise Rejected("the room is encrypted and Stormo speaks in clear", why=RejectedWhy.FORBIDDEN)

    async def _rejected(self, refused: Refused, chat: ChatRef) -> Rejected:
        """What a refusal means. Whether we are still in the room is asked, never read from its words."""
        if refused.code in _ITS_FORM or refused.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return Rejected(str(refused), why=RejectedWhy.FORM)
        if refused.status not in (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND):
            return Rejected(str(refused), why=RejectedWhy.FORM)
        joined = (await self._server.call("GET", "/joined_rooms")).get("joined_rooms")
        if not isinstance(joined, list) or chat.key not in joined:
            return Rejected(str(refused), why=RejectedWhy.CHAT_GONE)
        missing = refused.status == HTTPStatus.NOT_FOUND
        return Rejected(str(refused), why=RejectedWhy.GONE if missing else RejectedWhy.FORBIDDEN)


def _here(message: MessageRef | None, chat: ChatRef) -> MessageRef | None:
    """A message can only be answered in its own room."""
    return message if message is not None and message.chat == chat else None


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
