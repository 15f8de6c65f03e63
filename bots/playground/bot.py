"""The adapter of one look: what happens there goes to the core, and what the core asks stands there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from bots.playground.convert import Shown, fits_toast, show, toast
from bots.playground.drawer import Filed
from bots.playground.looks import Look
from bots.playground.platform import BOT, Message, Playground, Room, message_record, shown_record
from core.errors import FileRefused, FileWhy, Rejected, RejectedWhy, message
from core.events import Loss
from core.intents import Create, Edit, Form, Intent, Mark, Receipt, Tell, Withdraw
from core.ports import Finding, Gate
from core.types import ChatRef, MessageRef

#: An interaction or a callback can be answered so long.
_HANDLE_LIFE: Final = timedelta(minutes=15)
_BOT_NAME: Final = "Stormo"


class PlaygroundAdapter:
    """One look of the playground behind the port of all platforms."""

    def __init__(self, playground: Playground, look: Look) -> None:
        self.platform = look.platform
        self.capabilities = look.capabilities
        self._look = look
        self._playground = playground

    async def run(self, gate: Gate) -> None:
        """Hand over what happened, also before the last end of the process, until cancelled."""
        playground, look = self._playground, self._look
        while True:
            waiting = await playground.changed(lambda: playground.waiting(look), None)
            await playground.settled()
            answers = await asyncio.gather(*map(gate.handle, waiting.values()), return_exceptions=True)
            told = zip(waiting, answers, strict=True)
            playground.heard([number for number, answer in told if answer is None])
            for answer in answers:
                if answer is not None:
                    raise answer

    async def perform(self, intent: Intent) -> Receipt:
        """Do one act; the disk has it when this returns."""
        await self._playground.before_storing(intent)
        files = await asyncio.to_thread(self._filed, intent)
        receipt = self._do(intent, files)
        await self._playground.settled()
        await self._playground.after_storing(intent)
        return receipt

    async def fetch(self, source: str, take: Callable[[bytes], None]) -> None:
        """See ``core.ports.Adapter``."""
        content = await asyncio.to_thread(self._playground.drawer.get, source)
        if content is None:
            raise FileRefused(FileWhy.GONE)
        take(content)

    def _filed(self, intent: Intent) -> tuple[Filed, ...]:
        """The files of what is to be shown, taken into the playground's own keeping."""
        if isinstance(intent, Withdraw | Mark):
            return ()
        put = self._playground.drawer.put
        return tuple(
            put(f.path.read_bytes(), f.name, alt=f.alt, spoiler=f.spoiler) for f in intent.view.files
        )

    async def check(self) -> Sequence[Finding]:
        """There is nothing that could be wrong."""
        return (Finding(True, message("check.playground", platform=self.capabilities.label)),)

    async def find_sent(self, create: Create, since: datetime) -> MessageRef | None:  # noqa: ARG002 - the port names it
        """See ``core.ports.Adapter``. Never asked here."""
        raise Rejected("the key tells: a repeat is the way to ask", why=RejectedWhy.UNREACHABLE)

    async def standing(self, chat: ChatRef) -> Loss | None:
        """Who is in a room of the playground may write there."""
        room = self._playground.rooms.get(chat.key)
        return Loss.REMOVED if room is None or room.gone else None

    def link(self, message: MessageRef) -> str:  # noqa: ARG002 - the port names it
        """The playground's messages have no address outside its page."""
        return ""

    def _do(self, intent: Intent, files: tuple[Filed, ...]) -> Receipt:
        match intent:
            case Create():
                return self._create(intent, files)
            case Edit():
                return self._edit(intent, files)
            case Withdraw():
                self._withdraw(intent)
            case Tell():
                return self._tell(intent)
            case Mark():
                self._mark(intent)
        return Receipt()

    def _create(self, intent: Create, files: tuple[Filed, ...]) -> Receipt:
        room = self._room(intent.chat)
        known = self._deduplicated(intent.key, room)
        if known is not None:
            return Receipt(known)
        shown = show(intent.view, intent.form, self._look, files)
        return Receipt(
            self._put(
                room,
                shown,
                key=intent.key,
                reply_to=self._target(intent.reply_to),
                pinned=intent.pin,
                silent=intent.view.silent,
            )
        )

    def _edit(self, intent: Edit, files: tuple[Filed, ...]) -> Receipt:
        self._room(intent.message.chat)
        current = self._there(intent.message)
        if current.by != BOT:
            raise Rejected("not our message", why=RejectedWhy.FORBIDDEN)
        shown = show(intent.view, intent.form, self._look, files)
        if shown != current.shown:
            self._playground.commit("edit", id=current.id, shown=shown_record(shown))
        elif self._look.name == "telegram":
            raise Rejected("message is not modified", why=RejectedWhy.UNCHANGED)
        return Receipt(intent.message)

    def _withdraw(self, intent: Withdraw) -> None:
        self._room(intent.message.chat)
        current = self._there(intent.message)
        self._playground.commit("delete", id=current.id)

    def _mark(self, intent: Mark) -> None:
        self._room(intent.message.chat)
        current = self._there(intent.message)
        if (BOT in current.reactions.get(intent.emoji, ())) != intent.on:
            self._playground.commit("react", id=current.id, who=BOT, emoji=intent.emoji, on=intent.on)

    def _tell(self, intent: Tell) -> Receipt:
        room = self._room(intent.chat)
        known = self._deduplicated(intent.key, room)
        if known is not None:
            return Receipt(known)
        if not intent.handle:
            return Receipt(self._answer(intent, room))
        found = self._playground.handle(intent.handle)
        if found is None or self._playground.clock.now() - found[2] > _HANDLE_LIFE:
            raise Rejected("the interaction is over", why=RejectedWhy.UNREACHABLE)
        if self._look.slash:
            self._put(room, show(intent.view, Form.FULL, self._look), only_for=found[1], kind="ephemeral")
        elif room.private_of and not fits_toast(intent.view):
            return Receipt(self._answer(intent, room))
        else:
            self._put(room, toast(intent.view), only_for=found[1], kind="toast")
        return Receipt()

    def _answer(self, intent: Tell, room: Room) -> MessageRef:
        shown, target = show(intent.view, Form.FULL, self._look), self._target(intent.reply_to)
        return self._put(room, shown, key=intent.key, reply_to=target, silent=intent.view.silent)

    def _put(
        self,
        room: Room,
        shown: Shown,
        *,
        key: str = "",
        reply_to: str = "",
        pinned: bool = False,
        silent: bool = False,
        only_for: str = "",
        kind: str = "message",
    ) -> MessageRef:
        made = Message(
            id=self._playground.new_id(),
            room=room.id,
            by=BOT,
            name=_BOT_NAME,
            shown=shown,
            at=self._playground.clock.now(),
            key=key,
            reply_to=reply_to,
            pinned=pinned,
            silent=silent,
            only_for=only_for,
            kind=kind,
        )
        self._playground.commit("message", **message_record(made))
        return self._playground.ref(made)

    def _room(self, chat: ChatRef) -> Room:
        room = self._playground.rooms.get(chat.key)
        if room is None or room.gone or room.look is not self._look:
            raise Rejected("no such room, or not in it", why=RejectedWhy.CHAT_GONE)
        return room

    def _there(self, ref: MessageRef) -> Message:
        current = self._playground.find(ref)
        if current is None or current.deleted:
            raise Rejected("the message is gone", why=RejectedWhy.GONE)
        return current

    def _target(self, ref: MessageRef | None) -> str:
        """The message answered to; where it has vanished the answer stands alone."""
        current = self._playground.find(ref) if ref else None
        return current.id if current and not current.deleted else ""

    def _deduplicated(self, key: str, room: Room) -> MessageRef | None:
        """The message that this key made already, while the platform would still know the key."""
        life = self.capabilities.key_life
        known = self._playground.sent_with(key, room.id) if life and key else None
        if known is None or life is None or self._playground.clock.now() - known.at >= life:
            return None
        return self._playground.ref(known)
