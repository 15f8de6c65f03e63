"""Rich text as a versioned tree, neutral between platforms.

Blocks hold inlines; inlines nest. The tree is stored as JSON (``to_json``/``from_json``) beside the source it
was read from. An unknown node of a newer version falls back to its text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from json.encoder import encode_basestring as _quoted
from operator import is_
from typing import Final, TypeVar

from msgspec import Struct, structs

from core.types import AccountRef, MemberId, Platform

_Part = TypeVar("_Part")

#: Version written into the JSON form.
VERSION = 1


class Text(Struct, frozen=True):
    """Words as they are; no markup is read in them."""

    text: str


class Strong(Struct, frozen=True):
    """Bold."""

    children: tuple[Inline, ...]


class Emphasis(Struct, frozen=True):
    """Italic."""

    children: tuple[Inline, ...]


class Underline(Struct, frozen=True):
    """Underlined."""

    children: tuple[Inline, ...]


class Strike(Struct, frozen=True):
    """Struck through."""

    children: tuple[Inline, ...]


class Spoiler(Struct, frozen=True):
    """Hidden until the reader asks for it."""

    children: tuple[Inline, ...]


class Code(Struct, frozen=True):
    """Inline code."""

    text: str


class Link(Struct, frozen=True):
    """``url`` is ``http``, ``https``, ``mailto`` or ``matrix``; other schemes are read as text."""

    url: str
    children: tuple[Inline, ...]


class Mention(Struct, frozen=True):
    """A member (``member`` or, before it is resolved, ``handle``) or a platform account that is no member.

    ``text`` is what a place without this person shows, with its leading ``@``.
    """

    text: str
    member: MemberId | None = None
    account: AccountRef | None = None


class Tag(Struct, frozen=True):
    """A hashtag; ``text`` without the ``#``."""

    text: str


class Time(Struct, frozen=True):
    """A moment, shown in the reader's zone where the platform can."""

    at: datetime


class Emoji(Struct, frozen=True):
    """A custom emoji; ``text`` is its short name or the plain character shown elsewhere."""

    text: str


Inline = Text | Strong | Emphasis | Underline | Strike | Spoiler | Code | Link | Mention | Tag | Time | Emoji


class Paragraph(Struct, frozen=True):
    """Line breaks inside a paragraph are line feeds in a ``Text``."""

    children: tuple[Inline, ...]


class Quote(Struct, frozen=True):
    """Somebody's words, set apart."""

    children: tuple[Block, ...]


class CodeBlock(Struct, frozen=True):
    """Lines of code. ``language`` as its author wrote it."""

    text: str
    language: str = ""


class List(Struct, frozen=True):
    """``items`` are lists of blocks; ``ordered`` counts from ``start``."""

    items: tuple[tuple[Block, ...], ...]
    ordered: bool = False
    start: int = 1


Block = Paragraph | Quote | CodeBlock | List


class Body(Struct, frozen=True):
    """A whole text."""

    blocks: tuple[Block, ...] = ()


#: Nodes that only dress their children.
Styled = Strong | Emphasis | Underline | Strike | Spoiler

#: Inlines without children.
Leaf = Text | Code | Mention | Tag | Time | Emoji
#: The same to ask for: a union takes five times as long.
LEAVES: Final = (Text, Tag, Mention, Code, Time, Emoji)


def leaves(blocks: Sequence[Block]) -> list[Leaf | CodeBlock]:
    """What stands in the tree without structure and dress, in reading order."""
    found: list[Leaf | CodeBlock] = []
    _gather(blocks, found)
    return found


def _gather(blocks: Sequence[Block], found: list[Leaf | CodeBlock]) -> None:
    for block in blocks:
        if isinstance(block, Paragraph):
            _gather_inlines(block.children, found)
        elif isinstance(block, CodeBlock):
            found.append(block)
        elif isinstance(block, Quote):
            _gather(block.children, found)
        else:
            for item in block.items:
                _gather(item, found)


def _gather_inlines(inlines: Sequence[Inline], found: list[Leaf | CodeBlock]) -> None:
    for node in inlines:
        if isinstance(node, LEAVES):
            found.append(node)
        else:
            _gather_inlines(node.children, found)


def map_paragraphs(body: Body, change: Callable[[tuple[Inline, ...]], tuple[Inline, ...]]) -> Body:
    """The body with the inlines of every paragraph, at any depth, replaced by ``change`` of them.

    What ``change`` returns as it came stays the same object, up to the whole body.
    """
    blocks = _mapped(body.blocks, change)
    return body if blocks is body.blocks else Body(blocks)


def _mapped(
    blocks: tuple[Block, ...], change: Callable[[tuple[Inline, ...]], tuple[Inline, ...]]
) -> tuple[Block, ...]:
    out: list[Block] = []
    for block in blocks:
        if isinstance(block, Paragraph):
            changed = change(block.children)
            out.append(block if changed is block.children else Paragraph(changed))
        elif isinstance(block, Quote):
            inner = _mapped(block.children, change)
            out.append(block if inner is block.children else Quote(inner))
        elif isinstance(block, List):
            items = _same_or(block.items, [_mapped(item, change) for item in block.items])
            out.append(block if items is block.items else structs.replace(block, items=items))
        else:
            out.append(block)
    return _same_or(blocks, out)


def _same_or(before: tuple[_Part, ...], after: list[_Part]) -> tuple[_Part, ...]:
    return before if len(before) == len(after) and all(map(is_, before, after)) else tuple(after)


def map_leaves(
    inlines: tuple[Inline, ...], change: Callable[[Leaf], Sequence[Inline]], *, links: bool = True
) -> tuple[Inline, ...]:
    """The inlines with every leaf replaced by ``change`` of it; those in links stay unless ``links``.

    The same object where every leaf is replaced by itself.
    """
    out: list[Inline] = []
    for node in inlines:
        if isinstance(node, LEAVES):
            out += change(node)
        elif isinstance(node, Link) and not links:
            out.append(node)
        else:
            children = map_leaves(node.children, change, links=links)
            out.append(node if children is node.children else structs.replace(node, children=children))
    return _same_or(inlines, out)


_STYLED: dict[str, type[Styled]] = {
    "strong": Strong,
    "em": Emphasis,
    "u": Underline,
    "s": Strike,
    "spoiler": Spoiler,
}
_STYLED_NAMES = {kind: name for name, kind in _STYLED.items()}
_WORDS: dict[str, type[Code | Tag | Emoji]] = {"code": Code, "tag": Tag, "emoji": Emoji}
_WORDS_NAMES = {kind: name for name, kind in _WORDS.items()}
_BLOCKS = frozenset({"p", "quote", "pre", "list"})
#: Deeper trees are refused by ``from_json``: no person writes them, and readers recurse. So does the hash of a struct,
#: without a limit.
MAX_DEPTH = 64


def to_json(body: Body) -> str:
    """The stored form: compact, with stable keys, so that equal bodies give equal texts.

    A ``Text`` is a JSON string; every other node is an object with its type in ``t``, children in ``c`` and
    its own text in ``x``. Ids are strings, times ISO 8601 in UTC.
    """
    # Written straight down: a tree of dictionaries for the encoder of `json` costs four times as much.
    text = f'{{"v":{VERSION},"b":{_blocks_out(body.blocks)}}}'
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _blocks_out(blocks: Sequence[Block]) -> str:
    return f"[{','.join([_block_out(block) for block in blocks])}]"


def _block_out(block: Block) -> str:
    if isinstance(block, Paragraph):
        return f'{{"t":"p","c":{_inlines_out(block.children)}}}'
    if isinstance(block, Quote):
        return f'{{"t":"quote","c":{_blocks_out(block.children)}}}'
    if isinstance(block, CodeBlock):
        language = f',"lang":{_quoted(block.language)}' if block.language else ""
        return f'{{"t":"pre","x":{_quoted(block.text)}{language}}}'
    items = ",".join([_blocks_out(item) for item in block.items])
    ordered = ',"ordered":true' if block.ordered else ""
    start = f',"start":{block.start}' if block.start != 1 else ""
    return f'{{"t":"list","items":[{items}]{ordered}{start}}}'


def _inlines_out(inlines: Sequence[Inline]) -> str:
    texts = [_quoted(node.text) if isinstance(node, Text) else _inline_out(node) for node in inlines]
    return f"[{','.join(texts)}]"


def _inline_out(node: Styled | Link | Code | Mention | Tag | Time | Emoji) -> str:
    if isinstance(node, (Tag, Code, Emoji)):
        return f'{{"t":"{_WORDS_NAMES[type(node)]}","x":{_quoted(node.text)}}}'
    if isinstance(node, Link):
        return f'{{"t":"link","url":{_quoted(node.url)},"c":{_inlines_out(node.children)}}}'
    if isinstance(node, Mention):
        return f'{{"t":"mention","x":{_quoted(node.text)}{_named_out(node)}}}'
    if isinstance(node, Time):
        return f'{{"t":"time","at":"{node.at.astimezone(UTC).isoformat()}"}}'
    return f'{{"t":"{_STYLED_NAMES[type(node)]}","c":{_inlines_out(node.children)}}}'


def _named_out(mention: Mention) -> str:
    member = f',"member":"{mention.member}"' if mention.member is not None else ""
    if mention.account is None:
        return member
    return f'{member},"account":[{_quoted(mention.account.platform)},{_quoted(mention.account.key)}]'


def from_json(text: str) -> Body:
    """The body that ``to_json`` wrote.

    Nodes that only a newer version knows fall back to their children or text. Raises ``ValueError`` for
    anything else that is not such a text.
    """
    try:
        tree = json.loads(text)
        version = tree["v"]
        if type(version) is not int or version < 1:
            raise ValueError(f"no body version: {version!r}")
        reader = _Reader(lenient=version > VERSION)
        return Body(reader.blocks(tree["b"], 0))
    except ValueError:
        raise
    except (KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise ValueError(f"malformed body: {type(error).__name__}") from error


@dataclass(frozen=True, slots=True)
class _Reader:
    lenient: bool

    def blocks(self, nodes: object, depth: int) -> tuple[Block, ...]:
        return tuple(block for node in _list(nodes, depth) for block in self.block(_object(node), depth + 1))

    def inlines(self, nodes: object, depth: int) -> tuple[Inline, ...]:
        return tuple(inline for node in _list(nodes, depth) for inline in self.inline(node, depth + 1))

    def block(self, node: dict[str, object], depth: int) -> tuple[Block, ...]:
        match node.get("t"):
            case "p":
                return (Paragraph(self.inlines(node["c"], depth)),)
            case "quote":
                return (Quote(self.blocks(node["c"], depth)),)
            case "pre":
                return (CodeBlock(_text(node["x"]), _text(node.get("lang", ""))),)
            case "list":
                items = tuple(self.blocks(item, depth + 1) for item in _list(node["items"], depth))
                return (List(items, node.get("ordered") is True, _int(node.get("start", 1))),)
            case _:
                return self.unknown_block(node, depth)

    def unknown_block(self, node: dict[str, object], depth: int) -> tuple[Block, ...]:
        self.only_newer(node)
        children = _list(node.get("c", []), depth)
        if any(isinstance(child, dict) and child.get("t") in _BLOCKS for child in children):
            return self.blocks([child for child in children if isinstance(child, dict)], depth)
        inlines = self.inlines(children, depth) or _text_node(node)
        return (Paragraph(inlines),) if inlines else ()

    def inline(self, node: object, depth: int) -> tuple[Inline, ...]:
        if isinstance(node, str):
            return (Text(node),)
        fields = _object(node)
        kind = fields.get("t")
        if isinstance(kind, str) and kind in _STYLED:
            return (_STYLED[kind](self.inlines(fields["c"], depth)),)
        if isinstance(kind, str) and kind in _WORDS:
            return (_WORDS[kind](_text(fields["x"])),)
        match kind:
            case "link":
                return (Link(_text(fields["url"]), self.inlines(fields["c"], depth)),)
            case "mention":
                return (_mention(fields),)
            case "time":
                return (Time(_moment(fields["at"])),)
            case _:
                self.only_newer(fields)
                return self.inlines(fields.get("c", []), depth) or _text_node(fields)

    def only_newer(self, node: dict[str, object]) -> None:
        if not self.lenient:
            raise ValueError(f"unknown node {node.get('t')!r}")


def _list(value: object, depth: int) -> list[object]:
    if not isinstance(value, list):
        raise ValueError("malformed body: a list is missing")  # noqa: TRY004 - malformed input, not misuse
    if depth > MAX_DEPTH:
        raise ValueError(f"body nested deeper than {MAX_DEPTH}")
    return value


def _object(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ValueError("malformed body: a node is no object")  # noqa: TRY004 - malformed input, not misuse
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("malformed body: a text is missing")  # noqa: TRY004 - malformed input, not misuse
    return value


def _int(value: object) -> int:
    if type(value) is not int:
        raise ValueError("malformed body: a number is missing")
    return value


def _text_node(node: dict[str, object]) -> tuple[Inline, ...]:
    text = node.get("x", "")
    return (Text(text),) if isinstance(text, str) and text else ()


def _mention(node: dict[str, object]) -> Mention:
    member = MemberId(int(_text(node["member"]))) if "member" in node else None
    account = None
    if "account" in node:
        platform, key = _list(node["account"], 0)
        account = AccountRef(Platform(_text(platform)), _text(key))
    return Mention(_text(node["x"]), member, account)


def _moment(value: object) -> datetime:
    at = datetime.fromisoformat(_text(value))
    if at.tzinfo is None:
        raise ValueError("malformed body: a time without zone")
    return at.astimezone(UTC)
