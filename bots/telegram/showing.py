"""A view -> a message of the Bot API: its text with entities, and its keyboard. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from telegram import InlineKeyboardButton, InlineKeyboardMarkup
from telegram.constants import ReactionEmoji

from bots.telegram.convert import bare
from bots.telegram.reading import utf16_length
from bots.telegram.writing import MAX_TEXT, Composed, Mark, Sheet, cut, plain_text
from core.errors import Rejected, RejectedWhy
from core.intents import Button, Form, View

#: Bytes of a button's data.
MAX_DATA: Final = 64
#: Characters of a toast.
MAX_TOAST: Final = 200
#: How much of a text stands in front of its link on the last rung, in UTF-16 units.
_TEASER: Final = 200
_MAX_AUTHOR: Final = 256
#: UTF-16 units of the words under a file.
MAX_CAPTION: Final = 1024
#: How many characters of labels fit side by side on a narrow phone.
_ROW: Final = 28
_ROW_BUTTONS: Final = 3

_START: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
#: Telegram refuses the whole message for a button to an address without a dot, such as ``localhost``.
_WEB: Final = re.compile(r"https?://[^/\s:]+\.[^/\s:]+", re.IGNORECASE)
_BOLD: Final = (Mark("bold"),)
_ITALIC: Final = (Mark("italic"),)

#: The emoji that a bot may react with, by their bare form.
MARKS: Final[dict[str, str]] = {bare(emoji.value): emoji.value for emoji in ReactionEmoji}
#: What is shown instead of an emoji that Telegram does not allow.
FALLBACK_MARK: Final = "👌"


def mark(emoji: str) -> str:
    """The reaction nearest to ``emoji`` among the 73 that Telegram allows."""
    return MARKS.get(bare(emoji), FALLBACK_MARK)


def compose(view: View, form: Form, *, keyboard: bool) -> Composed:
    """The message that shows a view; without a keyboard its text command stands there instead.

    Raises ``Rejected(FORM)`` when the words do not fit into one message, or under its file, or there is nothing at all.
    """
    sheet = _teaser(view) if form is Form.LINK else _whole(view, keyboard=keyboard)
    composed = sheet.composed(plain=form is not Form.FULL)
    if not (composed.text or view.files):
        raise Rejected("no words to show", why=RejectedWhy.FORM)
    room = MAX_CAPTION if view.files else MAX_TEXT
    if composed.length > room:
        raise Rejected(f"{composed.length} of {room} UTF-16 units", why=RejectedWhy.FORM)
    return composed


def measure(view: View, form: Form) -> tuple[int, int]:
    """UTF-16 units that a view takes, and how many a message has: fewer under a file."""
    composed = (_teaser(view) if form is Form.LINK else _whole(view, keyboard=False)).composed(plain=True)
    return composed.length, MAX_CAPTION if view.files else MAX_TEXT


def _whole(view: View, *, keyboard: bool) -> Sheet:
    sheet = Sheet()
    if view.author:
        sheet.write(cut(view.author, _MAX_AUTHOR), _BOLD)
        sheet.write("\n")
    sheet.body(view.body)
    if view.footer:
        sheet.write("\n\n")
        sheet.write(view.footer, _ITALIC)
    if view.text_command and not keyboard:
        sheet.write(f"\n\n{view.text_command}")
    return sheet


def _teaser(view: View) -> Sheet:
    sheet = Sheet()
    words = " ".join(plain_text(view.body).split())
    lines = (cut(view.author, _MAX_AUTHOR), cut(words, _TEASER), view.link)
    sheet.write("\n".join(line for line in lines if line))
    return sheet


def toast(view: View) -> str:
    """A view as the few words of a toast."""
    return cut(_toast_words(view), MAX_TOAST)


def fits_toast(view: View) -> bool:
    """Whether a toast says all of a view."""
    return not view.buttons and utf16_length(_toast_words(view)) <= MAX_TOAST


def _toast_words(view: View) -> str:
    return "\n".join(part for part in (plain_text(view.body).strip(), view.text_command) if part)


def keyboard(view: View, form: Form, username: str) -> InlineKeyboardMarkup | None:
    """The buttons that Telegram can show; those that it would refuse are left out.

    The plain form drops addresses, whose refusal it may be there for; the link stands alone.
    """
    if form is Form.LINK:
        return None
    shown = (_button(button, username) for button in view.buttons if form is Form.FULL or not button.url)
    rows = list(_rows([button for button in shown if button is not None]))
    return InlineKeyboardMarkup(rows) if rows else None


def deep_link(username: str, payload: str) -> str:
    """The address that opens the private chat with us and hands over ``payload`` once Start is pressed."""
    return f"https://t.me/{username}?start={payload}"


def _button(button: Button, username: str) -> InlineKeyboardButton | None:
    if button.private and _START.fullmatch(button.private):
        return InlineKeyboardButton(button.label, url=deep_link(username, button.private))
    if button.url and _WEB.match(button.url):
        return InlineKeyboardButton(button.label, url=button.url)
    if button.data and len(button.data.encode()) <= MAX_DATA:
        return InlineKeyboardButton(button.label, callback_data=button.data)
    return None


def _rows(buttons: Sequence[InlineKeyboardButton]) -> Iterator[list[InlineKeyboardButton]]:
    row: list[InlineKeyboardButton] = []
    for button in buttons:
        width = sum(len(other.text) for other in row) + len(button.text)
        if row and (width > _ROW or len(row) == _ROW_BUTTONS):
            yield row
            row = []
        row.append(button)
    if row:
        yield row
