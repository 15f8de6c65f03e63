"""What the adapter remembers between updates, since Telegram does not say it again. Lost at a restart."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final

from telegram import Bot, ChatMember
from telegram.error import BadRequest, ChatMigrated, Forbidden, RetryAfter, TelegramError

from bots.telegram.convert import rights
from bots.telegram.refusals import wait_of
from core.errors import RetryLater
from core.events import Rights
from core.ports import Clock

_NOBODY: Final = Rights()


class Roster:
    """The administrators of each chat, asked once a ``life`` and again after a change that we hear of."""

    def __init__(self, bot: Bot, clock: Clock, life: timedelta = timedelta(seconds=60)) -> None:
        self._bot = bot
        self._clock = clock
        self._life = life.total_seconds()
        self._chats: dict[int, tuple[float, dict[int, Rights]]] = {}

    def forget(self, chat: int) -> None:
        """Somebody's rights there have changed."""
        self._chats.pop(chat, None)

    async def learn(self, chats: Iterable[int]) -> None:
        """Make sure that these chats' administrators are known. A chat that refuses to name them has none.

        Raises ``RetryLater`` when Telegram does not answer: nobody may be taken for no admin because of that.
        """
        now = self._clock.monotonic()
        self._chats = {chat: known for chat, known in self._chats.items() if now - known[0] < self._life}
        await asyncio.gather(*(self._ask(chat) for chat in set(chats) - self._chats.keys()))

    def rights(self, chat: int, user: int) -> Rights:
        """What a user may do in a chat, as far as it is known."""
        _, admins = self._chats.get(chat, (0.0, {}))
        return admins.get(user, _NOBODY)

    async def _ask(self, chat: int) -> None:
        try:
            members = await self._answer(chat)
        except (BadRequest, Forbidden, ChatMigrated):
            members = ()
        except TelegramError as error:
            after = wait_of(error) if isinstance(error, RetryAfter) else None
            reason = f"administrators of chat {chat} are not known: {type(error).__name__}"
            raise RetryLater(reason, after=after) from error
        admins = {member.user.id: rights(member) for member in members}
        self._chats[chat] = (self._clock.monotonic(), admins)

    async def _answer(self, chat: int) -> Sequence[ChatMember]:
        try:
            return await self._bot.get_chat_administrators(chat)
        except (BadRequest, Forbidden, ChatMigrated, RetryAfter):
            raise
        except TelegramError:
            # A connection that ended is opened anew by the second question.
            return await self._bot.get_chat_administrators(chat)


class Topics:
    """The forum topic of each recent message: a reaction names only chat and message."""

    def __init__(self, size: int = 50_000) -> None:
        self._size = size
        self._threads: OrderedDict[tuple[int, int], int] = OrderedDict()

    def note(self, chat: int, message: int, thread: int) -> None:
        """A message was seen in a topic."""
        self._threads[chat, message] = thread
        self._threads.move_to_end((chat, message))
        if len(self._threads) > self._size:
            self._threads.popitem(last=False)

    def of(self, chat: int, message: int) -> int | None:
        """The topic of a message, or ``None`` for one outside topics or not seen."""
        return self._threads.get((chat, message))
