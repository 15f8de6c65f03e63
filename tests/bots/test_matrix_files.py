"""Files on Matrix: what comes with a message, and how ours are shown, on a real homeserver."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from bots.matrix.convert import Reader
from bots.matrix.files import VEILED
from bots.matrix.room import Room
from core.body import Body
from core.errors import FileRefused, FileWhy, Rejected, RejectedWhy, RetryLater
from core.events import Attachment, CommandEdited, CommandInvoked, Inbound, MessageReceived
from core.intents import Create, Edit, File, View, Voice
from core.text import from_plain, plain
from tests.bots.test_matrix_bot import Bot, chat, in_a_room
from tests.bots.test_matrix_convert import ADA, AT, ME, room, said
from tests.peers.fixtures import NewPerson
from tests.peers.matrix_person import MatrixPerson
from tests.peers.matrix_proxy import MatrixProxy, Pattern
from tests.peers.synapse import SynapseServer

pytestmark = [pytest.mark.peer, pytest.mark.asyncio]

READER = Reader(me=ME, name="Stormo")
PNG = b"\x89PNG\r\n\x1a\n" + bytes(3000)
UPLOAD = Pattern("POST", "/upload")


# -- what comes ----------------------------------------------------------------------------------------------------


def image(body: str = "swifts.png", **more: Any) -> dict[str, Any]:
    info = {"mimetype": "image/png", "size": 3008, "w": 640, "h": 480}
    return {"msgtype": "m.image", "body": body, "url": "mxc://one.test/abc_DEF", "info": info, **more}


def heard(content: dict[str, Any], where: Room | None = None) -> Inbound | None:
    return READER.read(said(content), where or room(), AT)


SWIFTS = Attachment(
    source="mxc://one.test/abc_DEF", name="swifts.png", mime="image/png", size=3008, width=640, height=480
)


@pytest.mark.parametrize("more", [{}, {"filename": "swifts.png"}])
async def test_a_picture_without_a_caption_has_no_words(more: dict[str, Any]) -> None:
    event = heard(image(**more))
    assert isinstance(event, MessageReceived)
    assert (event.body, event.source, event.files) == (Body(), "", (SWIFTS,))


async def test_a_caption_is_what_was_said_and_may_be_a_command() -> None:
    event = heard(image("!post Two swifts", filename="swifts.png", **{VEILED: True}))
    assert isinstance(event, CommandInvoked)
    assert (event.name, event.text, event.files) == ("post", "Two swifts", (replace(SWIFTS, spoiler=True),))
    rich = heard(image("!post Two", filename="swifts.png", format="org.matrix.custom.html",
                       formatted_body="!post <b>Two</b>"))  # fmt: skip
    assert isinstance(rich, CommandInvoked)
    assert rich.dialect == "html"


async def test_an_answer_with_a_picture_knows_what_it_answers() -> None:
    event = heard(image() | {"m.relates_to": {"m.in_reply_to": {"event_id": "$0"}}})
    assert isinstance(event, MessageReceived)
    assert event.reply_to is not None
    assert event.reply_to.key == "$0"


async def test_an_edit_of_a_caption_is_one_of_the_words() -> None:
    new = image("!post Three", filename="swifts.png")
    replaced = {"m.new_content": new, "m.relates_to": {"rel_type": "m.replace", "event_id": "$0"}}
    event = heard(image("* !post Three", **replaced))
    assert isinstance(event, CommandEdited)
    assert (event.text, event.files) == ("Three", (SWIFTS,))


@pytest.mark.parametrize(
    "damage",
    [
        {"url": "https://evil.test/x"},
        {"url": "mxc://one.test/../x"},
        {"url": "mxc://one.test/x?y"},
        {"url": 7},
        {"url": None, "file": {"url": "mxc://one.test/abc", "key": {}}},
    ],
)
async def test_what_has_no_plain_address_brings_nothing(damage: dict[str, Any]) -> None:
    assert heard(image() | damage) is None


async def test_malformed_facts_are_unknown_facts() -> None:
    event = heard(image(info={"mimetype": 7, "size": -1, "w": True, "h": "x"}))
    assert isinstance(event, MessageReceived)
    assert event.files == (Attachment(source="mxc://one.test/abc_DEF", name="swifts.png"),)
    assert ADA


# -- on a homeserver -------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def bot(synapse: SynapseServer, matrix_proxy: MatrixProxy) -> AsyncIterator[Bot]:
    login = synapse.register(synapse.unused_name("stormo"), display_name="Stormo")
    made = Bot(matrix_proxy.url, login)
    yield made
    await made.adapter.close()


@pytest_asyncio.fixture
async def ada(matrix_person: NewPerson) -> MatrixPerson:
    return await matrix_person("Ada")


def stored(folder: Path, data: bytes = PNG, **more: Any) -> File:
    path = folder / f"{len(list(folder.iterdir()))}"
    path.write_bytes(data)
    shape: dict[str, Any] = {"digest": path.name, "path": path, "size": len(data), "mime": "image/png"}
    return File(**(shape | {"name": "swifts.png"} | more))


def view(text: str, *files: File, author: str = "@anna · Telegram", footer: str = "") -> View:
    return View(Voice.PERSON, from_plain(text), author=author, footer=footer, files=files)


async def test_what_people_attach_is_fetched(bot: Bot, ada: MatrixPerson) -> None:
    async with bot.running():
        garden = await in_a_room(bot, ada)
        await ada.attach(garden, PNG, "swifts.png", "!post Look")
        event = await bot.gate.next(CommandInvoked)
        assert plain(event.body) == "Look" if event.body else False
        (file,) = event.files
        portions: list[bytes] = []
        await bot.adapter.fetch(file.source, portions.append)
        assert b"".join(portions) == PNG


@pytest.mark.parametrize(
    "source", ["mxc://localhost/nowhere", "https://evil.test/x", "", "mxc://one.test/../x"]
)
async def test_what_is_not_there_is_gone(bot: Bot, source: str) -> None:
    with pytest.raises(FileRefused) as refused:
        await bot.adapter.fetch(source, lambda _: None)
    assert refused.value.why is FileWhy.GONE


async def test_a_picture_is_shown_with_its_words_which_are_edited_beside_it(
    bot: Bot, ada: MatrixPerson, tmp_path: Path
) -> None:
    async with bot.running():
        garden = await in_a_room(bot, ada)
        file = stored(tmp_path, alt="Two swifts", spoiler=True, width=640, height=480)
        create = Create("k1", chat(garden), view("Look", file))
        made = await bot.adapter.perform(create)
        # The same again is the same message, though a homeserver may have been asked for another upload.
        assert await bot.adapter.perform(create) == made
        shown = await ada.wait_message(garden, "Look")
        content = shown.content
        assert (content["msgtype"], content["filename"]) == ("m.image", "swifts.png")
        assert content["body"] == "@anna · Telegram\n\nLook\n\n(Two swifts)"
        assert content["info"] == {"mimetype": "image/png", "size": len(PNG), "w": 640, "h": 480}
        assert content[VEILED] is True
        assert await ada.download(content["url"]) == PNG
        assert made.message is not None
        await bot.adapter.perform(Edit("k2", made.message, view("Look there", file, footer="1 vote")))
        changed = await ada.wait_message(garden, "Look there")
        assert (changed.event_id, changed.edits) == (shown.event_id, 1)
        assert changed.content["url"] == content["url"]
        assert changed.content["msgtype"] == "m.image"


async def test_a_file_alone_is_called_by_its_description_or_its_name(
    bot: Bot, ada: MatrixPerson, tmp_path: Path
) -> None:
    async with bot.running():
        garden = await in_a_room(bot, ada)
        paper = stored(tmp_path, b"%PDF-1.7", mime="application/pdf", name="minutes.pdf")
        bare = View(Voice.PERSON, Body(), files=(paper,))
        await bot.adapter.perform(Create("k1", chat(garden), bare))
        shown = await ada.wait_message(garden, "minutes.pdf")
        assert (shown.content["msgtype"], "formatted_body" in shown.content) == ("m.file", False)
        described = View(Voice.PERSON, Body(), files=(stored(tmp_path, alt="A swift's nest"),))
        await bot.adapter.perform(Create("k2", chat(garden), described))
        assert (await ada.wait_message(garden, "nest")).content["filename"] == "swifts.png"


async def test_a_file_goes_to_the_homeserver_once_for_all_rooms(
    bot: Bot, ada: MatrixPerson, matrix_proxy: MatrixProxy, tmp_path: Path
) -> None:
    async with bot.running():
        rooms = [await in_a_room(bot, ada) for _ in range(2)]
        file = stored(tmp_path)
        for number, garden in enumerate(rooms):
            await bot.adapter.perform(Create(f"k{number}", chat(garden), view("Look", file)))
        assert matrix_proxy.count(UPLOAD) == 1


async def test_an_upload_whose_answer_is_lost_shows_nothing_and_is_no_unknown_outcome(
    bot: Bot, ada: MatrixPerson, matrix_proxy: MatrixProxy, tmp_path: Path
) -> None:
    async with bot.running():
        garden = await in_a_room(bot, ada)
        create = Create("k1", chat(garden), view("Look", stored(tmp_path)))
        matrix_proxy.drop_after(UPLOAD)
        with pytest.raises(RetryLater) as later:
            await bot.adapter.perform(create)
        assert not later.value.unknown
        await bot.adapter.perform(create)
        await ada.wait_message(garden, "Look")
        matrix_proxy.refuse(UPLOAD, status=413, errcode="M_TOO_LARGE")
        with pytest.raises(Rejected) as refused:
            await bot.adapter.perform(Create("k2", chat(garden), view("More", stored(tmp_path))))
        assert refused.value.why is RejectedWhy.FILE
        gone = replace(stored(tmp_path), path=tmp_path / "gone", digest="gone")
        with pytest.raises(RetryLater) as later:
            await bot.adapter.perform(Create("k3", chat(garden), view("Gone", gone)))
        assert not later.value.unknown
