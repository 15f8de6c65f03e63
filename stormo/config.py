"""The config: TOML and the environment become one frozen value, or every fault at once."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from core.errors import ConfigError, Message, message
from core.mediastore import MediaRules
from core.types import AccountRef, ChatRef, Platform
from storage.database import normalised
from stormo.keys import Key, Unfit, hours, matching, names, one_of, several, switch, text, url, whole, zone
from stormo.platforms import COMMON, PLATFORMS, Entry, Values

#: Where the config is looked for when nobody says.
DEFAULT_FILE = "config.toml"
#: Files of posts, in the data folder.
MEDIA_FOLDER = "media"


def _database(value: object) -> str:
    address = text(value)
    try:
        normalised(address)
    except (ArgumentError, ValueError):
        raise Unfit(message("config.not_database")) from None
    return address


def _operator(value: object) -> AccountRef:
    platform, key = _named(value)
    return AccountRef(platform, key)


def _room_ref(value: object) -> ChatRef:
    platform, key = _named(value)
    return ChatRef(platform, key)


def _named(value: object) -> tuple[Platform, str]:
    platform, _, key = matching(r"[a-z][a-z-]*:\S+")(value).partition(":")
    return Platform(platform), key


def _relayed(value: object) -> tuple[ChatRef, ...]:
    """At least two rooms, each once."""
    rooms: tuple[ChatRef, ...] = several(_room_ref)(value)
    if len(set(rooms)) != len(rooms) or len(rooms) < 2:  # noqa: PLR2004
        raise Unfit(message("config.not_relay"))
    return rooms


_DAY = 86400
SECTIONS: Mapping[str, tuple[Key, ...]] = {
    "co-op": (
        Key(name="name", read=text, example='"Birds of the Delta"', default="Stormo"),
        Key(name="language", read=one_of("en", "it"), example='"en"', default="en"),
        Key(name="timezone", read=zone, example='"Europe/Rome"', default="UTC"),
        Key(name="handle_days", read=whole(0, 3650), example="30", default=30),
        Key(name="operators", read=several(_operator), example='["telegram:123456789"]', default=()),
    ),
    "database": (
        Key(name="url", read=_database, example='"postgresql://stormo@localhost/stormo"', secret=True),
    ),
    "data": (Key(name="dir", read=text, example='"data"', default="data"),),
    "web": (
        Key(name="host", read=text, example='"127.0.0.1"', default="127.0.0.1"),
        Key(name="port", read=whole(0, 65535), example="8080", default=8080),
        Key(name="public_url", read=url("https", "http"), example='"https://birds.example.org"', default=""),
        Key(name="metrics_token", read=text, example='"a long random word"', default="", secret=True),
    ),
    "playground": (Key(name="enabled", read=switch, example="true"),),
    "room": (
        Key(name="copies_an_hour", read=whole(1, 100000), example="10", default=10),
        Key(name="copies_a_day", read=whole(1, 1000000), example="60", default=60),
        Key(name="quiet_hours", read=hours, example='"22-08"'),
        Key(name="hold_seconds", read=whole(0, _DAY), example="60"),
        Key(name="fold_after_seconds", read=whole(1, _DAY), example="900", default=900),
        Key(name="give_up_hours", read=whole(1, 720), example="24", default=24),
    ),
    "media": (
        Key(name="max_bytes", read=whole(1, 2**31), example="26214400", default=25 * 1024 * 1024),
        Key(
            name="types",
            read=several(matching(r"[a-z]+(/[a-z0-9.+-]+)?")),
            example='["image", "video", "audio", "application/pdf", "text/plain"]',
            default=("image", "video", "audio", "application/pdf", "text/plain"),
        ),
        Key(name="quota_bytes", read=whole(0, 2**53), example="10737418240", default=10 * 1024**3),
        Key(name="wait_seconds", read=whole(0, 3600), example="120", default=120),
    ),
    "relay": (
        Key(
            name="rooms",
            read=several(_relayed),
            example='[["matrix:!one:example.org", "matrix:!two:example.org"]]',
            default=(),
        ),
    ),
}
#: Where real people are; in the playground one wants to see things move.
_QUIET_HOURS, _HOLD_SECONDS = (22, 8), 60


@dataclass(frozen=True, slots=True, kw_only=True)
class CoOp:
    """The instance as such."""

    name: str
    language: str
    timezone: str
    handle_life: timedelta
    operators: frozenset[AccountRef]


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """Where the pages are served. ``public_url``: how others reach them, or empty. Port 0 is any free one.

    ``metrics_token``: who sends it may read the metrics; empty: only this machine may.
    """

    host: str
    port: int
    public_url: str
    metrics_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a room bears. ``quiet_hours``: from and to, in the co-op's zone."""

    copies_an_hour: int
    copies_a_day: int
    quiet_hours: tuple[int, int] | None
    hold: timedelta
    fold_after: timedelta
    give_up: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that an operator decides. ``platforms``: the configured ones' values, by name.

    ``relays``: rooms whose talk is passed on from the first start on. ``pages``: whether the public pages are served.

    ``secrets``: what must never be shown or logged. ``file``: where it came from, if from anywhere.
    """

    file: Path | None
    coop: CoOp
    database_url: str = field(repr=False)
    data: Path
    web: Web
    playground: bool
    pages: bool = True
    room: Room
    media: MediaRules
    relays: tuple[tuple[ChatRef, ...], ...]
    platforms: Mapping[str, Values] = field(repr=False)
    secrets: frozenset[str] = field(repr=False)


class NoShare(ConfigError):
    """What ``--only`` or ``--shards`` names is no process's own to serve. The config may be right all the same."""


#: What the public pages are called where the work is shared out.
PAGES = "web"


def share(config: Config, wanted: Sequence[str]) -> Config:
    """What one of several processes serves: platforms by their names, ``web`` for the pages.

    Raises ``NoShare``.
    """
    if make_url(config.database_url).get_backend_name() == "sqlite":
        raise NoShare((message("only.sqlite"),))
    known = [*config.platforms, *(["playground"] if config.playground else ()), PAGES]
    faults = [_no_share(name, known) for name in wanted if name not in known]
    if faults or not wanted:
        raise NoShare(tuple(faults) or (message("only.nothing", known=", ".join(known)),))
    return replace(
        config,
        platforms={name: values for name, values in config.platforms.items() if name in wanted},
        playground="playground" in wanted,
        pages=PAGES in wanted,
    )


def part(config: Config, shards: tuple[int, int, int]) -> Config:
    """The same for one of several processes that listen to Discord: the first and last shard, and how many in all.

    Raises ``NoShare``.
    """
    if make_url(config.database_url).get_backend_name() == "sqlite":
        raise NoShare((message("shards.sqlite"),))
    if "discord" not in config.platforms:
        raise NoShare((message("shards.not_configured"),))
    values = {**config.platforms["discord"], "part": shards}
    return replace(config, platforms={**config.platforms, "discord": values})


def _no_share(name: str, known: Sequence[str]) -> Message:
    if name in [entry.name for entry in PLATFORMS]:
        return message("only.not_configured", name=name)
    near = get_close_matches(name.lower(), known, n=1)
    if near:
        return message("only.unknown_near", name=name, nearest=near[0])
    return message("only.unknown", name=name, known=", ".join(known))


class MissingConfig(ConfigError):
    """The file that was named does not exist."""

    def __init__(self, file: Path) -> None:
        super().__init__((message("config.no_file", file=str(file)),))


def find(named: str | None, env: Mapping[str, str] = os.environ) -> Path | None:
    """The config's file: the one named, else ``$STORMO_CONFIG``, else ``config.toml`` here if there is one.

    Raises ``MissingConfig``.
    """
    wanted = named or env.get("STORMO_CONFIG")
    if wanted:
        file = Path(wanted).expanduser()
        if not file.is_file():
            raise MissingConfig(file)
        return file
    here = Path(DEFAULT_FILE)
    return here if here.is_file() else None


def load(file: Path | None, env: Mapping[str, str] = os.environ) -> Config:
    """Reads the config, the embedded defaults for ``None``. Raises ``ConfigError`` with every fault."""
    if file is None:
        return parse("", env)
    try:
        source = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror or str(error) if isinstance(error, OSError) else "UTF-8"
        raise ConfigError((message("config.unreadable", file=str(file), reason=reason),)) from None
    return parse(source, env, file=file)


def parse(
    source: str, env: Mapping[str, str], *, file: Path | None = None, base: Path | None = None
) -> Config:
    """The same for the text of a config. Relative paths start at ``base``, else the file's folder, else here."""
    try:
        given = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError((message("config.not_toml", reason=str(error)),)) from None
    base = (base or (file.parent if file else Path())).absolute()
    reading = _Reading(given, env, base)
    config = reading.config(file)
    if reading.faults:
        raise ConfigError(tuple(reading.faults))
    return config


class _Reading:
    """One reading of a config, which goes on after a fault."""

    def __init__(self, given: Mapping[str, Any], env: Mapping[str, str], base: Path) -> None:
        self._given = given
        self._env = env
        self._base = base
        self.faults: list[Message] = []
        self._secrets: set[str] = set()

    def config(self, file: Path | None) -> Config:
        self._unknown_sections()
        sections = {name: self._section(name, keys) for name, keys in SECTIONS.items()}
        platforms = {entry.name: self._platform(entry) for entry in PLATFORMS}
        configured = {name: values for name, values in platforms.items() if values is not None}
        wanted = sections["playground"].get("enabled")
        data = self._base / Path(sections["data"]["dir"]).expanduser()
        return Config(
            file=file,
            coop=_coop(sections["co-op"]),
            database_url=self._database_url(sections["database"].get("url"), data),
            data=data,
            web=Web(**sections["web"]),
            playground=not configured if wanted is None else wanted,
            room=_room(sections["room"], real=bool(configured)),
            media=_media(sections["media"], data),
            relays=sections["relay"]["rooms"],
            platforms=configured,
            secrets=frozenset(self._secrets),
        )

    def _database_url(self, given: str | None, data: Path) -> str:
        if given is None:
            return f"sqlite:///{data / 'stormo.sqlite'}"
        address = make_url(given)
        if isinstance(address.password, str):
            self._secrets.add(address.password)
        if address.get_backend_name() == "sqlite" and address.database:
            address = address.set(database=str(self._base / Path(address.database).expanduser()))
        return address.render_as_string(hide_password=False)

    def _unknown_sections(self) -> None:
        known = [*SECTIONS, *(entry.name for entry in PLATFORMS)]
        for name, value in self._given.items():
            if name not in known:
                self._unknown(f"[{name}]" if isinstance(value, dict) else name, name, known)

    def _unknown(self, shown: str, name: str, known: Sequence[str]) -> None:
        near = get_close_matches(name.lower(), known, n=1)
        if near:
            nearest = f"[{near[0]}]" if shown.endswith("]") else near[0]
            self.faults.append(message("config.unknown_near", key=shown, nearest=nearest))
        else:
            self.faults.append(message("config.unknown", key=shown, known=", ".join(known)))

    def _table(self, section: str) -> Mapping[str, Any]:
        found = self._given.get(section, {})
        if isinstance(found, dict):
            return found
        self.faults.append(message("config.not_section", key=section))
        return {}

    def _section(self, section: str, keys: Sequence[Key]) -> dict[str, Any]:
        """The section's values; a key that is not given has its default, if that is one."""
        values = self._values(section, keys)
        for key in keys:
            if key.default is not None:
                values.setdefault(key.name, key.default)
        return values

    def _values(self, section: str, keys: Sequence[Key]) -> dict[str, Any]:
        known = names(keys)
        given = dict(self._table(section))
        for key in keys:
            if key.secret:
                self._outside(section, key, given)
        values: dict[str, Any] = {}
        for name, value in given.items():
            if name not in known:
                self._unknown(f"[{section}] {name}", name, list(known))
                continue
            try:
                values[name] = known[name].read(value)
            except Unfit as unfit:
                self._fault(section, known[name], unfit.reason)
        return values

    def _fault(self, section: str, key: Key, reason: Message) -> None:
        example = f"{key.name} = {key.example}"
        self.faults.append(
            message("config.fault", key=f"[{section}] {key.name}", reason=reason, example=example)
        )

    def _outside(self, section: str, key: Key, given: dict[str, Any]) -> None:
        """A secret from the environment, which wins, or from a file of its own."""
        file = given.pop(f"{key.name}_file", None)
        variable = f"STORMO_{section}_{key.name}".upper().replace("-", "_")
        if value := self._env.get(variable, "").strip():
            given[key.name] = value
        elif file is not None:
            try:
                given[key.name] = (self._base / Path(text(file)).expanduser()).read_text("utf-8").strip()
            except (OSError, UnicodeDecodeError, Unfit):
                self._fault(section, key, message("config.no_secret_file", file=str(file)))
        if section != "database" and isinstance(given.get(key.name), str):
            self._secrets.add(given[key.name])

    def _platform(self, entry: Entry) -> Values | None:
        """The platform's values, ``None`` where it is not configured or switched off."""
        before = len(self.faults)
        values = self._values(entry.name, (*COMMON, *entry.keys))
        if entry.name not in self._given and not values:
            return None
        if not values.pop("enabled", True):
            del self.faults[before:]
            return None
        known = names(entry.keys)
        given = self._table(entry.name)
        for key in entry.keys:
            if key.required and key.name not in values and key.name not in given:
                self._fault(entry.name, key, message("config.missing"))
        named = {name.removesuffix("_file") for name in given} | set(values)
        if not named.intersection(entry.either):
            key = known[entry.either[0]]
            self._fault(entry.name, key, message(key.where))
        return values


def _coop(values: Mapping[str, Any]) -> CoOp:
    return CoOp(
        name=values["name"],
        language=values["language"],
        timezone=values["timezone"],
        handle_life=timedelta(days=values["handle_days"]),
        operators=frozenset(values["operators"]),
    )


def _room(values: Mapping[str, Any], *, real: bool) -> Room:
    quiet = values.get("quiet_hours", _QUIET_HOURS if real else None)
    return Room(
        copies_an_hour=values["copies_an_hour"],
        copies_a_day=values["copies_a_day"],
        quiet_hours=quiet,
        hold=timedelta(seconds=values.get("hold_seconds", _HOLD_SECONDS if real else 0)),
        fold_after=timedelta(seconds=values["fold_after_seconds"]),
        give_up=timedelta(hours=values["give_up_hours"]),
    )


def _media(values: Mapping[str, Any], data: Path) -> MediaRules:
    return MediaRules(
        folder=data / MEDIA_FOLDER,
        max_bytes=values["max_bytes"],
        types=tuple(values["types"]),
        quota=values["quota_bytes"],
        patience=timedelta(seconds=values["wait_seconds"]),
    )
