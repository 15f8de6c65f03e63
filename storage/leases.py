"""Leases on bot tokens, and each process's own part of the ids. Their times are the database's, and no process's."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, bindparam, func, literal_column, select, update

from core.crashpoints import passing
from core.stores import EVER
from storage import tables as t
from storage.statements import Build, Runner, Statement

_L = t.leases.c
_P = t.processes.c
#: Microseconds since 1970, at the moment when the row is looked at and not when the transaction began.
_CLOCK = {
    "sqlite": "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)",
    "postgresql": "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
}
_MICROSECOND = timedelta(microseconds=1)


def _clock(d: Build) -> ColumnElement[int]:
    return literal_column(_CLOCK[d.name], BigInteger)


def _until(d: Build) -> Any:
    return _clock(d) + bindparam("life", type_=BigInteger)


def _take(d: Build) -> Any:
    names = ("name", "owner", "site")
    row = d.insert(t.leases).values({n: bindparam(n) for n in names} | {"epoch": 1, "expires_at": _until(d)})
    new = row.excluded
    proved = (new.site != "") & (_L.site == new.site)
    return row.on_conflict_do_update(
        index_elements=[_L.name],
        set_={"owner": new.owner, "site": new.site, "epoch": _L.epoch + 1, "expires_at": new.expires_at},
        where=(_L.expires_at <= _clock(d)) | proved,
    ).returning(_L.epoch)


def _ours(_: Build) -> Any:
    return update(t.leases).where(_L.name == bindparam("lease"), _L.epoch == bindparam("held"))


TAKE = Statement(_take)
RENEW = Statement(lambda d: _ours(d).values(expires_at=_until(d)).returning(_L.epoch))
RELEASE = Statement(lambda d: _ours(d).values(expires_at=EVER))
EPOCH = Statement(lambda _: select(_L.epoch).where(_L.name == bindparam("lease")), kept=True)
ANY_HELD = Statement(lambda d: select(func.count()).select_from(t.leases).where(_L.expires_at > _clock(d)))
HOLDER = Statement(
    lambda d: select(_L.owner).where(
        _L.name == bindparam("lease"),
        _L.expires_at > _clock(d),
        (_L.site == "") | (_L.site != bindparam("place")),
    )
)


class LeaseStore:
    def __init__(self, run: Runner) -> None:
        self._run = run

    def take(self, name: str, owner: str, site: str, life: timedelta) -> int | None:
        epoch = self._run.scalar(TAKE, name=name, owner=owner, site=site, life=life // _MICROSECOND)
        return None if epoch is None else int(epoch)

    def renew(self, name: str, epoch: int, life: timedelta) -> bool:
        return self._run.one(RENEW, lease=name, held=epoch, life=life // _MICROSECOND) is not None

    def release(self, name: str, epoch: int) -> None:
        self._run.run(RELEASE, lease=name, held=epoch)

    def epoch(self, name: str) -> int:
        return int(self._run.scalar(EPOCH, lease=name) or 0)

    def any_held(self) -> bool:
        return bool(self._run.scalar(ANY_HELD))

    def holder(self, name: str, site: str) -> str | None:
        owner = self._run.scalar(HOLDER, lease=name, place=site)
        return None if owner is None else str(owner)


# -- the process's part of the ids -----------------------------------------------------------------------------------

PROCESSES = 1024
#: A number is used again so long after its last id.
_NUMBER_LIFE = timedelta(minutes=10)

NUMBERS = Statement(
    lambda d: select(_P.number, _P.epoch, (_P.expires_at > _clock(d)).label("held")).order_by(_P.number)
)


def _claim(d: Build) -> Any:
    row = d.insert(t.processes).values(
        number=bindparam("number"), epoch=bindparam("epoch"), last_id=0, expires_at=_until(d)
    )
    new = row.excluded
    return row.on_conflict_do_update(
        index_elements=[_P.number], set_={"epoch": new.epoch, "expires_at": new.expires_at}
    )


def _mine() -> Any:
    return (_P.number == bindparam("mine"), _P.epoch == bindparam("held"))


CLAIM = Statement(_claim)
NOTE_LAST = Statement(
    lambda d: (
        update(t.processes)
        .where(*_mine())
        .values(last_id=bindparam("last", type_=BigInteger), expires_at=_until(d))
        .returning(_P.number)
    )
)
GIVE_BACK = Statement(lambda _: update(t.processes).where(*_mine()).values(expires_at=EVER))


class NumberLost(Exception):
    """The process slept for so long that another one may make ids with its number."""


class Number:
    """A process's number, claimed in the caller's transaction, which must be one that no other writes beside."""

    def __init__(self, run: Runner) -> None:
        """Raises ``LookupError`` where more processes live than there are numbers."""
        known = {number: (epoch, bool(held)) for number, epoch, held in run.all(NUMBERS)}
        self.number = next(n for n in range(PROCESSES + 1) if not known.get(n, (0, False))[1])
        if self.number == PROCESSES:
            raise LookupError(f"{PROCESSES} processes have a number")
        self._epoch = known.get(self.number, (0, False))[0] + 1
        run.run(CLAIM, number=self.number, epoch=self._epoch, life=_NUMBER_LIFE // _MICROSECOND)
        passing("lease.numbered")

    def used(self, run: Runner, last: int) -> None:
        """Things that are gone leave no trace of their ids, and a clock may be set back. Raises ``NumberLost``."""
        life = _NUMBER_LIFE // _MICROSECOND
        if run.one(NOTE_LAST, mine=self.number, held=self._epoch, last=last, life=life) is None:
            raise NumberLost(self.number)
        passing("lease.ids_noted")

    def give_back(self, run: Runner) -> None:
        run.run(GIVE_BACK, mine=self.number, held=self._epoch)
        passing("lease.number_back")
