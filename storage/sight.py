"""What people and operators look at: how things stand, what waits, what failed. Nothing hot goes through here."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Integer, bindparam, update

from core.intents import Form
from core.records import CopyState
from core.types import ChatId, ThingId
from storage import tables as t
from storage.statements import Runner, Statement
from storage.tables import Instant

_O = t.outbox.c

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
