"""Who somebody is: what a profile tells to whom, and what it keeps to itself."""

from __future__ import annotations

from tests.stories.world import Person, Room, World


async def village(world: World) -> tuple[Room, Person, Person]:
    """A group with Anna and Bruno in it."""
    group = world.room("telegram", "village")
    await world.community(group)
    return group, await world.member("telegram", "anna"), await world.member("telegram", "bruno")


async def test_a_profile_tells_name_numbers_and_newest_posts(world: World) -> None:
    group, anna, bruno = await village(world)
    for words in ("One", "Two", "Three", "Four"):
        await anna.posts(group, f"visibility:public {words}")
    await anna.runs(anna.private, "follow #birds")
    await bruno.runs(bruno.private, "follow @anna")
    assert await bruno.asks(bruno.private, "profile @anna") == [
        "profile.handle",
        "profile.since",
        "profile.numbers",
        "profile.followed",
        *["profile.post"] * 3,
    ]
    numbers, newest = bruno.told_text.splitlines()[2], bruno.told_text.splitlines()[4:]
    assert numbers == "4 posts · 1 follower · follows 1"
    assert [line.split()[1] for line in newest] == ["Four", "Three", "Two"]


async def test_without_a_handle_it_is_one_s_own_with_all_that_one_wrote(world: World) -> None:
    group, anna, _ = await village(world)
    await anna.posts(group, "visibility:room For us")
    await anna.posts(group, "Deleted soon")
    await anna.runs(anna.private, f"delete {await world.short_id_of('Deleted soon')}")
    assert await anna.asks(group, "profile") == [
        "profile.handle",
        "profile.since",
        "profile.numbers",
        "profile.post",
    ]
    assert "1 post · 0 followers" in anna.told_text
    assert "For us" in anna.told_text
    assert "Deleted soon" not in anna.told_text


async def test_a_display_name_is_told_with_its_person_s_yes_only(world: World) -> None:
    _, anna, bruno = await village(world)
    assert (await bruno.asks(bruno.private, "profile @anna"))[0] == "profile.handle"
    await anna.runs(anna.private, "name show")
    assert (await bruno.asks(bruno.private, "profile @anna"))[0] == "profile.name"
    assert bruno.told_text.startswith("Anna (@anna)")
    await anna.runs(anna.private, "name hide")
    assert (await bruno.asks(bruno.private, "profile @anna"))[0] == "profile.handle"


async def test_posts_that_do_not_reach_the_asker_are_neither_shown_nor_counted(world: World) -> None:
    group, anna, bruno = await village(world)
    await anna.posts(group, "visibility:room In the room")
    await anna.posts(group, "visibility:community In the village")
    await anna.posts(group, "visibility:public Everywhere")
    stranger = await world.member("discord", "chiara")
    await stranger.asks(stranger.private, "profile @anna")
    assert "1 post ·" in stranger.told_text
    assert "Everywhere" in stranger.told_text
    await bruno.posts(group, "Hello")
    await bruno.asks(bruno.private, "profile @anna")
    assert "2 posts ·" in bruno.told_text
    assert "In the village" in bruno.told_text
    assert "In the room" not in bruno.told_text


async def test_a_guest_sees_what_stands_in_their_room_and_has_no_profile_of_their_own(world: World) -> None:
    group, anna, _ = await village(world)
    await anna.posts(group, "In the village")
    guest = world.person("telegram", "guest")
    await guest.runs(guest.private, "start")
    assert await guest.asks(group, "profile") == ["member.needed"]
    assert await guest.asks(group, "profile @anna") == [
        "profile.handle",
        "profile.since",
        "profile.numbers",
        "profile.post",
    ]
    assert await guest.asks(guest.private, "profile @anna") == [
        "profile.handle",
        "profile.since",
        "profile.numbers",
    ]


async def test_a_profile_never_prints_in_a_group_and_an_unknown_handle_is_told_the_nearest(
    world: World,
) -> None:
    group, _, bruno = await village(world)
    before = len(group.lines)
    await bruno.runs(group, "profile @anna")
    assert [line.by for line in group.lines[before:]] == ["bruno"]
    assert await bruno.asks(bruno.private, "profile @ana") == ["member.unknown_near"]
    assert await bruno.asks(bruno.private, "profile @zeno") == ["member.unknown"]
