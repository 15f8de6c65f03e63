"""Views -> contents of ``m.room.message``. Pure.

Everything is escaped, ``m.mentions`` is empty on every message: a copy never pings anybody. People's words go
as ``m.text``, the bot's as ``m.notice``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from typing import Any
from urllib.parse import quote

import regex

from bots.matrix.files import shown
from bots.matrix.html import write_html
from bots.matrix.room import OURS, server_of
from core.errors import Rejected, RejectedWhy
from core.intents import Button, Form, View, Voice
from core.text import first_words, plain
from core.types import MessageRef

#: Longest text, in UTF-8 bytes: an event holds it twice, as plain text and as markup.
MAX_TEXT = 30_000
#: Largest event content, in bytes of JSON. The server's limit of 65,536 counts its own fields too.
MAX_EVENT = 60_000

_FALLBACK = 500
_FIRST_WORDS = 200
_HEAD_MAX = 300

Content = dict[str, Any]


def message(view: View, form: Form, me: str, reply_to: MessageRef | None = None, uri: str = "") -> Content:
    """The content of a new message; ``uri``: of its file.

    Raises ``Rejected(FORM)`` where it, or an edit of it, does not fit.
    """
    content = _content(view, form, me, uri)
    _fits(_edit(content, "$" + "x" * 254))
    if reply_to is not None:
        content["m.relates_to"] = {"m.in_reply_to": {"event_id": reply_to.key}}
    return content


def edit(view: View, form: Form, me: str, target: MessageRef, uri: str = "") -> Content:
    """The content of an edit of ``target``. Raises ``Rejected(FORM)`` where it does not fit."""
    content = _edit(_content(view, form, me, uri), target.key)
    _fits(content)
    return content


def reaction(target: MessageRef, emoji: str) -> Content:
    """The content of our reaction."""
    return {"m.relates_to": {"rel_type": "m.annotation", "event_id": target.key, "key": emoji}}


def _edit(content: Content, target: str) -> Content:
    """The fallback is cut: it is for old clients, and an event need not hold everything four times."""
    words = cut(content["body"], _FALLBACK)
    return {
        "msgtype": content["msgtype"],
        "body": f"* {words}",
        "m.mentions": {},
        OURS: {},
        "m.new_content": content,
        "m.relates_to": {"rel_type": "m.replace", "event_id": target},
    }


def _fits(content: Content) -> None:
    size = len(json.dumps(content, ensure_ascii=False).encode("utf-8", "replace"))
    text = mapping_body(content)
    if size > MAX_EVENT or len(text.encode("utf-8", "replace")) > MAX_TEXT:
        raise Rejected(f"the event would have {size} bytes", why=RejectedWhy.FORM)


def measure(view: View, form: Form) -> tuple[int, int]:
    """Bytes that an edit to this view takes, and how many there are: of the event, or of its plain text if fewer."""
    content = _edit(_content(view, form, "@" + "x" * 254, "mxc://" + "x" * 255), "$" + "x" * 254)
    size = len(json.dumps(content, ensure_ascii=False).encode("utf-8", "replace"))
    text = len(mapping_body(content).encode("utf-8", "replace"))
    return max((size, MAX_EVENT), (text, MAX_TEXT), key=lambda pair: pair[0] * MAX_EVENT // pair[1])


def mapping_body(content: Mapping[str, Any]) -> str:
    """The plain text of a content, of its new content where it is an edit."""
    return str(content.get("m.new_content", content)["body"])


def _content(view: View, form: Form, me: str, uri: str) -> Content:
    """What is said; with a file that is its caption, and without words its description or its name."""
    content = _words(view, form, me)
    if not view.files:
        return content
    file = view.files[0]
    caption = content if content["body"] else content | {"body": file.alt or file.name}
    return caption | shown(file, uri)


def _words(view: View, form: Form, me: str) -> Content:
    kind = "m.text" if view.voice is Voice.PERSON else "m.notice"
    content: Content = {"msgtype": kind, "m.mentions": {}, OURS: {}}
    if form is Form.LINK:
        return content | {"body": _short(view)}
    if form is Form.PLAIN:
        return content | {"body": _plain(view, me, hide_spoilers=False)}
    body = _plain(view, me, hide_spoilers=True)
    if not body:
        return content | {"body": body}
    return content | {
        "body": body,
        "format": "org.matrix.custom.html",
        "formatted_body": _html(view, me),
    }


def _html(view: View, me: str) -> str:
    author = f"<p><strong>{escape(_head(view), quote=False)}</strong></p>" if view.author else ""
    command = f"<p><code>{escape(view.text_command, quote=False)}</code></p>" if view.text_command else ""
    doors = " · ".join(
        f'<a href="{escape(url)}">{escape(button.label, quote=False)}</a>' for button, url in _doors(view, me)
    )
    footer = f"<p><em>{escape(view.footer, quote=False)}</em></p>" if view.footer else ""
    alt = f"<p>{escape(_alt(view), quote=False)}</p>" if _alt(view) else ""
    return author + write_html(view.body) + alt + command + (f"<p>{doors}</p>" if doors else "") + footer


def _plain(view: View, me: str, *, hide_spoilers: bool) -> str:
    doors = " · ".join(f"{button.label}: {url}" for button, url in _doors(view, me))
    words = plain(view.body, hide_spoilers=hide_spoilers)
    lines = [_head(view), words, _alt(view), view.text_command, doors, view.footer]
    return "\n\n".join(line for line in lines if line)


def _alt(view: View) -> str:
    """There is no other place for what a picture shows, once words stand with it."""
    alt = view.files[0].alt if view.files else ""
    return f"({alt})" if alt and (view.author or view.body.blocks or view.footer) else ""


def _short(view: View) -> str:
    lines = [_head(view), first_words(view.body, _FIRST_WORDS), view.link]
    return "\n".join(line for line in lines if line)


def _head(view: View) -> str:
    return cut(" ".join(view.author.split()), _HEAD_MAX)


def _doors(view: View, me: str) -> list[tuple[Button, str]]:
    """The buttons that can be shown as links: an address, or the private chat with the bot."""
    found = []
    for button in view.buttons:
        url = button.url or (user_link(me) if button.private else "")
        if url:
            found.append((button, url))
    return found


def cut(text: str, most: int) -> str:
    """At most ``most`` graphemes, the last of them ``…`` where something was left out."""
    cells = regex.findall(r"\X", text[: most * 16])
    return text if "".join(cells[:most]) == text else "".join(cells[: most - 1]).rstrip() + "…"


def user_link(user: str) -> str:
    """The address of a person, from which a private chat can be opened."""
    return f"https://matrix.to/#/{quote(user, safe='@:')}"


def event_link(message: MessageRef, me: str) -> str:
    """The address of a message; ``via`` tells others a server that is in the room."""
    room, event, server = quote(message.chat.key, safe="!:"), quote(message.key, safe="$:"), server_of(me)
    return f"https://matrix.to/#/{room}/{event}" + (f"?via={quote(server, safe=':')}" if server else "")
