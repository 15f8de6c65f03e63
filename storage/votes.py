"""Signals (raw reactions) and votes (one row per post and member). A tally is recomputed, never incremented."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from msgspec import structs
from sqlalchemy import bindparam, delete, distinct, func, literal, literal_column, select, update

from core.records import Reacted, Signal, Vote
from core.types import AccountId, AccountRef, ChatId, MemberId, PostId
from storage import tables as t
from storage.keyed import Keyed, Row
from storage.statements import Build, Runner, Statement
from storage.tables import from_micros, micros

_S = t.signals.c
_SIGNAL_NAMES = ("post_id", "account_id", "chat_id", "message_key", "emoji", "ref_key", "at", "superseded")
_SIGNAL = tuple(_S[name] for name in _SIGNAL_NAMES)
_V = t.votes.c
_VOTE_NAMES = ("post_id", "member_id", "account_id", "value", "emoji", "acted_at")
_VOTE = tuple(_V[name] for name in _VOTE_NAMES)
_A = t.vote_accounts.c


def _signal(row: Row) -> Signal:
    post, account, chat, message, emoji, ref, at, superseded = row
    return Signal(post, account, chat, message, emoji, ref, from_micros(at), bool(superseded))


def _signal_row(s: Signal, at: int) -> Row:
    return (s.post_id, s.account_id, s.chat_id, s.message_key, s.emoji, s.ref_key, at, int(s.superseded))


def _vote(row: Row) -> Vote:
    post, member, account, value, emoji, acted_at = row
    return Vote(post, member, account, value, emoji, from_micros(acted_at))


def _vote_row(v: Vote, at: int) -> Row:
    return (v.post_id, v.member_id, v.account_id, v.value, v.emoji, at)


_C = t.copies.c
_P = t.posts.c
_N = t.accounts.c
_OF_POSTS = t.copies.join(
    t.posts, (_P.id == _C.thing_id) & (_C.kind == literal_column("'post'")) & _P.deleted_at.is_(None)
).join(t.accounts, _N.opted_out == literal_column("0"))


def _none(source: Any, *where: Any) -> Any:
    """Whether there is no such row: counted, which no database makes a look at the whole table of."""
    found = select(func.count()).select_from(source).where(*where)
    return found.scalar_subquery() == literal_column("0")


def _fresh() -> Any:
    """Whether the account's member never voted on the post, and none of their accounts spoke there for anybody.

    Whoever reacts speaks for their member from then on, and who joins for what stands of them, so that there is no
    signal either.
    """
    of_member = t.accounts.alias("of_member")
    spoke: Any = select(literal_column("1")).where(_A.post_id == _P.id, _A.account_id == of_member.c.id)
    return (
        _N.member_id.is_not(None)
        & _none(t.votes, _V.post_id == _P.id, _V.member_id == _N.member_id)
        & _none(
            of_member, of_member.c.member_id == _N.member_id, spoke.correlate(t.posts, of_member).exists()
        )
    ).label("fresh")


#: By what a reaction tells of itself: one look-up instead of four, and no more of the rows than it needs.
REACTED = Keyed(
    t.copies,
    (
        _P.id, _P.author_id, _P.account_id, _N.id, _N.member_id, _N.name, _N.username, _N.locale, _fresh(),
    ),
    (_C.chat_id, _C.message_key, _N.platform, _N.key),
    lambda row: Reacted(*row),
    source=_OF_POSTS,
    also=(t.copies, t.votes, t.vote_accounts),
)  # fmt: skip
#: What one account's reactions on one post are, on whichever copy.
SIGNALS = Keyed(
    t.signals,
    _SIGNAL,
    (_S.post_id, _S.account_id),
    _signal,
    row=lambda s: _signal_row(s, micros(s.at)),
    identity=("post_id", "account_id", "chat_id", "message_key", "emoji"),
)
VOTES = Keyed(
    t.votes,
    _VOTE,
    (_V.post_id, _V.member_id),
    _vote,
    row=lambda v: _vote_row(v, micros(v.acted_at)),
    identity=("post_id", "member_id"),
)
SPEAKERS = Keyed(
    t.vote_accounts,
    (_A.post_id, _A.account_id, _A.member_id),
    (_A.post_id, _A.account_id),
    tuple,
    row=tuple,
    identity=("post_id", "account_id", "member_id"),
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


def _forget_guests(_: Build) -> Any:
    guests = (
        select(t.accounts.c.id)
        .where(t.accounts.c.id == _S.account_id, t.accounts.c.member_id.is_(None))
        .exists()
    )
    return delete(t.signals).where(_S.at < bindparam("before"), guests).returning(_S.post_id)


FORGET_GUESTS = Statement(_forget_guests)

VOTES_BY = Statement(lambda _: select(*_VOTE).where(_V.member_id == bindparam("member")).order_by(_V.post_id))
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


def _set_tallies(d: Build) -> Any:
    p, q = t.posts.c, t.posts.alias("q").c
    score, guests = _votes(q.id).label("score"), _guests(q.id).label("guests")
    counted = select(q.id, score, guests).where(d.among(q.id, "posts")).subquery("counted").c
    return (
        update(t.posts)
        .where(p.id == counted.id, (p.score != counted.score) | (p.guests != counted.guests))
        .values(score=counted.score, guests=counted.guests, version=p.version + 1)
        .returning(p.id, p.version)
    )


def _set_scores(d: Build) -> Any:
    """Of posts that lost no vote: one without any is not among the groups. Takes half the time of the other form."""
    score = func.count().label("score")
    voted = select(_V.post_id, score).where(d.among(_V.post_id, "posts"), _V.value == 1)
    counted = voted.group_by(_V.post_id).subquery("counted").c
    return (
        update(t.posts)
        .where(_P.id == counted.post_id, _P.score != counted.score)
        .values(score=counted.score, version=_P.version + 1)
        .returning(_P.id, _P.version)
    )


SET_TALLIES = Statement(_set_tallies)
SET_SCORES = Statement(_set_scores)


def _found(row: Row) -> Signal:
    """Of a statement, which has made times of the numbers already."""
    post, account, chat, message, emoji, ref, at, superseded = row
    return Signal(post, account, chat, message, emoji, ref, at, bool(superseded))


class VoteStore:
    def __init__(self, run: Runner) -> None:
        self._run = run
        self.signals = run.shelf(SIGNALS)
        self.votes = run.shelf(VOTES)
        self.speakers = run.shelf(SPEAKERS)
        self.about = run.shelf(REACTED)

    def reacted(self, chat: ChatId, message_key: str, account: AccountRef) -> Reacted | None:
        return self.about.one((chat, message_key, account.platform, account.key))

    def first(self, signal: Signal, vote: Vote) -> bool:
        post, account = signal.post_id, signal.account_id
        by_account, by_member = (post, account), (post, vote.member_id)
        in_hand = by_member in self.votes.known or by_account in self.signals.known
        if in_hand or by_account in self.speakers.known:
            return False
        speaker = (post, account, vote.member_id)
        at = micros(signal.at)
        acted_at = at if vote.acted_at is signal.at else micros(vote.acted_at)
        self.signals.add(by_account, signal, _signal_row(signal, at))
        self.votes.add(by_member, vote, _vote_row(vote, acted_at))
        self.speakers.add(by_account, speaker, speaker)
        return True

    # signals
    def put_signal(self, signal: Signal) -> None:
        key = (signal.post_id, signal.account_id)
        held = self.signals.all(key)
        self.signals.put(key, (*_others(held, signal), signal) if held else (signal,))

    def signals_on(self, post: PostId, account: AccountId, chat: ChatId, message_key: str) -> list[Signal]:
        held = self.signals.all((post, account))
        return [s for s in held if s.chat_id == chat and s.message_key == message_key]

    def signals_by(self, account: AccountId) -> list[Signal]:
        return [_found(row) for row in self._run.all(SIGNALS_BY, account=account)]

    def signals_on_message(self, post: PostId, chat: ChatId, message_key: str) -> list[Signal]:
        return [
            _found(row) for row in self._run.all(SIGNALS_ON_MESSAGE, post=post, chat=chat, key=message_key)
        ]

    def signal_by_ref(self, chat: ChatId, ref_key: str) -> Signal | None:
        row = self._run.one(SIGNAL_BY_REF, chat=chat, ref=ref_key)
        return None if row is None else _found(row)

    def supersede(self, post: PostId, accounts: list[AccountId]) -> None:
        for account in accounts:
            held = self.signals.all((post, account))
            if not all(s.superseded for s in held):
                self.signals.put((post, account), tuple(structs.replace(s, superseded=True) for s in held))

    def drop_signal(self, signal: Signal) -> None:
        held = self.signals.all((signal.post_id, signal.account_id))
        self.signals.put((signal.post_id, signal.account_id), tuple(_others(held, signal)))

    def forget_guests(self, before: datetime) -> set[PostId]:
        """Erases guests' reactions older than that. Returns the posts whose tally changes."""
        return {PostId(row[0]) for row in self._run.all(FORGET_GUESTS, before=before)}

    # votes
    def vote(self, post: PostId, member: MemberId) -> Vote | None:
        return self.votes.one((post, member))

    def votes_by(self, member: MemberId) -> list[Vote]:
        return [Vote(*row) for row in self._run.all(VOTES_BY, member=member)]

    def put_vote(self, vote: Vote) -> None:
        self.votes.put((vote.post_id, vote.member_id), (vote,))

    def drop_vote(self, post: PostId, member: MemberId) -> None:
        self.votes.put((post, member), ())

    def spoke_for(self, post: PostId, account: AccountId) -> MemberId | None:
        """For whom this account spoke first on this post, if it ever did."""
        found = self.speakers.one((post, account))
        return None if found is None else MemberId(found[2])

    def speaks_for(self, post: PostId, account: AccountId, member: MemberId) -> MemberId:
        """For whom this account spoke first on this post; from now on for ``member`` if it never did."""
        found = self.speakers.one((post, account))
        if found is not None:
            return MemberId(found[2])
        self.speakers.put((post, account), ((post, account, member),))
        return member

    def move_speakers(self, loser: MemberId, winner: MemberId) -> None:
        self._run.run(MOVE_SPEAKERS, loser=loser, winner=winner)

    # tallies
    def recount(self, posts: Collection[PostId]) -> dict[PostId, int]:
        return dict(self._run.all(SET_TALLIES, posts=sorted(posts)))

    def count_more(self, posts: Collection[PostId]) -> dict[PostId, int]:
        return dict(self._run.all(SET_SCORES, posts=sorted(posts)))


def _others(held: tuple[Signal, ...], signal: Signal) -> list[Signal]:
    """Without this one: one account's one emoji on one message."""
    on = (signal.chat_id, signal.message_key, signal.emoji)
    return [s for s in held if (s.chat_id, s.message_key, s.emoji) != on]
