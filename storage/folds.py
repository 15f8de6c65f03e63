"""Several posts shown as one message (family: chat)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import bindparam, select, update

from core.records import CopyState, Delivery
from core.types import ChatId, ThingId, ThingKind
from storage import tables as t
from storage.outbox import COLUMNS, OutboxStore, read_delivery
from storage.statements import Runner, Statement

_O = t.outbox.c

FOLD = Statement(
    lambda d: (
        update(t.outbox)
        .where(_O.chat_id == bindparam("chat"), d.among(_O.thing_id, "things"))
        .values(state=CopyState.FOLDED.value, due=0, fold_id=bindparam("fold"), shown=_O.wanted)
    )
)
FOLDED = Statement(
    lambda _: (
        select(*COLUMNS)
        .where(_O.chat_id == bindparam("chat"), _O.fold_id == bindparam("fold"))
        .order_by(_O.thing_id)
    )
)
REMOVE_LINES = Statement(
    lambda _: (
        update(t.outbox)
        .where(
            _O.chat_id == bindparam("chat"),
            _O.fold_id == bindparam("fold"),
            _O.state == CopyState.FOLDED.value,
        )
        .values(state=CopyState.REMOVED.value, reason=bindparam("why"))
        .returning(_O.thing_id)
    )
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


class FoldStore:
    def __init__(self, run: Runner, outbox: OutboxStore) -> None:
        self._run = run
        self._outbox = outbox

    def fold(self, fold: ThingId, chat: ChatId, things: list[ThingId], now: datetime) -> None:
        self._run.run(ADD_FOLD, id=fold, chat_id=chat)
        self._run.run(FOLD, chat=chat, things=things, fold=fold)
        self._outbox.want(fold, ThingKind.FOLD, 1, [chat], rank=1, now=now, ready_at=now)

    def folded(self, chat: ChatId, fold: ThingId) -> list[Delivery]:
        return [read_delivery(row) for row in self._run.all(FOLDED, chat=chat, fold=fold)]

    def remove_lines(self, chat: ChatId, fold: ThingId, reason: str) -> list[ThingId]:
        return [ThingId(thing) for (thing,) in self._run.all(REMOVE_LINES, chat=chat, fold=fold, why=reason)]

    def bump_fold(self, fold: ThingId, now: datetime, *, rank: int) -> None:
        version = self._run.scalar(BUMP_FOLD, fold=fold)
        if version is not None:
            self._outbox.bump(fold, int(version), rank=rank, now=now)
