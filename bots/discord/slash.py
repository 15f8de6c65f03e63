"""Slash commands and menus derived from ``COMMANDS``, and whether Discord has them already. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bots.discord.interactions import MEMBER_MENU, MESSAGE_MENU, SLASH
from bots.discord.permissions import MANAGE_GUILD, MANAGE_MESSAGES
from bots.discord.render import cut
from core.commands import COMMANDS, SUGGESTED, Arg, CommandSpec, Kind, Menu, Who
from core.errors import Message
from core.ports import Words
from core.suggestions import Suggestion

Payload = dict[str, Any]

_SUBCOMMAND, _STRING, _INTEGER, _ATTACHMENT = 1, 3, 4, 11
_GUILD, _BOT_DM = 0, 1
_DESCRIPTION, _CHOICE, _STRING_MAX = 100, 100, 6000
_DEFAULT = "en"
#: Discord's locale codes of the languages that commands are described in, besides the default one.
_LOCALES = {"it": "it"}
_KINDS = {Kind.FILE: _ATTACHMENT, Kind.NUMBER: _INTEGER}
_MENUS = {Menu.MESSAGE: MESSAGE_MENU, Menu.MEMBER: MEMBER_MENU}
#: Whom Discord offers a command to, until a guild's own settings say otherwise.
_OFFERED_TO = {Who.ADMIN: MANAGE_GUILD, Who.MODERATOR: MANAGE_MESSAGES}


def commands(words: Words, *, everywhere: bool, specs: Sequence[CommandSpec] = COMMANDS) -> list[Payload]:
    """What Discord shall offer: in all guilds and private chats (``everywhere``) or in one guild."""
    made = [(spec, _command(spec, words)) for spec in specs]
    made += [(spec, _menu(spec, words)) for spec in specs if spec.menu is not Menu.NONE]
    for spec, command in made:
        if spec.who in _OFFERED_TO:
            command["default_member_permissions"] = _OFFERED_TO[spec.who]
        if everywhere:
            in_private = spec.who not in _OFFERED_TO and command["type"] != MEMBER_MENU
            command["contexts"] = [_GUILD, _BOT_DM] if in_private else [_GUILD]
    return [command for _, command in made]


def menus(words: Words, specs: Sequence[CommandSpec] = COMMANDS) -> dict[str, str]:
    """The commands behind the entries of menus, by the names under which Discord tells of them."""
    return {
        words(Message(f"menu.{spec.name}"), _DEFAULT): spec.name
        for spec in specs
        if spec.menu is not Menu.NONE
    }


def _menu(spec: CommandSpec, words: Words) -> Payload:
    return {"type": _MENUS[spec.menu], **_named(f"menu.{spec.name}", words)}


def _command(spec: CommandSpec, words: Words) -> Payload:
    return {
        "type": SLASH,
        **_named(f"word.{spec.name}", words, spec.name),
        **_described(f"command.{spec.name}", words),
        **_inside(spec, spec.name, words),
    }


def _inside(spec: CommandSpec, path: str, words: Words) -> Payload:
    if not spec.verbs:
        # Discord wants the required options first; the order in the text form is another matter.
        args = sorted(spec.args, key=lambda arg: (not _required(arg), arg.kind is not Kind.TEXT))
        return {"options": [_option(arg, path, words) for arg in args]}
    return {"options": [_verb(verb, f"{path}.{verb.name}", words) for verb in spec.verbs]}


def _verb(verb: CommandSpec, path: str, words: Words) -> Payload:
    return {
        "type": _SUBCOMMAND,
        **_named(f"word.{verb.name}", words, verb.name),
        **_described(f"command.{path}", words),
        **_inside(verb, path, words),
    }


def _required(arg: Arg) -> bool:
    """A text that is not typed is asked for by a form, which has room for it."""
    return arg.required and arg.kind is not Kind.TEXT


def _option(arg: Arg, path: str, words: Words) -> Payload:
    id_ = f"command.{path}.arg.{arg.name}"
    option: Payload = {
        "type": _KINDS.get(arg.kind, _STRING),
        **_named(f"word.arg.{arg.name}", words, arg.name),
        "required": _required(arg),
        **_described(id_, words),
    }
    if arg.choices:
        option["choices"] = [_choice(choice, f"{id_}.{choice}", words) for choice in arg.choices]
    elif arg.kind is Kind.TEXT:
        option["max_length"] = _STRING_MAX
    elif arg.kind is Kind.NUMBER:
        option["min_value"] = 1
    elif arg.kind in SUGGESTED:
        option["autocomplete"] = True
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


def _named(id_: str, words: Words, name: str = "") -> Payload:
    """``name``: what stands there whatever the catalogue calls it: the command's own name."""
    return {
        "name": name or words(Message(id_), _DEFAULT),
        "name_localizations": {
            locale: words(Message(id_), language) for locale, language in _LOCALES.items()
        },
    }


def _described(id_: str, words: Words) -> Payload:
    return {
        "description": cut(words(Message(id_), _DEFAULT), _DESCRIPTION),
        "description_localizations": {
            locale: cut(words(Message(id_), language), _DESCRIPTION) for locale, language in _LOCALES.items()
        },
    }


def choices(suggestions: Sequence[Suggestion]) -> Payload:
    """Suggestions as Discord shows them under an option."""
    return {"choices": [{"name": cut(one.label, _CHOICE), "value": one.value} for one in suggestions]}


# What Discord has already


def same(wanted: Sequence[Mapping[str, Any]], there: Sequence[Mapping[str, Any]]) -> bool:
    """Whether Discord's own list (with ids, versions and defaults in it) already says what is wanted."""
    return _normal_all(wanted) == _normal_all(there)


def _normal_all(listed: Sequence[Mapping[str, Any]]) -> list[Payload]:
    return sorted((_normal(one) for one in listed), key=lambda one: (one["type"], str(one["name"])))


def _normal(one: Mapping[str, Any]) -> Payload:
    """A command, subcommand, option or choice without what Discord adds and with its defaults filled in."""
    offered_to = one.get("default_member_permissions")
    return {
        "type": one.get("type") or SLASH,
        "name": one.get("name"),
        "name_localizations": one.get("name_localizations") or {},
        "description": one.get("description") or "",
        "description_localizations": one.get("description_localizations") or {},
        "required": bool(one.get("required")),
        "autocomplete": bool(one.get("autocomplete")),
        "value": one.get("value"),
        "max_length": one.get("max_length"),
        "min_value": one.get("min_value"),
        "default_member_permissions": None if offered_to is None else str(offered_to),
        # Guild commands have no contexts of their own; Discord answers null.
        "contexts": sorted(one.get("contexts") or []),
        "options": [_normal(option) for option in one.get("options") or []],
        "choices": [_normal(choice) for choice in one.get("choices") or []],
    }
