"""Files on Telegram: what comes with a message, and how ours are shown, against our double through the real library."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from telegram import Update

from bots.telegram.attachments import sending
from bots.telegram.bot import TelegramAdapter
from bots.telegram.convert import Me, inbound
from core.body import Body, Paragraph, Strong, Text
from core.errors import FileRefused, FileWhy, Rejected, RejectedWhy, RetryLater
from core.events import Attachment, CommandEdited, CommandInvoked, Inbound, MessageEdited, MessageReceived
from core.intents import Create, Edit, File, Form, Receipt, View, Voice
from tests.bots.test_telegram_bot import Collector, adapter_of, listening, ref
from tests.doubles.telegram import Chat, Limits, Person, TelegramDouble
from tests.doubles.telegram.media import MAX_DOWNLOAD

pytestmark = [pytest.mark.peer, pytest.mark.asyncio]

ME = Me(777007, "coop_test_bot")
AT = datetime.fromtimestamp(1795379169, UTC)
ADA = {"id": 777006, "is_bot": False, "first_name": "Ada"}
GROUP = {"id": -1000000000021, "title": "Coop", "type": "supergroup"}
PHOTO = [
    {"file_id": "small", "file_unique_id": "s", "width": 90, "height": 60, "file_size": 1000},
    {"file_id": "large", "file_unique_id": "l", "width": 1280, "height": 853, "file_size": 90_000},
    {"file_id": "medium", "file_unique_id": "m", "width": 320, "height": 213, "file_size": 9000},
]
DOCUMENT = {"file_id": "doc", "file_unique_id": "d", "file_name": "minutes.pdf", "mime_type": "application/pdf",
            "file_size": 5000}  # fmt: skip
ANIMATION = {"file_id": "anim", "file_unique_id": "a", "width": 320, "height": 240, "duration": 3,
             "mime_type": "video/mp4", "file_name": "cat.mp4", "file_size": 7000}  # fmt: skip
VOICE = {
    "file_id": "voice",
    "file_unique_id": "v",
    "duration": 4,
    "mime_type": "audio/ogg",
    "file_size": 3000,
}


def png(width: int = 100, height: int = 80) -> bytes:
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + width.to_bytes(4) + height.to_bytes(4) + bytes(3000)


def heard(*, edited: bool = False, **fields: Any) -> Inbound | None:
    message = {"message_id": 104, "from": ADA, "chat": GROUP, "date": 1795379169, **fields}
    if edited:
        message["edit_date"] = 1795379269
    update = Update.de_json({"update_id": 77, "edited_message" if edited else "message": message}, None)
    return inbound(update, ME, lambda _chat, _number: None)


# -- what comes ----------------------------------------------------------------------------------------------------


async def test_a_photograph_with_a_command_under_it_is_a_post_with_the_largest_picture() -> None:
    entities = [{"type": "bot_command", "offset": 0, "length": 5}]
    event = heard(photo=PHOTO, caption="/post Two swifts", caption_entities=entities, has_media_spoiler=True)
    assert isinstance(event, CommandInvoked)
    assert (event.name, event.text, event.source) == ("post", "Two swifts", "Two swifts")
    assert event.files == (
        Attachment(source="large", mime="image/jpeg", size=90_000, spoiler=True, width=1280, height=853),
    )


@pytest.mark.parametrize(
    ("fields", "attachment"),
    [
        ({"document": DOCUMENT}, Attachment(source="doc", name="minutes.pdf", mime="application/pdf", size=5000)),
        (
            {"animation": ANIMATION, "document": DOCUMENT},
            Attachment(source="anim", name="cat.mp4", mime="video/mp4", size=7000, width=320, height=240),
        ),
        ({"voice": VOICE}, Attachment(source="voice", mime="audio/ogg", size=3000)),
        ({"audio": {**VOICE, "mime_type": "audio/mpeg", "file_name": "a.mp3"}},
         Attachment(source="voice", name="a.mp3", mime="audio/mpeg", size=3000)),
        ({"video": ANIMATION},
         Attachment(source="anim", name="cat.mp4", mime="video/mp4", size=7000, width=320, height=240)),
        ({"video_note": {"file_id": "n", "file_unique_id": "u", "length": 240, "duration": 2}},
         Attachment(source="n", mime="video/mp4")),
    ],
)  # fmt: skip
async def test_any_file_without_words_is_ordinary_talk(
    fields: dict[str, Any], attachment: Attachment
) -> None:
    event = heard(**fields)
    assert isinstance(event, MessageReceived)
    assert (event.body, event.source, event.files) == (Body(), "", (attachment,))


async def test_the_messages_of_an_album_name_it() -> None:
    first = heard(photo=PHOTO, caption="/post Two", media_group_id="139")
    second = heard(photo=PHOTO, media_group_id="139")
    assert isinstance(first, CommandInvoked)
    assert isinstance(second, MessageReceived)
    assert first.album == second.album == "telegram:-1000000000021:139"


async def test_an_edit_of_the_words_under_a_file() -> None:
    still = heard(edited=True, photo=PHOTO, caption="/post Three swifts")
    assert isinstance(still, CommandEdited)
    assert (still.text, [file.source for file in still.files]) == ("Three swifts", ["large"])
    wordless = heard(edited=True, photo=PHOTO)
    assert isinstance(wordless, MessageEdited)
    assert wordless.body == Body()


async def test_a_sticker_is_no_file() -> None:
    sticker = {"file_id": "s", "file_unique_id": "u", "width": 512, "height": 512, "is_animated": False,
               "is_video": False, "type": "regular"}  # fmt: skip
    assert heard(sticker=sticker) is None


# -- how ours are sent -----------------------------------------------------------------------------------------------


def stored(tmp_path: Path, data: bytes, mime: str = "image/png", **more: Any) -> File:
    path = tmp_path / f"{len(list(tmp_path.iterdir()))}"
    path.write_bytes(data)
    shape: dict[str, Any] = {
        "digest": path.name,
        "path": path,
        "mime": mime,
        "name": "swifts.png",
        "size": len(data),
    }
    return File(**(shape | more))


@pytest.mark.parametrize(
    ("mime", "more", "kind"),
    [
        ("image/jpeg", {}, "photo"),
        ("image/png", {"width": 4000, "height": 3000}, "photo"),
        ("image/png", {"width": 8000, "height": 3000}, "document"),
        ("image/png", {"width": 2100, "height": 100}, "document"),
        ("image/jpeg", {"size": 10_000_001}, "document"),
        ("image/gif", {}, "animation"),
        ("video/mp4", {}, "video"),
        ("video/webm", {}, "document"),
        ("audio/mpeg", {}, "audio"),
        ("audio/ogg", {}, "document"),
        ("application/pdf", {}, "document"),
    ],
)
async def test_each_kind_has_its_form(tmp_path: Path, mime: str, more: dict[str, Any], kind: str) -> None:
    assert sending(stored(tmp_path, b"x", mime, **more)).kind == kind


@pytest.fixture
async def double() -> AsyncIterator[TelegramDouble]:
    async with TelegramDouble(limits=Limits(enabled=False)) as served:
        yield served
        assert served.violations == []


@pytest.fixture
async def adapter(double: TelegramDouble) -> AsyncIterator[TelegramAdapter]:
    made = adapter_of(double)
    yield made
    await made.close()


@pytest.fixture
def anna(double: TelegramDouble) -> Person:
    return double.person("Anna")


@pytest.fixture
def group(double: TelegramDouble, anna: Person) -> Chat:
    return double.group("Flock", admins=[anna], bot_admin=True)


def view(text: str, *files: File, footer: str = "") -> View:
    blocks = (Paragraph((Strong((Text(text),)),)),) if text else ()
    return View(Voice.PERSON, Body(blocks), author="@anna · Matrix", footer=footer, files=files)


async def test_what_a_person_attached_is_fetched(
    double: TelegramDouble, adapter: TelegramAdapter, anna: Person, group: Chat
) -> None:
    gate = Collector()
    async with listening(adapter, double, gate):
        await anna.attach(group, png(), "/post Two swifts", spoiler=True)
        (event,) = await gate.until(1)
    assert isinstance(event, CommandInvoked)
    (attachment,) = event.files
    assert (attachment.size, attachment.width, attachment.height) == (len(png()), 100, 80)
    portions: list[bytes] = []
    await adapter.fetch(attachment.source, portions.append)
    assert b"".join(portions) == png()


async def test_what_telegram_does_not_give_is_refused_for_good(
    double: TelegramDouble, adapter: TelegramAdapter, anna: Person, group: Chat
) -> None:
    large = double.world.cabinet.keep("document", "film.mp4", "video/mp4", bytes(MAX_DOWNLOAD + 1))
    for source, why in ((large.file_id, FileWhy.SIZE), ("zzz", FileWhy.GONE)):
        with pytest.raises(FileRefused) as refused:
            await adapter.fetch(source, lambda _: None)
        assert refused.value.why is why
    small = double.world.cabinet.keep("document", "a.txt", "text/plain", b"x")
    double.fault("flood", "getFile", retry_after=3)
    with pytest.raises(RetryLater) as later:
        await adapter.fetch(small.file_id, lambda _: None)
    assert later.value.after is not None


async def test_a_picture_is_shown_with_its_words_which_are_edited_under_it(
    double: TelegramDouble, adapter: TelegramAdapter, anna: Person, group: Chat, tmp_path: Path
) -> None:
    asked = await anna.send(group, "/post hi")
    file = stored(tmp_path, png(), spoiler=True)
    made = await adapter.perform(Create("k", ref(group), view("Look", file), reply_to=ref(group, asked.id)))
    shown = double.visible(group)[-1]
    assert made == Receipt(ref(group, shown.id))
    assert shown.media is not None
    assert (shown.media.kind, shown.media.data, shown.media.spoiler) == ("photo", png(), True)
    assert (shown.text.endswith("Look"), shown.silent, shown.reply_to) == (True, True, asked.id)
    assert [entity["type"] for entity in shown.entities][:1] == ["bold"]
    assert made.message is not None
    edit = Edit("e", made.message, view("Look there", file, footer="1 vote"))
    assert await adapter.perform(edit) == made
    changed = double.visible(group)[-1]
    assert changed.media == shown.media
    assert changed.text.endswith("Look there\n\n1 vote")
    with pytest.raises(Rejected) as refused:
        await adapter.perform(edit)
    assert refused.value.why is RejectedWhy.UNCHANGED


async def test_a_file_alone_needs_no_words_and_keeps_its_name(
    double: TelegramDouble, adapter: TelegramAdapter, group: Chat, tmp_path: Path
) -> None:
    file = stored(tmp_path, b"%PDF-1.7", "application/pdf", name="minutes of may.pdf")
    bare = View(Voice.PERSON, Body(), files=(file,))
    await adapter.perform(Create("k", ref(group), bare))
    shown = double.visible(group)[-1]
    assert shown.media is not None
    assert (shown.media.kind, shown.media.name, shown.text) == ("document", "minutes of may.pdf", "")


async def test_a_picture_that_telegram_cannot_show_as_one_goes_as_a_document(
    double: TelegramDouble, adapter: TelegramAdapter, group: Chat, tmp_path: Path
) -> None:
    await adapter.perform(Create("k", ref(group), view("Long", stored(tmp_path, png(3000, 100)))))
    shown = double.visible(group)[-1]
    assert shown.media is not None
    assert shown.media.kind == "document"
    assert len(double.visible(group)) == 1


async def test_an_answer_with_a_picture_to_a_vanished_message_is_sent_all_the_same(
    double: TelegramDouble, adapter: TelegramAdapter, group: Chat, tmp_path: Path
) -> None:
    double.fault("flood", "sendPhoto", retry_after=2)
    create = Create("k", ref(group), view("Look", stored(tmp_path, png())), reply_to=ref(group, 999))
    with pytest.raises(RetryLater):
        await adapter.perform(create)
    await adapter.perform(create)
    assert [shown.reply_to for shown in double.visible(group)] == [None]


async def test_words_that_are_too_long_for_a_caption_are_a_matter_of_form(
    adapter: TelegramAdapter, group: Chat, tmp_path: Path
) -> None:
    file = stored(tmp_path, png())
    long = view("x" * 1100, file)
    taken, room = adapter.capabilities.measure(long, Form.FULL) if adapter.capabilities.measure else (0, 0)
    assert taken > room == 1024
    with pytest.raises(Rejected) as refused:
        await adapter.perform(Create("k", ref(group), long))
    assert refused.value.why is RejectedWhy.FORM


async def test_a_stored_file_that_went_with_its_post_is_no_unknown_outcome(
    adapter: TelegramAdapter, group: Chat, tmp_path: Path
) -> None:
    file = replace(stored(tmp_path, png()), path=tmp_path / "gone")
    with pytest.raises(RetryLater) as later:
        await adapter.perform(Create("k", ref(group), view("Look", file)))
    assert not later.value.unknown
