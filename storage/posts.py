"""Posts, their revisions, tags and places; relayed talk."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, literal, or_, select, update

from core.records import Post, Relay, Revision
from core.types import AccountId, ChatId, CommunityId, MemberId, PostId, ThingId, Visibility
from storage import tables as t
from storage.keyed import Bulk, Keyed, Row
from storage.statements import Build, Runner, Statement
from storage.tables import from_micros, to_micros

_P = t.posts.c
_POST_NAMES = (
    "id", "author_id", "account_id", "community_id", "chat_id",
    "visibility", "reply_to", "revision", "version",
    "score", "guests", "created_at", "deleted_at", "quote_of",
)  # fmt: skip
POST_COLUMNS = tuple(_P[name] for name in _POST_NAMES)


def _kept(row: Row) -> Post:
    (id_, author, account, community, chat, visibility, reply_to, revision, version, score, guests, created_at,
     deleted_at, quote_of) = row  # fmt: skip
    return Post(
        id=id_,
        author_id=author,
        account_id=account,
        community_id=community,
        chat_id=chat,
        visibility=Visibility(visibility),
        reply_to=reply_to,
        revision=revision,
        version=version,
        score=score,
        guests=guests,
        created_at=from_micros(created_at),
        deleted_at=None if deleted_at is None else from_micros(deleted_at),
        quote_of=quote_of,
    )


POST = Keyed(t.posts, POST_COLUMNS, (_P.id,), _kept)
POSTS = Statement(lambda d: select(*POST_COLUMNS).where(d.among(_P.id, "ids")).order_by(_P.id))
_NEW = ("id", "author_id", "account_id", "community_id", "chat_id", "visibility", "reply_to", "created_at")
ADD_POST = Bulk.insert(t.posts, _NEW)
ADD_QUOTE = Bulk.insert(t.posts, (*_NEW, "quote_of"))


def reaches(d: Build) -> Any:
    """For everybody, or for a community among these (``inside``)."""
    return or_(
        _P.visibility == Visibility.PUBLIC.value,
        (_P.visibility == Visibility.COMMUNITY.value) & d.among(_P.community_id, "inside"),
    )


LATEST_OF = Statement(
    lambda _: (
        select(*POST_COLUMNS)
        .where(_P.author_id == bindparam("author"), _P.deleted_at.is_(None))
        .order_by(_P.id.desc())
        .limit(1)
    )
)
WRITTEN_FROM = Statement(
    lambda d: (
        select(literal(1))
        .where(
            _P.author_id == t.accounts.c.member_id,
            t.accounts.c.id == bindparam("account"),
            _P.account_id == bindparam("account"),
            _P.deleted_at.is_(None),
            reaches(d),
        )
        .limit(1)
    )
)
REVISE = Statement(
    lambda _: (
        update(t.posts)
        .where(_P.id == bindparam("post"))
        .values(revision=_P.revision + 1, version=_P.version + 1)
    )
)
BUMP = Statement(lambda _: update(t.posts).where(_P.id == bindparam("post")).values(version=_P.version + 1))
SET_VISIBILITY = Statement(
    lambda _: (
        update(t.posts)
        .where(_P.id == bindparam("post"))
        .values(visibility=bindparam("seen_by"), version=_P.version + 1)
    )
)
BUMP_ALL_OF = Statement(
    lambda _: (
        update(t.posts)
        .where(_P.author_id == bindparam("author"), _P.deleted_at.is_(None))
        .values(version=_P.version + 1)
        .returning(_P.id)
    )
)
BUMP_QUOTING = Statement(
    lambda _: (
        update(t.posts)
        .where(
            or_(_P.quote_of == bindparam("post"), _P.reply_to == bindparam("post")), _P.deleted_at.is_(None)
        )
        .values(version=_P.version + 1)
        .returning(_P.id)
    )
)
DELETE = Statement(
    lambda _: (
        update(t.posts)
        .where(_P.id == bindparam("post"), _P.deleted_at.is_(None))
        .values(deleted_at=bindparam("at"), version=_P.version + 1)
    )
)
MOVE_POSTS = Statement(
    lambda _: update(t.posts).where(_P.author_id == bindparam("loser")).values(author_id=bindparam("winner"))
)

_R = t.revisions.c
_REVISION = (_R.post_id, _R.number, _R.body, _R.source, _R.dialect, _R.at)
ADD_REVISION = Bulk.insert(t.revisions, [column.name for column in _REVISION])
REVISION = Statement(
    lambda _: select(*_REVISION).where(_R.post_id == bindparam("post")).order_by(_R.number.desc()).limit(1)
)
BODIES = Statement(
    lambda d: (
        select(_R.post_id, _R.body)
        .join(t.posts, (_P.id == _R.post_id) & (_P.revision == _R.number))
        .where(d.among(_R.post_id, "ids"))
    )
)
REVISIONS = Statement(lambda _: select(*_REVISION).where(_R.post_id == bindparam("post")).order_by(_R.number))

_G = t.post_tags.c
ADD_TAG = Bulk.insert(t.post_tags, ("post_id", "tag"), ignore=True)
DROP_TAGS = Statement(lambda _: delete(t.post_tags).where(_G.post_id == bindparam("post")))

_L = t.places.c
ADD_PLACE = Bulk.insert(t.places, ("thing_id", "chat_id"), ignore=True)
PLACES = Statement(lambda _: select(_L.chat_id).where(_L.thing_id == bindparam("thing")).order_by(_L.chat_id))
DROP_PLACES_IN = Statement(lambda _: delete(t.places).where(_L.chat_id == bindparam("chat")))

_Y = t.relays.c
_RELAY = (_Y.id, _Y.chat_id, _Y.account_id, _Y.author, _Y.body, _Y.version, _Y.reply_to, _Y.deleted_at)
_NEW_RELAY = ("id", "chat_id", "account_id", "author", "body", "reply_to", "created_at")
ADD_RELAY = Statement(
    lambda d: d.insert(t.relays).values({c: bindparam(c) for c in _NEW_RELAY} | {"version": literal(1)})
)
RELAY = Statement(lambda _: select(*_RELAY).where(_Y.id == bindparam("id")))
REVISE_RELAY = Statement(
    lambda _: (
        update(t.relays)
        .where(_Y.id == bindparam("relay"))
        .values(body=bindparam("new_body"), version=_Y.version + 1)
    )
)
BUMP_RELAY = Statement(
    lambda _: update(t.relays).where(_Y.id == bindparam("relay")).values(version=_Y.version + 1)
)
DELETE_RELAY = Statement(
    lambda _: (
        update(t.relays)
        .where(_Y.id == bindparam("relay"), _Y.deleted_at.is_(None))
        .values(deleted_at=bindparam("at"), version=_Y.version + 1)
    )
)


def read_post(row: Row) -> Post:
    values = dict(zip(_POST_NAMES, row, strict=True))
    return Post(**(values | {"visibility": Visibility(values["visibility"])}))


def _revision(row: Row) -> Revision:
    post, number, body, source, dialect, at = row
    return Revision(post_id=PostId(post), number=number, body=body, source=source, dialect=dialect, at=at)


class PostStore:
    def __init__(self, run: Runner) -> None:
        self._run = run
        self.by_id = run.shelf(POST)
        self._new = run.pile(ADD_POST)
        self._quotes = run.pile(ADD_QUOTE)
        self._revisions = run.pile(ADD_REVISION)
        self._tags = run.pile(ADD_TAG)
        self._places = run.pile(ADD_PLACE)

    def post(self, post: PostId | ThingId) -> Post | None:
        return self.by_id.one(post)

    def posts(self, ids: list[PostId]) -> list[Post]:
        return [read_post(row) for row in self._run.all(POSTS, ids=ids)]

    def latest_of(self, author: MemberId) -> Post | None:
        row = self._run.one(LATEST_OF, author=author)
        return None if row is None else read_post(row)

    def bodies(self, posts: list[PostId]) -> dict[PostId, str]:
        """Their newest words, as stored."""
        return {PostId(post): str(body) for post, body in self._run.all(BODIES, ids=posts)}

    def written_from(self, account: AccountId, inside: list[CommunityId]) -> bool:
        """Whether a post for everybody or for these communities stands that was written from this account."""
        return self._run.one(WRITTEN_FROM, account=account, inside=inside) is not None

    def add(
        self,
        post: PostId,
        *,
        author: MemberId,
        account: AccountId,
        community: CommunityId | None,
        chat: ChatId,
        visibility: Visibility,
        reply_to: PostId | None,
        now: datetime,
        quote_of: PostId | None = None,
    ) -> Post:
        row = (post, author, account, community, chat, visibility._value_, reply_to, to_micros(now))
        if quote_of is None:
            self._new.add(row)
        else:
            self._quotes.add((*row, quote_of))
        new = Post(
            post, author, account, community, chat, visibility, reply_to,
            1, 1, 0, 0, now, None, quote_of,
        )  # fmt: skip
        self.by_id.learn(post, (new,))
        return new

    def add_revision(self, revision: Revision) -> None:
        r = revision
        self._revisions.add((r.post_id, r.number, r.body, r.source, r.dialect, to_micros(r.at)))

    def revise(self, post: PostId) -> None:
        """Counts a revision up, and the version with it."""
        self._run.run(REVISE, post=post)

    def set_visibility(self, post: PostId, visibility: Visibility) -> None:
        """Counts the version up, too."""
        self._run.run(SET_VISIBILITY, post=post, seen_by=visibility)

    def bump(self, post: PostId) -> None:
        self._run.run(BUMP, post=post)

    def bump_all_of(self, author: MemberId) -> list[PostId]:
        return [PostId(post) for (post,) in self._run.all(BUMP_ALL_OF, author=author)]

    def bump_quoting(self, post: PostId) -> list[PostId]:
        return [PostId(id_) for (id_,) in self._run.all(BUMP_QUOTING, post=post)]

    def delete(self, post: PostId, at: datetime) -> None:
        self._run.run(DELETE, post=post, at=at)

    def move(self, loser: MemberId, winner: MemberId) -> None:
        self._run.run(MOVE_POSTS, loser=loser, winner=winner)

    def revision(self, post: PostId) -> Revision:
        """The newest one. Raises ``LookupError``."""
        row = self._run.one(REVISION, post=post)
        if row is None:
            raise LookupError(f"post {post}")
        return _revision(row)

    def revisions(self, post: PostId) -> list[Revision]:
        return [_revision(row) for row in self._run.all(REVISIONS, post=post)]

    def add_tags(self, post: PostId, tags: list[str]) -> None:
        if tags:
            self._tags.extend([(post, tag) for tag in dict.fromkeys(tags)])

    def drop_tags(self, post: PostId) -> None:
        self._run.run(DROP_TAGS, post=post)

    def add_places(self, thing: ThingId, chats: list[ChatId]) -> None:
        if chats:
            self._places.extend([(thing, chat) for chat in chats])

    def places(self, thing: ThingId) -> list[ChatId]:
        return [ChatId(row[0]) for row in self._run.all(PLACES, thing=thing)]

    def drop_places_in(self, chat: ChatId) -> None:
        self._run.run(DROP_PLACES_IN, chat=chat)

    # relayed talk
    def relay(self, relay: ThingId) -> Relay | None:
        row = self._run.one(RELAY, id=relay)
        if row is None:
            return None
        id_, chat, account, author, body, version, reply_to, deleted_at = row
        return Relay(
            id=ThingId(id_),
            chat_id=ChatId(chat),
            account_id=AccountId(account),
            author=author,
            body=body,
            version=version,
            reply_to=None if reply_to is None else ThingId(reply_to),
            deleted_at=deleted_at,
        )

    def add_relay(
        self,
        relay: ThingId,
        chat: ChatId,
        account: AccountId,
        author: str,
        body: str,
        reply_to: ThingId | None,
        now: datetime,
    ) -> None:
        self._run.run(
            ADD_RELAY,
            id=relay,
            chat_id=chat,
            account_id=account,
            author=author,
            body=body,
            reply_to=reply_to,
            created_at=now,
        )

    def revise_relay(self, relay: ThingId, body: str) -> None:
        self._run.run(REVISE_RELAY, relay=relay, new_body=body)

    def bump_relay(self, relay: ThingId) -> None:
        self._run.run(BUMP_RELAY, relay=relay)

    def delete_relay(self, relay: ThingId, at: datetime) -> None:
        self._run.run(DELETE_RELAY, relay=relay, at=at)
