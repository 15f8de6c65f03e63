"""What an operator reads of rooms, refused copies and doubts: enough to act, and nobody's private words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from core.engine import EXPIRED
from core.errors import Message, Rejected, RejectedWhy, RetryLater
from core.events import Loss, place_now
from stormo.config import Config, parse
from stormo.desk import show_doubts, show_outbox, show_rooms
from stormo.words import Catalogue
from tests.stories.test_delivery import creates, pair
from tests.stories.test_parts import nth, words
from tests.stories.world import MINUTE, World


def say(message: Message) -> str:
    return Catalogue(strict=True)(message, "en")


def beside(world: World, folder: Path) -> Config:
    """The config of a tool that looks at the same database."""
    return replace(parse("", {}, base=folder), database_url=world.url)


async def test_a_refused_copy_says_where_which_why_and_since_when(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    anna, group, (room,) = await pair(world, "discord")
    room.paper.fails(Rejected("50007 no", why=RejectedWhy.UNREACHABLE), when=creates(room), times=2)
    await anna.posts(group, "visibility:public Hello, everybody, here and there!")
    await anna.posts(group, "just between us")
    at = f"{world.clock.now():%Y-%m-%d %H:%M}"
    assert show_outbox(beside(world, tmp_path), say) == 0
    private, public = [line for line in capsys.readouterr().out.splitlines() if line.startswith("refused")]
    for line in (private, public):
        assert f"  {at}" in line
        assert "  discord  room0 (room0)  post " in line
        assert line.endswith("unreachable: 50007 no")
    assert "“Hello, everybody, here and there!”" in public
    assert "between" not in private


async def test_a_doubt_says_where_and_what_was_done(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    anna, group, (room,) = await pair(world, "telegram")
    room.paper.fails(RetryLater("cut off", unknown=True), when=creates(room))
    await anna.posts(group, "just between us")
    await world.passes(MINUTE)
    assert show_doubts(beside(world, tmp_path), say) == 0
    doubt, count = capsys.readouterr().out.splitlines()
    assert "  telegram  room0 (room0)  post " in doubt
    assert doubt.endswith("sent again: cut off")
    assert "between" not in doubt
    assert count == "1 message in doubt."


async def test_a_doubt_about_one_part_of_a_long_post_names_it(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    anna, group, (room,) = await pair(world, "telegram")
    second = nth(1, creates(room))
    room.paper.fails(RetryLater("cut off", unknown=True), when=second)
    await anna.posts(group, words(600))
    await world.passes(MINUTE)
    assert show_doubts(beside(world, tmp_path), say) == 0
    doubt, _ = capsys.readouterr().out.splitlines()
    assert "  part 2  sent again: cut off" in doubt


async def test_lost_rooms_are_listed_with_reason_time_and_what_waits(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    anna, group, (room, other) = await pair(world, "discord", "matrix")
    since = f"{world.clock.now():%Y-%m-%d %H:%M:%S}Z"
    fault = room.paper.fails(
        Rejected("403 no rights", why=RejectedWhy.FORBIDDEN), when=creates(room), times=9
    )
    await world.hand(place_now(other.ref, Loss.BANNED))
    await world.passes(MINUTE)
    await anna.posts(group, "one")
    await anna.posts(group, "two")
    assert show_rooms(beside(world, tmp_path), say) == 0
    banned, muted, count = capsys.readouterr().out.splitlines()
    assert banned.startswith(f"{since}  matrix  room1 (room1)  birds  Stormo is banned from the room  ")
    assert "discord  room0 (room0)  birds  no permission to write there (403 no rights)" in muted
    assert muted.endswith("2 messages wait")
    assert count == "2 rooms are closed to Stormo."
    fault.times = 0
    await world.hand(place_now(other.ref, None), place_now(room.ref, None))
    assert show_rooms(beside(world, tmp_path), say) == 0
    assert capsys.readouterr().out == "0 rooms are closed to Stormo.\n"


async def test_what_expired_unseen_is_a_number(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await world.write(lambda unit: unit.intake.set_meta(EXPIRED, "3"))
    assert show_outbox(beside(world, tmp_path), say) == 0
    assert capsys.readouterr().out.startswith("3 events so far")
