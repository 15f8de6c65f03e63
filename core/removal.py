"""Removed locally: somebody took a thing out of a room, and nothing brings it back there."""

from __future__ import annotations

from core.crashpoints import passing
from core.notices import take_away
from core.records import Copy, Verb
from core.social.votes import show_quoting
from core.stores.unit import Unit
from core.types import ChatId, PostId, ThingId, ThingKind


def remove_here(unit: Unit, chat: ChatId, thing: ThingId, reason: str, *, gone: str = "") -> None:
    """Every part goes that still stands there: who takes one piece away wants none of it. ``gone``: that message's key.

    No retry, edit or tally revives it. What a fold showed goes with it.
    """
    copies = unit.copies.copies_in(chat, thing)
    # The last first, as in every withdrawal: what the others stand behind may go as a whole then.
    for copy in reversed(copies):
        if copy.ours and copy.message.key != gone:
            take_away(unit, chat, copy.message.key, unit.now, via=copy.message.via)
            passing("parts.given_up", copy.message.chat.platform)
    unit.copies.drop_copies(chat, thing)
    passing("parts.forgotten")
    unit.outbox.remove(chat, thing, unit.now, reason)
    folded = any(copy.kind is ThingKind.FOLD for copy in copies)
    for gone_too in (thing, *(unit.folds.remove_lines(chat, thing, reason) if folded else ())):
        show_quoting(unit, PostId(gone_too))
    passing("parts.removed")


def our_own(unit: Unit, copy: Copy) -> bool:
    """Whether we are taking that message away ourselves: platforms tell a bot of its own deletions too."""
    tries = unit.tries.tries_of(copy.chat_id, copy.thing_id)
    return any(attempt.verb is Verb.WITHDRAW and attempt.part == copy.part for attempt in tries)
