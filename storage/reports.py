"""Posts that somebody reported to a community's moderators (family: post)."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, func, null, select, update

from core.records import Reported
from core.types import AccountId, CommunityId, MemberId, PostId
from storage import tables as t
from storage.statements import Build, Runner, Statement
from storage.tables import Instant

_R, _P = t.reports.c, t.posts.c
_OPEN = (_R.community_id == bindparam("community")) & _R.closed_at.is_(None)
_NOW: Any = bindparam("now_at", type_=Instant)


def _add(d: Build) -> Any:
    row = d.insert(t.reports).values(
        {n: bindparam(n) for n in ("post_id", "account_id", "community_id", "reason", "at")}
    )
    new = {n: row.excluded[n] for n in ("community_id", "reason", "at")}
    return row.on_conflict_do_update(
        index_elements=[_R.post_id, _R.account_id],
        set_=new | {"closed_at": null()},
        where=_R.closed_at.is_not(None),
    ).returning(_R.post_id)


ADD_REPORT = Statement(_add)
MADE_SINCE = Statement(
    lambda _: (
        select(func.count())
        .select_from(t.reports)
        .where(_R.account_id == bindparam("account"), _R.at > bindparam("since"))
    )
)
OPEN_IN = Statement(
    lambda _: (
        select(_R.post_id, func.count().label("many"), func.min(_R.at, type_=Instant).label("since"))
        .where(_OPEN)
        .group_by(_R.post_id)
        .order_by(func.min(_R.at), _R.post_id)
        .limit(bindparam("count"))
    )
)
REASONS = Statement(
    lambda d: (
        select(_R.post_id, _R.reason)
        .where(_OPEN, d.among(_R.post_id, "posts"), _R.reason != "")
        .order_by(_R.at, _R.account_id)
    )
)
CLOSE = Statement(
    lambda _: (
        update(t.reports)
        .where(_OPEN, _R.post_id == bindparam("post"))
        .values(closed_at=_NOW)
        .returning(_R.account_id)
    )
)
CLOSE_OF_AUTHOR = Statement(
    lambda _: (
        update(t.reports)
        .where(
            _OPEN,
            select(_P.id).where(_P.id == _R.post_id, _P.author_id == bindparam("author")).exists(),
        )
        .values(closed_at=_NOW)
    )
)
CLOSE_ELSEWHERE = Statement(
    lambda _: (
        update(t.reports)
        .where(
            _R.post_id == bindparam("post"),
            _R.closed_at.is_(None),
            _R.community_id.is_distinct_from(bindparam("community")),
        )
        .values(closed_at=_NOW)
    )
)
CLOSE_EVERYWHERE = Statement(
    lambda _: (
        update(t.reports)
        .where(_R.post_id == bindparam("post"), _R.closed_at.is_(None))
        .values(closed_at=_NOW)
    )
)
FORGET_REPORTS = Statement(lambda _: delete(t.reports).where(_R.account_id == bindparam("account")))
CLEAN_REPORTS = Statement(lambda _: delete(t.reports).where(_R.closed_at < bindparam("before")))


class ReportStore:
    def __init__(self, run: Runner) -> None:
        self._run = run

    def add(
        self, post: PostId, account: AccountId, community: CommunityId, reason: str, now: datetime
    ) -> bool:
        # The post may be as new as this transaction.
        self._run.flush()
        row = self._run.one(
            ADD_REPORT, post_id=post, account_id=account, community_id=community, reason=reason, at=now
        )
        return row is not None

    def made_since(self, account: AccountId, since: datetime) -> int:
        return int(self._run.scalar(MADE_SINCE, account=account, since=since))

    def open_in(self, community: CommunityId, count: int) -> list[Reported]:
        rows = self._run.all(OPEN_IN, community=community, count=count)
        reasons: dict[int, list[str]] = defaultdict(list)
        for post, reason in self._run.all(REASONS, community=community, posts=[row[0] for row in rows]):
            reasons[post].append(reason)
        return [Reported(PostId(post), int(many), since, tuple(reasons[post])) for post, many, since in rows]

    def close(self, post: PostId, community: CommunityId, now: datetime) -> int:
        return len(self._run.all(CLOSE, post=post, community=community, now_at=now))

    def close_of_author(self, author: MemberId, community: CommunityId, now: datetime) -> None:
        self._run.run(CLOSE_OF_AUTHOR, author=author, community=community, now_at=now)

    def close_elsewhere(self, post: PostId, community: CommunityId | None, now: datetime) -> None:
        self._run.run(CLOSE_ELSEWHERE, post=post, community=community, now_at=now)

    def close_everywhere(self, post: PostId, now: datetime) -> None:
        self._run.run(CLOSE_EVERYWHERE, post=post, now_at=now)

    def forget(self, account: AccountId) -> None:
        self._run.run(FORGET_REPORTS, account=account)

    def clean(self, before: datetime) -> None:
        self._run.run(CLEAN_REPORTS, before=before)
