"""The public page of a post: what a link in a folded message leads to. Only public posts have one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeVar

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, select_autoescape

from core.body import from_json
from core.errors import Message, message
from core.scene import Rules, language_of
from core.social.posts import parse_id
from core.stores import Unit
from core.text import first_words, plain
from core.types import Visibility

T = TypeVar("T")
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Reads(Protocol):
    """A snapshot of the database, from any thread."""

    async def read(self, work: Callable[[Unit], T], /) -> T: ...


@dataclass(frozen=True, slots=True)
class Page:
    """A public post as its page shows it."""

    author: str
    text: str
    title: str
    votes: int
    guests: int
    at: datetime


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
        author=author,
        text=plain(body, hide_spoilers=True),
        title=first_words(body, 60),
        votes=post.score,
        guests=post.guests,
        at=post.created_at,
    )


class Pages:
    """Handlers of the public pages; ``words`` as in ``core.ports.Words``."""

    def __init__(self, reads: Reads, rules: Rules, words: Callable[[Message, str], str]) -> None:
        self._reads = reads
        self._rules = rules
        self._words = words
        folder = Path(__file__).parent / "templates"
        self._templates = Environment(loader=FileSystemLoader(folder), autoescape=select_autoescape())

    def routes(self) -> list[web.AbstractRouteDef]:
        return [web.get("/p/{post}", self._post), web.static("/static", Path(__file__).parent / "static")]

    async def _post(self, request: web.Request) -> web.Response:
        typed = request.match_info["post"]
        page = await self._reads.read(lambda unit: public_post(unit, typed))
        return self._render(request, "post.html" if page else "missing.html", 200 if page else 404, page=page)

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
