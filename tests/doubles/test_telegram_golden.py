"""Our Bot API double against recorded answers of the genuine server: same status, sentence and shape."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.doubles.telegram import Chat, Limits, Person, TelegramDouble
from tests.doubles.telegram.model import REACTIONS
from tests.doubles.telegram.spec import SpecValidator

Json = dict[str, Any]

GROUP = -1000000000021
# The test network behind the recording allows what the real one does not, and has codes of its own.
OF_THE_TEST_NETWORK = {
    ("setMessageReaction", "not in list"),
    ("setMessageReaction", "two"),
    ("getChatMember", ""),
    ("setWebhook", "https reserved ip/port"),
}
NOT_YET = {
    "banChatMember",
    "createForumTopic",
    "sendMediaGroup",
    "sendPoll",
}
# Ours follows 10.0, which tells more about a bot than the recorded 9.0.
SINCE_9 = {"supports_guest_queries", "has_topics_enabled", "allows_users_to_create_topics", "can_manage_bots"}
# What is drawn by the server or grows with the clock; equal in kind only.
DRAWN = {"date", "edit_date", "message_id", "update_id", "file_id", "file_unique_id", "file_size"}
#: What was uploaded in the recording, as far as its answers tell.
UPLOADS = {
    "document": ("a.txt", b"x" * 150),
    "photo": ("a.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (100).to_bytes(4) * 2 + bytes(800)),
}


@dataclass
class Stage:
    """The room of the recording: Ada's private chat with the bot, and a group."""

    double: TelegramDouble
    ada: Person
    group: Chat
    http: aiohttp.ClientSession

    async def call(self, method: str, params: Json | None, files: Sequence[str] = ()) -> tuple[int, Json]:
        form = aiohttp.FormData()
        for name, value in (params or {}).items():
            form.add_field(name, str(value).replace(str(GROUP), str(self.group.id)))
        for name in files:
            form.add_field(name, UPLOADS[name][1], filename=UPLOADS[name][0])
        async with self.http.post(f"{self.double.base_url}{self.double.token}/{method}", data=form) as answer:
            text = (await answer.text()).replace(str(self.group.id), str(GROUP))
            return answer.status, json.loads(text)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    double = TelegramDouble(bot_name="Coop Bot", bot_username="coop_test_bot", limits=Limits(enabled=False))
    double.bot.language_code = "en"
    async with double, aiohttp.ClientSession() as http:
        ada = double.person("Ada", last_name="X", language="en", premium=True, user_id=777006)
        yield Stage(double, ada, double.group("Coop", admins=[ada]), http)


@pytest.fixture
def recording(shared: Path) -> list[Json]:
    lines = (shared / "data" / "telegram-golden.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def comparable(value: Any) -> Any:
    """The answer with what is drawn by the server reduced to its type."""
    if isinstance(value, dict):
        kept = {name: each for name, each in value.items() if name not in SINCE_9}
        return {name: type(each) if name in DRAWN else comparable(each) for name, each in kept.items()}
    return [comparable(each) for each in value] if isinstance(value, list) else value


async def acts_before(stage: Stage, note: str) -> None:
    """What Ada did in the recording before the call with this note."""
    if note == "deep link":
        await stage.ada.start("join_abc")
    if note == "message+edited":
        stage.double.world.updates.pending.clear()
        await stage.ada.say("orig")
    if note == "group":
        await stage.ada.edit(stage.double.visible(stage.ada)[-1], "edited")
        stage.double.privacy = False  # the recorded group handed ordinary talk to the bot
        await stage.ada.send(stage.group, "hello")


def replayable(line: Json) -> bool:
    known = (line["method"], line["note"]) not in OF_THE_TEST_NETWORK and line["method"] not in NOT_YET
    return known and line["note"] not in ("first poller", "message+edited", "group")


async def test_the_recording_is_answered_alike(stage: Stage, recording: list[Json]) -> None:
    stage.double.world.updates.allowed = tuple(recording[1]["response"]["result"]["allowed_updates"])
    replayed = 0
    for line in filter(replayable, recording):
        await acts_before(stage, line["note"])
        status, answer = await stage.call(line["method"], line["params"], line["files"] or ())
        expected = (line["http"], comparable(line["response"]))
        assert (status, comparable(answer)) == expected, f"{line['method']} {line['note']}"
        replayed += 1
    assert replayed >= 35


async def test_updates_of_messages_edits_and_groups_are_alike(stage: Stage, recording: list[Json]) -> None:
    notes = {line["note"]: line for line in recording if line["note"]}
    await stage.ada.start()
    await acts_before(stage, "message+edited")
    first = await stage.call("getUpdates", {"timeout": 1})
    await acts_before(stage, "group")
    both = await stage.call("getUpdates", {"timeout": 1})
    for (_, answer), note in ((first, "message+edited"), (both, "group")):
        assert comparable(answer) == comparable(notes[note]["response"])


async def test_the_first_of_two_pollers_gets_the_genuine_conflict(
    stage: Stage, recording: list[Json]
) -> None:
    first = asyncio.create_task(stage.call("getUpdates", {"timeout": 6}))
    await stage.double.wait_until(lambda: stage.double.world.updates.polling)
    await stage.call("getUpdates", {"timeout": 0})
    [line] = [line for line in recording if line["note"] == "first poller"]
    assert await first == (line["http"], line["response"])


def test_the_validator_accepts_what_the_genuine_server_answered(shared: Path, recording: list[Json]) -> None:
    spec = SpecValidator(shared / "data" / "telegram-bot-api-10.0.json")
    good = [line for line in recording if line["http"] == 200]
    faults = [fault for line in good for fault in spec.result(line["method"], line["response"]["result"])]
    assert faults == []


def test_the_reactions_are_those_of_the_specification(shared: Path) -> None:
    document = json.loads((shared / "data" / "telegram-bot-api-10.0.json").read_text(encoding="utf-8"))
    described = document["types"]["ReactionTypeEmoji"]["fields"][1]["description"]
    assert set(re.findall(r'"([^"]+)"', described)) == REACTIONS
