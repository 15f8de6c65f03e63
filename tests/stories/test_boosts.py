"""Passing somebody's post on to one's followers: where it comes, what it never does, and how it goes again."""

from __future__ import annotations

import pytest

from tests.stories.world import HOUR, MINUTE, Person, Room, World


async def flock(world: World) -> tuple[Room, Person, Person, Room]:
    """Anna and Bruno in a group, and a room of another community that mirrors Bruno."""
    group = world.room("telegram", "group")
    await world.community(group)
    anna, bruno = await world.member("telegram", "anna"), await world.member("telegram", "bruno")
    perch = await mirroring(world, "matrix", "perch", "@bruno")
    return group, anna, bruno, perch


async def mirroring(world: World, platform: str, key: str, *feeds: str) -> Room:
    """A room of a community of its own."""
    room = world.room(platform, key)
    await world.community(room)
    await world.mirrors(room, *feeds)
    return room


BY_BRUNO = "Shared by @bruno\n\n"


async def test_a_boost_brings_a_post_to_the_rooms_that_mirror_who_passes_it_on(world: World) -> None:
    group, anna, bruno, perch = await flock(world)
    own = await anna.posts(group, "visibility:public Swifts!")
    assert perch.texts == []
    assert await bruno.asks(group, "boost", target=own) == ["boost.done"]
    assert perch.texts == [f"{BY_BRUNO}Swifts!"]
    assert perch.copies[0].author == "@anna · Telegram"
    await anna.edits(group, own, "/post visibility:public Swifts and owls!")
    assert perch.texts == [f"{BY_BRUNO}Swifts and owls!"]


async def test_a_boost_is_done_once_and_a_room_that_has_the_post_never_gets_it_twice(world: World) -> None:
    group, anna, bruno, perch = await flock(world)
    await world.mirrors(perch, "#birds")
    own = await anna.posts(group, "visibility:public Swifts #birds")
    assert await bruno.asks(group, "boost", target=own) == ["boost.followers"]
    assert await bruno.asks(group, "boost", target=own) == ["boost.already"]
    await world.passes(HOUR)
    assert perch.texts == ["Swifts #birds"]
    assert await world.rows("SELECT count(*) FROM boosts") == [(1,)]


async def test_it_stands_in_the_feeds_of_followers_where_it_was_passed_on_and_once(world: World) -> None:
    group, anna, bruno, _ = await flock(world)
    chiara, dario = await world.member("discord", "chiara"), await world.member("matrix", "dario")
    await dario.runs(dario.private, "follow @bruno")
    await dario.runs(dario.private, "follow @chiara")
    old = await anna.posts(group, "visibility:public Swifts!")
    await world.passes(HOUR)
    await bruno.posts(group, "visibility:public My own")
    await world.passes(MINUTE)
    for person, room in ((bruno, group), (chiara, chiara.private)):
        await person.runs(room, f"boost {await world.short_id_of('Swifts!')}")
    assert await dario.asks(dario.private, "feed") == ["feed.title", "feed.boosted", "feed.line"]
    assert dario.told_text.splitlines()[1] == "• @bruno shares @anna: Swifts! (0 votes)"
    await bruno.runs(group, "unboost", target=old)
    await dario.asks(dario.private, "feed")
    assert dario.told_text.splitlines()[1] == "• @chiara shares @anna: Swifts! (0 votes)"
    # Who follows the author has it from her.
    await dario.runs(dario.private, "follow @anna")
    assert await dario.asks(dario.private, "feed") == ["feed.title", "feed.line", "feed.line"]
    await bruno.runs(group, "boost", target=old)
    assert await anna.asks(anna.private, "feed") == ["feed.title", "feed.line"]


async def test_a_boost_of_what_does_not_reach_the_asker_or_is_their_own_is_refused(world: World) -> None:
    group, anna, bruno, perch = await flock(world)
    chiara = await world.member("discord", "chiara")
    own = await anna.posts(group, "visibility:public Mine")
    here = await anna.posts(group, "visibility:room Among us")
    await anna.posts(group, "visibility:community At home")
    gone = await anna.posts(group, "visibility:public Gone")
    await anna.deletes(gone)
    guest = world.person("telegram", "guest")
    before = await world.snapshot("outbox", "notices", "inbox", "accounts", "chats", "memberships")
    assert await anna.asks(group, "boost", target=own) == ["boost.own"]
    assert await bruno.asks(group, "boost", target=here) == ["boost.room"]
    assert await bruno.asks(group, "boost") == ["post.which"]
    assert await bruno.asks(group, "boost", target=gone) == ["post.unknown"]
    assert await guest.asks(group, "boost", target=own) == ["member.needed"]
    for words in ("Among us", "At home", "Gone"):
        assert await chiara.asks(chiara.private, f"boost {await world.short_id_of(words)}") == [
            "post.unknown"
        ]
    assert await bruno.asks(group, "unboost", target=own) == ["boost.none"]
    assert perch.texts == []
    assert before == await world.snapshot("outbox", "notices", "inbox", "accounts", "chats", "memberships")


async def test_a_community_s_post_never_leaves_it_by_a_boost(world: World) -> None:
    group, inside = world.room("telegram", "group"), world.room("discord", "inside")
    await world.community(group, inside)
    anna, bruno = await world.member("telegram", "anna"), await world.member("telegram", "bruno")
    perch = await mirroring(world, "matrix", "perch", "@bruno")
    await world.mirrors(inside, "@bruno")
    own = await anna.posts(group, "visibility:community At home")
    assert await bruno.asks(group, "boost", target=own) == ["boost.done"]
    assert inside.texts == [f"{BY_BRUNO}At home"]
    assert perch.texts == []
    stranger = await world.member("matrix", "dario")
    await stranger.runs(stranger.private, "follow @bruno")
    assert await stranger.asks(stranger.private, "feed") == ["feed.empty"]


async def test_taken_back_it_takes_away_what_stands_by_it_alone(world: World) -> None:
    group, anna, bruno, perch = await flock(world)
    tagged = await mirroring(world, "discord", "tagged", "@bruno", "#birds")
    chiara = await world.member("discord", "chiara")
    both = await mirroring(world, "matrix", "both", "@bruno", "@chiara")
    own = await anna.posts(group, "visibility:public Swifts #birds")
    await bruno.runs(group, "boost", target=own)
    await chiara.runs(chiara.private, f"boost {await world.short_id_of('Swifts #birds')}")
    assert perch.texts == both.texts == [f"{BY_BRUNO}Swifts #birds"]
    assert await bruno.asks(group, "unboost", target=own) == ["boost.undone"]
    assert perch.texts == []
    assert both.texts == ["Shared by @chiara\n\nSwifts #birds"]
    assert tagged.texts == ["Swifts #birds"]
    await bruno.runs(group, "boost", target=own)
    assert perch.texts == [f"{BY_BRUNO}Swifts #birds"]


async def test_the_answer_has_a_button_that_takes_it_back(world: World) -> None:
    group, anna, bruno, perch = await flock(world)
    await anna.posts(group, "visibility:public Swifts!")
    id_ = await world.short_id_of("Swifts!")
    assert await bruno.asks(bruno.private, f"boost {id_}") == ["boost.done", "post.place"]
    assert perch.texts == [f"{BY_BRUNO}Swifts!"]
    answer = bruno.private.spoken[-1]
    assert answer.view is not None
    await bruno.presses(answer, answer.view.buttons[0].data)
    assert perch.texts == []


@pytest.mark.parametrize("kept_out", ["mirror block @anna", "mirror block #ads", "ban @anna", "ban @bruno"])
async def test_what_a_room_keeps_out_comes_by_no_boost(world: World, kept_out: str) -> None:
    group, anna, bruno, perch = await flock(world)
    admin = world.person("matrix", "admin-perch").leads(perch)
    own = await anna.posts(group, "visibility:public Swifts #ads")
    await admin.runs(perch, kept_out)
    assert await bruno.asks(group, "boost", target=own) == ["boost.followers"]
    await world.passes(HOUR)
    assert perch.texts == []


@pytest.mark.parametrize("kept_out", ["mirror block @anna", "mirror block @bruno", "ban @bruno"])
async def test_what_a_room_keeps_out_while_a_boost_waits_does_not_come(world: World, kept_out: str) -> None:
    group, anna, bruno, perch = await flock(world)
    await world.person("telegram", "admin-group").leads(group).runs(group, "hold 5")
    own = await anna.posts(group, "visibility:public Swifts!")
    await bruno.runs(group, "boost", target=own)
    await world.person("matrix", "admin-perch").leads(perch).runs(perch, kept_out)
    await world.passes(HOUR)
    assert perch.texts == []


async def test_a_boost_overtakes_no_hold(world: World) -> None:
    group, anna, bruno, perch = await flock(world)
    await world.person("telegram", "admin-group").leads(group).runs(group, "hold 5")
    own = await anna.posts(group, "visibility:public Swifts!")
    dora = await world.member("discord", "dora")
    await world.mirrors(perch, "@dora")
    await dora.runs(dora.private, f"boost {await world.short_id_of('Swifts!')}")
    await world.passes(4 * MINUTE)
    assert perch.texts == []
    await world.passes(2 * MINUTE)
    assert perch.texts == ["Shared by @dora\n\nSwifts!"]
    later = await mirroring(world, "discord", "later", "@bruno")
    await bruno.runs(group, "boost", target=own)
    assert later.texts == []
    await bruno.runs(group, "unboost", target=own)
    await world.passes(HOUR)
    assert later.texts == []


async def test_what_moderators_removed_comes_back_by_no_boost(world: World) -> None:
    group, anna, bruno, perch = await flock(world)
    own = await anna.posts(group, "visibility:public Swifts!")
    await bruno.runs(group, "boost", target=own)
    await world.person("matrix", "mod").deletes(perch.copies[0])
    await bruno.runs(group, "unboost", target=own)
    await bruno.runs(group, "boost", target=own)
    await world.passes(HOUR)
    assert perch.texts == []


async def test_a_deleted_post_goes_from_wherever_it_was_passed_on_to(world: World) -> None:
    group, anna, bruno, perch = await flock(world)
    own = await anna.posts(group, "visibility:public Swifts!")
    await bruno.runs(group, "boost", target=own)
    await anna.deletes(own)
    assert perch.texts == []
    dario = await world.member("matrix", "dario")
    await dario.runs(dario.private, "follow @bruno")
    assert await dario.asks(dario.private, "feed") == ["feed.empty"]


async def test_a_boost_is_no_vote_and_weighs_nothing(world: World) -> None:
    group, anna, bruno, perch = await flock(world)
    own = await anna.posts(group, "visibility:public Swifts!")
    await bruno.runs(group, "boost", target=own)
    assert await world.rows("SELECT score, guests FROM posts") == [(0, 0)]
    for table in ("votes", "signals", "vote_accounts"):
        assert await world.rows(f"SELECT count(*) FROM {table}") == [(0,)]
    dario = await world.member("matrix", "dario")
    await dario.reacts(perch.copies[0], "👍")
    assert await world.rows("SELECT score FROM posts") == [(1,)]
    await bruno.reacts(own, "👍")
    await bruno.runs(group, "unboost", target=own)
    assert await world.rows("SELECT score FROM posts") == [(2,)]


async def test_a_mirror_that_ends_leaves_what_stands_and_drops_what_waits_by_a_boost(world: World) -> None:
    group, anna, bruno, perch = await flock(world)
    first = await anna.posts(group, "visibility:public First")
    await bruno.runs(group, "boost", target=first)
    await world.person("telegram", "admin-group").leads(group).runs(group, "hold 5")
    second = await anna.posts(group, "visibility:public Second")
    await bruno.runs(group, "boost", target=second)
    await world.person("matrix", "admin-perch").leads(perch).runs(perch, "mirror remove @bruno")
    await world.passes(HOUR)
    assert perch.texts == [f"{BY_BRUNO}First"]


async def test_a_tag_that_goes_leaves_the_post_where_a_boost_brings_it(world: World) -> None:
    group, anna, bruno, perch = await flock(world)
    await world.mirrors(perch, "#birds")
    own = await anna.posts(group, "visibility:public Swifts #birds")
    await bruno.runs(group, "boost", target=own)
    await anna.edits(group, own, "/post Swifts")
    assert perch.texts == [f"{BY_BRUNO}Swifts"]
    await bruno.runs(group, "unboost", target=own)
    assert perch.texts == []


async def test_a_full_room_folds_boosts_with_the_name_of_who_passed_them_on(world: World) -> None:
    world.rules = world.with_rules(copies_an_hour=1)
    await world.restart()
    group, anna, bruno, perch = await flock(world)
    for words in ("One", "Two", "Three"):
        own = await anna.posts(group, f"visibility:public {words}")
        await bruno.runs(group, "boost", target=own)
    await world.passes(2 * HOUR)
    fold = next(line.text for line in perch.spoken if "Two" in line.text)
    assert fold.count("Shared by @bruno") == 2


async def test_two_members_who_are_one_boost_once_and_never_themselves(world: World) -> None:
    group, anna, bruno, perch = await flock(world)
    bella = await world.member("discord", "bella")
    own = await anna.posts(group, "visibility:public Swifts!")
    await bruno.runs(group, "boost", target=own)
    await bella.runs(bella.private, f"boost {await world.short_id_of('Swifts!')}")
    await world.link(bella, bruno)
    assert await world.rows("SELECT count(*) FROM boosts") == [(1,)]
    await anna.edits(group, own, "/post Swifts and owls!")
    assert perch.texts == ["Shared by @bella\n\nSwifts and owls!"]
    await world.link(bella, anna)
    assert await world.rows("SELECT count(*) FROM boosts") == [(0,)]
    await anna.edits(group, own, "/post Swifts!")
    assert perch.texts == ["Swifts!"]


async def test_a_boost_that_was_handed_over_twice_is_one(world: World) -> None:
    group, anna, bruno, perch = await flock(world)
    own = await anna.posts(group, "visibility:public Swifts!")
    event = bruno.command(group, "boost", target=own)
    await world.hand(event)
    await world.hand(event)
    await world.restart(crash=True)
    await world.hand(event)
    assert perch.texts == [f"{BY_BRUNO}Swifts!"]
