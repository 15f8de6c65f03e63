"""Rooms that the bot lost or may not write in: who keeps them learns of it, once, and nobody is pestered."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from core.errors import Message, message
from core.events import Loss
from core.notices import Said, private_chat, tell_account
from core.places import loss_of
from core.records import Account, LostRoom
from core.scene import Rules
from core.stores.unit import Unit
from core.types import AccountId, CommunityId, MemberId

#: What passes sooner is nobody's worry.
_PATIENCE = timedelta(minutes=10)
#: Nobody gets more than one message in this time that they did not ask for.
_EVERY = timedelta(days=1)
#: Rooms that are named one by one.
_LISTED = 10


def tell(unit: Unit, rules: Rules) -> None:
    """Who set such a room up, or gave it a mirror, is told in the private chat that they opened themselves.

    Who opened none finds it in ``/mirror list``, and is told should they open one while it lasts.
    """
    lasting = [
        room
        for room in unit.sight.lost_rooms()
        if not room.told and room.since <= unit.now - _PATIENCE and loss_of(room.chat) is not Loss.MOVED
    ]
    told = _to_tell(unit, lasting)
    fresh = {room.chat.id for rooms in told.values() for room in rooms}
    fresh = {chat for chat in fresh if unit.communities.tell_of(chat, unit.now)}
    for account, rooms in told.items():
        lines = _lines(rules, [room for room in rooms if room.chat.id in fresh])
        if lines:
            tell_account(unit, unit.people.account_by_id(account), Said((*lines, message("loss.goes_on"))))


def of_community(unit: Unit, rules: Rules, community: CommunityId) -> list[Message]:
    """The lines that say which of its rooms wait, and why."""
    return _lines(rules, (room for room in unit.sight.lost_rooms() if room.chat.community_id == community))


def _to_tell(unit: Unit, rooms: Iterable[LostRoom]) -> dict[AccountId, list[LostRoom]]:
    """What each keeper is told, through the account whose private chat is open: their own, else a linked one."""
    found: dict[AccountId, list[LostRoom]] = {}
    for room in rooms:
        people: dict[AccountId | MemberId, Account] = {}
        for keeper in unit.communities.keepers(room.chat.id):
            account = _reachable(unit, unit.people.account_by_id(keeper))
            if account is not None:
                people.setdefault(account.member_id or account.id, account)
        for account in people.values():
            found.setdefault(account.id, []).append(room)
    return found


def _reachable(unit: Unit, keeper: Account) -> Account | None:
    accounts = unit.people.accounts_of(keeper.member_id) if keeper.member_id else []
    ids = [keeper.id, *(account.id for account in accounts if account.id != keeper.id)]
    if keeper.opted_out or any(unit.communities.told_since(id_, unit.now - _EVERY) for id_ in ids):
        return None
    open_ones = (account for account in (keeper, *accounts) if private_chat(unit, account) is not None)
    return next(open_ones, None)


def _lines(rules: Rules, rooms: Iterable[LostRoom]) -> list[Message]:
    named = list(rooms)
    if not named:
        return []
    lines = [message("loss.title", n=len(named))]
    for room in named[:_LISTED]:
        label = rules.label(room.chat.ref.platform)
        why = message(f"loss.{loss_of(room.chat)}")
        title = room.chat.title or label
        lines.append(message("loss.line", room=title, platform=label, why=why, at=room.since))
    if len(named) > _LISTED:
        lines.append(message("loss.more", n=len(named) - _LISTED))
    return lines
