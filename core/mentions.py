"""Whom a text names, as readers on another platform may see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from core.body import Body, Inline, Leaf, Mention, map_leaves, map_paragraphs
from core.errors import Message, message
from core.names import is_handle
from core.records import Member
from core.stores.unit import Unit
from core.types import AccountRef, Platform


def veiled(
    unit: Unit, put: Callable[[Message], str], tree: Body, platform: Platform, *, by_account: bool
) -> Body:
    """The body for a chat of ``platform``: an account of another one is its member's handle, else nobody's name.

    ``by_account``: a member is named by their account of that platform, where this tells nothing that is private.
    """

    def shown(leaf: Leaf) -> Sequence[Inline]:
        if not isinstance(leaf, Mention) or (leaf.account is not None and leaf.account.platform == platform):
            return (leaf,)
        member, text = _named(unit, leaf) if leaf.account is not None or by_account else None, leaf.text
        if leaf.account is not None:
            text = f"@{member.handle}" if member else put(message("mention.somebody"))
        account = _account(unit, member, platform) if member and by_account else None
        return (Mention(text, account=account),)

    return map_paragraphs(tree, lambda inlines: map_leaves(inlines, shown))


def _named(unit: Unit, mention: Mention) -> Member | None:
    if mention.account is None:
        handle = mention.text.lstrip("@\uff20").lower()
        return unit.people.by_handle(handle) if is_handle(handle) else None
    account = unit.people.account(mention.account)
    if account is None or account.member_id is None or account.opted_out:
        return None
    return unit.people.member(account.member_id)


def _account(unit: Unit, member: Member, platform: Platform) -> AccountRef | None:
    """The account there by which everybody may know a member: their only one, else the one whose name they show.

    That two accounts are one member is private, until who has them says otherwise.
    """
    match unit.people.accounts_of(member.id):
        case [one]:
            return one.ref if one.ref.platform == platform and not one.opted_out else None
        case _:
            return shown_account(unit, member, platform)


def shown_account(unit: Unit, member: Member, platform: Platform) -> AccountRef | None:
    """The account of that platform whose name a member chose to be seen everywhere."""
    if not member.show_name:
        return None
    match [one for one in unit.people.accounts_of(member.id) if one.name == member.name]:
        case [one] if one.ref.platform == platform and not one.opted_out:
            return one.ref
        case _:
            return None
