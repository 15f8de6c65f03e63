"""Slash commands derived from ``COMMANDS``, and whether Discord has them already. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bots.discord.render import cut
from core.commands import COMMANDS, Arg, CommandSpec, Kind
from core.errors import Message
from core.ports import Words

Payload = dict[str, Any]

_CHAT_INPUT = 1
_SUBCOMMAND, _STRING, _ATTACHMENT = 1, 3, 11
_GUILD, _BOT_DM = 0, 1
_DESCRIPTION, _CHOICE, _STRING_MAX = 100, 100, 6000
_DEFAULT = "en"
#: Discord's locale codes of the languages that commands are described in, besides the default one.
_LOCALES = {"it": "it"}


def commands(words: Words, *, everywhere: bool, specs: Sequence[CommandSpec] = COMMANDS) -> list[Payload]:
    """What Discord shall offer: in all guilds and private chats (``everywhere``) or in one guild."""
    made = [_command(spec, words) for spec in specs]
    if everywhere:
        for command in made:
            command["contexts"] = [_GUILD, _BOT_DM]
    return made


def _command(spec: CommandSpec, words: Words) -> Payload:
    return {"type": _CHAT_INPUT, "name": spec.name, **_described(f"command.{spec.name}", words)} | _inside(
        spec, spec.name, words
    )


def _inside(spec: CommandSpec, path: str, words: Words) -> Payload:
    if not spec.verbs:
        # Discord wants the required options first; the order in the text form is another matter.
        args = sorted(spec.args, key=lambda arg: (not arg.required, arg.kind is not Kind.TEXT))
        return {"options": [_option(arg, path, words) for arg in args]}
    return {"options": [_verb(verb, f"{path}.{verb.name}", words) for verb in spec.verbs]}


def _verb(verb: CommandSpec, path: str, words: Words) -> Payload:
    return {"type": _SUBCOMMAND, "name": verb.name, **_described(f"command.{path}", words)} | _inside(
        verb, path, words
    )


def _option(arg: Arg, path: str, words: Words) -> Payload:
    id_ = f"command.{path}.arg.{arg.name}"
    kind = _ATTACHMENT if arg.kind is Kind.FILE else _STRING
    option: Payload = {"type": kind, "name": arg.name, "required": arg.required, **_described(id_, words)}
    if arg.choices:
        option["choices"] = [_choice(choice, f"{id_}.{choice}", words) for choice in arg.choices]
    elif arg.kind is Kind.TEXT:
        option["max_length"] = _STRING_MAX
    return option


def _choice(value: str, id_: str, words: Words) -> Payload:
    localised = {
        locale: label
        for locale, language in _LOCALES.items()
        if (label := _label(id_, language, value, words)) != value
    }
    return {"name": _label(id_, _DEFAULT, value, words), "name_localizations": localised, "value": value}


def _label(id_: str, language: str, value: str, words: Words) -> str:
    """The catalogue's word for a choice, or the choice itself where the catalogue has none."""
    label = words(Message(id_), language)
    return value if label == id_ else cut(label, _CHOICE)


def _described(id_: str, words: Words) -> Payload:
    return {
        "description": cut(words(Message(id_), _DEFAULT), _DESCRIPTION),
        "description_localizations": {
            locale: cut(words(Message(id_), language), _DESCRIPTION) for locale, language in _LOCALES.items()
        },
    }


def same(wanted: Sequence[Mapping[str, Any]], there: Sequence[Mapping[str, Any]]) -> bool:
    """Whether Discord's own list (with ids, versions and defaults in it) already says what is wanted."""
    return _normal_all(wanted) == _normal_all(there)


def _normal_all(listed: Sequence[Mapping[str, Any]]) -> list[Payload]:
    return sorted((_normal(one) for one in listed), key=lambda one: str(one["name"]))


def _normal(one: Mapping[str, Any]) -> Payload:
    """A command, subcommand, option or choice without what Discord adds and with its defaults filled in."""
    return {
        "type": one.get("type") or _CHAT_INPUT,
        "name": one.get("name"),
        "name_localizations": one.get("name_localizations") or {},
        "description": one.get("description") or "",
        "description_localizations": one.get("description_localizations") or {},
        "required": bool(one.get("required")),
        "value": one.get("value"),
        "max_length": one.get("max_length"),
        # Guild commands have no contexts of their own; Discord answers null.
        "contexts": sorted(one.get("contexts") or []),
        "options": [_normal(option) for option in one.get("options") or []],
        "choices": [_normal(choice) for choice in one.get("choices") or []],
    }
