"""What is said to people, until it is said (family: chat)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import structs
from sqlalchemy import bindparam, delete, select, update

from core.records import Notice, Verb
from core.types import AccountId, ChatId, ThingId, ThingKind
from storage import tables as t
from storage.keyed import Bulk, Row
from storage.outbox import OutboxStore
from storage.statements import Runner, Statement
from storage.tables import to_micros

_O, _N = t.outbox.c, t.notices.c
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
DROP_NOTICE = Statement(lambda _: delete(t.notices).where(_N.id == bindparam("notice")))
DROP_DELIVERY = Statement(
    lambda _: delete(t.outbox).where(_O.chat_id == bindparam("chat"), _O.thing_id == bindparam("thing"))
)


def _notice(row: Row) -> Notice:
    values: dict[str, Any] = dict(zip(_NOTICE_NAMES, row, strict=True))
    return Notice(**(values | {"verb": Verb(values["verb"])}))


def _notice_row(n: Notice) -> Row:
    expires_at = None if n.expires_at is None else to_micros(n.expires_at)
    return (n.id, n.chat_id, n.verb._value_, n.account_id, n.handle, n.message_key, n.payload, to_micros(n.created_at),
            expires_at)  # fmt: skip


class NoticeStore:
    def __init__(self, run: Runner, outbox: OutboxStore) -> None:
        self._run = run
        self._outbox = outbox
        self._notices = run.pile(ADD_NOTICE)

    def add_notice(self, notice: Notice, ready_at: datetime) -> None:
        self._notices.add(_notice_row(notice))
        self._outbox.want(
            notice.id, ThingKind.NOTICE, 1, [notice.chat_id], rank=0, now=notice.created_at, ready_at=ready_at
        )

    def notice(self, notice: ThingId) -> Notice | None:
        row = self._run.one(NOTICE, id=notice)
        return None if row is None else _notice(row)

    def keep_for_private(self, notice: Notice) -> None:
        """Waits until its person opens the private chat, or expires."""
        self._notices.add(_notice_row(structs.replace(notice, chat_id=ChatId(0))))

    def deliver_private(self, account: AccountId, chat: ChatId, now: datetime, *, handle: str = "") -> int:
        """A private door is open: what waited for it goes through it. Returns how many."""
        pending = [
            n for n in map(_notice, self._run.all(PENDING, account=account)) if (n.expires_at or now) >= now
        ]
        for notice in pending:
            self._run.run(PLACE_NOTICE, notice=notice.id, chat=chat, door=handle)
            self._outbox.want(notice.id, ThingKind.NOTICE, 1, [chat], rank=0, now=now, ready_at=now)
        return len(pending)

    def clean_notices(self, before: datetime) -> None:
        self._run.run(CLEAN_NOTICES, before=before)

    def drop_notice(self, chat: ChatId, notice: ThingId) -> None:
        """An answer that was given, or cannot be given any more, is forgotten."""
        self._run.run(DROP_NOTICE, notice=notice)
        self._run.run(DROP_DELIVERY, chat=chat, thing=notice)
