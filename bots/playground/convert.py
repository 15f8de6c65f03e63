"""Views -> what the page shows; what people do -> events. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Final

import regex

from bots.playground.drawer import Filed
from bots.playground.looks import DISCORD_CONTENT, Look
from bots.playground.markup import address_html, safe_url, text_html, to_html
from core.commands import COMMANDS
from core.errors import Rejected, RejectedWhy
from core.events import (
    Actor,
    Attachment,
    ButtonPressed,
    CommandEdited,
    CommandInvoked,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    Place,
    ReactionChanged,
)
from core.intents import Button, Form, View, Voice
from core.markdown import read_markdown
from core.text import first_words, plain
from core.types import MessageRef

#: Telegram cuts a callback's answer here.
TOAST: Final = 200
_LINK_WORDS: Final = 200
_KNOWN: Final = frozenset({"start"}).union(*({spec.name, *spec.aliases} for spec in COMMANDS))
#: How like a command's name a slip of the pen is.
_SLIP: Final = 0.7
_GRAPHEME: Final = regex.compile(r"\X")
_NAME: Final = re.compile(r"([A-Za-z][A-Za-z0-9_-]{0,31})(?:@(\w+))?(?=\s|$)\s*")


@dataclass(frozen=True, slots=True)
class Shown:
    """What a message shows. ``html`` is safe; ``text`` is the same words without markup.

    ``frame``: drawn as a card with a stripe (Discord's embed). ``command``: typed where buttons would stand.
    """

    html: str
    text: str
    author: str = ""
    footer: str = ""
    buttons: tuple[Button, ...] = ()
    command: str = ""
    link: str = ""
    frame: bool = False
    voice: str = "person"
    files: tuple[Filed, ...] = ()


def show(view: View, form: Form, look: Look, files: tuple[Filed, ...] = ()) -> Shown:
    """A view in this look. Raises ``Rejected(FORM)`` for a text longer than the form takes there."""
    if form is Form.LINK:
        return _linked(view, look)
    text = plain(view.body)
    _fits(view, text, form, look)
    full = form is Form.FULL
    buttons = _buttons(view, look)
    return Shown(
        html=to_html(view.body) if full else text_html(text),
        text=text,
        author=view.author,
        footer=view.footer,
        buttons=buttons,
        command="" if buttons else view.text_command,
        link=safe_url(view.link),
        frame=full and look.slash and view.voice is Voice.PERSON,
        voice=view.voice.value,
        files=files,
    )


def typed(source: str, look: Look, files: tuple[Filed, ...] = ()) -> Shown:
    """A person's own message."""
    body = read_markdown(source, dialect=look.dialect)
    return Shown(html=to_html(body), text=plain(body), files=files)


def toast(view: View) -> Shown:
    """The answer to a pressed button where that is one short text."""
    text = cut("\n".join(filter(None, (view.author, plain(view.body), view.footer))), TOAST)
    return Shown(html=text_html(text), text=text, voice=view.voice.value)


def fits_toast(view: View) -> bool:
    """Whether a toast can hold the whole answer."""
    return len(plain(view.body)) <= TOAST and not view.buttons


def cut(text: str, limit: int) -> str:
    """At most ``limit`` code points, ending at a grapheme's border, with ``…`` where something is missing."""
    if len(text) <= limit:
        return text
    kept = 0
    for match in _GRAPHEME.finditer(text):
        if match.end() > limit - 1:
            break
        kept = match.end()
    return text[:kept].rstrip() + "…"


def _linked(view: View, look: Look) -> Shown:
    link, words = safe_url(view.link), first_words(view.body, _LINK_WORDS)
    return Shown(
        html=text_html(words) + address_html(link),
        text="\n".join(filter(None, (words, link))),
        author=view.author,
        buttons=_buttons(view, look),
        voice=view.voice.value,
    )


def _fits(view: View, text: str, form: Form, look: Look) -> None:
    limit = DISCORD_CONTENT if look.slash and form is Form.PLAIN else look.capabilities.max_text
    whole = "\n".join(filter(None, (view.author, text, view.footer)))
    length = measure(whole, look.capabilities.length_unit)
    if length > limit:
        raise Rejected(f"{length} {look.capabilities.length_unit}, {limit} fit", why=RejectedWhy.FORM)


def measure(text: str, unit: str) -> int:
    """The length of a text in ``utf16`` code units, ``byte`` or ``codepoint``."""
    match unit:
        case "utf16":
            return len(text.encode("utf-16-le", "surrogatepass")) // 2
        case "byte":
            return len(text.encode("utf-8", "replace"))
        case _:
            return len(text)


def _buttons(view: View, look: Look) -> tuple[Button, ...]:
    return tuple(b for b in view.buttons if _showable(b)) if look.capabilities.buttons else ()


def _showable(button: Button) -> bool:
    return bool(safe_url(button.url)) if button.url else bool(button.data or button.private)


# -- what people do --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What all acts of people share: the event's key and time, where, and who."""

    look: Look
    key: str
    at: datetime
    place: Place
    actor: Actor
    files: tuple[Filed, ...] = ()

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        return tuple(file.attachment for file in self.files)


@dataclass(frozen=True, slots=True)
class Command:
    """A typed command: its name, and what stands behind it."""

    name: str
    text: str


def command_of(text: str, look: Look, *, private: bool) -> Command | None:
    """The command that a text is. Unknown names count where nobody else can be meant, else only slips of the pen."""
    if look.name == "matrix":
        return _on_matrix(text, look, private=private)
    prefix = look.capabilities.command_prefix
    match = _NAME.match(text, len(prefix)) if text.startswith(prefix) else None
    if match is None:
        return None
    name, to = match[1].lower(), (match[2] or "").lower()
    if to and to != look.bot.lower():
        return None
    addressed = look.slash or bool(to) or private
    return Command(name, text[match.end() :]) if addressed or _like_ours(name) else None


def _on_matrix(text: str, look: Look, *, private: bool) -> Command | None:
    """A name behind the prefix, behind the bot's own name, or in the private chat as it is."""
    prefix = look.capabilities.command_prefix
    bot = re.escape(look.bot)
    called = re.match(rf"(?:@?{bot}[:,]|@{bot}(?=\s|$))\s*", text, re.IGNORECASE)
    rest = text[called.end() :].removeprefix(prefix) if called else text.removeprefix(prefix)
    match = _NAME.match(rest)
    if match is None or match[2]:
        return None
    name = match[1].lower()
    if called or (private and (text.startswith(prefix) or name in _KNOWN)):
        return Command(name, rest[match.end() :])
    ours = text.startswith(prefix) and _like_ours(name)
    return Command(name, rest[match.end() :]) if ours else None


def _like_ours(name: str) -> bool:
    """Whether it is a command of ours or a slip of the pen: other bots of a room may listen to the same sign."""
    return bool(get_close_matches(name, _KNOWN, n=1, cutoff=_SLIP))


def said(
    act: Act, text: str, message: MessageRef, target: MessageRef | None, *, to_bot: bool
) -> MessageReceived | CommandInvoked:
    """A message that stands in the room: a command or ordinary talk."""
    command = command_of(text, act.look, private=act.place.private)
    if command is not None:
        return invoked(act, command, message=message, target=target)
    return MessageReceived(
        key=act.key,
        at=act.at,
        place=act.place,
        actor=act.actor,
        message=message,
        body=read_markdown(text, dialect=act.look.dialect),
        source=text,
        dialect=act.look.dialect,
        reply_to=target,
        to_bot=to_bot or act.place.private or f"@{act.look.bot}".lower() in text.lower(),
        files=act.attachments,
    )


def invoked(
    act: Act,
    command: Command,
    *,
    message: MessageRef | None = None,
    target: MessageRef | None = None,
    handle: str = "",
) -> CommandInvoked:
    """A command, as a message or (with a handle) without one."""
    return CommandInvoked(
        key=act.key,
        at=act.at,
        place=act.place,
        actor=act.actor,
        name=command.name,
        text=command.text,
        body=read_markdown(command.text, dialect=act.look.dialect),
        source=command.text,
        dialect=act.look.dialect,
        message=message,
        target=target,
        handle=handle,
        files=act.attachments,
    )


def edited(act: Act, text: str, message: MessageRef) -> MessageEdited | CommandEdited:
    """New words of a message."""
    command = None if act.look.slash else command_of(text, act.look, private=act.place.private)
    source = text if command is None else command.text
    body = read_markdown(source, dialect=act.look.dialect)
    if command is None:
        return MessageEdited(
            key=act.key,
            at=act.at,
            place=act.place,
            actor=act.actor,
            message=message,
            body=body,
            source=source,
            dialect=act.look.dialect,
        )
    return CommandEdited(
        key=act.key,
        at=act.at,
        place=act.place,
        actor=act.actor,
        name=command.name,
        text=source,
        body=body,
        source=source,
        dialect=act.look.dialect,
        message=message,
        files=act.attachments,
    )


def reacted(
    act: Act, message: MessageRef, emoji: str, standing: tuple[str, ...], *, on: bool, ref: MessageRef
) -> ReactionChanged | MessageDeleted:
    """A reaction as each platform tells of it.

    Discord sends one change, without key or time; Telegram the full set (``standing``) of that person; on
    Matrix a reaction is a message of its own (``ref``), and taking it back deletes that.
    """
    match act.look.name:
        case "discord":
            added, removed = ((emoji,), ()) if on else ((), (emoji,))
            return ReactionChanged(key=None, message=message, actor=act.actor, added=added, removed=removed)
        case "telegram":
            return ReactionChanged(
                key=act.key, at=act.at, message=message, actor=act.actor, added=standing, whole=True
            )
        case "matrix":
            if not on:
                return MessageDeleted(key=act.key, at=act.at, message=ref)
            return ReactionChanged(
                key=act.key, at=act.at, message=message, actor=act.actor, added=(emoji,), ref=ref
            )


def pressed(act: Act, data: str, message: MessageRef | None, handle: str) -> ButtonPressed:
    """A button; ``message`` is ``None`` where only one person saw it."""
    return ButtonPressed(
        key=act.key,
        at=act.at,
        place=act.place,
        actor=act.actor,
        data=data,
        message=message,
        handle=handle,
    )
