"""The playground in a browser: the whole program behind it, three rooms in front."""

import base64
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, Page, async_playwright, expect

from bots.playground.platform import Playground
from bots.playground.server import SAID, language_of, make_app
from core.formats import UNKNOWN
from stormo.app import Stormo
from stormo.clock import SystemClock
from stormo.config import parse
from stormo.words import Catalogue

CONFIG = """
[data]
dir = "{data}"

[web]
port = 0
"""
#: A picture of one dot.
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
ARGS = ["--no-sandbox", "--disable-quic", "--disable-background-networking"]
#: Milliseconds for what a busy machine may take; nothing waits for it to pass.
PATIENCE = 15_000
Open = Callable[..., Awaitable[Page]]


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[Stormo]:
    async with Stormo(parse(CONFIG.format(data=tmp_path / "data"), {})) as running:
        yield running


@pytest.fixture
def url(app: Stormo) -> str:
    return f"http://127.0.0.1:{app.address[1]}/playground/"


@pytest.fixture
async def bare_url() -> AsyncIterator[str]:
    """The page without the program behind it."""
    playground = Playground(SystemClock())
    site = web.Application()
    site.add_subapp("/playground", make_app(playground, words=Catalogue()))
    server = TestServer(site)
    await server.start_server()
    yield f"http://127.0.0.1:{server.port}/playground/"
    await server.close()
    playground.close()


@pytest.fixture
async def browser(chromium: Path) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=chromium, args=ARGS)
        yield running
        await running.close()


@pytest.fixture
async def visit(browser: Browser, url: str) -> AsyncIterator[Open]:
    """Opens the page in a fresh browser profile. No page may complain, or ask anybody else for anything."""
    complaints: list[str] = []

    async def visited(**options: Any) -> Page:
        page = await (await browser.new_context(**options)).new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda line: complaints.extend([line.text] * (line.type == "error")))
        page.on("request", lambda asked: complaints.extend([asked.url] * (not _is_ours(asked.url, url))))
        await page.goto(url)
        await page.locator("body[data-ready]").wait_for()
        return page

    expect.set_options(timeout=PATIENCE)
    yield visited
    assert complaints == []


def _is_ours(asked: str, url: str) -> bool:
    return asked.startswith((url, url.replace("http", "ws"), "data:"))


async def write(page: Page, look: str, text: str) -> None:
    box = page.locator(f".{look} textarea")
    await box.fill(text)
    await box.press("Enter")
    await expect(box).to_have_value("")


async def act(page: Page, look: str, words: str, tool: str) -> None:
    """Use a tool of the newest message with these words, by keyboard."""
    message = page.locator(f".{look} .message", has_text=words).last
    await message.focus()
    button = message.locator(f'[data-act="{tool}"]')
    await button.focus()
    await button.press("Enter")


async def play(page: Page, person: str) -> None:
    await page.locator(f"[data-person={person}]").click()


async def set_the_stage(page: Page) -> None:
    await page.locator("#stage").click()
    await expect(page.locator("#stage")).to_be_enabled()
    await expect(page.locator(".discord .frame")).to_contain_text("Hello, flock!")
    await expect(page.locator(".matrix .ours .author")).to_contain_text("@bruno · Telegram")


@pytest.mark.browser
@pytest.mark.slow
async def test_a_post_and_its_votes_move_between_the_rooms(visit: Open) -> None:
    page = await visit(locale="en-GB")
    await set_the_stage(page)
    discord, matrix = page.locator(".discord .frame"), page.locator(".matrix .voice-person.ours")

    await act(page, "matrix", "Hello, flock!", "👍")
    await expect(discord.locator(".footer")).to_have_text("1 vote")
    await expect(matrix.locator(".footer")).to_have_text("1 vote")
    # The same person, on another platform: still one vote.
    await act(page, "discord", "Hello, flock!", "❤")
    await expect(page.locator(".discord .voice-person.ours .reaction")).to_have_attribute(
        "aria-pressed", "true"
    )
    await play(page, "chiara")
    await act(page, "discord", "Hello, flock!", "👍")
    await expect(matrix.locator(".footer")).to_have_text("2 votes")
    await act(page, "discord", "Hello, flock!", "reaction 👍")
    await expect(matrix.locator(".footer")).to_have_text("1 vote")

    await play(page, "bruno")
    await act(page, "telegram", "/post Hello, flock!", "edit")
    box = page.locator(".telegram textarea")
    await expect(box).to_have_value(re.compile("^/post Hello, flock!"))
    await box.fill("/post Hello, **everybody**!")
    await box.press("Enter")
    await expect(discord.locator("strong")).to_have_text("everybody")
    await expect(matrix).to_contain_text("Hello, everybody!")

    await act(page, "telegram", "/post Hello, everybody!", "delete")
    await expect(discord).to_have_count(0)
    await expect(matrix).to_have_count(0)


@pytest.mark.browser
@pytest.mark.slow
async def test_a_reply_to_a_copy_travels_and_what_is_written_is_never_markup(visit: Open) -> None:
    page = await visit(locale="en-GB")
    await set_the_stage(page)
    await play(page, "chiara")
    await act(page, "matrix", "Hello, flock!", "reply")
    await expect(page.locator(".matrix .bar")).to_contain_text("Replying to @bruno")
    await write(page, "matrix", "<img src=x onerror=alert(1)> & welcome")
    await expect(page.locator(".discord .frame").last).to_contain_text(
        "<img src=x onerror=alert(1)> & welcome"
    )
    assert await page.locator("main .text img").count() == 0


@pytest.mark.browser
@pytest.mark.slow
async def test_a_slash_commands_answer_is_for_its_asker_alone(visit: Open) -> None:
    page = await visit(locale="en-GB")
    await write(page, "discord", "/help")
    answer = page.locator(".discord .ephemeral")
    await expect(answer).to_contain_text("Only you can see this")
    await play(page, "bruno")
    await expect(answer).to_have_count(0)
    await play(page, "anna")
    await answer.get_by_role("button", name="Dismiss").click()
    await expect(answer).to_have_count(0)


@pytest.mark.browser
@pytest.mark.slow
async def test_the_private_chat_answers_and_says_so_when_it_is_shut(visit: Open) -> None:
    page = await visit(locale="en-GB")
    await page.locator(".telegram .door").click()
    await expect(page.locator(".telegram .message.ours")).to_contain_text("Hello Anna!")
    await write(page, "telegram", "/whoami")
    await expect(page.locator(".telegram .message.ours")).to_have_count(2)
    await page.locator(".telegram .door").click()
    await expect(page.locator(".telegram h2")).to_have_text("Stormo birds")


@pytest.mark.browser
@pytest.mark.slow
async def test_a_picture_travels_with_the_words(visit: Open, tmp_path: Path) -> None:
    picture = tmp_path / "swifts.png"
    picture.write_bytes(base64.b64decode(PIXEL))
    page = await visit(locale="en-GB")
    await set_the_stage(page)
    await play(page, "bruno")
    await page.locator(".telegram input[type=file]").set_input_files(picture)
    await expect(page.locator(".telegram .bar")).to_contain_text("swifts.png")
    await write(page, "telegram", "/post Look")
    shown = page.locator(".discord .ours .files img")
    await expect(shown).to_be_visible()
    assert await shown.evaluate("image => image.decode().then(() => image.naturalWidth)") == 1


@pytest.mark.parametrize(
    ("content", "mime"),
    [(base64.b64decode(PIXEL), "image/png"), (b"<script>alert(1)</script>", UNKNOWN)],
    ids=["picture", "script"],
)
async def test_a_file_is_served_as_what_it_is_and_never_runs(
    bare_url: str, content: bytes, mime: str
) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{bare_url}file?name=a.html", data=content) as answer:
            filed = await answer.json()
        async with session.get(f"{bare_url}file/{filed['id']}") as answer:
            assert await answer.read() == content
            assert answer.content_type == mime
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Content-Disposition"] == ("inline" if mime != UNKNOWN else "attachment")
        async with session.get(f"{bare_url}file/{'0' * 64}") as answer:
            assert answer.status == 404


@pytest.mark.browser
@pytest.mark.slow
async def test_two_pages_see_the_same_and_a_reload_loses_nothing(visit: Open) -> None:
    first, second = await visit(locale="en-GB"), await visit(locale="en-GB")
    await write(first, "matrix", "Good morning")
    await expect(second.locator(".matrix .message")).to_contain_text("Good morning")
    await act(second, "matrix", "Good morning", "🎉")
    await expect(first.locator(".matrix .reaction")).to_contain_text("1")
    await first.reload()
    await expect(first.locator(".matrix .message")).to_contain_text("Good morning")


@pytest.mark.browser
@pytest.mark.slow
async def test_new_people_admins_and_suggested_commands(visit: Open) -> None:
    page = await visit(locale="en-GB")
    await page.locator("#newcomer input").fill("Dario")
    await page.locator("#newcomer input").press("Enter")
    await expect(page.locator("[data-person=dario]")).to_have_attribute("aria-checked", "true")
    await expect(page.locator("#admin")).not_to_be_checked()
    await page.locator("#admin").press("Space")
    await expect(page.locator("#admin")).to_be_checked()
    await page.locator(".matrix textarea").fill("!wh")
    await expect(page.locator(".matrix .chip")).to_have_text(["!whoami"])
    await page.locator(".matrix .chip").click()
    await expect(page.locator(".matrix textarea")).to_have_value("!whoami")
    await expect(page.locator(".matrix textarea")).to_be_focused()


@pytest.mark.browser
@pytest.mark.slow
async def test_what_is_not_allowed_is_said(visit: Open) -> None:
    page = await visit(locale="en-GB")
    await page.locator("#newcomer input").fill("Anna")
    await page.locator("#newcomer input").press("Enter")
    await expect(page.get_by_role("alert")).to_have_text("Choose another name: this one is empty or taken.")


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("size", [(1280, 800), (390, 844)])
async def test_it_fits_the_screen_and_every_control_has_a_name(visit: Open, size: tuple[int, int]) -> None:
    page = await visit(viewport={"width": size[0], "height": size[1]}, locale="it-IT")
    await expect(page.locator("html")).to_have_attribute("lang", "it")
    await write(page, "discord", "Buongiorno " * 30)
    wide = await page.evaluate("document.documentElement.scrollWidth")
    tall = await page.evaluate("document.documentElement.scrollHeight")
    assert (wide, tall) <= size
    nameless = await page.evaluate(
        """[...document.querySelectorAll('button, input, textarea, select, a')]
           .filter((node) => !(node.getAttribute('aria-label') || node.textContent.trim() || node.labels?.length))
           .map((node) => node.outerHTML)"""
    )
    assert nameless == []
    await expect(page.locator(".discord textarea")).to_be_visible()
    if size[0] < 820:
        await page.get_by_role("button", name="Matrix", exact=True).click()
        await expect(page.locator(".matrix textarea")).to_be_visible()
        await expect(page.locator(".discord textarea")).to_be_hidden()


# -- the server ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:8080"},
        {"Host": "["},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
@pytest.mark.parametrize("path", ["", "ws", "static/playground.js"])
async def test_no_foreign_page_reaches_it(bare_url: str, headers: dict[str, str], path: str) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    async with aiohttp.ClientSession() as session:
        more = upgrade if path == "ws" else {}
        async with session.get(bare_url + path, headers=headers | more) as answer:
            assert answer.status in (400, 403)


async def test_the_page_may_load_nothing_from_elsewhere(bare_url: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(bare_url) as answer:
        policy = answer.headers["Content-Security-Policy"]
        text = await answer.text()
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert re.findall(r"(?:src|href)=\"(?:https?:)?//", text) == []
    assert re.findall(r"<script(?![^>]*(?:src=|application/json))", text) == []


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "{",
        "[]",
        "7",
        "null",
        '{"do": "nonsense", "who": "anna", "message": "x"}',
        '{"do": "send", "who": "anna", "room": "nowhere", "text": "hello"}',
        '{"do": "send", "who": "nobody", "room": "matrix", "text": "hello"}',
        '{"do": "send", "who": ["anna"], "room": "matrix", "text": "hello"}',
        '{"do": "send", "who": "anna", "room": "matrix", "text": ""}',
        '{"do": "private", "who": "anna", "look": "nowhere"}',
        '{"do": "react", "who": "anna", "message": "x", "emoji": "👍", "on": true}',
    ],
)
async def test_a_malformed_act_is_answered_and_harms_nothing(bare_url: str, frame: str) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{bare_url}ws") as socket:
        assert (await socket.receive_json(timeout=10))["type"] == "state"
        await socket.send_str(frame)
        answer = await socket.receive_json(timeout=10)
        assert answer["type"] == "done"
        assert answer["error"]
        fine = {"n": 2, "do": "send", "who": "anna", "room": "matrix", "text": "still here"}
        await socket.send_str(json.dumps(fine))
        kinds = []
        while "done" not in kinds:
            received = await socket.receive(timeout=10)
            assert received.type is WSMsgType.TEXT
            item = json.loads(received.data)
            kinds.append(item["type"])
    assert "message" in kinds


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("it-IT,it;q=0.9,en;q=0.8", "it"),
        ("de, it;q=0.5, en;q=0.7", "en"),
        ("fr;q=bad, it", "it"),
        ("*", "en"),
    ],
)
def test_the_page_speaks_the_readers_language(accepted: str, language: str) -> None:
    assert language_of(accepted) == language


def test_every_text_of_the_page_is_in_the_catalogue() -> None:
    known = Catalogue().ids("en")
    assert [id_ for id_ in SAID if f"playground.{id_}" not in known] == []
