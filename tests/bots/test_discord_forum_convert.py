"""What happens in a forum, as payloads and as the core's events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.discord import convert, interactions, reactions, render
from bots.discord.convert import Room
from bots.discord.text import DIALECT, read
from core.events import (
    Actor,
    Bookmark,
    ButtonPressed,
    CommandInvoked,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    Place,
    ReactionChanged,
    ReactorsFound,
)
from core.intents import Form, Voice
from core.types import AccountRef, ChatRef, MessageRef
from tests.bots.discord_scene import DISCORD, view

ME, FORUM, THREAD, ID = "900", "70", "71", "1175928847299117056"
ROOM = Room(title="birds", guild="5", forum=FORUM)
CHAT = ChatRef(DISCORD, FORUM)
PLACE = Place(chat=CHAT, title="birds", group="5", threaded=True)
ANNA = Actor(account=AccountRef(DISCORD, "11"), name="Anna", username="anna")
START = MessageRef(CHAT, f"{THREAD}/{THREAD}")
USER = {"id": "11", "username": "anna", "global_name": "Anna"}


def message(**changes: Any) -> dict[str, Any]:
    return {"id": ID, "channel_id": THREAD, "content": "lovely", "author": USER} | changes


def test_a_message_in_a_post() -> None:
    reply = {"type": 19, "message_reference": {"channel_id": THREAD, "message_id": THREAD}}
    assert convert.message_created(message(**reply), me=ME, room=ROOM) == MessageReceived(
        key=f"discord:{ME}:message:{ID}",
        at=convert.moment(ID),
        bookmark=Bookmark(scope=f"discord:{FORUM}", value=ID),
        place=PLACE,
        actor=ANNA,
        message=MessageRef(CHAT, f"{THREAD}/{ID}"),
        body=read("lovely", {}),
        source="lovely",
        dialect=DIALECT,
        reply_to=START,
    )


def test_a_command_in_a_post_is_about_it_and_the_one_that_begins_a_post_is_not() -> None:
    for id_, target in ((ID, START), (THREAD, None)):
        event = convert.message_created(message(id=id_, content=f"<@{ME}> whoami"), me=ME, room=ROOM)
        assert isinstance(event, CommandInvoked)
        assert (event.target, event.place) == (target, PLACE)


def test_edits_deletions_and_reactions_in_a_post() -> None:
    edited = convert.message_edited(message(edited_timestamp="2026-01-02T04:04:05+00:00"), me=ME, room=ROOM)
    assert isinstance(edited, MessageEdited)
    assert (edited.place, edited.message) == (PLACE, MessageRef(CHAT, f"{THREAD}/{ID}"))
    where = {"channel_id": THREAD, "message_id": THREAD, "emoji": {"name": "👍"}}
    assert reactions.changed(
        where | {"user_id": "11"}, me=ME, added=True, known={}, forum=FORUM
    ) == ReactionChanged(key=None, message=START, actor=Actor(account=ANNA.account, name=""), added=("👍",))
    assert reactions.cleared(where, forum=FORUM) == ReactorsFound(
        key=None, message=START, accounts=(), began=None, emoji="👍"
    )
    gone = convert.deletions({"channel_id": THREAD, "ids": [THREAD, ID]}, me=ME, forum=FORUM)
    assert [event.message for event in gone] == [START, MessageRef(CHAT, f"{THREAD}/{ID}")]


def test_a_post_that_is_deleted_takes_the_message_with_it_that_it_began_with() -> None:
    event = convert.post_deleted({"id": THREAD, "parent_id": FORUM, "guild_id": "5", "type": 11}, me=ME)
    assert event == MessageDeleted(key=f"discord:{ME}:delete:{THREAD}/{THREAD}", message=START)


def test_a_button_a_slash_command_and_a_form_in_a_post() -> None:
    shared = {
        "id": ID,
        "application_id": ME,
        "token": "t",
        "channel_id": THREAD,
        "channel": {"id": THREAD, "type": 11, "name": "Swifts", "parent_id": FORUM},
        "guild_id": "5",
        "app_permissions": str(1 << 3),
        "member": {"user": USER, "permissions": "0"},
    }
    pressed = interactions.interaction(
        shared | {"type": 3, "data": {"custom_id": "x"}, "message": {"id": THREAD}}, me=ME, room=ROOM
    )
    assert isinstance(pressed, ButtonPressed)
    slash = interactions.interaction(shared | {"type": 2, "data": {"name": "whoami"}}, me=ME, room=ROOM)
    assert isinstance(slash, CommandInvoked)
    assert pressed.place == slash.place == PLACE
    assert pressed.message == slash.target == START
    assert pressed.bookmark == slash.bookmark == Bookmark(scope=f"discord:{FORUM}", value=ID)
    words = {"type": 4, "custom_id": "text", "value": "lovely"}
    for form, about in (("form=post", START), ("form=quote&on=99", MessageRef(CHAT, f"{THREAD}/99"))):
        data = {"custom_id": form, "components": [{"type": 1, "components": [words]}]}
        filled = interactions.interaction(shared | {"type": 5, "data": data}, me=ME, room=ROOM)
        assert isinstance(filled, CommandInvoked)
        assert (filled.place, filled.target) == (PLACE, about)


def test_an_answer_in_a_post_names_its_channel_and_its_message() -> None:
    payload = render.created(
        view("I did", voice=Voice.PERSON), Form.FULL, key="k", reply_to=MessageRef(CHAT, f"{THREAD}/{ID}")
    )
    assert payload["message_reference"] == {
        "message_id": ID,
        "channel_id": THREAD,
        "fail_if_not_exists": False,
    }


SNOWFLAKES = st.integers(0, 10**20 - 1).map(str)


@given(SNOWFLAKES, SNOWFLAKES, st.just("") | SNOWFLAKES)
def test_a_message_is_found_by_its_name_alone(channel: str, id_: str, forum: str) -> None:
    ref = convert.message_at(channel, id_, forum)
    assert convert.address(ref) == (channel, id_)
    assert ref.chat.key == (forum or channel)
    assert convert.begins_post(ref) == (bool(forum) and channel == id_)


@pytest.mark.parametrize("part", ["id", "parent_id"])
@given(broken=st.none() | st.booleans() | st.floats() | st.text(max_size=4) | st.lists(st.integers()))
def test_a_malformed_deletion_is_none(part: str, broken: object) -> None:
    converter: Callable[..., object] = convert.post_deleted
    found = converter({"id": "1", "parent_id": "2"} | {part: broken}, me=ME)
    assert found is None or isinstance(found, MessageDeleted)
