"""Posts as people look for them: what a reader finds at home, what stands of an author, a feed's newest."""

from __future__ import annotations

from core.records import Boosted, Post, Reader
from core.types import CommunityId, MemberId, PostId, Visibility
from storage.unit import SqlUnit
from tests.storage.conftest import NOW, later
from tests.storage.rows import a_community, a_member, a_post

END = 2**62


def at_home(
    unit: SqlUnit,
    reader: MemberId,
    *authors: MemberId,
    tags: tuple[str, ...] = (),
    followed: tuple[CommunityId, ...] = (),
    inside: tuple[CommunityId, ...] = (),
    count: int = 10,
) -> list[tuple[PostId, MemberId]]:
    follows = Reader(reader, list(authors), list(tags), list(followed), list(inside))
    return [(boosted.post.id, boosted.by) for boosted in unit.timelines.boosted(follows, count=count)]


def test_a_reader_finds_what_they_follow_and_may_see(unit: SqlUnit) -> None:
    reader, author, community, other = (
        a_member(unit),
        a_member(unit),
        a_community(unit, "a"),
        a_community(unit, "b"),
    )
    room = Visibility.ROOM
    own = a_post(unit, reader, visibility=room)
    followed = a_post(unit, author)
    inside = a_post(unit, author, community=community, visibility=Visibility.COMMUNITY)
    a_post(unit, author, community=other, visibility=Visibility.COMMUNITY)
    a_post(unit, author, visibility=room)
    tagged = a_post(unit, tags=("birds", "wrens"))
    of_community = a_post(unit, community=community)
    deleted = a_post(unit, author)
    unit.posts.delete(deleted, NOW)
    a_post(unit)

    def home(before: int, count: int) -> list[int]:
        follows = Reader(reader, [author], ["birds", "wrens"], [community], [community])
        return [post.id for post in unit.timelines.home(follows, before=before, count=count)]

    everything = [of_community, tagged, inside, followed, own]
    assert home(END, 20) == everything
    assert home(END, 2) == everything[:2]
    assert home(everything[1], 20) == everything[2:]


def test_the_newest_post_of_a_feed(unit: SqlUnit) -> None:
    community = a_community(unit)
    author = a_member(unit)
    public = a_post(unit, author)
    inside = a_post(unit, author, community=community, visibility=Visibility.COMMUNITY)
    a_post(unit, author, visibility=Visibility.ROOM)

    def latest(**given: object) -> int | None:
        wanted = {"authors": [], "tags": [], "followed": [], "everything": False, "inside": None} | given
        post = unit.timelines.latest_in(**wanted)  # type: ignore[arg-type]
        return post.id if post else None

    assert latest() is None
    assert latest(authors=[author]) == public
    assert latest(everything=True) == public
    assert latest(authors=[author], inside=community) == inside
    assert latest(followed=[community], inside=community) == inside
    assert latest(followed=[community]) is None


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
    (found,) = unit.timelines.boosted(Reader(reader, [anna], [], [], []), count=1)
    stored = unit.posts.post(post)
    assert isinstance(stored, Post)
    assert found == Boosted(stored, anna, later(7))


def test_what_stands_of_an_author_for_whom(unit: SqlUnit) -> None:
    author, home, other = a_member(unit), a_community(unit), a_community(unit, "fish")
    public, gone = a_post(unit, author), a_post(unit, author)
    inside = a_post(unit, author, community=home, visibility=Visibility.COMMUNITY)
    room = a_post(unit, author, community=home, visibility=Visibility.ROOM)
    a_post(unit)
    unit.posts.delete(gone, NOW)

    def found(own: bool, *homes: CommunityId, count: int = 10) -> list[PostId]:
        posts = unit.timelines.written(author, own=own, inside=list(homes), count=count)
        assert unit.timelines.count_written(author, own=own, inside=list(homes)) >= len(posts)
        return [post.id for post in posts]

    assert found(False) == found(False, other) == [public]
    assert found(False, home) == [inside, public]
    assert found(True) == [room, inside, public]
    assert found(True, count=2) == [room, inside]
    assert unit.timelines.count_written(author, own=True, inside=[]) == 3
