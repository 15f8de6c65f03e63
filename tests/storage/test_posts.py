"""Posts, their revisions, tags and places; relayed talk."""

from __future__ import annotations

import pytest
from msgspec import structs

from core.records import Post, Reader, Revision
from core.types import AccountId, MemberId, PostId, ThingId, Visibility
from storage.unit import SqlUnit
from tests.storage.conftest import NOW, later
from tests.storage.rows import a_chat, a_community, a_member, a_post

END = 2**62


def read(unit: SqlUnit, post: PostId) -> Post:
    found = unit.posts.post(post)
    assert found is not None
    return found


def test_a_post_is_stored_as_it_was_said(unit: SqlUnit) -> None:
    author, community = a_member(unit), a_community(unit)
    first = a_post(unit, author)
    post = a_post(unit, author, community=community, visibility=Visibility.COMMUNITY, reply_to=first)
    found = read(unit, post)
    assert (found.author_id, found.community_id, found.visibility) == (
        author,
        community,
        Visibility.COMMUNITY,
    )
    assert (found.reply_to, found.revision, found.version, found.score, found.guests) == (first, 1, 1, 0, 0)
    assert (found.created_at, found.deleted_at) == (NOW, None)
    assert unit.posts.posts([post, first, PostId(404)]) == [read(unit, first), found]
    assert unit.posts.posts([]) == []
    assert unit.posts.post(PostId(404)) is None


def test_every_change_that_a_copy_shows_is_a_version(unit: SqlUnit) -> None:
    post = a_post(unit)
    unit.posts.revise(post)
    assert (read(unit, post).revision, read(unit, post).version) == (2, 2)
    unit.posts.bump(post)
    assert (read(unit, post).revision, read(unit, post).version) == (2, 3)
    unit.posts.set_visibility(post, Visibility.ROOM)
    assert (read(unit, post).visibility, read(unit, post).version) == (Visibility.ROOM, 4)
    unit.posts.delete(post, later(1))
    unit.posts.delete(post, later(9))
    assert (read(unit, post).version, read(unit, post).deleted_at) == (5, later(1))


def test_all_posts_of_an_author_get_a_newer_version(unit: SqlUnit) -> None:
    author = a_member(unit)
    one, two, deleted = (a_post(unit, author) for _ in range(3))
    other = a_post(unit)
    unit.posts.delete(deleted, NOW)
    unit.posts.bump(two)
    assert sorted(unit.posts.bump_all_of(author)) == [one, two]
    assert (read(unit, one).version, read(unit, two).version) == (2, 3)
    assert read(unit, other).version == 1


def test_the_newest_post_of_an_author(unit: SqlUnit) -> None:
    author = a_member(unit)
    assert unit.posts.latest_of(author) is None
    first, second = a_post(unit, author), a_post(unit, author)
    a_post(unit)
    assert unit.posts.latest_of(author) == read(unit, second)
    unit.posts.delete(second, NOW)
    assert unit.posts.latest_of(author) == read(unit, first)


def test_posts_move_with_their_author(unit: SqlUnit) -> None:
    loser, winner = a_member(unit), a_member(unit)
    post = a_post(unit, loser)
    unit.posts.move(loser, winner)
    assert read(unit, post).author_id == winner


def test_every_revision_is_kept(unit: SqlUnit) -> None:
    post = a_post(unit)
    with pytest.raises(LookupError):
        unit.posts.revision(post)
    first = Revision(post_id=post, number=1, body="{}", source="😀 \\ ' % :x", dialect="markdown", at=NOW)
    second = structs.replace(first, number=2, source="new", at=later(1))
    unit.posts.add_revision(first)
    unit.posts.add_revision(second)
    assert unit.posts.revision(post) == second
    assert unit.posts.revisions(post) == [first, second]


def test_tags_are_set_and_places_only_added(unit: SqlUnit) -> None:
    post, chats = a_post(unit), sorted([a_chat(unit), a_chat(unit)])
    unit.posts.add_tags(post, ["a", "b", "a"])
    unit.posts.drop_tags(post)
    unit.posts.add_tags(post, ["b"])
    thing = ThingId(post)
    unit.posts.add_places(thing, chats)
    unit.posts.add_places(thing, chats[:1])
    assert unit.posts.places(thing) == chats
    unit.posts.drop_places_in(chats[0])
    assert unit.posts.places(thing) == chats[1:]
    found = [unit.timelines.home(Reader(MemberId(1), [], [tag], [], []), before=END, count=9) for tag in "ab"]
    assert [[p.id for p in posts] for posts in found] == [[], [post]]


def test_relayed_talk_is_stored_revised_and_deleted(unit: SqlUnit) -> None:
    chat, relay = a_chat(unit), ThingId(unit.new_id())
    unit.posts.add_relay(relay, chat, AccountId(5), "Wren", "{}", ThingId(3), NOW)
    found = unit.posts.relay(relay)
    assert found is not None
    assert (found.chat_id, found.author, found.version, found.reply_to) == (chat, "Wren", 1, 3)
    unit.posts.revise_relay(relay, "[]")
    unit.posts.delete_relay(relay, later(1))
    unit.posts.delete_relay(relay, later(9))
    found = unit.posts.relay(relay)
    assert found is not None
    assert (found.body, found.version, found.deleted_at) == ("[]", 3, later(1))
    assert unit.posts.relay(ThingId(404)) is None


def test_answers_get_a_newer_version_with_what_they_answer(unit: SqlUnit) -> None:
    parent, author = a_post(unit), a_member(unit)
    answer = unit.posts.add(
        PostId(unit.new_id()),
        author=author,
        account=AccountId(1),
        community=None,
        chat=a_chat(unit),
        visibility=Visibility.PUBLIC,
        reply_to=parent,
        now=NOW,
    )
    assert unit.posts.bump_quoting(parent) == [answer.id]
    assert read(unit, answer.id).version == 2
    assert unit.posts.bump_quoting(answer.id) == []


def test_a_quote_names_its_post_and_follows_its_changes(unit: SqlUnit) -> None:
    quoted, author = a_post(unit), a_member(unit)
    quote, gone = (
        unit.posts.add(
            PostId(unit.new_id()),
            author=author,
            account=AccountId(1),
            community=None,
            chat=a_chat(unit),
            visibility=Visibility.PUBLIC,
            reply_to=None,
            now=NOW,
            quote_of=quoted,
        )
        for _ in range(2)
    )
    assert quote.quote_of == quoted
    assert unit.posts.posts([quote.id]) == [quote]
    unit.posts.delete(gone.id, NOW)
    assert unit.posts.bump_quoting(quoted) == [quote.id]
    assert unit.posts.bump_quoting(quote.id) == []
    assert read(unit, quote.id) == structs.replace(quote, version=2)
    assert read(unit, quoted).quote_of is None
