"""A platform on paper: rooms with lines in memory, declared capabilities, and faults on order.

It stands in for a whole platform behind `core.ports.Adapter`, so that a story can count what a room shows. It
recognises a key only while its capabilities say so, as the real servers do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from core.errors import FileRefused, FileWhy, Rejected, RejectedWhy, RetryLater
from core.events import Loss, MessageDeleted
from core.intents import (
    Capabilities,
    Create,
    Edit,
    Form,
    Intent,
    Mark,
    NotAsAuthor,
    Receipt,
    Tell,
    View,
    Withdraw,
)
from core.parts import taken_of
from core.ports import Clock, Finding, Gate
from core.text import plain
from core.types import ChatRef, MessageRef, Platform

BOT = "stormo"
#: How a line is reached that stands in its author's name.
VOICE = "voice"


@dataclass(slots=True, eq=False)
class Line:
    """One message of a room. `only_for`: the account key of the one person who sees it."""

    ref: MessageRef
    by: str
    text: str
    at: datetime
    view: View | None = None
    form: Form = Form.FULL
    reply_to: MessageRef | None = None
    pinned: bool = False
    only_for: str = ""
    key: str = ""
    marks: set[str] = field(default_factory=set)
    deleted: bool = False
    edits: int = 0
    #: Shown in the author's own name, which only this way can change it.
    voiced: bool = False

    @property
    def author(self) -> str:
        return self.view.author if self.view else self.by

    @property
    def footer(self) -> str:
        return self.view.footer if self.view else ""


@dataclass(slots=True)
class Fault:
    """What goes wrong with the next `times` acts that `when` picks; `after`: once the act has taken effect."""

    error: Exception
    when: Callable[[Intent], bool]
    after: bool = False
    times: int = 1


@dataclass(slots=True)
class Hold:
    """A call that has taken effect and whose answer is kept back until `release` is set."""

    when: Callable[[Intent], bool]
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)


def any_intent(_: Intent) -> bool:
    return True


def chat_of(intent: Intent) -> ChatRef:
    return intent.chat if isinstance(intent, Create | Tell) else intent.message.chat


class Paper:
    """One platform. `unchanged`: an edit to what already stands is refused, as Telegram does."""

    def __init__(
        self,
        platform: str,
        capabilities: Capabilities,
        clock: Clock,
        *,
        slash: bool = False,
        unchanged: bool = False,
    ) -> None:
        self.platform = Platform(platform)
        self.capabilities = capabilities
        self.slash = slash
        self.unchanged = unchanged
        self.rooms: dict[str, list[Line]] = {}
        self.calls: list[tuple[float, Intent]] = []
        self.faults: list[Fault] = []
        #: Rooms (by key) where the bot may not write, and why.
        self.losses: dict[str, Loss] = {}
        #: How often the bot asked whether it may.
        self.asked = 0
        #: What was looked for, and why it cannot be.
        self.looked: list[Create] = []
        self.unreadable: list[Exception] = []
        #: Messages (by key) that stand and cannot be changed any more.
        self.frozen: set[str] = set()
        #: Rooms (by key) in which no key is known again.
        self.keyless: set[str] = set()
        #: Why nobody's words can be shown in their own name, where that is so.
        self.voiceless: NotAsAuthor | None = None
        self.holds: list[Hold] = []
        #: What its people attached, by the name that only it reads; or what is said to who asks for it.
        self.files: dict[str, bytes | Exception] = {}
        self.fetched: list[str] = []
        self.gate: Gate | None = None
        self.echoes: list[asyncio.Future[None]] = []
        self._clock = clock
        self._number = 0

    # -- the port ------------------------------------------------------------------------------------------------

    async def run(self, gate: Gate) -> None:
        """The people of a story hand over their acts themselves."""
        self.gate = gate
        await asyncio.Event().wait()

    async def check(self) -> Sequence[Finding]:
        return ()

    async def find_sent(self, create: Create, since: datetime) -> MessageRef | None:
        self.looked.append(create)
        if self.unreadable:
            raise self.unreadable[0]
        lines = self.rooms.get(create.chat.key, [])
        found = [x for x in lines if x.key == create.key and x.at >= since and not x.deleted]
        return replace(found[0].ref, via=VOICE if found[0].voiced else "") if found else None

    async def standing(self, chat: ChatRef) -> Loss | None:
        self.asked += 1
        return self.losses.get(chat.key)

    def link(self, message: MessageRef) -> str:
        return f"https://{self.platform}.example/{message.chat.key}/{message.key}"

    async def fetch(self, source: str, take: Callable[[bytes], None]) -> None:
        self.fetched.append(source)
        there = self.files.get(source, FileRefused(FileWhy.GONE))
        if isinstance(there, Exception):
            raise there
        for start in range(0, len(there), 1000):
            take(there[start : start + 1000])

    async def perform(self, intent: Intent) -> Receipt:
        self.calls.append((self._clock.monotonic(), intent))
        fault = self._fault(intent)
        if fault is not None and not fault.after:
            raise fault.error
        receipt = self._do(intent)
        if fault is not None:
            raise fault.error
        for hold in self.holds:
            if hold.when(intent):
                self.holds.remove(hold)
                hold.reached.set()
                await hold.release.wait()
                break
        return receipt

    # -- what a test orders ----------------------------------------------------------------------------------------

    def fails(
        self,
        error: Exception,
        *,
        when: Callable[[Intent], bool] = any_intent,
        after: bool = False,
        times: int = 1,
    ) -> Fault:
        fault = Fault(error, when, after, times)
        self.faults.append(fault)
        return fault

    def hold(self, when: Callable[[Intent], bool] = any_intent) -> Hold:
        hold = Hold(when)
        self.holds.append(hold)
        return hold

    def write(self, chat: ChatRef, by: str, text: str, **more: object) -> Line:
        """A new line; a person's, unless `view` is given."""
        self._number += 1
        line = Line(MessageRef(chat, f"m{self._number}"), by, text, self._clock.now(), **more)  # type: ignore[arg-type]
        self.rooms.setdefault(chat.key, []).append(line)
        return line

    def find(self, ref: MessageRef) -> Line | None:
        return next((line for line in self.rooms.get(ref.chat.key, []) if line.ref == ref), None)

    # -- doing -----------------------------------------------------------------------------------------------------

    def _fault(self, intent: Intent) -> Fault | None:
        for fault in self.faults:
            if fault.times > 0 and fault.when(intent):
                fault.times -= 1
                return fault
        return None

    def _do(self, intent: Intent) -> Receipt:
        match intent:
            case Create():
                return self._put(intent, intent.form)
            case Tell():
                return self._tell(intent)
            case Edit():
                return self._edit(intent)
            case Withdraw():
                return self._withdraw(intent)
            case Mark():
                line = self._there(intent.message)
                (line.marks.add if intent.on else line.marks.discard)(intent.emoji)
                return Receipt()

    def _put(self, intent: Create | Tell, form: Form) -> Receipt:
        voiced = isinstance(intent, Create) and intent.view.as_author and self.voiceless is None
        keyless = intent.chat.key in self.keyless
        if keyless and isinstance(intent, Create) and intent.keyed:
            raise RetryLater("no key is known here", keyless=True)
        known = None if voiced or keyless else self._known(intent.key)
        if known is not None:
            return Receipt(known.ref)
        self._fits(intent.view, form)
        line = self.write(intent.chat, BOT, plain(intent.view.body), view=intent.view, key=intent.key)
        line.form, line.reply_to, line.voiced = form, None if voiced else intent.reply_to, voiced
        line.pinned = isinstance(intent, Create) and intent.pin
        failed = self.voiceless if intent.view.as_author else None
        return Receipt(replace(line.ref, via=VOICE if voiced else ""), not_as_author=failed)

    def _known(self, key: str) -> Line | None:
        life = self.capabilities.key_life
        if life is None:
            return None
        lines = (line for lines in self.rooms.values() for line in lines)
        return next((line for line in lines if line.key == key and self._clock.now() - line.at < life), None)

    def _tell(self, intent: Tell) -> Receipt:
        if not intent.handle:
            return self._put(intent, Form.FULL)
        line = self.write(intent.chat, BOT, plain(intent.view.body), view=intent.view, only_for=intent.to.key)
        line.key = intent.key
        return Receipt()

    def _edit(self, intent: Edit) -> Receipt:
        line = self._reached(intent.message)
        if line.ref.key in self.frozen:
            raise Rejected("nobody can change it", why=RejectedWhy.FROZEN)
        if line.by != BOT:
            raise Rejected("not ours", why=RejectedWhy.FORBIDDEN)
        if self.unchanged and (line.view, line.form) == (intent.view, intent.form):
            raise Rejected("not modified", why=RejectedWhy.UNCHANGED)
        self._fits(intent.view, intent.form)
        there = line.view.files if line.view else ()
        same = [(f.digest, f.name, f.spoiler) for f in there] == [
            (f.digest, f.name, f.spoiler) for f in intent.view.files
        ]
        # A description is no part of a file: platforms let it change.
        if line.view and not same and not self.capabilities.replaces_files:
            raise Rejected("an edit brings no files", why=RejectedWhy.FORM)
        line.view, line.text, line.form = intent.view, plain(intent.view.body), intent.form
        line.edits += 1
        return Receipt(line.ref)

    def _fits(self, view: View, form: Form) -> None:
        """The last rung is a line with an address, however long the text."""
        taken, room = taken_of(view, form, self.capabilities)
        if form is not Form.LINK and (taken > room or len(view.files) > self.capabilities.files_per_message):
            raise Rejected(f"{taken} of {room}", why=RejectedWhy.FORM)

    def _withdraw(self, intent: Withdraw) -> Receipt:
        line = self._reached(intent.message)
        line.deleted = True
        if self.gate is not None:
            # Platforms tell a bot of its own deletions too.
            event = MessageDeleted(key=f"{self.platform}:echo:{line.ref.key}", message=line.ref)
            self.echoes.append(asyncio.ensure_future(self.gate.handle(event)))
        return Receipt()

    def _reached(self, ref: MessageRef) -> Line:
        line = self._there(ref)
        if line.voiced and ref.via != VOICE:
            raise Rejected("another's message", why=RejectedWhy.FORBIDDEN)
        return line

    def _there(self, ref: MessageRef) -> Line:
        line = self.find(ref)
        if line is None or line.deleted:
            raise Rejected("not found", why=RejectedWhy.GONE)
        return line
