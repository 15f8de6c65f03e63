"""From what stands in a chat to what must stand there: one call at a time, each planned anew.

A thing is shown by one message or more, its parts. Whatever changed meanwhile, and wherever the process ended, the
next call is the first difference between the parts that are wanted and the messages that stand.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from core.intents import Capabilities, Create, Edit, Form, Intent, View, Withdraw
from core.parts import EMPTIED, FROZEN, STUCK, digest_of, same_files
from core.records import Chat, Copy, CopyState, Delivery, Try, Verb
from core.types import MessageRef


@dataclass(frozen=True, slots=True)
class Drop:
    """Nothing is to be called: the row ends in this state."""

    state: CopyState
    reason: str


@dataclass(frozen=True, slots=True)
class Shown:
    """Nothing is to be called: what is wanted stands there."""


@dataclass(frozen=True, slots=True)
class Act:
    """One call to make. ``make`` gets the idempotency key; ``part``, ``version`` and ``digest`` go into the try.

    ``ends``: what becomes of the row where this is the last difference; ``None`` while there are more.
    ``asks``: repeats a create of which nobody knows whether it happened, only to learn which message it made.
    """

    verb: Verb
    version: int
    make: Callable[[str], Intent]
    part: int = 0
    digest: str = ""
    ends: Drop | Shown | None = None
    asks: bool = False


Plan = Act | Drop | Shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A thing in a chat: its row, our messages there in order, the tries that are open.

    ``left_out``: the parts that may stand there and are never sent again. ``blank``: the words in the place of one
    that is only asked for, or cannot be taken away; of ``True``, where nothing else of the thing stands.
    """

    row: Delivery
    chat: Chat
    copies: Sequence[Copy]
    tries: Sequence[Try]
    can: Capabilities
    left_out: Callable[[], Collection[int]]
    blank: Callable[[bool], View]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What each part must show, and in short; the first part answers ``reply_to``."""

    form: Form
    digests: Mapping[int, str]
    views: Mapping[int, View] = field(default_factory=dict)
    reply_to: MessageRef | None = None


def show(place: Place, parts: Sequence[View], reply_to: MessageRef | None) -> Plan:
    """These parts are to stand there."""
    row, form = place.row, Form(place.row.form).said
    if row.state is not CopyState.LIVE:
        return Drop(row.state, row.reason)
    views = dict(enumerate(parts))
    if (row.shown or row.begun) and len(place.copies) < len(parts):
        views = {n: view for n, view in views.items() if _standing(place, n) or n not in place.left_out()}
    digests = {number: digest_of(view, form) for number, view in views.items()}
    end = Shown() if views else Drop(CopyState.DOUBT, row.reason)
    return _next(place, _Wanted(form, digests, views, reply_to), end)


def withdraw(place: Place) -> Plan:
    """Nothing of it is to stand there."""
    row = place.row
    if row.state is CopyState.REMOVED:
        end = Drop(CopyState.REMOVED, row.reason)
    else:
        any_there = place.copies or place.tries
        end = Drop(CopyState.WITHDRAWN, "withdrawn" if any_there else "withdrawn before it was shown")
    return _next(place, _Wanted(Form.FULL, {}), end)


def keep(place: Place, reason: str) -> Plan:
    """What stands there stays as it is, where it stands there whole."""
    whole = place.row.shown > 0
    digests = {copy.part: copy.digest for copy in place.copies} if whole else {}
    end = Drop(CopyState.LIVE if digests else CopyState.WITHDRAWN, reason)
    answered = [attempt for attempt in place.tries if attempt.verb is not Verb.EDIT]
    return _next(replace(place, tries=answered), _Wanted(Form.FULL, digests), end)


def _next(place: Place, wanted: _Wanted, end: Drop | Shown) -> Plan:
    steps = differences(wanted.digests, place.copies, place.tries, replaces_files=place.can.replaces_files)
    if not steps:
        return end
    (verb, part), ends = steps[0], end if len(steps) == 1 else None
    version, copy = place.row.wanted, _standing(place, part)
    to = wanted.reply_to if part == 0 else None
    if verb is Verb.WITHDRAW and copy is not None:
        gone = copy.message
        return Act(verb, version, lambda key: Withdraw(key, gone), part, ends=ends)
    if part not in wanted.views:
        return _blank(place, part, ends, whole=not wanted.digests)
    view, form, digest = wanted.views[part], wanted.form, wanted.digests[part]
    if copy is not None:
        shown = copy.message
        return Act(verb, version, lambda key: Edit(key, shown, view, form, to), part, digest, ends)
    room, before = place.chat.ref, _before(place, part)
    return Act(
        verb, version, lambda key: Create(key, room, view, form, to, follows=before), part, digest, ends
    )


def _blank(place: Place, part: int, ends: Drop | Shown | None, *, whole: bool) -> Act:
    """Asks whether a message stands, or empties one that stands and cannot be taken away."""
    room, view, version, copy = place.chat.ref, place.blank(whole), place.row.wanted, _standing(place, part)
    if copy is None:
        return Act(Verb.CREATE, version, lambda key: Create(key, room, view), part, asks=True)
    ref = copy.message
    return Act(Verb.EDIT, version, lambda key: Edit(key, ref, view), part, EMPTIED, ends)


def _standing(place: Place, part: int) -> Copy | None:
    return next((copy for copy in place.copies if copy.part == part), None)


def _before(place: Place, part: int) -> MessageRef | None:
    """The message of the part before this one."""
    standing = [copy for copy in place.copies if copy.part < part]
    return max(standing, key=lambda copy: copy.part).message if standing else None


def _tried(tries: Sequence[Try], verb: Verb) -> set[int]:
    """The parts of which nobody knows whether that was done to them."""
    return {attempt.part for attempt in tries if attempt.verb is verb}


def _full(copy: Copy) -> bool:
    return copy.digest == STUCK


def differences(
    wanted: Mapping[int, str], copies: Sequence[Copy], tries: Sequence[Try], *, replaces_files: bool
) -> list[tuple[Verb, int]]:
    """What is to be done to which part, in this order.

    What is missing comes before what is out of date, so that no storm of votes keeps a part away; what was changed
    the longest ago is changed first, for the same reason; what is too much goes last, as its words may stand in
    other parts by then. A part that cannot be changed goes with all behind it, and they come anew in their order; one
    that cannot be taken away either is emptied, and has words again when it is wanted again.
    """
    standing = {copy.part: copy for copy in copies}
    leaving, unsure, created = (_tried(tries, verb) for verb in (Verb.WITHDRAW, Verb.EDIT, Verb.CREATE))
    asked = created - wanted.keys() - standing.keys()

    stuck = {part for part, copy in standing.items() if copy.digest in (STUCK, EMPTIED)}

    def stays(part: int) -> bool:
        digest = standing[part].digest
        same = digest != FROZEN and (replaces_files or same_files(digest, wanted[part]))
        return part in stuck or (same and part not in leaving)

    anew = min((part for part in standing if part in wanted and not stays(part)), default=None)
    going = [part for part in standing if anew is not None and part >= anew and part not in stuck]
    kept = {part: copy for part, copy in standing.items() if part not in going}
    missing = [part for part in wanted if part not in kept]
    stale = [p for p, copy in kept.items() if p in wanted and (copy.digest != wanted[p] or p in unsure)]
    return [
        *((Verb.WITHDRAW, part) for part in sorted(going, reverse=True)),
        *((Verb.CREATE, part) for part in sorted(missing)),
        *((Verb.EDIT, part) for part in sorted(stale, key=lambda part: (kept[part].shown, part))),
        *((Verb.WITHDRAW, part) for part in sorted(kept.keys() - wanted.keys() - stuck, reverse=True)),
        *(
            (Verb.EDIT, part)
            for part in sorted(stuck - wanted.keys())
            if part in unsure or _full(standing[part])
        ),
        *((verb, part) for part in sorted(asked) for verb in (Verb.CREATE, Verb.WITHDRAW)),
    ]
