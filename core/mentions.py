"""Whom a text names, as readers on another platform may see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from core.body import Body, Inline, Leaf, Mention, map_leaves, map_paragraphs
from core.errors import Message, message
from core.stores.unit import Unit
from core.types import AccountRef, Platform


def veiled(unit: Unit, put: Callable[[Message], str], tree: Body, platform: Platform) -> Body:
    """The body for a chat of ``platform``: an account of another one is its member's handle, else nobody's name."""

    def shown(leaf: Leaf) -> Sequence[Inline]:
        if not isinstance(leaf, Mention) or leaf.account is None or leaf.account.platform == platform:
            return (leaf,)
        handle = _handle(unit, leaf.account)
        return (Mention(f"@{handle}" if handle else put(message("mention.somebody"))),)

    return map_paragraphs(tree, lambda inlines: map_leaves(inlines, shown))


def _handle(unit: Unit, ref: AccountRef) -> str:
    account = unit.people.account(ref)
    if account is None or account.member_id is None or account.opted_out:
        return ""
    return unit.people.member(account.member_id).handle
