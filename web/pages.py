"""The public page of a post: what a link in a folded message leads to. Only public posts have one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import quote

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, select_autoescape

from core.body import from_json
from core.errors import Message, message
from core.formats import UNKNOWN, allowed, clean_name
from core.mediastore import MediaStore
from core.records import FileState
from core.scene import Rules, language_of
from core.social.posts import parse_id, short_id
from core.stores.unit import Unit
from core.text import first_words, plain
from core.types import ThingId, Visibility

T = TypeVar("T")
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Reads(Protocol):
    """A snapshot of the database, from any thread."""

    async def read(self, work: Callable[[Unit], T], /) -> T: ...


#: A file is looked at or saved, and can do nothing there.
_FILE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # It may be gone tomorrow: asked for again each time, sent only if it changed.
    "Cache-Control": "no-cache",
}
#: What browsers show by themselves and run nothing of; all else is saved.
_SHOWN = ("image", "video", "audio")


@dataclass(frozen=True, slots=True)
class Enclosed:
    """A file of a post. ``picture``: shown on the page, unless it is a spoiler, which one must ask for."""

    position: int
    name: str
    mime: str
    digest: str
    alt: str
    picture: bool


@dataclass(frozen=True, slots=True)
class Page:
    """A public post as its page shows it."""

    id: str
    author: str
    text: str
    title: str
    votes: int
    guests: int
    at: datetime
    files: tuple[Enclosed, ...] = ()


def public_post(unit: Unit, typed: str) -> Page | None:
    """The post, if it is public and still stands; a stranger learns nothing of the others, not even that they are."""
    id_ = parse_id(typed)
    post = unit.posts.post(id_) if id_ is not None else None
    if post is None or post.visibility is not Visibility.PUBLIC or post.deleted_at is not None:
        return None
    body = from_json(unit.posts.revision(post.id).body)
    member = unit.people.member(post.author_id)
    author = f"{member.name} (@{member.handle})" if member.show_name and member.name else f"@{member.handle}"
    return Page(
        id=short_id(post.id),
        author=author,
        text=plain(body, hide_spoilers=True),
        title=first_words(body, 60),
        votes=post.score,
        guests=post.guests,
        at=post.created_at,
        files=tuple(_files(unit, ThingId(post.id))),
    )


def _files(unit: Unit, thing: ThingId) -> Iterator[Enclosed]:
    for row in unit.media.of(thing):
        blob = unit.media.blob(row.digest) if row.state is FileState.STORED else None
        if blob is not None:
            picture = allowed(blob.mime, ("image",)) and not row.spoiler
            name = clean_name(row.name, blob.mime)
            yield Enclosed(row.position, name, blob.mime, blob.digest, row.alt, picture)


def public_file(unit: Unit, typed: str, position: int) -> Enclosed | None:
    """One file of a post, if that is public and still stands."""
    page = public_post(unit, typed)
    files = page.files if page is not None else ()
    return next((file for file in files if file.position == position), None)


class Pages:
    """Handlers of the public pages; ``words`` as in ``core.ports.Words``."""

    def __init__(self, reads: Reads, rules: Rules, words: Callable[[Message, str], str]) -> None:
        self._reads = reads
        self._rules = rules
        self._words = words
        self._store = MediaStore(rules.media.folder)
        folder = Path(__file__).parent / "templates"
        self._templates = Environment(loader=FileSystemLoader(folder), autoescape=select_autoescape())

    def routes(self) -> list[web.AbstractRouteDef]:
        file = web.get(r"/p/{post}/{position:\d{1,3}}", self._file)
        return [
            web.get("/p/{post}", self._post),
            file,
            web.static("/static", Path(__file__).parent / "static"),
        ]

    async def _post(self, request: web.Request) -> web.Response:
        typed = request.match_info["post"]
        page = await self._reads.read(lambda unit: public_post(unit, typed))
        return self._render(request, "post.html" if page else "missing.html", 200 if page else 404, page=page)

    async def _file(self, request: web.Request) -> web.StreamResponse:
        typed, position = request.match_info["post"], int(request.match_info["position"])
        file = await self._reads.read(lambda unit: public_file(unit, typed, position))
        if file is None or not (path := self._store.path(file.digest)).is_file():
            return self._render(request, "missing.html", 404, page=None)
        shown = allowed(file.mime, _SHOWN)
        how = "inline" if shown else "attachment"
        headers = {
            "Content-Type": file.mime if shown else UNKNOWN,
            "Content-Disposition": f"{how}; filename*=UTF-8''{quote(file.name, safe='')}",
        }
        return web.FileResponse(path, headers=_FILE_HEADERS | headers)

    def _render(self, request: web.Request, name: str, status: int, *, page: Page | None) -> web.Response:
        language = self._language(request)

        def say(id_: str, **args: str | int | datetime) -> str:
            return self._words(message(id_, **args), language)

        html = self._templates.get_template(name).render(page=page, say=say, language=language)
        headers = _HEADERS | {"Content-Language": language, "Vary": "Accept-Language"}
        return web.Response(text=html, status=status, content_type="text/html", headers=headers)

    def _language(self, request: web.Request) -> str:
        wishes = (part.split(";")[0] for part in request.headers.get("Accept-Language", "").split(","))
        tags = (language_of(wish.strip()) for wish in wishes)
        return next((str(tag) for tag in tags if tag in self._rules.languages), self._rules.default_language)
