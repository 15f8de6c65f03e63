"""A wish that cannot be fulfilled gets one short kind answer, and nothing else changes."""

from __future__ import annotations

import pytest

from tests.stories.world import Person, Room, World

LONG = "x" * 12_001


async def stage(world: World) -> tuple[Person, Person, Room]:
    """Anna is a member with a post in her community's group; Bruno a member and its admin."""
    group = world.room("telegram", "birds")
    await world.community(group)
    anna, bruno = await world.member("telegram", "anna"), await world.member("telegram", "bruno")
    bruno.leads(group)
    await anna.posts(group, "swifts")
    await bruno.runs(group, "help")
    await world.settled()
    return anna, bruno, group


@pytest.mark.parametrize(
    ("who", "command", "answer"),
    [
        ("anna", "post", "post.empty"),
        ("anna", "post   \u200b ", "post.empty"),
        ("anna", f"post {LONG}", "post.too_long"),
        ("anna", "post visibility:secret Hello", "usage.choice"),
        ("anna", "edit post:zzz Hello", "post.unknown"),
        ("anna", "edit Hello", "post.which"),
        ("anna", "delete", "post.which"),
        ("anna", "delete !!", "post.unknown"),
        ("anna", "follow", "usage.missing"),
        ("anna", "follow @anna", "follow.self"),
        ("anna", "follow @brumo", "member.unknown_near"),
        ("anna", "follow @zzzzzz", "member.unknown"),
        ("anna", "follow nowhere", "feed.unknown"),
        ("anna", "follow #", "tag.form"),
        ("anna", "name", "usage.missing"),
        ("anna", "name maybe", "usage.choice"),
        ("anna", "unlink", "unlink.last"),
        ("anna", "link AAAA", "code.wrong"),
        ("anna", "link yes", "link.nothing"),
        ("anna", "optout perhaps", "usage.choice"),
        ("anna", "pots Hello", "usage.unknown_near"),
        ("anna", "frobnicate", "usage.unknown"),
        ("anna", "help pots", "usage.unknown_near"),
        ("anna", "mirror", "usage.verb"),
        ("anna", "setup", "right.admin"),
        ("anna", "ban @bruno", "right.moderator"),
        ("bruno", "mirror", "usage.verb"),
        ("bruno", "mirror ad #x", "usage.verb"),
        ("bruno", "mirror add", "usage.missing"),
        ("bruno", "mirror remove #x", "mirror.not_there"),
        ("bruno", "mirror block", "usage.missing"),
        ("bruno", "mirror add everything", "feed.everything"),
        ("bruno", "setup AAAAAAAAAAAAA", "setup.already"),
        ("bruno", "relay", "usage.missing"),
        ("bruno", "relay maybe", "usage.choice"),
        ("bruno", "leave perhaps", "usage.choice"),
        ("bruno", "ban", "usage.missing"),
        ("bruno", "ban @bruno", "ban.self"),
        ("bruno", "ban @nobody1", "member.unknown"),
        ("bruno", "remove", "remove.no_target"),
        ("guest", "post Hello", "member.needed"),
        ("guest", "edit Hello", "member.needed"),
        ("guest", "delete", "member.needed"),
        ("guest", "follow #birds", "member.needed"),
        ("guest", "feed", "member.needed"),
        ("guest", "link", "member.needed"),
        ("guest", "unlink", "member.needed"),
        ("guest", "name show", "member.needed"),
        ("guest", "join an", "handle.form"),
        ("guest", "join anna", "handle.taken"),
        ("guest", "join annа", "handle.form"),
        ("guest", "join a_n_n_a", "handle.confusable"),
        ("guest", f"join {'a' * 200}", "handle.form"),
    ],
)
async def test_a_refusal_says_why_and_changes_nothing(
    world: World, who: str, command: str, answer: str
) -> None:
    anna, bruno, group = await stage(world)
    guest = world.person("telegram", "guest")
    await guest.runs(group, "whoami")
    person = {"anna": anna, "bruno": bruno, "guest": guest}[who]
    # The inbox, the answer and the count of wrong codes are what a refusal keeps.
    kept = ("inbox", "notices", "outbox", "code_tries")
    before = await world.snapshot(*kept)
    posts = await world.rows("SELECT * FROM outbox WHERE kind != 'notice'")
    assert await person.asks(group, command) == [answer]
    assert await world.snapshot(*kept) == before
    assert await world.rows("SELECT * FROM outbox WHERE kind != 'notice'") == posts


async def test_an_unknown_command_names_the_nearest(world: World) -> None:
    anna = world.person("matrix", "anna")
    assert await anna.asks(anna.private, "whoam") == ["usage.unknown_near"]
    assert "whoami" in anna.told_text


async def test_nobody_changes_or_deletes_somebody_else_s_post(world: World) -> None:
    _, bruno, group = await stage(world)
    own = group.lines[-1]
    id_ = await world.short_id_of("swifts")
    for command in (f"edit post:{id_} mine now", f"delete {id_}"):
        assert await bruno.asks(group, command) == ["post.not_yours"]
    assert await world.rows("SELECT source FROM revisions") == [("swifts",)]
    assert await world.rows("SELECT deleted_at FROM posts") == [(None,)]
    assert own in group.lines


@pytest.mark.parametrize(
    "data", ["", "undo", "undo:", "undo:zzz", "link:maybe", "name:", "frob", "post:Hello"]
)
async def test_a_forged_button_is_refused(world: World, data: str) -> None:
    _, bruno, group = await stage(world)
    line = group.lines[-1]
    before = await world.snapshot("inbox", "notices", "outbox")
    world.forget()
    await bruno.presses(line, data)
    assert len(bruno.told) == 1
    assert await world.snapshot("inbox", "notices", "outbox") == before


async def test_a_forged_undo_deletes_nobody_else_s_post(world: World) -> None:
    _, bruno, group = await stage(world)
    world.forget()
    await bruno.presses(group.lines[-1], f"undo:{await world.short_id_of('swifts')}")
    assert bruno.told == ["post.not_yours"]
    assert await world.rows("SELECT deleted_at FROM posts") == [(None,)]


async def test_hidden_people_are_told_so(world: World) -> None:
    _, _, group = await stage(world)
    hidden = world.person("telegram", "channelbot", anonymous=True)
    assert await hidden.asks(group, "post Hello") == ["actor.anonymous"]
    robot = world.person("telegram", "robot", bot=True)
    assert await robot.asks(group, "post Hello") == []


async def test_an_edit_that_is_refused_keeps_the_post_and_the_author_s_message(world: World) -> None:
    """The answer goes after a minute; the message that it answers is the post's origin, and stays."""
    anna, _, group = await stage(world)
    channel = world.room("discord", "channel")
    await world.community(channel)
    await world.mirrors(channel, "@anna")
    own = await anna.posts(group, "visibility:public swallows")
    for text in ("/post", f"/post {LONG}", "/frobnicate", LONG):
        await anna.edits(group, own, text)
        await world.passes(2 * world.rules.brief_life)
    assert own.deleted is False
    assert channel.texts == ["swallows"]
    assert await world.rows("SELECT deleted_at FROM posts ORDER BY id") == [(None,), (None,)]


async def test_a_reply_that_is_refused_stays_in_its_room(world: World) -> None:
    anna, bruno, group = await stage(world)
    await bruno.runs(group, "ban @anna")
    origin = next(line for line in group.lines if line.text == "/post swifts")
    reply = await anna.says(group, "What is wrong with swifts?", reply_to=origin)
    assert anna.told[-1] == "post.banned"
    await world.passes(2 * world.rules.brief_life)
    assert reply.deleted is False
