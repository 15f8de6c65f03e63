"""The outbox of desired state, tries, copies, doubts, notices and folds (family: chat)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Integer, bindparam, case, delete, exists, func, literal, select, update

from core.errors import RejectedWhy
from core.intents import Form
from core.records import LEFT_OUT, Copy, CopyState, Delivery, DoubtRow, Notice, Try, Verb
from core.stores import EVER, NEVER
from core.types import AccountId, ChatId, ChatRef, MessageRef, Platform, PostId, ThingId, ThingKind
from storage import tables as t
from storage.shelves import Bulk, Keyed, Row
from storage.statements import Build, Runner, Statement
from storage.tables import Instant, from_micros, to_micros

_O = t.outbox.c
_P = t.posts.c
_DELIVERY_NAMES = ("chat_id", "thing_id", "kind", "wanted", "shown", "generation", "state", "rank", "form", "ready_at",
                   "queued_at", "attempts", "reason", "fold_id", "retries", "begun", "failing_since")  # fmt: skip
_DELIVERY = tuple(_O[name] for name in _DELIVERY_NAMES)
_LIVE = CopyState.LIVE.value
#: What a newer version may make due.
_MOVING = frozenset({_LIVE, CopyState.REFUSED.value, CopyState.DOUBT.value})
#: The rank of an edit that only moves a tally.
TALLY = 3


WANT = Bulk.insert(
    t.outbox, ("chat_id", "thing_id", "kind", "wanted", "rank", "ready_at", "queued_at"), ignore=True
)


def _later(column: Any, value: Any) -> Any:
    return case((column > value, column), else_=value)


def _bump(_: Build) -> Any:
    """Moves what is wanted. A row that shows nothing yet keeps its place among the first sends.

    What stands of a thing goes with it, also where more of it was refused or is in doubt.
    """
    now: Any = bindparam("at", type_=Instant)
    rank: Any = bindparam("new_rank", type_=Integer)
    idle = _O.due == 0
    first = (_O.shown == 0) & ((_O.begun == 0) | (rank > 0))
    halted = (_O.state == CopyState.REFUSED.value) | (_O.state == CopyState.DOUBT.value)
    ended = halted & ((_O.shown > 0) | (_O.begun == 1))
    # What was given up was never refused: other words are tried.
    late = (_O.state == CopyState.REFUSED.value) & _O.reason.startswith(f"{RejectedWhy.LATE}:")
    anew = late & (_O.shown > 0) & (rank > 0) & (rank < TALLY)
    return (
        update(t.outbox)
        .where(_O.thing_id == bindparam("thing"), _O.wanted < bindparam("version"))
        .values(
            wanted=bindparam("version"),
            state=case((anew, _LIVE), else_=_O.state),
            due=case((_O.state == _LIVE, 1), (anew | (ended & (rank == 0)), 1), else_=_O.due),
            attempts=case((anew, 0), else_=_O.attempts),
            rank=case((first, _O.rank), (idle | (_O.rank > rank), rank), else_=_O.rank),
            ready_at=case((first, _O.ready_at), (rank == TALLY, _later(_O.ready_at, now)), else_=now),
            # Other words may fit where the old ones did not.
            form=case((rank < TALLY, Form.FULL.value), else_=_O.form),
        )
        .returning(_O.chat_id, _O.state, _O.fold_id)
    )


#: Nothing of it was sent yet.
_NEW = (_O.shown == 0) & (_O.begun == 0)


def _shown(_: Build) -> Any:
    """One call took effect. What was wanted while it was under way goes on at once, unless it is a tally only."""
    version: Any = bindparam("version", type_=Integer)
    now: Any = bindparam("at", type_=Instant)
    newer = _O.wanted > version
    # Sent while its room was leaving: it goes again.
    leaving = _O.state == CopyState.WITHDRAWN.value
    # Sent while somebody there took another part away: whoever did that has it looked for.
    removed = _O.state == CopyState.REMOVED.value
    # A fold is edited, not withdrawn, when one of its posts is.
    stands = (_O.shown > 0) | (_O.begun == 1)
    withdrawn = newer & stands & (_O.rank == 0) & (_O.kind != ThingKind.FOLD.value)
    # The rank of a first send, or of words, says nothing of what came after it: once more at once, then as a tally.
    unknown = newer & ((_O.shown == 0) | (_O.rank < TALLY))
    return (
        update(t.outbox)
        .where(_O.chat_id == bindparam("chat"), _O.thing_id == bindparam("thing"))
        .values(
            shown=version,
            shown_at=now,
            begun=0,
            sent_at=case((_NEW, now), else_=_O.sent_at),
            due=case((leaving | ((_O.state == _LIVE) & newer), 1), (removed, _O.due), else_=0),
            rank=case((leaving | withdrawn, 0), (removed, _O.rank), else_=TALLY),
            ready_at=case(
                (leaving, now), (unknown | removed, _O.ready_at), else_=bindparam("next_at", type_=Instant)
            ),
            attempts=0,
            reason=case((removed, _O.reason), else_=""),
        )
    )


def _progress(_: Build) -> Any:
    """One call took effect, and more is to be done at once."""
    now: Any = bindparam("at", type_=Instant)
    # Its room was leaving, or somebody there took another part away: it goes again.
    ended = _O.state != _LIVE
    return (
        update(t.outbox)
        .where(_O.chat_id == bindparam("chat"), _O.thing_id == bindparam("thing"))
        .values(
            due=1,
            rank=case((ended, 0), else_=_O.rank),
            ready_at=case((_O.ready_at > now, now), else_=_O.ready_at),
            sent_at=case((_NEW, now), else_=_O.sent_at),
            begun=case((_O.shown == 0, 1), else_=0),
            attempts=0,
            reason=case((ended, _O.reason), else_=""),
        )
    )


def _moved(d: Build) -> Any:
    """The posts of this set whose version is newer than what is wanted."""
    return (_O.thing_id == _P.id) & d.among(_O.thing_id, "things") & (_O.wanted < _P.version)


def _tally_idle(d: Build) -> Any:
    now: Any = bindparam("at", type_=Instant)
    return (
        update(t.outbox)
        .where(_moved(d), _O.due == 0)
        .values(
            wanted=_P.version,
            due=case((_O.state == _LIVE, 1), else_=0),
            rank=case((_O.shown == 0, _O.rank), else_=TALLY),
            ready_at=case((_O.shown == 0, _O.ready_at), else_=_later(_O.ready_at, now)),
        )
        .returning(_O.chat_id, _O.state, _O.fold_id)
    )


BUMP = Statement(_bump)
#: What waits already shows a tally when its turn comes: nothing moves that an index is built on.
TALLY_DUE = Statement(lambda d: update(t.outbox).where(_moved(d), _O.due == 1).values(wanted=_P.version))
TALLY_IDLE = Statement(_tally_idle)
SHOWN = Statement(_shown)
PROGRESS = Statement(_progress)
#: A message of it was taken away: no key that made one is used again.
WITHDREW = Statement(
    lambda _: (
        update(t.outbox)
        .where(_O.chat_id == bindparam("chat"), _O.thing_id == bindparam("thing"))
        .values(generation=_O.generation + 1)
    )
)
DELIVERY = Statement(
    lambda _: select(*_DELIVERY).where(_O.chat_id == bindparam("chat"), _O.thing_id == bindparam("thing"))
)
DELIVERIES = Statement(
    lambda _: select(*_DELIVERY).where(_O.thing_id == bindparam("thing")).order_by(_O.chat_id)
)


def _next(_: Build) -> Any:
    return (
        select(*_DELIVERY)
        .where(
            _O.chat_id == bindparam("chat"), _O.due == 1, _O.ready_at <= bindparam("at"),
            (_O.rank != 1) | (_O.kind != bindparam("without")),
        )
        .order_by(_O.rank, _O.thing_id)
        .limit(1)
    )  # fmt: skip


def _next_known(_: Build) -> Any:
    first = (_O.shown == 0) & (_O.state == _LIVE) & (_O.kind != ThingKind.NOTICE.value)
    return (
        select(*_DELIVERY)
        .where(_O.chat_id == bindparam("chat"), _O.due == 1, _O.ready_at <= bindparam("at"), ~first)
        .order_by(_O.rank, _O.thing_id)
        .limit(1)
    )


NEXT = Statement(_next)
NEXT_KNOWN = Statement(_next_known)
BEGUN = Statement(
    lambda _: (
        select(*_DELIVERY)
        .where(
            _O.chat_id == bindparam("chat"),
            _O.due == 1,
            _O.begun == 1,
            _O.state == _LIVE,
        )
        .order_by(_O.thing_id)
        .limit(1)
    )
)
RETRIED_BEFORE = Statement(
    lambda _: select(func.min(_O.ready_at).label("ready_at")).where(
        _O.chat_id == bindparam("chat"),
        _O.due == 1,
        _O.rank == 1,
        _O.shown == 0,
        _O.attempts > 0,
        _O.ready_at > bindparam("at"),
        _O.thing_id < bindparam("thing"),
        # What is looked for steps aside.
        ~exists().where(
            t.tries.c.chat_id == _O.chat_id,
            t.tries.c.thing_id == _O.thing_id,
            t.tries.c.keyed == 0,
            t.tries.c.lost_at.is_not(None),
        ),
    )
)


def _next_exempt(_: Build) -> Any:
    return (
        select(*_DELIVERY)
        .select_from(t.outbox.join(t.notices, t.notices.c.id == _O.thing_id))
        .where(
            _O.chat_id == bindparam("chat"),
            _O.due == 1,
            _O.ready_at <= bindparam("at"),
            _O.rank == 0,
            t.notices.c.handle != "",
        )
        .order_by(_O.thing_id)
        .limit(1)
    )


def _next_notice(_: Build) -> Any:
    return (
        select(*_DELIVERY)
        .where(
            _O.chat_id == bindparam("chat"),
            _O.due == 1,
            _O.ready_at <= bindparam("at"),
            _O.kind == ThingKind.NOTICE.value,
        )
        .order_by(_O.rank, _O.thing_id)
        .limit(1)
    )


NEXT_EXEMPT = Statement(_next_exempt)
NEXT_NOTICE = Statement(_next_notice)
SOONEST = Statement(
    lambda _: select(func.min(_O.ready_at).label("ready_at" )).where(
        _O.chat_id == bindparam("chat"), _O.due == 1, _O.ready_at > bindparam("at")
    )
)  # fmt: skip
WAITING = Statement(
    lambda _: (
        select(_O.chat_id, func.min(_O.ready_at).label("ready_at"))
        .select_from(t.outbox.join(t.chats, t.chats.c.id == _O.chat_id))
        .where(
            _O.due == 1,
            _O.ready_at.between(bindparam("since", type_=Instant), bindparam("until", type_=Instant)),
            t.chats.c.platform == bindparam("on"),
        )
        .group_by(_O.chat_id)
    )
)
FIRST_SENDS = Statement(
    lambda _: (
        select(*_DELIVERY)
        .where(
            _O.chat_id == bindparam("chat"),
            _O.due == 1,
            _O.rank == 1,
            _O.ready_at <= bindparam("at"),
            _O.kind == ThingKind.POST.value,
            _O.begun == 0,
        )
        .order_by(_O.thing_id)
        .limit(50)
    )
)
SETTLE = Statement(
    lambda _: (
        update(t.outbox)
        .where(_O.chat_id == bindparam("chat"), _O.thing_id == bindparam("thing"))
        .values(state=bindparam("new_state"), reason=bindparam("why"), due=0)
    )
)
#: What may still be under way there is looked for.
REMOVE = Statement(
    lambda _: (
        update(t.outbox)
        .where(_O.chat_id == bindparam("chat"), _O.thing_id == bindparam("thing"))
        .values(
            state=CopyState.REMOVED.value,
            reason=bindparam("why"),
            due=1,
            rank=0,
            ready_at=bindparam("at", type_=Instant),
        )
    )
)
LEAVE_OUT = Statement(
    lambda _: (
        update(t.outbox)
        .where(_O.chat_id == bindparam("chat"), _O.thing_id == bindparam("thing"))
        .values(
            reason=bindparam("why"),
            sent_at=case((_NEW, bindparam("at", type_=Instant)), else_=_O.sent_at),
            begun=case((_O.shown == 0, 1), else_=0),
        )
    )
)
RETRY = Statement(
    lambda _: update(t.outbox)
    .where(_O.chat_id == bindparam("chat"), _O.thing_id == bindparam("thing"))
    .values(
        ready_at=bindparam("next_at", type_=Instant), attempts=_O.attempts + 1, reason=bindparam("why"),
        form=bindparam("new_form"), failing_since=bindparam("since", type_=Instant),
    )
)  # fmt: skip
REVIVE = Statement(
    lambda _: (
        update(t.outbox)
        .where(_O.chat_id == bindparam("chat"), _O.thing_id == bindparam("thing"))
        .values(state=_LIVE, due=1, attempts=0, reason="", ready_at=bindparam("at", type_=Instant))
    )
)
FOLD = Statement(
    lambda d: (
        update(t.outbox)
        .where(_O.chat_id == bindparam("chat"), d.among(_O.thing_id, "things"))
        .values(state=CopyState.FOLDED.value, due=0, fold_id=bindparam("fold"), shown=_O.wanted)
    )
)
FOLDED = Statement(
    lambda _: (
        select(*_DELIVERY)
        .where(_O.chat_id == bindparam("chat"), _O.fold_id == bindparam("fold"))
        .order_by(_O.thing_id)
    )
)
WITHDRAW_IN = Statement(
    lambda _: (
        update(t.outbox)
        .where(
            _O.chat_id == bindparam("chat"),
            _O.kind != ThingKind.NOTICE.value,
            _O.state == _LIVE,
            _O.shown == 0,
            _O.begun == 0,
        )
        .values(due=0, state=CopyState.WITHDRAWN.value, reason=bindparam("why"))
    )
)
WITHDRAW_SHOWN = Statement(
    lambda _: update(t.outbox)
    .where(
        _O.chat_id == bindparam("chat"), _O.kind != ThingKind.NOTICE.value, _O.state == _LIVE,
        (_O.shown > 0) | (_O.begun == 1),
    )
    .values(
        due=1, rank=0, wanted=_O.wanted + 1, ready_at=bindparam("at", type_=Instant), reason=bindparam("why"),
        state=CopyState.WITHDRAWN.value,
    )
)  # fmt: skip
LEAVE_SHOWN = Statement(
    lambda _: (
        update(t.outbox)
        .where(
            _O.chat_id == bindparam("chat"),
            _O.kind != ThingKind.NOTICE.value,
            _O.shown > 0,
            (_O.state == _LIVE) | (_O.state == CopyState.WITHDRAWN.value),
        )
        .values(due=0, state=CopyState.REMOVED.value, reason=bindparam("why"))
    )
)
STATES = Statement(
    lambda _: (
        select(_O.state, _O.due, func.count())
        .where(_O.kind != ThingKind.NOTICE.value)
        .group_by(_O.state, _O.due)
    )
)
REFUSED = Statement(
    lambda d: (
        select(*_DELIVERY)
        .where(d.among(_O.state, "states"), _O.kind != ThingKind.NOTICE.value)
        .order_by(_O.thing_id.desc())
        .limit(200)
    )
)

_T = t.tries.c
_TRY_NAMES = ("chat_id", "key", "thing_id", "part", "verb", "version", "form", "epoch", "at", "digest", "keyed",
              "signed", "lost_at")  # fmt: skip
_TRY = tuple(_T[name] for name in _TRY_NAMES)
ADD_TRY = Statement(
    lambda d: d.insert(t.tries).values({n: bindparam(n) for n in _TRY_NAMES}).on_conflict_do_nothing()
)
LOSE_TRY = Statement(
    lambda _: (
        update(t.tries)
        .where(_T.chat_id == bindparam("chat"), _T.key == bindparam("key"))
        .values(lost_at=bindparam("at", type_=Instant), keyed=bindparam("still_keyed", type_=Integer))
    )
)
END_TRY = Statement(
    lambda _: delete(t.tries).where(_T.chat_id == bindparam("chat"), _T.key == bindparam("key"))
)
END_TRIES = Statement(
    lambda _: delete(t.tries).where(_T.chat_id == bindparam("chat"), _T.thing_id == bindparam("thing"))
)
END_TRIES_OF_PART = Statement(
    lambda _: delete(t.tries).where(
        _T.chat_id == bindparam("chat"), _T.thing_id == bindparam("thing"), _T.part == bindparam("one_part")
    )
)
TRIES = Statement(lambda _: select(*_TRY).order_by(_T.at))
TRIES_IN = Statement(lambda _: select(literal(1)).where(_T.chat_id == bindparam("chat")).limit(1))
TRIES_OF = Statement(
    lambda _: select(*_TRY).where(_T.chat_id == bindparam("chat"), _T.thing_id == bindparam("thing"))
)
#: Tries of what was shown already: a first send under way may still be repeated.
LEAVE_TRIES = Statement(
    lambda _: delete(t.tries).where(
        _T.chat_id == bindparam("chat"),
        select(literal(1)).where(_O.chat_id == _T.chat_id, _O.thing_id == _T.thing_id, _O.shown > 0).exists(),
    )
)

_C = t.copies.c
_H = t.chats.c
_COPY_NAMES = (
    "chat_id",
    "thing_id",
    "kind",
    "part",
    "message_key",
    "via",
    "ours",
    "shown",
    "sent_at",
    "digest",
)
_COPY = (*(_C[name] for name in _COPY_NAMES), _H.platform, _H.key)
_COPIES = t.copies.join(t.chats, _H.id == _C.chat_id)


def _add_copy(d: Build) -> Any:
    row = d.insert(t.copies).values({n: bindparam(n) for n in _COPY_NAMES})
    new = {n: row.excluded[n] for n in ("message_key", "via", "ours", "shown", "sent_at", "digest")}
    return row.on_conflict_do_update(index_elements=[_C.chat_id, _C.thing_id, _C.part], set_=new)


ADD_COPY = Statement(_add_copy)
#: What stands for a thing that is new, so that there is no other.
NOTE_ORIGIN = Bulk.insert(t.copies, [c.name for c in t.copies.c if c.name in _COPY_NAMES and c.name != "via"])
COPY_SHOWS = Statement(
    lambda _: (
        update(t.copies)
        .where(
            _C.chat_id == bindparam("chat"),
            _C.thing_id == bindparam("thing"),
            _C.part == bindparam("one_part"),
        )
        .values(shown=bindparam("version"), digest=bindparam("new_digest"))
    )
)
COPY_IN = Statement(
    lambda _: (
        select(*_COPY)
        .select_from(_COPIES)
        .where(_C.chat_id == bindparam("chat"), _C.thing_id == bindparam("thing"))
        .order_by(_C.part)
        .limit(1)
    )
)
COPIES_IN = Statement(
    lambda _: (
        select(*_COPY)
        .select_from(_COPIES)
        .where(_C.chat_id == bindparam("chat"), _C.thing_id == bindparam("thing"))
        .order_by(_C.part)
    )
)
COPIES_OF = Statement(
    lambda _: (
        select(*_COPY)
        .select_from(_COPIES)
        .where(_C.thing_id == bindparam("thing"))
        .order_by(_C.chat_id, _C.part)
    )
)
DROP_COPY = Statement(
    lambda _: delete(t.copies).where(
        _C.chat_id == bindparam("chat"), _C.thing_id == bindparam("thing"), _C.part == bindparam("one_part")
    )
)
DROP_COPIES = Statement(
    lambda _: delete(t.copies).where(_C.chat_id == bindparam("chat"), _C.thing_id == bindparam("thing"))
)
LEAVE_COPIES = Statement(lambda _: delete(t.copies).where(_C.chat_id == bindparam("chat")))


def _sent_since(d: Build) -> Any:
    """Of the rows and not of the copies: a copy that is gone was sent all the same."""
    written_here = select(literal(1)).where(_P.id == _O.thing_id, _P.chat_id == _O.chat_id).exists()
    return (
        select(func.count())
        .select_from(t.outbox)
        .where(
            _O.chat_id == bindparam("chat"),
            _O.sent_at > bindparam("since"),
            d.among(_O.kind, "kinds"),
            ~written_here,
        )
    )


SENT_SINCE = Statement(_sent_since)
RECENT = Statement(
    lambda _: (
        select(*_COPY)
        .select_from(_COPIES)
        .where(
            _H.platform == bindparam("on"),
            _C.sent_at > bindparam("since"),
            # A copy of relayed talk matters to nobody else; the words it was made of do.
            (_C.kind == ThingKind.POST.value) | ((_C.kind == ThingKind.RELAY.value) & (_C.ours == 0)),
        )
        .order_by(_C.sent_at.desc())
        .limit(10_000)
    )
)

_D = t.doubts.c
NUMBER_OF_DOUBTS = Statement(
    lambda _: (
        select(func.count())
        .select_from(t.doubts)
        .where(_D.chat_id == bindparam("chat"), _D.key == bindparam("key"))
    )
)
_DOUBT_NAMES = ("chat_id", "key", "number", "thing_id", "part", "at", "resolution", "reason")
ADD_DOUBT = Statement(lambda d: d.insert(t.doubts).values({n: bindparam(n) for n in _DOUBT_NAMES}))
DOUBTS = Statement(
    lambda _: (
        select(_H.platform, _H.key, _D.key, _D.number, _D.thing_id, _D.part, _D.at, _D.resolution, _D.reason)
        .select_from(t.doubts.join(t.chats, _H.id == _D.chat_id))
        .order_by(_D.at)
    )
)
LEFT_OUT_PARTS = Statement(
    lambda _: select(_D.part).where(
        _D.thing_id == bindparam("thing"), _D.chat_id == bindparam("chat"), _D.resolution == LEFT_OUT
    )
)

_N = t.notices.c
_NOTICE_NAMES = (
    "id",
    "chat_id",
    "verb",
    "account_id",
    "handle",
    "message_key",
    "payload",
    "created_at",
    "expires_at",
)
ADD_NOTICE = Bulk.insert(t.notices, _NOTICE_NAMES)
NOTICE = Statement(lambda _: select(*(_N[n] for n in _NOTICE_NAMES)).where(_N.id == bindparam("id")))
PENDING = Statement(
    lambda _: (
        select(*(_N[n] for n in _NOTICE_NAMES))
        .where(_N.account_id == bindparam("account"), _N.chat_id == 0)
        .order_by(_N.id)
    )
)
PLACE_NOTICE = Statement(
    lambda _: (
        update(t.notices)
        .where(_N.id == bindparam("notice"))
        .values(chat_id=bindparam("chat"), handle=bindparam("door"))
    )
)
CLEAN_NOTICES = Statement(
    lambda _: delete(t.notices).where(_N.chat_id == 0, _N.expires_at < bindparam("before"))
)
LEAVE_ACTS = Statement(
    lambda d: delete(t.outbox).where(
        _O.chat_id == bindparam("chat"),
        select(literal(1)).where(_N.id == _O.thing_id, d.among(_N.verb, "verbs")).exists(),
    )
)
LEAVE_NOTICES = Statement(
    lambda d: delete(t.notices).where(_N.chat_id == bindparam("chat"), d.among(_N.verb, "verbs"))
)
LEAVE_REPLIES = Statement(
    lambda _: update(t.notices).where(_N.chat_id == bindparam("chat")).values(message_key="")
)
DROP_NOTICE = Statement(lambda _: delete(t.notices).where(_N.id == bindparam("notice")))
DROP_DELIVERY = Statement(
    lambda _: delete(t.outbox).where(_O.chat_id == bindparam("chat"), _O.thing_id == bindparam("thing"))
)

ADD_FOLD = Statement(lambda d: d.insert(t.folds).values(id=bindparam("id"), chat_id=bindparam("chat_id")))
BUMP_FOLD = Statement(
    lambda _: (
        update(t.folds)
        .where(t.folds.c.id == bindparam("fold"))
        .values(version=t.folds.c.version + 1)
        .returning(t.folds.c.version)
    )
)


def _delivery(row: Row) -> Delivery:
    values = dict(zip(_DELIVERY_NAMES, row, strict=True))
    values |= {"kind": ThingKind(values["kind"]), "state": CopyState(values["state"])}
    values["begun"] = bool(values["begun"])
    return Delivery(**values)


def _copy(row: Row) -> Copy:
    chat, thing, kind, part, message_key, via, ours, shown, sent_at, digest, platform, key = row
    return Copy(
        chat_id=ChatId(chat),
        thing_id=ThingId(thing),
        kind=ThingKind(kind),
        part=part,
        message=MessageRef(ChatRef(Platform(platform), key), message_key, via),
        ours=bool(ours),
        shown=shown,
        sent_at=sent_at,
        digest=digest,
    )


def _try(row: Row) -> Try:
    values = dict(zip(_TRY_NAMES, row, strict=True))
    flags = {name: bool(values[name]) for name in ("keyed", "signed")}
    return Try(**(values | flags | {"verb": Verb(values["verb"])}))


def _notice(row: Row) -> Notice:
    values: dict[str, Any] = dict(zip(_NOTICE_NAMES, row, strict=True))
    return Notice(**(values | {"verb": Verb(values["verb"])}))


def _notice_row(n: Notice) -> Row:
    expires_at = None if n.expires_at is None else to_micros(n.expires_at)
    return (n.id, n.chat_id, n.verb.value, n.account_id, n.handle, n.message_key, n.payload, to_micros(n.created_at),
            expires_at)  # fmt: skip


def _read_copy(row: Row) -> Copy:
    *values, sent_at, digest, platform, key = row
    return _copy((*values, from_micros(sent_at), digest, platform, key))


COPY = Keyed(t.copies, _COPY, (_C.chat_id, _C.message_key), _read_copy, source=_COPIES)


class DeliveryStore:
    """``woken`` collects the chats whose courier has something new to look at."""

    def __init__(self, run: Runner, woken: set[ChatId]) -> None:
        self._run = run
        self._woken = woken
        self.by_message = run.shelf(COPY)
        self._wants = run.pile(WANT)
        self._origins = run.pile(NOTE_ORIGIN)
        self._notices = run.pile(ADD_NOTICE)

    # outbox
    def want(
        self,
        thing: ThingId,
        kind: ThingKind,
        version: int,
        chats: list[ChatId],
        *,
        rank: int,
        now: datetime,
        ready_at: datetime,
    ) -> None:
        """A new thing is to be shown in these chats; where it already is, nothing changes."""
        if chats:
            ready, queued = to_micros(ready_at), to_micros(max(ready_at, now))
            self._wants.add(*((chat, thing, kind.value, version, rank, ready, queued) for chat in chats))
        self._woken.update(chats)

    def bump(self, thing: ThingId, version: int, *, rank: int, now: datetime) -> list[ThingId]:
        """The thing has a newer version: wherever it stands it is to be shown. Returns the folds that show it."""
        return self._folds(self._run.all(BUMP, thing=thing, version=version, new_rank=rank, at=now))

    def _folds(self, rows: list[Row]) -> list[ThingId]:
        """Wakes the rooms of these changed rows."""
        self._woken.update(ChatId(chat) for chat, state, _ in rows if state in _MOVING)
        return [ThingId(fold) for _, state, fold in rows if fold is not None and state == CopyState.FOLDED]

    def tally(self, posts: Collection[PostId], now: datetime) -> list[ThingId]:
        """The tallies of these posts moved: wherever they stand they are to be shown. Returns the folds that do."""
        things = sorted(posts)
        self._run.run(TALLY_DUE, things=things)
        return self._folds(self._run.all(TALLY_IDLE, things=things, at=now))

    def delivery(self, chat: ChatId, thing: ThingId) -> Delivery | None:
        row = self._run.one(DELIVERY, chat=chat, thing=thing)
        return None if row is None else _delivery(row)

    def deliveries(self, thing: ThingId) -> list[Delivery]:
        return [_delivery(row) for row in self._run.all(DELIVERIES, thing=thing)]

    def next(self, chat: ChatId, now: datetime, *, new_posts: bool = True) -> Delivery | None:
        """What this chat's lane should do now; ``new_posts`` says whether first sends of posts are among it."""
        row = self._run.one(NEXT, chat=chat, at=now, without="" if new_posts else ThingKind.POST)
        return None if row is None else _delivery(row)

    def next_known(self, chat: ChatId, now: datetime) -> Delivery | None:
        """What this chat's lane should do now that is no first send of a thing."""
        row = self._run.one(NEXT_KNOWN, chat=chat, at=now)
        return None if row is None else _delivery(row)

    def begun(self, chat: ChatId) -> Delivery | None:
        """The first send that has begun and has parts still to come."""
        row = self._run.one(BEGUN, chat=chat)
        return None if row is None else _delivery(row)

    def retried_before(self, chat: ChatId, thing: ThingId, now: datetime) -> datetime | None:
        """When an earlier first send is tried again, which this one may not overtake."""
        at = self._run.scalar(RETRIED_BEFORE, chat=chat, thing=thing, at=now)
        return at if isinstance(at, datetime) else None

    def next_notice(self, chat: ChatId, now: datetime) -> Delivery | None:
        """An answer: the only thing that a paused community still says."""
        row = self._run.one(NEXT_NOTICE, chat=chat, at=now)
        return None if row is None else _delivery(row)

    def next_exempt(self, chat: ChatId, now: datetime) -> Delivery | None:
        """An answer through its own door (an interaction), which no window binds."""
        row = self._run.one(NEXT_EXEMPT, chat=chat, at=now)
        return None if row is None else _delivery(row)

    def soonest(self, chat: ChatId, now: datetime) -> datetime | None:
        """When this chat has something to do after ``now``."""
        soonest = self._run.scalar(SOONEST, chat=chat, at=now)
        return soonest if isinstance(soonest, datetime) else None

    def waiting(
        self, platform: Platform, since: datetime = EVER, until: datetime = NEVER
    ) -> dict[ChatId, datetime]:
        """Every chat of this platform with something to do in that time, and since when or when."""
        found = self._run.all(WAITING, on=platform, since=since, until=until)
        return {ChatId(chat): at for chat, at in found}

    def first_sends(self, chat: ChatId, now: datetime) -> list[Delivery]:
        return [_delivery(row) for row in self._run.all(FIRST_SENDS, chat=chat, at=now)]

    def shown(self, chat: ChatId, thing: ThingId, version: int, now: datetime, next_at: datetime) -> None:
        """All parts show that version. ``next_at``: before that, no edit that only moves a tally."""
        self._run.run(SHOWN, chat=chat, thing=thing, version=version, at=now, next_at=next_at)

    def progress(self, chat: ChatId, thing: ThingId, now: datetime) -> None:
        """One of several calls took effect; the next is due at once."""
        self._run.run(PROGRESS, chat=chat, thing=thing, at=now)

    def settle(self, chat: ChatId, thing: ThingId, state: CopyState, reason: str) -> None:
        """Nothing more is to be done, and why."""
        self._run.run(SETTLE, chat=chat, thing=thing, new_state=state, why=reason)

    def remove(self, chat: ChatId, thing: ThingId, now: datetime, reason: str) -> None:
        """Removed locally, for good; what may still be there of it is looked for."""
        self._run.run(REMOVE, chat=chat, thing=thing, at=now, why=reason)
        self._woken.add(chat)

    def retry(
        self,
        chat: ChatId,
        thing: ThingId,
        at: datetime,
        reason: str,
        form: str,
        failing_since: datetime | None = None,
    ) -> None:
        self._run.run(
            RETRY, chat=chat, thing=thing, next_at=at, why=reason, new_form=form, since=failing_since
        )
        self._woken.add(chat)

    def revive(self, chat: ChatId, thing: ThingId, now: datetime) -> None:
        self._run.run(REVIVE, chat=chat, thing=thing, at=now)
        self._woken.add(chat)

    def withdraw_waiting(self, chat: ChatId, reason: str) -> None:
        self._run.run(WITHDRAW_IN, chat=chat, why=reason)

    def leave_behind(self, chat: ChatId, reason: str) -> None:
        """The chat got another identity: its messages so far are out of reach, what waits goes to the new one."""
        verbs = [verb.value for verb in (Verb.MARK, Verb.UNMARK, Verb.TAKE, Verb.UNPIN)]
        self._run.run(LEAVE_TRIES, chat=chat)
        self._run.run(LEAVE_SHOWN, chat=chat, why=reason)
        self._run.run(LEAVE_COPIES, chat=chat)
        self._run.run(LEAVE_ACTS, chat=chat, verbs=verbs)
        self._run.run(LEAVE_NOTICES, chat=chat, verbs=verbs)
        self._run.run(LEAVE_REPLIES, chat=chat)

    def withdraw_all(self, chat: ChatId, now: datetime) -> None:
        """Every copy shown in this chat is to go."""
        self._run.run(WITHDRAW_SHOWN, chat=chat, at=now, why="the room left its community")
        self._woken.add(chat)

    def states(self) -> dict[str, int]:
        """How many rows wait for something to be done (``waiting``), and how many of the others are in which state."""
        found: Counter[str] = Counter()
        for state, due, many in self._run.all(STATES):
            found["waiting" if due else state] += many
        return dict(found)

    def in_states(self, states: list[CopyState]) -> list[Delivery]:
        return [_delivery(row) for row in self._run.all(REFUSED, states=[str(s) for s in states])]

    # tries
    def add_try(self, attempt: Try) -> None:
        self._run.run(ADD_TRY, **{name: getattr(attempt, name) for name in _TRY_NAMES})

    def lose_try(self, chat: ChatId, key: str, at: datetime, *, keyed: bool) -> None:
        """Its answer is lost since then. ``keyed``: a repeat may tell; else it is looked for, and steps aside."""
        self._run.run(LOSE_TRY, chat=chat, key=key, at=at, still_keyed=keyed)

    def end_try(self, chat: ChatId, key: str) -> None:
        self._run.run(END_TRY, chat=chat, key=key)

    def end_tries(self, chat: ChatId, thing: ThingId, part: int | None = None) -> None:
        if part is None:
            self._run.run(END_TRIES, chat=chat, thing=thing)
        else:
            self._run.run(END_TRIES_OF_PART, chat=chat, thing=thing, one_part=part)

    def tries(self) -> list[Try]:
        return [_try(row) for row in self._run.all(TRIES)]

    def tries_of(self, chat: ChatId, thing: ThingId) -> list[Try]:
        return [_try(row) for row in self._run.all(TRIES_OF, chat=chat, thing=thing)]

    def any_try(self, chat: ChatId) -> bool:
        return self._run.one(TRIES_IN, chat=chat) is not None

    # copies
    def note_origin(self, copy: Copy) -> None:
        """The author's own message stands for a thing that is new."""
        key = copy.message.key
        self._origins.add(
            (
                copy.chat_id,
                copy.thing_id,
                copy.part,
                copy.kind.value,
                key,
                0,
                copy.shown,
                to_micros(copy.sent_at),
                copy.digest,
            )
        )
        self.by_message.learn((copy.chat_id, key), (copy,))

    def add_copy(self, copy: Copy) -> None:
        self._run.run(
            ADD_COPY,
            chat_id=copy.chat_id,
            thing_id=copy.thing_id,
            kind=copy.kind,
            part=copy.part,
            message_key=copy.message.key,
            via=copy.message.via,
            ours=copy.ours,
            shown=copy.shown,
            sent_at=copy.sent_at,
            digest=copy.digest,
        )

    def copy_shows(self, chat: ChatId, thing: ThingId, part: int, version: int, digest: str) -> None:
        self._run.run(COPY_SHOWS, chat=chat, thing=thing, one_part=part, version=version, new_digest=digest)

    def copy_of(self, chat: ChatId, message_key: str) -> Copy | None:
        return self.by_message.one((chat, message_key))

    def copy_in(self, chat: ChatId, thing: ThingId) -> Copy | None:
        """The first message that stands for a thing in this chat, ours or its author's."""
        row = self._run.one(COPY_IN, chat=chat, thing=thing)
        return None if row is None else _copy(row)

    def copies_in(self, chat: ChatId, thing: ThingId) -> list[Copy]:
        """Every part of a thing in this chat, in order."""
        return [_copy(row) for row in self._run.all(COPIES_IN, chat=chat, thing=thing)]

    def copies(self, thing: ThingId) -> list[Copy]:
        return [_copy(row) for row in self._run.all(COPIES_OF, thing=thing)]

    def withdrew(self, chat: ChatId, thing: ThingId, part: int) -> None:
        """We took that message away: another in its place has another key."""
        self._run.run(DROP_COPY, chat=chat, thing=thing, one_part=part)
        self._run.run(WITHDREW, chat=chat, thing=thing)

    def drop_copies(self, chat: ChatId, thing: ThingId) -> None:
        self._run.run(DROP_COPIES, chat=chat, thing=thing)

    def sent_since(self, chat: ChatId, since: datetime) -> int:
        """Posts from elsewhere and folds sent to this chat since then, whatever became of them: what its caps count."""
        return int(
            self._run.scalar(
                SENT_SINCE, chat=chat, since=since, kinds=[ThingKind.POST.value, ThingKind.FOLD.value]
            )
        )

    def recent(self, platform: Platform, since: datetime) -> list[Copy]:
        return [_copy(row) for row in self._run.all(RECENT, on=platform, since=since)]

    # doubts
    def add_doubt(self, attempt: Try, now: datetime, resolution: str, reason: str) -> None:
        number = self._run.scalar(NUMBER_OF_DOUBTS, chat=attempt.chat_id, key=attempt.key)
        self._run.run(
            ADD_DOUBT,
            chat_id=attempt.chat_id,
            key=attempt.key,
            number=number,
            thing_id=attempt.thing_id,
            part=attempt.part,
            at=now,
            resolution=resolution,
            reason=reason,
        )

    def leave_out(self, attempt: Try, now: datetime, reason: str) -> None:
        """That part may stand there and is never sent again; what follows it is."""
        self.add_doubt(attempt, now, LEFT_OUT, reason)
        self._run.run(LEAVE_OUT, chat=attempt.chat_id, thing=attempt.thing_id, at=now, why=reason)

    def left_out(self, chat: ChatId, thing: ThingId) -> set[int]:
        """The parts that are never sent again there."""
        return {part for (part,) in self._run.all(LEFT_OUT_PARTS, chat=chat, thing=thing)}

    def doubts(self) -> list[DoubtRow]:
        return [
            DoubtRow(
                chat=ChatRef(Platform(platform), chat),
                key=key,
                number=number,
                thing_id=ThingId(thing),
                part=part,
                at=at,
                resolution=resolution,
                reason=reason,
            )
            for platform, chat, key, number, thing, part, at, resolution, reason in self._run.all(DOUBTS)
        ]

    # notices
    def add_notice(self, notice: Notice, ready_at: datetime) -> None:
        self._notices.add(_notice_row(notice))
        self.want(
            notice.id, ThingKind.NOTICE, 1, [notice.chat_id], rank=0, now=notice.created_at, ready_at=ready_at
        )

    def notice(self, notice: ThingId) -> Notice | None:
        row = self._run.one(NOTICE, id=notice)
        return None if row is None else _notice(row)

    def keep_for_private(self, notice: Notice) -> None:
        """Waits until its person opens the private chat, or expires."""
        self._notices.add(_notice_row(replace(notice, chat_id=ChatId(0))))

    def deliver_private(self, account: AccountId, chat: ChatId, now: datetime, *, handle: str = "") -> int:
        """A private door is open: what waited for it goes through it. Returns how many."""
        pending = [
            n for n in map(_notice, self._run.all(PENDING, account=account)) if (n.expires_at or now) >= now
        ]
        for notice in pending:
            self._run.run(PLACE_NOTICE, notice=notice.id, chat=chat, door=handle)
            self.want(notice.id, ThingKind.NOTICE, 1, [chat], rank=0, now=now, ready_at=now)
        return len(pending)

    def clean_notices(self, before: datetime) -> None:
        self._run.run(CLEAN_NOTICES, before=before)

    def drop_notice(self, chat: ChatId, notice: ThingId) -> None:
        """An answer that was given, or cannot be given any more, is forgotten."""
        self._run.run(DROP_NOTICE, notice=notice)
        self._run.run(DROP_DELIVERY, chat=chat, thing=notice)

    # folds
    def fold(self, fold: ThingId, chat: ChatId, things: list[ThingId], now: datetime) -> None:
        self._run.run(ADD_FOLD, id=fold, chat_id=chat)
        self._run.run(FOLD, chat=chat, things=things, fold=fold)
        self.want(fold, ThingKind.FOLD, 1, [chat], rank=1, now=now, ready_at=now)

    def folded(self, chat: ChatId, fold: ThingId) -> list[Delivery]:
        return [_delivery(row) for row in self._run.all(FOLDED, chat=chat, fold=fold)]

    def bump_fold(self, fold: ThingId, now: datetime, *, rank: int) -> None:
        version = self._run.scalar(BUMP_FOLD, fold=fold)
        if version is not None:
            self.bump(fold, int(version), rank=rank, now=now)
