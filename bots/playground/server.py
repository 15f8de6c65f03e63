"""The page of the playground: what happens goes out as JSON over a WebSocket, what the visitor does comes in."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import WSMsgType, web
from jinja2 import Environment, FileSystemLoader, select_autoescape
from markupsafe import Markup

from bots.playground.drawer import Filed
from bots.playground.journal import Record
from bots.playground.looks import LANGUAGES, LOOKS
from bots.playground.people import NotAllowed, Person, add_person
from bots.playground.platform import Message, Playground, Room, message_record
from bots.playground.stage import set_stage
from core.commands import COMMANDS, Kind
from core.errors import Message as Sentence
from core.formats import UNKNOWN, allowed, sniff
from core.ports import Words

_LOG: Final = logging.getLogger(__name__)
_STATIC: Final = Path(__file__).parent / "static"
#: Names under which only this machine reaches itself.
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
#: The newest messages of each room that a page is given when it opens.
_HISTORY: Final = 80
#: Changes that a slow page may be behind before it is given everything anew.
_BEHIND: Final = 500
_MAX_FRAME: Final = 64 * 1024
#: Bytes of a file that a visitor sends.
_MAX_FILE: Final = 25 * 1024 * 1024
#: What the page says, by the second half of its id.
SAID: Final = (
    "title",
    "tagline",
    "you_are",
    "add_person",
    "their_name",
    "admin",
    "step_join",
    "step_setup",
    "step_post",
    "stage",
    "stage_hint",
    "stage_busy",
    "hide_hints",
    "show_hints",
    "rooms",
    "room",
    "group",
    "private",
    "private_short",
    "group_short",
    "write",
    "send",
    "attach",
    "save",
    "reply",
    "replying",
    "edit",
    "editing",
    "delete",
    "cancel",
    "react",
    "reactions",
    "only_you",
    "dismiss",
    "edited",
    "pinned",
    "bot",
    "app",
    "members",
    "encrypted",
    "nothing_yet",
    "commands",
    "offline",
    "failed",
)
_HOWS: Final = ("join", "setup", "post")
_FILLED: Final = {"name": "{name}"}

PLAYGROUND: Final = web.AppKey("playground", Playground)


def make_app(
    playground: Playground, *, words: Words, allowed_hosts: frozenset[str] = LOOPBACK
) -> web.Application:
    """The page, its files and its WebSocket, to be mounted under a prefix.

    ``allowed_hosts``: names under which it may be asked for; any other is refused, so that no foreign page can
    reach it through a name of its own.
    """
    app = web.Application(
        client_max_size=_MAX_FILE, middlewares=[_guard(frozenset(host.lower() for host in allowed_hosts))]
    )
    app[PLAYGROUND] = playground
    desk = _Desk(playground, words)
    app.router.add_get("/", desk.page)
    app.router.add_get("/ws", desk.socket)
    app.router.add_post("/file", desk.take_file)
    app.router.add_get("/file/{id}", desk.give_file)
    app.router.add_static("/static", _STATIC)
    app.on_response_prepare.append(_with_headers)
    app.on_shutdown.append(desk.close)
    return app


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _guard(allowed: frozenset[str]) -> Any:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        foreign = origin is not None and urlsplit(origin).netloc.lower() != request.host.lower()
        if _hostname(request.host) not in allowed or foreign:
            raise web.HTTPForbidden(text="This playground is for its own machine only.")
        return await handler(request)

    return guard


def _hostname(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


async def _with_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)


def language_of(accepted: str) -> str:
    """The first of our languages in an ``Accept-Language``, by its weights."""
    wishes: list[tuple[float, str]] = []
    for part in accepted.split(","):
        tag, _, weight = part.strip().partition(";q=")
        try:
            wishes.append((-float(weight or 1), tag.split("-")[0].lower()))
        except ValueError:
            continue
    wishes.sort(key=lambda wish: wish[0])
    return next((tag for _, tag in wishes if tag in LANGUAGES), LANGUAGES[0])


@dataclass(slots=True)
class _Page:
    """One open page. ``behind``: it missed changes and must be given everything anew."""

    queue: asyncio.Queue[dict[str, Any]]
    language: str
    behind: bool = False

    def put(self, item: dict[str, Any]) -> None:
        try:
            self.queue.put_nowait(item)
        except asyncio.QueueFull:
            self.behind = True


class _Desk:
    """Answers the page."""

    def __init__(self, playground: Playground, words: Words) -> None:
        self._playground = playground
        self._words = words
        self._sockets: set[web.WebSocketResponse] = set()
        self._stages: set[asyncio.Task[None]] = set()
        folder = FileSystemLoader(_STATIC)
        self._template = Environment(loader=folder, autoescape=select_autoescape()).get_template(
            "playground.html"
        )

    async def close(self, _: web.Application) -> None:
        for task in self._stages:
            task.cancel()
        for socket in tuple(self._sockets):
            await socket.close(code=1001)

    async def page(self, request: web.Request) -> web.Response:
        language = language_of(request.headers.get("Accept-Language", ""))
        said = {id_: self._say(id_, language) for id_ in SAID}
        how = {id_: self._how(id_, language) for id_ in _HOWS}
        facts = {"language": language, "say": said, "looks": _looks(), "commands": self._commands(language)}
        text = self._template.render(language=language, say=said, how=how, words=_script(facts))
        return web.Response(text=text, content_type="text/html")

    def _say(self, id_: str, language: str) -> str:
        return self._words(Sentence(f"playground.{id_}", _FILLED), language)

    def _how(self, command: str, language: str) -> str:
        typed = {"join": "/join", "setup": "/setup", "post": "/post Ciao!"}[command]
        return self._words(Sentence(f"playground.step_{command}_how", {"name": typed}), language)

    def _commands(self, language: str) -> list[dict[str, Any]]:
        return [
            {
                "name": spec.name,
                "help": self._words(Sentence(f"command.{spec.name}"), language),
                "example": spec.examples[0] if spec.examples else spec.name,
                "first": spec.short_help or spec.name in ("setup", "mirror"),
                "bare": not any(arg.required or arg.kind is Kind.TEXT for arg in spec.args)
                and not spec.verbs,
            }
            for spec in COMMANDS
        ]

    async def take_file(self, request: web.Request) -> web.Response:
        """A file that is to be sent; its name stands in the address."""
        put, content = self._playground.drawer.put, await request.read()
        filed = await asyncio.to_thread(put, content, request.query.get("name", ""))
        return web.json_response(asdict(filed))

    async def give_file(self, request: web.Request) -> web.Response:
        """A picture to be looked at, anything else to be saved."""
        content = await asyncio.to_thread(self._playground.drawer.get, request.match_info["id"])
        if content is None:
            raise web.HTTPNotFound
        mime = sniff(content)
        shown = allowed(mime, ("image",))
        headers = {"Content-Disposition": "inline" if shown else "attachment"}
        return web.Response(body=content, content_type=mime if shown else UNKNOWN, headers=headers)

    async def socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(heartbeat=30, max_msg_size=_MAX_FRAME)
        await socket.prepare(request)
        page = _Page(asyncio.Queue(_BEHIND), language_of(request.headers.get("Accept-Language", "")))
        forget = self._playground.watch(lambda record: self._noticed(page, record))
        self._sockets.add(socket)
        writer = asyncio.create_task(self._write(socket, page))
        try:
            async for frame in socket:
                if frame.type is WSMsgType.TEXT:
                    await self._take(frame.data, page)
        finally:
            forget()
            self._sockets.discard(socket)
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
        return socket

    async def _take(self, text: str, page: _Page) -> None:
        """Acts happen in their order; only setting the stage, which waits for answers, lets others pass."""

        async def answered() -> None:
            page.put(await self._act(text, page.language))

        if '"stage"' not in text:
            return await answered()
        task = asyncio.create_task(answered())
        self._stages.add(task)
        return task.add_done_callback(self._stages.discard)

    async def _write(self, socket: web.WebSocketResponse, page: _Page) -> None:
        page.put(self._state())
        with suppress(ConnectionError):
            while True:
                item = await page.queue.get()
                if page.behind:
                    page.behind = False
                    while not page.queue.empty():
                        page.queue.get_nowait()
                    item = self._state()
                await socket.send_str(json.dumps(item, ensure_ascii=False))

    def _noticed(self, page: _Page, record: Record) -> None:
        match record["do"]:
            case "person":
                page.put({"type": "person", "person": self._person(record["id"])})
            case "room":
                page.put({"type": "room", "room": _room(self._playground.rooms[record["id"]])})
            case "message" | "edit" | "delete" | "react":
                page.put({"type": "message", "message": _message(self._playground.messages[record["id"]])})

    def _state(self) -> dict[str, Any]:
        playground = self._playground
        shown: list[Message] = []
        for id_ in playground.rooms:
            here = [m for m in playground.messages.values() if m.room == id_ and not m.deleted]
            shown += [m for m in here if m.kind != "toast"][-_HISTORY:]
        return {
            "type": "state",
            "people": [self._person(id_) for id_ in playground.people],
            "rooms": [_room(room) for room in playground.rooms.values()],
            "messages": [_message(message) for message in shown],
        }

    def _person(self, id_: str) -> dict[str, Any]:
        return {"id": id_, "name": self._playground.people[id_].name}

    # -- what the visitor does ---------------------------------------------------------------------

    async def _act(self, text: str, language: str) -> dict[str, Any]:
        """Does one act; what it answers says how it ended, under the number that the page gave it."""
        number: object = None
        try:
            act = json.loads(text)
            number = act.get("n")
            done = await self._do(act, language)
        except NotAllowed as refused:
            why = self._words(Sentence(refused.id), language)
            return {"type": "done", "n": number, "error": why}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            _LOG.debug("playground: malformed act: %s", type(error).__name__)
            return {
                "type": "done",
                "n": number,
                "error": self._words(Sentence("playground.failed"), language),
            }
        return {"type": "done", "n": number, **done}

    async def _do(self, act: Mapping[str, Any], language: str) -> dict[str, Any]:
        match act["do"]:
            case "stage":
                self._speak(language)
                first = self._words(Sentence("playground.stage_post"), language)
                await set_stage(self._playground, self._words, first)
                return {}
            case "person":
                person = await add_person(self._playground, str(act["name"]), language)
                return {"person": person.id}
        if act["who"] not in self._playground.people:
            raise NotAllowed("playground.not_here")
        self._speak(language)
        return await self._personal(Person(self._playground, act["who"]), act)

    async def _personal(self, person: Person, act: Mapping[str, Any]) -> dict[str, Any]:
        match act["do"]:
            case "send":
                answered = self._message(act["reply_to"]) if act.get("reply_to") else None
                files = [self._file(file) for file in act.get("files", ())]
                await person.send(str(act["room"]), str(act["text"]), answered, files)
            case "private":
                return {"room": (await person.private(f"playground-{act['look']}")).id}
            case "admin":
                for room in tuple(self._playground.rooms.values()):
                    if not room.private_of:
                        await person.set_admin(room, on=bool(act["on"]))
            case _:
                await self._on_message(person, self._message(act["message"]), act)
        return {}

    async def _on_message(self, person: Person, message: Message, act: Mapping[str, Any]) -> None:
        match act["do"]:
            case "edit":
                await person.edit(message, str(act["text"]))
            case "delete":
                await person.delete(message)
            case "react" if act["on"]:
                await person.react(message, str(act["emoji"])[:8])
            case "react":
                await person.unreact(message, str(act["emoji"])[:8])
            case "press":
                await person.press(message, str(act["data"]))
            case _:
                raise ValueError("unknown act")

    def _file(self, file: Mapping[str, Any]) -> Filed:
        alt, spoiler = str(file.get("alt", "")), bool(file.get("spoiler"))
        found = self._playground.drawer.again(str(file["id"]), str(file["name"]), alt=alt, spoiler=spoiler)
        if found is None:
            raise NotAllowed("playground.not_here")
        return found

    def _message(self, id_: object) -> Message:
        found = self._playground.messages.get(str(id_))
        if found is None:
            raise NotAllowed("playground.not_here")
        return found

    def _speak(self, language: str) -> None:
        """Who plays them reads this language, so they do."""
        for figure in tuple(self._playground.people.values()):
            if figure.language != language:
                fresh = replace(figure, language=language)
                self._playground.commit("person", id=fresh.id, name=fresh.name, language=language)


def _script(facts: Mapping[str, Any]) -> Markup:
    """JSON that cannot end the element around it."""
    text = json.dumps(facts, ensure_ascii=False)
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))  # noqa: S704


def _looks() -> list[dict[str, Any]]:
    return [
        {
            "name": look.name,
            "label": look.capabilities.label,
            "prefix": look.capabilities.command_prefix,
            "max": look.max_typed,
        }
        for look in LOOKS
    ]


def _room(room: Room) -> dict[str, Any]:
    return {
        "id": room.id,
        "look": room.look.name,
        "title": room.title,
        "private_of": room.private_of,
        "admins": sorted(room.admins),
    }


def _message(message: Message) -> dict[str, Any]:
    hidden = ("shown", "key", "refs", "silent")
    record = {name: value for name, value in message_record(message).items() if name not in hidden}
    shown = message_record(message)["shown"]
    return record | {"said": shown}
