"""What a chat sends next, and when: order, room caps, quiet hours, folding. Nothing here talks to a platform."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from core.records import Chat, ChatState, CopyState, Delivery
from core.scene import Rules
from core.stores.unit import Unit
from core.types import ThingId, ThingKind


@dataclass(frozen=True, slots=True)
class Later:
    """This chat has nothing to do before then (or before it is woken)."""

    at: datetime | None


def pick(unit: Unit, rules: Rules, chat: Chat, *, exempt_only: bool = False) -> Delivery | Later:
    """What this chat's lane should do now, or when to look again.

    Order binds the first sends; withdrawals and answers may pass them; an edit follows its own first send.
    """
    now = unit.now
    if exempt_only:
        return unit.lanes.next_exempt(chat.id, now) or Later(None)
    if chat.state is ChatState.MUTED:
        # Who waits at a door of their own is answered all the same.
        return unit.lanes.next_exempt(chat.id, now) or Later(None)
    if chat.state is not ChatState.ACTIVE:
        return Later(None)
    if unit.intake.meta("paused"):
        # Restored: a platform may deliver again what was answered long ago. Only who waits at a door just opened is
        # told something.
        return unit.lanes.next_exempt(chat.id, now) or Later(None)
    if _silenced(unit, chat):
        return unit.lanes.next_notice(chat.id, now) or Later(unit.lanes.soonest(chat.id, now))
    row = unit.lanes.next(chat.id, now)
    if row is None:
        return Later(unit.lanes.soonest(chat.id, now))
    if row.kind is ThingKind.NOTICE or row.shown > 0 or row.state is not CopyState.LIVE or row.begun:
        return row
    return _in_order(unit, rules, chat, row)


def _silenced(unit: Unit, chat: Chat) -> bool:
    """The community's output is paused."""
    return chat.community_id is not None and unit.communities.community(chat.community_id).paused


def _in_order(unit: Unit, rules: Rules, chat: Chat, row: Delivery) -> Delivery | Later:
    """First sends keep their order, and none comes between the parts of another."""
    begun = unit.lanes.begun(chat.id)
    if begun is not None:
        return begun if begun.ready_at <= unit.now else _known(unit, chat, begun.ready_at)
    if row.rank != 1:
        return row
    if row.kind is ThingKind.POST:
        return _first_send(unit, rules, chat, row)
    return _after_retries(unit, chat, row)


def _after_retries(unit: Unit, chat: Chat, row: Delivery) -> Delivery | Later:
    """Not before an earlier first send that is tried again."""
    until = unit.lanes.retried_before(chat.id, row.thing_id, unit.now)
    if until is None or unit.tries.tries_of(chat.id, row.thing_id):
        return row
    return _known(unit, chat, until)


def _first_send(unit: Unit, rules: Rules, chat: Chat, row: Delivery) -> Delivery | Later:
    now = unit.now
    if unit.tries.tries_of(chat.id, row.thing_id):
        # Perhaps it stands there already: only a repeat with its key can tell, no cap and no fold.
        return row
    until = _quiet_until(rules, now)
    if until is not None:
        return _instead(unit, chat, until)
    until = unit.lanes.retried_before(chat.id, row.thing_id, now)
    if until is not None:
        return _known(unit, chat, until)
    waited = [
        d
        for d in unit.lanes.first_sends(chat.id, now)
        if d.queued_at <= now - rules.fold_after and not unit.tries.tries_of(chat.id, d.thing_id)
    ]
    full = _cap_reached(unit, rules, chat)
    if not waited:
        return _instead(unit, chat, row.queued_at + rules.fold_after) if full else row
    if len(waited) == 1 and not full:
        return row
    fold = ThingId(unit.new_id())
    unit.folds.fold(fold, chat.id, [d.thing_id for d in waited], now)
    found = unit.outbox.delivery(chat.id, fold)
    assert found is not None
    return found


def _instead(unit: Unit, chat: Chat, until: datetime) -> Delivery | Later:
    """First sends of posts wait, everything else goes on."""
    row = unit.lanes.next(chat.id, unit.now, new_posts=False)
    if row is None:
        return _until(unit, chat, until)
    return _after_retries(unit, chat, row) if row.rank == 1 and row.shown == 0 else row


def _known(unit: Unit, chat: Chat, until: datetime) -> Delivery | Later:
    """All first sends wait; answers, edits and withdrawals go on."""
    return unit.lanes.next_known(chat.id, unit.now) or _until(unit, chat, until)


def _until(unit: Unit, chat: Chat, until: datetime) -> Later:
    soonest = unit.lanes.soonest(chat.id, unit.now)
    return Later(min(until, soonest) if soonest else until)


def _cap_reached(unit: Unit, rules: Rules, chat: Chat) -> bool:
    now = unit.now
    return (
        unit.outbox.sent_since(chat.id, now - timedelta(hours=1)) >= rules.copies_an_hour
        or unit.outbox.sent_since(chat.id, now - timedelta(days=1)) >= rules.copies_a_day
    )


def _quiet_until(rules: Rules, now: datetime) -> datetime | None:
    """The end of the quiet hours that ``now`` lies in."""
    if rules.quiet_hours is None:
        return None
    start, end = rules.quiet_hours
    local = now.astimezone(ZoneInfo(rules.quiet_zone))
    quiet = start <= local.hour < end if start < end else (local.hour >= start or local.hour < end)
    if not quiet:
        return None
    morning = local.replace(hour=end, minute=0, second=0, microsecond=0)
    return (morning if morning > local else morning + timedelta(days=1)).astimezone(now.tzinfo)


def keeps_key(sent_at: datetime, now: datetime, key_life: timedelta | None) -> bool:
    """Whether the platform would still recognise a repeat."""
    return key_life is not None and now - sent_at < key_life


def first_send_waits(unit: Unit, rules: Rules, chat: Chat) -> tuple[datetime | None, bool]:
    """For who asks why a first send is not there yet: the end of quiet hours, and whether the room's cap is reached."""
    return _quiet_until(rules, unit.now), _cap_reached(unit, rules, chat)
