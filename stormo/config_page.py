"""The reference of the config, generated from its declarations: ``python -m stormo.config_page``.

What a key is for is read from ``config.example.toml``, what it may be from the reason that ``stormo check`` would give.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from core.intents import Window
from stormo.clock import SystemClock
from stormo.config import SECTIONS
from stormo.keys import Key, Unfit
from stormo.platforms import COMMON, PLATFORMS, Entry, build
from stormo.words import Catalogue

_ROOT = Path(__file__).resolve().parent.parent
PAGE = _ROOT / "docs" / "reference" / "config.md"
EXAMPLE = _ROOT / "config.example.toml"
_HEAD = """# The config

Generated from `stormo/config.py`, `stormo/platforms.py` and `config.example.toml`; do not edit by hand
(`python -m stormo.config_page` writes it anew).

The config is one TOML file: the one named by `--config`, else by `$STORMO_CONFIG`, else `config.toml` in the
folder where you are. Without any file everything below has its default and the playground is on. `stormo init` writes
a file with comments. `stormo check` tells every fault at once, each with its key, the reason and an example, and ends
with 2.

Relative paths start at the file's folder. A key that is not known is a fault; the nearest known one is named.

**Secrets** (marked so below) may stand in the config, or in a file of their own named by the key with `_file` behind
it, or in the environment, which wins. Keep the config readable for its owner only; `stormo init` makes it so.
"""
#: What the example says of several keys at once, or leaves to the section's own comment.
_PURPOSES = {
    ("database", "url"): "SQLite in one file is right for one machine; PostgreSQL is the other choice.",
    ("web", "port"): "The pages are served at this port; 0 takes any free one.",
    ("room", "copies_a_day"): "The same for a day.",
    ("discord", "token"): "Discord's developer portal, your application, Bot, Reset Token.",
    ("discord", "gateway_url"): "The same for its gateway.",
    ("discord", "cdn_url"): "The same for its files.",
    ("discord", "web_url"): "The same for links that people open.",
    ("discord", "catchup_days"): "How many days of what was missed are read back after an absence.",
    (
        "discord",
        "catchup_things",
    ): "How many copies and posts, newest first, are then read again for edits and votes.",
    ("telegram", "token"): "Write /newbot or /mybots to @BotFather on Telegram.",
    ("telegram", "base_file_url"): "The same for files.",
    ("telegram", "poll_seconds"): "How long one question for news stays open.",
    ("telegram", "retry_seconds"): "The first wait after a failed question; it doubles up to half a minute.",
    ("telegram", "conflict_seconds"): "How long another program with the same token is borne.",
    ("telegram", "per_second"): "Messages to all chats together in a second.",
    ("telegram", "per_chat_second"): "Messages to one chat in a second.",
    ("telegram", "per_chat_minute"): "Messages to one chat in a minute.",
    ("matrix", "homeserver"): "The base address of the bot's homeserver.",
    ("matrix", "user_id"): "The bot's account.",
    ("matrix", "access_token"): "What a login with the bot's account gave; or give the password.",
    ("matrix", "password"): "Stormo logs in itself at each start. Set `device_id` with it.",
    ("matrix", "device_id"): "With a password: one device for all starts, so that repeats stay harmless.",
    (
        "matrix",
        "catchup_events",
    ): "How many events of one room, the newest, are read back at most after an absence.",
    ("matrix", "display_name"): "The bot's name, set at each start; without it the account's own stays.",
}
#: Said of every platform.
_COMMON_PURPOSES = {
    "enabled": "`false` switches the platform off and keeps the rest of its section.",
    "canary_seconds": "Seconds between two looks whether the connection brings what the platform has.",
    "tally_seconds": "Seconds between two edits of a copy that only move the tally.",
}
#: Defaults that depend on something else, in words.
_DEPENDS = {
    ("database", "url"): "a SQLite file `stormo.sqlite` in the data folder",
    ("playground", "enabled"): "`true` as long as no platform is configured",
    ("room", "quiet_hours"): '`"22-08"` with a platform, else `"off"`',
    ("room", "hold_seconds"): "`60` with a platform, else `0`",
}


def page() -> str:
    """The whole page as Markdown, in English."""
    told = descriptions(EXAMPLE.read_text(encoding="utf-8"))
    parts = [_section(name, keys, {}, told) for name, keys in SECTIONS.items()]
    parts += [_section(e.name, (*e.keys, *COMMON), _defaults(e), told) for e in PLATFORMS]
    return _HEAD + "".join(parts)


def descriptions(example: str) -> Mapping[tuple[str, str], str]:
    """What the comments of the example say, by section and key. A comment belongs to the key right below it."""
    found: dict[tuple[str, str], str] = {}
    section, comment = "", list[str]()
    for line in example.splitlines():
        if assigned := re.match(r"#(\w+) = ", line):
            found[section, assigned[1]] = " ".join(comment)
        elif header := re.fullmatch(r"#?\[(.+)]", line):
            section = header[1]
        comment = [*comment, line[2:]] if line.startswith("# ") else []
    return found


def _section(
    name: str,
    keys: Sequence[Key],
    defaults: Mapping[str, object],
    told: Mapping[tuple[str, str], str],
) -> str:
    lines = [f"\n## [{name}]\n"]
    lines += [_key(name, key, defaults.get(key.name, key.default), told) for key in keys]
    return "\n".join(lines)


def _key(section: str, key: Key, default: object, told: Mapping[tuple[str, str], str]) -> str:
    example = f"Example: `{key.name} = {key.example}`."
    facts = [_purpose(section, key, told), _form(key), example, _default(section, key, default)]
    if key.secret:
        variable = f"STORMO_{section}_{key.name}".upper().replace("-", "_")
        facts.append(f"Secret: also `{key.name}_file`, or `${variable}`.")
    return f"### `{key.name}`\n\n{' '.join(fact for fact in facts if fact)}\n"


def _purpose(section: str, key: Key, told: Mapping[tuple[str, str], str]) -> str:
    """Raises ``KeyError`` for a key of which nothing is said."""
    if (section, key.name) in _PURPOSES:
        return _PURPOSES[section, key.name]
    if section != "playground" and key.name in _COMMON_PURPOSES:
        return _COMMON_PURPOSES[key.name]
    said = told.get((section, key.name), "").removesuffix("An example:").rstrip()
    if not said:
        raise KeyError(f"nothing is said of [{section}] {key.name} in {EXAMPLE.name}")
    return said


def _default(section: str, key: Key, default: object) -> str:
    if key.required:
        return "Needed."
    if key.where:
        return "Needed: `access_token` or `password`." if section == "matrix" else "Needed."
    return f"Default: {_DEPENDS.get((section, key.name)) or _toml(default)}."


def _form(key: Key) -> str:
    """What the program says of a value that can never be right; for a form of its own the example speaks."""
    for wrong in (object(), "x"):
        try:
            key.read(wrong)
        except Unfit as unfit:
            reason = unfit.reason
            if reason.id not in ("config.not_text", "config.not_form"):
                return f"It {Catalogue()(reason, 'en')}."
    return ""


def _toml(value: object) -> str:
    match value:
        case None | () | "":
            return "none"
        case bool():
            return f"`{str(value).lower()}`"
        case int():
            return f"`{value}`"
        case float():
            return f"`{value:g}`"
        case (str(), *_):
            return f"`{json.dumps(value)}`"
        case tuple():
            pairs = [[w.count, w.period.total_seconds()] for w in value if isinstance(w, Window)]
            return f"`{pairs}`"
        case timedelta():
            return f"`{value.total_seconds():g}`"
        case _:
            return f'`"{value}"`'


def _defaults(entry: Entry) -> Mapping[str, object]:
    """What the adapter does where the config is silent."""
    settings: Any = importlib.import_module(f"bots.{entry.name}.bot").Settings
    values: dict[str, Any] = {
        field.name: field.default
        for field in dataclasses.fields(settings)
        if field.default is not dataclasses.MISSING
    }
    values |= {key.name: key.default for key in COMMON}
    made = build(entry, _least(entry), Catalogue(), SystemClock())
    return values | {"tally_seconds": made.capabilities.tally_every}


def _least(entry: Entry) -> dict[str, Any]:
    """Just what an adapter cannot be built without; it is not started."""
    needed = [key for key in entry.keys if key.required or key.name == entry.either[0]]
    return {key.name: key.example.strip('"') for key in needed}


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
