"""What stands inside Telegram's references, written and read in this one place.

A chat's key is its id, with ``/<thread>`` behind it for a forum's topic; a message's key is its number in the
chat, an account's the user's id.
"""

from __future__ import annotations

from typing import Final

from core.errors import Rejected, RejectedWhy
from core.types import AccountRef, ChatRef, MessageRef, Platform

TELEGRAM: Final = Platform("telegram")
#: Ids of supergroups and channels are their inner number below this.
_CHANNELS: Final = -1_000_000_000_000


def chat_ref(chat_id: int, thread: int | None = None) -> ChatRef:
    """A chat, or one topic of it."""
    return ChatRef(TELEGRAM, f"{chat_id}/{thread}" if thread else str(chat_id))


def message_ref(chat: ChatRef, message_id: int) -> MessageRef:
    """A message of a chat or topic."""
    return MessageRef(chat, str(message_id))


def account_ref(user_id: int) -> AccountRef:
    """A person, or the chat in whose name somebody writes."""
    return AccountRef(TELEGRAM, str(user_id))


def chat_ids(chat: ChatRef) -> tuple[int, int | None]:
    """The chat's id and its topic's. Raises ``Rejected(CHAT_GONE)`` for a key that is none of ours."""
    head, _, thread = chat.key.partition("/")
    try:
        return int(head), int(thread) if thread else None
    except ValueError:
        raise Rejected(f"no Telegram chat: {chat.key!r}", why=RejectedWhy.CHAT_GONE) from None


def message_ids(message: MessageRef) -> tuple[int, int]:
    """The ids of chat and message. Raises ``Rejected(GONE)`` for a key that is none of ours."""
    try:
        return chat_ids(message.chat)[0], int(message.key)
    except ValueError:
        raise Rejected(f"no Telegram message: {message.key!r}", why=RejectedWhy.GONE) from None


def address(message: MessageRef, username: str = "") -> str:
    """Where people find a message: by the chat's public name, else the private address that members can open.

    Private chats and small groups have no addresses.
    """
    chat, thread = chat_ids(message.chat)
    path = f"{thread}/{message.key}" if thread else message.key
    if username:
        return f"https://t.me/{username}/{path}"
    return f"https://t.me/c/{_CHANNELS - chat}/{path}" if chat < _CHANNELS else ""
