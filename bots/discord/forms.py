"""The forms that ask for the text of a command: the way to long texts and to paragraphs. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from bots.discord.attachments import chosen
from bots.discord.convert import chat, lenient, snowflake, text_field
from bots.discord.handles import handle_of
from bots.discord.interactions import COMMAND, FORM, MESSAGE_MENU, ON, SLASH, options_of, presser
from bots.discord.render import cut
from bots.discord.text import write
from core.commands import Arg, CommandSpec, Kind, makes_post, spec_of
from core.errors import Message
from core.ports import Words
from core.suggestions import Asked, Draft

Payload = dict[str, Any]

_ROW, _INPUT, _PARAGRAPH = 1, 4, 2
_TITLE, _CUSTOM_ID, _INPUT_MAX = 45, 100, 4000


@dataclass(frozen=True, slots=True)
class Blank:
    """A form that somebody needs. ``on``: the id of the message that its menu was opened on, or empty."""

    spec: CommandSpec
    arg: Arg
    values: Mapping[str, str]
    on: str
    asked: Asked
    locale: str


@lenient
def blank(data: Mapping[str, Any], entries: Mapping[str, str], *, forum: str = "") -> Blank | None:
    """The form for a command or menu entry (``entries``: see ``slash.menus``) that came without its text, if so."""
    if data["type"] != COMMAND or not handle_of(data):
        return None
    body, on = data["data"], ""
    values: Mapping[str, str] = {}
    kind = body.get("type", SLASH)
    if kind == MESSAGE_MENU:
        name, on = entries[text_field(body, "name")], snowflake(body["target_id"])
    else:
        name, values = options_of(body) if kind == SLASH else ("", {})
    spec = spec_of(name)
    arg = next((arg for arg in spec.args if arg.kind is Kind.TEXT), None) if spec else None
    complete = makes_post(name) if on else bool(chosen(body))
    if spec is None or arg is None or complete or arg.name in values:
        return None
    place = chat(forum or snowflake(data["channel_id"]))
    asked = Asked(actor=presser(data), chat=place, command=name, arg=arg.name, typed="")
    return Blank(spec, arg, values, on, asked, text_field(data, "locale"))


def form(needed: Blank, draft: Draft, words: Words) -> Payload | None:
    """As Discord takes it; nothing where it could not carry what was typed already."""
    values = {
        FORM: needed.spec.name,
        **({ON: needed.on} if needed.on else {}),
        **needed.values,
        **draft.values,
    }
    custom_id = urlencode(values)
    if len(custom_id) > _CUSTOM_ID:
        return None
    id_ = f"command.{needed.spec.name}"

    def say(what: str) -> str:
        return cut(words(Message(what), needed.locale), _TITLE)

    field: Payload = {
        "type": _INPUT,
        "custom_id": needed.arg.name,
        "style": _PARAGRAPH,
        "label": say(f"{id_}.arg.{needed.arg.name}"),
        "max_length": _INPUT_MAX,
        # What may come as a file instead must be words here.
        "required": needed.arg.required or any(arg.kind is Kind.FILE for arg in needed.spec.args),
    }
    stands = write(draft.body) if draft.body is not None else ""
    if 0 < len(stands) <= _INPUT_MAX:
        field["value"] = stands
    return {
        "custom_id": custom_id,
        "title": say(id_),
        "components": [{"type": _ROW, "components": [field]}],
    }
