"""What is suggested to somebody who is typing a command: what helps them, and nothing that they may not know."""

from __future__ import annotations

from core.social.suggest import suggest
from core.suggestions import Asked
from tests.stories.world import Person, Room, World


async def suggested(
    person: Person, room: Room, command: str, arg: str, typed: str = "", *, labels: bool = False
) -> list[str]:
    world = person.world
    asked = Asked(actor=person.actor(room), chat=room.ref, command=command, arg=arg, typed=typed)
    found = await world.read(lambda unit: suggest(unit, world.rules, asked))
    return [one.label if labels else one.value for one in found]


async def test_people_tags_and_communities_by_their_first_letters(world: World) -> None:
    group, other = world.room("discord", "birds", title="Birds"), world.room("telegram", "other")
    await world.community(group, other)
    anna, andrea = await world.member("telegram", "anna"), await world.member("telegram", "andrea")
    await anna.posts(other, "Look! #swifts and #ants")
    await andrea.posts(other, "Yes")
    await world.member("telegram", "antonio")
    bruno = await world.member("discord", "bruno")
    await bruno.runs(group, "post Hello")
    assert await suggested(bruno, group, "follow", "feed", "@an") == ["@andrea", "@anna"]
    assert await suggested(bruno, group, "follow", "feed", "b") == ["birds", "@bruno"]
    assert await suggested(bruno, group, "ban", "member", "an") == [], "no moderator"
    assert await suggested(bruno.moderates(group), group, "ban", "member", "an") == ["@andrea", "@anna"]


async def test_tags_of_closed_doors_are_not_told(world: World) -> None:
    group, other = world.room("discord", "birds", title="Birds"), world.room("telegram", "ants", title="Ants")
    await world.community(group)
    await world.community(other)
    anna, bruno = await world.member("telegram", "anna"), await world.member("discord", "bruno")
    await anna.posts(other, "Inside #secret")
    await anna.posts(other, "visibility:public Outside #seen")
    assert await suggested(bruno, group, "follow", "feed", "#s") == ["#seen"]
    assert await suggested(anna, other, "follow", "feed", "#s") == ["#secret", "#seen"]


async def test_strangers_learn_of_nobody_and_of_no_other_community(world: World) -> None:
    group, other = world.room("discord", "birds", title="Birds"), world.room("telegram", "layoffs")
    await world.community(group)
    await world.community(other)
    hidden, anna = await world.member("telegram", "hidden"), await world.member("telegram", "anna")
    await hidden.posts(other, "Among us")
    await anna.posts(other, "visibility:public For everybody")
    bruno = await world.member("discord", "bruno")
    assert await suggested(bruno, group, "follow", "feed") == ["birds", "@anna"]
    assert await suggested(hidden, other, "follow", "feed") == ["layoffs", "@anna", "@hidden"]
    assert await suggested(world.person("discord", "guest"), group, "follow", "feed") == [], "no member"


async def test_what_is_ended_is_among_what_there_is(world: World) -> None:
    group = world.room("discord", "birds", title="Birds")
    olga = await world.community(group)
    await world.member("telegram", "anna")
    bruno = await world.member("discord", "bruno")
    await bruno.runs(group, "follow @anna")
    assert await suggested(bruno, group, "unfollow", "feed") == ["@anna"]
    await world.mirrors(group, "#swifts")
    assert await suggested(olga, group, "mirror remove", "feed", "sw") == ["#swifts"]
    assert await suggested(bruno, group, "mirror remove", "feed", "sw") == [], "no admin"


async def test_posts_by_their_words_ones_own_or_this_rooms(world: World) -> None:
    group, room = world.room("telegram", "birds", title="Birds"), world.room("discord", "room", title="Room")
    olga = await world.community(group, room)
    await world.mirrors(room, "birds")
    anna, bruno = await world.member("telegram", "anna"), await world.member("discord", "bruno")
    await anna.posts(group, "Two swifts")
    await anna.posts(group, "visibility:room Only here")
    await bruno.runs(room, "post Three ants")
    swifts, ants = await world.short_id_of("Two swifts"), await world.short_id_of("Three ants")
    assert await suggested(anna, group, "edit", "post", "swift") == [swifts]
    assert await suggested(bruno, room, "edit", "post") == [ants]
    moderator = olga.moderates(room)
    assert await suggested(moderator, room, "remove", "post") == [ants, swifts]
    assert await suggested(moderator, room, "remove", "post", labels=True) == [
        "@bruno: Three ants",
        "@anna: Two swifts",
    ]


async def test_a_command_is_helped_to_its_name(world: World) -> None:
    bruno = world.person("discord", "bruno")
    here = world.room("discord", "birds")
    assert await suggested(bruno, here, "help", "command", "/un") == [
        "unfollow",
        "unboost",
        "unlink",
        "unban",
    ]
    assert await suggested(bruno, here, "post", "text", "He") == []
    assert await suggested(bruno, here, "nonsense", "text", "He") == []


async def test_a_post_that_is_gone_is_not_suggested(world: World) -> None:
    group = world.room("telegram", "birds", title="Birds")
    await world.community(group)
    anna = await world.member("telegram", "anna")
    line = await anna.posts(group, "Two swifts")
    assert await suggested(anna, group, "edit", "post") == [await world.short_id_of("Two swifts")]
    await anna.deletes(line)
    assert await suggested(anna, group, "edit", "post") == []
