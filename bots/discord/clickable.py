"""Commands in the bot's own words become Discord's: a tap types them, by the name that the reader knows. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from msgspec import structs

from bots.discord.interactions import SLASH
from bots.discord.render import CONTENT, DESCRIPTION
from core.body import Block, Body, Inline, Paragraph, Text
from core.intents import View
from core.text import plain

Payload = dict[str, Any]

_SUBCOMMAND = 1
_COMMAND = re.compile(r"/([a-z]+(?: [a-z]+)?)")
#: Of the characters that Unicode gives to nobody, those that stand for commands while the text is written.
_FIRST, _LAST = 0xE000, 0xF8FF


def offered(commands: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The ids of Discord's own list of slash commands, by name and by name with verb."""
    found: dict[str, str] = {}
    for command in commands:
        if command.get("type", SLASH) != SLASH:
            continue
        options = command.get("options") or []
        verbs = [option["name"] for option in options if option.get("type") == _SUBCOMMAND]
        names = [f"{command['name']} {verb}" for verb in verbs] or [command["name"]]
        found |= {name: str(command["id"]) for name in names}
    return found


def clickable(view: View, ids: Mapping[str, str], render: Callable[[View], Payload]) -> Payload:
    """The message with its commands to be tapped, where that fits. ``ids``: see ``offered``."""
    links: dict[str, str] = {}
    marked = replace(view, body=Body(tuple(_marked(block, ids, links) for block in view.body.blocks)))
    if not links or any(_FIRST <= ord(letter) <= _LAST for letter in plain(view.body)):
        return render(view)
    payload = render(marked)
    content = _linked(payload["content"], links)
    embeds = [
        embed | {"description": _linked(embed["description"], links)} if "description" in embed else embed
        for embed in payload["embeds"]
    ]
    fits = len(content) <= CONTENT and all(len(one.get("description", "")) <= DESCRIPTION for one in embeds)
    return payload | {"content": content, "embeds": embeds} if fits else render(view)


def _marked(block: Block, ids: Mapping[str, str], links: dict[str, str]) -> Block:
    if not isinstance(block, Paragraph):
        return block
    nodes: list[Inline] = []
    for node in block.children:
        command = _COMMAND.fullmatch(node.text) if isinstance(node, Text) else None
        id_ = ids.get(command[1]) if command else None
        if command and id_ and len(links) <= _LAST - _FIRST:
            mark = chr(_FIRST + len(links))
            links[mark] = f"</{command[1]}:{id_}>"
            nodes.append(Text(mark))
        else:
            nodes.append(node)
    return structs.replace(block, children=tuple(nodes))


def _linked(text: str, links: Mapping[str, str]) -> str:
    return text.translate({ord(mark): link for mark, link in links.items()})
