"""Delivery: due -> view -> try (committed) -> perform -> record.

One lane per chat; nothing sleeps while it holds a lane. The outbox says what each chat must show; the courier
renders at send time, so that first send, edit, live tally, retry and withdrawal are one path. Before each call a
try is committed, after it the receipt: a try found without receipt was perhaps sent.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import heapq
import logging
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.engine import Engine
from core.errors import Rejected, RejectedWhy, RetryLater, StormoError
from core.intents import Form, Intent, Receipt, Tell
from core.lanes import Later, Windows, keeps_key, pick
from core.notices import load, private_chat, take_away
from core.ports import Adapter, Clock, Transactions, Words
from core.records import Chat, ChatState, Copy, CopyState, Delivery, Doubt, Notice, Try, Verb
from core.stores import Unit
from core.types import ChatId, Platform, ThingKind
from core.views import Act, Drop, Views

log = logging.getLogger(__name__)

#: Calls under way at once for one bot token.
CALLS_AT_ONCE = 16
#: Between a failed write and the next look at its chat.
STORAGE_PAUSE = timedelta(seconds=1)
_LONGEST_PAUSE = 300
_REPEATABLE = frozenset({Verb.EDIT, Verb.WITHDRAW, Verb.MARK, Verb.UNMARK, Verb.TAKE})
_LADDER = {Form.FULL: Form.PLAIN, Form.PLAIN: Form.LINK}


@dataclass(frozen=True, slots=True)
class Attempt:
    """A try that is committed, with the call to make."""

    row: Delivery
    chat: Chat
    act: Act
    attempt: Try
    intent: Intent
    notice: Notice | None

    @property
    def exempt(self) -> bool:
        """An answer through its own door (an interaction) is bound by no window."""
        return isinstance(self.intent, Tell) and bool(self.intent.handle)


def derive_key(instance: str, row: Delivery, act: Act) -> str:
    """The idempotency key, derived and never drawn: a create's has no version, so that every repeat has the same."""
    if act.verb in (Verb.CREATE, Verb.TELL):
        parts = [instance, "create", row.thing_id, row.chat_id, act.part, row.generation]
    else:
        parts = [instance, act.verb, row.thing_id, row.chat_id, act.part, act.version]
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


class Courier:
    """Runs in the event loop; every look at the database is a job of the writer."""

    def __init__(
        self,
        *,
        adapters: Mapping[Platform, Adapter],
        writer: Transactions,
        engine: Engine,
        words: Words,
        clock: Clock,
    ) -> None:
        self._adapters = adapters
        self._writer = writer
        self._engine = engine
        self._rules = engine.rules
        self._clock = clock
        self._views = Views(engine.rules, words)
        self._tokens = {p: Windows(a.capabilities.token_windows) for p, a in adapters.items()}
        self._calls = {p: asyncio.Semaphore(CALLS_AT_ONCE) for p in adapters}
        self._lanes: dict[ChatId, Windows] = {}
        self._platforms: dict[ChatId, Platform] = {}
        self._busy: dict[ChatId, asyncio.Task[None]] = {}
        self._again: set[ChatId] = set()
        self._alarms: list[tuple[datetime, ChatId]] = []
        self._set: set[tuple[datetime, ChatId]] = set()
        self._woken = asyncio.Event()
        self._stopping = False

    # -- the loop ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Delivers until cancelled. First settles the tries that an earlier run left open."""
        await self._writer.submit(self._recover)
        waiting = await self._writer.submit(lambda unit: unit.delivery.waiting())
        for chat, at in waiting.items():
            self._alarm(chat, at)
        try:
            while True:
                await self._clock.wait(self._woken, self._alarms[0][0] if self._alarms else None)
                self._woken.clear()
                self._ring()
        finally:
            self._stopping = True

    async def drain(self) -> None:
        """Lets the calls under way end. Nothing new starts."""
        self._stopping = True
        if self._busy:
            await asyncio.gather(*self._busy.values(), return_exceptions=True)

    def wake(self, chats: frozenset[ChatId]) -> None:
        """These chats have something new to look at. Called in the event loop, after the commit."""
        now = self._clock.now()
        for chat in chats:
            self._alarm(chat, now)

    @property
    def idle(self) -> bool:
        """Whether no call is under way and no lane is due now."""
        return not self._busy and not (self._alarms and self._alarms[0][0] <= self._clock.now())

    def _alarm(self, chat: ChatId, at: datetime) -> None:
        # Every wake finds the same next time again: an alarm that is set already is not set twice.
        if (at, chat) not in self._set:
            self._set.add((at, chat))
            heapq.heappush(self._alarms, (at, chat))
            self._woken.set()

    def _ring(self) -> None:
        now = self._clock.now()
        while self._alarms and self._alarms[0][0] <= now:
            alarm = heapq.heappop(self._alarms)
            self._set.discard(alarm)
            chat = alarm[1]
            if self._stopping:
                return
            if chat in self._busy:
                self._again.add(chat)
            else:
                self._busy[chat] = asyncio.create_task(self._serve(chat))

    async def _serve(self, chat: ChatId) -> None:
        """One chat's lane, until it has nothing to do now."""
        try:
            later: Later | None = None
            while later is None and not self._stopping:
                self._again.discard(chat)
                later = await self._step(chat)
            if later is not None and later.at is not None:
                self._alarm(chat, later.at)
        except StormoError as error:
            log.warning("chat %d: %s", chat, error)
            self._alarm(chat, self._clock.now() + STORAGE_PAUSE)
        except Exception:
            log.exception("chat %d: its lane failed and is tried again", chat)
            self._alarm(chat, self._clock.now() + STORAGE_PAUSE)
        finally:
            del self._busy[chat]
            if chat in self._again:
                self._again.discard(chat)
                self._alarm(chat, self._clock.now())

    async def _step(self, chat: ChatId) -> Later | None:
        """At most one call. ``None``: look again at once."""
        lane = self._lanes.get(chat) or await self._open(chat)
        if lane is None:
            return Later(None)
        token = self._tokens[self._platforms[chat]]
        now = self._clock.monotonic()
        wait = max(lane.ready_at(now), token.ready_at(now)) - now
        if wait <= 0:
            # The place is taken before anything is awaited: another lane must not find the same one free.
            lane.take(now)
            token.take(now)
        found = await self._writer.submit(lambda unit: self._attempt(unit, chat, exempt_only=wait > 0))
        if wait <= 0 and (not isinstance(found, Attempt) or found.exempt):
            lane.give_back(now)
            token.give_back(now)
        if isinstance(found, Attempt):
            await self._perform(chat, found)
            return None
        if isinstance(found, Later) and wait > 0:
            return Later(self._clock.now() + timedelta(seconds=wait))
        return found

    async def _open(self, chat: ChatId) -> Windows | None:
        """The lane of a chat that was not served yet, if its platform is ours."""
        found = await self._writer.submit(lambda unit: unit.communities.chat_by_id(chat))
        adapter = self._adapters.get(found.ref.platform)
        if adapter is None:
            return None
        self._platforms[chat] = found.ref.platform
        lane = self._lanes[chat] = Windows(adapter.capabilities.chat_windows)
        return lane

    # -- trying --------------------------------------------------------------------------------------------------

    def _attempt(self, unit: Unit, chat_id: ChatId, *, exempt_only: bool) -> Attempt | Later | None:
        """In the writer: chooses, renders and commits the try. ``None``: something was settled without a call."""
        chat = unit.communities.chat_by_id(chat_id)
        row = pick(unit, self._rules, chat, exempt_only=exempt_only)
        if isinstance(row, Later):
            return row
        plan = self._plan(unit, row, chat)
        if isinstance(plan, Drop):
            plan = self._perhaps_there(unit, row, chat) or plan
        if isinstance(plan, Drop):
            self._drop(unit, row, plan)
            return None
        key = derive_key(self._rules.instance, row, plan)
        attempt = Try(
            chat_id=chat.id,
            key=key,
            thing_id=row.thing_id,
            part=plan.part,
            verb=plan.verb,
            version=plan.version,
            form=row.form,
            epoch=0,
            at=unit.now,
        )
        open_try = unit.delivery.open_try(chat.id, key)
        if open_try is not None and not self._may_repeat(unit, open_try, chat):
            self._doubt(unit, open_try, chat, "no answer came")
            return None
        unit.delivery.add_try(attempt)
        notice = unit.delivery.notice(row.thing_id) if row.kind is ThingKind.NOTICE else None
        return Attempt(row, chat, plan, open_try or attempt, plan.make(key), notice)

    def _perhaps_there(self, unit: Unit, row: Delivery, chat: Chat) -> Act | None:
        """What is not to be shown may stand there all the same: a create's answer was lost.

        Where the platform recognises the key, a repeat names the message, which can then be withdrawn; where it does
        not, the copy that may stand is listed.
        """
        if row.kind is ThingKind.NOTICE:
            return None
        for attempt in unit.delivery.tries_of(chat.id, row.thing_id):
            if attempt.verb is not Verb.CREATE:
                continue
            if self._may_repeat(unit, attempt, chat):
                return self._views.placeholder(chat, attempt.version)
            unit.delivery.end_try(chat.id, attempt.key)
            unit.delivery.add_doubt(attempt, unit.now, "may stand", "withdrawn before its answer came")
        return None

    def _plan(self, unit: Unit, row: Delivery, chat: Chat) -> Act | Drop:
        """What cannot be rendered steps aside visibly: it must not keep its room waiting for ever."""
        try:
            return self._views.plan(unit, row, chat)
        except (LookupError, ValueError, TypeError, AttributeError) as error:
            log.exception("chat %d, thing %d cannot be rendered", row.chat_id, row.thing_id)
            return Drop(CopyState.REFUSED, f"cannot be rendered: {type(error).__name__}: {error}"[:200])

    @staticmethod
    def _drop(unit: Unit, row: Delivery, plan: Drop) -> None:
        if row.kind is ThingKind.NOTICE:
            unit.delivery.drop_notice(row.chat_id, row.thing_id)
        else:
            unit.delivery.settle(row.chat_id, row.thing_id, plan.state, plan.reason)

    async def _perform(self, chat: ChatId, found: Attempt) -> None:
        adapter = self._adapters[found.chat.ref.platform]
        try:
            async with self._calls[found.chat.ref.platform]:
                receipt = await adapter.perform(found.intent)
        except RetryLater as error:
            await self._retry(chat, found, error)
        except Rejected as rejected:
            refusal = rejected
            await self._writer.submit(lambda unit: self._rejected(unit, found, refusal))
        except Exception as unforeseen:
            log.warning("chat %d: an unknown outcome", chat, exc_info=True)
            await self._retry(chat, found, RetryLater(type(unforeseen).__name__, unknown=True))
        else:
            await self._writer.submit(lambda unit: self._record(unit, found, receipt))

    # -- recording -----------------------------------------------------------------------------------------------

    def _record(self, unit: Unit, found: Attempt, receipt: Receipt) -> None:
        """The call succeeded. A repeat that was recognised shows what its first try rendered."""
        row, store = found.row, unit.delivery
        store.end_tries(row.chat_id, row.thing_id)
        if row.kind is ThingKind.NOTICE:
            return self._told(unit, found, receipt)
        match found.act.verb:
            case Verb.CREATE:
                self._shown(unit, found, found.attempt.version)
                if receipt.message is not None:
                    store.add_copy(_copy(found, receipt, unit.now))
                    self._engine.known(unit, receipt.message)
            case Verb.EDIT:
                self._shown(unit, found, found.attempt.version)
            case _:
                store.settle(row.chat_id, row.thing_id, CopyState.WITHDRAWN, "withdrawn")
                store.drop_copy(row.chat_id, row.thing_id)
        return None

    def _shown(self, unit: Unit, found: Attempt, version: int) -> None:
        every = self._adapters[found.chat.ref.platform].capabilities.tally_every
        unit.delivery.shown(found.row.chat_id, found.row.thing_id, version, unit.now, unit.now + every)

    def _told(self, unit: Unit, found: Attempt, receipt: Receipt) -> None:
        notice = found.notice
        if notice is not None and notice.verb is Verb.TELL and receipt.message is not None:
            said = load(notice.payload)
            if said.seconds:
                at = unit.now + timedelta(seconds=said.seconds)
                take_away(unit, found.chat.id, receipt.message.key, at)
                if notice.message_key and said.sweep:
                    take_away(unit, found.chat.id, notice.message_key, at)
        unit.delivery.drop_notice(found.row.chat_id, found.row.thing_id)

    def _rejected(self, unit: Unit, found: Attempt, error: Rejected) -> None:
        row, store = found.row, unit.delivery
        store.end_tries(row.chat_id, row.thing_id)
        log.info("chat %d, thing %d: %s (%s)", row.chat_id, row.thing_id, error, error.why)
        if error.why is RejectedWhy.CHAT_GONE:
            unit.communities.set_state(found.chat.id, ChatState.GONE, str(error)[:200])
        elif row.kind is ThingKind.NOTICE:
            self._untold(unit, found)
        else:
            self._copy_rejected(unit, row, found, error)

    def _copy_rejected(self, unit: Unit, row: Delivery, found: Attempt, error: Rejected) -> None:
        store = unit.delivery
        match error.why:
            case RejectedWhy.UNCHANGED:
                self._shown(unit, found, found.attempt.version)
            case RejectedWhy.GONE:
                ended = CopyState.WITHDRAWN if found.act.verb is Verb.WITHDRAW else CopyState.REMOVED
                store.settle(row.chat_id, row.thing_id, ended, str(error)[:200])
                store.drop_copy(row.chat_id, row.thing_id)
            case RejectedWhy.FORM if Form(row.form) in _LADDER:
                store.retry(row.chat_id, row.thing_id, unit.now, str(error)[:200], _LADDER[Form(row.form)])
            case _:
                store.settle(row.chat_id, row.thing_id, CopyState.REFUSED, str(error)[:200])

    @staticmethod
    def _untold(unit: Unit, found: Attempt) -> None:
        """An answer whose door is shut goes to the private chat, if there is one; else it is gone."""
        notice = found.notice
        unit.delivery.drop_notice(found.row.chat_id, found.row.thing_id)
        if notice is None or notice.verb is not Verb.TELL or notice.account_id is None:
            return
        private = private_chat(unit, unit.people.account_by_id(notice.account_id))
        if private is not None and (notice.handle or private != notice.chat_id):
            kept = Notice(
                id=notice.id,
                chat_id=private,
                verb=Verb.TELL,
                account_id=notice.account_id,
                handle="",
                message_key="",
                payload=notice.payload,
                created_at=notice.created_at,
                expires_at=notice.expires_at,
            )
            unit.delivery.add_notice(kept, unit.now)

    # -- retrying and doubts ---------------------------------------------------------------------------------------

    async def _retry(self, chat: ChatId, found: Attempt, error: RetryLater) -> None:
        pause = error.after or _growing(found.row.attempts)
        until = self._clock.monotonic() + pause.total_seconds()
        # A 429 parks its own lane only, unless the platform says that it binds the whole token. What fails
        # otherwise is put off alone: answers and withdrawals go on.
        if error.after is not None:
            self._lanes[chat].park(until)
        if error.whole_token:
            self._tokens[found.chat.ref.platform].park(until)
        log.info(
            "chat %d, thing %d: again in %.1f s: %s", chat, found.row.thing_id, pause.total_seconds(), error
        )
        await self._writer.submit(lambda unit: self._put_off(unit, found, error, pause))

    def _put_off(self, unit: Unit, found: Attempt, error: RetryLater, pause: timedelta) -> None:
        row = found.row
        if not error.unknown:
            unit.delivery.end_try(row.chat_id, found.attempt.key)
        elif not self._may_repeat(unit, found.attempt, found.chat):
            self._doubt(unit, found.attempt, found.chat, str(error))
        unit.delivery.retry(row.chat_id, row.thing_id, unit.now + pause, str(error)[:200], row.form)

    def _may_repeat(self, unit: Unit, attempt: Try, chat: Chat) -> bool:
        """Whether a repeat of this try cannot show anything twice."""
        if attempt.verb in _REPEATABLE:
            return True
        if attempt.verb is Verb.TELL:
            notice = unit.delivery.notice(attempt.thing_id)
            if notice is not None and notice.handle:
                return True
        capabilities = self._adapters[chat.ref.platform].capabilities
        return keeps_key(attempt.at, unit.now, capabilities.key_life)

    @staticmethod
    def _doubt(unit: Unit, attempt: Try, chat: Chat, reason: str) -> None:
        """Perhaps sent, and no key can tell: the community's choice decides, and either way it is listed."""
        unit.delivery.end_try(chat.id, attempt.key)
        community = unit.communities.community(chat.community_id) if chat.community_id else None
        again = community is None or community.doubt is Doubt.DOUBLE
        unit.delivery.add_doubt(attempt, unit.now, "sent again" if again else "left out", reason[:200])
        if not again:
            unit.delivery.settle(chat.id, attempt.thing_id, CopyState.DOUBT, reason[:200])

    def _recover(self, unit: Unit) -> None:
        """Tries that an earlier run left open: repeated with their key while it lives, else in doubt."""
        for attempt in unit.delivery.tries():
            chat = unit.communities.chat_by_id(attempt.chat_id)
            if chat.ref.platform not in self._adapters:
                continue
            if attempt.verb in _REPEATABLE:
                unit.delivery.end_try(chat.id, attempt.key)
            elif not self._may_repeat(unit, attempt, chat):
                self._doubt(unit, attempt, chat, "the program ended before the answer came")


def _growing(attempts: int) -> timedelta:
    """Doubling, capped, and never in step with others."""
    return timedelta(seconds=min(2**attempts, _LONGEST_PAUSE) * random.uniform(0.75, 1.25))  # noqa: S311


def _copy(found: Attempt, receipt: Receipt, now: datetime) -> Copy:
    assert receipt.message is not None
    return Copy(
        chat_id=found.row.chat_id,
        thing_id=found.row.thing_id,
        kind=found.row.kind,
        part=found.act.part,
        message=receipt.message,
        ours=True,
        shown=found.attempt.version,
        sent_at=now,
    )
