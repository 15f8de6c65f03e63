"""Reads what a batch of events will ask for, a statement a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from core.ahead import Ahead
from core.records import Reacted
from core.types import AccountRef, ChatRef, CommunityId, FeedKind, MemberId

if TYPE_CHECKING:
    from storage.unit import SqlUnit


_BY_MEMBER, _BY_COMMUNITY = FeedKind.MEMBER.value, FeedKind.COMMUNITY.value


def read_ahead(unit: SqlUnit, ahead: Ahead) -> None:
    """Each step needs what the one before it found."""
    unit.intake.seen.read_ahead(ahead.keys)
    _chats_and_accounts(unit, ahead)
    _reactions(unit, ahead)
    _commands(unit, ahead)


def _chats_and_accounts(unit: SqlUnit, ahead: Ahead) -> None:
    chats = {message.chat for message, _ in ahead.reactions} | {chat for chat, _ in ahead.commands}
    unit.communities.by_ref.read_ahead((chat.platform, chat.key) for chat in chats)
    accounts = {ref for _, ref in ahead.commands}
    unit.people.by_ref.read_ahead((ref.platform, ref.key) for ref in accounts)


def _reactions(unit: SqlUnit, ahead: Ahead) -> None:
    """Which posts they are about, and what these people did to these before, through whichever account."""
    found = [
        (chat.id, message.key, ref.platform, ref.key)
        for message, ref in ahead.reactions
        if (chat := unit.communities.chat(message.chat)) is not None
    ]
    unit.votes.about.read_ahead(found)
    known = map(unit.votes.about.one, found)
    _votes(unit, [about for about in known if about is not None])


def _votes(unit: SqlUnit, acts: list[Reacted]) -> None:
    votes, of_member = unit.votes, unit.people.ids_of_member
    votes.speakers.read_ahead([(about.post_id, about.account_id) for about in acts])
    by_members = [about for about in acts if about.member_id is not None]
    of_member.read_ahead([about.member_id for about in by_members])
    votes.votes.read_ahead([(about.post_id, about.member_id) for about in by_members])
    mine = [(about.post_id, other) for about in by_members for other in of_member.all(about.member_id)]
    votes.signals.read_ahead(mine + [(about.post_id, about.account_id) for about in acts])


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
    feeds = {(_BY_MEMBER, str(member)) for member in members}
    feeds |= {(_BY_COMMUNITY, str(home)) for home, _ in places}
    unit.communities.mirrors.read_ahead(feeds)


def _members(unit: SqlUnit, refs: Iterable[AccountRef]) -> list[MemberId]:
    accounts = [account for ref in refs if (account := unit.people.account(ref)) is not None]
    return [account.member_id for account in accounts if account.member_id is not None]


def _homes(unit: SqlUnit, ref: ChatRef) -> list[CommunityId]:
    chat = unit.communities.chat(ref)
    return [chat.community_id] if chat is not None and chat.community_id is not None else []
