"""Tries: what is to be called next in a chat, committed before the call, and what became of tries without an answer."""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from core.counts import Happening
from core.crashpoints import passing
from core.errors import RejectedWhy
from core.intents import Capabilities, Create, Intent, Tell
from core.lanes import Later, keeps_key, pick
from core.ports import Words
from core.records import Chat, CopyState, Delivery, Doubt, Notice, Try, Verb
from core.scene import Rules
from core.steps import Act, Drop, Plan, Shown
from core.stores.unit import Unit
from core.types import ChatId, Platform, ThingKind
from core.views import Views

log = logging.getLogger(__name__)

#: What is done to a copy. Until it is answered, nobody knows what that message shows, or whether it stands.
_OF_COPIES = frozenset({Verb.EDIT, Verb.WITHDRAW})
_ENDED = "the program ended before the answer came"
_FIRST_SEND = 1
_REPEATABLE = _OF_COPIES | {Verb.MARK, Verb.UNMARK, Verb.TAKE, Verb.UNPIN}


@dataclass(frozen=True, slots=True)
class Attempt:
    """A try that is committed, with the call to make.

    ``lost``: it was made already and its answer is lost; what became of it is to be looked up.
    """

    row: Delivery
    chat: Chat
    act: Act
    attempt: Try
    intent: Intent
    notice: Notice | None
    #: In whose name it is made; a repeated try keeps that of its first time.
    epoch: int
    lost: bool = False

    @property
    def exempt(self) -> bool:
        """An answer through its own door (an interaction) is bound by no window."""
        return isinstance(self.intent, Tell) and bool(self.intent.handle)


def derive_key(instance: str, row: Delivery, act: Act) -> str:
    """The idempotency key, derived and never drawn: a create's has no version, so that every repeat has the same.

    The generation grows with each message that was taken away, so that none gets the key of one that is gone; and
    what an edit shows is in its key, as a form may change while the version stays.
    """
    if act.verb in (Verb.CREATE, Verb.TELL):
        parts = [instance, "create", row.thing_id, row.chat_id, act.part, row.generation]
    else:
        parts = [
            instance,
            act.verb,
            row.thing_id,
            row.chat_id,
            act.part,
            act.version,
            row.generation,
            act.digest,
        ]
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _same(tries: Sequence[Try], act: Act, key: str) -> Try | None:
    """The try that this act repeats. That of a create keeps its key, whatever was taken away since."""
    for attempt in tries:
        created = attempt.verb is act.verb is Verb.CREATE and attempt.part == act.part
        if created or attempt.key == key:
            return attempt
    return None


def failing_since(row: Delivery, now: datetime) -> datetime:
    """Since when it is tried in vain. What it waits beyond its pauses, for its room or the night, is no trying."""
    if row.attempts == 0 or row.failing_since is None:
        return now
    return row.failing_since + max(now - row.ready_at, timedelta(0))


class Attempts:
    """The writer's side of a call that is to be made. Every method is a job of the writer."""

    def __init__(self, rules: Rules, words: Words, platforms: Mapping[Platform, Capabilities]) -> None:
        self._rules = rules
        self._platforms = platforms
        self._views = Views(rules, words, platforms)
        #: Chats of which their adapter said that they know no key again.
        self._keyless: set[ChatId] = set()

    def next(self, unit: Unit, chat_id: ChatId, epoch: int, *, exempt_only: bool) -> Attempt | Later | None:
        """In the writer: chooses, renders and commits the try. ``None``: something was settled without a call."""
        chat = unit.communities.chat_by_id(chat_id)
        row = pick(unit, self._rules, chat, exempt_only=exempt_only)
        if isinstance(row, Later):
            return row
        passing("outbound.picked", chat.ref.platform)
        tries = unit.tries.tries_of(chat.id, row.thing_id)
        plan = self._stale(unit, row, tries) or self._plan(unit, row, chat, tries)
        passing("outbound.rendered", chat.ref.platform)
        if not isinstance(plan, Act):
            if tries:
                unit.tries.end_tries(chat.id, row.thing_id)
            self.end(unit, row, chat, plan)
            passing("parts.none_left", chat.ref.platform)
            return None
        key = derive_key(self._rules.instance, row, plan)
        open_try = _same(tries, plan, key)
        if open_try is not None and not self.may_repeat(unit, open_try, chat):
            return self._unanswered(unit, row, chat, plan, open_try, epoch)
        intent = plan.make(open_try.key if open_try else key)
        attempt = open_try or Try(
            chat_id=chat.id,
            key=key,
            thing_id=row.thing_id,
            part=plan.part,
            verb=plan.verb,
            version=plan.version,
            form=row.form,
            epoch=epoch,
            at=unit.now,
            digest=plan.digest,
            keyed=not _as_author(intent) and chat.id not in self._keyless,
            signed=_signed(intent) and self._platforms[chat.ref.platform].find_after is not None,
        )
        unit.tries.add_try(attempt)
        passing("outbound.tried", chat.ref.platform)
        notice = unit.notices.notice(row.thing_id) if row.kind is ThingKind.NOTICE else None
        # A repeat is recognised only when it is made in the same way.
        intent = _itself(intent) if attempt.keyed else _unkeyed(intent)
        return Attempt(row, chat, plan, attempt, intent, notice, epoch)

    def without_keys(self, chat: ChatId) -> None:
        """What is sent there from now on is looked for where its answer is lost."""
        self._keyless.add(chat)

    def _unanswered(
        self, unit: Unit, row: Delivery, chat: Chat, plan: Act, attempt: Try, epoch: int
    ) -> Attempt | None:
        """No repeat can tell what became of it. It is looked for once it can no longer be under way."""
        wait = self._platforms[chat.ref.platform].find_after
        if wait is None or not attempt.signed:
            self.unknown(unit, plan, attempt, chat, "no answer came")
        elif attempt.keyed or attempt.lost_at is None or unit.now < attempt.lost_at + wait:
            self.look_for(unit, attempt, chat, attempt.lost_at or unit.now, "no answer came")
        else:
            return Attempt(row, chat, plan, attempt, plan.make(attempt.key), None, epoch, lost=True)
        return None

    def look_for(self, unit: Unit, attempt: Try, chat: Chat, lost_at: datetime, why: str) -> bool:
        """A try whose answer is lost steps aside until it can be looked for. Returns whether it ever can."""
        wait = self._platforms[chat.ref.platform].find_after
        row = unit.outbox.delivery(chat.id, attempt.thing_id)
        if wait is None or not attempt.signed or row is None:
            return False
        unit.tries.lose_try(chat.id, attempt.key, lost_at, keyed=False)
        since, why = failing_since(row, unit.now), f"looked for: {why}"[:200]
        unit.outbox.retry(chat.id, attempt.thing_id, lost_at + wait, why, row.form, since)
        return True

    def unknown(self, unit: Unit, plan: Act, attempt: Try, chat: Chat, why: str) -> None:
        """Nothing can tell: a message that may stand and is not wanted any more is listed, another is in doubt."""
        if not plan.asks:
            self.doubt(unit, attempt, chat, why)
            return
        self.may_stand(unit, attempt, chat, "withdrawn before its answer came")

    @staticmethod
    def may_stand(unit: Unit, attempt: Try, chat: Chat, reason: str) -> None:
        """Perhaps sent, and nothing is done about it any more: it is listed."""
        unit.tries.end_try(chat.id, attempt.key)
        unit.tries.add_doubt(attempt, unit.now, "may stand", reason)
        unit.happened[chat.ref.platform, Happening.DOUBT] += 1

    def _stale(self, unit: Unit, row: Delivery, tries: Sequence[Try]) -> Drop | None:
        """Talk that waited so long is no talk any more: a room that opens again is not flooded with it."""
        new = row.shown == 0 and not row.begun and not tries and row.rank == _FIRST_SEND
        if row.kind is ThingKind.RELAY and new and unit.now - row.queued_at >= self._rules.give_up:
            return Drop(CopyState.REFUSED, f"{RejectedWhy.LATE}: waited too long")
        return None

    def _plan(self, unit: Unit, row: Delivery, chat: Chat, tries: Sequence[Try]) -> Plan:
        """What cannot be rendered steps aside visibly: it must not keep its room waiting for ever."""
        try:
            return self._views.plan(unit, row, chat, tries)
        except (LookupError, ValueError, TypeError, AttributeError) as error:
            log.exception("chat %d, thing %d cannot be rendered", row.chat_id, row.thing_id)
            return Drop(CopyState.REFUSED, f"cannot be rendered: {type(error).__name__}: {error}"[:200])

    def end(self, unit: Unit, row: Delivery, chat: Chat, plan: Drop | Shown) -> None:
        """Nothing differs any more."""
        if row.kind is ThingKind.NOTICE:
            unit.notices.drop_notice(row.chat_id, row.thing_id)
        elif isinstance(plan, Drop):
            unit.outbox.settle(row.chat_id, row.thing_id, plan.state, plan.reason)
        else:
            next_at = unit.now + self._platforms[chat.ref.platform].tally_every
            unit.outbox.shown(row.chat_id, row.thing_id, row.wanted, unit.now, next_at)

    def may_repeat(self, unit: Unit, attempt: Try, chat: Chat) -> bool:
        """Whether a repeat of this try cannot show anything twice."""
        if attempt.verb in _REPEATABLE:
            return True
        if attempt.verb is Verb.TELL:
            notice = unit.notices.notice(attempt.thing_id)
            if notice is not None and notice.handle:
                return True
        capabilities = self._platforms[chat.ref.platform]
        return attempt.keyed and keeps_key(attempt.at, unit.now, capabilities.key_life)

    @staticmethod
    def doubt(unit: Unit, attempt: Try, chat: Chat, reason: str) -> bool:
        """Perhaps sent, and no key can tell: the community's choice decides, and either way it is listed.

        Returns whether it is sent again.
        """
        unit.tries.end_try(chat.id, attempt.key)
        community = unit.communities.community(chat.community_id) if chat.community_id else None
        again = community is None or community.doubt is Doubt.DOUBLE
        unit.happened[chat.ref.platform, Happening.DOUBT] += 1
        if again:
            unit.tries.add_doubt(attempt, unit.now, "sent again", reason[:200])
            return True
        unit.tries.leave_out(attempt, unit.now, reason[:200])
        if unit.notices.notice(attempt.thing_id) is not None:
            unit.outbox.settle(chat.id, attempt.thing_id, CopyState.DOUBT, reason[:200])
        return False

    def recover(self, unit: Unit, platform: Platform) -> None:
        """Tries that an earlier owner left open: repeated with their key while it lives, looked for, or in doubt."""
        for attempt in unit.tries.tries():
            chat = unit.communities.chat_by_id(attempt.chat_id)
            if chat.ref.platform != platform:
                continue
            if attempt.verb in _OF_COPIES:
                continue
            if attempt.verb in _REPEATABLE:
                unit.tries.end_try(chat.id, attempt.key)
            elif self.may_repeat(unit, attempt, chat):
                unit.tries.lose_try(chat.id, attempt.key, unit.now, keyed=True)
            elif not self.look_for(unit, attempt, chat, unit.now, _ENDED):
                self.doubt(unit, attempt, chat, _ENDED)
        passing("lease.recovered", platform)


def _as_author(intent: Intent) -> bool:
    return isinstance(intent, Create) and intent.view.as_author


def _itself(intent: Intent) -> Intent:
    """The same from the bot, whose sends its platform knows again."""
    if isinstance(intent, Create) and intent.view.as_author:
        return replace(intent, view=replace(intent.view, as_author=False))
    return intent


def _unkeyed(intent: Intent) -> Intent:
    return replace(intent, keyed=False) if isinstance(intent, Create) else intent


def _signed(intent: Intent) -> bool:
    return isinstance(intent, Create) and bool(intent.view.about)
