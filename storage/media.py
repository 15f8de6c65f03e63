"""Files of things (family: thing), and what lies in the store of files."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Integer, bindparam, case, delete, func, literal, select, update

from core.records import Blob, Enclosure, FileState
from core.types import ChatId, Platform, ThingId
from storage import tables as t
from storage.statements import Build, Runner, Statement
from storage.tables import Instant

_E = t.enclosures.c
_NAMES = (
    "thing_id", "position", "platform", "source", "key", "name", "mime", "size", "alt", "spoiler", "state", "digest",
    "reason", "attempts", "ready_at", "album",
)  # fmt: skip
_ENCLOSURE = tuple(_E[name] for name in _NAMES)
_WANTED = FileState.WANTED.value

ADD = Statement(lambda d: d.insert(t.enclosures).values({n: bindparam(n) for n in _NAMES}))
OF = Statement(lambda _: select(*_ENCLOSURE).where(_E.thing_id == bindparam("thing")).order_by(_E.position))
IN_ALBUM = Statement(
    lambda _: select(_E.thing_id).where(_E.album != "", _E.album == bindparam("one")).limit(1)
)
DUE = Statement(
    lambda d: (
        select(*_ENCLOSURE)
        .where(_E.state == _WANTED, _E.ready_at <= bindparam("at"), d.among(_E.platform, "platforms"))
        .order_by(_E.ready_at)
        .limit(bindparam("count", type_=Integer))
    )
)
SOONEST = Statement(
    lambda d: select(func.min(_E.ready_at).label("ready_at")).where(
        _E.state == _WANTED, _E.ready_at > bindparam("at"), d.among(_E.platform, "platforms")
    )
)


def _wanted(_: Build) -> Any:
    """One row that is still to be fetched."""
    return update(t.enclosures).where(
        _E.thing_id == bindparam("thing"), _E.position == bindparam("place"), _E.state == _WANTED
    )


STORE = Statement(
    lambda d: (
        _wanted(d)
        .values(state=FileState.STORED.value, digest=bindparam("bytes"), reason="")
        .returning(_E.thing_id)
    )
)
REFUSE = Statement(
    lambda d: _wanted(d).values(state=FileState.REFUSED.value, reason=bindparam("why")).returning(_E.thing_id)
)
PUT_OFF = Statement(
    lambda d: _wanted(d).values(
        ready_at=bindparam("at", type_=Instant), reason=bindparam("why"), attempts=_E.attempts + 1
    )
)
DESCRIBE = Statement(
    lambda _: (
        update(t.enclosures)
        .where(_E.thing_id == bindparam("thing"), _E.position == bindparam("place"))
        .values(alt=bindparam("words"))
    )
)
DROP_ONE = Statement(
    lambda _: delete(t.enclosures).where(_E.thing_id == bindparam("thing"), _E.position == bindparam("place"))
)
DROP = Statement(lambda _: delete(t.enclosures).where(_E.thing_id == bindparam("thing")))

_O = t.outbox.c


def _later(column: Any, value: Any) -> Any:
    return case((column > value, column), else_=value)


def _first_sends(_: Build) -> Any:
    """Only what was never tried: a platform that asked for a pause gets it."""
    return update(t.outbox).where(
        _O.thing_id == bindparam("thing"), _O.due == 1, _O.shown == 0, _O.attempts == 0
    )


HOLD_BACK = Statement(
    lambda d: _first_sends(d).values(ready_at=_later(_O.ready_at, bindparam("until", type_=Instant)))
)
#: It is queued since it could be sent but for its files.
RELEASE = Statement(
    lambda d: (
        _first_sends(d)
        .values(ready_at=_later(_O.queued_at, bindparam("at", type_=Instant)))
        .returning(_O.chat_id)
    )
)

_B = t.blobs.c
_BLOB_NAMES = ("digest", "mime", "size", "width", "height", "small")
_BLOB = tuple(_B[name] for name in _BLOB_NAMES)
ADD_BLOB = Statement(
    lambda d: (
        d.insert(t.blobs)
        .values({n: bindparam(n) for n in (*_BLOB_NAMES, "stored_at")})
        .on_conflict_do_nothing()
    )
)
BLOB = Statement(lambda _: select(*_BLOB).where(_B.digest == bindparam("bytes")))
TOTAL = Statement(lambda _: select(func.coalesce(func.sum(_B.size), 0)))
KNOWN = Statement(lambda d: select(_B.digest).where(d.among(_B.digest, "digests")))


def _forget(_: Build) -> Any:
    """What no thing shows any more, neither itself nor as the smaller picture of another."""
    larger = t.blobs.alias("larger")
    unused = (
        select(_B.digest)
        .where(
            ~select(literal(1)).where(_E.digest != "", _E.digest == _B.digest).exists(),
            ~select(literal(1)).where(larger.c.small == _B.digest).exists(),
        )
        .limit(bindparam("count", type_=Integer))
    )
    return delete(t.blobs).where(_B.digest.in_(unused.scalar_subquery())).returning(_B.digest)


FORGET = Statement(_forget)


def _enclosure(row: tuple[Any, ...]) -> Enclosure:
    values = dict(zip(_NAMES, row, strict=True))
    return Enclosure(**(values | {"spoiler": bool(values["spoiler"]), "state": FileState(values["state"])}))


class EnclosureStore:
    """``woken`` collects the chats whose courier has something new to look at."""

    def __init__(self, run: Runner, woken: set[ChatId]) -> None:
        self._run = run
        self._woken = woken

    def add(self, rows: list[Enclosure]) -> None:
        self._run.each(ADD, [{name: getattr(row, name) for name in _NAMES} for row in rows])

    def of(self, thing: ThingId) -> list[Enclosure]:
        return [_enclosure(row) for row in self._run.all(OF, thing=thing)]

    def in_album(self, album: str) -> ThingId | None:
        found = self._run.scalar(IN_ALBUM, one=album)
        return None if found is None else ThingId(found)

    def due(
        self, platforms: list[Platform], now: datetime, count: int
    ) -> tuple[list[Enclosure], datetime | None]:
        rows = self._run.all(DUE, platforms=platforms, at=now, count=count)
        soonest = self._run.scalar(SOONEST, platforms=platforms, at=now)
        return [_enclosure(row) for row in rows], soonest if isinstance(soonest, datetime) else None

    def store(self, thing: ThingId, position: int, digest: str) -> bool:
        return self._run.one(STORE, thing=thing, place=position, bytes=digest) is not None

    def refuse(self, thing: ThingId, position: int, why: str) -> bool:
        return self._run.one(REFUSE, thing=thing, place=position, why=why) is not None

    def put_off(self, thing: ThingId, position: int, at: datetime, why: str) -> None:
        self._run.run(PUT_OFF, thing=thing, place=position, at=at, why=why)

    def hold_back(self, thing: ThingId, until: datetime) -> None:
        self._run.run(HOLD_BACK, thing=thing, until=until)

    def release(self, thing: ThingId, now: datetime) -> None:
        self._woken.update(ChatId(row[0]) for row in self._run.all(RELEASE, thing=thing, at=now))

    def describe(self, thing: ThingId, position: int, alt: str) -> None:
        self._run.run(DESCRIBE, thing=thing, place=position, words=alt)

    def drop_one(self, thing: ThingId, position: int) -> None:
        self._run.run(DROP_ONE, thing=thing, place=position)

    def drop(self, thing: ThingId) -> None:
        self._run.run(DROP, thing=thing)

    def blob(self, digest: str) -> Blob | None:
        row = self._run.one(BLOB, bytes=digest)
        return None if row is None else Blob(**dict(zip(_BLOB_NAMES, row, strict=True)))

    def add_blob(self, blob: Blob, now: datetime) -> None:
        self._run.run(ADD_BLOB, stored_at=now, **{name: getattr(blob, name) for name in _BLOB_NAMES})

    def total(self) -> int:
        return int(self._run.scalar(TOTAL))

    def known(self, digests: list[str]) -> set[str]:
        return {row[0] for row in self._run.all(KNOWN, digests=digests)}

    def forget(self, count: int) -> list[str]:
        found: list[str] = []
        # A smaller picture is forgotten once the one it was made of is.
        while len(found) < count and (rows := self._run.all(FORGET, count=count)):
            found += [row[0] for row in rows]
        return found
