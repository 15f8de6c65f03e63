"""Keys make doubles impossible, and let the hot tables be spread over machines one day."""

from __future__ import annotations

import sqlite3

import psycopg
import pytest
from sqlalchemy import Table, UniqueConstraint

from core.types import ChatId, MemberId, ThingId
from storage.tables import metadata
from storage.unit import SqlUnit
from tests.storage.conftest import NOW
from tests.storage.rows import a_chat, a_copy, a_member, a_post, a_vote, an_account

DOUBLE = (sqlite3.IntegrityError, psycopg.errors.UniqueViolation)


# -- doubles -------------------------------------------------------------------------------------------------------


def test_one_message_is_a_copy_of_one_thing(unit: SqlUnit) -> None:
    chat = a_chat(unit)
    unit.copies.add_copy(a_copy(chat, ThingId(1), key="m1"))
    with pytest.raises(DOUBLE):
        unit.copies.add_copy(a_copy(chat, ThingId(2), key="m1"))


def test_the_same_message_id_in_two_chats_is_two_messages(unit: SqlUnit) -> None:
    for chat in (a_chat(unit), a_chat(unit)):
        unit.copies.add_copy(a_copy(chat, ThingId(1), key="m1"))
    assert len(unit.copies.copies(ThingId(1))) == 2


def test_a_member_has_one_vote_on_a_post(unit: SqlUnit) -> None:
    member = a_member(unit)
    post = a_post(unit)
    for account in (an_account(unit, member), an_account(unit, member)):
        unit.votes.put_vote(a_vote(post, member, account))
    assert unit.votes.recount({post}) == {post: 2}
    found = unit.posts.post(post)
    assert found is not None
    assert found.score == 1


def test_a_platforms_account_is_one_account(unit: SqlUnit) -> None:
    an_account(unit, key="77")
    with pytest.raises(DOUBLE):
        an_account(unit, key="77")


def test_a_platforms_chat_is_one_chat(unit: SqlUnit) -> None:
    a_chat(unit, key="-100")
    with pytest.raises(DOUBLE):
        a_chat(unit, key="-100")


def test_a_handle_is_one_members(unit: SqlUnit) -> None:
    unit.people.add_member(MemberId(1), "wren", "wren-a", "en", "", NOW)
    with pytest.raises(DOUBLE):
        unit.people.add_member(MemberId(2), "wren", "wren-b", "en", "", NOW)


def test_a_skeleton_is_one_members(unit: SqlUnit) -> None:
    unit.people.add_member(MemberId(1), "wren", "vvren", "en", "", NOW)
    with pytest.raises(DOUBLE):
        unit.people.add_member(MemberId(2), "vvren", "vvren", "en", "", NOW)


def test_an_inbox_key_is_claimed_once(unit: SqlUnit) -> None:
    assert [unit.intake.claim("telegram:1:update:7", NOW) for _ in range(3)] == [True, False, False]


def test_a_chat_shows_a_thing_once(unit: SqlUnit) -> None:
    chat = a_chat(unit)
    post = ThingId(a_post(unit))
    for _ in range(2):
        unit.posts.add_places(post, [chat, chat])
    assert unit.posts.places(post) == [ChatId(chat)]


# -- spreading -----------------------------------------------------------------------------------------------------

#: The key by which each hot family is kept together.
FAMILIES = {
    "chat_id": ("outbox", "copies", "tries", "doubts", "mirrors", "mirror_blocks"),
    "post_id": ("revisions", "post_tags", "boosts", "reports", "signals", "votes", "vote_accounts"),
    "thing_id": ("places",),
    "member_id": ("follows",),
    "key": ("inbox",),
    # Each row stands alone: found by its id, never joined but by it.
    "id": ("posts", "notices", "folds", "relays", "parked"),
}
#: Small tables of which every machine would hold a copy, so that a foreign key to them costs nothing. ``chats`` is one:
#: found by (platform, key), which could not be unique were it spread by its id, and written when a room is described
#: and not when something is sent. Its rows are as many as rooms; the rows that grow with use are spread by ``chat_id``.
REFERENCE = {"members", "communities", "chats", "accounts"}
#: Inside a family: the post itself, kept by the same key.
INSIDE = {"posts": "post_id"}
HOT = {name: key for key, names in FAMILIES.items() for name in names}


@pytest.mark.parametrize("name", HOT)
def test_every_unique_key_contains_the_familys(name: str) -> None:
    table = metadata.tables[name]
    keys = [set(table.primary_key.columns.keys())]
    keys += [set(c.columns.keys()) for c in table.constraints if isinstance(c, UniqueConstraint)]
    keys += [set(i.columns.keys()) for i in table.indexes if i.unique]
    assert all(HOT[name] in key for key in keys)


@pytest.mark.parametrize("table", metadata.tables.values(), ids=str)
def test_foreign_keys_stay_inside_a_family_or_lead_to_reference_tables(table: Table) -> None:
    for key in table.foreign_keys:
        target = key.column.table.name
        inside = INSIDE.get(target) == key.parent.name == HOT.get(table.name)
        assert inside or target in REFERENCE


@pytest.mark.parametrize("table", metadata.tables.values(), ids=str)
def test_no_row_takes_others_with_it_and_no_database_draws_ids(table: Table) -> None:
    assert all(key.ondelete is None for key in table.foreign_keys)
    assert all(column.autoincrement in (False, "auto") for column in table.columns)
    assert all(
        column.autoincrement is False or column.type.python_type is str
        for column in table.primary_key.columns
    )


@pytest.mark.parametrize("table", metadata.tables.values(), ids=str)
def test_every_constraint_has_a_name(table: Table) -> None:
    assert all(constraint.name for constraint in table.constraints)
    assert all(index.name for index in table.indexes)


@pytest.mark.parametrize("name", HOT)
def test_hot_tables_hold_integers_text_and_bytes(name: str) -> None:
    kinds = {type(c.type).__name__ for c in metadata.tables[name].columns}
    assert kinds <= {"BigInteger", "Integer", "Text", "LargeBinary", "Instant"}
