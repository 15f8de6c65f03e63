"""Posts as people look for them. The plain forms: exact, and quick enough until the timelines get their own paths."""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, func, literal, or_, select, tuple_

from core.records import Boosted, Post, Reader
from core.types import ChatId, CommunityId, MemberId, Visibility
from storage import tables as t
from storage.posts import POST_COLUMNS, reaches, read_post
from storage.statements import Build, Runner, Statement

_P, _G, _B, _C = t.posts.c, t.post_tags.c, t.boosts.c, t.copies.c
_STANDS = _P.deleted_at.is_(None)
#: How many of the newest posts are looked at for the tags that are in use, and how far back: the milliseconds of thirty
#: days, as ids count them.
_RECENT, _LATELY = 2000, 30 * 86_400_000 << 22


def _tagged(d: Build) -> Any:
    return select(literal(1)).where(_G.post_id == _P.id, d.among(_G.tag, "tags")).exists()


def _followed(d: Build) -> Any:
    """By an author, in a community or with a tag that the reader follows: yes or no, never unknown."""
    inside = _P.community_id.is_not(None) & d.among(_P.community_id, "followed")
    return or_(d.among(_P.author_id, "authors"), inside, _tagged(d))


def _home(d: Build) -> Any:
    mine = _P.author_id == bindparam("reader")
    return (
        select(*POST_COLUMNS)
        .where(_P.id < bindparam("before"), _STANDS, or_(mine, _followed(d) & reaches(d)))
        .order_by(_P.id.desc())
        .limit(bindparam("count"))
    )


def _boosted(d: Build) -> Any:
    first = t.boosts.alias()
    before = tuple_(first.c.at, first.c.member_id) < tuple_(_B.at, _B.member_id)
    by_another = (
        select(first.c.post_id)
        .where(first.c.post_id == _B.post_id, d.among(first.c.member_id, "authors"), before)
        .exists()
    )
    return (
        select(*POST_COLUMNS, _B.member_id, _B.at)
        .select_from(t.boosts.join(t.posts, _P.id == _B.post_id))
        .where(
            d.among(_B.member_id, "authors"),
            _STANDS,
            _P.author_id != bindparam("reader"),
            reaches(d),
            ~_followed(d),
            ~by_another,
        )
        .order_by(_B.at.desc(), _B.post_id.desc())
        .limit(bindparam("count"))
    )


def _written(d: Build) -> Any:
    """By one author, and for whom it reaches, or (``own``) all of it."""
    seen = (bindparam("own") == 1) | reaches(d)
    return (_P.author_id == bindparam("author")) & _STANDS & seen


def _tags_starting(d: Build) -> Any:
    newest = select(_P.id).where(_P.id >= bindparam("since")).order_by(_P.id.desc()).limit(_RECENT).subquery()
    tag = _G.tag.collate("BINARY" if d.name == "sqlite" else "C")
    return (
        select(_G.tag)
        .join(newest, newest.c.id == _G.post_id)
        .join(t.posts, _P.id == _G.post_id)
        .where(tag >= bindparam("low"), tag < bindparam("high"), reaches(d), _STANDS)
        .group_by(_G.tag)
        .order_by(func.count().desc(), tag)
        .limit(bindparam("count"))
    )


def _latest_in(d: Build) -> Any:
    followed = or_(_followed(d), bindparam("everything") == 1)
    visible = or_(
        _P.visibility == Visibility.PUBLIC.value,
        (_P.visibility == Visibility.COMMUNITY.value) & (_P.community_id == bindparam("inside")),
    )
    return select(*POST_COLUMNS).where(_STANDS, followed & visible).order_by(_P.id.desc()).limit(1)


HOME = Statement(_home)
BOOSTED = Statement(_boosted)
WRITTEN = Statement(
    lambda d: select(*POST_COLUMNS).where(_written(d)).order_by(_P.id.desc()).limit(bindparam("count"))
)
COUNT_WRITTEN = Statement(lambda d: select(func.count()).select_from(t.posts).where(_written(d)))
SHOWN_IN = Statement(
    lambda _: (
        select(*POST_COLUMNS)
        .join(t.copies, _C.thing_id == _P.id)
        .where(_C.chat_id == bindparam("chat"), _C.part == 0, _C.ours >= bindparam("ours"), _STANDS)
        .order_by(_C.sent_at.desc(), _P.id.desc())
        .limit(bindparam("count"))
    )
)
NEWEST = Statement(lambda _: select(func.max(_P.id)))
TAGS_STARTING = Statement(_tags_starting)
LATEST_IN = Statement(_latest_in)


class TimelineStore:
    def __init__(self, run: Runner) -> None:
        self._run = run

    def home(self, reader: Reader, *, before: int, count: int) -> list[Post]:
        rows = self._run.all(HOME, **_of(reader), before=before, count=count)
        return [read_post(row) for row in rows]

    def boosted(self, reader: Reader, *, count: int) -> list[Boosted]:
        rows = self._run.all(BOOSTED, **_of(reader), count=count)
        return [Boosted(read_post(tuple(post)), MemberId(by), at) for *post, by, at in rows]

    def written(self, author: MemberId, *, own: bool, inside: list[CommunityId], count: int) -> list[Post]:
        rows = self._run.all(WRITTEN, author=author, own=own, inside=inside, count=count)
        return [read_post(row) for row in rows]

    def count_written(self, author: MemberId, *, own: bool, inside: list[CommunityId]) -> int:
        return int(self._run.scalar(COUNT_WRITTEN, author=author, own=own, inside=inside))

    def shown_in(self, chat: ChatId, *, ours: bool, count: int) -> list[Post]:
        return [read_post(row) for row in self._run.all(SHOWN_IN, chat=chat, ours=ours, count=count)]

    def tags_starting(self, prefix: str, inside: list[CommunityId], count: int) -> list[str]:
        newest = self._run.scalar(NEWEST)
        if newest is None:
            return []
        high, since = prefix + "\U0010ffff", int(newest) - _LATELY
        rows = self._run.all(TAGS_STARTING, low=prefix, high=high, inside=inside, since=since, count=count)
        return [str(tag) for (tag,) in rows]

    def latest_in(
        self,
        *,
        authors: list[int],
        tags: list[str],
        followed: list[int],
        everything: bool,
        inside: CommunityId | None,
    ) -> Post | None:
        row = self._run.one(
            LATEST_IN, authors=authors, tags=tags, followed=followed, everything=everything, inside=inside
        )
        return None if row is None else read_post(row)


def _of(reader: Reader) -> dict[str, Any]:
    return {
        "reader": reader.member,
        "authors": reader.authors,
        "tags": reader.tags,
        "followed": reader.communities,
        "inside": reader.inside,
    }
