"""The instance that the benchmark of writes begins from, and the acts of its people.

One community over three platforms: a Telegram group where everybody posts, and three rooms that mirror it all. Each
act exists twice: as the event that an adapter hands over, and as the rows that it must leave behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, insert

from core.body import to_json
from core.events import Actor, CommandInvoked, Inbound, Place, ReactionChanged
from core.social.posts import CONFIRMED
from core.tags import resolve
from core.text import from_plain
from core.types import AccountRef, ChatRef, MessageRef, Platform
from storage import tables as t

TELEGRAM, DISCORD, MATRIX = Platform("telegram"), Platform("discord"), Platform("matrix")
BOT = 4242
COMMUNITY = 5
#: The origin first, then the rooms that mirror it.
ROOMS = {
    1: ChatRef(TELEGRAM, "-1001"),
    2: ChatRef(TELEGRAM, "-1002"),
    3: ChatRef(DISCORD, "3003"),
    4: ChatRef(MATRIX, "!r:birds.example"),
}
ORIGIN, TELEGRAM_MIRROR, MATRIX_MIRROR = 1, 2, 4
MIRRORS = (2, 3, 4)
THUMB = "👍"
#: Long before any benchmark: nobody is a newcomer whose posts are held.
JOINED = datetime(2026, 2, 1, tzinfo=UTC)
PEOPLE, AUTHORS, POSTS, HOT = 1000, 100, 2000, 10
_MEMBER, _ACCOUNT, _POST, _NEW = 10_000, 100_000, 1_000_000, 1 << 50
TEXT = "The swallows came back to the old mill this morning, eleven of them, and one nest is taken already #birds"
BODY = to_json(resolve(from_plain(TEXT)))
ROW = tuple[Any, ...]


@dataclass(slots=True)
class Act:
    """An event and its rows: new ones by table, the post whose tally moves, the member who wrote one more."""

    event: Inbound
    rows: dict[str, list[ROW]] = field(default_factory=dict)
    voted: int | None = None
    author: int | None = None


#: Columns of the rows of an act, by table, in the order of a transaction.
COLUMNS = {
    "inbox": ("key", "at"),
    "signals": ("post_id", "account_id", "chat_id", "message_key", "emoji", "ref_key", "at", "superseded"),
    "votes": ("post_id", "member_id", "account_id", "value", "emoji", "acted_at"),
    "vote_accounts": ("post_id", "account_id", "member_id"),
    "posts": ("id", "author_id", "account_id", "community_id", "chat_id", "visibility", "created_at"),
    "revisions": ("post_id", "number", "body", "source", "dialect", "at"),
    "post_tags": ("post_id", "tag"),
    "copies": ("chat_id", "thing_id", "part", "kind", "message_key", "ours", "shown", "sent_at"),
    "places": ("thing_id", "chat_id"),
    "notices": ("id", "chat_id", "verb", "message_key", "payload", "created_at", "expires_at"),
    "outbox": ("chat_id", "thing_id", "kind", "wanted", "rank", "ready_at", "queued_at"),
}


def _platform(person: int) -> Platform:
    return TELEGRAM if person % 2 == 0 else MATRIX


def _account_ref(person: int) -> AccountRef:
    where = _platform(person)
    return AccountRef(where, str(7_000_000 + person) if where == TELEGRAM else f"@bird{person}:birds.example")


def _message_key(chat: int, post: int) -> str:
    return f"$event{post}" if ROOMS[chat].platform == MATRIX else str(post % 10_000_000)


def _actor(person: int) -> Actor:
    return Actor(account=_account_ref(person), name=f"Bird {person}", username=f"bird{person}")


# -- what is there before --------------------------------------------------------------------------------------------


def seed(engine: Engine, others: int = 0) -> None:
    """Writes people, rooms and posts that stand in all rooms already. ``others``: rooms that mirror something else."""
    rooms = [(id_, ref.platform, ref.key) for id_, ref in ROOMS.items()]
    rooms += [(1000 + n, TELEGRAM, f"-2{n:06}") for n in range(others)]
    with engine.begin() as connection:
        connection.execute(
            insert(t.communities), {"id": COMMUNITY, "slug": "birds", "title": "Birds", "created_at": JOINED}
        )
        connection.execute(
            insert(t.chats),
            [
                {"id": id_, "platform": platform, "key": key, "community_id": COMMUNITY, "title": "Birds",
                 "created_at": JOINED}
                for id_, platform, key in rooms
            ],
        )  # fmt: skip
        connection.execute(
            insert(t.mirrors),
            [
                {"chat_id": id_, "created_at": JOINED}
                | (
                    {"feed_kind": "community", "feed_key": str(COMMUNITY)}
                    if id_ in MIRRORS
                    else {"feed_kind": "tag", "feed_key": f"topic{id_}"}
                )
                for id_, _, _ in rooms
                if id_ != ORIGIN
            ],
        )
        for table, rows in (_people() | _posts()).items():
            connection.execute(insert(table), rows)


def _people() -> dict[Any, list[dict[str, Any]]]:
    every = range(PEOPLE + AUTHORS)
    members: list[dict[str, Any]] = [
        {"id": _MEMBER + n, "handle": f"bird{n}", "skeleton": f"bird{n}", "posts": 50, "joined_at": JOINED}
        for n in every
    ]
    accounts = []
    for n in every:
        ref = _account_ref(_author(n - PEOPLE) if n >= PEOPLE else n)
        accounts.append(
            {"id": _ACCOUNT + n, "platform": ref.platform, "key": ref.key, "name": f"Bird {n}",
             "username": f"bird{n}", "member_id": _MEMBER + n, "seen_at": JOINED}
        )  # fmt: skip
    belong = [{"community_id": COMMUNITY, "member_id": _MEMBER + n, "since": JOINED} for n in every]
    return {t.members: members, t.accounts: accounts, t.memberships: belong}


def _posts() -> dict[Any, list[dict[str, Any]]]:
    posts, revisions, tags, copies, places, outbox = [], [], [], [], [], []
    for n in range(POSTS):
        id_ = _POST + n
        author = PEOPLE + n % AUTHORS
        posts.append({"id": id_, "author_id": _MEMBER + author, "account_id": _ACCOUNT + author,
                      "community_id": COMMUNITY, "chat_id": ORIGIN, "visibility": "community",
                      "created_at": JOINED})  # fmt: skip
        revisions.append({"post_id": id_, "number": 1, "body": BODY, "source": TEXT, "dialect": "telegram",
                          "at": JOINED})  # fmt: skip
        tags.append({"post_id": id_, "tag": "birds"})
        copies += [
            {"chat_id": chat, "thing_id": id_, "part": 0, "kind": "post",
             "message_key": _message_key(chat, id_), "ours": int(chat != ORIGIN), "shown": 1, "sent_at": JOINED}
            for chat in ROOMS
        ]  # fmt: skip
        places += [{"thing_id": id_, "chat_id": chat} for chat in MIRRORS]
        outbox += [
            {"chat_id": chat, "thing_id": id_, "kind": "post", "wanted": 1, "shown": 1, "due": 0, "rank": 3,
             "ready_at": JOINED, "queued_at": JOINED, "shown_at": JOINED}
            for chat in MIRRORS
        ]  # fmt: skip
    return {t.posts: posts, t.revisions: revisions, t.post_tags: tags, t.copies: copies, t.places: places,
            t.outbox: outbox}  # fmt: skip


def _author(number: int) -> int:
    """Authors write in the origin, so all of them are on Telegram."""
    return PEOPLE + 2 * number


# -- what people do --------------------------------------------------------------------------------------------------


def acts(kind: str, count: int, start: datetime) -> list[Act]:
    """``reactions`` on many posts, ``posts``, ``mixed`` (one post in ten acts) or ``hot`` (reactions on ten posts)."""
    return list(_acts(kind, count, start))


def _acts(kind: str, count: int, start: datetime) -> Iterator[Act]:
    for n in range(count):
        at = start + timedelta(milliseconds=n)
        if kind == "posts" or (kind == "mixed" and n % 10 == 9):
            yield _writes(n, at)
        else:
            yield _reacts(n, at, HOT if kind == "hot" else POSTS)


def _reacts(n: int, at: datetime, posts: int) -> Act:
    """No two are of the same person on the same post."""
    post = _POST + n % posts
    person = (n // posts + n % posts) % PEOPLE
    where = _platform(person)
    chat = TELEGRAM_MIRROR if where == TELEGRAM else MATRIX_MIRROR
    message = MessageRef(ROOMS[chat], _message_key(chat, post))
    key = f"telegram:{BOT}:update:{n}" if where == TELEGRAM else f"matrix:$reaction{n}"
    ref = "" if where == TELEGRAM else f"$reaction{n}"
    member, account, micros = _MEMBER + person, _ACCOUNT + person, t.to_micros(at)
    event = ReactionChanged(
        key=key, at=at, message=message, actor=_actor(person), added=(THUMB,), whole=where == TELEGRAM,
        ref=MessageRef(ROOMS[chat], ref) if ref else None,
    )  # fmt: skip
    return Act(
        event,
        {
            "inbox": [(key, micros)],
            "signals": [(post, account, chat, message.key, THUMB, ref, micros, 0)],
            "votes": [(post, member, account, 1, THUMB, micros)],
            "vote_accounts": [(post, account, member)],
        },
        voted=post,
    )


def _writes(n: int, at: datetime) -> Act:
    person = n % AUTHORS
    member, account = _MEMBER + PEOPLE + person, _ACCOUNT + PEOPLE + person
    post, notice, micros = _NEW + 2 * n, _NEW + 2 * n + 1, t.to_micros(at)
    key, message = f"telegram:{BOT}:update:{n}", str(50_000_000 + n)
    actor = Actor(
        account=_account_ref(_author(person)),
        name=f"Bird {PEOPLE + person}",
        username=f"bird{PEOPLE + person}",
    )
    event = CommandInvoked(
        key=key, at=at, place=Place(chat=ROOMS[ORIGIN], title="Birds"), actor=actor, name="post", text=TEXT,
        body=from_plain(TEXT), source=TEXT, dialect="telegram", message=MessageRef(ROOMS[ORIGIN], message),
    )  # fmt: skip
    wanted = [(chat, post, "post", 1, 1, micros, micros) for chat in MIRRORS]
    return Act(
        event,
        {
            "inbox": [(key, micros)],
            "posts": [(post, member, account, COMMUNITY, ORIGIN, "community", micros)],
            "revisions": [(post, 1, BODY, TEXT, "telegram", micros)],
            "post_tags": [(post, "birds")],
            "copies": [(ORIGIN, post, 0, "post", message, 0, 0, micros)],
            "places": [(post, chat) for chat in MIRRORS],
            "notices": [(notice, ORIGIN, "mark", message, CONFIRMED, micros, micros)],
            "outbox": [*wanted, (ORIGIN, notice, "notice", 1, 0, micros, micros)],
        },
        author=member,
    )


def moved(acts_: Sequence[Act]) -> tuple[dict[int, int], dict[int, int]]:
    """New votes by post and new posts by author."""
    votes: dict[int, int] = {}
    written: dict[int, int] = {}
    for act in acts_:
        if act.voted is not None:
            votes[act.voted] = votes.get(act.voted, 0) + 1
        if act.author is not None:
            written[act.author] = written.get(act.author, 0) + 1
    return votes, written
