"""Hashtags and handles in people's words, by the rules of twitter-text with handles as ours are."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

import regex

from core.body import (
    Body,
    CodeBlock,
    Inline,
    Leaf,
    Mention,
    Paragraph,
    Tag,
    Text,
    leaves,
    map_leaves,
    map_paragraphs,
)

# Letters, marks and digits, and the few joiners that stand inside words of some scripts.
_JOINERS = r"\u200c\u200d\ua67e\u05be\u05f3\u05f4\uff5e\u301c\u309b\u309c\u30a0\u30fb\u3003\u0f0b\u0f0c\u00b7"
_WORD = rf"\p{{L}}\p{{M}}\p{{Nd}}_{_JOINERS}"
_URL = r"(?<url>(?:(?<![a-z0-9+.\-])[a-z][a-z0-9+.\-]*://|(?<![\w@.\-])(?:[\w\-]+\.)+[a-z]{2,}/)\S*)"
# What stands before is looked at from behind the sign: a search for one of two signs is quick.
_NAMED = rf"""
    [#\uff03](?:(?<![{_WORD}&][#\uff03])|(?<=[\ufe0e\ufe0f][#\uff03]))
      (?![\ufe0f\u20e3])(?<tag>[{_WORD}]*+(?<=[\p{{L}}\p{{M}}][{_WORD}]*))(?![#\uff03]|://)
    | [@\uff20](?:(?<![A-Za-z0-9_!\#$%&*@\uff20/][@\uff20])|(?<=(?<![A-Za-z0-9_+~.\-])rt:?[@\uff20]))
      (?<handle>[A-Za-z0-9_]{{3,20}}+)(?![A-Za-z0-9_@\uff20\p{{Latin}}]|://|:[A-Za-z0-9\[]|\.[A-Za-z0-9])
"""
_FLAGS = regex.VERBOSE | regex.IGNORECASE
#: What every match of ``_URL`` holds.
_IN_URL = re.compile(r"://|\.\w{2,}/")
_SIGN = re.compile("[#\uff03@\uff20]")
_IN_WORDS = regex.compile(_NAMED, _FLAGS)
#: What ``_IN_WORDS`` comes to where every letter is of ASCII, in a fifth of its time.
_IN_ASCII = re.compile(
    r"""
    \# (?<! [A-Za-z0-9_&]\# ) (?= \w*[A-Za-z] ) (?P<tag> \w++ ) (?! \#|:// )
    | @ (?: (?<! [A-Za-z0-9_!\#$%&*@/]@ ) | (?<= (?<![A-Za-z0-9_+~.\-]) rt@ ) | (?<= (?<![A-Za-z0-9_+~.\-]) rt:@ ) )
      (?P<handle> [A-Za-z0-9_]{3,20}+ ) (?! [A-Za-z0-9_@] | :// | :[A-Za-z0-9\[] | \.[A-Za-z0-9] )
    """,
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_Match = regex.Match[str] | re.Match[str]
_BESIDE_URLS = regex.compile(f"{_URL} | {_NAMED}", _FLAGS)


def resolve(body: Body) -> Body:
    """The body with ``#tags`` and ``@handles`` of its text as ``Tag`` and ``Mention`` nodes.

    Code, links and addresses stay as they are. A ``Mention`` made here carries no member yet: who it is, if
    anybody, the caller looks up by ``mentions``.
    """
    match body.blocks:
        # As most are.
        case (Paragraph((Text(text),)),):
            names = _split(text)
            return Body((Paragraph(tuple(names)),)) if names else body
        case _:
            return map_paragraphs(body, lambda inlines: map_leaves(inlines, _resolved, links=False))


def _resolved(leaf: Leaf) -> Sequence[Inline]:
    return (isinstance(leaf, Text) and _split(leaf.text)) or (leaf,)


def _split(text: str) -> list[Inline]:
    """Nothing where no name is in the text."""
    out: list[Inline] = []
    if not ("#" in text or "@" in text or "\uff03" in text or "\uff20" in text):
        return out
    done = 0
    for found in _beside_urls(text) if "/" in text and _IN_URL.search(text) else _in_words(text):
        start, end = found.span()
        if done < start:
            out.append(Text(text[done:start]))
        tag, handle = found.group("tag", "handle")
        out.append(Tag(tag) if tag else Mention(f"@{handle}"))
        done = end
    if 0 < done < len(text):
        out.append(Text(text[done:]))
    return out


def _in_words(text: str) -> Sequence[_Match]:
    """Every match of ``_IN_WORDS``, which begin with a sign: looked for from there, as most letters are none."""
    out: list[_Match] = []
    match, at = _IN_ASCII.match if text.isascii() else _IN_WORDS.match, 0
    for sign in _SIGN.finditer(text):
        start = sign.start()
        if start >= at and (found := match(text, start)):
            at = found.end()
            out.append(found)
    return out


def _beside_urls(text: str) -> Sequence[_Match]:
    return [found for found in _BESIDE_URLS.finditer(text) if not found["url"]]


@lru_cache(maxsize=4096)
def fold_tag(text: str) -> str:
    """The key under which a tag is found: without ``#``, NFKC, case-folded."""
    folded = unicodedata.normalize("NFKC", text.strip().lstrip("#\uff03")).casefold()
    return unicodedata.normalize("NFKC", folded)


def tags(body: Body) -> tuple[str, ...]:
    """The keys of the body's ``Tag`` nodes, each once, in their order."""
    found = [fold_tag(leaf.text) for leaf in leaves(body.blocks) if isinstance(leaf, Tag)]
    return tuple(dict.fromkeys(found)) if found else ()


def mentions(body: Body) -> tuple[str, ...]:
    """The lower-case handles of ``Mention`` nodes that name no platform account, each once, in order."""
    found = (leaf for leaf in leaves(body.blocks) if not isinstance(leaf, CodeBlock))
    named = (leaf.text for leaf in found if isinstance(leaf, Mention) and leaf.account is None)
    return tuple(dict.fromkeys(text.lstrip("@\uff20").lower() for text in named))
