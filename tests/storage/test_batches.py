"""What a batch saves, it saves in work alone: its rows are those of the same events one by one, the long way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine as Database

from core.engine import Engine
from core.errors import StormoError
from core.events import (
    Actor,
    CommandInvoked,
    Inbound,
    MessageDeleted,
    Place,
    ReactionChanged,
    ReactorsFound,
)
from core.records import Code
from core.scene import Rules
from core.types import (
    AccountId,
    AccountRef,
    ChatId,
    ChatRef,
    MemberId,
    MessageRef,
    Platform,
    PostId,
    ThingId,
    Visibility,
)
from storage.database import Link, open_engine
from storage.statements import Cursor, Runner
from storage.unit import Snowflakes, SqlUnit
from tests.migrated import migrated_file
from tests.postgres import PostgresServer
from tests.storage.conftest import NOW, FakeClock, later
from tests.storage.rows import a_chat, a_community, a_copy, a_member, a_signal, a_vote, an_account

#: By platform; the first one is where the posts were written.
ROOMS = {"telegram": ("aviary", "perch"), "matrix": ("wood",), "discord": ("yard",)}
#: Accounts by the member that each speaks for, "" for guests.
PEOPLE = {
    "telegram:guest": "",
    "matrix:guest": "",
    "telegram:lone": "lone",
    "telegram:first": "pair",
    "matrix:second": "pair",
    "telegram:one": "triple",
    "discord:two": "triple",
    "matrix:three": "triple",
    "telegram:pen": "author",
    "matrix:mouth": "author",
    "telegram:turned": "after",
    "matrix:beside": "after",
    "telegram:left": "",
    "telegram:sold": "buyer",
    "discord:bought": "buyer",
    "telegram:silent": "silent",
}
#: The account that wrote each post, and the member it was of; the last post is deleted.
POSTS = (
    ("telegram:pen", "author"),
    ("telegram:sold", "author"),
    ("telegram:pen", "author"),
    ("telegram:pen", "author"),
)
DELETED, UNKNOWN = 3, 4
#: Who spoke on the first post, and for whom: some are another's now. On the second one they took it back.
ONCE = {"telegram:turned": "before", "telegram:left": "gone", "telegram:one": "triple"}
#: Who typed a code of whom; the second side has agreed already.
CODES = (("telegram:guest", "telegram:lone"), ("telegram:one", "telegram:first"))
#: Who acts is drawn together with everybody of the same member: only they get into each other's way.
CAST = (
    ("telegram:first", "matrix:second"),
    ("telegram:one", "discord:two", "matrix:three"),
    ("telegram:lone", "telegram:guest"),
    ("telegram:pen", "matrix:mouth"),
    ("telegram:turned", "matrix:beside"),
    ("telegram:sold", "discord:bought"),
    ("telegram:left", "matrix:guest"),
    ("telegram:silent", "telegram:stranger", "matrix:stranger"),
)
VOTES = ("👍", "❤", "❤️", "👍🏽")
TABLES = (
    "SELECT * FROM signals",
    "SELECT * FROM votes",
    "SELECT * FROM vote_accounts",
    "SELECT key FROM inbox",
    "SELECT id, score, guests, deleted_at FROM posts",
    "SELECT id, platform, key, name, member_id, opted_out FROM accounts",
)


# -- what is there before --------------------------------------------------------------------------------------------


@dataclass
class Stage:
    """A database with people, posts and their copies, which every example finds as it was."""

    link: Link
    clock: FakeClock
    last: int = 0

    def unit(self, ids: Snowflakes, cursor: Cursor | None = None) -> SqlUnit:
        return SqlUnit(Runner(cursor or self.link.cursor, self.link.dialect), self.clock, ids)

    def seed(self) -> None:
        ids = Snowflakes(0)
        with self.link.transaction():
            unit = self.unit(ids)
            _seed(unit)
            unit.write()
        self.last = ids.last


def account_ref(name: str) -> AccountRef:
    platform, _, key = name.partition(":")
    return AccountRef(Platform(platform), key)


def message_of(room: ChatRef, post: int) -> MessageRef:
    return MessageRef(room, f"{room.key}-{post}")


def rooms_of(platform: str) -> list[ChatRef]:
    return [ChatRef(Platform(platform), key) for key in ROOMS[platform]]


def _seed(unit: SqlUnit) -> None:
    community = a_community(unit)
    every = [room for platform in ROOMS for room in rooms_of(platform)]
    chats = {room: a_chat(unit, community, platform=room.platform, key=room.key) for room in every}
    names = sorted({*PEOPLE.values(), *ONCE.values()} - {""})
    members = {name: a_member(unit, name) for name in names}
    refs = {name: account_ref(name) for name in PEOPLE}
    accounts = {
        name: an_account(unit, members.get(PEOPLE[name]), key=ref.key, platform=ref.platform)
        for name, ref in refs.items()
    }
    unit.people.set_opted_out(accounts["telegram:silent"], True)
    posts = [_post(unit, accounts[pen], members[author], chats) for pen, author in POSTS]
    for number, post in enumerate(posts):
        for room, chat in chats.items():
            key = message_of(room, number).key
            unit.copies.add_copy(a_copy(chat, ThingId(post), key=key, ours=room != every[0]))
    unit.posts.delete(posts[DELETED], NOW)
    for name, member in ONCE.items():
        key, account, of = message_of(every[0], 0).key, accounts[name], members[member]
        unit.votes.put_signal(a_signal(posts[0], account, chats[every[0]], key=key, at=later(-1)))
        for post, value in zip(posts, (1, 0), strict=False):
            unit.votes.put_vote(a_vote(post, of, account, value=value, at=later(-1)))
            unit.votes.speaks_for(post, account, of)
    for typed, made in CODES:
        _agreed_code(unit, accounts[typed], accounts[made], chats[every[0]])
    unit.votes.recount(posts)


def _post(unit: SqlUnit, pen: AccountId, author: MemberId, chats: dict[ChatRef, ChatId]) -> PostId:
    post, origin = PostId(unit.new_id()), next(iter(chats.values()))
    unit.posts.add(
        post,
        author=author,
        account=pen,
        community=None,
        chat=origin,
        visibility=Visibility.PUBLIC,
        reply_to=None,
        now=NOW - timedelta(hours=1),
    )
    return post


def _agreed_code(unit: SqlUnit, typed: AccountId, made: AccountId, chat: ChatId) -> None:
    code = Code(
        hash=f"code-{made}",
        purpose="link",
        account_id=made,
        community_id=None,
        chat_id=chat,
        handle="",
        claimed_by=None,
        claim_chat_id=None,
        claim_handle="",
        agreed=False,
        expires_at=later(600),
        used=False,
    )
    unit.people.add_code(code)
    unit.people.claim_code(code.hash, typed, chat, "")
    unit.people.agree_to_code(code.hash)


@pytest.fixture(scope="module")
def sqlite_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return migrated_file(tmp_path_factory.mktemp("batches") / "stormo.sqlite")


@pytest.fixture(scope="module")
def postgres_url(postgres_server: PostgresServer, postgres_template: str) -> Iterator[str]:
    name = postgres_server.create_database(postgres_template)
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    database: Database = open_engine(request.getfixturevalue(f"{request.param}_url"))
    stage = Stage(Link(database, read_only=False), FakeClock())
    stage.seed()
    yield stage
    stage.link.close()
    database.dispose()


# -- what happens ----------------------------------------------------------------------------------------------------


def an_actor(name: str, *, bot: bool = False, called: str = "Wren") -> Actor:
    return Actor(account=account_ref(name), name=called, username="wren", bot=bot)


def a_reaction(name: str, room: ChatRef, post: int, number: int | None, **more: Any) -> ReactionChanged:
    """On Matrix a reaction is an event of its own."""
    more = {"actor": an_actor(name), "added": ("👍",), "at": NOW, **more}
    own = room.platform == "matrix" and number is not None and len(more["added"]) == 1
    ref = MessageRef(room, f"$reaction{number}") if own else None
    key = None if number is None else f"event-{number}"
    return ReactionChanged(key=key, message=message_of(room, post), ref=ref, **more)


TIMES = st.sampled_from([None, *(later(seconds) for seconds in (-2, -1, 0, 0, 1, 2))])
SEVERAL = st.lists(st.sampled_from((*VOTES, "🎉")), max_size=3).map(tuple)
NAMES = ("Wren", "Wren", "Wren", "Wren", "Jenny")
COMMANDS = (("join", ""), ("unlink", ""), ("link", "yes"), ("optout", "yes"))


def seldom(draw: st.DrawFn) -> bool:
    return draw(st.integers(0, 11)) == 11


def a_number(draw: st.DrawFn) -> int | None:
    """Of few, so that some events come again; some platforms' events have none."""
    return None if seldom(draw) else draw(st.integers(0, 20))


@st.composite
def reactions(draw: st.DrawFn, names: Sequence[str], posts: Sequence[int]) -> ReactionChanged:
    name = draw(st.sampled_from(names))
    room = draw(st.sampled_from(rooms_of(name.partition(":")[0])))
    post = draw(st.sampled_from((DELETED, UNKNOWN) if seldom(draw) else posts))
    number, plain = a_number(draw), draw(st.sampled_from(VOTES))
    return a_reaction(
        name,
        room,
        post,
        number,
        actor=an_actor(name, bot=seldom(draw), called=draw(st.sampled_from(NAMES))),
        added=draw(SEVERAL) if draw(st.integers(0, 3)) == 3 else (plain,),
        removed=draw(SEVERAL) if seldom(draw) else (),
        whole=draw(st.booleans()),
        found=seldom(draw),
        at=draw(TIMES),
    )


@st.composite
def others(draw: st.DrawFn, names: Sequence[str], posts: Sequence[int]) -> Inbound:
    """What changes accounts, takes reactions back, or takes a post away."""
    number, name = a_number(draw), draw(st.sampled_from(names))
    key = None if number is None else f"other-{number}"
    ref = account_ref(name)
    on = message_of(draw(st.sampled_from(rooms_of(ref.platform))), draw(st.sampled_from(posts)))
    match draw(st.sampled_from(("command", "command", "retracted", "reactors", "deleted"))):
        case "retracted":
            (wood,) = rooms_of("matrix")
            retracted = MessageRef(wood, f"$reaction{draw(st.integers(0, 20))}")
            return MessageDeleted(key=key, at=draw(TIMES), message=retracted)
        case "reactors":
            standing = tuple(map(account_ref, draw(st.lists(st.sampled_from(names), max_size=2))))
            return ReactorsFound(key=key, message=on, accounts=standing, began=draw(TIMES))
        case "deleted":
            return MessageDeleted(key=key, message=on)
    word, text = draw(st.sampled_from(COMMANDS))
    place = Place(chat=ChatRef(ref.platform, f"private-{name}"), title="", private=True)
    return CommandInvoked(key=key, at=NOW, place=place, actor=an_actor(name), name=word, text=text)


@st.composite
def batches(draw: st.DrawFn) -> list[Inbound]:
    """Few people on few posts."""
    several = draw(st.lists(st.sampled_from(CAST), min_size=1, max_size=3, unique=True))
    names = [name for names in several for name in names]
    posts = draw(st.lists(st.integers(0, DELETED - 1), min_size=1, max_size=2, unique=True))
    return [
        draw(others(names, posts) if draw(st.integers(0, 4)) == 4 else reactions(names, posts))
        for _ in range(draw(st.integers(1, 25)))
    ]


def the_long_way(event: Inbound) -> Inbound:
    """The same: the rules take each emoji once. The short cut looks at one alone."""
    if not isinstance(event, ReactionChanged):
        return event
    return replace(event, added=tuple(emoji for emoji in event.added for _ in range(2)))


# -- what it leaves --------------------------------------------------------------------------------------------------


ENGINE = Engine(Rules(instance="birds", key=b"k" * 32))
Left = tuple[dict[str, Counter[Any]], Counter[Any]]


def left_by(stage: Stage, transactions: Sequence[Sequence[Inbound]]) -> Left:
    """The rows after these transactions, and what was counted on the way.

    They are made within one of the database's, which is never committed: none sees anything but rows of the one before.
    """
    ids = Snowflakes(stage.last)
    happened: Counter[Any] = Counter()
    stage.link.begin()
    try:
        for events in transactions:
            unit = stage.unit(ids)
            _transaction(unit, events)
            happened.update(unit.happened)
        return {table: _rows(stage.link.cursor, table) for table in TABLES}, happened
    finally:
        stage.link.rollback()


def _transaction(unit: SqlUnit, events: Sequence[Inbound]) -> None:
    """As the writer does it."""
    if len(events) > 1:
        ENGINE.read_ahead(unit, events)
    for event in events:
        with suppress(StormoError):
            ENGINE.handle(unit, event)
    ENGINE.settle(unit)
    unit.write()


def _rows(cursor: Cursor, table: str) -> Counter[Any]:
    cursor.execute(table)
    return Counter(map(tuple, cursor.fetchall()))


@given(events=batches())
def test_a_batch_leaves_the_rows_of_its_events_one_by_one(stage: Stage, events: list[Inbound]) -> None:
    assert left_by(stage, [events]) == left_by(stage, [[event] for event in events])


@given(events=batches())
def test_the_short_way_leaves_the_rows_of_the_long_one(stage: Stage, events: list[Inbound]) -> None:
    assert left_by(stage, [events]) == left_by(stage, [[the_long_way(event) for event in events]])


# -- that there is a short way ---------------------------------------------------------------------------------------


class Heard:
    """A cursor that remembers what was asked through it."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self.asked: list[str] = []
        self.fetchone, self.fetchall = cursor.fetchone, cursor.fetchall

    @property
    def rowcount(self) -> int:
        return self._cursor.rowcount

    @rowcount.setter
    def rowcount(self, rows: int) -> None:
        self._cursor.rowcount = rows

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        self.asked.append(sql)
        return self._cursor.execute(sql, parameters)

    def executemany(self, sql: str, parameters: Any, /) -> Any:
        self.asked.append(sql)
        return self._cursor.executemany(sql, parameters)


def asked_for(stage: Stage, events: Sequence[Inbound]) -> list[str]:
    """What the database is asked while these are handled, after all was read ahead and before anything is written."""
    stage.link.begin()
    try:
        heard = Heard(stage.link.cursor)
        unit = stage.unit(Snowflakes(stage.last), heard)
        ENGINE.read_ahead(unit, events)
        read = len(heard.asked)
        for event in events:
            ENGINE.handle(unit, event)
        return heard.asked[read:]
    finally:
        stage.link.rollback()


def test_a_member_s_first_reaction_on_a_post_asks_for_nothing_that_was_not_read_ahead(stage: Stage) -> None:
    (wood,), (_, perch) = rooms_of("matrix"), rooms_of("telegram")
    events: list[Inbound] = [
        a_reaction("telegram:lone", perch, 0, 1, whole=True),
        a_reaction("matrix:second", wood, 1, 3, added=("❤️",)),
    ]
    assert asked_for(stage, events) == []
    assert all(asked_for(stage, [the_long_way(event)]) for event in events)
