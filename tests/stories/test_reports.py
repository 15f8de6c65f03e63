"""Telling the moderators of a post: who may, who reads it, what nobody learns, and how it ends."""

from __future__ import annotations

from datetime import timedelta

from tests.stories.world import HOUR, Person, Room, World


async def square(world: World, *others: Room) -> tuple[Room, Person, Person, Person]:
    """A group with Anna, Bruno and a moderator in it, and other rooms of its community."""
    group = world.room("telegram", "square")
    await world.community(group, *others)
    anna, bruno = await world.member("telegram", "anna"), await world.member("telegram", "bruno")
    mod = world.person("telegram", "mod").moderates(group)
    await mod.runs(mod.private, "start")
    return group, anna, bruno, mod


async def test_moderators_read_what_was_reported_and_why_and_not_by_whom(world: World) -> None:
    group, anna, bruno, mod = await square(world)
    own = await anna.posts(group, "Buy my feathers")
    guest = world.person("telegram", "guest", name="Gustav Guest")
    await guest.runs(guest.private, "start")
    assert await bruno.asks(group, "report  An   advertisement", target=own) == ["report.done"]
    await world.passes(HOUR)
    assert await guest.asks(group, "report", target=own) == ["report.done"]
    assert await mod.asks(group, "reports") == ["reports.title", "reports.line", "reports.reason"]
    first = (world.clock.now() - HOUR).strftime("%H:")
    _, line, reason = mod.told_text.splitlines()
    id_ = await world.short_id_of("Buy my feathers")
    assert line.startswith(f"• {id_} @anna: Buy my feathers (2 reports, the first ")
    assert first in line
    assert reason == "– An advertisement"
    assert not {"bruno", "Gustav"} & set(mod.told_text.replace("@", " ").split())


async def test_nobody_else_learns_of_a_report(world: World) -> None:
    group, anna, bruno, mod = await square(world)
    own = await anna.posts(group, "Buy my feathers")
    before, world_before = len(group.lines), anna.private.lines[:]
    world.forget()
    command = await bruno.runs(group, "report Advertising", target=own)
    assert command is not None
    assert command.deleted
    assert len(group.lines) == before
    assert anna.private.lines == world_before
    assert (anna.told, mod.told) == ([], [])
    await anna.runs(anna.private, "status")
    assert "report" not in anna.told_text.lower()
    assert await anna.asks(group, "reports") == ["right.moderator"]


async def test_without_a_private_door_the_room_reads_only_that_an_answer_waits(world: World) -> None:
    group, anna, _, _ = await square(world)
    own = await anna.posts(group, "Buy my feathers")
    guest = world.person("telegram", "guest")
    await guest.runs(group, "report", target=own)
    assert group.heard[-1] == "private.waiting"
    assert await guest.asks(guest.private, "start") == ["report.done"]


async def test_one_report_an_account_and_post_and_so_many_a_day(world: World) -> None:
    group, anna, bruno, _ = await square(world)
    lines = [await anna.posts(group, f"Number {n}") for n in range(12)]
    for line in lines[:10]:
        assert await bruno.asks(group, "report", target=line) == ["report.done"]
    assert await bruno.asks(group, "report", target=lines[10]) == ["report.too_many"]
    await world.restart(after=timedelta(hours=23))
    assert await bruno.asks(group, "report", target=lines[10]) == ["report.too_many"]
    await world.passes(2 * HOUR)
    assert await bruno.asks(group, "report", target=lines[9]) == ["report.already"]
    assert await bruno.asks(group, "report", target=lines[10]) == ["report.done"]
    assert await world.rows("SELECT count(*) FROM reports") == [(11,)]


async def test_what_does_not_reach_somebody_is_not_theirs_to_report_and_neither_is_their_own(
    world: World,
) -> None:
    group, anna, bruno, mod = await square(world)
    own = await anna.posts(group, "visibility:community Among us")
    stranger = await world.member("discord", "stranger")
    id_ = await world.short_id_of("Among us")
    assert await stranger.asks(stranger.private, f"report post:{id_} Bad") == ["post.unknown"]
    assert await anna.asks(group, "report", target=own) == ["report.own"]
    assert await bruno.asks(group, "report") == ["post.which"]
    assert await mod.asks(group, "reports") == ["reports.none"]


async def test_a_report_goes_to_those_who_may_see_the_post(world: World) -> None:
    group, anna, bruno, mod = await square(world)
    other = world.room("matrix", "other")
    await world.community(other)
    await world.mirrors(other, "@anna")
    other_mod = world.person("matrix", "othermod").moderates(other)
    await other_mod.runs(other_mod.private, "start")
    dario = await world.member("matrix", "dario")
    await anna.posts(group, "visibility:public Everywhere")
    await anna.posts(group, "visibility:community At home")
    await dario.runs(other, "report", target=other.copies[0])
    assert await other_mod.asks(other, "reports") == ["reports.title", "reports.line"]
    assert await mod.asks(group, "reports") == ["reports.none"]
    # A member of both communities, from the room of the other one.
    await world.link(dario, bruno)
    await bruno.runs(group, "profile")
    assert await dario.asks(other, f"report post:{await world.short_id_of('At home')}") == ["report.done"]
    assert await mod.asks(group, "reports") == ["reports.title", "reports.line"]
    await other_mod.asks(other, "reports")
    assert "At home" not in other_mod.told_text
    # Once it is for its own community only, others read neither of it nor of where it stands.
    own = await world.short_id_of("Everywhere")
    assert await bruno.asks(group, f"report post:{own}") == ["report.done"]
    await anna.runs(group, f"edit post:{own} visibility:community Everywhere")
    assert await other_mod.asks(other, "reports") == ["reports.none"]
    assert await mod.asks(group, "reports") == ["reports.title", "reports.line", "reports.line"]


async def test_words_for_one_room_are_read_by_its_moderators_there(world: World) -> None:
    first, second = world.room("telegram", "first"), world.room("telegram", "second")
    await world.community(first, second)
    anna, bruno = await world.member("telegram", "anna"), await world.member("telegram", "bruno")
    mod = world.person("telegram", "mod").moderates(first, second)
    await mod.runs(mod.private, "start")
    own = await anna.posts(first, "visibility:room Among us")
    await bruno.runs(first, "report", target=own)
    await mod.asks(second, "reports")
    assert "Among us" not in mod.told_text
    assert "first" in mod.told_text
    await mod.asks(first, "reports")
    assert "Among us" in mod.told_text


async def test_reports_are_closed_by_dismissing_removing_banning_and_deleting(world: World) -> None:
    perch = world.room("telegram", "perch")
    group, anna, bruno, mod = await square(world, perch)
    await world.mirrors(perch, "@anna")
    mod.moderates(perch)
    lines = [await anna.posts(group, f"Number {n}") for n in range(4)]
    for line in lines:
        await bruno.runs(group, "report", target=line)
    assert (await mod.asks(group, "reports")).count("reports.line") == 4
    assert await mod.asks(group, "dismiss", target=lines[0]) == ["reports.dismissed"]
    assert await mod.asks(group, "dismiss", target=lines[0]) == ["reports.not_reported"]
    copy = next(line for line in perch.copies if line.text == "Number 1")
    await mod.runs(perch, "remove", target=copy)
    assert (await mod.asks(group, "reports")).count("reports.line") == 2
    await anna.deletes(lines[2])
    assert (await mod.asks(group, "reports")).count("reports.line") == 1
    await mod.runs(group, "ban @anna")
    assert await mod.asks(group, "reports") == ["reports.none"]
    # Closed is not forgotten, and may be said once more.
    assert await bruno.asks(group, "report Again", target=lines[0]) == ["report.done"]
    assert (await mod.asks(group, "reports")).count("reports.line") == 1


async def test_many_reports_are_told_the_longest_waiting_first(world: World) -> None:
    group, anna, bruno, mod = await square(world)
    for number in range(12):
        own = await anna.posts(group, f"Number {number}")
        await world.passes(timedelta(days=number // 10))
        await bruno.runs(group, "report", target=own)
        await world.passes(timedelta(minutes=1))
    told = await mod.asks(group, "reports")
    assert told == ["reports.title", *["reports.line"] * 10, "reports.more"]
    assert "Number 0" in mod.told_text
    assert "Number 10" not in mod.told_text


async def test_reports_go_with_the_account_and_closed_ones_after_a_month(world: World) -> None:
    group, anna, bruno, mod = await square(world)
    own = await anna.posts(group, "Buy my feathers")
    await bruno.runs(group, "report", target=own)
    chiara = await world.member("telegram", "chiara")
    await chiara.runs(group, "report", target=own)
    await bruno.runs(bruno.private, "optout yes")
    assert await world.rows("SELECT count(*) FROM reports") == [(1,)]
    await mod.runs(group, "dismiss", target=own)
    await world.write(world.engine.housekeep)
    assert await world.rows("SELECT count(*) FROM reports") == [(1,)]
    await world.passes(timedelta(days=31))
    await world.write(world.engine.housekeep)
    assert await world.rows("SELECT count(*) FROM reports") == [(0,)]


async def test_a_post_outside_any_community_has_nobody_to_report_it_to(world: World) -> None:
    alone = world.room("telegram", "alone")
    anna, bruno = await world.member("telegram", "anna"), await world.member("telegram", "bruno")
    own = await anna.posts(alone, "visibility:room Hello")
    assert await bruno.asks(alone, "report", target=own) == ["report.nobody"]
