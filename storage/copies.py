"""The messages that stand for things (family: chat)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, select, update

from core.records import Copy
from core.types import ChatId, ChatRef, MessageRef, Platform, ThingId, ThingKind
from storage import tables as t
from storage.keyed import Bulk, Keyed, Row
from storage.statements import Build, Runner, Statement
from storage.tables import from_micros, to_micros

_O, _C, _H = t.outbox.c, t.copies.c, t.chats.c
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
#: A message of it was taken away: no key that made one is used again.
WITHDREW = Statement(
    lambda _: (
        update(t.outbox)
        .where(_O.chat_id == bindparam("chat"), _O.thing_id == bindparam("thing"))
        .values(generation=_O.generation + 1)
    )
)
STANDING_SINCE = Statement(
    lambda _: (
        select(_C.chat_id, _C.sent_at)
        .select_from(_COPIES)
        .where(_H.platform == bindparam("on"), _C.sent_at > bindparam("since"), _C.ours == 1)
        .order_by(_C.sent_at)
    )
)
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


def _read_copy(row: Row) -> Copy:
    *values, sent_at, digest, platform, key = row
    return _copy((*values, from_micros(sent_at), digest, platform, key))


COPY = Keyed(t.copies, _COPY, (_C.chat_id, _C.message_key), _read_copy, source=_COPIES)


class CopyStore:
    def __init__(self, run: Runner) -> None:
        self._run = run
        self.by_message = run.shelf(COPY)
        self._origins = run.pile(NOTE_ORIGIN)

    def note_origin(self, copy: Copy) -> None:
        """The author's own message stands for a thing that is new."""
        key = copy.message.key
        self._origins.add(
            (
                copy.chat_id,
                copy.thing_id,
                copy.part,
                copy.kind._value_,
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

    def standing_since(self, platform: Platform, since: datetime) -> list[tuple[ChatId, datetime]]:
        """Where we sent what still stands, and when, oldest first."""
        return [(ChatId(chat), at) for chat, at in self._run.all(STANDING_SINCE, on=platform, since=since)]

    def recent(self, platform: Platform, since: datetime) -> list[Copy]:
        return [_copy(row) for row in self._run.all(RECENT, on=platform, since=since)]
