"""Commands in the bot's own words become Discord's: a tap types them, by the name that the reader knows. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from bots.discord.interactions import SLASH
from bots.discord.render import CONTENT, DESCRIPTION

Payload = dict[str, Any]

_SUBCOMMAND = 1
_COMMAND = re.compile(r"(?<![\w/`<])/([a-z]+)(?: ([a-z]+))?")


def offered(commands: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The ids of Discord's own list of slash commands, by name and by name with verb."""
    found: dict[str, str] = {}
    for command in commands:
        if command.get("type", SLASH) != SLASH:
            continue
        verbs = [
            option["name"] for option in command.get("options") or [] if option.get("type") == _SUBCOMMAND
        ]
        names = [f"{command['name']} {verb}" for verb in verbs] or [command["name"]]
        found |= {name: str(command["id"]) for name in names}
    return found


def clickable(payload: Payload, ids: Mapping[str, str]) -> Payload:
    """The message with its commands to be tapped, as far as that fits. ``ids``: see ``offered``."""
    embeds = [
        embed | {"description": _linked(embed["description"], ids, DESCRIPTION)}
        if "description" in embed
        else embed
        for embed in payload["embeds"]
    ]
    return payload | {"content": _linked(payload["content"], ids, CONTENT), "embeds": embeds}


def _linked(text: str, ids: Mapping[str, str], limit: int) -> str:
    def link(match: re.Match[str]) -> str:
        name, verb = match.groups()
        if verb and (id_ := ids.get(f"{name} {verb}")):
            return f"</{name} {verb}:{id_}>"
        if id_ := ids.get(name):
            return f"</{name}:{id_}>" + (f" {verb}" if verb else "")
        return match[0]

    linked = _COMMAND.sub(link, text)
    return linked if len(linked) <= limit else text
