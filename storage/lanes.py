"""What a chat's lane does next, and when, read from the outbox (family: chat)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, exists, func, select

from core.records import CopyState, Delivery
from core.stores import EVER, NEVER
from core.types import ChatId, Platform, ThingId, ThingKind
from storage import tables as t
from storage.outbox import COLUMNS, read_delivery
from storage.statements import Build, Runner, Statement
from storage.tables import Instant

_O = t.outbox.c
_LIVE = CopyState.LIVE.value


def _next(_: Build) -> Any:
    return (
        select(*COLUMNS)
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
        select(*COLUMNS)
        .where(_O.chat_id == bindparam("chat"), _O.due == 1, _O.ready_at <= bindparam("at"), ~first)
        .order_by(_O.rank, _O.thing_id)
        .limit(1)
    )


NEXT = Statement(_next)
NEXT_KNOWN = Statement(_next_known)
BEGUN = Statement(
    lambda _: (
        select(*COLUMNS)
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
        select(*COLUMNS)
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
        select(*COLUMNS)
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
        select(*COLUMNS)
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


class LaneStore:
    def __init__(self, run: Runner) -> None:
        self._run = run

    def next(self, chat: ChatId, now: datetime, *, new_posts: bool = True) -> Delivery | None:
        """What this chat's lane should do now; ``new_posts`` says whether first sends of posts are among it."""
        row = self._run.one(NEXT, chat=chat, at=now, without="" if new_posts else ThingKind.POST)
        return None if row is None else read_delivery(row)

    def next_known(self, chat: ChatId, now: datetime) -> Delivery | None:
        """What this chat's lane should do now that is no first send of a thing."""
        row = self._run.one(NEXT_KNOWN, chat=chat, at=now)
        return None if row is None else read_delivery(row)

    def begun(self, chat: ChatId) -> Delivery | None:
        """The first send that has begun and has parts still to come."""
        row = self._run.one(BEGUN, chat=chat)
        return None if row is None else read_delivery(row)

    def retried_before(self, chat: ChatId, thing: ThingId, now: datetime) -> datetime | None:
        """When an earlier first send is tried again, which this one may not overtake."""
        at = self._run.scalar(RETRIED_BEFORE, chat=chat, thing=thing, at=now)
        return at if isinstance(at, datetime) else None

    def next_notice(self, chat: ChatId, now: datetime) -> Delivery | None:
        """An answer: the only thing that a paused community still says."""
        row = self._run.one(NEXT_NOTICE, chat=chat, at=now)
        return None if row is None else read_delivery(row)

    def next_exempt(self, chat: ChatId, now: datetime) -> Delivery | None:
        """An answer through its own door (an interaction), which no window binds."""
        row = self._run.one(NEXT_EXEMPT, chat=chat, at=now)
        return None if row is None else read_delivery(row)

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
        return [read_delivery(row) for row in self._run.all(FIRST_SENDS, chat=chat, at=now)]
