"""Our own messages on Telegram: how one is sent and how it is edited, with a file or without."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from telegram import Bot, InlineKeyboardMarkup, LinkPreviewOptions, Message, ReplyParameters
from telegram.error import NetworkError

from bots.telegram.attachments import sending
from bots.telegram.refs import TELEGRAM, chat_ids, message_ids, message_ref
from bots.telegram.refusals import file_is_refused, no_photo, reply_is_gone
from bots.telegram.roster import Topics
from bots.telegram.showing import compose, keyboard
from bots.telegram.writing import Composed
from core.crashpoints import passing
from core.errors import Rejected, RejectedWhy, RetryLater
from core.intents import Edit, File, Form, View, Voice
from core.types import ChatRef, MessageRef

#: Seconds for a file of 50 MB on a slow line.
_UPLOAD: Final = 150.0


@dataclass(frozen=True, slots=True)
class _Letter:
    """A message that is to be sent. ``reply`` may be left out, a ``document`` may be what else were a photograph."""

    chat: ChatRef
    composed: Composed
    buttons: InlineKeyboardMarkup | None
    preview: LinkPreviewOptions | None
    silent: bool
    file: File | None
    content: bytes


class Messages:
    """Sends and edits. ``username`` gives our own, for deep links. Raises the library's errors and ``Rejected``."""

    def __init__(self, bot: Bot, topics: Topics, username: Callable[[], Awaitable[str]]) -> None:
        self._bot = bot
        self._topics = topics
        self._username = username

    async def send(self, chat: ChatRef, view: View, form: Form, reply_to: MessageRef | None) -> MessageRef:
        composed, buttons = await self._form(view, form)
        file = view.files[0] if view.files else None
        content = await _content(file) if file else b""
        letter = _Letter(chat, composed, buttons, _preview(view, form), view.silent, file, content)
        sent = await self._without_what_is_refused(letter, _reply(chat, reply_to))
        id_, thread = chat_ids(chat)
        if thread is not None:
            self._topics.note(id_, sent.message_id, thread)
        return message_ref(chat, sent.message_id)

    async def edit(self, intent: Edit) -> None:
        chat, number = message_ids(intent.message)
        composed, buttons = await self._form(intent.view, intent.form)
        if intent.view.files:
            # The file that is wanted is the one that stands there.
            await self._bot.edit_message_caption(
                chat_id=chat,
                message_id=number,
                caption=composed.text,
                caption_entities=composed.entities,
                reply_markup=buttons,
            )
            return
        await self._bot.edit_message_text(
            composed.text,
            chat_id=chat,
            message_id=number,
            entities=composed.entities,
            link_preview_options=_preview(intent.view, intent.form),
            reply_markup=buttons,
        )

    async def _without_what_is_refused(self, letter: _Letter, reply: ReplyParameters | None) -> Message:
        """What Telegram refuses before anything is stored goes once more, in another form or without it."""
        as_document = False
        while True:
            try:
                return await self._post(letter, reply, as_document=as_document)
            except NetworkError as error:
                if reply is not None and reply_is_gone(error):
                    reply = None
                elif letter.file is not None and not as_document and no_photo(error):
                    as_document = True
                elif letter.file is not None and file_is_refused(error):
                    raise Rejected(str(error), why=RejectedWhy.FILE) from error
                else:
                    raise

    async def _post(self, letter: _Letter, reply: ReplyParameters | None, *, as_document: bool) -> Message:
        id_, thread = chat_ids(letter.chat)
        if letter.file is None:
            return await self._bot.send_message(
                id_,
                letter.composed.text,
                entities=letter.composed.entities,
                message_thread_id=thread,
                disable_notification=letter.silent,
                link_preview_options=letter.preview,
                reply_parameters=reply,
                reply_markup=letter.buttons,
            )
        how = sending(letter.file, as_document=as_document)
        send: Callable[..., Awaitable[Message]] = getattr(self._bot, f"send_{how.kind}")
        return await send(
            id_,
            letter.content,
            filename=letter.file.name,
            caption=letter.composed.text or None,
            caption_entities=letter.composed.entities,
            message_thread_id=thread,
            disable_notification=letter.silent,
            reply_parameters=reply,
            reply_markup=letter.buttons,
            write_timeout=_UPLOAD,
            read_timeout=_UPLOAD,
            **how.more,
        )

    async def _form(self, view: View, form: Form) -> tuple[Composed, InlineKeyboardMarkup | None]:
        username = await self._username() if any(button.private for button in view.buttons) else ""
        buttons = keyboard(view, form, username)
        return compose(view, form, keyboard=buttons is not None), buttons


async def _content(file: File) -> bytes:
    try:
        content = await asyncio.to_thread(file.path.read_bytes)
    except OSError as error:
        # Nothing was sent. Its post may have gone meanwhile, and its file with it: then it is planned anew.
        raise RetryLater(f"a stored file cannot be read: {type(error).__name__}") from error
    passing("media.placing", TELEGRAM)
    return content


def _preview(view: View, form: Form) -> LinkPreviewOptions | None:
    """A person's link may unfold; a notice of ours stays small."""
    return LinkPreviewOptions(is_disabled=True) if view.voice is Voice.BOT or form is not Form.FULL else None


def _reply(chat: ChatRef, to: MessageRef | None) -> ReplyParameters | None:
    """The message answered to, if it is in the same chat; the answer goes out even when it has vanished."""
    if to is None or chat_ids(to.chat)[0] != chat_ids(chat)[0]:
        return None
    return ReplyParameters(message_ids(to)[1], allow_sending_without_reply=True)
