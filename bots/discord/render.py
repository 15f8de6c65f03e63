"""What a view looks like on Discord: the payload of a message. Pure.

People's posts are embeds (author line, text, footer); the bot's own words are ordinary content, and an embed
only where they are longer than content may be. Nothing ever pings: allowed mentions are always empty.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import regex
from discord.utils import escape_markdown

from bots.discord.attachments import MAX_REQUEST, described
from bots.discord.convert import address
from bots.discord.interactions import PRIVATE_PREFIX
from bots.discord.text import write
from core.body import Block, Body, Emphasis, Paragraph, Quote
from core.errors import Rejected, RejectedWhy
from core.intents import ABOUT, Button, Form, View, Voice
from core.text import first_words
from core.types import MessageRef

CONTENT = 2000
DESCRIPTION = 4096
EMBED_TOTAL = 6000
_AUTHOR, _FOOTER = 256, 2048
_LABEL, _CUSTOM_ID, _URL = 80, 100, 512
_ROW, _ROWS = 5, 5
_LINK_WORDS = 200
_USERNAME = 80
_TITLE = 100
#: Where no words are.
NOTHING = "…"
#: Discord takes no webhook's name with one of these in it.
_KEPT = re.compile("discord|clyde", re.IGNORECASE)
#: Stormo's green, the stripe at the left of a copy.
_COLOR = 0x2F7D5B

SUPPRESS_EMBEDS = 1 << 2
EPHEMERAL = 1 << 6
LOADING = 1 << 7
SUPPRESS_NOTIFICATIONS = 1 << 12

_ACTION_ROW, _BUTTON = 1, 2
_SECONDARY, _URL_STYLE = 2, 5
#: Emoji that Unicode shows as text unless told otherwise, among those that people react with.
_TEXT_BY_DEFAULT = frozenset("❤✔✖☑☀☁☂☃☎☕☝☠☢☣☮☯☹☺♀♂♠♣♥♦♻♾⚒⚔⚖⚙⚛⚜⚠⚰⚱✂✈✉✌✍✏✒✝✡✳✴❄❇❣➡⤴⤵⬅⬆⬇🕊🗳🖐")
_GRAPHEME = regex.compile(r"\X")

Payload = dict[str, Any]


def message(view: View, form: Form, *, key: str = "") -> Payload:
    """Every visible field of a message, so that an edit leaves nothing of an earlier form behind.

    ``key``: that of a copy, which its button carries. Raises ``Rejected(FORM)`` when the text is longer than the form
    takes.
    """
    return _payload(*_shown(view, form), view, key)


def voiced(view: View, form: Form, *, key: str) -> Payload:
    """The same in its author's own name, as a webhook says it: plain content, where it is short enough for that.

    A webhook's message can be no reply: it begins with what it answers.
    """
    if form is Form.LINK:
        return _payload(_linked(replace(view, author="")), [], view, key)
    said = replace(view, author="", body=Body((*view.parent, *view.body.blocks)))
    content = _lines(said, write(said.body))
    if form is Form.FULL and len(content) <= CONTENT:
        return _payload(content, [], view, key)
    return _payload(*_shown(said, form), view, key)


def spoken(view: View, form: Form, *, key: str, portrait: str = "") -> Payload:
    """A new message of a webhook, with the picture at that address. Discord knows no nonce of these."""
    payload = with_files(voiced(view, form, key=key), view)
    payload["username"] = name(view.author)
    if portrait:
        payload["avatar_url"] = portrait
    if view.silent:
        payload["flags"] |= SUPPRESS_NOTIFICATIONS
    return payload


def name(author: str) -> str:
    """The author's line as Discord takes a webhook's name: short, and without the words that it keeps for itself.

    That somebody is of Discord goes without saying there.
    """
    here = author.replace(" · Discord", "")
    return cut(_KEPT.sub(lambda word: f"{word[0][:3]}-{word[0][3:]}", here), _USERNAME)


def _payload(content: str, embeds: list[Payload], view: View, key: str) -> Payload:
    return {
        "content": content,
        "embeds": embeds,
        "components": _rows(view, key),
        "allowed_mentions": {"parse": [], "replied_user": False},
        # Previews of links in our own lines would be noise; the flag would hide our embed as well.
        "flags": 0 if embeds else SUPPRESS_EMBEDS,
    }


def with_files(payload: Payload, view: View, ids: Sequence[str] = ()) -> Payload:
    """The same with its files described: those that come with it, or (by their ids) those that stand there."""
    return payload | {"attachments": described(view.files, ids)} if view.files else payload


def measure(view: View, form: Form) -> tuple[int, int]:
    """Characters that a view takes, and how many fit; or bytes of its files, where those are the tighter of the two."""
    words = _measure_words(view, form)
    files = sum(file.size for file in view.files), MAX_REQUEST
    return max((words, files), key=lambda pair: pair[0] / pair[1])


def _measure_words(view: View, form: Form) -> tuple[int, int]:
    """Of an embed's description, or of content."""
    if form is Form.LINK:
        return len(_linked(view)), CONTENT
    text = write(Body((*view.parent, *view.body.blocks)) if view.as_author else view.body)
    if form is Form.PLAIN:
        return len(_lines(view, text)), CONTENT
    around = len(view.author[:_AUTHOR]) + len(_foot(view)[:_FOOTER])
    return len(text), min(DESCRIPTION, EMBED_TOTAL - around)


def created(view: View, form: Form, *, key: str, reply_to: MessageRef | None) -> Payload:
    """A new message, with the nonce by which Discord knows a repeated send."""
    payload = with_files(message(view, form, key=key), view)
    payload["nonce"] = nonce(key)
    payload["enforce_nonce"] = True
    if view.silent:
        payload["flags"] |= SUPPRESS_NOTIFICATIONS
    if reply_to is not None:
        channel, message_id = address(reply_to)
        payload["message_reference"] = {
            "message_id": message_id,
            "channel_id": channel,
            "fail_if_not_exists": False,
        }
    return payload


def title(view: View) -> str:
    """What a post of a forum is called: its first words, neither what it quotes nor a remark of ours around it."""
    own = Body(tuple(block for block in view.body.blocks if not _aside(block)))
    words = first_words(own, _TITLE) or first_words(view.body, _TITLE) or view.author
    return cut(words, _TITLE) or NOTHING


def _aside(block: Block) -> bool:
    match block:
        case Quote() | Paragraph((Emphasis(),)):
            return True
        case _:
            return False


def followup(view: View) -> Payload:
    """An answer that only the person who asked can see."""
    payload = message(view, Form.FULL)
    payload["flags"] |= EPHEMERAL
    return payload


def answer(view: View) -> Payload:
    """The same in the place of the "thinking" line, which is private already."""
    return message(view, Form.FULL)


def reaction(emoji: str) -> str:
    """The emoji as Discord knows it: those that are text by default need their variation selector."""
    return emoji + "\ufe0f" if len(emoji) == 1 and emoji in _TEXT_BY_DEFAULT else emoji


def sign(key: str) -> str:
    """What the button of a copy carries: by this its message is known again."""
    return f"{ABOUT}:{nonce(key)}"


def nonce(key: str) -> str:
    """25 characters, all that Discord takes, of the key's hash: 150 bits."""
    return base64.urlsafe_b64encode(hashlib.sha256(key.encode()).digest()).decode()[:25]


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


def _shown(view: View, form: Form) -> tuple[str, list[Payload]]:
    if form is Form.LINK:
        return _linked(view), []
    text = write(view.body)
    if form is Form.FULL and view.voice is Voice.PERSON:
        return "", [_embed(view, text)] if text or not view.files or view.author else []
    content = _lines(view, text)
    if len(content) <= CONTENT:
        return content, []
    if form is Form.PLAIN:
        raise Rejected(f"{len(content)} characters of content, {CONTENT} fit", why=RejectedWhy.FORM)
    return "", [_embed(view, text)]


def _embed(view: View, text: str) -> Payload:
    embed: Payload = {"color": _COLOR}
    if text:
        embed["description"] = text
    if view.author:
        embed["author"] = {"name": cut(view.author, _AUTHOR)}
        if _is_web(view.link):
            embed["author"]["url"] = view.link
    footer = _foot(view)
    if footer:
        embed["footer"] = {"text": cut(footer, _FOOTER)}
    total = len(text) + len(view.author[:_AUTHOR]) + len(footer[:_FOOTER])
    if not (text or view.files) or len(text) > DESCRIPTION or total > EMBED_TOTAL:
        raise Rejected(f"{len(text)} characters of text, {DESCRIPTION} fit", why=RejectedWhy.FORM)
    return embed


def _lines(view: View, text: str) -> str:
    """Author, text, the typed command where no button stands, footer."""
    author = f"**{escape_markdown(cut(view.author, _AUTHOR))}**" if view.author else ""
    footer = f"-# {escape_markdown(cut(view.footer, _FOOTER))}" if view.footer else ""
    return "\n".join(filter(None, (author, text, escape_markdown(_typed(view)), footer)))


def _linked(view: View) -> str:
    author = f"**{escape_markdown(cut(view.author, _AUTHOR))}**" if view.author else ""
    words = escape_markdown(first_words(view.body, _LINK_WORDS))
    link = view.link if _is_web(view.link) else ""
    content = "\n".join(filter(None, (author, words, link)))
    return content if len(content) <= CONTENT else cut("\n".join(filter(None, (author, link))), CONTENT)


def _foot(view: View) -> str:
    return " · ".join(filter(None, (view.footer, _typed(view))))


def _typed(view: View) -> str:
    return "" if view.buttons else view.text_command


def _is_web(url: str) -> bool:
    return urlsplit(url).scheme in ("http", "https")


def _rows(view: View, key: str) -> list[Payload]:
    about = (Button(view.about, data=sign(key)),) if view.about and key else ()
    buttons = (*view.buttons[: _ROW * _ROWS - len(about)], *about)
    shown = [made for button in buttons if (made := _button(button)) is not None]
    rows = [shown[i : i + _ROW] for i in range(0, len(shown), _ROW)]
    return [{"type": _ACTION_ROW, "components": row} for row in rows]


def _button(button: Button) -> Payload | None:
    """Discord has no deep link: a private button is a command, whose answer only its presser sees."""
    shape: Payload = {"type": _BUTTON, "label": cut(button.label, _LABEL)}
    if button.url:
        return {**shape, "style": _URL_STYLE, "url": button.url} if len(button.url) <= _URL else None
    data = button.data or (PRIVATE_PREFIX + button.private if button.private else "")
    if not data or len(data) > _CUSTOM_ID:
        return None
    return {**shape, "style": _SECONDARY, "custom_id": data}
