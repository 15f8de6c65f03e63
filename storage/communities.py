"""Communities, their chats, what those mirror, and who is banned."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, bindparam, delete, func, literal, select, union, update

from core.records import Chat, ChatState, Community, Doubt, Look, Mirror
from core.types import AccountId, ChatId, ChatRef, CommunityId, Feed, FeedKind, MemberId, Platform
from storage import tables as t
from storage.keyed import Keyed, Row
from storage.statements import Build, Runner, Statement
from storage.tables import Instant, to_micros

_C = t.communities.c
_COMMUNITY = (_C.id, _C.slug, _C.title, _C.paused, _C.hold_seconds, _C.doubt)


def _community(row: Row) -> Community:
    id_, slug, title, paused, hold_seconds, doubt = row
    return Community(
        id=CommunityId(id_),
        slug=slug,
        title=title,
        paused=bool(paused),
        hold_seconds=hold_seconds,
        doubt=Doubt(doubt),
    )


COMMUNITY = Keyed(t.communities, _COMMUNITY, (_C.id,), _community)
COMMUNITY_BY_SLUG = Statement(lambda _: select(*_COMMUNITY).where(_C.slug == bindparam("slug")))
COMMUNITIES = Statement(lambda _: select(*_COMMUNITY).order_by(_C.slug).limit(200))
ADD_COMMUNITY = Statement(
    lambda d: d.insert(t.communities).values(
        {c: bindparam(c) for c in ("id", "slug", "title", "hold_seconds", "doubt", "created_at")}
    )
)
SET_DOUBT = Statement(
    lambda _: update(t.communities).where(_C.id == bindparam("community")).values(doubt=bindparam("choice"))
)
SET_HOLD = Statement(
    lambda _: (
        update(t.communities).where(_C.id == bindparam("community")).values(hold_seconds=bindparam("seconds"))
    )
)
SET_PAUSED = Statement(
    lambda _: update(t.communities).where(_C.id == bindparam("community")).values(paused=bindparam("flag"))
)

_H = t.chats.c
CHAT = (_H.id, _H.platform, _H.key, _H.community_id, _H.title, _H.private, _H.closed, _H.relay, _H.language, _H.state,
        _H.reason, _H.look, _H.look_lost)  # fmt: skip


def chat_of(row: Row) -> Chat:
    id_, platform, key, community, title, private, closed, relay, language, state, reason, look, look_lost = (
        row
    )
    return Chat(
        id=ChatId(id_),
        ref=ChatRef(Platform(platform), key),
        community_id=None if community is None else CommunityId(community),
        title=title,
        private=bool(private),
        closed=bool(closed),
        relay=bool(relay),
        language=language,
        state=ChatState(state),
        reason=reason,
        look=Look(look),
        look_lost=look_lost,
    )


CHAT_BY_REF = Keyed(t.chats, CHAT, (_H.platform, _H.key), chat_of)
CHAT_BY_ID = Keyed(t.chats, CHAT, (_H.id,), chat_of)
CHATS_OF = Statement(lambda _: select(*CHAT).where(_H.community_id == bindparam("community")).order_by(_H.id))
CHATS_ON = Statement(
    lambda _: select(_H.platform, _H.key).where(_H.platform == bindparam("on"), _H.community_id.is_not(None))
)
LOST = Statement(
    lambda _: select(*CHAT).where(_H.state != "active", _H.community_id.is_not(None)).order_by(_H.id)
)


def _add_chat(d: Build) -> Any:
    names = ("id", "platform", "key", "title", "private", "closed", "language", "created_at")
    return d.insert(t.chats).values({n: bindparam(n) for n in names})


ADD_CHAT = Statement(_add_chat)
DESCRIBE_CHAT = Statement(
    lambda _: (
        update(t.chats)
        .where(_H.id == bindparam("chat"))
        .values(
            title=bindparam("new_title"), private=bindparam("new_private"), closed=bindparam("new_closed")
        )
    )
)
SET_COMMUNITY = Statement(
    lambda _: (
        update(t.chats)
        .where(_H.id == bindparam("chat"))
        .values(community_id=bindparam("community"), set_up_by=bindparam("account"))
    )
)
SET_RELAY = Statement(
    lambda _: update(t.chats).where(_H.id == bindparam("chat")).values(relay=bindparam("flag"))
)
SET_LOOK = Statement(
    lambda _: (
        update(t.chats)
        .where(_H.id == bindparam("chat"))
        .values(look=bindparam("new_look"), look_lost=bindparam("why"))
    )
)
PINNED = Statement(lambda _: select(_H.pinned_key).where(_H.id == bindparam("chat")))
SET_PINNED = Statement(
    lambda _: update(t.chats).where(_H.id == bindparam("chat")).values(pinned_key=bindparam("message"))
)
SET_STATE = Statement(
    lambda _: (
        update(t.chats)
        .where(_H.id == bindparam("chat"))
        .values(
            state=bindparam("new_state"),
            reason=bindparam("new_reason"),
            state_at=bindparam("now", type_=Instant),
        )
    )
)
TELL_OF = Statement(
    lambda _: (
        update(t.chats)
        .where(_H.id == bindparam("chat"), _H.told_at.is_(None) | (_H.told_at < _H.state_at))
        .values(told_at=bindparam("now", type_=Instant))
        .returning(_H.id)
    )
)
MOVE_CHAT = Statement(
    lambda _: (
        update(t.chats)
        .where(_H.id == bindparam("chat"))
        .values(platform=bindparam("new_platform"), key=bindparam("new_key"))
    )
)
RELAYED_WITH = Statement(
    lambda _: (
        select(*CHAT)
        .where(
            _H.community_id == bindparam("community"),
            _H.relay == 1,
            _H.state != "gone",
            _H.id != bindparam("chat"),
        )
        .order_by(_H.id)
    )
)

_M = t.mirrors.c
KEEPERS = Statement(
    lambda _: union(
        select(_H.set_up_by).where(_H.id == bindparam("chat"), _H.set_up_by.is_not(None)),
        select(_M.added_by).where(_M.chat_id == bindparam("chat"), _M.added_by.is_not(None)),
    )
)
TOLD_SINCE = Statement(
    lambda _: (
        select(literal(1))
        .where(
            _H.told_at > bindparam("since"),
            (_H.set_up_by == bindparam("account"))
            | select(literal(1)).where(_M.chat_id == _H.id, _M.added_by == bindparam("account")).exists(),
        )
        .limit(1)
    )
)
_B = t.mirror_blocks.c
_N = t.bans.c
_BLOCKING = (
    select(func.count()).select_from(t.mirror_blocks).where(_B.chat_id == _H.id).correlate(t.chats)
).scalar_subquery()
#: The chats that want what stands in a feed, and how much each of them blocks.
MIRRORING = Keyed(
    t.mirrors,
    (*CHAT, _BLOCKING.label("blocking")),
    (_M.feed_kind, _M.feed_key),
    lambda row: (chat_of(row[:-1]), row[-1]),
    source=t.mirrors.join(t.chats, _H.id == _M.chat_id),
    also=(t.mirrors, t.mirror_blocks),
)
BLOCKS = Keyed(
    t.mirror_blocks,
    (_B.chat_id, _B.feed_kind, _B.feed_key),
    (_B.chat_id,),
    lambda row: Feed(FeedKind(row[1]), row[2]),
)
BANNED = Keyed(t.bans, (_N.community_id, _N.member_id), (_N.community_id, _N.member_id), tuple)


def _add_mirror(d: Build) -> Any:
    names = ("chat_id", "feed_kind", "feed_key", "added_by", "created_at")
    return (
        d.insert(t.mirrors)
        .values({n: bindparam(n) for n in names})
        .on_conflict_do_nothing()
        .returning(_M.chat_id)
    )


def _add_block(d: Build) -> Any:
    names = ("chat_id", "feed_kind", "feed_key")
    return (
        d.insert(t.mirror_blocks)
        .values({n: bindparam(n) for n in names})
        .on_conflict_do_nothing()
        .returning(_B.chat_id)
    )


def _add_ban(d: Build) -> Any:
    names = ("community_id", "member_id", "by_account_id", "created_at")
    return (
        d.insert(t.bans)
        .values({n: bindparam(n) for n in names})
        .on_conflict_do_nothing()
        .returning(_N.member_id)
    )


ADD_MIRROR = Statement(_add_mirror)
ADD_BLOCK = Statement(_add_block)
ADD_BAN = Statement(_add_ban)
DROP_MIRROR = Statement(
    lambda _: (
        delete(t.mirrors)
        .where(
            _M.chat_id == bindparam("chat"),
            _M.feed_kind == bindparam("kind"),
            _M.feed_key == bindparam("key"),
        )
        .returning(_M.chat_id)
    )
)
DROP_MIRRORS = Statement(lambda _: delete(t.mirrors).where(_M.chat_id == bindparam("chat")))
DROP_BLOCK = Statement(
    lambda _: (
        delete(t.mirror_blocks)
        .where(
            _B.chat_id == bindparam("chat"),
            _B.feed_kind == bindparam("kind"),
            _B.feed_key == bindparam("key"),
        )
        .returning(_B.chat_id)
    )
)
DROP_BAN = Statement(
    lambda _: (
        delete(t.bans)
        .where(_N.community_id == bindparam("community"), _N.member_id == bindparam("member"))
        .returning(_N.member_id)
    )
)
MIRRORS_OF = Statement(
    lambda _: select(_M.feed_kind, _M.feed_key).where(_M.chat_id == bindparam("chat")).order_by(_M.created_at)
)
COPY_BANS = Statement(
    lambda d: (
        d.insert(t.bans)
        .from_select(
            ["community_id", "member_id", "by_account_id", "created_at"],
            select(
                _N.community_id, bindparam("winner", type_=BigInteger), _N.by_account_id, _N.created_at
            ).where(_N.member_id == bindparam("loser")),
        )
        .on_conflict_do_nothing()
    )
)
COUNT_CHATS = Statement(
    lambda _: select(func.count()).select_from(t.chats).where(_H.community_id == bindparam("community"))
)


_S = t.memberships.c
MEMBERSHIP = Keyed(
    t.memberships,
    (_S.community_id, _S.member_id, _S.since),
    (_S.community_id, _S.member_id),
    tuple,
    row=tuple,
    identity=("community_id", "member_id", "since"),
)
MEMBERSHIPS = Statement(lambda _: select(_S.community_id).where(_S.member_id == bindparam("member")))
COPY_MEMBERSHIPS = Statement(
    lambda d: (
        d.insert(t.memberships)
        .from_select(
            ["community_id", "member_id", "since"],
            select(_S.community_id, bindparam("winner", type_=BigInteger), _S.since).where(
                _S.member_id == bindparam("loser")
            ),
        )
        .on_conflict_do_nothing()
    )
)


class CommunityStore:
    def __init__(self, run: Runner) -> None:
        self._run = run
        self.by_community_id = run.shelf(COMMUNITY)
        self.by_ref = run.shelf(CHAT_BY_REF)
        self.by_id = run.shelf(CHAT_BY_ID)
        self.mirrors = run.shelf(MIRRORING)
        self.blocks = run.shelf(BLOCKS)
        self.bans = run.shelf(BANNED)
        self.memberships = run.shelf(MEMBERSHIP)

    def community(self, community: CommunityId) -> Community:
        """Raises ``LookupError``."""
        found = self.by_community_id.one(community)
        if found is None:
            raise LookupError(f"community {community}")
        return found

    def by_slug(self, slug: str) -> Community | None:
        row = self._run.one(COMMUNITY_BY_SLUG, slug=slug)
        return None if row is None else _community(row)

    def all(self) -> list[Community]:
        return [_community(row) for row in self._run.all(COMMUNITIES)]

    def add(
        self, community: CommunityId, slug: str, title: str, hold_seconds: int, doubt: Doubt, now: datetime
    ) -> None:
        self._run.run(
            ADD_COMMUNITY,
            id=community,
            slug=slug,
            title=title,
            hold_seconds=hold_seconds,
            doubt=doubt,
            created_at=now,
        )

    def set_doubt(self, community: CommunityId, doubt: Doubt) -> None:
        self._run.run(SET_DOUBT, community=community, choice=doubt)

    def set_hold(self, community: CommunityId, seconds: int) -> None:
        """How long its members' posts wait before they travel."""
        self._run.run(SET_HOLD, community=community, seconds=seconds)

    def set_paused(self, community: CommunityId, flag: bool) -> None:
        self._run.run(SET_PAUSED, community=community, flag=flag)

    # chats
    def chat(self, ref: ChatRef) -> Chat | None:
        return self.by_ref.one((ref.platform, ref.key))

    def chat_by_id(self, chat: ChatId) -> Chat:
        """Raises ``LookupError``."""
        found = self.by_id.one(chat)
        if found is None:
            raise LookupError(f"chat {chat}")
        return found

    def chats_by_id(self, ids: list[ChatId]) -> dict[ChatId, Chat]:
        self.by_id.read_ahead(ids)
        return {chat.id: chat for id_ in ids for chat in self.by_id.all(id_)}

    def chats_of(self, community: CommunityId) -> list[Chat]:
        return [chat_of(row) for row in self._run.all(CHATS_OF, community=community)]

    def count_chats(self, community: CommunityId) -> int:
        return int(self._run.scalar(COUNT_CHATS, community=community))

    def watched(self, platform: Platform) -> list[ChatRef]:
        return [ChatRef(Platform(p), key) for p, key in self._run.all(CHATS_ON, on=platform)]

    def lost(self) -> list[Chat]:
        return [chat_of(row) for row in self._run.all(LOST)]

    def add_chat(
        self,
        chat: ChatId,
        ref: ChatRef,
        title: str,
        private: bool,
        closed: bool,
        language: str,
        now: datetime,
    ) -> None:
        self._run.run(
            ADD_CHAT,
            id=chat,
            platform=ref.platform,
            key=ref.key,
            title=title,
            private=private,
            closed=closed,
            language=language,
            created_at=now,
        )

    def describe_chat(self, chat: ChatId, title: str, private: bool, closed: bool) -> None:
        self._run.run(DESCRIBE_CHAT, chat=chat, new_title=title, new_private=private, new_closed=closed)

    def set_community(self, chat: ChatId, community: CommunityId | None, by: AccountId | None = None) -> None:
        self._run.run(SET_COMMUNITY, chat=chat, community=community, account=by)

    def keepers(self, chat: ChatId) -> list[AccountId]:
        return [AccountId(account) for (account,) in self._run.all(KEEPERS, chat=chat)]

    def set_relay(self, chat: ChatId, flag: bool) -> None:
        self._run.run(SET_RELAY, chat=chat, flag=flag)

    def set_look(self, chat: ChatId, look: Look, lost: str) -> None:
        """In whose name posts are shown there, and why not (any more) in their authors'."""
        self._run.run(SET_LOOK, chat=chat, new_look=look, why=lost)

    def pinned(self, chat: ChatId) -> str:
        """The key of our pinned notice there, or an empty string."""
        return str(self._run.scalar(PINNED, chat=chat) or "")

    def set_pinned(self, chat: ChatId, message_key: str) -> None:
        self._run.run(SET_PINNED, chat=chat, message=message_key)

    def set_state(self, chat: ChatId, state: ChatState, reason: str, now: datetime) -> None:
        self._run.run(SET_STATE, chat=chat, new_state=state, new_reason=reason, now=now)

    def tell_of(self, chat: ChatId, now: datetime) -> bool:
        return self._run.one(TELL_OF, chat=chat, now=now) is not None

    def told_since(self, keeper: AccountId, since: datetime) -> bool:
        return self._run.one(TOLD_SINCE, account=keeper, since=since) is not None

    def move_chat(self, chat: ChatId, to: ChatRef) -> None:
        self._run.run(MOVE_CHAT, chat=chat, new_platform=to.platform, new_key=to.key)

    def relayed_with(self, community: CommunityId, chat: ChatId) -> list[Chat]:
        return [chat_of(row) for row in self._run.all(RELAYED_WITH, community=community, chat=chat)]

    # mirrors
    def add_mirror(self, chat: ChatId, feed: Feed, by: AccountId | None, now: datetime) -> bool:
        row = self._run.one(
            ADD_MIRROR, chat_id=chat, feed_kind=feed.kind, feed_key=feed.key, added_by=by, created_at=now
        )
        return row is not None

    def drop_mirror(self, chat: ChatId, feed: Feed) -> bool:
        return self._run.one(DROP_MIRROR, chat=chat, kind=feed.kind, key=feed.key) is not None

    def drop_mirrors(self, chat: ChatId) -> None:
        self._run.run(DROP_MIRRORS, chat=chat)

    def mirrors_of(self, chat: ChatId) -> list[Mirror]:
        return [
            Mirror(chat_id=chat, feed=Feed(FeedKind(k), key))
            for k, key in self._run.all(MIRRORS_OF, chat=chat)
        ]

    def block(self, chat: ChatId, what: Feed) -> bool:
        return self._run.one(ADD_BLOCK, chat_id=chat, feed_kind=what.kind, feed_key=what.key) is not None

    def unblock(self, chat: ChatId, what: Feed) -> bool:
        return self._run.one(DROP_BLOCK, chat=chat, kind=what.kind, key=what.key) is not None

    def blocks_of(self, chat: ChatId) -> list[Feed]:
        return sorted(self.blocks.all(chat), key=lambda feed: feed.key)

    def mirroring(
        self, feeds: list[Feed], blocks: list[Feed], author: MemberId, origin: ChatId
    ) -> list[Chat]:
        """Chats that want a post standing in these feeds, by id; not those that block one of ``blocks`` or its author.

        A ban of the author is said by the chat's community.
        """
        wanting: dict[ChatId, Chat] = {}
        blocking: set[ChatId] = set()
        mirrors = self.mirrors.all
        for feed in feeds:
            for chat, blocks_some in mirrors((feed.kind._value_, feed.key)):
                if chat.id != origin and chat.state is not ChatState.GONE:
                    wanting[chat.id] = chat
                    if blocks_some:
                        blocking.add(chat.id)
        for id_ in self._refusing(blocking, blocks) if blocking and blocks else ():
            del wanting[id_]
        homes = {chat.community_id for chat in wanting.values()}
        banned = [home for home in homes if home is not None and self.banned(home, author)]
        chats = [wanting[id_] for id_ in sorted(wanting)]
        return [chat for chat in chats if chat.community_id not in banned] if banned else chats

    def _refusing(self, chats: Iterable[ChatId], feeds: list[Feed]) -> list[ChatId]:
        """Those of these chats that block one of the feeds."""
        self.blocks.read_ahead(chats)
        return [chat for chat in chats if not set(self.blocks.all(chat)).isdisjoint(feeds)]

    # who is where
    def add_membership(self, community: CommunityId, member: MemberId, now: datetime) -> None:
        if not self.memberships.all((community, member)):
            self.memberships.put((community, member), ((community, member, to_micros(now)),))

    def of_member(self, member: MemberId) -> list[CommunityId]:
        """The communities in whose rooms this member was seen."""
        return [CommunityId(row[0]) for row in self._run.all(MEMBERSHIPS, member=member)]

    def merge_memberships(self, loser: MemberId, winner: MemberId) -> None:
        self._run.run(COPY_MEMBERSHIPS, loser=loser, winner=winner)

    # bans
    def ban(self, community: CommunityId, member: MemberId, by: AccountId, now: datetime) -> bool:
        row = self._run.one(
            ADD_BAN, community_id=community, member_id=member, by_account_id=by, created_at=now
        )
        return row is not None

    def unban(self, community: CommunityId, member: MemberId) -> bool:
        return self._run.one(DROP_BAN, community=community, member=member) is not None

    def move_bans(self, loser: MemberId, winner: MemberId) -> None:
        """A ban holds for the person, whichever member it was said of."""
        self._run.run(COPY_BANS, loser=loser, winner=winner)

    def banned(self, community: CommunityId, member: MemberId) -> bool:
        return bool(self.bans.all((community, member)))
