"""Times and names in Discord's Markdown: what the payloads hold, and what is read out of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from bots.discord import convert, interactions, render
from bots.discord.text import mentioned, read, write
from core.body import Body, Code, Inline, Mention, Paragraph, Strong, Text, Time
from core.events import CommandInvoked, MessageReceived
from core.intents import Form, View, Voice
from core.tags import mentions, resolve, tags
from core.types import AccountRef, Platform

DISCORD = Platform("discord")
AT = datetime(2024, 3, 28, 9, 30, tzinfo=UTC)


def paragraph(*inlines: Inline) -> Body:
    return Body((Paragraph(inlines),))


def message(text: str, **changes: Any) -> dict[str, Any]:
    author = {"id": "3", "username": "anna", "global_name": "Anna"}
    return {"id": "1175928847299117056", "channel_id": "7", "content": text, "author": author} | changes


# Times


@pytest.mark.parametrize("style", ["", ":t", ":T", ":d", ":D", ":f", ":F", ":s", ":S", ":R"])
def test_a_time_of_any_style_is_read_as_that_moment(style: str) -> None:
    text = f"at <t:{int(AT.timestamp())}{style}>"
    event = convert.message_created(message(text), me="1", room=convert.Room(guild="5"))
    assert isinstance(event, MessageReceived)
    assert event.body == paragraph(Text("at "), Time(AT))


def test_a_time_is_written_so_that_each_reader_sees_it_in_their_own_zone() -> None:
    body = paragraph(Text("at "), Strong((Time(AT),)))
    for voice in (Voice.PERSON, Voice.BOT):
        payload = render.message(View(voice=voice, body=body), Form.FULL)
        shown = payload["embeds"][0]["description"] if payload["embeds"] else payload["content"]
        assert shown == "at **<t:1711618200:f>**"


@pytest.mark.parametrize("text", ["<t:1:x>", "<t:>", "<t:99999999999999>", "`<t:1>`"])
def test_what_is_no_time_stays_words(text: str) -> None:
    assert not [leaf for leaf in read(text, {}).blocks[0].children if isinstance(leaf, Time)]  # type: ignore[union-attr]


def test_a_time_that_somebody_typed_elsewhere_is_no_time() -> None:
    assert write(paragraph(Text("<t:1> <@5>"))) == "\\<t:1> \\<@5>"


# Names


def test_an_account_of_discord_is_mentioned_and_called_by_no_payload() -> None:
    account = AccountRef(DISCORD, "80351110224678912")
    body = paragraph(Text("with "), Mention("@Anna", account=account), Text(" and "), Mention("@bert"))
    view = View(voice=Voice.PERSON, body=body, author="Carl (@carl · Telegram)", as_author=True)
    for payload in (render.message(view, Form.FULL), render.spoken(view, Form.FULL, key="k")):
        text = payload["content"] or payload["embeds"][0]["description"]
        assert text == "with <@80351110224678912> and @bert"
        assert payload["allowed_mentions"] == {"parse": [], "replied_user": False}


@pytest.mark.parametrize(
    "account", [AccountRef(Platform("telegram"), "5"), AccountRef(DISCORD, "5> @everyone <@6")]
)
def test_any_other_account_is_its_words(account: AccountRef) -> None:
    assert write(paragraph(Mention("@Anna", account=account))) == "@Anna"


def test_what_is_read_is_written_again() -> None:
    text = "<@5> at <t:1711618200:f>"
    assert write(read(text, {"5": "Anna"})) == text


NAMES = {"&11": "birders", "#12": "general"}


def test_roles_and_channels_are_read_as_words_that_are_neither_tags_nor_handles() -> None:
    body = read("<@&11> in <#12>, use </mirror add:13>!", NAMES)
    assert body == paragraph(
        Code("birders"),
        Text(" in "),
        Code("general"),
        Text(", use "),
        Code("/mirror add"),
        Text("!"),
    )
    assert tags(resolve(body)) == ()
    assert mentions(resolve(body)) == ()
    assert read("<@&1> <#2>", NAMES) == paragraph(Code("…"), Text(" "), Code("…"))
    named = resolve(read("<@&1> <@&2>", {"&1": "#swifts", "&2": "@anna"}))
    assert (tags(named), mentions(named)) == ((), ())


def test_only_what_a_text_mentions_is_looked_up() -> None:
    assert list(mentioned("<@&11> `<#12>` <@5> @everyone #general </post:13>")) == ["&11", "#12"]
    assert list(mentioned("nobody")) == []


def test_everyone_is_a_word_that_calls_nobody() -> None:
    view = View(voice=Voice.BOT, body=resolve(read("@everyone @here", {})))
    payload = render.message(view, Form.FULL)
    assert (payload["content"], payload["allowed_mentions"]["parse"]) == ("@everyone @here", [])


def test_the_room_s_names_stand_in_commands_too() -> None:
    room = convert.Room(guild="5", names=NAMES)
    typed = convert.message_created(message("<@1> post to <@&11>"), me="1", room=room)
    slash = interactions.interaction(
        {
            "id": "1175928847299117056",
            "application_id": "1",
            "type": 2,
            "token": "t",
            "channel_id": "7",
            "guild_id": "5",
            "member": {"user": {"id": "3", "username": "anna"}, "permissions": "0"},
            "data": {"name": "post", "options": [{"name": "text", "type": 3, "value": "to <@&11>"}]},
        },
        me="1",
        room=room,
    )
    for event in (typed, slash):
        assert isinstance(event, CommandInvoked)
        assert event.body == paragraph(Text("to "), Code("birders"))
