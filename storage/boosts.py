"""Who passed which post on (family: post), and where it stands because of that."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Text, bindparam, cast, delete, select, update

from core.types import ChatId, FeedKind, MemberId, PostId
from storage import tables as t
from storage.statements import Build, Runner, Statement

_B, _P, _O, _M = t.boosts.c, t.posts.c, t.outbox.c, t.mirrors.c


def _add(d: Build) -> Any:
    values: dict[str, Any] = {n: bindparam(n) for n in ("post_id", "member_id", "at")}
    return d.insert(t.boosts).values(values).on_conflict_do_nothing().returning(_B.post_id)


ADD_BOOST = Statement(_add)
DROP_BOOST = Statement(
    lambda _: (
        delete(t.boosts)
        .where(_B.post_id == bindparam("post"), _B.member_id == bindparam("member"))
        .returning(_B.post_id)
    )
)
MIRRORED = Statement(
    lambda _: (
        select(_B.member_id)
        .where(
            _B.post_id == bindparam("post"),
            select(_M.chat_id)
            .where(_M.feed_kind == FeedKind.MEMBER.value, _M.feed_key == cast(_B.member_id, Text))
            .exists(),
        )
        .order_by(_B.at, _B.member_id)
    )
)
SHOWN_BY = Statement(
    lambda _: (
        select(_O.chat_id)
        .where(_O.thing_id == bindparam("post"), _O.boosted_by == bindparam("member"))
        .order_by(_O.chat_id)
    )
)
CREDIT = Statement(
    lambda d: (
        update(t.outbox)
        .where(_O.thing_id == bindparam("post"), d.among(_O.chat_id, "chats"))
        .values(boosted_by=bindparam("member"))
    )
)
_OF_LOSER = select(_B.post_id).where(_B.member_id == bindparam("loser"))
MOVE_CREDIT = Statement(
    lambda _: (
        update(t.outbox)
        .where(_O.thing_id.in_(_OF_LOSER), _O.boosted_by == bindparam("loser"))
        .values(boosted_by=bindparam("winner"))
    )
)
COPY_BOOSTS = Statement(
    lambda d: (
        d.insert(t.boosts)
        .from_select(
            ["post_id", "member_id", "at"],
            select(_B.post_id, bindparam("winner", type_=BigInteger), _B.at).where(
                _B.member_id == bindparam("loser")
            ),
        )
        .on_conflict_do_nothing()
    )
)
DROP_BOOSTS = Statement(lambda _: delete(t.boosts).where(_B.member_id == bindparam("member")))
DROP_OWN = Statement(
    lambda _: delete(t.boosts).where(
        _B.member_id == bindparam("member"),
        select(_P.id).where(_P.id == _B.post_id, _P.author_id == bindparam("member")).exists(),
    )
)


class BoostStore:
    def __init__(self, run: Runner) -> None:
        self._run = run

    def add(self, post: PostId, member: MemberId, now: datetime) -> bool:
        # The post may be as new as this transaction.
        self._run.flush()
        return self._run.one(ADD_BOOST, post_id=post, member_id=member, at=now) is not None

    def drop(self, post: PostId, member: MemberId) -> bool:
        return self._run.one(DROP_BOOST, post=post, member=member) is not None

    def mirrored(self, post: PostId) -> list[MemberId]:
        return [MemberId(member) for (member,) in self._run.all(MIRRORED, post=post)]

    def shown_by(self, post: PostId, member: MemberId) -> list[ChatId]:
        return [ChatId(chat) for (chat,) in self._run.all(SHOWN_BY, post=post, member=member)]

    def credit(self, post: PostId, chats: list[ChatId], member: MemberId | None) -> None:
        if chats:
            self._run.run(CREDIT, post=post, chats=chats, member=member)

    def move(self, loser: MemberId, winner: MemberId) -> None:
        self._run.run(MOVE_CREDIT, loser=loser, winner=winner)
        self._run.run(COPY_BOOSTS, loser=loser, winner=winner)
        self._run.run(DROP_BOOSTS, member=loser)
        self._run.run(DROP_OWN, member=winner)
