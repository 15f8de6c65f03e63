"""Golden payloads of Discord -> whole core values and back; malformed ones never crash."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.discord import convert, interactions, reactions, render
from bots.discord.convert import Person, Room
from bots.discord.handles import Handle, read_handle
from bots.discord.permissions import Overwrite, missing, permissions, rights
from core.body import Body, Mention, Paragraph, Strong, Text
from core.errors import Rejected, RejectedWhy
from core.events import (
    Actor,
    Bookmark,
    ButtonPressed,
    CommandEdited,
    CommandInvoked,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    Place,
    ReactionChanged,
    Rights,
)
from core.intents import Button, Form, View, Voice
from core.types import AccountRef, ChatRef, Language, MessageRef

ME = "900"
#: 2026-01-02 03:04:05 UTC as a snowflake.
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ID = convert.snowflake_at(AT)
ROOM = Room(title="general", guild="77")
CHAT = ChatRef(convert.PLATFORM, "55")
PLACE = Place(chat=CHAT, title="general", group="77")
MESSAGE = MessageRef(CHAT, ID)
ANNA = Actor(account=AccountRef(convert.PLATFORM, "11"), name="Annie", username="anna")


def message(**changes: Any) -> dict[str, Any]:
    return {
        "id": ID,
        "channel_id": "55",
        "guild_id": "77",
        "type": 0,
        "content": "Hello **flock**",
        "author": {"id": "11", "username": "anna", "global_name": "Anna"},
        "member": {"nick": "Annie", "roles": []},
        "mentions": [],
        "timestamp": "2026-01-02T03:04:05+00:00",
        "edited_timestamp": None,
    } | changes


def test_ordinary_talk() -> None:
    assert convert.message_created(message(), me=ME, room=ROOM) == MessageReceived(
        key=f"discord:900:message:{ID}",
        at=AT,
        bookmark=Bookmark(scope="discord:55", value=ID),
        place=PLACE,
        actor=ANNA,
        message=MESSAGE,
        body=Body((Paragraph((Text("Hello "), Strong((Text("flock"),)))),)),
        source="Hello **flock**",
        dialect="discord",
    )


def test_a_reply_to_us_that_mentions_somebody() -> None:
    payload = message(
        type=19,
        content="<@12> look",
        mentions=[{"id": "12", "username": "ben"}],
        message_reference={"type": 0, "channel_id": "55", "message_id": "44"},
        referenced_message={"id": "44", "author": {"id": ME}},
    )
    event = convert.message_created(payload, me=ME, room=ROOM)
    assert isinstance(event, MessageReceived)
    assert event.reply_to == MessageRef(CHAT, "44")
    assert event.to_bot
    mention = Mention("@ben", account=AccountRef(convert.PLATFORM, "12"))
    assert event.body == Body((Paragraph((mention, Text(" look"))),))


def test_a_command_by_mention() -> None:
    payload = message(
        type=19,
        content="<@900> Post  Hello **you**",
        mentions=[{"id": ME, "username": "stormo"}],
        message_reference={"channel_id": "55", "message_id": "44"},
    )
    granted = Rights(moderator=True)
    assert convert.message_created(payload, me=ME, room=ROOM, rights=granted) == CommandInvoked(
        key=f"discord:900:message:{ID}",
        at=AT,
        bookmark=Bookmark(scope="discord:55", value=ID),
        place=PLACE,
        actor=Actor(account=ANNA.account, name="Annie", username="anna", rights=granted),
        name="post",
        text="Hello **you**",
        body=Body((Paragraph((Text("Hello "), Strong((Text("you"),)))),)),
        source="Hello **you**",
        dialect="discord",
        message=MESSAGE,
        target=MessageRef(CHAT, "44"),
    )


@pytest.mark.parametrize(
    ("text", "private", "name", "rest"),
    [
        ("<@900> /mirror add #birds", False, "mirror", "add #birds"),
        ("<@!900>\n!whoami", False, "whoami", ""),
        ("<@900> hepl", False, "hepl", ""),
        ("<@900> /nonsense with words", False, "nonsense", "with words"),
        ("<@900> thanks a lot", False, None, ""),
        ("/post hello", False, None, ""),
        ("hello <@900> join", False, None, ""),
        ("join anna", True, "join", "anna"),
        ("/start join_17", True, "start", "join_17"),
        ("good morning to you", True, None, ""),
    ],
)
def test_what_is_a_command(text: str, private: bool, name: str | None, rest: str) -> None:
    room = Room(private=True) if private else ROOM
    event = convert.message_created(message(content=text), me=ME, room=room)
    if name is None:
        assert isinstance(event, MessageReceived)
        assert event.to_bot is private
    else:
        assert isinstance(event, CommandInvoked)
        assert (event.name, event.text) == (name, rest)


@pytest.mark.parametrize(
    "changes",
    [
        {"webhook_id": "5"},
        {"author": {"id": "3", "username": "b", "bot": True}},
        {"author": {"id": "3", "username": "b", "system": True}},
        {"type": 7},
        {"content": ""},
    ],
)
def test_bots_webhooks_notices_and_hidden_words_are_no_talk(changes: dict[str, Any]) -> None:
    assert convert.message_created(message(**changes), me=ME, room=ROOM) is None


def test_edits() -> None:
    edited = message(edited_timestamp="2026-01-02T04:04:05.250000+01:00", content="Now")
    event = convert.message_edited(edited, me=ME, room=ROOM)
    assert event == MessageEdited(
        key=f"discord:900:edit:{ID}:1767323045250",
        at=datetime(2026, 1, 2, 3, 4, 5, 250000, tzinfo=UTC),
        place=PLACE,
        actor=ANNA,
        message=MESSAGE,
        body=Body((Paragraph((Text("Now"),)),)),
        source="Now",
        dialect="discord",
    )
    assert convert.message_edited(message(), me=ME, room=ROOM) is None
    command = convert.message_edited(edited | {"content": "<@900> post Now"}, me=ME, room=ROOM)
    assert isinstance(command, CommandEdited)
    assert (command.name, command.text) == ("post", "Now")


def test_deletions() -> None:
    one = MessageDeleted(key="discord:900:delete:1", message=MessageRef(CHAT, "1"))
    two = MessageDeleted(key="discord:900:delete:2", message=MessageRef(CHAT, "2"))
    assert convert.deletions({"id": "1", "channel_id": "55"}, me=ME) == (one,)
    assert convert.deletions({"ids": ["1", "2"], "channel_id": "55"}, me=ME) == (one, two)


def test_reactions() -> None:
    payload = {
        "user_id": "11",
        "channel_id": "55",
        "message_id": ID,
        "guild_id": "77",
        "emoji": {"id": None, "name": "❤️"},
        "member": {"nick": "Annie", "user": {"id": "11", "username": "anna", "global_name": "Anna"}},
    }
    added = reactions.changed(payload, me=ME, added=True, known={})
    assert added == ReactionChanged(key=None, message=MESSAGE, actor=ANNA, added=("❤️",))
    bare = {name: value for name, value in payload.items() if name != "member"}
    known = {"11": Person(name="Annie", username="anna")}
    custom = bare | {"emoji": {"id": "7", "name": "egg"}}
    removed = reactions.changed(custom, me=ME, added=False, known=known)
    assert removed == ReactionChanged(key=None, message=MESSAGE, actor=ANNA, removed=("egg:7",))
    assert reactions.changed(payload | {"user_id": ME}, me=ME, added=True, known={}) is None


def test_reactions_found_again_are_whole_sets_without_a_time() -> None:
    anna = {"id": "11", "username": "anna", "global_name": "Annie"}
    us = {"id": ME, "username": "stormo", "bot": True}
    found = reactions.found(MESSAGE, {"👍": [anna, us], "❤️": [anna]}, me=ME)
    assert found == (
        ReactionChanged(key=None, message=MESSAGE, actor=ANNA, added=("👍", "❤️"), whole=True, found=True),
    )


def interaction(**changes: Any) -> dict[str, Any]:
    return {
        "id": ID,
        "application_id": "900",
        "type": 2,
        "token": "secret",
        "channel_id": "55",
        "guild_id": "77",
        "channel": {"id": "55", "name": "general", "type": 0, "nsfw": True},
        "locale": "it",
        "member": {
            "nick": "Annie",
            "permissions": str(1 << 5),
            "user": {"id": "11", "username": "anna", "global_name": "Anna"},
        },
        "data": {
            "name": "mirror",
            "options": [
                {"type": 1, "name": "add", "options": [{"type": 3, "name": "feed", "value": "#birds"}]}
            ],
        },
    } | changes


def test_the_text_of_a_slash_command_is_discord_s_markdown() -> None:
    options = [{"type": 3, "name": "text", "value": "**bold** <@11>"}]
    users = {"users": {"11": {"id": "11", "username": "anna", "global_name": "Anna"}}}
    data = {"name": "post", "options": options, "resolved": users}
    heard = interactions.interaction(interaction(data=data), me=ME, room=Room())
    assert isinstance(heard, CommandInvoked)
    assert heard.options == {"text": "**bold** <@11>"}
    assert heard.body == Body(
        (Paragraph((Strong((Text("bold"),)), Text(" "), Mention("@Anna", account=ANNA.account))),)
    )


def test_a_slash_command_with_a_verb() -> None:
    handle = f"interaction:900:secret:{int(AT.timestamp() * 1000)}"
    assert interactions.interaction(interaction(), me=ME, room=Room()) == CommandInvoked(
        key=f"discord:900:interaction:{ID}",
        at=AT,
        bookmark=Bookmark(scope="discord:55", value=ID),
        place=Place(chat=CHAT, title="general", closed=True, group="77"),
        actor=Actor(
            account=ANNA.account,
            name="Annie",
            username="anna",
            locale=Language("it"),
            rights=Rights(admin=True, moderator=True),
        ),
        name="mirror add",
        options={"feed": "#birds"},
        dialect="discord",
        handle=handle,
    )
    assert read_handle(handle) == Handle("900", "secret", AT, pressed=False)
    assert "secret" not in repr(read_handle(handle))


def test_a_button_in_a_private_chat() -> None:
    payload = interaction(
        type=3,
        user={"id": "11", "username": "anna"},
        channel={"id": "55", "type": 1},
        data={"custom_id": "vote yes", "component_type": 2},
        message={"id": "44"},
    )
    del payload["member"], payload["guild_id"]
    event = interactions.interaction(payload, me=ME, room=Room(private=True))
    assert event == ButtonPressed(
        key=f"discord:900:interaction:{ID}",
        at=AT,
        bookmark=Bookmark(scope="discord:55", value=ID),
        place=Place(chat=CHAT, title="anna", private=True),
        actor=Actor(account=ANNA.account, name="anna", username="anna", locale=Language("it")),
        data="vote yes",
        message=MessageRef(CHAT, "44"),
        handle=f"button:900:secret:{int(AT.timestamp() * 1000)}",
    )


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_CONVERTERS: list[tuple[dict[str, Any], Callable[[Any], object]]] = [
    (message(), lambda data: convert.message_created(data, me=ME, room=ROOM)),
    (
        message(edited_timestamp="2026-01-02T04:04:05+00:00"),
        lambda data: convert.message_edited(data, me=ME, room=ROOM),
    ),
    ({"id": "1", "channel_id": "55"}, lambda data: convert.deletions(data, me=ME)),
    ({"message_id": "1", "channel_id": "55", "emoji": {"name": "👍"}}, reactions.cleared),
    (
        {"user_id": "1", "channel_id": "5", "message_id": "2", "emoji": {"name": "👍"}},
        lambda data: reactions.changed(data, me=ME, added=True, known={}),
    ),
    (interaction(), lambda data: interactions.interaction(data, me=ME, room=Room())),
    ({"reactions": [{"emoji": {"name": "👍"}}]}, reactions.under),
]


@given(st.sampled_from(_CONVERTERS), st.data())
def test_a_malformed_payload_never_crashes(
    pair: tuple[dict[str, Any], Callable[[Any], object]], data: st.DataObject
) -> None:
    payload, converter = pair
    broken = payload | {data.draw(st.sampled_from(sorted(payload))): data.draw(_JSON)}
    for name in data.draw(st.sets(st.sampled_from(sorted(payload)), max_size=2)):
        broken.pop(name, None)
    result = converter(broken)
    assert result is None or isinstance(result, tuple) or hasattr(result, "key")


@given(st.text(max_size=40))
def test_a_strange_handle_is_none(text: str) -> None:
    handle = read_handle(text)
    assert handle is None or handle.token in text


# Permissions


def test_permissions_add_up_in_discords_order() -> None:
    given_: dict[str, Any] = {"owner": False, "everyone": (1, 0b0011), "roles": {2: 0b0100}, "member": 9}
    assert permissions(**given_, overwrites={}) == 0b0111
    layered = {1: Overwrite(0b0001, 0), 2: Overwrite(0, 0b0001), 9: Overwrite(0b0100, 0b10000)}
    assert permissions(**given_, overwrites=layered) == 0b10011
    assert permissions(**(given_ | {"owner": True}), overwrites=layered) & 1 << 13
    assert permissions(**(given_ | {"roles": {2: 1 << 3}}), overwrites={2: Overwrite(1 << 13, 0)}) & 1 << 13
    assert rights(1 << 13) == Rights(moderator=True)
    assert missing(1 << 3) == ()
    assert missing((1 << 64) - 1 & ~(1 << 14) & ~(1 << 3)) == ("embed_links",)


# Views


def view(text: str = "Hello", **changes: Any) -> View:
    given_: dict[str, Any] = {"voice": Voice.BOT, "body": Body((Paragraph((Text(text),)),))}
    return View(**(given_ | changes))


def test_a_persons_post_in_full() -> None:
    shown = view(
        "Hello *you*",
        voice=Voice.PERSON,
        author="Anna (@anna · Telegram)",
        footer="3 votes",
        link="https://example.org/p/1",
        buttons=(Button("Yes", data="y"), Button("Open", url="https://example.org")),
    )
    reply = MessageRef(CHAT, "44")
    assert render.created(shown, Form.FULL, key="k", reply_to=reply) == {
        "content": "",
        "embeds": [
            {
                "description": "Hello \\*you\\*",
                "color": 0x2F7D5B,
                "author": {"name": "Anna (@anna · Telegram)", "url": "https://example.org/p/1"},
                "footer": {"text": "3 votes"},
            }
        ],
        "components": [
            {
                "type": 1,
                "components": [
                    {"type": 2, "label": "Yes", "style": 2, "custom_id": "y"},
                    {"type": 2, "label": "Open", "style": 5, "url": "https://example.org"},
                ],
            }
        ],
        "allowed_mentions": {"parse": [], "replied_user": False},
        "flags": 4096,
        "nonce": render.nonce("k"),
        "enforce_nonce": True,
        "message_reference": {"message_id": "44", "channel_id": "55", "fail_if_not_exists": False},
    }
    assert len(render.nonce("k")) == 25


def test_our_own_words_are_content_until_they_are_too_long() -> None:
    short = render.message(view("Done.", footer="bye_bye", text_command="/undo"), Form.FULL)
    assert (short["content"], short["embeds"]) == ("Done.\n/undo\n-# bye\\_bye", [])
    long = render.message(view("x" * 3000), Form.FULL)
    assert (long["content"], long["embeds"][0]["description"]) == ("", "x" * 3000)


@pytest.mark.parametrize(
    ("voice", "form", "length"),
    [(Voice.PERSON, Form.FULL, 4097), (Voice.PERSON, Form.PLAIN, 2001), (Voice.BOT, Form.FULL, 4097)],
)
def test_what_does_not_fit_is_refused_for_its_form(voice: Voice, form: Form, length: int) -> None:
    with pytest.raises(Rejected) as refused:
        render.message(view("x" * length, voice=voice), form)
    assert refused.value.why is RejectedWhy.FORM


def render_or_none(shown: View, form: Form) -> dict[str, Any] | None:
    """The payload, or nothing where it was refused."""
    with contextlib.suppress(Rejected):
        return render.message(shown, form)
    return None


@given(st.text(), st.text(max_size=400), st.sampled_from(Form), st.sampled_from(Voice))
def test_every_view_keeps_discords_limits_or_is_refused(
    text: str, author: str, form: Form, voice: Voice
) -> None:
    shown = render_or_none(view(text, author=author, voice=voice, link="https://example.org/p"), form)
    if shown is None:
        assert form is not Form.LINK
        return
    assert len(shown["content"]) <= 2000
    assert all(len(embed["description"]) <= 4096 for embed in shown["embeds"])
    assert shown["allowed_mentions"] == {"parse": [], "replied_user": False}


def test_a_cut_keeps_families_together() -> None:
    family = "👨‍👩‍👧"
    assert render.cut("ab" + family + "cd", 6) == "ab…"
    assert render.cut(family, 5) == family
