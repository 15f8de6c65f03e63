"""Discord's Markdown put into trees and back. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import structs

from core.body import Block, Body, Inline, Link, List, Mention, Paragraph, Quote, Styled
from core.markdown import Dialect, read_markdown, write_markdown

#: The name of Discord's Markdown in ``core.markdown``.
DIALECT: Final[Dialect] = "discord"


def read(text: str, names: Mapping[str, str]) -> Body:
    """The tree of a message. ``names``: how the accounts are called that it mentions, by their id."""
    body = read_markdown(text, dialect=DIALECT)
    return Body(tuple(_block(block, names) for block in body.blocks)) if names else body


def write(body: Body) -> str:
    """Discord's Markdown; mentions are names and ping nobody."""
    return write_markdown(body, dialect=DIALECT)


def _block(block: Block, names: Mapping[str, str]) -> Block:
    match block:
        case Paragraph(children):
            return Paragraph(_inlines(children, names))
        case Quote(children):
            return Quote(tuple(_block(child, names) for child in children))
        case List(items):
            return structs.replace(
                block, items=tuple(tuple(_block(child, names) for child in item) for item in items)
            )
        case _:
            return block


def _inlines(inlines: tuple[Inline, ...], names: Mapping[str, str]) -> tuple[Inline, ...]:
    return tuple(_inline(node, names) for node in inlines)


def _inline(node: Inline, names: Mapping[str, str]) -> Inline:
    if isinstance(node, Mention) and node.account is not None and names.get(node.account.key):
        return structs.replace(node, text=f"@{names[node.account.key]}")
    if isinstance(node, Styled | Link):
        return structs.replace(node, children=_inlines(node.children, names))
    return node
