"""Bodies as Markdown that reads back as the same body: text never becomes markup."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.body import (
    Block,
    Body,
    Code,
    CodeBlock,
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
    Styled,
    Text,
    Time,
    Underline,
)
from core.canonical import Dialect, leaf_text, names_account, normalise
from core.text import indented

#: A zero-width space: nobody sees it and every reader of ours drops it, so it may keep marks apart.
_APART = "\u200b"
_MARKS: dict[type[Styled], str] = {Strong: "**", Emphasis: "_", Underline: "__", Strike: "~~", Spoiler: "||"}


def write_markdown(body: Body, *, dialect: Dialect = "commonmark") -> str:
    """Markdown that ``read_markdown`` of the same dialect reads as ``normalise(body, dialect)``."""
    return _blocks(normalise(body, dialect).blocks, dialect)


def _blocks(blocks: Sequence[Block], dialect: Dialect) -> str:
    return "\n\n".join(_block(block, dialect) for block in blocks)


def _block(block: Block, dialect: Dialect) -> str:
    match block:
        case Paragraph(children):
            return "\n".join(map(_started, _inlines(children, dialect).split("\n")))
        case Quote(children):
            return "\n".join(f"> {line}".rstrip() for line in _blocks(children, dialect).split("\n"))
        case CodeBlock(text, language):
            return _fenced(text, language, dialect)
        case List(items, ordered, start):
            leads = [f"{start + i}. " if ordered else "- " for i in range(len(items))]
            return "\n".join(
                indented(_blocks(item, dialect), lead) for lead, item in zip(leads, items, strict=True)
            )


def _fenced(text: str, language: str, dialect: Dialect) -> str:
    if dialect == "discord":
        return f"```{language}\n{_loose_ticks(text, 3)}\n```"
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"


def _loose_ticks(text: str, count: int) -> str:
    """Discord knows no longer fences: runs of ``count`` backticks are kept apart."""
    return re.sub(rf"`{{{count},}}", lambda run: _APART.join(run[0]), text)


# What would begin a heading, quote, list, rule or underlined heading at the start of a line.
_LINE_START = re.compile(
    r"(\d{1,9})?(?:(?<!\d)(?:#{1,6}(?=\s|$)|>|-(?=[\s#-]|$)|[+*](?=\s|$)|=+$)|(?<=\d)[.)](?=\s|$))"
)


def _started(line: str) -> str:
    found = _LINE_START.match(line)
    if not found:
        return line
    number = found[1] or ""
    return f"{number}\\{line[len(number) :]}"


@dataclass(frozen=True, slots=True)
class _Piece:
    """A bit of the line. ``side``: the mark opens (1), closes (-1), or is none (0)."""

    text: str
    side: int = 0


def _inlines(inlines: Sequence[Inline], dialect: Dialect) -> str:
    pieces = [piece for piece in _pieces(inlines, dialect) if piece.text]
    return _apart(_marked(pieces)) if dialect == "discord" else _flanked(pieces)


def _pieces(inlines: Sequence[Inline], dialect: Dialect) -> Iterator[_Piece]:
    for node in inlines:
        match node:
            case Text(text):
                yield _Piece(_escaped(text, dialect))
            case Code(text):
                yield _Piece(_code(text, dialect))
            case Time(at) if dialect == "discord":
                yield _Piece(f"<t:{int(at.timestamp())}:f>")
            case Mention(account=account) if account is not None and names_account(account, dialect):
                yield _Piece(f"<@{account.key}>")
            case Link(url, children):
                yield _Piece(_link(url, children, dialect))
            case Strong() | Emphasis() | Underline() | Strike() | Spoiler():
                yield _Piece(_MARKS[type(node)], 1)
                yield from _pieces(node.children, dialect)
                yield _Piece(_MARKS[type(node)], -1)
            case _:
                yield _Piece(_escaped(leaf_text(node), dialect))


# An exclamation mark before a link would make an image of it; the colon of an address makes it a link.
_ADDRESS = r"(?:(?<=http)|(?<=https)|(?<=mailto)):"
_SPECIAL = re.compile(rf"[\\`*\[\]<|_]|(?<=~)~|~(?=~|$)|^~|!$|{_ADDRESS}", re.IGNORECASE)
_SPECIAL_COMMONMARK = re.compile(rf"{_SPECIAL.pattern}|&(?=[#A-Za-z])", re.IGNORECASE)


def _escaped(text: str, dialect: Dialect) -> str:
    special = _SPECIAL if dialect == "discord" else _SPECIAL_COMMONMARK
    return special.sub(r"\\\g<0>", text)


def _code(text: str, dialect: Dialect) -> str:
    if dialect == "discord":
        text = _loose_ticks(text, 2)
    runs = set(map(len, re.findall("`+", text)))
    fence = "`" * next(n for n in range(1, len(runs) + 2) if n not in runs)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _link(url: str, children: tuple[Inline, ...], dialect: Dialect) -> str:
    web = url.startswith(("http://", "https://"))
    if children == (Text(url),) and (web or dialect == "commonmark"):
        return f"<{url}>"
    address = url if dialect == "discord" else url.replace("&", "&amp;")
    if set("()") & set(url):
        address = f"<{address}>"
    return f"[{_inlines(children, dialect)}]({address})"


def _clusters(pieces: Sequence[_Piece]) -> Iterator[tuple[int, int]]:
    """Where marks stand in a row: from and to (exclusive)."""
    start = None
    for i, piece in enumerate([*pieces, _Piece("")]):
        if piece.side and start is None:
            start = i
        elif not piece.side and start is not None:
            yield start, i
            start = None


def _flanked(pieces: Sequence[_Piece]) -> str:
    """CommonMark: a mark between a letter and punctuation counts only with the letter spelt as an entity."""
    texts = [piece.text for piece in pieces]
    for start, end in _clusters(pieces):
        before = texts[start - 1] if start else " "
        after = texts[end] if end < len(texts) else " "
        marks = texts[start:end]
        if pieces[start].side > 0 and _needs_entity(before[-1], after[0], marks):
            texts[start - 1] = before[:-1] + _entity(before[-1])
        if pieces[end - 1].side < 0 and _needs_entity(after[0], before[-1], marks):
            texts[end] = _entity(after[0]) + after[1:]
    return "".join(texts)


def _needs_entity(outer: str, inner: str, marks: Sequence[str]) -> bool:
    if outer.isspace() or unicodedata.category(outer)[0] in "PS":
        return False
    return len(marks) > 1 or marks[0] == "_" or not inner.isalnum()


def _entity(char: str) -> str:
    return f"&#{ord(char)};"


def _marked(pieces: Sequence[_Piece]) -> list[_Piece]:
    """Discord: emphasis is ``_`` where no word touches it, else ``*``."""
    out = list(pieces)
    opened: list[int] = []
    for i, piece in enumerate(pieces):
        if piece.text != "_" or not piece.side:
            continue
        if piece.side > 0:
            opened.append(i)
            continue
        start = opened.pop()
        before = pieces[start - 1].text[-1] if start else " "
        after = pieces[i + 1].text[0] if i + 1 < len(pieces) else " "
        if _is_word(before) or _is_word(after):
            out[start], out[i] = _Piece("*", 1), _Piece("*", -1)
    return out


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_"


def _apart(pieces: Sequence[_Piece]) -> str:
    """Discord: marks that touch the same character again are kept apart, for there are no entities."""
    out: list[str] = []
    for i, piece in enumerate(pieces):
        last = pieces[i - 1] if i else _Piece("")
        touching = piece.side or last.side
        if (
            touching
            and last.text
            and (last.text[-1] == piece.text[0] or (last.text == "~~" and piece.text[0] == "_"))
        ):
            out.append(_APART)
        out.append(piece.text)
    return "".join(out)
