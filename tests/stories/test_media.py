"""Files travel with the words: fetched once, kept by us, shown natively wherever they fit, never dropped unsaid."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from PIL import Image

from core import crashpoints, media
from core.errors import FileRefused, FileWhy, Rejected, RejectedWhy, RetryLater
from core.intents import Create, Form, Intent
from core.media import PAUSES
from core.mediastore import MediaStore
from core.types import Platform
from tests.doubles.paper import Line
from tests.stories.world import MINUTE, Person, Room, World

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
OTHER = b"\x89PNG\r\n\x1a\n" + bytes(range(255, -1, -1)) * 8
SECOND = timedelta(seconds=1)


async def flock(world: World) -> tuple[Person, Room, Room, Room]:
    """Anna writes in a Telegram group; a Discord channel and a Matrix room of the same community mirror it."""
    group = world.room("telegram", "birds")
    rooms = world.room("discord", "channel"), world.room("matrix", "room")
    await world.community(group, *rooms)
    for room in rooms:
        await world.mirrors(room, "birds")
    return await world.member("telegram", "anna"), group, *rooms


def shown(line: Line) -> list[bytes]:
    """The bytes of the files that a copy shows."""
    assert line.view is not None
    return [file.path.read_bytes() for file in line.view.files]


async def kept(world: World) -> list[tuple[str, str]]:
    return await world.rows("SELECT state, reason FROM enclosures ORDER BY thing_id, position")


# -- it travels --------------------------------------------------------------------------------------------------


async def test_a_post_with_a_picture_shows_it_in_every_room_and_fetches_it_once(world: World) -> None:
    anna, group, channel, room = await flock(world)
    picture = anna.attaches("swifts.png", PNG, alt="Two swifts", spoiler=True)
    await anna.posts(group, "They are back", picture)
    for place in (channel, room):
        (copy,) = place.copies
        assert copy.text == "They are back"
        assert shown(copy) == [PNG]
        assert copy.view is not None
        (file,) = copy.view.files
        assert (file.name, file.mime, file.alt, file.spoiler) == (
            "swifts.png",
            "image/png",
            "Two swifts",
            True,
        )
        assert file.digest == hashlib.sha256(PNG).hexdigest()
        assert copy.edits == 0
    assert anna.paper.fetched == [picture.source]


async def test_a_picture_needs_no_words(world: World) -> None:
    anna, group, channel, _ = await flock(world)
    await anna.posts(group, "", anna.attaches("swifts.png", PNG))
    (copy,) = channel.copies
    assert copy.text == ""
    assert shown(copy) == [PNG]


async def test_a_post_by_slash_command_waits_for_its_file_in_its_own_room_too(world: World) -> None:
    _, _, channel, _ = await flock(world)
    bruno = await world.member("discord", "bruno")
    await bruno.runs(channel, "post Look", files=[bruno.attaches("swifts.png", PNG)])
    (copy,) = channel.copies
    assert shown(copy) == [PNG]
    assert copy.edits == 0


async def test_an_answer_to_a_copy_takes_its_picture_along(world: World) -> None:
    anna, group, channel, room = await flock(world)
    chiara = await world.member("matrix", "chiara")
    await anna.posts(group, "Who saw swifts?")
    await chiara.says(room, "", chiara.attaches("here.png", PNG), reply_to=room.copies[0])
    assert shown(channel.copies[-1]) == [PNG]
    assert shown(group.copies[-1]) == [PNG]


async def test_relayed_talk_takes_its_pictures_along(world: World) -> None:
    one, two = world.room("telegram", "one"), world.room("discord", "two")
    founder = await world.community(one, two)
    await founder.runs(one, "relay on")
    await world.person("discord", "admin-two").leads(two).runs(two, "relay on")
    bruno = world.person("telegram", "bruno")
    await bruno.says(one, "look at this", bruno.attaches("a.png", PNG))
    await bruno.says(one, "", bruno.attaches("b.png", OTHER))
    assert [(line.text, shown(line)) for line in two.copies] == [("look at this", [PNG]), ("", [OTHER])]


async def test_an_album_is_one_post(world: World) -> None:
    anna, group, channel, room = await flock(world)
    await anna.posts(group, "Two of them", anna.attaches("1.png", PNG), album="a1")
    second = await anna.says(group, "", anna.attaches("2.png", OTHER), album="a1")
    await world.passes(5 * SECOND)
    (copy,) = channel.copies
    assert shown(copy) == [PNG, OTHER]
    assert copy.edits == 0
    bruno = await world.member("telegram", "bruno")
    await bruno.reacts(second, "👍")
    assert await world.rows("SELECT score FROM posts") == [(1,)]
    assert room.copies


async def test_nobody_adds_to_somebody_else_s_album(world: World) -> None:
    anna, group, channel, _ = await flock(world)
    bruno = await world.member("telegram", "bruno")
    await anna.posts(group, "Mine", anna.attaches("1.png", PNG), album="a1")
    await bruno.says(group, "", bruno.attaches("2.png", OTHER), album="a1")
    await world.passes(5 * SECOND)
    assert [shown(line) for line in channel.copies] == [[PNG]]


async def test_a_picture_that_nobody_posted_is_nobody_s_business(world: World) -> None:
    anna, group, channel, _ = await flock(world)
    await anna.says(group, "", anna.attaches("private.png", PNG), album="a1")
    assert await world.rows("SELECT * FROM enclosures") == []
    assert anna.paper.fetched == []
    assert channel.copies == []


async def test_an_edit_of_the_words_keeps_the_picture(world: World) -> None:
    anna, group, channel, _ = await flock(world)
    own = await anna.posts(group, "They are bakc", anna.attaches("swifts.png", PNG))
    await anna.edits(group, own, "/post They are back")
    (copy,) = channel.copies
    assert (copy.text, shown(copy)) == ("They are back", [PNG])
    await anna.edits(group, own, "/post")
    assert (channel.copies[0].text, shown(channel.copies[0])) == ("", [PNG])


async def test_a_picture_that_its_author_takes_out_of_the_message_goes_from_every_copy(world: World) -> None:
    anna, group, channel, room = await flock(world)
    third = OTHER + b"."
    swifts, nest, egg = (
        anna.attaches(name, content, key=name)
        for name, content in (("swifts.png", PNG), ("nest.png", OTHER), ("egg.png", third))
    )
    own = await anna.posts(group, "Back", swifts, nest, egg)
    await anna.edits(group, own, "/post Back", kept=(swifts, egg))
    for place in (channel, room):
        assert [content for line in place.parts for content in shown(line)] == [PNG, third]
    await anna.edits(group, own, "/post Back again", kept=())
    for place in (channel, room):
        assert [(line.text, shown(line)) for line in place.parts] == [("Back again", [])]
    assert await kept(world) == []


async def test_a_picture_that_goes_takes_no_newer_words_with_it(world: World) -> None:
    """A platform sends the message as it stands, with the words that ``/edit`` replaced everywhere else."""
    anna, group, channel, room = await flock(world)
    swifts, egg = (
        anna.attaches(n, content, key=n) for n, content in (("swifts.png", PNG), ("egg.png", OTHER))
    )
    own = await anna.posts(group, "Back", swifts, egg)
    await anna.runs(group, "edit They are back", target=own)
    await anna.edits(group, own, "/post Back", kept=(egg,))
    for place in (channel, room):
        assert [(line.text, shown(line)) for line in place.parts] == [("They are back", [OTHER])]
    await anna.edits(group, own, "/post Back", kept=(egg,))
    assert [line.text for line in channel.parts] == ["Back"], (
        "without a file, it is the words that were changed"
    )


async def test_words_that_come_back_while_a_picture_goes_are_the_author_s(world: World) -> None:
    anna, group, channel, room = await flock(world)
    swifts, egg = (
        anna.attaches(n, content, key=n) for n, content in (("swifts.png", PNG), ("egg.png", OTHER))
    )
    own = await anna.posts(group, "Back", swifts, egg)
    await anna.edits(group, own, "/post They are back", kept=(swifts, egg))
    await anna.edits(group, own, "/post Back", kept=(egg,))
    for place in (channel, room):
        assert [(line.text, shown(line)) for line in place.parts] == [("Back", [OTHER])]


async def test_words_that_a_message_and_an_edit_agreed_on_are_what_the_message_says(world: World) -> None:
    anna, group, channel, _ = await flock(world)
    swifts = anna.attaches("swifts.png", PNG, key="1")
    own = await anna.posts(group, "Back", swifts)
    await anna.runs(group, "edit They are back", target=own)
    await anna.edits(group, own, "/post They are back", kept=(swifts,))
    await anna.edits(group, own, "/post Back", kept=())
    assert [(line.text, shown(line)) for line in channel.parts] == [("Back", [])]


async def test_a_picture_goes_even_where_nothing_is_left_of_the_post(world: World) -> None:
    anna, group, channel, _ = await flock(world)
    own = await anna.posts(group, "", anna.attaches("swifts.png", PNG, key="1"))
    assert shown(channel.parts[0]) == [PNG]
    await anna.edits(group, own, "/post", kept=())
    assert [shown(line) for line in channel.parts] == [[]]
    assert await kept(world) == []


async def test_a_picture_goes_even_where_the_words_may_not_change(world: World) -> None:
    anna, group, channel, _ = await flock(world)
    own = await anna.posts(group, "Back", anna.attaches("swifts.png", PNG, key="1"))
    await anna.edits(group, own, f"/post {'x' * 20_000}", kept=())
    assert [(line.text, shown(line)) for line in channel.parts] == [("Back", [])]


async def test_a_picture_may_go_while_its_bytes_are_still_on_their_way(world: World) -> None:
    anna, group, channel, _ = await flock(world)
    picture = anna.attaches("swifts.png", RetryLater("not yet"), key="1")
    own = await anna.posts(group, "Back", picture)
    assert channel.copies == []
    await anna.edits(group, own, "/post Back", kept=())
    assert [(line.text, shown(line)) for line in channel.copies] == [("Back", [])]


async def test_relayed_talk_loses_what_is_taken_out_of_it(world: World) -> None:
    one, two = world.room("discord", "one"), world.room("matrix", "two")
    founder = await world.community(one, two)
    await founder.runs(one, "relay on")
    await world.person("matrix", "admin-two").leads(two).runs(two, "relay on")
    bruno = world.person("discord", "bruno")
    picture = bruno.attaches("a.png", PNG, key="1")
    own = await bruno.says(one, "look at this", picture)
    await bruno.edits(one, own, "look", kept=())
    assert [(line.text, shown(line)) for line in two.copies] == [("look", [])]


async def test_the_same_picture_twice_is_kept_once(world: World) -> None:
    anna, group, channel, _ = await flock(world)
    await anna.posts(group, "one", anna.attaches("a.png", PNG))
    await anna.posts(group, "two", anna.attaches("b.png", PNG))
    assert [shown(line) for line in channel.copies] == [[PNG], [PNG]]
    assert await world.rows("SELECT count(*) FROM blobs") == [(1,)]
    assert list(MediaStore(world.folder).digests()) == [hashlib.sha256(PNG).hexdigest()]


# -- late ----------------------------------------------------------------------------------------------------------


async def test_a_post_waits_for_its_file_and_does_not_stop_its_room(world: World) -> None:
    anna, group, channel, _ = await flock(world)
    picture = anna.attaches("swifts.png", RetryLater("slow"))
    await anna.posts(group, "with a picture", picture)
    await anna.posts(group, "without one")
    assert channel.texts == ["without one"]
    anna.paper.files[picture.source] = PNG
    await world.passes(PAUSES[0] + SECOND)
    assert channel.texts == ["without one", "with a picture"]
    assert shown(channel.copies[-1]) == [PNG]


async def test_after_two_minutes_it_travels_without_and_is_completed_later(world: World) -> None:
    anna, group, channel, room = await flock(world)
    picture = anna.attaches("swifts.png", RetryLater("slow"))
    await anna.posts(group, "They are back", picture)
    await world.passes(world.rules.media.patience - SECOND)
    assert channel.copies == room.copies == []
    await world.passes(2 * SECOND)
    for place in (channel, room):
        (copy,) = place.copies
        assert copy.text == f"They are back\n\n{world.speech_of('file.missing', n=1)}"
        assert shown(copy) == []
    anna.paper.files[picture.source] = PNG
    await world.passes(20 * MINUTE)
    for place in (channel, room):
        assert place.copies[-1].text == "They are back"
        assert shown(place.copies[-1]) == [PNG]


async def test_a_pause_that_the_platform_asks_for_is_kept(world: World) -> None:
    anna, group, _, _ = await flock(world)
    await anna.posts(group, "hi", anna.attaches("a.png", RetryLater("429", after=30 * SECOND)))
    await world.passes(29 * SECOND)
    assert len(anna.paper.fetched) == 1
    await world.passes(2 * SECOND)
    assert len(anna.paper.fetched) == 2


# -- refused -------------------------------------------------------------------------------------------------------

HTML = b"<!doctype html><script>alert(1)</script>"
PROGRAM = b"MZ" + b"\0" * 5000


def _large(world: World) -> bytes:
    return PNG + b"\0" * world.rules.media.max_bytes


@pytest.mark.parametrize(
    ("content", "more", "why"),
    [
        (PROGRAM, {"mime": "image/png"}, FileWhy.TYPE),
        (HTML, {"mime": "image/png"}, FileWhy.TYPE),
        (b"<svg onload='x'/>", {"mime": "image/png"}, FileWhy.TYPE),
        (PNG * 30, {}, FileWhy.SIZE),
        (PNG, {"size": 40_001}, FileWhy.SIZE),
        (FileRefused(FileWhy.GONE), {}, FileWhy.GONE),
        (FileRefused(FileWhy.ADDRESS), {}, FileWhy.ADDRESS),
        (b"", {}, FileWhy.GONE),
        (OSError("connection lost"), {}, FileWhy.UNREACHABLE),
        (RetryLater("503"), {}, FileWhy.UNREACHABLE),
    ],
)
async def test_what_cannot_be_had_is_said_in_the_room_and_why_to_its_author(
    world: World, content: bytes | Exception, more: dict[str, Any], why: FileWhy
) -> None:
    world.rules = world.with_rules(media=replace(world.rules.media, max_bytes=40_000))
    await world.restart()
    anna, group, channel, _ = await flock(world)
    await anna.posts(group, "Look", anna.attaches("thing.png", content, **more))
    await world.passes(sum(PAUSES, start=20 * MINUTE))
    (copy,) = channel.copies
    assert copy.text == f"Look\n\n{world.speech_of('file.refused', name='thing.png')}"
    assert shown(copy) == []
    assert [state for state, _ in await kept(world)] == ["refused"]
    told = await anna.asks(anna.private, f"status {await world.short_id_of('Look')}")
    assert told[-1] == f"file.what.{why}"
    assert list(MediaStore(world.folder).digests()) == []


async def test_one_bad_file_takes_no_other_with_it(world: World) -> None:
    anna, group, channel, _ = await flock(world)
    files = [anna.attaches("a.png", PNG), anna.attaches("b.exe", PROGRAM), anna.attaches("c.png", OTHER)]
    await anna.posts(group, "Three", *files)
    (copy,) = channel.copies
    assert shown(copy) == [PNG, OTHER]
    assert copy.text == f"Three\n\n{world.speech_of('file.refused', name='b.exe')}"


async def test_a_post_takes_ten_files(world: World) -> None:
    anna, group, channel, _ = await flock(world)
    files = [anna.attaches(f"{n}.png", PNG + bytes([n])) for n in range(11)]
    assert await anna.asks(group, "post") == ["post.empty"]
    world.forget()
    await anna.runs(group, "post many", files=files)
    assert anna.told == ["post.too_many_files"]
    assert await world.rows("SELECT count(*) FROM posts") == [(0,)]
    await anna.posts(group, "ten", *files[:10])
    assert len(shown(channel.copies[-1])) == 10


async def test_a_full_store_says_so_and_keeps_what_it_has(world: World) -> None:
    world.rules = world.with_rules(media=replace(world.rules.media, quota=len(PNG) + 10))
    await world.restart()
    anna, group, channel, _ = await flock(world)
    await anna.posts(group, "one", anna.attaches("a.png", PNG))
    await anna.posts(group, "two", anna.attaches("b.png", OTHER))
    await anna.posts(group, "one again", anna.attaches("c.png", PNG))
    assert [shown(line) for line in channel.copies] == [[PNG], [], [PNG]]
    assert await kept(world) == [("stored", ""), ("refused", "quota"), ("stored", "")]


# -- too large for one place ---------------------------------------------------------------------------------------


async def small_discord(world: World, limit: int) -> None:
    """Discord takes files up to so many bytes, from the next start on."""
    paper = world.papers[Platform("discord")]
    paper.capabilities = replace(paper.capabilities, max_file=limit)
    platforms = {platform: each.capabilities for platform, each in world.papers.items()}
    world.rules = world.with_rules(platforms=platforms, public_url="https://birds.example")
    await world.restart()


def large_picture() -> bytes:
    out = io.BytesIO()
    Image.frombytes("RGB", (400, 300), random.Random(1).randbytes(360_000)).save(out, "PNG")
    return out.getvalue()


async def test_a_picture_that_is_too_large_for_one_place_is_made_smaller_there(world: World) -> None:
    await small_discord(world, 100_000)
    anna, group, channel, room = await flock(world)
    picture = large_picture()
    mine = await anna.posts(group, "Look", anna.attaches("swifts.png", picture))
    assert shown(room.copies[0]) == [picture]
    assert channel.copies[0].view is not None
    (file,) = channel.copies[0].view.files
    assert (file.mime, file.name) == ("image/jpeg", "swifts.png.jpg")
    assert file.size == len(file.path.read_bytes()) <= 100_000
    await anna.deletes(mine)
    await world.fetcher.sweep()
    assert await world.rows("SELECT count(*) FROM blobs") == [(0,)]


@pytest.mark.parametrize(("flag", "line"), [("visibility:public ", "file.linked"), ("", "file.not_here")])
async def test_another_file_is_linked_where_its_post_has_a_page_and_else_named(
    world: World, flag: str, line: str
) -> None:
    await small_discord(world, 100)
    anna, group, channel, room = await flock(world)
    paper = b"%PDF-1.7" + bytes(1000)
    await anna.posts(group, f"{flag}Minutes", anna.attaches("may.pdf", paper))
    assert shown(room.copies[0]) == [paper]
    (copy,) = channel.copies
    assert shown(copy) == []
    said = {"name": "may.pdf"}
    if flag:
        said["url"] = f"https://birds.example/p/{await world.short_id_of('Minutes')}"
    assert copy.text == f"Minutes\n\n{world.speech_of(line, **said)}"


async def test_a_place_that_refuses_the_file_gets_the_words(world: World) -> None:
    anna, group, channel, room = await flock(world)

    def brings_a_file(intent: Intent) -> bool:
        return isinstance(intent, Create) and bool(intent.view.files)

    channel.paper.fails(Rejected("no right", why=RejectedWhy.FILE), when=brings_a_file, times=9)
    await anna.posts(group, "Look", anna.attaches("a.png", PNG))
    assert shown(room.copies[0]) == [PNG]
    (copy,) = channel.copies
    assert copy.form is Form.FULL
    assert copy.text == f"Look\n\n{world.speech_of('file.not_here', name='a.png')}"
    told = await anna.asks(anna.private, f"status {await world.short_id_of('Look')}")
    assert told[0] == "status.shown"
    assert world.speech_of("status.what.full_words") in anna.told_text


# -- described -----------------------------------------------------------------------------------------------------


async def test_a_file_that_is_on_another_machine_is_named(world: World) -> None:
    anna, group, channel, _ = await flock(world)
    await anna.leads(group).runs(group, "pause")
    await anna.posts(group, "They are back", anna.attaches("swifts.png", PNG))
    for path in (world.rules.media.folder).glob("??/*"):
        path.unlink()
    await anna.runs(group, "resume")
    (copy,) = channel.copies
    assert copy.text.startswith("They are back")
    assert "swifts.png" in copy.text
    assert shown(copy) == []


async def test_a_picture_s_description_is_asked_for_once_and_never_needed(world: World) -> None:
    anna, group, channel, _ = await flock(world)
    world.forget()
    await anna.posts(group, "Look", anna.attaches("a.png", PNG, mime="image/png"))
    assert "file.describe" in anna.told
    assert len(channel.copies) == 1
    id_ = await world.short_id_of("Look")
    assert await anna.asks(anna.private, f"alt post:{id_} Two  swifts") == ["alt.done"]
    assert channel.copies[-1].view is not None
    assert channel.copies[-1].view.files[0].alt == "Two swifts"
    assert await anna.asks(anna.private, f"alt post:{id_} picture:2 Three") == ["alt.which"]
    bruno = await world.member("telegram", "bruno")
    assert await bruno.asks(bruno.private, f"alt post:{id_} mine") == ["post.not_yours"]
    await anna.posts(group, "bare")
    assert await anna.asks(anna.private, f"alt post:{await world.short_id_of('bare')} x") == ["alt.none"]


# -- killed, and gone ----------------------------------------------------------------------------------------------


async def test_killed_between_any_two_steps_it_arrives_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it comes, before it is kept, once it is kept and no row says so: each time the copy shows it in the end."""
    anna, group, channel, _ = await flock(world)
    for number, place in enumerate(("take", "keep", "record")):
        reached = asyncio.Event()
        content = PNG + bytes([number])
        picture = anna.attaches("a.png", content)
        with monkeypatch.context() as patched:
            _stop_at(patched, place, reached)
            await world.hand_only(replace(anna.command(group, f"post {place}"), files=(picture,)))
            await reached.wait()
            await world.crash()
        await world.start_quietly()
        assert channel.texts[-1] == place
        assert shown(channel.copies[-1]) == [content]
    assert [line.edits for line in channel.copies] == [0, 0, 0]


def _stop_at(patched: pytest.MonkeyPatch, place: str, reached: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()

    class Killed(BaseException):
        pass

    async def hang(*_: Any, **__: Any) -> None:
        reached.set()
        await asyncio.Event().wait()

    if place == "take":
        patched.setattr(media.Fetcher, "_brought", hang)
    elif place == "keep":
        keep = MediaStore.keep

        def kept_unseen(store: MediaStore, file: Any) -> Any:
            loop.call_soon_threadsafe(reached.set)
            return keep(store, file)

        patched.setattr(MediaStore, "keep", kept_unseen)
        patched.setattr(media, "record", lambda *_: None)
    else:
        patched.setattr(media.Fetcher, "_fetch", hang)


async def test_a_deleted_post_drops_its_files_unless_another_has_them(world: World) -> None:
    anna, group, channel, _ = await flock(world)
    mine = await anna.posts(group, "one", anna.attaches("a.png", PNG), anna.attaches("b.png", OTHER))
    await anna.posts(group, "two", anna.attaches("c.png", PNG))
    await anna.deletes(mine)
    assert len(channel.copies) == 1
    store = MediaStore(world.folder)
    await world.fetcher.sweep()
    _age(store)
    await world.fetcher.sweep()
    assert list(store.digests()) == [hashlib.sha256(PNG).hexdigest()]
    assert await world.rows("SELECT digest FROM blobs") == [(hashlib.sha256(PNG).hexdigest(),)]


def _age(store: MediaStore) -> None:
    """Everything there has lain there for long."""
    for path in store.folder.glob("*/*"):
        os.utime(path, (0, 0))


async def test_a_file_that_a_killed_run_had_set_aside_is_back_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It took it for forgotten, while another post brought the same bytes; then it was killed."""
    anna, group, channel, _ = await flock(world)
    await anna.posts(group, "one", anna.attaches("a.png", PNG))
    store, digest = MediaStore(world.folder), hashlib.sha256(PNG).hexdigest()

    def killed(name: str, _platform: str) -> None:
        if name == "media.aside":
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(crashpoints, "watch", killed)
        _age(store)
        with pytest.raises(KeyboardInterrupt):
            store.drop(digest)
    assert list(store.digests()) == []
    await world.fetcher.sweep()
    assert shown(channel.copies[0]) == [PNG]
    assert [path.name for path in store.folder.glob("*/*")] == [digest]


async def test_what_a_killed_run_left_half_is_taken_away(world: World) -> None:
    anna, group, channel, _ = await flock(world)
    await anna.posts(group, "one", anna.attaches("a.png", PNG))
    store = MediaStore(world.folder)
    half = store.incoming(world.rules.media)
    half.take(OTHER)
    half._file.close()
    await world.fetcher.sweep()
    assert half.path.exists()
    _age(store)
    await world.fetcher.sweep()
    assert not half.path.exists()
    assert shown(channel.copies[0]) == [PNG]


async def test_a_post_that_is_deleted_while_its_file_comes_leaves_nothing(world: World) -> None:
    anna, group, channel, _ = await flock(world)
    picture = anna.attaches("a.png", RetryLater("slow"))
    mine = await anna.posts(group, "one", picture)
    await anna.deletes(mine)
    anna.paper.files[picture.source] = PNG
    await world.passes(20 * MINUTE)
    assert channel.copies == []
    assert await world.rows("SELECT * FROM enclosures") == []
    assert not [act for act in world.acts if isinstance(act, Create) and act.view.files]
