"""Calls that were begun and not answered yet, and those of which nobody knows what came (family: chat)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Integer, bindparam, case, delete, func, literal, select, update

from core.records import LEFT_OUT, DoubtRow, Try, Verb
from core.types import ChatId, ChatRef, Platform, ThingId
from storage import tables as t
from storage.keyed import Row
from storage.outbox import NOT_BEGUN
from storage.statements import Runner, Statement
from storage.tables import Instant

_O, _H, _T, _D = t.outbox.c, t.chats.c, t.tries.c, t.doubts.c
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
LEAVE_OUT = Statement(
    lambda _: (
        update(t.outbox)
        .where(_O.chat_id == bindparam("chat"), _O.thing_id == bindparam("thing"))
        .values(
            reason=bindparam("why"),
            sent_at=case((NOT_BEGUN, bindparam("at", type_=Instant)), else_=_O.sent_at),
            begun=case((_O.shown == 0, 1), else_=0),
        )
    )
)


def _try(row: Row) -> Try:
    values = dict(zip(_TRY_NAMES, row, strict=True))
    flags = {name: bool(values[name]) for name in ("keyed", "signed")}
    return Try(**(values | flags | {"verb": Verb(values["verb"])}))


class TryStore:
    def __init__(self, run: Runner) -> None:
        self._run = run

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
