"""Tries: what is to be called next in a chat, committed before the call, and what became of tries without an answer."""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from core.counts import Happening
from core.crashpoints import passing
from core.intents import Capabilities, Intent, Tell
from core.lanes import Later, keeps_key, pick
from core.ports import Words
from core.records import Chat, CopyState, Delivery, Doubt, Notice, Try, Verb
from core.scene import Rules
from core.stores import Unit
from core.types import ChatId, Platform, ThingKind
from core.views import Act, Drop, Views

log = logging.getLogger(__name__)

_REPEATABLE = frozenset({Verb.EDIT, Verb.WITHDRAW, Verb.MARK, Verb.UNMARK, Verb.TAKE, Verb.UNPIN})


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


class Attempts:
    """The writer's side of a call that is to be made. Every method is a job of the writer."""

    def __init__(self, rules: Rules, words: Words, platforms: Mapping[Platform, Capabilities]) -> None:
        self._rules = rules
        self._platforms = platforms
        self._views = Views(rules, words)

    def next(self, unit: Unit, chat_id: ChatId, *, exempt_only: bool) -> Attempt | Later | None:
        """In the writer: chooses, renders and commits the try. ``None``: something was settled without a call."""
        chat = unit.communities.chat_by_id(chat_id)
        row = pick(unit, self._rules, chat, exempt_only=exempt_only)
        if isinstance(row, Later):
            return row
        passing("outbound.picked", chat.ref.platform)
        plan = self._plan(unit, row, chat)
        passing("outbound.rendered", chat.ref.platform)
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
        if open_try is not None and not self.may_repeat(unit, open_try, chat):
            self.doubt(unit, open_try, chat, "no answer came")
            return None
        unit.delivery.add_try(attempt)
        passing("outbound.tried", chat.ref.platform)
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
            if self.may_repeat(unit, attempt, chat):
                return self._views.placeholder(chat, attempt.version)
            unit.delivery.end_try(chat.id, attempt.key)
            unit.delivery.add_doubt(attempt, unit.now, "may stand", "withdrawn before its answer came")
            unit.happened[chat.ref.platform, Happening.DOUBT] += 1
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

    def may_repeat(self, unit: Unit, attempt: Try, chat: Chat) -> bool:
        """Whether a repeat of this try cannot show anything twice."""
        if attempt.verb in _REPEATABLE:
            return True
        if attempt.verb is Verb.TELL:
            notice = unit.delivery.notice(attempt.thing_id)
            if notice is not None and notice.handle:
                return True
        capabilities = self._platforms[chat.ref.platform]
        return keeps_key(attempt.at, unit.now, capabilities.key_life)

    @staticmethod
    def doubt(unit: Unit, attempt: Try, chat: Chat, reason: str) -> None:
        """Perhaps sent, and no key can tell: the community's choice decides, and either way it is listed."""
        unit.delivery.end_try(chat.id, attempt.key)
        community = unit.communities.community(chat.community_id) if chat.community_id else None
        again = community is None or community.doubt is Doubt.DOUBLE
        unit.delivery.add_doubt(attempt, unit.now, "sent again" if again else "left out", reason[:200])
        unit.happened[chat.ref.platform, Happening.DOUBT] += 1
        if not again:
            unit.delivery.settle(chat.id, attempt.thing_id, CopyState.DOUBT, reason[:200])

    def recover(self, unit: Unit) -> None:
        """Tries that an earlier run left open: repeated with their key while it lives, else in doubt."""
        for attempt in unit.delivery.tries():
            chat = unit.communities.chat_by_id(attempt.chat_id)
            if chat.ref.platform not in self._platforms:
                continue
            if attempt.verb in _REPEATABLE:
                unit.delivery.end_try(chat.id, attempt.key)
            elif not self.may_repeat(unit, attempt, chat):
                self.doubt(unit, attempt, chat, "the program ended before the answer came")
