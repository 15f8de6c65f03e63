"""A body cut in two: what stands before a place and what stands behind it, each with its formatting whole. Pure.

A *place* counts the code points of the leaves in reading order (``spelled``). White space at a cut goes, as it
does at the end of a line.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import regex
from msgspec import structs

from core.body import (
    LEAVES,
    Block,
    Body,
    Code,
    CodeBlock,
    Inline,
    Leaf,
    List,
    Paragraph,
    Quote,
    Text,
    leaves,
)
from core.canonical import leaf_text

#: Where a cut hurts least comes first: behind a block, a line, a word.
_RANKS: Final = 3
#: The share of the room, as its divisor, that must be used for a place of that rank to be taken.
_FILLED: Final = (2, 2, 4)
_SPACE: Final = regex.compile(r"\s+")
_GRAPHEME: Final = regex.compile(r"\X")


def spelled(body: Body) -> str:
    """All leaves one behind the other; places are counted in it."""
    return "".join(_words(leaf) for leaf in leaves(body.blocks))


def _words(leaf: Leaf | CodeBlock) -> str:
    return leaf.text if isinstance(leaf, CodeBlock) else leaf_text(leaf)


# -- where to cut ------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Borders:
    """The places where a body may be cut, by rank, each list in order."""

    text: str
    ranks: tuple[list[int], ...]
    #: Leaves that are never cut inside, such as a mention: (start, end) in order.
    whole: list[tuple[int, int]]

    def best(self, room: int) -> int:
        """The best place among the first ``room`` code points, at least 1 behind the beginning."""
        for places, filled in zip(self.ranks, _FILLED, strict=True):
            at = bisect_right(places, room)
            if at and places[at - 1] * filled >= room and self._is_border(places[at - 1]):
                return places[at - 1]
        return self._grapheme(room)

    def _is_border(self, place: int) -> bool:
        """Whether no character is cut in two, as a space with an accent over it would be."""
        match = _GRAPHEME.match(self.text, place - 1)
        return match is not None and match.end() == place

    def _grapheme(self, room: int) -> int:
        start = max((places[bisect_right(places, room) - 1] for places in self.ranks if places and places[0] <= room),
                    default=0)  # fmt: skip
        start = start if start == 0 or self._is_border(start) else 0
        kept = start
        for match in _GRAPHEME.finditer(self.text, start):
            if match.end() > room:
                break
            if not self._inside(match.end()):
                kept = match.end()
        # One character, or one name, that is longer than a message: then anywhere.
        return kept or max(room, 1)

    def _inside(self, place: int) -> bool:
        at = bisect_right(self.whole, (place, 0)) - 1
        return at >= 0 and self.whole[at][0] < place < self.whole[at][1]


def borders(body: Body) -> Borders:
    """Reads a body once; ``best`` then answers for any room."""
    found = Borders(spelled(body), tuple([] for _ in range(_RANKS)), [])
    _read(body.blocks, 0, found, 0)
    return found


def _read(blocks: Sequence[Block], at: int, found: Borders, rank: int) -> int:
    for index, block in enumerate(blocks):
        if index:
            found.ranks[rank].append(at)
        match block:
            case Paragraph(children):
                for leaf in leaves((Paragraph(children),)):
                    at = _read_leaf(leaf, at, found)
            case CodeBlock():
                at = _read_leaf(block, at, found)
            case Quote(children):
                at = _read(children, at, found, rank)
            case List(items):
                for number, item in enumerate(items):
                    if number:
                        found.ranks[1].append(at)
                    at = _read(item, at, found, 1)
    return at


def _read_leaf(leaf: Leaf | CodeBlock, at: int, found: Borders) -> int:
    text = _words(leaf)
    if isinstance(leaf, Text | Code | CodeBlock):
        for space in _SPACE.finditer(text):
            # Code keeps the blanks that a line begins with.
            line = space.group().rfind("\n")
            end = space.start() + line + 1 if line >= 0 and isinstance(leaf, CodeBlock) else space.end()
            found.ranks[1 if line >= 0 else 2].append(at + end)
    else:
        found.whole.append((at, at + len(text)))
    return at + len(text)


# -- cutting -----------------------------------------------------------------------------------------------------


def cut(body: Body, place: int) -> tuple[Body, Body]:
    """The body before that place and from it on; both ends without white space at the cut."""
    head, tail, _ = _cut_blocks(body.blocks, place)
    return Body(tuple(_end(head))), Body(tuple(_begin(tail)))


def _cut_blocks(blocks: Sequence[Block], left: int) -> tuple[list[Block], list[Block], int]:
    """Before, behind, and how many code points are still to go."""
    head: list[Block] = []
    for index, block in enumerate(blocks):
        if left <= 0:
            return head, list(blocks[index:]), 0
        before, behind, left = _cut_block(block, left)
        head.extend(before)
        if behind:
            return head, [*behind, *blocks[index + 1 :]], 0
    return head, [], left


def _cut_block(block: Block, left: int) -> tuple[list[Block], list[Block], int]:
    match block:
        case Paragraph(children):
            one, two, left = _cut_inlines(children, left)
            return [Paragraph(one)] if one else [], [Paragraph(two)] if two else [], left
        case CodeBlock(text):
            kept, rest = text[:left], text[left:]
            return _code(block, kept), _code(block, rest), max(left - len(text), 0)
        case Quote(children):
            before, behind, left = _cut_blocks(children, left)
            return _quote(before), _quote(behind), left
        case List():
            return _cut_list(block, left)


def _code(block: CodeBlock, text: str) -> list[Block]:
    return [structs.replace(block, text=text)] if text else []


def _quote(blocks: list[Block]) -> list[Block]:
    return [Quote(tuple(blocks))] if blocks else []


def _cut_list(block: List, left: int) -> tuple[list[Block], list[Block], int]:
    """An item that is cut has its number on both sides."""
    items: list[tuple[Block, ...]] = []
    for index, item in enumerate(block.items):
        before, behind, left = _cut_blocks(item, left)
        if before:
            items.append(tuple(before))
        if behind or (left <= 0 and index + 1 < len(block.items)):
            rest = [tuple(behind)] if behind else []
            start = block.start + index + (0 if behind else 1)
            tail = structs.replace(
                block, items=(*rest, *block.items[index + 1 :]), start=start if block.ordered else 1
            )
            return [structs.replace(block, items=tuple(items))] if items else [], [tail], 0
    return [block], [], left


def _cut_inlines(nodes: Sequence[Inline], left: int) -> tuple[tuple[Inline, ...], tuple[Inline, ...], int]:
    head: list[Inline] = []
    for index, node in enumerate(nodes):
        if left <= 0:
            return tuple(head), tuple(nodes[index:]), 0
        if isinstance(node, LEAVES):
            before, behind, left = _cut_leaf(node, left)
        else:
            one, two, left = _cut_inlines(node.children, left)
            before = [structs.replace(node, children=one)] if one else []
            behind = [structs.replace(node, children=two)] if two else []
        head.extend(before)
        if behind:
            return tuple(head), (*behind, *nodes[index + 1 :]), 0
    return tuple(head), (), left


def _cut_leaf(leaf: Leaf, left: int) -> tuple[list[Inline], list[Inline], int]:
    text = leaf_text(leaf)
    if len(text) <= left:
        return [leaf], [], left - len(text)
    # What is no text is only cut where it is longer than a message: then as its words.
    kind: type[Text | Code] = Code if isinstance(leaf, Code) else Text
    return [kind(text[:left])], [kind(text[left:])], 0


# -- the edges of a cut ------------------------------------------------------------------------------------------


def _end(blocks: Sequence[Block]) -> Iterator[Block]:
    """Without white space at the end."""
    *before, last = blocks or (Paragraph(()),)
    yield from before
    match last:
        case Paragraph(children):
            if trimmed := _trim(children, first=False):
                yield Paragraph(trimmed)
        case CodeBlock(text):
            if text.strip():
                yield structs.replace(last, text=text.rstrip())
        case Quote(children):
            yield from _quote(list(_end(children)))
        case List(items):
            yield from _list(last, (*items[:-1], tuple(_end(items[-1])) if items else ()))


def _begin(blocks: Sequence[Block]) -> Iterator[Block]:
    """Without white space at the beginning; code keeps what its line begins with."""
    first, *others = blocks or (Paragraph(()),)
    match first:
        case Paragraph(children):
            if trimmed := _trim(children, first=True):
                yield Paragraph(trimmed)
        case CodeBlock(text):
            if text.strip():
                yield structs.replace(first, text=text.strip("\n"))
        case Quote(children):
            yield from _quote(list(_begin(children)))
        case List(items):
            yield from _list(first, (tuple(_begin(items[0])) if items else (), *items[1:]))
    yield from others


def _list(block: List, items: Sequence[tuple[Block, ...]]) -> Iterator[Block]:
    if kept := tuple(item for item in items if item):
        yield structs.replace(block, items=kept)


def _trim(nodes: tuple[Inline, ...], *, first: bool) -> tuple[Inline, ...]:
    """Without the white space that the text begins with (``first``) or ends with."""
    while nodes:
        node = nodes[0] if first else nodes[-1]
        rest = nodes[1:] if first else nodes[:-1]
        kept: Inline | None = node
        if isinstance(node, Text):
            text = node.text.lstrip() if first else node.text.rstrip()
            kept = Text(text) if text else None
        elif not isinstance(node, LEAVES):
            children = _trim(node.children, first=first)
            kept = structs.replace(node, children=children) if children else None
        if kept is not None:
            return (kept, *rest) if first else (*rest, kept)
        nodes = rest
    return ()
