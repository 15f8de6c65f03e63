"""Who passed which post on, where it stands because of that, and what followers find at home."""

from __future__ import annotations

from core.records import Boosted, Post
from core.types import CommunityId, Feed, FeedKind, MemberId, PostId, ThingId, Visibility
from storage.unit import SqlUnit
from tests.storage.conftest import NOW, later
from tests.storage.rows import a_chat, a_community, a_member, a_post, wanted


def at_home(
    unit: SqlUnit,
    reader: MemberId,
    *authors: MemberId,
    tags: tuple[str, ...] = (),
    followed: tuple[CommunityId, ...] = (),
    inside: tuple[CommunityId, ...] = (),
    count: int = 10,
) -> list[tuple[PostId, MemberId]]:
    found = unit.boosts.home(
        reader,
        authors=[int(author) for author in authors],
        tags=list(tags),
        followed=[int(home) for home in followed],
        inside=list(inside),
        count=count,
    )
    return [(boosted.post.id, boosted.by) for boosted in found]


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


def test_at_home_each_post_comes_once_by_who_was_first_and_the_latest_boost_leads(unit: SqlUnit) -> None:
    reader, anna, bruno, unfollowed = (a_member(unit) for _ in range(4))
    one, two, same = a_post(unit), a_post(unit), a_post(unit)
    unit.boosts.add(one, bruno, later(5))
    unit.boosts.add(one, anna, later(1))
    unit.boosts.add(one, unfollowed, NOW)
    unit.boosts.add(two, bruno, later(3))
    for member in (anna, bruno):
        unit.boosts.add(same, member, later(4))
    assert at_home(unit, reader, anna, bruno) == [(same, anna), (two, bruno), (one, anna)]
    assert at_home(unit, reader, anna, bruno, count=1) == [(same, anna)]
    assert at_home(unit, reader, bruno) == [(one, bruno), (same, bruno), (two, bruno)]
    assert at_home(unit, reader) == []


def test_at_home_nothing_comes_that_another_follow_brings_or_that_is_one_s_own(unit: SqlUnit) -> None:
    reader, anna, author = (a_member(unit) for _ in range(3))
    home = a_community(unit)
    own, followed = a_post(unit, reader), a_post(unit, author)
    tagged, gone = a_post(unit, tags=("birds",)), a_post(unit)
    inside = a_post(unit, community=home)
    for post in (own, followed, tagged, inside, gone):
        unit.boosts.add(post, anna, NOW)
    unit.posts.delete(gone, NOW)
    rest = [(post, anna) for post in (inside, tagged, followed)]
    assert at_home(unit, reader, anna) == rest
    assert at_home(unit, reader, anna, author) == rest[:2]
    assert at_home(unit, reader, anna, tags=("birds",)) == [rest[0], rest[2]]
    assert at_home(unit, reader, anna, followed=(home,), inside=(home,)) == rest[1:]


def test_at_home_a_boost_brings_nothing_that_does_not_reach_the_reader(unit: SqlUnit) -> None:
    reader, anna, home = a_member(unit), a_member(unit), a_community(unit)
    post = a_post(unit, community=home, visibility=Visibility.COMMUNITY)
    room = a_post(unit, community=home, visibility=Visibility.ROOM)
    unit.boosts.add(post, anna, NOW)
    unit.boosts.add(room, anna, NOW)
    assert at_home(unit, reader, anna) == []
    assert at_home(unit, reader, anna, inside=(home,)) == [(post, anna)]


def test_a_boost_is_read_as_it_was_made(unit: SqlUnit) -> None:
    reader, anna, post = a_member(unit), a_member(unit), a_post(unit)
    unit.boosts.add(post, anna, later(7))
    (found,) = unit.boosts.home(reader, authors=[int(anna)], tags=[], followed=[], inside=[], count=1)
    stored = unit.posts.post(post)
    assert isinstance(stored, Post)
    assert found == Boosted(stored, anna, later(7))


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
    reader = a_member(unit)
    assert at_home(unit, reader, loser) == []
    assert at_home(unit, reader, winner) == [(lost, winner), (both, winner)]
    assert [unit.boosts.drop(post, winner) for post in (both, lost, own)] == [True, True, False]
