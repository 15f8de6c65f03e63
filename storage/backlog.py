"""What lies before each chat: it orders the courier's work and decides nothing."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, exists, func, select

from core.records import Foremost, Load
from core.types import ChatId, Platform
from storage import tables as t
from storage.statements import Build, Runner, Statement

_O = t.outbox.c
_H = t.chats.c
_N = t.notices.c

LOADS = Statement(
    lambda _: (
        select(_O.chat_id, _O.rank, func.count(), func.min(_O.ready_at).label("ready_at"))
        .select_from(t.outbox.join(t.chats, _H.id == _O.chat_id))
        .where(_O.due == 1, _H.platform == bindparam("on"))
        .group_by(_O.chat_id, _O.rank)
    )
)


def _foremost(d: Build) -> Any:
    ready = (_O.chat_id == _H.id, _O.due == 1, _O.ready_at <= bindparam("at"))
    rank = select(_O.rank).where(*ready).order_by(_O.rank).limit(1).correlate(t.chats).scalar_subquery()
    door = exists().where(*ready, _O.rank == 0, _N.id == _O.thing_id, _N.handle != "").correlate(t.chats)
    return select(_H.id, _H.platform, rank, door).where(d.among(_H.id, "chats"))


FOREMOST = Statement(_foremost)


class BacklogStore:
    def __init__(self, run: Runner) -> None:
        self._run = run

    def loads(self, platform: Platform) -> list[Load]:
        return [
            Load(chat_id=ChatId(chat), platform=platform, rank=rank, count=count, ready_at=at)
            for chat, rank, count, at in self._run.all(LOADS, on=platform)
        ]

    def foremost(self, chats: Collection[ChatId], now: datetime) -> list[Foremost]:
        return [
            Foremost(chat_id=ChatId(chat), platform=Platform(platform), rank=rank, unbound=bool(door))
            for chat, platform, rank, door in self._run.all(FOREMOST, chats=sorted(chats), at=now)
        ]
