"""Matrix HTML (``org.matrix.custom.html``) <-> the rich-text tree. Pure.

Reading cleans first (nh3), so that the parser below only ever sees well-formed markup; nesting past
``MAX_DEPTH`` is flattened. Writing escapes everything and uses only tags of the specification's list.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from html.parser import HTMLParser
from urllib.parse import unquote

import nh3

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
    Text,
    Underline,
)
from core.canonical import SCHEMES, normalise
from core.text import inline_plain
from core.types import AccountRef, Platform

PLATFORM = Platform("matrix")
#: Deepest nesting that is kept; what is deeper stays as text of the last level.
MAX_DEPTH = 24

_HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
_BREAKING = {"div", "tr", "details", "summary", "caption", "table", "tbody", "thead"}
_BLOCKS = {"p", "blockquote", "pre", "ul", "ol", "li", "hr"} | _HEADINGS | _BREAKING
_VOID = {"br", "hr", "img"}
_INLINE = {"b", "strong", "i", "em", "u", "del", "s", "strike", "span", "a", "code", "tt", "td", "th"}
_KEPT = _BLOCKS | _VOID | _INLINE
_ATTRIBUTES = {
    "a": {"href"},
    "span": {"data-mx-spoiler"},
    "code": {"class"},
    "ol": {"start"},
    "img": {"alt", "data-mx-emoticon"},
}
_PILL = re.compile(r"(?:https://matrix\.to/#/|matrix:u/)(@?[^/?]+)", re.IGNORECASE)
_WHITE = re.compile(r"[ \t\r\n\f]+")


@dataclass(slots=True)
class _Node:
    tag: str
    attrs: dict[str, str] = field(default_factory=dict)
    children: list[_Node | str] = field(default_factory=list)


class _Tree(HTMLParser):
    """Builds the element tree of well-formed markup, no deeper than ``MAX_DEPTH``."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = _Node("")
        self._stack = [self.root]
        self._too_deep = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if len(self._stack) > MAX_DEPTH and tag not in _VOID:
            self._too_deep += 1
            return
        node = _Node(tag, {name: value or "" for name, value in attrs})
        self._stack[-1].children.append(node)
        if tag not in _VOID:
            self._stack.append(node)

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID:
            return
        if self._too_deep:
            self._too_deep -= 1
        elif len(self._stack) > 1:
            self._stack.pop()

    def handle_data(self, data: str) -> None:
        self._stack[-1].children.append(data)


def read_html(source: str) -> Body:
    """The tree of a ``formatted_body``. Reply fallbacks (``mx-reply``) are left out. Never raises."""
    clean = nh3.clean(
        source,
        tags=_KEPT,
        clean_content_tags={"script", "style", "mx-reply"},
        attributes=_ATTRIBUTES,
        url_schemes=set(SCHEMES),
        link_rel=None,
    )
    tree = _Tree()
    tree.feed(clean)
    tree.close()
    return normalise(Body(tuple(_blocks(tree.root.children))))


def _blocks(children: Sequence[_Node | str]) -> Iterator[Block]:
    run: list[_Node | str] = []
    for child in children:
        if isinstance(child, str) or child.tag not in _BLOCKS:
            run.append(child)
            continue
        yield from _paragraph(run)
        run = []
        yield from _block(child)
    yield from _paragraph(run)


def _paragraph(nodes: Sequence[_Node | str]) -> Iterator[Block]:
    inlines = _Inlines().read(nodes)
    if inlines:
        yield Paragraph(inlines)


def _block(node: _Node) -> Iterator[Block]:
    if node.tag == "blockquote":
        inner = tuple(_blocks(node.children))
        if inner:
            yield Quote(inner)
    elif node.tag == "pre":
        yield _code_block(node)
    elif node.tag in ("ul", "ol"):
        yield from _list(node)
    elif node.tag in _HEADINGS:
        inlines = _Inlines().read(node.children)
        if inlines:
            yield Paragraph((Strong(inlines),))
    else:
        yield from _blocks(node.children)


def _code_block(node: _Node) -> CodeBlock:
    codes = [child for child in node.children if isinstance(child, _Node) and child.tag == "code"]
    names = codes[0].attrs.get("class", "").split() if codes else []
    language = next((name.removeprefix("language-") for name in names if name.startswith("language-")), "")
    return CodeBlock(_text(node).removesuffix("\n"), language[:32])


def _list(node: _Node) -> Iterator[Block]:
    items = tuple(
        item
        for child in node.children
        if isinstance(child, _Node)
        and (item := tuple(_blocks(child.children if child.tag == "li" else [child])))
    )
    if items:
        start = node.attrs.get("start", "1")
        first = int(start) if re.fullmatch(r"[0-9]{1,6}", start, re.ASCII) else 1
        ordered = node.tag == "ol"
        yield List(items, ordered=ordered, start=first if ordered else 1)


def _text(node: _Node) -> str:
    return "".join(
        child if isinstance(child, str) else "\n" if child.tag == "br" else _text(child)
        for child in node.children
    )


class _Inlines:
    """Reads one paragraph; white space is one run across the borders of its elements, as browsers show it."""

    def __init__(self) -> None:
        self._after_space = True

    def read(self, nodes: Sequence[_Node | str]) -> tuple[Inline, ...]:
        return self._all(nodes)

    def _all(self, nodes: Sequence[_Node | str]) -> tuple[Inline, ...]:
        found: list[Inline] = []
        for node in nodes:
            for inline in self._one(node):
                last = found[-1] if found else None
                if isinstance(inline, Text) and isinstance(last, Text):
                    found[-1] = Text(last.text + inline.text)
                else:
                    found.append(inline)
        return tuple(found)

    def _one(self, node: _Node | str) -> Iterable[Inline]:
        if isinstance(node, str):
            return self._words(node)
        if node.tag in ("br", "hr"):
            return self._break()
        if node.tag == "img":
            return self._image(node)
        if node.tag in ("code", "tt", "pre"):
            return self._code(node)
        children = self._all(node.children)
        if node.tag in ("td", "th"):
            return (*children, *self._words(" "))
        if node.tag in _BLOCKS:
            return (*children, *self._break()) if children else ()
        return _wrapped(node, children)

    def _words(self, text: str) -> Iterable[Inline]:
        words = _WHITE.sub(" ", text)
        if self._after_space:
            words = words.removeprefix(" ")
        if not words:
            return ()
        self._after_space = words.endswith(" ")
        return (Text(words),)

    def _break(self) -> Iterable[Inline]:
        self._after_space = True
        return (Text("\n"),)

    def _image(self, node: _Node) -> Iterable[Inline]:
        alt = node.attrs.get("alt", "")
        if not alt:
            return ()
        self._after_space = False
        return (Emoji(alt),) if "data-mx-emoticon" in node.attrs else (Text(alt),)

    def _code(self, node: _Node) -> Iterable[Inline]:
        text = _text(node)
        self._after_space = self._after_space and not text
        return (Code(text),) if text else ()


def _wrapped(node: _Node, children: tuple[Inline, ...]) -> Iterable[Inline]:
    if not children:
        return ()
    if node.tag in ("b", "strong"):
        return (Strong(children),)
    if node.tag in ("i", "em"):
        return (Emphasis(children),)
    if node.tag == "u":
        return (Underline(children),)
    if node.tag in ("del", "s", "strike"):
        return (Strike(children),)
    if node.tag == "span" and "data-mx-spoiler" in node.attrs:
        return (Spoiler(children),)
    if node.tag == "a" and node.attrs.get("href"):
        return (_link(node.attrs["href"], children),)
    return children


def _link(url: str, children: tuple[Inline, ...]) -> Inline:
    user = pill(url)
    if user is None:
        return Link(url, children) if url.split(":", 1)[0].lower() in SCHEMES else _joined(children)
    return Mention("@" + inline_plain(children).lstrip("@"), account=AccountRef(PLATFORM, user))


def _joined(children: tuple[Inline, ...]) -> Inline:
    return Text(inline_plain(children))


def pill(url: str) -> str | None:
    """The user id that a ``matrix.to`` or ``matrix:`` address names, if it names one."""
    found = _PILL.match(url)
    if found is None:
        return None
    user = unquote(found[1])
    if url.lower().startswith("matrix:"):
        user = "@" + user.lstrip("@")
    return user if user.startswith("@") and ":" in user else None


# --- writing ---------------------------------------------------------------------------------------------


def write_html(body: Body) -> str:
    """The tree as markup of the specification's list; every text is escaped, nobody becomes a pill."""
    return "".join(_block_html(block) for block in body.blocks)


def _block_html(block: Block) -> str:
    match block:
        case Paragraph(children):
            return f"<p>{inline_html(children)}</p>"
        case Quote(children):
            return f"<blockquote>{''.join(map(_block_html, children))}</blockquote>"
        case CodeBlock(text, language):
            safe = re.sub(r"[^A-Za-z0-9+#_.-]", "", language)
            kind = f' class="language-{safe}"' if safe else ""
            return f"<pre><code{kind}>{escape(text)}\n</code></pre>"
        case List(items, ordered, start):
            inner = "".join(f"<li>{_item_html(item)}</li>" for item in items)
            number = f' start="{start}"' if start != 1 else ""
            return f"<ol{number}>{inner}</ol>" if ordered else f"<ul>{inner}</ul>"


def _item_html(item: tuple[Block, ...]) -> str:
    if item and isinstance(item[0], Paragraph):
        return inline_html(item[0].children) + "".join(map(_block_html, item[1:]))
    return "".join(map(_block_html, item))


def inline_html(inlines: Iterable[Inline]) -> str:
    """Inlines as markup."""
    return "".join(map(_inline_html, inlines))


def _inline_html(inline: Inline) -> str:
    match inline:
        case Strong(children):
            return f"<strong>{inline_html(children)}</strong>"
        case Emphasis(children):
            return f"<em>{inline_html(children)}</em>"
        case Underline(children):
            return f"<u>{inline_html(children)}</u>"
        case Strike(children):
            return f"<del>{inline_html(children)}</del>"
        case Spoiler(children):
            return f"<span data-mx-spoiler>{inline_html(children)}</span>"
        case Code(text):
            return f"<code>{escape(text)}</code>"
        case Link(url, children):
            return f'<a href="{escape(url)}">{inline_html(children)}</a>'
        case _:
            return escape(inline_plain((inline,)), quote=False).replace("\n", "<br>")
