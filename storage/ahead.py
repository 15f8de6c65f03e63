"""Reads what a batch of events will ask for, a statement a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from core.ahead import Ahead
from core.records import Account, Copy
from core.types import AccountRef, ChatRef, CommunityId, FeedKind, MemberId, ThingKind

if TYPE_CHECKING:
    from storage.unit import SqlUnit


def read_ahead(unit: SqlUnit, ahead: Ahead) -> None:
    """Each step needs what the one before it found."""
    unit.intake.seen.read_ahead(ahead.keys)
    _chats_and_accounts(unit, ahead)
    _reactions(unit, ahead)
    _commands(unit, ahead)


def _chats_and_accounts(unit: SqlUnit, ahead: Ahead) -> None:
    chats = {message.chat for message, _ in ahead.reactions} | {chat for chat, _ in ahead.commands}
    unit.communities.by_ref.read_ahead((chat.platform, chat.key) for chat in chats)
    accounts = {ref for _, ref in (*ahead.reactions, *ahead.commands)}
    unit.people.by_ref.read_ahead((ref.platform, ref.key) for ref in accounts)


def _reactions(unit: SqlUnit, ahead: Ahead) -> None:
    """Copies, posts, and what these people did to these posts before, through whichever account."""
    found = [
        (chat.id, message.key, ref)
        for message, ref in ahead.reactions
        if (chat := unit.communities.chat(message.chat)) is not None
    ]
    unit.copies.by_message.read_ahead((chat, key) for chat, key, _ in found)
    acts: list[tuple[Copy, Account]] = []
    for room, key, ref in found:
        copy, account = unit.copies.copy_of(room, key), unit.people.account(ref)
        if copy is not None and copy.kind is ThingKind.POST and account is not None:
            acts.append((copy, account))
    unit.posts.by_id.read_ahead(copy.thing_id for copy, _ in acts)
    unit.people.of_member.read_ahead({a.member_id for _, a in acts if a.member_id is not None})
    _votes(unit, acts)


def _votes(unit: SqlUnit, acts: list[tuple[Copy, Account]]) -> None:
    votes = unit.votes
    votes.speakers.read_ahead((copy.thing_id, account.id) for copy, account in acts)
    votes.votes.read_ahead((c.thing_id, a.member_id) for c, a in acts if a.member_id is not None)
    votes.signals.read_ahead(
        (copy.thing_id, other.id)
        for copy, account in acts
        for other in (unit.people.accounts_of(account.member_id) if account.member_id else (account,))
    )


def _commands(unit: SqlUnit, ahead: Ahead) -> None:
    """Members, what keeps them out, and who mirrors them."""
    members = set(_members(unit, (ref for _, ref in ahead.commands)))
    places = {
        (home, member)
        for chat, ref in ahead.commands
        for home in _homes(unit, chat)
        for member in _members(unit, [ref])
    }
    unit.people.by_member_id.read_ahead(members)
    unit.communities.memberships.read_ahead(places)
    unit.communities.bans.read_ahead(places)
    feeds = {(FeedKind.MEMBER.value, str(member)) for member in members}
    feeds |= {(FeedKind.COMMUNITY.value, str(home)) for home, _ in places}
    unit.communities.mirrors.read_ahead(feeds)


def _members(unit: SqlUnit, refs: Iterable[AccountRef]) -> list[MemberId]:
    accounts = [account for ref in refs if (account := unit.people.account(ref)) is not None]
    return [account.member_id for account in accounts if account.member_id is not None]


def _homes(unit: SqlUnit, ref: ChatRef) -> list[CommunityId]:
    chat = unit.communities.chat(ref)
    return [chat.community_id] if chat is not None and chat.community_id is not None else []
