"""Slash commands, menus and forms as Discord takes them, and commands in the bot's words."""

from __future__ import annotations

import re
from typing import Any

from bots.discord import clickable, render, slash
from core.body import Body, Paragraph, Text
from core.commands import COMMANDS, Menu
from core.errors import Message
from core.intents import Form, View, Voice
from stormo.words import Catalogue


def words(one: Message, language: str) -> str:
    return f"{one.id} ({language})"


def test_the_commands_as_discord_takes_them() -> None:
    made = {c["name"]: c for c in slash.commands(words, everywhere=True) if c["type"] == 1}
    assert set(made) == {spec.name for spec in COMMANDS}
    assert made["post"]["contexts"] == [0, 1]
    assert [(option["name"], option["required"]) for option in made["post"]["options"]] == [
        ("text", False),
        ("visibility", False),
        ("file", False),
    ]
    add = made["mirror"]["options"][0]
    assert (add["type"], add["name"], add["description"]) == (1, "add", "command.mirror.add (en)")
    assert add["description_localizations"] == {"it": "command.mirror.add (it)"}
    assert add["name_localizations"] == {"it": "word.add (it)"}
    feed = add["options"][0]
    assert (feed["description"], feed["autocomplete"]) == ("command.mirror.add.arg.feed (en)", True)
    assert (made["mirror"]["default_member_permissions"], made["mirror"]["contexts"]) == (1 << 5, [0])
    assert (made["remove"]["default_member_permissions"], made["remove"]["contexts"]) == (1 << 13, [0])
    number = next(o for o in made["alt"]["options"] if o["name"] == "picture")
    assert (number["type"], number["min_value"]) == (4, 1)
    assert made["follow"]["contexts"] == [0, 1]
    assert all("contexts" not in command for command in slash.commands(words, everywhere=False))


def test_menus_stand_on_messages_and_members() -> None:
    made = [c for c in slash.commands(words, everywhere=True) if c["type"] != 1]
    kinds = {Menu.MEMBER: 2, Menu.MESSAGE: 3}
    wanted = {(kinds[spec.menu], f"menu.{spec.name} (en)") for spec in COMMANDS if spec.menu in kinds}
    assert {(menu["type"], menu["name"]) for menu in made} == wanted
    assert all("description" not in menu and "options" not in menu for menu in made)
    assert slash.menus(words)["menu.post (en)"] == "post"


def test_choices_fall_back_on_their_own_word() -> None:
    (state,) = next(
        command["options"]
        for command in slash.commands(lambda one, _: one.id, everywhere=True)
        if command["name"] == "relay"
    )
    assert [(choice["name"], choice["value"]) for choice in state["choices"]] == [
        ("on", "on"),
        ("off", "off"),
    ]


def test_what_discord_adds_is_no_difference() -> None:
    wanted = slash.commands(words, everywhere=True)
    there = [
        command
        | {"id": "1", "version": "2", "nsfw": False, "dm_permission": True}
        | (
            {"default_member_permissions": str(command["default_member_permissions"])}
            if "default_member_permissions" in command
            else {"default_member_permissions": None}
        )
        for command in reversed(wanted)
    ]
    assert slash.same(wanted, there)
    assert not slash.same(wanted, there[1:])
    assert not slash.same(wanted, [there[0] | {"description": "other"}, *there[1:]])


def test_names_fit_discord_in_every_language() -> None:
    real = Catalogue(strict=True)
    own: dict[str, set[str]] = {language: set() for language in real.languages}
    for spec in COMMANDS:
        for language in real.languages:
            name = real(Message(f"word.{spec.name}"), language)
            assert re.fullmatch(r"[-_'\w]{1,32}", name), name
            assert name == name.lower()
            own[language].add(name)
    assert all(len(names) == len(COMMANDS) for names in own.values()), "two commands of one name"
    assert own["en"] == {spec.name for spec in COMMANDS}
    menus = [m["name"] for m in slash.commands(real, everywhere=True) if m["type"] != 1]
    assert all(1 <= len(name) <= 32 for name in menus)
    assert len(menus) == len(set(menus))


def test_every_word_of_the_catalogue_is_a_name_in_use() -> None:
    used = set()
    for spec in COMMANDS:
        for each in (spec, *spec.verbs):
            used |= {f"word.{each.name}", *(f"word.arg.{arg.name}" for arg in each.args)}
    real = Catalogue(strict=True)
    assert {id_ for id_ in real.ids("en") if id_.startswith("word.")} == used
    assert all(real(Message(id_), "en") == id_.rpartition(".")[2] for id_ in used)


# Commands in the bot's own words

IDS = {"join": "1", "mirror add": "2", "mirror list": "2", "post": "3"}


def shown(*texts: str) -> str:
    """The bot's words on Discord, each text a node of its own."""
    said = View(voice=Voice.BOT, body=Body((Paragraph(tuple(map(Text, texts))),)))
    made = clickable.clickable(said, IDS, render.answer)
    return str(made["content"] or made["embeds"][0]["description"])


def test_commands_in_the_bots_words_can_be_tapped() -> None:
    assert shown("Write ", "/join", " first.") == "Write </join:1> first."
    assert shown("/mirror add", " #birds, or ", "/mirror") == "</mirror add:2> #birds, or /mirror"


def test_what_people_wrote_among_them_is_no_command() -> None:
    assert shown("Anna: type /join now, ", "/post") == "Anna: type /join now, </post:3>"
    assert shown("/nonsense") == "/nonsense"
    assert shown("\ue000 ", "/join") == "\ue000 /join", "somebody uses the same sign"


def test_a_text_that_would_not_fit_stays_as_it_is() -> None:
    assert shown("/join", "x" * 1994) == "/join" + "x" * 1994


def test_one_of_other_peoples_posts_is_never_touched() -> None:
    body = Body((Paragraph((Text("/join"),)),))
    assert (
        render.message(View(voice=Voice.PERSON, body=body), Form.FULL)["embeds"][0]["description"] == "/join"
    )


def test_ids_come_from_discords_own_list() -> None:
    listed: list[dict[str, Any]] = [
        {"id": "7", "name": "join", "type": 1},
        {"id": "8", "name": "mirror", "options": [{"type": 1, "name": "add"}, {"type": 1, "name": "list"}]},
        {"id": "9", "name": "Post to Stormo", "type": 3},
    ]
    assert clickable.offered(listed) == {"join": "7", "mirror add": "8", "mirror list": "8"}
