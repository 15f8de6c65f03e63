"""Files on Discord: what comes with a message or a command, and how ours are shown, against our own double."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bots.discord import convert, interactions, render
from bots.discord.attachments import MAX_REQUEST, Source
from bots.discord.bot import DiscordAdapter
from bots.discord.convert import Room
from core.body import Body
from core.errors import FileRefused, FileWhy, Rejected, RejectedWhy, RetryLater
from core.events import Attachment, CommandInvoked, MessageEdited, MessageReceived
from core.intents import Create, Edit, File, Form, View, Voice
from core.parts import parted
from tests.bots.discord_scene import Scene, a_scene, body, running
from tests.doubles.discord import Permission

pytestmark = [pytest.mark.peer, pytest.mark.timeout(60)]

PNG = b"\x89PNG\r\n\x1a\n" + bytes(3000)
LINK = "https://cdn.discordapp.com/attachments/55/1/SPOILER_swifts.png?ex=1&hm=2"
GIVEN = {
    "id": "71",
    "filename": "SPOILER_swifts.png",
    "size": 3008,
    "url": LINK,
    "proxy_url": LINK,
    "content_type": "image/png",
    "description": "Two swifts",
    "width": 640,
    "height": 480,
}


def message(**changes: Any) -> dict[str, Any]:
    return {
        "id": "1234567890123456789",
        "channel_id": "55",
        "guild_id": "77",
        "type": 0,
        "content": "",
        "author": {"id": "11", "username": "anna"},
        "attachments": [GIVEN],
    } | changes


# -- what comes ----------------------------------------------------------------------------------------------------


def test_a_picture_without_words_is_ordinary_talk() -> None:
    event = convert.message_created(message(), me="900", room=Room(guild="77"))
    assert isinstance(event, MessageReceived)
    assert event.body == Body()
    assert event.files == (
        Attachment(
            source=str(Source(LINK, "71", "55", "1234567890123456789")),
            key="71",
            name="swifts.png",
            mime="image/png",
            size=3008,
            alt="Two swifts",
            spoiler=True,
            width=640,
            height=480,
        ),
    )


def test_a_command_to_the_bot_takes_its_files_along() -> None:
    said = message(content="<@900> post Look", attachments=[GIVEN, GIVEN | {"id": "72", "filename": "b.txt",
                   "content_type": "text/plain; charset=utf-8"}])  # fmt: skip
    event = convert.message_created(said, me="900", room=Room(guild="77"))
    assert isinstance(event, CommandInvoked)
    assert [(f.name, f.mime, f.spoiler) for f in event.files] == [
        ("swifts.png", "image/png", True),
        ("b.txt", "text/plain", False),
    ]


def test_a_slash_command_has_its_file_in_a_field_of_its_own() -> None:
    payload = {
        "id": "1234567890123456789",
        "application_id": "900",
        "type": 2,
        "token": "t",
        "channel_id": "55",
        "guild_id": "77",
        "member": {"user": {"id": "11", "username": "anna"}, "permissions": "0"},
        "data": {
            "name": "post",
            "options": [
                {"name": "text", "type": 3, "value": "Look"},
                {"name": "file", "type": 11, "value": "71"},
            ],
            "resolved": {"attachments": {"71": GIVEN}},
        },
    }
    event = interactions.interaction(payload, me="900", room=Room())
    assert isinstance(event, CommandInvoked)
    assert event.options == {"text": "Look"}
    (file,) = event.files
    assert Source.read(file.source) == Source(LINK, "71")


def test_an_edit_that_takes_the_words_away_leaves_the_picture() -> None:
    edited = message(edited_timestamp="2026-01-02T03:04:05+00:00")
    event = convert.message_edited(edited, me="900", room=Room(guild="77"))
    assert isinstance(event, MessageEdited)
    assert (event.body, event.kept) == (Body(), ("71",))


def test_an_edit_says_which_files_are_left_where_discord_does() -> None:
    edited = message(edited_timestamp="2026-01-02T03:04:05+00:00", content="Look", attachments=[])
    assert _kept(edited) == ()
    del edited["attachments"]
    assert _kept(edited) is None


def _kept(edited: dict[str, Any]) -> tuple[str, ...] | None:
    event = convert.message_edited(edited, me="900", room=Room(guild="77"))
    assert isinstance(event, MessageEdited)
    return event.kept


@pytest.mark.parametrize(
    "damage", [{"attachments": ["x"]}, {"attachments": [{"id": "1"}]}, {"attachments": 7}]
)
def test_malformed_attachments_give_nothing(damage: dict[str, Any]) -> None:
    assert convert.message_created(message(**damage), me="900", room=Room(guild="77")) is None


# -- fetching --------------------------------------------------------------------------------------------------------


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with a_scene() as scene:
        yield scene


async def fetched(scene: Scene, source: str) -> bytes:
    portions: list[bytes] = []
    await scene.adapter.fetch(source, portions.append)
    return b"".join(portions)


async def test_what_people_attach_is_fetched(scene: Scene) -> None:
    async with running(scene):
        await scene.anna.say(scene.channel, "look", files={"swifts.png": PNG})
        received = await scene.gate.until(MessageReceived)
        file = scene.double.file("leaf.png", PNG + b"leaf")
        # Nobody answers here: only what was heard matters.
        with pytest.raises(AssertionError, match="kept thinking"):
            await scene.anna.slash(scene.channel, "post", {"text": "Look", "file": file}, patience=0.5)
        invoked = await scene.gate.until(CommandInvoked)
        assert await fetched(scene, received.files[0].source) == PNG
        assert await fetched(scene, invoked.files[0].source) == PNG + b"leaf"


async def test_a_link_that_ended_is_renewed_by_the_message(scene: Scene) -> None:
    async with running(scene):
        await scene.anna.say(scene.channel, "look", files={"swifts.png": PNG})
        received = await scene.gate.until(MessageReceived)
        (file,) = received.files
        later = datetime.now(UTC) + timedelta(hours=25)
        scene.double.world.now = lambda: later
        assert await fetched(scene, file.source) == PNG
        source = Source.read(file.source)
        for gone in (Source(source.url, source.id), Source(source.url, "1", source.channel, source.message)):
            with pytest.raises(FileRefused) as refused:
                await fetched(scene, str(gone))
            assert refused.value.why is FileWhy.GONE


@pytest.mark.parametrize("source", ["", "[]", "{}", "x", '["a"]'])
async def test_a_source_that_is_none_of_ours_is_gone(scene: Scene, source: str) -> None:
    with pytest.raises(FileRefused) as refused:
        await fetched(scene, source)
    assert refused.value.why is FileWhy.GONE


# -- how ours are shown ----------------------------------------------------------------------------------------------


def stored(folder: Path, data: bytes = PNG, **more: Any) -> File:
    path = folder / f"{len(list(folder.iterdir()))}"
    path.write_bytes(data)
    shape: dict[str, Any] = {
        "digest": path.name,
        "path": path,
        "mime": "image/png",
        "name": "swifts.png",
        "size": len(data),
    }
    return File(**(shape | more))


def view(text: str, *files: File, **more: Any) -> View:
    shape: dict[str, Any] = {
        "voice": Voice.PERSON,
        "body": body(text) if text else Body(),
        "author": "@anna · Matrix",
    }
    return View(**(shape | more), files=files)


async def test_files_stand_with_the_words_described_and_veiled(scene: Scene, tmp_path: Path) -> None:
    one = stored(tmp_path, alt="Two swifts", spoiler=True)
    two = stored(tmp_path, b"%PDF-1.7", mime="application/pdf", name="minutes.pdf")
    create = Create("k", scene.chat, view("Look", one, two))
    made = await scene.adapter.perform(create)
    # The same again within the life of its key is the same message.
    assert (await scene.adapter.perform(create)).message == made.message
    (shown,) = scene.double.visible(scene.channel)
    assert shown.attachments == {"SPOILER_swifts.png": PNG, "minutes.pdf": b"%PDF-1.7"}
    assert shown.embeds[0]["description"] == "Look"
    seen = scene.double.message(shown.id)
    assert [each.description for each in seen.attachments] == ["Two swifts", ""]


async def test_an_edit_keeps_the_files_and_may_describe_them(scene: Scene, tmp_path: Path) -> None:
    file = stored(tmp_path)
    made = await scene.adapter.perform(Create("k", scene.chat, view("Look", file)))
    assert made.message is not None
    described = view("Look there", replace(file, alt="Two swifts"), footer="1 vote")
    await scene.adapter.perform(Edit("e", made.message, described))
    (shown,) = scene.double.visible(scene.channel)
    assert shown.attachments == {"swifts.png": PNG}
    assert shown.embeds[0]["description"] == "Look there"
    assert [each.description for each in scene.double.message(shown.id).attachments] == ["Two swifts"]


async def test_a_picture_needs_no_words(scene: Scene, tmp_path: Path) -> None:
    await scene.adapter.perform(Create("k", scene.chat, view("", stored(tmp_path))))
    await scene.adapter.perform(Create("b", scene.chat, view("", stored(tmp_path), author="")))
    first, second = scene.double.visible(scene.channel)
    assert first.embeds[0]["author"]["name"] == "@anna · Matrix"
    assert (second.embeds, second.content, list(second.attachments)) == ([], "", ["swifts.png"])


async def test_in_the_author_s_own_name_too(scene: Scene, tmp_path: Path) -> None:
    file = stored(tmp_path, alt="Two swifts")
    create = Create("k", scene.chat, view("Look", file, as_author=True, about="About"))
    made = await scene.adapter.perform(create)
    (shown,) = scene.double.visible(scene.channel)
    assert shown.webhook_id is not None
    assert (shown.content, shown.attachments) == ("Look", {"swifts.png": PNG})
    assert made.message is not None
    changed = view("Look there", replace(file, alt="Swifts"), as_author=True, about="About")
    await scene.adapter.perform(Edit("e", made.message, changed))
    (shown,) = scene.double.visible(scene.channel)
    assert (shown.content, shown.attachments) == ("Look there", {"swifts.png": PNG})
    assert [each.description for each in scene.double.message(shown.id).attachments] == ["Swifts"]


async def test_without_the_right_to_attach_files_words_alone_may_pass(scene: Scene, tmp_path: Path) -> None:
    scene.channel.overwrite(scene.guild.bot_role, deny=int(Permission.ATTACH_FILES))
    file = stored(tmp_path)
    reasons = []
    for form in (Form.FULL, Form.PLAIN):
        with pytest.raises(Rejected) as refused:
            await scene.adapter.perform(Create("k", scene.chat, view("Look", file), form))
        reasons.append(refused.value.why)
    assert reasons == [RejectedWhy.FORM, RejectedWhy.FILE]
    await scene.adapter.perform(Create("k", scene.chat, view("Look"), Form.PLAIN))
    assert len(scene.double.visible(scene.channel)) == 1


async def test_what_is_too_large_there_is_the_file_s_fault(scene: Scene, tmp_path: Path) -> None:
    file = stored(tmp_path, bytes(scene.double.limits.file_bytes + 1))
    with pytest.raises(Rejected) as refused:
        await scene.adapter.perform(Create("k", scene.chat, view("Look", file)))
    assert refused.value.why is RejectedWhy.FILE


async def test_a_stored_file_that_went_with_its_post_is_no_unknown_outcome(
    scene: Scene, tmp_path: Path
) -> None:
    file = replace(stored(tmp_path), path=tmp_path / "gone")
    with pytest.raises(RetryLater) as later:
        await scene.adapter.perform(Create("k", scene.chat, view("Look", file)))
    assert not later.value.unknown
    assert scene.double.visible(scene.channel) == []


def test_ten_files_of_ten_megabytes_are_several_messages(tmp_path: Path) -> None:
    file = stored(tmp_path, size=10 * 1024 * 1024)
    whole = view("Look", *(file,) * 10)
    taken, room = render.measure(whole, Form.FULL)
    assert taken > room == MAX_REQUEST
    parts = parted(whole, Form.FULL, DiscordAdapter.capabilities, lambda part, of: f"{part}/{of}")
    assert [len(part.files) for part in parts] == [2, 2, 2, 2, 2]
