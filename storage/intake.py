"""What came in: the inbox, bookmarks, parked events, dead letters, settings of the instance."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, select

from core.records import Parked
from core.types import ChatId
from storage import tables as t
from storage.keyed import Keyed
from storage.statements import Build, Runner, Statement
from storage.tables import to_micros

_I = t.inbox.c
_K = t.parked.c
_D = t.dead_letters.c
#: A key that another connection claims at the same time is an error: the batch is run again and finds it.
SEEN = Keyed(t.inbox, (_I.key, _I.at), (_I.key,), tuple, row=tuple, identity=("key",), only_new=True)
CLEAN_INBOX = Statement(lambda _: delete(t.inbox).where(_I.at < bindparam("before")))


def _put(table: Any, key: str) -> Any:
    def build(d: Build) -> Any:
        row = d.insert(table).values({key: bindparam("name_"), "value": bindparam("value_")})
        return row.on_conflict_do_update(index_elements=[table.c[key]], set_={"value": row.excluded.value})

    return build


PUT_BOOKMARK = Statement(_put(t.bookmarks, "scope"))
BOOKMARK = Statement(lambda _: select(t.bookmarks.c.value).where(t.bookmarks.c.scope == bindparam("name_")))
PUT_META = Statement(_put(t.meta, "name"))
META = Statement(lambda _: select(t.meta.c.value).where(t.meta.c.name == bindparam("name_")))

_PARKED = (_K.id, _K.chat_id, _K.message_key, _K.event, _K.expires_at)
PARK = Statement(lambda d: d.insert(t.parked).values({c.name: bindparam(c.name) for c in _PARKED}))
UNPARK = Statement(
    lambda _: (
        delete(t.parked)
        .where(_K.chat_id == bindparam("chat"), _K.message_key == bindparam("key"))
        .returning(*_PARKED)
    )
)
EXPIRE = Statement(lambda _: delete(t.parked).where(_K.expires_at < bindparam("before")).returning(*_PARKED))

_DEAD = (_D.id, _D.kind, _D.payload, _D.error, _D.at)
BURY = Statement(lambda d: d.insert(t.dead_letters).values({c.name: bindparam(c.name) for c in _DEAD}))
DEAD = Statement(lambda _: select(*_DEAD).order_by(_D.id.desc()).limit(200))
EXHUME = Statement(lambda _: delete(t.dead_letters).where(_D.id == bindparam("letter")).returning(_D.payload))


class IntakeStore:
    def __init__(self, run: Runner) -> None:
        self._run = run
        self.keys = run.shelf(SEEN)

    def seen(self, key: str) -> bool:
        return bool(self.keys.all(key))

    def note(self, key: str, now: datetime) -> None:
        row = (key, to_micros(now))
        self.keys.add(key, row, row)

    def claim(self, key: str, now: datetime) -> bool:
        if self.keys.all(key):
            return False
        self.note(key, now)
        return True

    def clean(self, before: datetime) -> None:
        self._run.run(CLEAN_INBOX, before=before)

    def bookmark(self, scope: str) -> str | None:
        value = self._run.scalar(BOOKMARK, name_=scope)
        return None if value is None else str(value)

    def set_bookmark(self, scope: str, value: str) -> None:
        self._run.run(PUT_BOOKMARK, name_=scope, value_=value)

    def meta(self, name: str) -> str | None:
        value = self._run.scalar(META, name_=name)
        return None if value is None else str(value)

    def set_meta(self, name: str, value: str) -> None:
        self._run.run(PUT_META, name_=name, value_=value)

    def park(self, parked: Parked) -> None:
        self._run.run(PARK, **{c.name: getattr(parked, c.name) for c in _PARKED})

    def unpark(self, chat: ChatId, message_key: str) -> list[Parked]:
        """Takes what waits for this message, in the order of its arrival."""
        rows = self._run.all(UNPARK, chat=chat, key=message_key)
        return sorted((_parked(row) for row in rows), key=lambda parked: parked.id)

    def expire(self, before: datetime) -> list[Parked]:
        return [_parked(row) for row in self._run.all(EXPIRE, before=before)]

    def bury(self, letter: int, kind: str, payload: str, error: str, at: datetime) -> None:
        self._run.run(BURY, id=letter, kind=kind, payload=_storable(payload), error=_storable(error), at=at)

    def dead_letters(self) -> list[tuple[int, str, str, str, datetime]]:
        """Newest first: id, kind, payload, error, time."""
        return [(id_, kind, payload, error, at) for id_, kind, payload, error, at in self._run.all(DEAD)]

    def exhume(self, letter: int) -> str | None:
        """Takes a dead letter out and returns its payload."""
        value = self._run.scalar(EXHUME, letter=letter)
        return None if value is None else str(value)


def _storable(text: str) -> str:
    r"""Text that both databases take, whatever the event was made of; in JSON ``\ud800`` still means the same."""
    return text.replace("\0", r"\u0000").encode("utf-8", "backslashreplace").decode()


def _parked(row: tuple[Any, ...]) -> Parked:
    id_, chat, key, event, expires_at = row
    return Parked(id=id_, chat_id=ChatId(chat), message_key=key, event=event, expires_at=expires_at)
