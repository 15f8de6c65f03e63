"""The one table of platforms: which keys the config has for each, and how its adapter is built.

An SDK is imported only when its platform is configured: all of them together cost seconds and a hundred megabytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from core.intents import Window
from core.ports import Adapter, Clock, Words
from stormo.keys import Key, matching, number, pairs, several, switch, text, url, whole

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One platform. ``either``: of these keys one is needed. ``apart``: values that only the command line gives."""

    name: str
    label: str
    keys: tuple[Key, ...]
    either: tuple[str, ...]
    build: Callable[[Values, Words, Clock], Adapter]
    apart: tuple[str, ...] = ()

    @property
    def secrets(self) -> tuple[str, ...]:
        return tuple(key.name for key in self.keys if key.secret)


def _discord(values: Values, words: Words, clock: Clock) -> Adapter:
    from bots.discord.bot import DiscordAdapter, Settings

    return DiscordAdapter(Settings(**values), words, clock)


def _telegram(values: Values, words: Words, clock: Clock) -> Adapter:
    from bots.telegram.bot import Settings, TelegramAdapter

    return TelegramAdapter(Settings(**values), words, clock)


def _matrix(values: Values, words: Words, clock: Clock) -> Adapter:
    from bots.matrix.bot import MatrixAdapter, Settings

    changed = dict(values)
    if "windows" in values:
        changed["windows"] = tuple(
            Window(count, timedelta(seconds=period)) for count, period in values["windows"]
        )
    return MatrixAdapter(Settings(**changed), words, clock)


#: Every platform's: whether it is on, and the shortest time between two edits that only move a tally.
COMMON = (
    Key(name="enabled", read=switch, example="true", default=True),
    Key(name="tally_seconds", read=number(0, 86400), example="30"),
)
PLATFORMS = (
    Entry(
        name="discord",
        label="Discord",
        keys=(
            Key(name="token", read=text, example='"MTE4..."', secret=True, where="config.where.discord"),
            Key(name="api_url", read=url("https", "http"), example='"https://discord.com/api/v10"'),
            Key(name="gateway_url", read=url("wss", "ws"), example='"wss://gateway.discord.gg/"'),
            Key(name="cdn_url", read=url("https", "http"), example='"https://cdn.discordapp.com"'),
            Key(name="web_url", read=url("https", "http"), example='"https://discord.com"'),
            Key(name="guild_ids", read=several(matching(r"\d{1,20}")), example='["123456789012345678"]'),
            Key(name="message_content", read=switch, example="true"),
            Key(name="shards", read=whole(0, 1 << 14), example="0"),
            Key(name="guild_ready_timeout", read=number(0.01, 60), example="2.0"),
            Key(name="call_seconds", read=number(1, 300), example="20"),
            Key(name="catchup_days", read=number(0.1, 365), example="7"),
            Key(name="catchup_things", read=whole(0, 10000), example="1000"),
            Key(name="vain_calls", read=whole(1, 8000), example="1000"),
            Key(name="canary_seconds", read=number(1, 86400), example="300"),
        ),
        either=("token",),
        build=_discord,
        apart=("part",),
    ),
    Entry(
        name="telegram",
        label="Telegram",
        keys=(
            Key(
                name="token", read=text, example='"123456:ABC..."', secret=True, where="config.where.telegram"
            ),
            Key(name="base_url", read=url("https", "http"), example='"https://api.telegram.org/bot"'),
            Key(
                name="base_file_url", read=url("https", "http"), example='"https://api.telegram.org/file/bot"'
            ),
            Key(name="poll_seconds", read=whole(0, 50), example="25"),
            Key(name="retry_seconds", read=number(0, 60), example="1"),
            Key(name="conflict_seconds", read=number(0, 600), example="90"),
            Key(name="canary_seconds", read=number(1, 86400), example="300"),
            Key(name="per_second", read=whole(1, 1000), example="30"),
            Key(name="per_chat_second", read=whole(1, 1000), example="1"),
            Key(name="per_chat_minute", read=whole(1, 60000), example="20"),
        ),
        either=("token",),
        build=_telegram,
    ),
    Entry(
        name="matrix",
        label="Matrix",
        keys=(
            Key(
                name="homeserver",
                read=url("https", "http"),
                example='"https://matrix.example.org"',
                required=True,
            ),
            Key(
                name="user_id", read=matching(r"@[^:\s]+:\S+"), example='"@stormo:example.org"', required=True
            ),
            Key(
                name="access_token", read=text, example='"syt_..."', secret=True, where="config.where.matrix"
            ),
            Key(name="password", read=text, example='"a long one"', secret=True, where="config.where.matrix"),
            Key(name="device_id", read=text, example='"STORMO"'),
            Key(name="command_prefix", read=matching(r"[!.?/~+]"), example='"!"'),
            Key(name="invite_servers", read=several(text), example='["example.org"]'),
            Key(name="display_name", read=text, example='"Stormo"'),
            Key(name="windows", read=pairs, example="[[1, 5.0]]"),
            Key(name="catchup_events", read=whole(200, 1000000), example="10000"),
            Key(name="canary_seconds", read=number(1, 86400), example="300"),
        ),
        either=("access_token", "password"),
        build=_matrix,
    ),
)


def build(entry: Entry, values: Values, words: Words, clock: Clock) -> Adapter:
    """The adapter of a configured platform. ``values`` are those that the config gives, checked."""
    own = {key.name for key in entry.keys} | set(entry.apart)
    adapter = entry.build({name: value for name, value in values.items() if name in own}, words, clock)
    if (seconds := values.get("tally_seconds")) is not None:
        adapter.capabilities = replace(adapter.capabilities, tally_every=timedelta(seconds=seconds))
    return adapter
