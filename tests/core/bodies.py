"""Any body that a person or a hostile client could make, for hypothesis."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import strategies as st

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
from core.types import AccountRef, MemberId, Platform

_SHARP = "*_~|`\\[]()<>!#+-=.:&;@ \n\tab1é“”字👍\u0301\u200b\u00a0/{}'\""
_MARKUP = [
    "http://a.it/x_y",
    "https://b.org/(z)*",
    "mailto:a@b.it",
    "&amp;",
    "&#42;",
    "<b>",
    "**",
    "__",
    "||",
    "~~",
    "```",
    "```py\n",
    "\n\n",
    "\n# ",
    "\n> ",
    "\n- ",
    "\n1. ",
    "\n---\n",
    "\n===",
    "](http://c.it)",
    "![",
    "<t:1>",
    "<@5>",
    "#tag",
    "@anna",
]
texts = st.lists(
    st.one_of(st.text(_SHARP, max_size=6), st.sampled_from(_MARKUP), st.text(max_size=4)), max_size=4
).map("".join)
urls = st.sampled_from(
    [
        "http://a.it",
        "https://b.it/x_(y)?a=1&copy=2",
        "mailto:a@b.it",
        "matrix:u/a:b.it",
        "javascript:x",
        "http://x y|`<>",
    ]
)
moments = st.integers(0, 4_000_000_000_000).map(lambda ms: datetime.fromtimestamp(ms / 1000, UTC))
leaves: st.SearchStrategy[Inline] = st.one_of(
    texts.map(Text),
    texts.map(Text),
    texts.map(Code),
    texts.map(Tag),
    texts.map(Emoji),
    moments.map(Time),
    st.builds(
        Mention,
        texts,
        st.none() | st.integers(0, 2**62).map(MemberId),
        st.none() | st.builds(AccountRef, st.just(Platform("discord")), st.text(max_size=3)),
    ),
)


def _dressed(inner: st.SearchStrategy[Inline]) -> st.SearchStrategy[Inline]:
    children = st.lists(inner, max_size=3).map(tuple)
    styles = [st.builds(kind, children) for kind in (Strong, Emphasis, Underline, Strike, Spoiler)]
    return st.one_of(*styles, st.builds(Link, urls, children))


inlines = st.lists(st.recursive(leaves, _dressed, max_leaves=6), max_size=5).map(tuple)
paragraphs = st.builds(Paragraph, inlines)


def _framed(inner: st.SearchStrategy[Block]) -> st.SearchStrategy[Block]:
    blocks = st.lists(inner, max_size=3).map(tuple)
    items = st.lists(blocks, max_size=3).map(tuple)
    return st.one_of(
        st.builds(Quote, blocks), st.builds(List, items, st.booleans(), st.integers(-3, 2_000_000_000))
    )


_codes = st.builds(CodeBlock, texts, st.sampled_from(["", "py", "c++", "no name"]))
_blocks: st.SearchStrategy[Block] = st.recursive(paragraphs | _codes, _framed, max_leaves=5)
bodies = st.lists(_blocks, max_size=4).map(lambda blocks: Body(tuple(blocks)))


def long_body(paragraphs_: int) -> Body:
    """Words that every platform counts otherwise: to be escaped, wide, styled, and with a name that must not ping."""
    return Body(
        tuple(
            Paragraph(
                (
                    Text(f"{number}: 2*3_4 "),
                    Strong((Text("swifts over the roofs 🐦 "), Emphasis((Text("and swallows"),)))),
                    Text(f" @someone{number} "),
                    Link(f"https://example.org/{number}", (Text("look there"),)),
                    Text(" a sentence that goes on for a while, as people's do" * 3),
                )
            )
            for number in range(paragraphs_)
        )
    )
