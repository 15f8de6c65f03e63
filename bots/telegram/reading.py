"""Telegram's text with entities -> the neutral tree.

Offsets are UTF-16 code units, as the Bot API counts them. Entities may nest and, from a careless server,
overlap or reach past the text: whatever comes gives a tree, and its words are those of the text.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from itertools import accumulate
from typing import Final

from telegram import MessageEntity

from bots.telegram.refs import account_ref
from core.body import (
    Block,
    Body,
    Code,
    CodeBlock,
    Emoji,
    Emphasis,
    Inline,
    Link,
    Mention,
    Paragraph,
    Quote,
    Spoiler,
    Strike,
    Strong,
    Tag,
    Text,
    Time,
    Underline,
)

#: Telegram keeps 100 entities of a message; a server that sends many more must not cost us quadratic time.
_MAX_ENTITIES: Final = 200

_STYLES: Final[Mapping[str, Callable[[tuple[Inline, ...]], Inline]]] = {
    "bold": Strong,
    "italic": Emphasis,
    "underline": Underline,
    "strikethrough": Strike,
    "spoiler": Spoiler,
}
_QUOTES: Final = frozenset({"blockquote", "expandable_blockquote"})
_BLOCKS: Final = _QUOTES | {"pre"}
_LINK_SCHEME: Final = re.compile(r"(?:https?://|mailto:|matrix:)", re.IGNORECASE)
_BLANK_LINE: Final = re.compile(r"\n[^\S\n]*(?:\n[^\S\n]*)*\n")


@dataclass(frozen=True, slots=True)
class _Span:
    """An entity on code points instead of UTF-16 units."""

    start: int
    end: int
    kind: str
    entity: MessageEntity


def well_formed(text: str) -> str:
    """The text with lone surrogates replaced; its length in UTF-16 units stays."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def utf16_length(text: str) -> int:
    """UTF-16 code units of a well-formed text."""
    return len(text) + sum(char > "\uffff" for char in text)


def read(text: str, entities: Sequence[MessageEntity], skip: int = 0) -> Body:
    """The tree of ``text`` from the code point ``skip`` on (a command's name is skipped so)."""
    text = well_formed(text)
    spans = _spans(text, entities)
    return Body(_blocks(text, skip, len(text), spans))


def _spans(text: str, entities: Sequence[MessageEntity]) -> list[_Span]:
    starts = [0, *accumulate(2 if char > "\uffff" else 1 for char in text)]

    def point(offset: int) -> int:
        return min(max(bisect_right(starts, offset) - 1, 0), len(text))

    found = [
        _Span(point(entity.offset), point(entity.offset + entity.length), str(entity.type), entity)
        for entity in entities[:_MAX_ENTITIES]
        if entity.length > 0
    ]
    return _within(found, 0, len(text))


def _within(spans: Sequence[_Span], start: int, end: int) -> list[_Span]:
    """The spans cut to ``start:end``, outer before inner."""
    cut = (replace(span, start=max(span.start, start), end=min(span.end, end)) for span in spans)
    return sorted((span for span in cut if span.start < span.end), key=lambda span: (span.start, -span.end))


def _blocks(
    text: str, start: int, end: int, spans: Sequence[_Span], kinds: frozenset[str] = _BLOCKS
) -> tuple[Block, ...]:
    out: list[Block] = []
    at = start
    for span in _within([span for span in spans if span.kind in kinds], start, end):
        if span.start < at:
            continue
        out.extend(_paragraphs(text, at, span.start, spans))
        out.append(_block(text, span, spans))
        at = span.end
    out.extend(_paragraphs(text, at, end, spans))
    return tuple(out)


def _block(text: str, span: _Span, spans: Sequence[_Span]) -> Block:
    if span.kind == "pre":
        return CodeBlock(text[span.start : span.end].strip("\n"), span.entity.language or "")
    return Quote(_blocks(text, span.start, span.end, spans, _BLOCKS - _QUOTES))


def _paragraphs(text: str, start: int, end: int, spans: Sequence[_Span]) -> list[Block]:
    out: list[Block] = []
    inner = [span for span in spans if span.kind not in _BLOCKS]
    borders = [match.span() for match in _BLANK_LINE.finditer(text, start, end)]
    heads = [start, *(stop for _, stop in borders)]
    ends = [*(head for head, _ in borders), end]
    for head, stop in zip(heads, ends, strict=True):
        left, right = _trimmed(text, head, stop)
        if left < right:
            out.append(Paragraph(_inlines(text, left, right, inner, frozenset())))
    return out


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start] == "\n":
        start += 1
    while end > start and text[end - 1] == "\n":
        end -= 1
    return (start, end) if text[start:end].strip() else (end, end)


def _inlines(
    text: str, start: int, end: int, spans: Sequence[_Span], inside: frozenset[str]
) -> tuple[Inline, ...]:
    out: list[Inline] = []
    at = start
    queue = _within(spans, start, end)
    while queue:
        span = queue.pop(0)
        if span.kind in inside:
            continue
        _add_text(out, text[at : span.start])
        for node in _nodes(text, span, [other for other in queue if other.start < span.end], inside):
            if isinstance(node, Text):
                _add_text(out, node.text)
            else:
                out.append(node)
        at = span.end
        queue = _within(queue, at, end)
    _add_text(out, text[at:end])
    return tuple(out)


def _add_text(out: list[Inline], text: str) -> None:
    if out and isinstance(last := out[-1], Text):
        out[-1] = Text(last.text + text)
    elif text:
        out.append(Text(text))


def _nodes(text: str, span: _Span, spans: Sequence[_Span], inside: frozenset[str]) -> tuple[Inline, ...]:
    words = text[span.start : span.end]
    leaf = _leaf(span, words)
    if leaf is not None:
        return (leaf,)
    url = "" if "link" in inside else _url(span, words)
    inside = inside | {span.kind} | ({"link"} if url else frozenset())
    children = _inlines(text, span.start, span.end, spans, inside)
    if url:
        return (Link(url, children),)
    style = _STYLES.get(span.kind)
    return (style(children),) if style else children


def _leaf(span: _Span, words: str) -> Inline | None:
    match span.kind:
        case "code":
            return Code(words)
        case "mention":
            return Mention(words)
        case "text_mention" if span.entity.user is not None:
            return Mention("@" + words.removeprefix("@"), account=account_ref(span.entity.user.id))
        case "hashtag" if len(words) > 1 and words.startswith("#"):
            return Tag(words[1:].split("@", 1)[0])
        case "custom_emoji":
            return Emoji(words)
        case "date_time":
            return _time(span.entity)
    return None


def _time(entity: MessageEntity) -> Time | None:
    return Time(entity.unix_time.astimezone(UTC)) if entity.unix_time else None


def _url(span: _Span, words: str) -> str:
    """The address that a span leads to, or nothing when it is no link that the tree may hold."""
    match span.kind:
        case "text_link":
            url = well_formed(str(span.entity.url or ""))
        case "url":
            url = words if "://" in words else f"https://{words}"
        case "email":
            url = f"mailto:{words}"
        case _:
            return ""
    return url if _LINK_SCHEME.match(url) else ""
