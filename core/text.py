"""Bodies as plain text, and plain text as bodies."""

from __future__ import annotations

from collections.abc import Sequence

import regex
from msgspec import structs

from core.body import (
    LEAVES,
    Block,
    Body,
    Code,
    CodeBlock,
    Emoji,
    Inline,
    Link,
    List,
    Mention,
    Paragraph,
    Quote,
    Spoiler,
    Styled,
    Tag,
    Text,
    Time,
)
from core.canonical import leaf_text, text_paragraphs

_GRAPHEME = regex.compile(r"\X")
_VISIBLE = regex.compile(r"[^\p{Z}\p{C}]")
_HIDDEN = "▒"


def plain(body: Body, *, hide_spoilers: bool = False) -> str:
    """The body without markup: blank lines between blocks, ``> `` before quotes, ``- `` before items.

    ``hide_spoilers`` writes a shade character for every visible one of a spoiler.
    """
    return _blocks(body.blocks, hide=hide_spoilers)


def inline_plain(inlines: Sequence[Inline], *, hide_spoilers: bool = False) -> str:
    """Inlines without markup. A link is its label, and its address where the label does not say it."""
    return "".join(
        [
            node.text
            if isinstance(node, Text)
            else leaf_text(node)
            if isinstance(node, LEAVES)
            else _inline(node, hide=hide_spoilers)
            for node in inlines
        ]
    )


def _blocks(blocks: Sequence[Block], *, hide: bool) -> str:
    texts = [
        inline_plain(block.children, hide_spoilers=hide)
        if isinstance(block, Paragraph)
        else _block(block, hide=hide)
        for block in blocks
    ]
    return "\n\n".join(filter(None, texts))


def _block(block: Quote | CodeBlock | List, *, hide: bool) -> str:
    match block:
        case Quote(children):
            return "\n".join(f"> {line}".rstrip() for line in _blocks(children, hide=hide).split("\n"))
        case CodeBlock(text):
            return text
        case List(items, ordered, start):
            texts = (_blocks(item, hide=hide) for item in items)
            leads = (f"{start + i}. " if ordered else "- " for i in range(len(items)))
            return "\n".join(indented(text, lead) for lead, text in zip(leads, texts, strict=True))


def indented(text: str, lead: str) -> str:
    """``text`` with ``lead`` before its first line and as much space before the others that are not empty."""
    first, *others = text.split("\n")
    return "\n".join([lead + first, *(" " * len(lead) + line if line else "" for line in others)])


def _inline(node: Styled | Link, *, hide: bool) -> str:
    match node:
        case Link(url, children):
            label = inline_plain(children, hide_spoilers=hide)
            return label if label in {url, url.removeprefix("mailto:")} else f"{label} ({url})".lstrip()
        case Spoiler(children) if hide:
            return _GRAPHEME.sub(_shade, inline_plain(children, hide_spoilers=True))
        case _:
            return inline_plain(node.children, hide_spoilers=hide)


def _shade(grapheme: regex.Match[str]) -> str:
    return grapheme[0] if grapheme[0].isspace() else _HIDDEN


def first_words(body: Body, graphemes: int) -> str:
    """The beginning of the body on one line, at most ``graphemes`` visible characters with the closing ``…``.

    Spoilers stay hidden. The cut falls between words where one ends late enough, never inside a grapheme.
    """
    text = " ".join(plain(body, hide_spoilers=True).split())
    cells = _GRAPHEME.findall(text)
    if len(cells) <= graphemes:
        return text
    if graphemes < 1:
        return ""
    kept = cells[: graphemes - 1]
    ends = [i for i, cell in enumerate(cells[:graphemes]) if cell == " " and i * 2 >= graphemes]
    return "".join(kept[: ends[-1]] if ends else kept).rstrip() + "…"


def from_plain(text: str) -> Body:
    """Text that has no markup: paragraphs at blank lines, addresses with ``http(s)://`` as links."""
    return Body(tuple(text_paragraphs(text)))


def is_empty(body: Body) -> bool:
    """Whether nothing of the body can be seen."""
    return not any(map(_shows, body.blocks))


def _shows(node: Block | Inline) -> bool:
    """Whether anything of it can be seen."""
    if isinstance(node, (Text, Code, CodeBlock)):
        # Letters and digits can be seen, and most texts begin with one.
        return node.text[:1].isalnum() or _VISIBLE.search(node.text) is not None
    if isinstance(node, LEAVES):
        return _VISIBLE.search(leaf_text(node)) is not None
    if isinstance(node, List):
        return any(any(map(_shows, item)) for item in node.items)
    return any(map(_shows, node.children))


def without_prefix(body: Body, count: int) -> Body:
    """Without the first ``count`` code points of the first paragraph's text, and white space after them.

    Strips the word of a flag (``public Hello`` -> ``Hello``). A paragraph that becomes empty goes; a body
    that does not begin with a paragraph stays as it is.
    """
    if not body.blocks or not isinstance(body.blocks[0], Paragraph):
        return body
    children = body.blocks[0].children
    match children:
        case (Text(text), *_) if count == 0 and text[:1].strip():
            return body
    left, _ = _dropped(children, count)
    left = _stripped(left)
    head: tuple[Block, ...] = (Paragraph(left),) if left else ()
    return Body(head + body.blocks[1:])


def _dropped(inlines: Sequence[Inline], count: int) -> tuple[tuple[Inline, ...], int]:
    kept: list[Inline] = []
    for node in inlines:
        if count <= 0:
            kept.append(node)
            continue
        match node:
            case Text(text) | Code(text):
                if len(text) > count:
                    kept.append(type(node)(text[count:]))
                count -= len(text)
            case Mention() | Tag() | Time() | Emoji():
                count -= len(leaf_text(node))
            case _:
                children, count = _dropped(node.children, count)
                if children:
                    kept.append(structs.replace(node, children=children))
    return tuple(kept), max(count, 0)


def _stripped(inlines: Sequence[Inline]) -> tuple[Inline, ...]:
    for i, node in enumerate(inlines):
        match node:
            case Text(text):
                if rest := text.lstrip():
                    return (Text(rest), *inlines[i + 1 :])
            case Code() | Mention() | Tag() | Time() | Emoji():
                return tuple(inlines[i:])
            case _:
                if children := _stripped(node.children):
                    return (structs.replace(node, children=children), *inlines[i + 1 :])
    return ()
