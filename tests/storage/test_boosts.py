"""Who passed which post on, and where it stands because of that."""

from __future__ import annotations

from core.types import Feed, FeedKind, ThingId
from storage.unit import SqlUnit
from tests.storage.conftest import NOW, later
from tests.storage.rows import a_chat, a_community, a_member, a_post, wanted


def test_one_a_member_and_post(unit: SqlUnit) -> None:
    post, other, member = a_post(unit), a_post(unit), a_member(unit)
    assert unit.boosts.add(post, member, NOW)
    assert not unit.boosts.add(post, member, later(1))
    assert unit.boosts.add(other, member, NOW)
    assert unit.boosts.drop(post, member)
    assert not unit.boosts.drop(post, member)
    assert unit.boosts.add(post, member, NOW)


def test_only_who_is_mirrored_counts_for_rooms_and_the_first_comes_first(unit: SqlUnit) -> None:
    post, room = a_post(unit), a_chat(unit, a_community(unit))
    first, second, unseen = (a_member(unit) for _ in range(3))
    for seconds, member in enumerate((unseen, second, first)):
        unit.boosts.add(post, member, later(-seconds))
    for member in (first, second):
        unit.communities.add_mirror(room, Feed(FeedKind.MEMBER, str(member)), None, NOW)
    unit.communities.add_mirror(room, Feed(FeedKind.TAG, str(unseen)), None, NOW)
    assert unit.boosts.mirrored(post) == [first, second]


def test_where_a_post_stands_because_of_whom(unit: SqlUnit) -> None:
    post, anna, bruno = a_post(unit), a_member(unit), a_member(unit)
    rooms = [a_chat(unit) for _ in range(3)]
    for room in rooms:
        wanted(unit, room, ThingId(post))
    unit.boosts.credit(post, rooms[:2], anna)
    assert unit.boosts.shown_by(post, anna) == rooms[:2]
    unit.boosts.credit(post, rooms[:1], bruno)
    unit.boosts.credit(post, rooms[1:2], None)
    unit.boosts.credit(post, [], anna)
    assert (unit.boosts.shown_by(post, anna), unit.boosts.shown_by(post, bruno)) == ([], rooms[:1])
    row = unit.outbox.delivery(rooms[0], ThingId(post))
    assert row is not None
    assert row.boosted_by == bruno


def test_two_members_who_are_one_keep_one_boost_and_none_of_their_own_posts(unit: SqlUnit) -> None:
    loser, winner = a_member(unit), a_member(unit)
    both, lost, own = a_post(unit), a_post(unit), a_post(unit, winner)
    room = a_chat(unit)
    wanted(unit, room, ThingId(lost))
    for post, member in ((both, loser), (both, winner), (lost, loser), (own, loser)):
        unit.boosts.add(post, member, NOW)
    unit.boosts.credit(lost, [room], loser)
    unit.boosts.move(loser, winner)
    assert unit.boosts.shown_by(lost, winner) == [room]
    assert [unit.boosts.drop(post, winner) for post in (both, lost, own)] == [True, True, False]
