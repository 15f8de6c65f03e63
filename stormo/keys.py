"""The keys of the config as values: what each may be, said once, so that every fault can be told at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from core.errors import Message, message


class Unfit(ValueError):
    """The value cannot be used. ``reason`` says why, for the operator."""

    def __init__(self, reason: Message) -> None:
        self.reason = reason
        super().__init__(reason.id)


#: From what TOML holds to what the program uses. Raises ``Unfit``.
Read = Callable[[object], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of a section. ``example`` as it stands in TOML.

    ``secret``: may also come from the environment (``STORMO_<SECTION>_<NAME>``) or a file (``<name>_file``).
    ``required``: the section cannot do without it. ``where`` is the id of the words that say where to get it.
    """

    name: str
    read: Read
    example: str
    default: Any = None
    secret: bool = False
    required: bool = False
    where: str = ""


def text(value: object) -> str:
    if not isinstance(value, str):
        raise Unfit(message("config.not_text"))
    if not value.strip():
        raise Unfit(message("config.empty"))
    return value.strip()


def switch(value: object) -> bool:
    if not isinstance(value, bool):
        raise Unfit(message("config.not_switch"))
    return value


def whole(low: int, high: int) -> Read:
    """An integer in a range, ends included."""

    def read(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise Unfit(message("config.not_whole", low=str(low), high=str(high)))
        return value

    return read


def number(low: float, high: float) -> Read:
    """A number in a range, ends included."""

    def read(value: object) -> float:
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not low <= value <= high:
            raise Unfit(message("config.not_number", low=f"{low:g}", high=f"{high:g}"))
        return float(value)

    return read


def one_of(*choices: str) -> Read:
    def read(value: object) -> str:
        if value not in choices:
            raise Unfit(message("config.not_one_of", choices=", ".join(choices)))
        return str(value)

    return read


def url(*schemes: str) -> Read:
    """An address with one of these schemes and a host."""

    def read(value: object) -> str:
        address = text(value)
        try:
            parts = urlsplit(address)
            usable = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise Unfit(message("config.not_url", schemes=", ".join(f"{scheme}://" for scheme in schemes)))
        return address

    return read


def zone(value: object) -> str:
    """A name of the IANA time zone database."""
    name = text(value)
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise Unfit(message("config.not_zone")) from None
    return name


def hours(value: object) -> tuple[int, int] | None:
    """``22-08``: from that hour of the day to the other; ``off`` for none."""
    if value == "off":
        return None
    found = re.fullmatch(r"(\d{1,2})-(\d{1,2})", value) if isinstance(value, str) else None
    if found is None or int(found[1]) > 23 or int(found[2]) > 23 or int(found[1]) == int(found[2]):  # noqa: PLR2004
        raise Unfit(message("config.not_hours"))
    return int(found[1]), int(found[2])


def several(read: Read) -> Read:
    """A list of such values."""

    def read_all(value: object) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise Unfit(message("config.not_list"))
        return tuple(read(part) for part in value)

    return read_all


def matching(pattern: str) -> Read:
    """Text of that form; the example shows it."""

    def read(value: object) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise Unfit(message("config.not_form"))
        return value

    return read


def pairs(value: object) -> tuple[tuple[int, float], ...]:
    """``[[count, seconds], ...]``."""
    if not isinstance(value, list):
        raise Unfit(message("config.not_pairs"))
    found = []
    for pair in value:
        match pair:
            case [int(count), int() | float() as seconds] if count > 0 and seconds > 0:
                found.append((count, float(seconds)))
            case _:
                raise Unfit(message("config.not_pairs"))
    return tuple(found)


def names(keys: Sequence[Key]) -> Mapping[str, Key]:
    return {key.name: key for key in keys}
