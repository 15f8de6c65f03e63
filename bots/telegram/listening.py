"""The loop that asks for updates. An update counts as received only after its commit."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from telegram import Bot, Message, Update
from telegram.error import Conflict, InvalidToken, RetryAfter, TelegramError

from bots.telegram.convert import Me, Unreadable, inbound, thread_of
from bots.telegram.refs import TELEGRAM, chat_ids, chat_ref, message_ids
from bots.telegram.refusals import wait_of
from bots.telegram.roster import Roster, Topics
from core.crashpoints import passing
from core.errors import Deaf, Rejected, RetryLater, StormoError
from core.events import (
    Bookmark,
    ButtonPressed,
    CommandEdited,
    CommandInvoked,
    Inbound,
    MessageEdited,
    MessageReceived,
    Missed,
    PlaceChanged,
    PositionAdvanced,
)
from core.ports import Clock, Gate
from core.types import ChatRef

_LOG: Final = logging.getLogger(__name__)

#: All that we use, and nothing else: reactions come only when they are named.
ALLOWED_UPDATES: Final = (
    "message",
    "edited_message",
    "channel_post",
    "edited_channel_post",
    "message_reaction",
    "message_reaction_count",
    "callback_query",
    "my_chat_member",
    "chat_member",
)
#: How long Telegram keeps updates for a bot that does not ask.
_KEPT: Final = timedelta(hours=24)
_NOTE_EVERY: Final = timedelta(minutes=1)
_LONGEST_WAIT: Final = 30.0
#: Empty answers in a row, with updates waiting after each, that make a line deaf.
_SILENCES: Final = 2
#: Failures in a row after which the supervisor takes over.
_PATIENCE: Final = 6
#: Messages older than this get no reaction that the bot has to find the topic of.
_TOPIC_MEMORY: Final = timedelta(days=30)

_WITH_RIGHTS = CommandInvoked | CommandEdited | ButtonPressed
_WITH_PLACE = CommandInvoked | CommandEdited | ButtonPressed | MessageReceived | MessageEdited


class AnotherReader(StormoError):
    """Another program asks for the updates of the same token, and does not stop."""


@dataclass(slots=True, kw_only=True)
class Listener:
    """One stay on the line. ``conflict``, ``first_wait`` and ``canary`` are seconds."""

    bot: Bot
    me: Me
    gate: Gate
    clock: Clock
    roster: Roster
    topics: Topics
    usernames: dict[int, str]
    poll: timedelta
    first_wait: float
    conflict: float
    canary: float
    _failures: int = field(default=0, init=False)
    _conflict_since: float | None = field(default=None, init=False)
    _listened_at: float = field(default=0.0, init=False)
    _silences: int = field(default=0, init=False)
    _noted_at: datetime | None = field(default=None, init=False)

    async def listen(self) -> None:
        """Hand over updates for ever.

        Raises ``AnotherReader``, ``Deaf``, an error of the library that lasts, or what ``handle`` raised.
        """
        await self._recall_topics()
        await self._tell_what_is_lost()
        self._listened_at = self.clock.monotonic()
        offset: int | None = None
        while True:
            try:
                updates = await self._ask(offset)
            except TelegramError as error:
                await self._bear(error)
                continue
            self._conflict_since = None
            self.gate.alive()
            if offset is not None:
                passing("inbound.acknowledged", TELEGRAM)
            await self._mistrust(updates)
            try:
                # An empty answer has confirmed all before the offset. Without one, ids that start
                # anew after a silent week are not taken for old ones.
                offset = await self._hand_over(updates) if updates else None
            except RetryLater as later:
                # Nothing of this batch is confirmed: it comes again.
                await self._bear_silence(later)
                continue
            self._failures = 0
            await self._note_time()

    async def _mistrust(self, updates: Sequence[Update | int]) -> None:
        """A question that stayed open while updates waited: the line is deaf. Raises ``Deaf``."""
        now = self.clock.monotonic()
        if updates:
            self._silences = 0
        elif self._silences or now - self._listened_at >= self.canary:
            self._listened_at = now
            self._silences = self._silences + 1 if await self._waiting() else 0
            if self._silences >= _SILENCES:
                raise Deaf("updates wait at Telegram, and the questions for them come back empty")

    async def _waiting(self) -> int:
        try:
            return (await self.bot.get_webhook_info()).pending_update_count
        except TelegramError:
            return 0

    @property
    def _scope(self) -> str:
        return f"telegram:{self.me.id}:heard"

    async def _tell_what_is_lost(self) -> None:
        """Telegram keeps what it could not tell for a day."""
        kept = await self.gate.bookmark(self._scope)
        since = datetime.fromisoformat(kept) if kept else None
        self._noted_at = since
        if since is None or self.clock.now() - since < _KEPT:
            return
        reason = "nobody listened for more than a day; what is older, Telegram no longer tells"
        key = f"telegram:{self.me.id}:missed:{kept}"
        await self.gate.handle(Missed(key=key, platform=TELEGRAM, since=since, reason=reason))

    async def _note_time(self) -> None:
        """Until when everything was heard, once a minute."""
        now = self.clock.now()
        if self._noted_at is not None and now - self._noted_at < _NOTE_EVERY:
            return
        self._noted_at = now
        bookmark = Bookmark(scope=self._scope, value=now.isoformat())
        await self.gate.handle(PositionAdvanced(key=None, bookmark=bookmark))

    async def _recall_topics(self) -> None:
        since = self.clock.now() - _TOPIC_MEMORY
        for watched in await self.gate.recent_messages(TELEGRAM, since):
            thread = chat_ids(watched.message.chat)[1]
            if thread is not None:
                self.topics.note(*message_ids(watched.message), thread)

    async def _ask(self, offset: int | None) -> Sequence[Update | int]:
        """Updates; one that cannot be read is its bare id."""
        try:
            return await self.bot.get_updates(
                offset=offset, timeout=self.poll, allowed_updates=ALLOWED_UPDATES
            )
        except TelegramError:
            raise
        except Exception:  # noqa: BLE001 - the library's reader knows no error of its own
            _LOG.warning("Telegram: an update cannot be read; reading them one by one")
            return await self._ask_raw(offset)

    async def _ask_raw(self, offset: int | None) -> Sequence[Update | int]:
        """The same, read one by one, so that one broken update does not stop all others for ever."""
        raw = await self.bot.do_api_request(
            "get_Updates", api_kwargs={"offset": offset, "timeout": 0, "allowed_updates": ALLOWED_UPDATES}
        )
        return [self._read(one) for one in raw]

    def _read(self, raw: dict[str, object]) -> Update | int:
        try:
            return Update.de_json(raw, self.bot)
        except Exception:  # noqa: BLE001 - as above
            _LOG.error("Telegram: update %s cannot be read and is left out", raw.get("update_id"))
            return int(str(raw.get("update_id")))

    async def _bear(self, error: TelegramError) -> None:
        """Wait after a failed question, or give up."""
        if isinstance(error, InvalidToken):
            raise error
        if isinstance(error, RetryAfter):
            await asyncio.sleep(wait_of(error).total_seconds())
            return
        self._failures += 1
        if isinstance(error, Conflict):
            self._bear_conflict()
        elif self._failures >= _PATIENCE:
            raise error
        wait = self._wait()
        _LOG.warning("Telegram: no updates (%s); asking again in %.1f s", type(error).__name__, wait)
        await asyncio.sleep(wait)

    async def _bear_silence(self, later: RetryLater) -> None:
        """Telegram did not say what must be known before these updates can be handed over."""
        self._failures += 1
        if self._failures >= _PATIENCE:
            raise later
        wait = later.after.total_seconds() if later.after else self._wait()
        _LOG.warning("Telegram: %s; asking again in %.1f s", later, wait)
        await asyncio.sleep(wait)

    def _wait(self) -> float:
        longest = min(self.first_wait * 2.0 ** (self._failures - 1), _LONGEST_WAIT)
        return longest * random.uniform(0.75, 1.0)  # noqa: S311

    def _bear_conflict(self) -> None:
        now = self.clock.monotonic()
        if self._conflict_since is None:
            self._conflict_since = now
        if now - self._conflict_since >= self.conflict:
            raise AnotherReader("another program reads the updates of this Telegram bot: stop one of the two")

    async def _hand_over(self, updates: Sequence[Update | int]) -> int:
        """All updates in their order, at once; gives the new offset. Raises what the first failure was."""
        passing("inbound.received", TELEGRAM)
        whole = [update for update in updates if isinstance(update, Update)]
        self._learn(whole)
        events = [(update.update_id, event) for update in whole for event in await self._events(update)]
        await self._learn_rights(event for _, event in events)
        filled = [self._with_rights(event) for _, event in events]
        passing("inbound.converted", TELEGRAM)
        results = await asyncio.gather(*(self.gate.handle(event) for event in filled), return_exceptions=True)
        failed = [result for result in results if isinstance(result, BaseException)]
        if failed:
            # Nothing of this batch is confirmed: what was committed is known by its key when it comes again.
            raise failed[0]
        passing("inbound.answered", TELEGRAM)
        last = updates[-1]
        return (last.update_id if isinstance(last, Update) else last) + 1

    def _learn(self, updates: Iterable[Update]) -> None:
        for update in updates:
            if change := update.chat_member or update.my_chat_member:
                self.roster.forget(change.chat.id)
            if message := update.effective_message:
                self._learn_message(message)

    def _learn_message(self, message: object) -> None:
        if not isinstance(message, Message):
            return
        if message.chat.username:
            self.usernames[message.chat.id] = message.chat.username
        thread = thread_of(message)
        if thread is not None:
            self.topics.note(message.chat.id, message.message_id, thread)

    async def _events(self, update: Update) -> Sequence[Inbound]:
        try:
            event = inbound(update, self.me, self.topics.of)
        except Unreadable as fault:
            _LOG.error("Telegram: %s and is left out", fault)
            return ()
        if event is None:
            return ()
        return [event, *await self._topics_too(event)] if isinstance(event, PlaceChanged) else [event]

    async def _topics_too(self, event: PlaceChanged) -> Sequence[Inbound]:
        """What befalls a chat befalls its topics, which Telegram does not name."""
        if event.moved_to is not None:
            return ()
        watched = await self.gate.watched_chats(TELEGRAM)
        return [
            replace(event, chat=chat, key=f"{event.key}:{chat.key}")
            for chat in watched
            if _inside(chat, event.chat)
        ]

    async def _learn_rights(self, events: Iterable[Inbound]) -> None:
        places = [event.place for event in events if isinstance(event, _WITH_RIGHTS)]
        await self.roster.learn(chat_ids(place.chat)[0] for place in places if not place.private)

    def _with_rights(self, event: Inbound) -> Inbound:
        """The event with the actor's rights in its chat; in a private chat nobody is an administrator."""
        if not isinstance(event, _WITH_PLACE) or event.place.private or event.actor.anonymous:
            return event
        rights = self.roster.rights(chat_ids(event.place.chat)[0], int(event.actor.account.key))
        return replace(event, actor=replace(event.actor, rights=rights))


def _inside(chat: ChatRef, whole: ChatRef) -> bool:
    try:
        id_, thread = chat_ids(chat)
    except Rejected:
        return False
    return thread is not None and chat_ref(id_) == whole
