"""Communities, their chats, what those mirror, and who is banned."""

from __future__ import annotations

import pytest

from core.records import ChatState, Doubt, Mirror
from core.types import AccountId, ChatId, ChatRef, CommunityId, Feed, FeedKind, Platform
from storage.unit import SqlUnit
from tests.storage.conftest import NOW, later
from tests.storage.rows import PLATFORM, a_chat, a_community, a_member

TAG = Feed(FeedKind.TAG, "birds")
AUTHOR = Feed(FeedKind.MEMBER, "5")


def test_a_community_is_found_and_paused(unit: SqlUnit) -> None:
    community = a_community(unit, "wrens")
    a_community(unit, "birds")
    found = unit.communities.by_slug("wrens")
    assert found == unit.communities.community(community)
    assert (found.title, found.paused, found.hold_seconds, found.doubt) == ("Wrens", False, 60, Doubt.DOUBLE)
    assert [c.slug for c in unit.communities.all()] == ["birds", "wrens"]
    unit.communities.set_paused(community, True)
    assert unit.communities.community(community).paused
    assert unit.communities.by_slug("none") is None
    with pytest.raises(LookupError):
        unit.communities.community(CommunityId(404))


def test_a_chat_is_described_joined_and_lost(unit: SqlUnit) -> None:
    community, chat = a_community(unit), a_chat(unit, key="-100")
    found = unit.communities.chat(ChatRef(PLATFORM, "-100"))
    assert found == unit.communities.chat_by_id(chat)
    assert (found.community_id, found.relay, found.state, found.language) == (
        None,
        False,
        ChatState.ACTIVE,
        "it",
    )
    unit.communities.describe_chat(chat, "Nest", True, True)
    unit.communities.set_community(chat, community)
    unit.communities.set_relay(chat, True)
    unit.communities.set_state(chat, ChatState.GONE, "removed", NOW)
    found = unit.communities.chat_by_id(chat)
    assert (found.title, found.private, found.closed, found.relay) == ("Nest", True, True, True)
    assert (found.community_id, found.state, found.reason) == (community, ChatState.GONE, "removed")
    unit.communities.move_chat(chat, ChatRef(PLATFORM, "-200"))
    assert unit.communities.chat(ChatRef(PLATFORM, "-100")) is None
    assert unit.communities.chat(ChatRef(PLATFORM, "-200")) is not None
    with pytest.raises(LookupError):
        unit.communities.chat_by_id(ChatId(404))


def test_a_communitys_chats(unit: SqlUnit) -> None:
    community = a_community(unit)
    matrix = Platform("matrix")
    chats = [a_chat(unit, community), a_chat(unit, community, platform=matrix, key="!a"), a_chat(unit)]
    assert [c.id for c in unit.communities.chats_of(community)] == chats[:2]
    assert unit.communities.count_chats(community) == 2
    assert set(unit.communities.chats_by_id([*chats, ChatId(404)])) == set(chats)
    assert unit.communities.watched(matrix) == [ChatRef(matrix, "!a")]
    unit.communities.set_state(chats[1], ChatState.GONE, "", NOW)
    assert unit.communities.watched(matrix) == [ChatRef(matrix, "!a")], "a lost room may be found again"
    unit.communities.set_state(chats[0], ChatState.MUTED, "", NOW)
    assert {chat.id for chat in unit.communities.lost()} == set(chats[:2])


def test_talk_is_relayed_to_the_other_active_rooms_that_want_it(unit: SqlUnit) -> None:
    community = a_community(unit)
    here, there, gone, silent = (a_chat(unit, community) for _ in range(4))
    for chat in (here, there, gone):
        unit.communities.set_relay(chat, True)
    unit.communities.set_state(gone, ChatState.GONE, "", NOW)
    assert [c.id for c in unit.communities.relayed_with(community, here)] == [there]
    assert silent not in {c.id for c in unit.communities.relayed_with(community, there)}


def test_mirrors_and_blocks_are_added_once(unit: SqlUnit) -> None:
    chat = a_chat(unit)
    assert unit.communities.add_mirror(chat, TAG, AccountId(1), NOW)
    assert not unit.communities.add_mirror(chat, TAG, None, later(1))
    assert unit.communities.add_mirror(chat, AUTHOR, None, later(1))
    assert unit.communities.mirrors_of(chat) == [
        Mirror(chat_id=chat, feed=TAG),
        Mirror(chat_id=chat, feed=AUTHOR),
    ]
    assert unit.communities.drop_mirror(chat, TAG)
    assert not unit.communities.drop_mirror(chat, TAG)
    unit.communities.drop_mirrors(chat)
    assert unit.communities.mirrors_of(chat) == []
    assert unit.communities.block(chat, AUTHOR)
    assert not unit.communities.block(chat, AUTHOR)
    assert unit.communities.blocks_of(chat) == [AUTHOR]
    assert unit.communities.unblock(chat, AUTHOR)
    assert not unit.communities.unblock(chat, AUTHOR)


def test_a_post_goes_where_its_feeds_are_mirrored_once(unit: SqlUnit) -> None:
    """Less its own room, rooms that were lost, that block it, or whose community bans its author.

    A room that waits for a right is not lost.
    """
    author = a_member(unit)
    community = a_community(unit)
    both, muted, blocked, banned, gone, other, origin = (
        a_chat(unit),
        a_chat(unit),
        a_chat(unit),
        a_chat(unit, community),
        a_chat(unit),
        a_chat(unit),
        a_chat(unit),
    )
    for chat in (both, muted, blocked, banned, gone, origin):
        unit.communities.add_mirror(chat, TAG, None, NOW)
    unit.communities.add_mirror(both, AUTHOR, None, NOW)
    unit.communities.add_mirror(other, Feed(FeedKind.TAG, "fish"), None, NOW)
    unit.communities.block(blocked, AUTHOR)
    unit.communities.ban(community, author, AccountId(1), NOW)
    unit.communities.set_state(gone, ChatState.GONE, "", NOW)
    unit.communities.set_state(muted, ChatState.MUTED, "muted", NOW)
    found = unit.communities.mirroring([TAG, AUTHOR], [AUTHOR], author, origin)
    assert [c.id for c in found] == [both, muted]
    assert unit.communities.mirroring([], [], author, origin) == []
    assert blocked in {c.id for c in unit.communities.mirroring([TAG], [], author, origin)}


def test_a_feed_without_a_key_is_mirrored_too(unit: SqlUnit) -> None:
    chat, everything = a_chat(unit), Feed(FeedKind.EVERYTHING, "")
    unit.communities.add_mirror(chat, everything, None, NOW)
    assert [c.id for c in unit.communities.mirroring([everything], [], a_member(unit), ChatId(0))] == [chat]


def test_who_was_seen_where(unit: SqlUnit) -> None:
    one, two = a_community(unit, "one"), a_community(unit, "two")
    loser, winner = a_member(unit), a_member(unit)
    for member, community in ((loser, one), (loser, two), (winner, two), (winner, two)):
        unit.communities.add_membership(community, member, NOW)
    unit.communities.merge_memberships(loser, winner)
    assert sorted(unit.communities.of_member(winner)) == sorted([one, two])


def test_a_ban_holds_for_the_person(unit: SqlUnit) -> None:
    community, other = a_community(unit, "one"), a_community(unit, "two")
    loser, winner = a_member(unit), a_member(unit)
    assert unit.communities.ban(community, loser, AccountId(1), NOW)
    assert not unit.communities.ban(community, loser, AccountId(2), NOW)
    unit.communities.move_bans(loser, winner)
    assert unit.communities.banned(community, winner)
    assert unit.communities.banned(community, loser)
    assert not unit.communities.banned(other, winner)
    assert unit.communities.unban(community, winner)
    assert not unit.communities.unban(community, winner)
