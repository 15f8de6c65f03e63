"""Signals (raw reactions) and votes (one row per post and member). A tally is recomputed, never incremented."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, distinct, func, literal, select, update

from core.records import Signal, Vote
from core.types import AccountId, ChatId, MemberId, PostId
from storage import tables as t
from storage.statements import Build, Row, Runner, Statement

_S = t.signals.c
_SIGNAL_NAMES = ("post_id", "account_id", "emoji", "chat_id", "message_key", "ref_key", "at", "superseded")
_SIGNAL = tuple(_S[name] for name in _SIGNAL_NAMES)
_V = t.votes.c
_VOTE_NAMES = ("post_id", "member_id", "account_id", "value", "emoji", "acted_at")
_VOTE = tuple(_V[name] for name in _VOTE_NAMES)
_A = t.vote_accounts.c


def _put_signal(d: Build) -> Any:
    row = d.insert(t.signals).values({n: bindparam(n) for n in _SIGNAL_NAMES})
    keys = [_S.post_id, _S.account_id, _S.chat_id, _S.message_key, _S.emoji]
    new = {n: row.excluded[n] for n in ("ref_key", "at", "superseded")}
    return row.on_conflict_do_update(index_elements=keys, set_=new)


def _put_vote(d: Build) -> Any:
    row = d.insert(t.votes).values({n: bindparam(n) for n in _VOTE_NAMES})
    new = {n: row.excluded[n] for n in ("account_id", "value", "emoji", "acted_at")}
    return row.on_conflict_do_update(index_elements=[_V.post_id, _V.member_id], set_=new)


PUT_SIGNAL = Statement(_put_signal)
SIGNALS_ON = Statement(
    lambda _: select(*_SIGNAL).where(
        _S.post_id == bindparam("post"),
        _S.account_id == bindparam("account"),
        _S.chat_id == bindparam("chat"),
        _S.message_key == bindparam("key"),
    )
)
SIGNALS_BY = Statement(
    lambda _: select(*_SIGNAL).where(_S.account_id == bindparam("account")).order_by(_S.at, _S.emoji)
)
SIGNAL_BY_REF = Statement(
    lambda _: select(*_SIGNAL).where(_S.chat_id == bindparam("chat"), _S.ref_key == bindparam("ref"))
)
SIGNALS_ON_MESSAGE = Statement(
    lambda _: select(*_SIGNAL).where(
        _S.post_id == bindparam("post"), _S.chat_id == bindparam("chat"), _S.message_key == bindparam("key")
    )
)
SUPERSEDE = Statement(
    lambda d: (
        update(t.signals)
        .where(_S.post_id == bindparam("post"), d.among(_S.account_id, "accounts"))
        .values(superseded=1)
    )
)
DROP_SIGNAL = Statement(
    lambda _: delete(t.signals).where(
        _S.post_id == bindparam("post"),
        _S.account_id == bindparam("account"),
        _S.chat_id == bindparam("chat"),
        _S.message_key == bindparam("key"),
        _S.emoji == bindparam("sign"),
    )
)


def _forget_guests(_: Build) -> Any:
    guests = (
        select(t.accounts.c.id)
        .where(t.accounts.c.id == _S.account_id, t.accounts.c.member_id.is_(None))
        .exists()
    )
    return delete(t.signals).where(_S.at < bindparam("before"), guests).returning(_S.post_id)


FORGET_GUESTS = Statement(_forget_guests)

PUT_VOTE = Statement(_put_vote)
VOTE = Statement(
    lambda _: select(*_VOTE).where(_V.post_id == bindparam("post"), _V.member_id == bindparam("member"))
)
VOTES_BY = Statement(lambda _: select(*_VOTE).where(_V.member_id == bindparam("member")).order_by(_V.post_id))
DROP_VOTE = Statement(
    lambda _: delete(t.votes).where(_V.post_id == bindparam("post"), _V.member_id == bindparam("member"))
)
SPEAKS_FOR = Statement(
    lambda _: select(_A.member_id).where(
        _A.post_id == bindparam("post"), _A.account_id == bindparam("account")
    )
)
ADD_SPEAKER = Statement(
    lambda d: (
        d.insert(t.vote_accounts)
        .values(
            post_id=bindparam("post_id"), account_id=bindparam("account_id"), member_id=bindparam("member_id")
        )
        .on_conflict_do_nothing()
    )
)
MOVE_SPEAKERS = Statement(
    lambda _: (
        update(t.vote_accounts)
        .where(_A.member_id == bindparam("loser"))
        .values(member_id=bindparam("winner"))
    )
)


def _votes(post: Any) -> Any:
    return (
        select(func.count()).select_from(t.votes).where(_V.post_id == post, _V.value == 1).scalar_subquery()
    )


def _guests(post: Any) -> Any:
    """Accounts of nobody, less those that spoke here for a member before they were unlinked."""
    spoke = select(literal(1)).where(_A.post_id == _S.post_id, _A.account_id == _S.account_id).exists()
    return (
        select(func.count(distinct(_S.account_id)))
        .select_from(t.signals.join(t.accounts, t.accounts.c.id == _S.account_id))
        .where(_S.post_id == post, t.accounts.c.member_id.is_(None), ~spoke)
        .scalar_subquery()
    )


def _set_tally(_: Build) -> Any:
    p = t.posts.c
    post: Any = bindparam("post")
    counted = select(_votes(post).label("votes"), _guests(post).label("guests")).subquery("counted").c
    return (
        update(t.posts)
        .where(p.id == post, (p.score != counted.votes) | (p.guests != counted.guests))
        .values(score=counted.votes, guests=counted.guests, version=p.version + 1)
        .returning(p.version)
    )


SET_TALLY = Statement(_set_tally)


def _signal(row: Row) -> Signal:
    values = dict(zip(_SIGNAL_NAMES, row, strict=True))
    return Signal(**(values | {"superseded": bool(values["superseded"])}))


class VoteStore:
    def __init__(self, run: Runner) -> None:
        self._run = run

    # signals
    def put_signal(self, signal: Signal) -> None:
        self._run.run(PUT_SIGNAL, **{name: getattr(signal, name) for name in _SIGNAL_NAMES})

    def signals_on(self, post: PostId, account: AccountId, chat: ChatId, message_key: str) -> list[Signal]:
        return [
            _signal(r)
            for r in self._run.all(SIGNALS_ON, post=post, account=account, chat=chat, key=message_key)
        ]

    def signals_by(self, account: AccountId) -> list[Signal]:
        return [_signal(row) for row in self._run.all(SIGNALS_BY, account=account)]

    def signals_on_message(self, post: PostId, chat: ChatId, message_key: str) -> list[Signal]:
        return [
            _signal(row) for row in self._run.all(SIGNALS_ON_MESSAGE, post=post, chat=chat, key=message_key)
        ]

    def signal_by_ref(self, chat: ChatId, ref_key: str) -> Signal | None:
        row = self._run.one(SIGNAL_BY_REF, chat=chat, ref=ref_key)
        return None if row is None else _signal(row)

    def supersede(self, post: PostId, accounts: list[AccountId]) -> None:
        self._run.run(SUPERSEDE, post=post, accounts=accounts)

    def drop_signal(self, signal: Signal) -> None:
        self._run.run(
            DROP_SIGNAL,
            post=signal.post_id,
            account=signal.account_id,
            chat=signal.chat_id,
            key=signal.message_key,
            sign=signal.emoji,
        )

    def forget_guests(self, before: datetime) -> set[PostId]:
        """Erases guests' reactions older than that. Returns the posts whose tally changes."""
        return {PostId(row[0]) for row in self._run.all(FORGET_GUESTS, before=before)}

    # votes
    def vote(self, post: PostId, member: MemberId) -> Vote | None:
        row = self._run.one(VOTE, post=post, member=member)
        return None if row is None else Vote(**dict(zip(_VOTE_NAMES, row, strict=True)))

    def votes_by(self, member: MemberId) -> list[Vote]:
        return [
            Vote(**dict(zip(_VOTE_NAMES, row, strict=True))) for row in self._run.all(VOTES_BY, member=member)
        ]

    def put_vote(self, vote: Vote) -> None:
        self._run.run(PUT_VOTE, **{name: getattr(vote, name) for name in _VOTE_NAMES})

    def drop_vote(self, post: PostId, member: MemberId) -> None:
        self._run.run(DROP_VOTE, post=post, member=member)

    def spoke_for(self, post: PostId, account: AccountId) -> MemberId | None:
        """For whom this account spoke first on this post, if it ever did."""
        found = self._run.scalar(SPEAKS_FOR, post=post, account=account)
        return None if found is None else MemberId(found)

    def speaks_for(self, post: PostId, account: AccountId, member: MemberId) -> MemberId:
        """For whom this account spoke first on this post; from now on for ``member`` if it never did."""
        found = self.spoke_for(post, account)
        if found is not None:
            return found
        self._run.run(ADD_SPEAKER, post_id=post, account_id=account, member_id=member)
        return member

    def move_speakers(self, loser: MemberId, winner: MemberId) -> None:
        self._run.run(MOVE_SPEAKERS, loser=loser, winner=winner)

    # tallies
    def recount(self, post: PostId) -> int | None:
        """Counts anew. Returns the post's new version when the tally changed."""
        version = self._run.scalar(SET_TALLY, post=post)
        return None if version is None else int(version)
