"""The words for people: catalogues that put message ids into a language.

A catalogue's ``msgid`` is the id of a ``core.errors.Message``; English stands in for a missing translation.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from gettext import c2py
from pathlib import Path

from babel import Locale
from babel.dates import format_date
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po
from babel.numbers import format_decimal

from core.errors import Glimpse, Message, Secret

_log = logging.getLogger(__name__)
_HERE = Path(__file__).parent
#: The language that every id has.
FALLBACK = "en"
Argument = str | int | datetime | Message | Secret | Glimpse
_PLACE = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True, slots=True)
class _Language:
    """One language's forms by id. ``plural`` gives the index of the form for a count."""

    locale: Locale
    forms: Mapping[str, tuple[str, ...]]
    plural: Callable[[int], int]


class Catalogue:
    """Puts messages into words. ``languages`` are those it knows, English first.

    ``strict`` raises ``LookupError`` for an id or argument that nobody wrote words for; without it the reader
    gets the name in brackets, and the log one line.
    """

    def __init__(self, folder: Path = _HERE, *, strict: bool = False) -> None:
        found = {path.stem: _read(path) for path in sorted(folder.glob("*.po"))}
        self._languages = {FALLBACK: found.pop(FALLBACK), **found}
        self._strict = strict
        self._told: set[str] = set()
        self.languages: tuple[str, ...] = tuple(self._languages)

    def __call__(self, message: Message, language: str, zone: tzinfo = UTC) -> str:
        """The message in ``language`` (``it``, ``it-CH``...; English if unknown), its times in ``zone``."""
        chosen = self._languages[self.choose(language)]
        known = next((way for way in (chosen, self._languages[FALLBACK]) if message.id in way.forms), None)
        if known is None:
            return self._missing(message.id)
        forms = known.forms[message.id]
        count = message.args.get("n")
        form = forms[known.plural(abs(count))] if len(forms) > 1 and isinstance(count, int) else forms[0]

        def filled(place: re.Match[str]) -> str:
            if place[1] not in message.args:
                return self._missing(f"{message.id}: {place[1]}")
            return self._value(message.args[place[1]], known, language, zone)

        return _PLACE.sub(filled, form)

    def choose(self, *wishes: str | None) -> str:
        """The first language among these tags that there are words for; else English."""
        for wish in wishes:
            primary = (wish or "").replace("_", "-").partition("-")[0].lower()
            if primary in self._languages:
                return primary
        return FALLBACK

    def ids(self, language: str) -> Mapping[str, tuple[str, ...]]:
        """Every id of a language with its forms. Raises ``KeyError`` for a language without catalogue."""
        return self._languages[language].forms

    def _value(
        self,
        value: str | int | datetime | Message | Secret | Glimpse,
        way: _Language,
        language: str,
        zone: tzinfo,
    ) -> str:
        match value:
            case Secret() | Glimpse():
                return self._missing("a secret or glimpse that was not opened")
            case Message():
                return self(value, language, zone)
            case datetime():
                return _moment(value, way.locale, zone)
            case int():
                return format_decimal(value, locale=way.locale)
            case str():
                return value

    def _missing(self, what: str) -> str:
        if self._strict:
            raise LookupError(f"no words for {what}")
        if what not in self._told:
            self._told.add(what)
            _log.error("no words for %s", what)
        return f"[{what}]"


def _moment(at: datetime, locale: Locale, zone: tzinfo) -> str:
    there = at.astimezone(zone)
    text = f"{format_date(there, 'medium', locale=locale)}, {there:%H:%M}"
    return f"{text} UTC" if zone is UTC else text


def _read(path: Path) -> _Language:
    with path.open("rb") as file:
        catalog = read_po(file, locale=path.stem, abort_invalid=True)
    return _Language(Locale.parse(path.stem), _forms(catalog), c2py(catalog.plural_expr))


def _forms(catalog: Catalog) -> dict[str, tuple[str, ...]]:
    forms: dict[str, tuple[str, ...]] = {}
    for entry in catalog:
        id_ = entry.id if isinstance(entry.id, str) else entry.id[0]
        words = (entry.string,) if isinstance(entry.string, str) else tuple(entry.string or ())
        if id_ and words and all(words):
            forms[id_] = words
    return forms
