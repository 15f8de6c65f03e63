"""The neutral tree -> Telegram's text with entities. Never a markup string: nothing has to be escaped.

Telegram turns every ``@name`` of a bot's text into a mention that pings its owner, whatever entities come
with it. So a word joiner, which nobody sees, stands between ``@`` and name (as its own parser confirms).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import regex
from telegram import MessageEntity

from bots.telegram.reading import utf16_length, well_formed
from core.body import (
    Block,
    Body,
    Code,
    CodeBlock,
    Emoji,
    Emphasis,
    Inline,
    Link,
    List,
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

#: What keeps ``@name`` from pinging: invisible, and no part of a name.
PING_BREAK: Final = "\u2060"
#: Telegram's limit of a message, in UTF-16 code units after the entities were taken out.
MAX_TEXT: Final = 4096
MAX_ENTITIES: Final = 100

_STYLES: Final[dict[type[Inline], str]] = {
    Strong: "bold",
    Emphasis: "italic",
    Underline: "underline",
    Strike: "strikethrough",
    Spoiler: "spoiler",
}
#: An ``@`` that Telegram would read as a mention; in ``https://example.org/@anna`` it belongs to the address.
_PING: Final = regex.compile(
    r"(?<!\S)\(?https?://(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}(?::\d+)?/(?:[A-Za-z0-9_/~%.-]*/)?@(*SKIP)(*FAIL)"
    r"|(?<![A-Za-z0-9])@(?=[A-Za-z0-9_]{2})"
)
_VERBATIM: Final = frozenset({"code", "pre"})


@dataclass(frozen=True, slots=True)
class Mark:
    """What an entity says about the words under it."""

    type: str
    url: str = ""
    language: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Run:
    text: str
    marks: frozenset[Mark]


@dataclass(frozen=True, slots=True)
class Composed:
    """A message as the Bot API takes it."""

    text: str
    entities: tuple[MessageEntity, ...] = ()

    @property
    def length(self) -> int:
        """In UTF-16 code units."""
        return utf16_length(self.text)


@dataclass(slots=True)
class Sheet:
    """Words with their marks, written from top to bottom."""

    runs: list[_Run] = field(default_factory=list)
    #: How many lists the words being written are in.
    depth: int = 0

    def write(self, text: str, marks: Iterable[Mark] = ()) -> None:
        """Words under these marks. ``code`` and ``pre`` bear no other style."""
        if not text:
            return
        marks = frozenset(marks)
        if any(mark.type in _VERBATIM for mark in marks):
            marks = frozenset(mark for mark in marks if mark.type in _VERBATIM or mark.type == "blockquote")
        self.runs.append(_Run(well_formed(text), marks))

    def body(self, body: Body) -> None:
        """The whole tree."""
        self._blocks(body.blocks, frozenset())

    def composed(self, *, plain: bool = False) -> Composed:
        """What is written, trimmed as Telegram trims it; ``plain`` without entities."""
        if plain:
            return _composed([_Run(run.text, frozenset()) for run in self.runs])
        whole = _composed(self.runs)
        if len(whole.entities) <= MAX_ENTITIES:
            return whole
        # Code that loses its entity is no longer safe from mentions.
        broken = _composed(self.runs, spare_code=False)
        return Composed(broken.text, broken.entities[:MAX_ENTITIES])

    def _blocks(self, blocks: Sequence[Block], marks: frozenset[Mark]) -> None:
        for before, block in zip((None, *blocks), blocks, strict=False):
            if before is not None:
                self.write("\n\n" if type(before) is type(block) else "\n", marks & _quote(marks))
            self._block(block, marks)

    def _block(self, block: Block, marks: frozenset[Mark]) -> None:
        match block:
            case Paragraph(children):
                self.inlines(children, marks)
            case Quote(children):
                # A second level does not exist there: its words stay in the first.
                self._blocks(children, marks | {Mark("blockquote")})
            case CodeBlock(text, language):
                self.write(text, marks | {Mark("pre", language=language)})
            case List():
                self._list(block, marks)

    def _list(self, block: List, marks: frozenset[Mark]) -> None:
        self.depth += 1
        for number, item in enumerate(block.items, block.start):
            if number > block.start:
                self.write("\n", marks)
            self.write("  " * (self.depth - 1) + (f"{number}. " if block.ordered else "• "), marks)
            self._blocks(item, marks)
        self.depth -= 1

    def inlines(self, nodes: Sequence[Inline], marks: frozenset[Mark] = frozenset()) -> None:
        """Inlines, one after the other."""
        for node in nodes:
            self._inline(node, marks)

    def _inline(self, node: Inline, marks: frozenset[Mark]) -> None:
        match node:
            case Text(text) | Emoji(text) | Mention(text):
                self.write(text, marks)
            case Tag(text):
                self.write(f"#{text}", marks)
            case Code(text):
                self.write(text, marks | {Mark("code")})
            case Time(at):
                self.write(f"{at:%Y-%m-%d %H:%M} UTC", marks | {Mark("date_time", at=at)})
            case Link():
                self._link(node, marks)
            case Strong() | Emphasis() | Underline() | Strike() | Spoiler():
                self.inlines(node.children, marks | {Mark(_STYLES[type(node)])})

    def _link(self, link: Link, marks: frozenset[Mark]) -> None:
        words = plain(link.children)
        if not words.strip():
            self.write(link.url, marks)
        elif not link.url.lower().startswith(("http://", "https://")):
            # Telegram drops links of other schemes, so the address must stand in the text.
            self.inlines(link.children, marks)
            address = link.url.removeprefix("mailto:")
            self.write("" if address == words else f" ({address})", marks)
        elif words in (link.url, link.url.removeprefix("https://")):
            self.write(words, marks)
        else:
            self.inlines(link.children, marks | {Mark("text_link", url=link.url)})


def plain(nodes: Sequence[Inline]) -> str:
    """The bare words of some inlines."""
    sheet = Sheet()
    sheet.inlines(nodes)
    return "".join(run.text for run in sheet.runs)


def plain_text(body: Body) -> str:
    """The bare words of a tree."""
    sheet = Sheet()
    sheet.body(body)
    return "".join(run.text for run in sheet.runs)


def cut(text: str, limit: int) -> str:
    """At most ``limit`` UTF-16 units, cut between graphemes, with an ellipsis where something is missing."""
    if utf16_length(text) <= limit:
        return text
    out, left = [], limit - 1
    for grapheme in regex.findall(r"\X", text):
        left -= utf16_length(grapheme)
        if left < 0:
            break
        out.append(grapheme)
    return "".join(out).rstrip() + "…"


def _quote(marks: frozenset[Mark]) -> frozenset[Mark]:
    return frozenset(mark for mark in marks if mark.type == "blockquote")


def _composed(runs: Sequence[_Run], *, spare_code: bool = True) -> Composed:
    done = _trimmed(_without_pings(runs, spare_code=spare_code))
    return Composed("".join(run.text for run in done), _entities(done))


def _without_pings(runs: Sequence[_Run], *, spare_code: bool) -> list[_Run]:
    """The runs with a break in each name that would ping; a name may begin in one run and end in the next."""
    whole = "".join(run.text for run in runs)
    breaks = [match.end() for match in _PING.finditer(whole)]
    out, at = [], 0
    for run in runs:
        end = at + len(run.text)
        verbatim = spare_code and any(mark.type in _VERBATIM for mark in run.marks)
        here = [] if verbatim else [place - at for place in breaks if at < place <= end]
        pieces = [run.text[left:right] for left, right in zip([0, *here], [*here, None], strict=True)]
        out.append(_Run(PING_BREAK.join(pieces), run.marks))
        at = end
    return out


def _trimmed(runs: Sequence[_Run]) -> list[_Run]:
    whole = "".join(run.text for run in runs)
    first, last = len(whole) - len(whole.lstrip()), len(whole.rstrip())
    out, at = [], 0
    for run in runs:
        text = run.text[max(first - at, 0) : max(last - at, 0)]
        at += len(run.text)
        if text:
            out.append(_Run(text, run.marks))
    return out


def _entities(runs: Sequence[_Run]) -> tuple[MessageEntity, ...]:
    """One entity for each stretch of neighbouring runs that share a mark."""
    found: list[tuple[int, int, Mark]] = []
    open_: dict[Mark, int] = {}
    at = 0
    for run in [*runs, _Run("", frozenset())]:
        ended = [mark for mark in open_ if mark not in run.marks]
        found.extend((open_.pop(mark), at, mark) for mark in ended)
        for mark in run.marks:
            open_.setdefault(mark, at)
        at += utf16_length(run.text)
    found.sort(key=lambda item: (item[0], -item[1], item[2].type))
    return tuple(_entity(start, end, mark) for start, end, mark in found)


def _entity(start: int, end: int, mark: Mark) -> MessageEntity:
    return MessageEntity(
        mark.type,
        start,
        end - start,
        url=mark.url or None,
        language=mark.language or None,
        unix_time=mark.at,
        date_time_format="Dt" if mark.at else None,
    )
