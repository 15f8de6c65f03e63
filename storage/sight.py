"""What people and operators look at: how things stand, what waits, what failed. Nothing hot goes through here."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Integer, bindparam, case, func, literal, select, update

from core.intents import Form
from core.records import ChatState, CopyState, LostRoom, Stock, Waiting, Waits
from core.types import ChatId, Platform, ThingId
from storage import tables as t
from storage.communities import CHAT, chat_of
from storage.statements import Build, Runner, Statement
from storage.tables import Instant

_O = t.outbox.c
_H = t.chats.c

AGAIN = Statement(
    lambda _: (
        update(t.outbox)
        .where(
            _O.chat_id == bindparam("chat"),
            _O.thing_id == bindparam("thing"),
            _O.state == CopyState.REFUSED.value,
            _O.retries < bindparam("most", type_=Integer),
        )
        .values(
            state=CopyState.LIVE.value,
            due=1,
            attempts=0,
            reason="",
            form=Form.FULL.value,
            retries=_O.retries + 1,
            ready_at=bindparam("at", type_=Instant),
            # Its turn comes anew: what waits since then is not folded.
            queued_at=bindparam("at", type_=Instant),
        )
        .returning(_O.chat_id)
    )
)

#: Dead letters that are counted at most.
_MANY = 10_000


def _backlog(_: Build) -> Any:
    """Room by room along the index of the due rows, then by platform."""
    now: Any = bindparam("at", type_=Instant)
    later = case((_O.ready_at > now, 1), else_=0).label("later")
    # When an edit began to wait is not kept: from the time on at which it may go.
    began = func.min(case((_O.shown == 0, _O.queued_at), else_=_O.ready_at), type_=Instant)
    room = (
        select(_O.chat_id, _O.rank, later, func.count().label("many"), began.label("began"))
        .where(_O.due == 1)
        .group_by(_O.chat_id, _O.rank, later)
        .subquery()
    )
    waits = case(
        (_H.state != ChatState.ACTIVE.value, Waits.LOST.value),
        (t.communities.c.paused == 1, Waits.PAUSED.value),
        (room.c.later == 1, Waits.TIME.value),
        else_=Waits.TURN.value,
    ).label("waits")
    return (
        select(_H.platform, room.c.rank, waits, func.sum(room.c.many), func.min(room.c.began, type_=Instant))
        .select_from(
            room.join(t.chats, _H.id == room.c.chat_id).outerjoin(
                t.communities, t.communities.c.id == _H.community_id
            )
        )
        .group_by(_H.platform, room.c.rank, waits)
    )


def _by_platform(table: Any, *where: Any) -> Any:
    rows = table.join(t.chats, _H.id == table.c.chat_id)
    return select(_H.platform, func.count()).select_from(rows).where(*where).group_by(_H.platform)


def _lost_rooms(_: Build) -> Any:
    # Lost before it was written down since when: as long as the room is known.
    since = func.coalesce(_H.state_at, _H.created_at, type_=Instant).label("since")
    told = case((_H.told_at >= since, 1), else_=0)
    waiting = select(func.count()).where(_O.chat_id == _H.id, _O.due == 1).scalar_subquery()
    return (
        select(*CHAT, since, told, waiting)
        .where(_H.state != ChatState.ACTIVE.value, _H.community_id.is_not(None))
        .order_by(since, _H.id)
    )


LOST_ROOMS = Statement(_lost_rooms)
BACKLOG = Statement(_backlog)
OPEN_TRIES = Statement(lambda _: _by_platform(t.tries))
PARKED = Statement(lambda _: _by_platform(t.parked))
REFUSED_SINCE = Statement(
    lambda _: _by_platform(t.outbox, _O.state == CopyState.REFUSED.value, _O.queued_at > bindparam("since"))
)
DOUBTS_SINCE = Statement(lambda _: _by_platform(t.doubts, t.doubts.c.at > bindparam("since")))
ROOMS = Statement(
    lambda _: (
        select(_H.platform, _H.state, func.count())
        .where(_H.community_id.is_not(None))
        .group_by(_H.platform, _H.state)
    )
)
LETTERS = Statement(
    lambda _: select(func.count()).select_from(
        select(literal(1)).select_from(t.dead_letters).limit(_MANY).subquery()
    )
)


class SightStore:
    """``woken`` collects the chats whose courier has something new to look at."""

    def __init__(self, run: Runner, woken: set[ChatId]) -> None:
        self._run = run
        self._woken = woken

    def again(self, chat: ChatId, thing: ThingId, now: datetime, most: int) -> bool:
        found = self._run.one(AGAIN, chat=chat, thing=thing, at=now, most=most) is not None
        if found:
            self._woken.add(chat)
        return found

    def lost_rooms(self) -> list[LostRoom]:
        rows = self._run.all(LOST_ROOMS)
        return [
            LostRoom(chat=chat_of(tuple(chat)), since=since, told=bool(told), waiting=waiting)
            for *chat, since, told, waiting in rows
        ]

    def stock(self, now: datetime, since: datetime) -> Stock:
        """How much waits now, and what went wrong since then."""
        run = self._run
        return Stock(
            backlog=[
                Waiting(platform=Platform(p), rank=rank, waits=Waits(waits), rows=int(rows), since=began)
                for p, rank, waits, rows, began in run.all(BACKLOG, at=now)
            ],
            tries=dict(run.all(OPEN_TRIES)),
            parked=dict(run.all(PARKED)),
            refused=dict(run.all(REFUSED_SINCE, since=since)),
            doubts=dict(run.all(DOUBTS_SINCE, since=since)),
            rooms={(Platform(p), ChatState(state)): many for p, state, many in run.all(ROOMS)},
            letters=int(run.scalar(LETTERS)),
        )
