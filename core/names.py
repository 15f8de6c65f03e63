"""Handles, and names that look like one another."""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache

import regex

#: What a handle is, in lower case.
HANDLE = re.compile(r"[a-z0-9_]{3,20}")
MIN_HANDLE = 3
MAX_HANDLE = 20
#: The handle of who has no letter that we can spell.
NAMELESS = "member"
#: Graphemes of a display name that others see.
MAX_NAME = 64
#: Names that could be taken for the co-op's own voice.
RESERVED = (
    "stormo",
    "admin",
    "administrator",
    "moderator",
    "operator",
    "steward",
    "official",
    "everyone",
    "here",
)

# Latin letters that do not decompose.
_SPELLING = str.maketrans(
    {
        "ß": "ss",
        "æ": "ae",
        "œ": "oe",
        "ø": "o",
        "ł": "l",
        "đ": "d",
        "ð": "d",
        "þ": "th",
        "ħ": "h",
        "\u0131": "i",
        "ŋ": "n",
    }
)
_LOOKS = str.maketrans({"0": "o", "1": "l", "i": "l", "|": "l"})
_JOINED = (("rn", "m"), ("vv", "w"))
_HIDDEN = frozenset({"Cf", "Cc"})
# What stands around a handle in an author's line, and what looks like it.
_AUTHORS_SIGNS = frozenset("@·‧∙⋅•")
_GRAPHEME = regex.compile(r"\X")
_ASIDE = re.compile(r"[\s_\-.·'\u2019]+")


def is_handle(text: str) -> bool:
    """Whether this can be a handle as it stands."""
    return HANDLE.fullmatch(text) is not None


def suggest_handle(name: str) -> str:
    """A handle close to a display or user name: always valid, not necessarily free."""
    lower = unicodedata.normalize("NFKD", name).casefold().translate(_SPELLING)
    letters = "".join(char for char in lower if not unicodedata.combining(char))
    words = re.sub(r"[^a-z0-9]+", "_", letters).strip("_")
    if not words:
        return NAMELESS
    return words[:MAX_HANDLE].rstrip("_").ljust(MIN_HANDLE, "_")


@lru_cache(maxsize=4096)
def clean_name(name: str) -> str:
    """A display name on one line, without control and direction marks, NFC, at most ``MAX_NAME`` graphemes."""
    seen = "".join(char for char in " ".join(name.split()) if unicodedata.category(char) not in _HIDDEN)
    line = unicodedata.normalize("NFC", " ".join(seen.split()))
    return "".join(_GRAPHEME.findall(line)[:MAX_NAME]).rstrip()


def poses(name: str) -> bool:
    """Whether a display name imitates an author's line or the co-op's own voice."""
    if _AUTHORS_SIGNS & set(unicodedata.normalize("NFKC", name)):
        return True
    return any(confusable(part, word) for part in (name, *re.split(r"\W+", name)) for word in RESERVED)


def skeleton(text: str) -> str:
    """What remains of a name when look-alikes are one: equal skeletons look equal to a hurried reader."""
    # Capitals first: a capital Nu looks like N, its small form like v.
    twins = _ascii_twins()
    latin = "".join(twins.get(char, char) for char in unicodedata.normalize("NFKC", text))
    folded = unicodedata.normalize("NFKD", latin.casefold())
    plain = "".join(twins.get(char, char) for char in folded if not _is_unseen(char)).casefold()
    out = _ASIDE.sub("", plain.translate(_SPELLING))
    for pair, single in _JOINED:
        out = out.replace(pair, single)
    return out.translate(_LOOKS)


def _is_unseen(char: str) -> bool:
    return unicodedata.combining(char) > 0 or unicodedata.category(char) in _HIDDEN


def confusable(one: str, other: str) -> bool:
    """Whether a hurried reader takes one name for the other. Empty names are like no other."""
    left = skeleton(one)
    return bool(left) and left == skeleton(other)


@cache
def _ascii_twins() -> dict[str, str]:
    """ASCII look-alikes of single characters, from Unicode's confusables."""
    # Its data takes 50 ms to read, and few processes ever compare names.
    from confusable_homoglyphs.confusables import confusables_data  # noqa: PLC0415

    twins: dict[str, str] = {}
    for char, alike in confusables_data.items():
        found = [twin["c"] for twin in alike if twin["c"].isascii() and twin["c"].isalnum()]
        if found and len(char) == 1 and not char.isascii():
            twins[char] = min(found, key=_twin_rank)
    return twins


def _twin_rank(twin: str) -> tuple[int, bool, str]:
    return len(twin), not twin.isalpha(), twin
