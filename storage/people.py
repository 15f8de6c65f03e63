"""Members, their accounts, one-time codes and who follows what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any

from msgspec import structs
from sqlalchemy import bindparam, delete, func, literal, or_, select, update

from core.records import Account, Code, Member
from core.types import (
    AccountId,
    AccountRef,
    ChatId,
    CommunityId,
    Feed,
    FeedKind,
    MemberId,
    Platform,
    Visibility,
)
from storage import tables as t
from storage.keyed import Bulk, Keyed, Row
from storage.statements import Build, Runner, Statement
from storage.tables import Instant, from_micros, to_micros

_A = t.accounts.c
_M = t.members.c
_ACCOUNT = (
    _A.id,
    _A.platform,
    _A.key,
    _A.name,
    _A.username,
    _A.locale,
    _A.member_id,
    _A.private_chat_id,
    _A.opted_out,
)
_MEMBER = (_M.id, _M.handle, _M.language, _M.show_name, _M.name, _M.posts, _M.joined_at)


def _account(row: Row) -> Account:
    id_, platform, key, name, username, locale, member, chat, opted_out = row
    return Account(
        id=AccountId(id_),
        ref=AccountRef(Platform(platform), key),
        name=name,
        username=username,
        locale=locale,
        member_id=None if member is None else MemberId(member),
        private_chat_id=None if chat is None else ChatId(chat),
        opted_out=bool(opted_out),
    )


def _member(row: Row) -> Member:
    id_, handle, language, show_name, name, posts, joined_at = row
    return Member(
        id=MemberId(id_),
        handle=handle,
        language=language,
        show_name=bool(show_name),
        name=name,
        posts=posts,
        joined_at=from_micros(joined_at),
    )


def _count_posts(given: Sequence[Any]) -> Any:
    more, member = given
    return update(t.members).where(_M.id == member).values(posts=_M.posts + more)


def _added_up(rows: list[Row]) -> list[Row]:
    found: Counter[int] = Counter()
    for more, member in rows:
        found[member] += more
    return [(more, member) for member, more in sorted(found.items())]


ACCOUNT_BY_REF = Keyed(t.accounts, _ACCOUNT, (_A.platform, _A.key), _account)
ACCOUNT_BY_ID = Keyed(t.accounts, _ACCOUNT, (_A.id,), _account)
ACCOUNTS_OF = Keyed(t.accounts, _ACCOUNT, (_A.member_id,), _account)
#: What votes need to know of them.
ACCOUNT_IDS = Keyed(t.accounts, (_A.id, _A.member_id), (_A.member_id,), itemgetter(0))
MEMBER_BY_ID = Keyed(t.members, _MEMBER, (_M.id,), _member)
#: How many posts more a member wrote.
COUNT_POSTS = Bulk(t.members, (_M.posts, _M.id), _count_posts, _count_posts)
ADD_ACCOUNT = Statement(
    lambda d: d.insert(t.accounts).values(
        {c: bindparam(c) for c in ("id", "platform", "key", "name", "username", "locale", "seen_at")}
    )
)
RENAME_ACCOUNT = Statement(
    lambda _: (
        update(t.accounts)
        .where(_A.id == bindparam("account"))
        .values(
            name=bindparam("new_name"), username=bindparam("new_username"), locale=bindparam("new_locale")
        )
    )
)
BIND_ACCOUNT = Statement(
    lambda _: update(t.accounts).where(_A.id == bindparam("account")).values(member_id=bindparam("member"))
)
SET_PRIVATE_CHAT = Statement(
    lambda _: (
        update(t.accounts).where(_A.id == bindparam("account")).values(private_chat_id=bindparam("chat"))
    )
)
SET_OPTED_OUT = Statement(
    lambda _: update(t.accounts).where(_A.id == bindparam("account")).values(opted_out=bindparam("flag"))
)
MOVE_ACCOUNTS = Statement(
    lambda _: (
        update(t.accounts).where(_A.member_id == bindparam("loser")).values(member_id=bindparam("winner"))
    )
)

MEMBER_BY_HANDLE = Statement(
    lambda _: select(*_MEMBER).where(_M.handle == bindparam("handle"), _M.merged_into.is_(None))
)
MEMBERS_BY_ID = Statement(lambda d: select(*_MEMBER).where(d.among(_M.id, "ids")))


def _starting(d: Build) -> Any:
    # By code points: a language's own order, PostgreSQL's default, has no place for the end of the range.
    handle = _M.handle.collate("BINARY" if d.name == "sqlite" else "C")
    return (
        select(*_MEMBER)
        .where(handle >= bindparam("low"), handle < bindparam("high"), _M.merged_into.is_(None))
        .order_by(handle)
    )


def _known_starting(d: Build) -> Any:
    shared = t.memberships.c
    around = select(literal(1)).where(shared.member_id == _M.id, d.among(shared.community_id, "inside"))
    posts = t.posts.c
    public = select(literal(1)).where(
        posts.author_id == _M.id, posts.visibility == Visibility.PUBLIC.value, posts.deleted_at.is_(None)
    )
    return _starting(d).where(or_(around.exists(), public.exists())).limit(bindparam("count"))


MEMBERS_STARTING = Statement(lambda d: _starting(d).limit(25))
KNOWN_STARTING = Statement(_known_starting)
SKELETON_TAKEN = Statement(
    lambda _: select(_M.handle).where(
        (_M.skeleton == bindparam("skeleton")) | (_M.handle == bindparam("handle"))
    )
)
ADD_MEMBER = Statement(
    lambda d: d.insert(t.members).values(
        {c: bindparam(c) for c in ("id", "handle", "skeleton", "language", "name", "joined_at")}
    )
)
RENAME_MEMBER = Statement(
    lambda _: (
        update(t.members)
        .where(_M.id == bindparam("member"))
        .values(handle=bindparam("new_handle"), skeleton=bindparam("new_skeleton"))
    )
)
SET_NAME = Statement(
    lambda _: (
        update(t.members)
        .where(_M.id == bindparam("member"))
        .values(show_name=bindparam("shown"), name=bindparam("new_name"))
    )
)
MERGE_MEMBER = Statement(
    lambda _: update(t.members).where(_M.id == bindparam("loser")).values(merged_into=bindparam("winner"))
)

_K = t.kept_handles.c


def _keep_handle(d: Build) -> Any:
    values: dict[str, Any] = {c: bindparam(c) for c in ("handle", "skeleton", "member_id", "until")}
    row = d.insert(t.kept_handles).values(values)
    new = {name: row.excluded[name] for name in values if name != "handle"}
    return row.on_conflict_do_update(index_elements=[_K.handle], set_=new)


KEEP_HANDLE = Statement(_keep_handle)
RELEASE_HANDLE = Statement(lambda _: delete(t.kept_handles).where(_K.handle == bindparam("name")))
KEPT_FOR = Statement(
    lambda _: (
        select(_K.until)
        .where(_K.member_id == bindparam("member"), _K.until > bindparam("at", type_=Instant))
        .order_by(_K.until)
    )
)
KEPT_UNTIL = Statement(
    lambda _: select(func.max(_K.until).label("until")).where(
        (_K.skeleton == bindparam("alike")) | (_K.handle == bindparam("name")),
        _K.member_id != bindparam("but_for"),
        _K.until > bindparam("at", type_=Instant),
    )
)
MOVE_KEPT = Statement(
    lambda _: (
        update(t.kept_handles).where(_K.member_id == bindparam("loser")).values(member_id=bindparam("winner"))
    )
)
CLEAN_HANDLES = Statement(
    lambda _: delete(t.kept_handles).where(_K.until <= bindparam("before", type_=Instant))
)

_C = t.codes.c
_CODE = (_C.hash, _C.purpose, _C.account_id, _C.community_id, _C.chat_id, _C.handle, _C.claimed_by, _C.claim_chat_id,
         _C.claim_handle, _C.expires_at, _C.agreed, _C.used)  # fmt: skip
ADD_CODE = Statement(
    lambda d: d.insert(t.codes).values(
        {
            c: bindparam(c)
            for c in ("hash", "purpose", "account_id", "community_id", "chat_id", "handle", "expires_at")
        }
    )
)
DROP_CODES = Statement(
    lambda _: (
        update(t.codes)
        .where(_C.account_id == bindparam("account"), _C.purpose == bindparam("for_purpose"), _C.used == 0)
        .values(used=1)
    )
)
CODE = Statement(lambda _: select(*_CODE).where(_C.hash == bindparam("hash")))
CODE_CLAIMED = Statement(
    lambda _: (
        select(*_CODE)
        .where(_C.account_id == bindparam("account"), _C.agreed == 1, _C.used == 0)
        .order_by(_C.expires_at.desc())
    )
)
CODE_CLAIMED_BY = Statement(
    lambda _: (
        select(*_CODE)
        .where(_C.claimed_by == bindparam("account"), _C.agreed == 0, _C.used == 0)
        .order_by(_C.expires_at.desc())
    )
)
MOVE_CLAIM = Statement(
    lambda _: (
        update(t.codes)
        .where(_C.hash == bindparam("code"))
        .values(claim_chat_id=bindparam("at_chat"), claim_handle=bindparam("at_handle"))
    )
)
AGREE_TO_CODE = Statement(lambda _: update(t.codes).where(_C.hash == bindparam("code")).values(agreed=1))
CLAIM_CODE = Statement(
    lambda _: (
        update(t.codes)
        .where(_C.hash == bindparam("code"))
        .values(
            claimed_by=bindparam("by"),
            claim_chat_id=bindparam("at_chat"),
            claim_handle=bindparam("at_handle"),
            agreed=0,
        )
    )
)
USE_CODE = Statement(
    lambda _: update(t.codes).where(_C.hash == bindparam("code"), _C.used == 0).values(used=1)
)
CLEAN_CODES = Statement(lambda _: delete(t.codes).where(_C.expires_at < bindparam("before")))

_T = t.code_tries.c
FAILURES = Statement(
    lambda _: select(_T.failures).where(_T.account_id == bindparam("account"), _T.since > bindparam("after"))
)


def _add_failure(d: Build) -> Any:
    row = d.insert(t.code_tries).values(account_id=bindparam("account"), failures=1, since=bindparam("at"))
    return row.on_conflict_do_update(
        index_elements=[_T.account_id], set_={"failures": bindparam("count"), "since": bindparam("since")}
    )


ADD_FAILURE = Statement(_add_failure)
TRY_ROW = Statement(lambda _: select(_T.failures, _T.since).where(_T.account_id == bindparam("account")))

_F = t.follows.c


def _follow(d: Build) -> Any:
    names = ("member_id", "feed_kind", "feed_key", "created_at")
    return (
        d.insert(t.follows)
        .values({n: bindparam(n) for n in names})
        .on_conflict_do_nothing()
        .returning(t.follows.c.member_id)
    )


FOLLOW = Statement(_follow)
UNFOLLOW = Statement(
    lambda _: (
        delete(t.follows)
        .where(
            _F.member_id == bindparam("member"),
            _F.feed_kind == bindparam("kind"),
            _F.feed_key == bindparam("key"),
        )
        .returning(_F.member_id)
    )
)
FOLLOWS = Statement(lambda _: select(_F.feed_kind, _F.feed_key).where(_F.member_id == bindparam("member")))
FOLLOWERS = Statement(
    lambda _: (
        select(func.count())
        .select_from(t.follows)
        .where(_F.feed_kind == FeedKind.MEMBER.value, _F.feed_key == bindparam("key"))
    )
)
UNFOLLOW_ALL = Statement(lambda _: delete(t.follows).where(_F.member_id == bindparam("member")))


def _code(row: Row) -> Code:
    names = ("hash", "purpose", "account_id", "community_id", "chat_id", "handle", "claimed_by", "claim_chat_id",
             "claim_handle", "expires_at")  # fmt: skip
    *values, agreed, used = row
    return Code(**dict(zip(names, values, strict=True)), agreed=bool(agreed), used=bool(used))


def _found(row: Row) -> Member:
    """Of a statement, which has made a time of the number already."""
    return _member((*row[:-1], to_micros(row[-1])))


class PeopleStore:
    def __init__(self, run: Runner) -> None:
        self._run = run
        self.by_ref = run.shelf(ACCOUNT_BY_REF)
        self.by_id = run.shelf(ACCOUNT_BY_ID)
        self.of_member = run.shelf(ACCOUNTS_OF)
        self.ids_of_member = run.shelf(ACCOUNT_IDS)
        self.by_member_id = run.shelf(MEMBER_BY_ID)
        self._written = run.pile(COUNT_POSTS, _added_up)

    # accounts
    def account(self, ref: AccountRef) -> Account | None:
        return self.by_ref.one((ref.platform, ref.key))

    def account_by_id(self, account: AccountId) -> Account:
        """Raises ``LookupError``."""
        found = self.by_id.one(account)
        if found is None:
            raise LookupError(f"account {account}")
        return found

    def accounts_of(self, member: MemberId) -> list[Account]:
        return sorted(self.of_member.all(member), key=lambda account: account.id)

    def account_ids(self, member: MemberId) -> list[AccountId]:
        return list(self.ids_of_member.all(member))

    def add_account(
        self, account: AccountId, ref: AccountRef, name: str, username: str, locale: str, now: datetime
    ) -> None:
        self._run.run(
            ADD_ACCOUNT,
            id=account,
            platform=ref.platform,
            key=ref.key,
            name=name,
            username=username,
            locale=locale,
            seen_at=now,
        )

    def rename_account(self, account: AccountId, name: str, username: str, locale: str) -> None:
        self._run.run(
            RENAME_ACCOUNT, account=account, new_name=name, new_username=username, new_locale=locale
        )

    def bind(self, account: AccountId, member: MemberId | None) -> None:
        self._run.run(BIND_ACCOUNT, account=account, member=member)

    def set_private_chat(self, account: AccountId, chat: ChatId | None) -> None:
        self._run.run(SET_PRIVATE_CHAT, account=account, chat=chat)

    def set_opted_out(self, account: AccountId, flag: bool) -> None:
        self._run.run(SET_OPTED_OUT, account=account, flag=flag)

    # members
    def member(self, member: MemberId) -> Member:
        """Raises ``LookupError``."""
        found = self.by_member_id.one(member)
        if found is None:
            raise LookupError(f"member {member}")
        return found

    def members(self, ids: list[MemberId]) -> dict[MemberId, Member]:
        return {m.id: m for m in (_found(row) for row in self._run.all(MEMBERS_BY_ID, ids=ids))}

    def by_handle(self, handle: str) -> Member | None:
        row = self._run.one(MEMBER_BY_HANDLE, handle=handle)
        return None if row is None else _found(row)

    def starting(self, prefix: str) -> list[Member]:
        return [_found(r) for r in self._run.all(MEMBERS_STARTING, low=prefix, high=prefix + "\U0010ffff")]

    def known_starting(self, prefix: str, inside: list[CommunityId], count: int) -> list[Member]:
        """Members of these communities, and who wrote for everybody, by handle."""
        rows = self._run.all(
            KNOWN_STARTING, low=prefix, high=prefix + "\U0010ffff", inside=inside, count=count
        )
        return [_found(row) for row in rows]

    def handle_like(self, handle: str, skeleton: str) -> str | None:
        """A handle that is the same or could be taken for it, also one of a merged member."""
        found = self._run.scalar(SKELETON_TAKEN, handle=handle, skeleton=skeleton)
        return None if found is None else str(found)

    def add_member(
        self, member: MemberId, handle: str, skeleton: str, language: str, name: str, now: datetime
    ) -> None:
        self._run.run(
            ADD_MEMBER,
            id=member,
            handle=handle,
            skeleton=skeleton,
            language=language,
            name=name,
            joined_at=now,
        )

    def keep_handle(self, handle: str, skeleton: str, member: MemberId, until: datetime) -> None:
        """A handle that its member gave up is nobody else's before then."""
        self._run.run(KEEP_HANDLE, handle=handle, skeleton=skeleton, member_id=member, until=until)

    def release_handle(self, handle: str) -> None:
        """Its member takes it again."""
        self._run.run(RELEASE_HANDLE, name=handle)

    def kept_for(self, member: MemberId, now: datetime) -> list[datetime]:
        """Until when each handle is kept for this member, the soonest first."""
        return [until for (until,) in self._run.all(KEPT_FOR, member=member, at=now)]

    def kept_until(
        self, handle: str, skeleton: str, but_for: MemberId | None, now: datetime
    ) -> datetime | None:
        """Until when this handle, or one that could be taken for it, is kept for somebody else."""
        until = self._run.scalar(KEPT_UNTIL, name=handle, alike=skeleton, but_for=but_for or 0, at=now)
        return until if isinstance(until, datetime) else None

    def clean_handles(self, before: datetime) -> None:
        self._run.run(CLEAN_HANDLES, before=before)

    def rename_member(self, member: MemberId, handle: str, skeleton: str) -> None:
        self._run.run(RENAME_MEMBER, member=member, new_handle=handle, new_skeleton=skeleton)

    def show_name(self, member: MemberId, shown: bool, name: str) -> None:
        self._run.run(SET_NAME, member=member, shown=shown, new_name=name)

    def count_post(self, member: MemberId) -> None:
        held = self.member(member)
        self._written.add((1, member))
        self.by_member_id.learn(member, (structs.replace(held, posts=held.posts + 1),))

    def merge(self, loser: MemberId, winner: MemberId) -> None:
        """Accounts move; the loser's row stays, so that its handle is never given to somebody else."""
        self._run.run(MOVE_ACCOUNTS, loser=loser, winner=winner)
        self._run.run(MOVE_KEPT, loser=loser, winner=winner)
        self._run.run(MERGE_MEMBER, loser=loser, winner=winner)

    # codes
    def add_code(self, code: Code) -> None:
        self._run.run(
            ADD_CODE,
            hash=code.hash,
            purpose=code.purpose,
            account_id=code.account_id,
            community_id=code.community_id,
            chat_id=code.chat_id,
            handle=code.handle,
            expires_at=code.expires_at,
        )

    def drop_codes(self, account: AccountId, purpose: str) -> None:
        self._run.run(DROP_CODES, account=account, for_purpose=purpose)

    def code(self, hash_: str) -> Code | None:
        row = self._run.one(CODE, hash=hash_)
        return None if row is None else _code(row)

    def claimed_code(self, account: AccountId) -> Code | None:
        row = self._run.one(CODE_CLAIMED, account=account)
        return None if row is None else _code(row)

    def code_claimed_by(self, account: AccountId) -> Code | None:
        """The open code that this account typed and has not said yes to."""
        row = self._run.one(CODE_CLAIMED_BY, account=account)
        return None if row is None else _code(row)

    def agree_to_code(self, hash_: str) -> None:
        """The side that typed the code said yes."""
        self._run.run(AGREE_TO_CODE, code=hash_)

    def move_claim(self, hash_: str, chat: ChatId, handle: str) -> None:
        """Where the side that typed the code can be answered now."""
        self._run.run(MOVE_CLAIM, code=hash_, at_chat=chat, at_handle=handle)

    def claim_code(self, hash_: str, by: AccountId, chat: ChatId, handle: str) -> None:
        self._run.run(CLAIM_CODE, code=hash_, by=by, at_chat=chat, at_handle=handle)

    def use_code(self, hash_: str) -> None:
        self._run.run(USE_CODE, code=hash_)

    def clean_codes(self, before: datetime) -> None:
        self._run.run(CLEAN_CODES, before=before)

    def failures(self, account: AccountId, after: datetime) -> int:
        return int(self._run.scalar(FAILURES, account=account, after=after) or 0)

    def add_failure(self, account: AccountId, now: datetime, after: datetime) -> None:
        row = self._run.one(TRY_ROW, account=account)
        count, since = (row[0] + 1, row[1]) if row and row[1] > after else (1, now)
        self._run.run(ADD_FAILURE, account=account, at=now, count=count, since=since)

    # follows
    def follow(self, member: MemberId, feed: Feed, now: datetime) -> bool:
        """Whether it is new."""
        row = self._run.one(FOLLOW, member_id=member, feed_kind=feed.kind, feed_key=feed.key, created_at=now)
        return row is not None

    def unfollow(self, member: MemberId, feed: Feed) -> bool:
        """Whether there was something to end."""
        return self._run.one(UNFOLLOW, member=member, kind=feed.kind, key=feed.key) is not None

    def unfollow_all(self, member: MemberId) -> None:
        self._run.run(UNFOLLOW_ALL, member=member)

    def follows(self, member: MemberId) -> list[Feed]:
        return [Feed(FeedKind(kind), key) for kind, key in self._run.all(FOLLOWS, member=member)]

    def followers(self, member: MemberId) -> int:
        return int(self._run.scalar(FOLLOWERS, key=str(member)))
