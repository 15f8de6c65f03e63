"""Every table, once. The migrated schema is held against this by a test.

Hot families are keyed for distribution: posts, revisions, places, votes and signals by post; outbox, copies and
tries by chat; follows by follower. Primary and unique keys of hot tables contain the family's key. Hot tables hold
integers, text and bytes only; a time is an ``Instant``.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, MetaData, Table, Text, UniqueConstraint
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def micros(at: datetime) -> int:
    """Integer microseconds since 1970 UTC, exactly. Raises ``ValueError`` for a naive time."""
    if at.tzinfo is None:
        raise ValueError("a naive time has no place in the database")
    since = at - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


#: The same, remembered: for the times of transactions, which are asked for again and again.
to_micros = lru_cache(maxsize=1024)(micros)


def from_micros(value: int) -> datetime:
    """The aware UTC time of ``to_micros``."""
    return _EPOCH + timedelta(microseconds=value)


class Instant(TypeDecorator[datetime]):
    """An aware time, stored as integer microseconds UTC: SQLite's own DateTime comes back naive and shifted."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:  # noqa: ARG002
        return None if value is None else to_micros(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else from_micros(value)


metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def _id(name: str = "id", **kw: Any) -> Column[int]:
    return Column(name, BigInteger, primary_key=True, autoincrement=False, **kw)


def _ref(
    name: str, target: str | None = None, *, nullable: bool = False, primary_key: bool = False
) -> Column[int]:
    keys = (ForeignKey(target),) if target else ()
    return Column(
        name,
        BigInteger,
        *keys,
        nullable=nullable and not primary_key,
        primary_key=primary_key,
        autoincrement=False,
    )


def _flag(name: str, default: str = "0") -> Column[int]:
    return Column(name, Integer, nullable=False, server_default=default)


def _text(name: str, default: str | None = None, **kw: Any) -> Column[str]:
    return Column(name, Text, nullable=False, server_default=default, **kw)


# -- small reference tables ---------------------------------------------------------------------------------------

meta = Table("meta", metadata, _text("name", primary_key=True), _text("value"))

communities = Table(
    "communities",
    metadata,
    _id(),
    _text("slug", unique=True),
    _text("title"),
    _flag("paused"),
    Column("hold_seconds", Integer, nullable=False, server_default="60"),
    #: What to do with a send in doubt where the platform has no key: ``double`` or ``gap``.
    _text("doubt", "double"),
    Column("created_at", Instant, nullable=False),
)

members = Table(
    "members",
    metadata,
    _id(),
    _text("handle", unique=True),
    _text("skeleton", unique=True),
    _text("language", ""),
    #: Whether the platform's display name may cross to other platforms.
    _flag("show_name"),
    _text("name", ""),
    Column("posts", Integer, nullable=False, server_default="0"),
    Column("joined_at", Instant, nullable=False),
    _ref("merged_into", nullable=True),
)

#: Handles that members gave up, kept for them so that nobody passes for them.
kept_handles = Table(
    "kept_handles",
    metadata,
    _text("handle", primary_key=True),
    _text("skeleton"),
    _ref("member_id", "members.id"),
    Column("until", Instant, nullable=False),
    Index(None, "skeleton"),
    Index(None, "member_id"),
)

accounts = Table(
    "accounts",
    metadata,
    _id(),
    _text("platform"),
    _text("key"),
    _text("name", ""),
    _text("username", ""),
    _text("locale", ""),
    _ref("member_id", "members.id", nullable=True),
    #: The chat in which only this person and the bot are, once they opened it.
    _ref("private_chat_id", nullable=True),
    _flag("opted_out"),
    Column("seen_at", Instant, nullable=False),
    UniqueConstraint("platform", "key"),
    Index(None, "member_id"),
)

# -- chats and what is to be shown in them (family: chat) -----------------------------------------------------------

chats = Table(
    "chats",
    metadata,
    _id(),
    _text("platform"),
    _text("key"),
    _ref("community_id", "communities.id", nullable=True),
    _text("title", ""),
    _flag("private"),
    _flag("closed"),
    _flag("relay"),
    _text("language", ""),
    #: ``active``, ``muted`` (the bot may not write there) or ``gone`` (the bot lost it).
    _text("state", "active"),
    _text("reason", ""),
    Column("created_at", Instant, nullable=False),
    #: Since when it is in this state; when its people were last told of a loss.
    Column("state_at", Instant, nullable=True),
    Column("told_at", Instant, nullable=True),
    #: In whose name posts are shown there, ``bot`` or ``author``, and why not in their authors'.
    _text("look", "bot"),
    _text("look_lost", ""),
    #: Our pinned notice that talk is passed on, where it stands.
    _text("pinned_key", ""),
    #: The account that made it a room of its community.
    _ref("set_up_by", nullable=True),
    UniqueConstraint("platform", "key"),
    Index(None, "community_id"),
)
Index("ix_chats_lost", chats.c.state_at, sqlite_where=chats.c.state != "active",
      postgresql_where=chats.c.state != "active")  # fmt: skip

outbox = Table(
    "outbox",
    metadata,
    _ref("chat_id", "chats.id", primary_key=True),
    _ref("thing_id", primary_key=True),
    _text("kind"),
    Column("wanted", Integer, nullable=False),
    Column("shown", Integer, nullable=False, server_default="0"),
    Column("generation", Integer, nullable=False, server_default="0"),
    #: ``live``, ``folded``, ``removed``, ``doubt``, ``refused``, ``done``.
    _text("state", "live"),
    #: 1 exactly when the courier has something to do: the one column its index is built on.
    _flag("due", "1"),
    #: 0 answers and withdrawals, 1 first sends, 2 edits, 3 edits that only move a tally.
    Column("rank", Integer, nullable=False, server_default="1"),
    _text("form", "full"),
    Column("ready_at", Instant, nullable=False),
    Column("queued_at", Instant, nullable=False),
    Column("shown_at", Instant, nullable=True),
    Column("attempts", Integer, nullable=False, server_default="0"),
    _text("reason", ""),
    _ref("fold_id", nullable=True),
    #: How often somebody had it tried again after a refusal.
    Column("retries", Integer, nullable=False, server_default="0"),
    #: How often it came back to where it was withdrawn from.
    Column("returns", Integer, nullable=False, server_default="0"),
    #: 1 while some parts of its first send stand, or may, and others are still to come.
    _flag("begun"),
    #: Since when it is tried in vain.
    Column("failing_since", Instant, nullable=True),
    #: When its first message was sent: what a room's caps count, whatever became of it since.
    Column("sent_at", Instant, nullable=True),
    #: The member because of whose boost it is there, if nothing else brings it.
    _ref("boosted_by", nullable=True),
)
Index("ix_outbox_due", outbox.c.chat_id, outbox.c.rank, outbox.c.thing_id, sqlite_where=outbox.c.due == 1,
      postgresql_where=outbox.c.due == 1)  # fmt: skip
Index("ix_outbox_ready", outbox.c.ready_at, outbox.c.chat_id, sqlite_where=outbox.c.due == 1,
      postgresql_where=outbox.c.due == 1)  # fmt: skip
Index("ix_outbox_sent", outbox.c.chat_id, outbox.c.sent_at, sqlite_where=outbox.c.sent_at.is_not(None),
      postgresql_where=outbox.c.sent_at.is_not(None))  # fmt: skip
Index("ix_outbox_thing", outbox.c.thing_id, outbox.c.chat_id)
Index("ix_outbox_refused", outbox.c.queued_at, sqlite_where=outbox.c.state == "refused",
      postgresql_where=outbox.c.state == "refused")  # fmt: skip
_BEGUN = (outbox.c.due == 1) & (outbox.c.begun == 1)
Index("ix_outbox_begun", outbox.c.chat_id, outbox.c.thing_id, sqlite_where=_BEGUN, postgresql_where=_BEGUN)

copies = Table(
    "copies",
    metadata,
    _ref("chat_id", "chats.id", primary_key=True),
    _ref("thing_id", primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    _text("kind"),
    _text("message_key"),
    #: Whether we may edit it; an origin's message is not ours.
    _flag("ours", "1"),
    Column("shown", Integer, nullable=False, server_default="0"),
    Column("sent_at", Instant, nullable=False),
    #: How its adapter reaches it again, where there are several ways.
    _text("via", ""),
    #: What the message shows, in short (``core.parts.digest_of``).
    _text("digest", ""),
    UniqueConstraint("chat_id", "message_key"),
    Index(None, "thing_id"),
    Index(None, "chat_id", "sent_at"),
)

tries = Table(
    "tries",
    metadata,
    _ref("chat_id", "chats.id", primary_key=True),
    _text("key", primary_key=True),
    _ref("thing_id"),
    Column("part", Integer, nullable=False),
    _text("verb"),
    #: The version that the first try rendered: a de-duplicated retry shows that one.
    Column("version", Integer, nullable=False),
    _text("form"),
    Column("epoch", Integer, nullable=False, server_default="0"),
    Column("at", Instant, nullable=False),
    #: What the first try rendered, as in ``copies``.
    _text("digest", ""),
    #: Whether a repeat with its key may be recognised.
    _flag("keyed", "1"),
    #: Whether its message shows the key, so that it can be found again.
    _flag("signed"),
    #: Since when its answer is lost.
    Column("lost_at", Instant, nullable=True),
)

doubts = Table(
    "doubts",
    metadata,
    _ref("chat_id", "chats.id", primary_key=True),
    _text("key", primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    _ref("thing_id"),
    Column("part", Integer, nullable=False),
    Column("at", Instant, nullable=False),
    #: ``sent again`` (a surplus copy is possible) or ``left out`` (a gap is possible).
    _text("resolution"),
    _text("reason"),
    Index(None, "thing_id"),
    Index(None, "at"),
)

notices = Table(
    "notices",
    metadata,
    _id(),
    _ref("chat_id"),
    #: ``tell``, ``mark``, ``unmark``, ``take`` (withdraw somebody's message) or ``unpin`` (our pinned notice).
    _text("verb"),
    _ref("account_id", nullable=True),
    _text("handle", ""),
    _text("message_key", ""),
    _text("payload", ""),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=True),
    Index(None, "account_id"),
)

folds = Table(
    "folds", metadata, _id(), _ref("chat_id"), Column("version", Integer, nullable=False, server_default="1")
)

mirrors = Table(
    "mirrors",
    metadata,
    _ref("chat_id", "chats.id", primary_key=True),
    _text("feed_kind", primary_key=True),
    _text("feed_key", primary_key=True),
    _ref("added_by", nullable=True),
    Column("created_at", Instant, nullable=False),
    Index(None, "feed_kind", "feed_key"),
)

mirror_blocks = Table(
    "mirror_blocks",
    metadata,
    _ref("chat_id", "chats.id", primary_key=True),
    _text("feed_kind", primary_key=True),
    _text("feed_key", primary_key=True),
)

# -- posts (family: post) --------------------------------------------------------------------------------------------

posts = Table(
    "posts",
    metadata,
    _id(),
    _ref("author_id"),
    _ref("account_id"),
    _ref("community_id", nullable=True),
    _ref("chat_id"),
    _text("visibility"),
    _ref("reply_to", nullable=True),
    Column("revision", Integer, nullable=False, server_default="1"),
    #: Grows with everything that a copy must show: words, tally, withdrawal.
    Column("version", Integer, nullable=False, server_default="1"),
    Column("score", Integer, nullable=False, server_default="0"),
    Column("guests", Integer, nullable=False, server_default="0"),
    Column("created_at", Instant, nullable=False),
    Column("deleted_at", Instant, nullable=True),
    #: The post that it carries inside.
    _ref("quote_of", nullable=True),
    Index(None, "author_id", "id"),
    Index(None, "community_id", "id"),
    Index(None, "visibility", "id"),
)
Index("ix_posts_reply_to", posts.c.reply_to, sqlite_where=posts.c.reply_to.is_not(None),
      postgresql_where=posts.c.reply_to.is_not(None))  # fmt: skip
Index("ix_posts_quote_of", posts.c.quote_of, sqlite_where=posts.c.quote_of.is_not(None),
      postgresql_where=posts.c.quote_of.is_not(None))  # fmt: skip

revisions = Table(
    "revisions",
    metadata,
    _ref("post_id", "posts.id", primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    _text("body"),
    _text("source"),
    _text("dialect"),
    Column("at", Instant, nullable=False),
)

post_tags = Table(
    "post_tags",
    metadata,
    _ref("post_id", "posts.id", primary_key=True),
    _text("tag", primary_key=True),
    Index(None, "tag", "post_id"),
)

places = Table(
    "places",
    metadata,
    _ref("thing_id", primary_key=True),
    _ref("chat_id", primary_key=True),
)

#: Who passed a post on to their followers.
boosts = Table(
    "boosts",
    metadata,
    _ref("post_id", "posts.id", primary_key=True),
    _ref("member_id", primary_key=True),
    Column("at", Instant, nullable=False),
    Index(None, "member_id", "at"),
)

signals = Table(
    "signals",
    metadata,
    _ref("post_id", "posts.id", primary_key=True),
    _ref("account_id", primary_key=True),
    _ref("chat_id", primary_key=True),
    _text("message_key", primary_key=True),
    _text("emoji", primary_key=True),
    #: The reaction's own event, where reactions are events.
    _text("ref_key", ""),
    Column("at", Instant, nullable=False),
    _flag("superseded"),
    Index("ix_signals_ref", "chat_id", "ref_key"),
    Index(None, "account_id"),
)

votes = Table(
    "votes",
    metadata,
    _ref("post_id", "posts.id", primary_key=True),
    _ref("member_id", primary_key=True),
    _ref("account_id"),
    #: 1 while it stands, 0 after it was taken back.
    Column("value", Integer, nullable=False),
    _text("emoji"),
    Column("acted_at", Instant, nullable=False),
)

#: For whom an account spoke first on a post, for ever: no second vote through /unlink and a new /join.
vote_accounts = Table(
    "vote_accounts",
    metadata,
    _ref("post_id", "posts.id", primary_key=True),
    _ref("account_id", primary_key=True),
    _ref("member_id"),
)

#: That a post breaks a rule, said to the moderators of a community.
reports = Table(
    "reports",
    metadata,
    _ref("post_id", "posts.id", primary_key=True),
    _ref("account_id", primary_key=True),
    _ref("community_id", "communities.id"),
    _text("reason", ""),
    Column("at", Instant, nullable=False),
    #: When they had dealt with it.
    Column("closed_at", Instant, nullable=True),
    Index(None, "account_id", "at"),
)
Index("ix_reports_open", reports.c.community_id, reports.c.post_id, sqlite_where=reports.c.closed_at.is_(None),
      postgresql_where=reports.c.closed_at.is_(None))  # fmt: skip

relays = Table(
    "relays",
    metadata,
    _id(),
    _ref("chat_id"),
    _ref("account_id"),
    _text("author"),
    _text("body"),
    Column("version", Integer, nullable=False),
    _ref("reply_to", nullable=True),
    Column("created_at", Instant, nullable=False),
    Column("deleted_at", Instant, nullable=True),
    Index(None, "created_at"),
)

#: Files of things (posts, relayed talk): where each came from, and what became of it.
enclosures = Table(
    "enclosures",
    metadata,
    _ref("thing_id", primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    _text("platform"),
    #: What that platform's adapter needs to fetch it, and nobody else reads.
    _text("source"),
    #: The platform's name of it, by which an edited message says that it still has it.
    _text("key", ""),
    _text("name"),
    _text("mime"),
    Column("size", BigInteger, nullable=False),
    _text("alt", ""),
    _flag("spoiler"),
    #: ``wanted``, ``stored`` or ``refused``.
    _text("state", "wanted"),
    _text("digest", ""),
    _text("reason", ""),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("ready_at", Instant, nullable=False),
    #: What several messages of one file each make together, on platforms that have such a thing.
    _text("album", ""),
)
Index("ix_enclosures_wanted", enclosures.c.ready_at, sqlite_where=enclosures.c.state == "wanted",
      postgresql_where=enclosures.c.state == "wanted")  # fmt: skip
Index("ix_enclosures_digest", enclosures.c.digest, sqlite_where=enclosures.c.digest != "",
      postgresql_where=enclosures.c.digest != "")  # fmt: skip
Index("ix_enclosures_album", enclosures.c.album, sqlite_where=enclosures.c.album != "",
      postgresql_where=enclosures.c.album != "")  # fmt: skip

#: What lies in the store of files, by its SHA-256.
blobs = Table(
    "blobs",
    metadata,
    _text("digest", primary_key=True),
    _text("mime"),
    Column("size", BigInteger, nullable=False),
    Column("width", Integer, nullable=False, server_default="0"),
    Column("height", Integer, nullable=False, server_default="0"),
    #: A smaller picture of the same, for platforms that do not take this one.
    _text("small", ""),
    Column("stored_at", Instant, nullable=False),
    Index(None, "small"),
)

# -- people's choices ------------------------------------------------------------------------------------------------

follows = Table(
    "follows",
    metadata,
    _ref("member_id", primary_key=True),
    _text("feed_kind", primary_key=True),
    _text("feed_key", primary_key=True),
    Column("created_at", Instant, nullable=False),
    Index(None, "feed_kind", "feed_key"),
)

#: Members seen acting in a room of a community: whose community posts they may read, and later its roll.
memberships = Table(
    "memberships",
    metadata,
    _ref("community_id", "communities.id", primary_key=True),
    _ref("member_id", primary_key=True),
    Column("since", Instant, nullable=False),
    Index(None, "member_id"),
)

bans = Table(
    "bans",
    metadata,
    _ref("community_id", "communities.id", primary_key=True),
    _ref("member_id", primary_key=True),
    _ref("by_account_id"),
    Column("created_at", Instant, nullable=False),
)

codes = Table(
    "codes",
    metadata,
    #: SHA-256 of the code: the code itself is nowhere.
    _text("hash", primary_key=True),
    #: ``link`` or ``setup``.
    _text("purpose"),
    _ref("account_id"),
    _ref("community_id", nullable=True),
    #: Where its asker can be answered.
    _ref("chat_id"),
    _text("handle", ""),
    _ref("claimed_by", nullable=True),
    _ref("claim_chat_id", nullable=True),
    _text("claim_handle", ""),
    #: Whether the side that typed the code said yes to the other's name.
    _flag("agreed"),
    Column("expires_at", Instant, nullable=False),
    _flag("used"),
    Index(None, "account_id"),
)

code_tries = Table(
    "code_tries",
    metadata,
    _ref("account_id", primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("since", Instant, nullable=False),
)

# -- intake ----------------------------------------------------------------------------------------------------------

inbox = Table(
    "inbox",
    metadata,
    _text("key", primary_key=True),
    Column("at", Instant, nullable=False),
    Index(None, "at"),
)

bookmarks = Table("bookmarks", metadata, _text("scope", primary_key=True), _text("value"))

parked = Table(
    "parked",
    metadata,
    _id(),
    _ref("chat_id"),
    _text("message_key"),
    _text("event"),
    Column("expires_at", Instant, nullable=False),
    Index(None, "chat_id", "message_key"),
    Index(None, "expires_at"),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    _id(),
    _text("kind"),
    _text("payload"),
    _text("error"),
    Column("at", Instant, nullable=False),
)

# -- processes -------------------------------------------------------------------------------------------------------

#: Who owns a bot token. Each take-over makes a new epoch; the time is the database's own.
leases = Table(
    "leases",
    metadata,
    _text("name", primary_key=True),
    Column("epoch", Integer, nullable=False),
    #: For people to read.
    _text("owner"),
    #: Where its holder can prove that an earlier one has died; empty where it cannot.
    _text("site"),
    Column("expires_at", Instant, nullable=False),
)

#: The part of a process in its ids, and the highest that was made with it.
processes = Table(
    "processes",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("epoch", Integer, nullable=False),
    Column("last_id", BigInteger, nullable=False),
    Column("expires_at", Instant, nullable=False),
)
