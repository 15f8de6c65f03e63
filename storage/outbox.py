"""The outbox of desired state: one row per thing and chat (family: chat)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Integer, bindparam, case, func, literal, literal_column, select, update

from core.errors import RejectedWhy
from core.intents import Form
from core.records import CopyState, Delivery
from core.types import ChatId, PostId, ThingId, ThingKind
from storage import tables as t
from storage.keyed import Bulk, Row
from storage.statements import Build, Runner, Statement
from storage.tables import Instant, to_micros

_O, _P = t.outbox.c, t.posts.c
_NAMES = ("chat_id", "thing_id", "kind", "wanted", "shown", "generation", "state", "rank", "form", "ready_at",
          "queued_at", "attempts", "reason", "fold_id", "retries", "begun", "failing_since", "boosted_by")  # fmt: skip
COLUMNS = tuple(_O[name] for name in _NAMES)
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


#: Of a post; asked for row by row, in two thirds of the time that a join takes, where few rows are of the kind.
_VERSION = select(_P.version).where(_P.id == _O.thing_id).correlate(t.outbox).scalar_subquery()


def _bump(things: Any, version: Any) -> Any:
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
        .where(things, _O.wanted < version)
        .values(
            wanted=version,
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
NOT_BEGUN = (_O.shown == 0) & (_O.begun == 0)


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
            sent_at=case((NOT_BEGUN, now), else_=_O.sent_at),
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
            sent_at=case((NOT_BEGUN, now), else_=_O.sent_at),
            begun=case((_O.shown == 0, 1), else_=0),
            attempts=0,
            reason=case((ended, _O.reason), else_=""),
        )
    )


def _tally_due(given: Sequence[Any]) -> Any:
    version, thing = given
    return update(t.outbox).where(_O.thing_id == thing, _O.due == literal_column("1")).values(wanted=version)


def _tally_idle(d: Build) -> Any:
    now: Any = bindparam("at", type_=Instant)
    return (
        update(t.outbox)
        .where(d.among(_O.thing_id, "things"), _O.due == 0, _O.wanted < _VERSION)
        .values(
            wanted=_VERSION,
            due=case((_O.state == _LIVE, 1), else_=0),
            rank=case((_O.shown == 0, _O.rank), else_=TALLY),
            ready_at=case((_O.shown == 0, _O.ready_at), else_=_later(_O.ready_at, now)),
        )
        .returning(_O.chat_id, _O.state, _O.fold_id)
    )


BUMP = Statement(lambda _: _bump(_O.thing_id == bindparam("thing"), bindparam("version")))
BUMP_POSTS = Statement(lambda d: _bump(d.among(_O.thing_id, "things"), _VERSION))
#: What waits already shows a tally when its turn comes: nothing moves that an index is built on.
TALLY_DUE = Bulk(t.outbox, (_O.wanted, _O.thing_id), _tally_due, _tally_due)
TALLY_IDLE = Statement(_tally_idle)
SHOWN = Statement(_shown)
PROGRESS = Statement(_progress)
DELIVERY = Statement(
    lambda _: select(*COLUMNS).where(_O.chat_id == bindparam("chat"), _O.thing_id == bindparam("thing"))
)
DELIVERIES = Statement(
    lambda _: select(*COLUMNS).where(_O.thing_id == bindparam("thing")).order_by(_O.chat_id)
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
STATES = Statement(
    lambda _: (
        select(_O.state, _O.due, func.count())
        .where(_O.kind != ThingKind.NOTICE.value)
        .group_by(_O.state, _O.due)
    )
)
REFUSED = Statement(
    lambda d: (
        select(*COLUMNS)
        .where(d.among(_O.state, "states"), _O.kind != ThingKind.NOTICE.value)
        .order_by(_O.thing_id.desc())
        .limit(200)
    )
)


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


def read_delivery(row: Row) -> Delivery:
    values = dict(zip(_NAMES, row, strict=True))
    values |= {"kind": ThingKind(values["kind"]), "state": CopyState(values["state"])}
    values["begun"] = bool(values["begun"])
    return Delivery(**values)


class OutboxStore:
    """``woken`` collects the chats whose courier has something new to look at."""

    def __init__(self, run: Runner, woken: set[ChatId]) -> None:
        self._run = run
        self._woken = woken
        # In their order there: a tenth less time for the indexes.
        self._wants = run.pile(WANT, sorted)

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
            ready, of = to_micros(ready_at), kind._value_
            queued = ready if ready_at >= now else to_micros(now)
            self._wants.extend([(chat, thing, of, version, rank, ready, queued) for chat in chats])
            self._woken.update(chats)

    def bump(self, thing: ThingId, version: int, *, rank: int, now: datetime) -> list[ThingId]:
        """The thing has a newer version: wherever it stands it is to be shown. Returns the folds that show it."""
        return self._folds(self._run.all(BUMP, thing=thing, version=version, new_rank=rank, at=now))

    def bump_posts(self, posts: list[PostId], *, rank: int, now: datetime) -> list[ThingId]:
        return self._folds(self._run.all(BUMP_POSTS, things=posts, new_rank=rank, at=now)) if posts else []

    def _folds(self, rows: list[Row]) -> list[ThingId]:
        """Wakes the rooms of these changed rows."""
        self._woken |= {chat for chat, state, _ in rows if state in _MOVING}
        return [ThingId(fold) for _, state, fold in rows if fold is not None and state == CopyState.FOLDED]

    def tally(self, posts: Mapping[PostId, int], now: datetime) -> list[ThingId]:
        """The tallies of these posts moved, which gave them these versions: wherever they stand they are to be shown.

        Returns the folds that do.
        """
        things = sorted(posts)
        self._run.change(TALLY_DUE, [(posts[thing], thing) for thing in things])
        return self._folds(self._run.all(TALLY_IDLE, things=things, at=now))

    def delivery(self, chat: ChatId, thing: ThingId) -> Delivery | None:
        row = self._run.one(DELIVERY, chat=chat, thing=thing)
        return None if row is None else read_delivery(row)

    def deliveries(self, thing: ThingId) -> list[Delivery]:
        return [read_delivery(row) for row in self._run.all(DELIVERIES, thing=thing)]

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

    def states(self) -> dict[str, int]:
        """How many rows wait for something to be done (``waiting``), and how many of the others are in which state."""
        found: Counter[str] = Counter()
        for state, due, many in self._run.all(STATES):
            found["waiting" if due else state] += many
        return dict(found)

    def in_states(self, states: list[CopyState]) -> list[Delivery]:
        return [read_delivery(row) for row in self._run.all(REFUSED, states=[str(s) for s in states])]

    def sent_since(self, chat: ChatId, since: datetime) -> int:
        """Posts from elsewhere and folds sent to this chat since then, whatever became of them: what its caps count."""
        return int(
            self._run.scalar(
                SENT_SINCE, chat=chat, since=since, kinds=[ThingKind.POST.value, ThingKind.FOLD.value]
            )
        )
