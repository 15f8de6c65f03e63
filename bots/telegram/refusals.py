"""What python-telegram-bot raises -> what the courier understands.

The Bot API has codes for few faults: a 400 says in words what is wrong. The sentences here are those of the
genuine server (compared in lower case, since the library capitalises them); one that is not known counts as a
fault of the form, so that the ladder is tried before a row is given up.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import httpx
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
)

from core.errors import FileRefused, FileWhy, Rejected, RejectedWhy, RetryLater

#: How long everything waits after the token was refused: the listener reports it and needs a person.
_TOKEN_PAUSE: Final = timedelta(minutes=1)
#: The chat moves to its new id at once.
_MOVE_PAUSE: Final = timedelta(seconds=1)

#: Failures before the request was written: nothing can have happened.
_UNSENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)

_BAD_REQUEST: Final[Mapping[str, RejectedWhy]] = {
    "message is not modified": RejectedWhy.UNCHANGED,
    "message to edit not found": RejectedWhy.GONE,
    "message can't be edited": RejectedWhy.GONE,
    "message to delete not found": RejectedWhy.GONE,
    "message to react not found": RejectedWhy.GONE,
    "message to pin not found": RejectedWhy.GONE,
    "message_id_invalid": RejectedWhy.GONE,
    "message can't be deleted": RejectedWhy.FORBIDDEN,
    "not enough rights": RejectedWhy.FORBIDDEN,
    "have no rights to send a message": RejectedWhy.FORBIDDEN,
    "need administrator rights": RejectedWhy.FORBIDDEN,
    "chat_admin_required": RejectedWhy.FORBIDDEN,
    "chat_write_forbidden": RejectedWhy.FORBIDDEN,
    "chat_restricted": RejectedWhy.FORBIDDEN,
    "chat_send_": RejectedWhy.FORBIDDEN,
    "topic_closed": RejectedWhy.FORBIDDEN,
    "reaction_invalid": RejectedWhy.FORBIDDEN,
    "reactions_too_many": RejectedWhy.FORBIDDEN,
    "chat not found": RejectedWhy.CHAT_GONE,
    "group chat was deactivated": RejectedWhy.CHAT_GONE,
    "group chat was deleted": RejectedWhy.CHAT_GONE,
    "peer_id_invalid": RejectedWhy.CHAT_GONE,
    "channel_private": RejectedWhy.CHAT_GONE,
    "message thread not found": RejectedWhy.CHAT_GONE,
    "topic_deleted": RejectedWhy.CHAT_GONE,
    "query is too old": RejectedWhy.UNREACHABLE,
    "query_id_invalid": RejectedWhy.UNREACHABLE,
}
_FORBIDDEN: Final[Mapping[str, RejectedWhy]] = {
    "bot was blocked by the user": RejectedWhy.UNREACHABLE,
    "user is deactivated": RejectedWhy.UNREACHABLE,
    "can't initiate conversation": RejectedWhy.UNREACHABLE,
    "can't send messages to": RejectedWhy.UNREACHABLE,
    "bot was kicked": RejectedWhy.CHAT_GONE,
    "bot is not a member": RejectedWhy.CHAT_GONE,
    "chat was deleted": RejectedWhy.CHAT_GONE,
}
#: Rights that are given for each kind of file apart, and files that Telegram does not take.
_FILES: Final = (
    "not enough rights to send photos",
    "not enough rights to send videos",
    "not enough rights to send audios",
    "not enough rights to send documents",
    "not enough rights to send animations",
    "chat_send_photos_forbidden",
    "chat_send_videos_forbidden",
    "chat_send_audios_forbidden",
    "chat_send_docs_forbidden",
    "chat_send_gifs_forbidden",
    "chat_send_media_forbidden",
    "too big",
    "too large",
    "file must be non-empty",
    "failed to get http url content",
    "wrong file",
)
#: A picture that is broken, or of a form that photographs do not have.
_NO_PHOTO: Final = ("photo_invalid_dimensions", "image_process_failed", "photo_ext_invalid")
#: A reply to a message that is no longer there; ``allow_sending_without_reply`` does not hold for topics.
REPLY_GONE: Final = (
    "message to be replied not found",
    "replied message not found",
    "reply message not found",
)


def outcome(error: TelegramError, *, form: bool) -> RetryLater | Rejected:
    """What a failed call means. ``form``: the call carried words, so another form of them may pass."""
    text = f"{type(error).__name__}: {error}"
    match error:
        case RetryAfter():
            return RetryLater(text, after=wait_of(error), too_many=True)
        case ChatMigrated():
            return RetryLater(text, after=_MOVE_PAUSE)
        case InvalidToken():
            return RetryLater("Telegram refuses the token", after=_TOKEN_PAUSE, whole_token=True)
        case Forbidden():
            return Rejected(text, why=_why(error, _FORBIDDEN, RejectedWhy.FORBIDDEN))
        case BadRequest():
            otherwise = RejectedWhy.FORM if form else RejectedWhy.FORBIDDEN
            return Rejected(text, why=_why(error, _BAD_REQUEST, otherwise))
        case NetworkError() if str(error).lower().startswith("too many requests"):
            return RetryLater(text, too_many=True)
        case _:
            return RetryLater(text, unknown=not isinstance(error.__cause__, _UNSENT))


def unfetched(error: TelegramError) -> RetryLater | FileRefused:
    """What a failed question for a file means."""
    if isinstance(error, BadRequest) and "file is too big" in str(error).lower():
        return FileRefused(FileWhy.SIZE, "more than Telegram gives to bots")
    refusal = outcome(error, form=False)
    return refusal if isinstance(refusal, RetryLater) else FileRefused(FileWhy.GONE, str(refusal))


def file_is_refused(error: NetworkError) -> bool:
    """Whether words alone may pass where they were refused with a file."""
    return any(part in str(error).lower() for part in _FILES)


def no_photo(error: NetworkError) -> bool:
    """Whether only the picture is none that Telegram can show as one: as a document it takes any."""
    return any(part in str(error).lower() for part in _NO_PHOTO)


def reply_is_gone(error: NetworkError) -> bool:
    """Whether only the message answered to is missing."""
    return any(part in str(error).lower() for part in REPLY_GONE)


def wait_of(error: RetryAfter) -> timedelta:
    """How long the server asks to wait, in either form that the library knows."""
    wait = error.retry_after
    return wait if isinstance(wait, timedelta) else timedelta(seconds=wait)


def _why(error: TelegramError, sentences: Mapping[str, RejectedWhy], otherwise: RejectedWhy) -> RejectedWhy:
    text = str(error).lower()
    return next((why for part, why in sentences.items() if part in text), otherwise)
