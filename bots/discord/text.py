"""Discord's Markdown put into trees and back. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from msgspec import structs

from core.body import Body, Code, Inline, Leaf, Mention, Text, map_leaves, map_paragraphs
from core.markdown import Dialect, read_markdown, write_markdown

#: The name of Discord's Markdown in ``core.markdown``.
DIALECT: Final[Dialect] = "discord"


#: A role (``<@&1>``), a channel (``<#1>``) or a command (``</name:1>``), which no Markdown knows.
_PLACE = re.compile(r"<(?P<of>(?:@&|#)\d{1,20})>|</(?P<command>[^:<>\n]{1,100}):\d{1,20}>")


def read(text: str, names: Mapping[str, str]) -> Body:
    """The tree of a message. ``names``: what it mentions: accounts (by ``1``), roles (``&1``), channels (``#1``)."""
    body = read_markdown(text, dialect=DIALECT)
    if "<" not in text:
        return body
    return map_paragraphs(body, lambda inlines: map_leaves(inlines, lambda leaf: _read(leaf, names)))


def mentioned(text: str) -> Iterator[str]:
    """The roles (``&1``) and channels (``#1``) that a text may mention."""
    return (found["of"].lstrip("@") for found in _PLACE.finditer(text) if found["of"])


def write(body: Body) -> str:
    """Discord's Markdown. Its own accounts are mentioned as such, which calls nobody where no payload allows it."""
    return write_markdown(body, dialect=DIALECT)


def _read(leaf: Leaf, names: Mapping[str, str]) -> Sequence[Inline]:
    if isinstance(leaf, Mention) and leaf.account is not None and names.get(leaf.account.key):
        return (structs.replace(leaf, text=f"@{names[leaf.account.key]}"),)
    if isinstance(leaf, Text) and "<" in leaf.text and _PLACE.search(leaf.text):
        return tuple(_with_words(leaf.text, names))
    return (leaf,)


def _with_words(text: str, names: Mapping[str, str]) -> Iterator[Inline]:
    """Mentions of places and of many people are words in which nothing is read, whatever they are called."""
    done = 0
    for found in _PLACE.finditer(text):
        if before := text[done : found.start()]:
            yield Text(before)
        yield Code(f"/{found['command']}" if found["command"] else names.get(found["of"].lstrip("@")) or "…")
        done = found.end()
    if rest := text[done:]:
        yield Text(rest)
