"""What came of a call, written down: a receipt, a refusal, or a pause before it is tried again."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta

from core import places
from core.attempts import Attempt, Attempts, failing_since
from core.crashpoints import passing
from core.engine import Engine
from core.errors import Rejected, RejectedWhy, RetryLater
from core.events import Loss
from core.intents import Capabilities, Create, Edit, Form, Receipt
from core.notices import load, pinned_now, private_chat, take_away
from core.parts import EMPTIED, FROZEN, STUCK
from core.records import Copy, CopyState, Delivery, Look, Notice, Verb
from core.removal import remove_here
from core.stores.unit import Unit
from core.types import MessageRef, Platform, ThingKind

log = logging.getLogger(__name__)

#: Begins the reason of a row that waits for the right to write.
_MUTED = "may not write: "
#: The rank of an edit that only moves a tally.
_TALLY = 3
#: One step down the ladder: what takes neither this form nor, perhaps, its files.
_LADDER = {
    Form.FULL: Form.PLAIN,
    Form.FULL_WORDS: Form.PLAIN_WORDS,
    Form.PLAIN: Form.LINK,
    Form.PLAIN_WORDS: Form.LINK,
}
_WITHOUT_FILES = {Form.FULL: Form.FULL_WORDS, Form.PLAIN: Form.PLAIN_WORDS}


class Receipts:
    """The writer's side of a call that was made. Every method is a job of the writer."""

    def __init__(
        self, engine: Engine, attempts: Attempts, platforms: Mapping[Platform, Capabilities]
    ) -> None:
        self._engine = engine
        self._attempts = attempts
        self._platforms = platforms

    def record(self, unit: Unit, found: Attempt, receipt: Receipt) -> None:
        """The call succeeded. A repeat that was recognised shows what its first try rendered."""
        row, act = found.row, found.act
        if row.kind is ThingKind.NOTICE:
            unit.tries.end_tries(row.chat_id, row.thing_id)
            return self._told(unit, found, receipt)
        unit.tries.end_tries(row.chat_id, row.thing_id, act.part)
        match act.verb:
            case Verb.CREATE:
                self._goes_on(unit, found)
                if receipt.not_as_author is not None:
                    unit.communities.set_look(row.chat_id, Look.BOT, receipt.not_as_author)
                if receipt.message is not None:
                    unit.copies.add_copy(_copy(found, receipt, unit.now))
                    passing("outbound.copied", found.chat.ref.platform)
                    self._engine.known(unit, receipt.message)
                    passing("outbound.unparked", found.chat.ref.platform)
            case Verb.EDIT:
                self._edited(unit, found)
            case _:
                self._withdrew(unit, found)
        return None

    def _edited(self, unit: Unit, found: Attempt) -> None:
        self._goes_on(unit, found)
        row, shown = found.row, found.attempt
        unit.copies.copy_shows(row.chat_id, row.thing_id, shown.part, shown.version, shown.digest)
        passing("parts.edited", found.chat.ref.platform)

    def _withdrew(self, unit: Unit, found: Attempt) -> None:
        """Nothing stands there any more. What its author wants there again since is a new message."""
        row = found.row
        unit.copies.withdrew(row.chat_id, row.thing_id, found.act.part)
        passing("parts.withdrawn", found.chat.ref.platform)
        now = unit.outbox.delivery(row.chat_id, row.thing_id)
        if now is None or now.state is row.state or found.act.ends is None:
            return self._goes_on(unit, found)
        if now.state is CopyState.LIVE:
            unit.outbox.settle(row.chat_id, row.thing_id, CopyState.WITHDRAWN, "withdrawn")
            unit.placing.again(row.thing_id, now.wanted, [row.chat_id], unit.now)
        return None

    def _goes_on(self, unit: Unit, found: Attempt) -> None:
        """With the next difference, where there is one."""
        row, ends = found.row, found.act.ends
        if ends is not None and found.attempt.digest == found.act.digest:
            self._attempts.end(unit, row, found.chat, ends)
            passing("parts.whole", found.chat.ref.platform)
        else:
            unit.outbox.progress(row.chat_id, row.thing_id, unit.now)
            passing("parts.more", found.chat.ref.platform)

    def _told(self, unit: Unit, found: Attempt, receipt: Receipt) -> None:
        notice = found.notice
        if notice is not None and notice.verb is Verb.TELL and receipt.message is not None:
            said = load(notice.payload)
            if said.pin:
                pinned_now(unit, found.chat.id, receipt.message.key)
            if said.seconds:
                at = unit.now + timedelta(seconds=said.seconds)
                take_away(unit, found.chat.id, receipt.message.key, at)
                if notice.message_key and said.sweep:
                    take_away(unit, found.chat.id, notice.message_key, at)
        unit.notices.drop_notice(found.row.chat_id, found.row.thing_id)

    def rejected(self, unit: Unit, found: Attempt, error: Rejected) -> None:
        row = found.row
        unit.tries.end_tries(row.chat_id, row.thing_id, found.act.part)
        log.info("chat %d, thing %d: %s (%s)", row.chat_id, row.thing_id, error, error.why)
        if error.why is RejectedWhy.CHAT_GONE:
            places.lose(unit, found.chat, Loss.REMOVED, str(error))
        elif self._muted(unit, found, error):
            pass
        elif row.kind is ThingKind.NOTICE:
            self._untold(unit, found)
        else:
            self._copy_rejected(unit, row, found, error)

    @staticmethod
    def _muted(unit: Unit, found: Attempt, error: Rejected) -> bool:
        """Whether the row waits: a message that may not be written is the room's matter, unless that was said before.

        Where the room was found open since, and refuses the same message again, it is that message's matter.
        """
        row = found.row
        shown_new = found.act.verb is Verb.CREATE and row.kind is not ThingKind.NOTICE
        if error.why is not RejectedWhy.FORBIDDEN or not shown_new or row.reason.startswith(_MUTED):
            return False
        places.lose(unit, found.chat, Loss.MUTED, str(error))
        unit.outbox.retry(row.chat_id, row.thing_id, unit.now, f"{_MUTED}{error}"[:200], row.form)
        return True

    def _copy_rejected(self, unit: Unit, row: Delivery, found: Attempt, error: Rejected) -> None:
        verb = found.act.verb
        match error.why:
            case RejectedWhy.UNCHANGED if verb is Verb.EDIT:
                self._edited(unit, found)
            case RejectedWhy.FROZEN if verb is Verb.EDIT and found.act.digest != EMPTIED:
                self._frozen(unit, row, found, error)
            case RejectedWhy.GONE if verb is Verb.WITHDRAW:
                self._withdrew(unit, found)
            case RejectedWhy.GONE:
                gone = found.intent.message.key if isinstance(found.intent, Edit) else ""
                remove_here(unit, row.chat_id, row.thing_id, str(error)[:200], gone=gone)
            case _ if verb is Verb.WITHDRAW:
                # Too old, on some platforms. What cannot be taken away is emptied, where that at least is allowed.
                unit.copies.copy_shows(row.chat_id, row.thing_id, found.act.part, found.act.version, STUCK)
                unit.outbox.progress(row.chat_id, row.thing_id, unit.now)
            case RejectedWhy.FORM | RejectedWhy.FILE if lower := _lower(found, error.why):
                unit.outbox.retry(row.chat_id, row.thing_id, unit.now, str(error)[:200], lower)
            case _:
                why = f"{error.why}: {error}"[:200]
                unit.outbox.settle(row.chat_id, row.thing_id, CopyState.REFUSED, why)

    @staticmethod
    def _frozen(unit: Unit, row: Delivery, found: Attempt, error: Rejected) -> None:
        """Other words come as a new message in its place, if it can be taken away. For a tally none is moved."""
        why, part = f"{error.why}: {error}"[:200], found.act.part
        copies = unit.copies.copies_in(row.chat_id, row.thing_id)
        if any(copy.part == part and copy.digest == STUCK for copy in copies):
            unit.outbox.settle(row.chat_id, row.thing_id, CopyState.REFUSED, why)
        elif row.rank == _TALLY:
            unit.outbox.settle(row.chat_id, row.thing_id, CopyState.LIVE, why)
        else:
            unit.copies.copy_shows(row.chat_id, row.thing_id, part, found.act.version, FROZEN)
            unit.outbox.progress(row.chat_id, row.thing_id, unit.now)

    @staticmethod
    def _untold(unit: Unit, found: Attempt) -> None:
        """An answer whose door is shut goes to the private chat, if there is one; else it is gone."""
        notice = found.notice
        unit.notices.drop_notice(found.row.chat_id, found.row.thing_id)
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
            unit.notices.add_notice(kept, unit.now)

    def looked(self, unit: Unit, found: Attempt, there: MessageRef | None) -> None:
        """What was looked for stands there, or never arrived: then it is sent, if it is still wanted."""
        if there is not None:
            return self.record(unit, found, Receipt(there))
        row = found.row
        unit.tries.end_try(row.chat_id, found.attempt.key)
        since = failing_since(row, unit.now)
        unit.outbox.retry(row.chat_id, row.thing_id, unit.now, "never arrived", row.form, since)
        return None

    def unseen(self, unit: Unit, found: Attempt, error: Rejected) -> None:
        """What became of it cannot be looked up."""
        if error.why is RejectedWhy.CHAT_GONE:
            # Once the chat is found again, so may be what stands there.
            places.lose(unit, found.chat, Loss.REMOVED, str(error))
        else:
            self._attempts.unknown(unit, found.act, found.attempt, found.chat, str(error))

    def put_off(self, unit: Unit, found: Attempt, error: RetryLater, pause: timedelta) -> None:
        """Tried again after ``pause``; a call that may have taken effect only so that nothing stands there twice."""
        row = found.row
        if error.keyless:
            # Nor was anything asked whenever it was tried before.
            self._attempts.without_keys(row.chat_id)
            unit.tries.end_try(row.chat_id, found.attempt.key)
        elif found.lost:
            pass
        elif not error.unknown:
            # Of an earlier call that may have taken effect nothing is known yet.
            if found.attempt.lost_at is None:
                unit.tries.end_try(row.chat_id, found.attempt.key)
        elif self._attempts.may_repeat(unit, found.attempt, found.chat):
            unit.tries.lose_try(row.chat_id, found.attempt.key, unit.now, keyed=found.attempt.keyed)
        elif self._attempts.look_for(unit, found.attempt, found.chat, unit.now, str(error)):
            return
        else:
            again = self._attempts.doubt(unit, found.attempt, found.chat, str(error))
            if not again:
                # What follows it goes on.
                return
        since = failing_since(row, unit.now)
        if unit.now - since >= self._engine.rules.give_up and found.act.verb is not Verb.WITHDRAW:
            self._give_up(unit, found, error)
        else:
            unit.outbox.retry(row.chat_id, row.thing_id, unit.now + pause, str(error)[:200], row.form, since)

    def _give_up(self, unit: Unit, found: Attempt, error: RetryLater) -> None:
        """Tried in vain for too long. A withdrawal never ends so: what somebody took back must go."""
        row, attempt = found.row, found.attempt
        log.info("chat %d, thing %d: given up: %s", row.chat_id, row.thing_id, error)
        if row.kind is ThingKind.NOTICE:
            unit.tries.end_tries(row.chat_id, row.thing_id)
            self._untold(unit, found)
            return
        tries = unit.tries.tries_of(row.chat_id, row.thing_id)
        if attempt.verb is Verb.CREATE and any(one.key == attempt.key for one in tries):
            self._attempts.may_stand(unit, attempt, found.chat, "given up before its answer came")
        why = f"{RejectedWhy.LATE}: {error}"[:200]
        # A tally is made good by the next one; all else waits for other words, or for a person.
        ended = CopyState.LIVE if row.rank == _TALLY else CopyState.REFUSED
        unit.outbox.settle(row.chat_id, row.thing_id, ended, why)


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
        digest=found.attempt.digest,
    )


def _lower(found: Attempt, why: RejectedWhy) -> Form | None:
    """The next rung for what a place refused: without its files where those may be why, else in a simpler form."""
    if not isinstance(found.intent, Create | Edit) or found.act.digest == EMPTIED:
        return None
    form = Form(found.row.form)
    bare = _WITHOUT_FILES.get(form) if found.intent.view.files else None
    if bare is not None and (why is RejectedWhy.FILE or form is Form.PLAIN):
        return bare
    return _LADDER.get(form)
