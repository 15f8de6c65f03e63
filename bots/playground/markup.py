"""Bodies as HTML for the page: everything is escaped, and only tags written here come out."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from urllib.parse import urlsplit

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
from core.canonical import leaf_text

_SCHEMES = frozenset({"http", "https", "mailto"})
_DRESS = {Strong: "strong", Emphasis: "em", Underline: "u", Strike: "s"}


def to_html(body: Body) -> str:
    """Safe HTML. A link with another scheme than http, https or mailto is its words."""
    return "".join(map(_block, body.blocks))


def text_html(text: str) -> str:
    """Plain text as HTML, line breaks kept."""
    return f"<p>{_lines(text)}</p>" if text else ""


def address_html(url: str) -> str:
    """An address as a link that shows it."""
    return f"<p>{_link(url, escape(url))}</p>" if url else ""


def safe_url(url: str) -> str:
    """The address, or nothing where a browser should not follow it."""
    try:
        return url if urlsplit(url).scheme.lower() in _SCHEMES else ""
    except ValueError:
        return ""


def _block(block: Block) -> str:
    match block:
        case Paragraph(children):
            return f"<p>{_inlines(children)}</p>"
        case Quote(children):
            return f"<blockquote>{''.join(map(_block, children))}</blockquote>"
        case CodeBlock(text):
            return f"<pre><code>{escape(text)}</code></pre>"
        case List(items, ordered, start):
            inside = "".join(f"<li>{''.join(map(_block, item))}</li>" for item in items)
            return f'<ol start="{start:d}">{inside}</ol>' if ordered else f"<ul>{inside}</ul>"


def _inlines(inlines: Sequence[Inline]) -> str:
    return "".join(map(_inline, inlines))


def _inline(node: Inline) -> str:
    match node:
        case Text(text):
            return _lines(text)
        case Code(text):
            return f"<code>{escape(text)}</code>"
        case Link(url, children):
            return _link(url, _inlines(children) or escape(url))
        case Mention() | Tag() | Emoji():
            kind = type(node).__name__.lower()
            return f'<span class="{kind}">{escape(leaf_text(node))}</span>'
        case Time(at):
            return f'<time datetime="{escape(at.isoformat())}">{escape(leaf_text(node))}</time>'
        case Spoiler(children):
            return f'<span class="spoiler" tabindex="0">{_inlines(children)}</span>'
        case _:
            tag = _DRESS[type(node)]
            return f"<{tag}>{_inlines(node.children)}</{tag}>"


def _link(url: str, inside: str) -> str:
    if not safe_url(url):
        return inside
    return f'<a href="{escape(url)}" target="_blank" rel="noopener noreferrer nofollow">{inside}</a>'


def _lines(text: str) -> str:
    return escape(text).replace("\n", "<br>")
