"""Reads what a batch of events will ask for, a statement a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.ahead import Ahead
from core.records import Reacted
from core.types import CommunityId, FeedKind, MemberId

if TYPE_CHECKING:
    from storage.unit import SqlUnit


_BY_MEMBER, _BY_COMMUNITY = FeedKind.MEMBER.value, FeedKind.COMMUNITY.value


def read_ahead(unit: SqlUnit, ahead: Ahead) -> None:
    """Each step needs what the one before it found."""
    unit.intake.keys.read_ahead(ahead.keys)
    _chats_and_accounts(unit, ahead)
    _reactions(unit, ahead)
    _commands(unit, ahead)


def _chats_and_accounts(unit: SqlUnit, ahead: Ahead) -> None:
    chats = [message.chat for message, _ in ahead.reactions] + [chat for chat, _ in ahead.commands]
    unit.communities.by_ref.read_ahead([(chat.platform, chat.key) for chat in chats])
    unit.people.by_ref.read_ahead([(ref.platform, ref.key) for _, ref in ahead.commands])


def _reactions(unit: SqlUnit, ahead: Ahead) -> None:
    """Which posts they are about, and what these people did to these before, through whichever account.

    Of who did nothing there yet, there is nothing to read.
    """
    found = [
        (chat.id, message.key, ref.platform, ref.key)
        for message, ref in ahead.reactions
        if (chat := unit.communities.chat(message.chat)) is not None
    ]
    _votes(unit, [about for about in unit.votes.about.read_ahead(found) if not about.fresh])


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
    members: set[MemberId] = set()
    places: set[tuple[CommunityId, MemberId]] = set()
    for chat, ref in ahead.commands:
        account, room = unit.people.account(ref), unit.communities.chat(chat)
        if account is None or account.member_id is None:
            continue
        members.add(account.member_id)
        if room is not None and room.community_id is not None:
            places.add((room.community_id, account.member_id))
    unit.people.by_member_id.read_ahead(members)
    unit.communities.memberships.read_ahead(places)
    unit.communities.bans.read_ahead(places)
    feeds = {(_BY_MEMBER, str(member)) for member in members}
    feeds |= {(_BY_COMMUNITY, str(home)) for home, _ in places}
    unit.communities.mirrors.read_ahead(feeds)
