"""The Telegram adapter: connect, listen, perform.

Neither the library's ``Updater`` nor its ``Application`` is used: both confirm updates before they are
handled. Here the offset moves after the commit. A call fails at once and is never repeated; the courier owns
waiting.

Telegram has no idempotency keys, so an intent's ``key`` goes unused: a send without an answer is in doubt.
"""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

import truststore
from telegram import (
    Bot,
    ChatMember,
    ReactionTypeEmoji,
)
from telegram.error import ChatMigrated, InvalidToken, TelegramError
from telegram.request import HTTPXRequest

from bots.download import Downloader
from bots.telegram import menu
from bots.telegram.convert import CALLBACK, Me, moved, silenced
from bots.telegram.listening import Listener
from bots.telegram.messages import Messages
from bots.telegram.refs import TELEGRAM, address, chat_ids, message_ids
from bots.telegram.refusals import outcome, unfetched
from bots.telegram.roster import Roster, Topics
from bots.telegram.showing import deep_link, fits_toast, mark, measure, toast
from bots.telegram.writing import MAX_TEXT
from core.crashpoints import passing
from core.errors import BadToken, FileRefused, FileWhy, Rejected, RejectedWhy, RetryLater, message
from core.events import Loss
from core.intents import (
    Capabilities,
    Create,
    Edit,
    Form,
    Intent,
    Mark,
    Receipt,
    Tell,
    Window,
    Withdraw,
)
from core.ports import Clock, Finding, Gate, Words
from core.types import ChatRef, MessageRef

_LOG: Final = logging.getLogger(__name__)
LABEL: Final = "Telegram"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the config says. ``base_url`` and ``base_file_url`` name a Bot API server without the token.

    The windows are first guesses that an answer of the server overrides. ``per_chat_minute`` is Telegram's
    limit for groups; private chats know only ``per_chat_second``, so there we send more slowly than we might.
    """

    token: str = field(repr=False)
    base_url: str = "https://api.telegram.org/bot"
    base_file_url: str = "https://api.telegram.org/file/bot"
    #: How long one question for updates may stay open.
    poll_seconds: int = 25
    #: How long any other call may take.
    request_seconds: float = 20
    #: The first wait after a failed question for updates; it doubles up to half a minute.
    retry_seconds: float = 1
    #: How long another reader of the same token is borne: a restart overlaps with the former process.
    conflict_seconds: float = 90
    #: How often an empty answer is doubted: whether updates wait all the same.
    canary_seconds: float = 300
    per_second: int = 30
    per_chat_second: int = 1
    per_chat_minute: int = 20


def capabilities(settings: Settings) -> Capabilities:
    """What Telegram can do."""
    second, minute = timedelta(seconds=1), timedelta(minutes=1)
    return Capabilities(
        label=LABEL,
        max_text=MAX_TEXT,
        length_unit="utf16",
        tells_deletions=False,
        key_life=None,
        tally_every=timedelta(seconds=30),
        measure=measure,
        files_per_message=1,
        max_file=50_000_000,
        token_windows=(Window(settings.per_second, second),),
        chat_windows=(Window(settings.per_chat_second, second), Window(settings.per_chat_minute, minute)),
    )


class TelegramAdapter:
    """One bot behind one token."""

    platform = TELEGRAM

    def __init__(self, settings: Settings, words: Words, clock: Clock) -> None:
        _tame()
        self.capabilities = replace(capabilities(settings), door=self._door)
        self._settings = settings
        self._words = words
        self._polling = _request(settings, connections=1)
        self._calling = _request(settings, connections=64)
        self._bot = Bot(
            settings.token,
            base_url=settings.base_url,
            base_file_url=settings.base_file_url,
            request=self._calling,
            get_updates_request=self._polling,
        )
        self._downloader = Downloader(settings.base_file_url)
        self._me: Me | None = None
        self._gate: Gate | None = None
        self._topics = Topics()
        self._usernames: dict[int, str] = {}
        self._messages = Messages(self._bot, self._topics, self._own_username)
        self._roster = Roster(self._bot, clock)
        self._clock = clock

    async def run(self, gate: Gate) -> None:
        """Listen until cancelled. Raises ``BadToken``, or what a restart may cure."""
        self._gate = gate
        await self._polling.initialize()
        try:
            await self._connect()
            # It answered: the first question for news may be open for long where there are none.
            gate.alive()
            await self._listener(gate).listen()
        except InvalidToken:
            raise BadToken(LABEL) from None
        finally:
            # Calls may still be under way: only the listener's connection ends here.
            await self._polling.shutdown()

    async def close(self) -> None:
        """End all connections; the adapter cannot perform afterwards."""
        await self._polling.shutdown()
        await self._calling.shutdown()
        await self._downloader.close()

    async def perform(self, intent: Intent) -> Receipt:
        """Do one act by one call (pinning and unpinning need a second one). Raises ``RetryLater`` or ``Rejected``."""
        try:
            return await self._do(intent)
        except ChatMigrated as error:
            await self._follow(intent, error)
            raise outcome(error, form=False) from error
        except TelegramError as error:
            raise outcome(error, form=isinstance(intent, Create | Edit | Tell)) from error

    async def fetch(self, source: str, take: Callable[[bytes], None]) -> None:
        """See ``core.ports.Adapter``."""
        try:
            file = await self._bot.get_file(source)
        except TelegramError as error:
            raise unfetched(error) from error
        passing("media.located", TELEGRAM)
        path = file.file_path or ""
        if not path.startswith(self._settings.base_file_url):
            # A server that keeps files on its own disk names a path there, which is none of ours to open.
            raise FileRefused(FileWhy.GONE, "the server gives no address")
        await self._downloader.fetch(path, take)

    async def check(self) -> Sequence[Finding]:
        """Prove the token and say what privacy mode and a foreign webhook mean."""
        try:
            user = await self._bot.get_me()
            webhook = await self._bot.get_webhook_info()
        except InvalidToken:
            return (Finding(False, BadToken(LABEL).message),)
        except TelegramError as error:
            return (Finding(False, message("check.telegram.unreachable", reason=str(error))),)
        findings = [Finding(True, message("check.telegram.connected", name=f"@{user.username}"))]
        if not user.can_read_all_group_messages:
            findings.append(Finding(True, message("check.telegram.privacy_mode")))
        if webhook.url:
            findings.append(Finding(True, message("check.telegram.webhook")))
        return findings

    async def find_sent(self, create: Create, since: datetime) -> MessageRef | None:  # noqa: ARG002 - the port names it
        """See ``core.ports.Adapter``. Never asked here."""
        raise Rejected("a bot cannot read what was written", why=RejectedWhy.UNREACHABLE)

    async def standing(self, chat: ChatRef) -> Loss | None:
        """See ``core.ports.Adapter``. No update tells when a chat changes what its ordinary members may do."""
        id_, _ = chat_ids(chat)
        try:
            member = await self._bot.get_chat_member(id_, (await self._identity()).id)
            loss = silenced(member, private=id_ > 0)
            if loss is None and member.status in (ChatMember.MEMBER, ChatMember.RESTRICTED):
                allowed = (await self._bot.get_chat(id_)).permissions
                return Loss.MUTED if allowed is not None and not allowed.can_send_messages else None
        except TelegramError as error:
            return _lost(error)
        return loss

    def link(self, message: MessageRef) -> str:
        """The address of a message; private chats and small groups have none."""
        try:
            return address(message, self._usernames.get(message_ids(message)[0], ""))
        except Rejected:
            return ""

    def _door(self, payload: str) -> str:
        return deep_link(self._me.username, payload) if self._me is not None else ""

    async def _connect(self) -> None:
        me = await self._identity()
        # What waits there is at most a day old and wanted.
        await self._bot.delete_webhook(drop_pending_updates=False)
        _LOG.info("Telegram: connected as @%s", me.username)
        try:
            await menu.publish(self._bot, self._words)
        except InvalidToken:
            raise
        except TelegramError as error:
            _LOG.warning("Telegram: the menu of commands could not be set: %s", type(error).__name__)

    async def _identity(self) -> Me:
        if self._me is None:
            user = await self._bot.get_me()
            self._me = Me(user.id, user.username or "")
        return self._me

    async def _own_username(self) -> str:
        return (await self._identity()).username

    def _listener(self, gate: Gate) -> Listener:
        assert self._me is not None
        return Listener(
            bot=self._bot,
            me=self._me,
            gate=gate,
            clock=self._clock,
            roster=self._roster,
            topics=self._topics,
            usernames=self._usernames,
            poll=timedelta(seconds=self._settings.poll_seconds),
            first_wait=self._settings.retry_seconds,
            conflict=self._settings.conflict_seconds,
            canary=self._settings.canary_seconds,
        )

    async def _do(self, intent: Intent) -> Receipt:
        match intent:
            case Create():
                return await self._create(intent)
            case Edit():
                await self._messages.edit(intent)
                return Receipt(intent.message)
            case Withdraw():
                chat, number = message_ids(intent.message)
                if intent.pinned:
                    await self._unpin(intent.message)
                await self._bot.delete_message(chat, number)
            case Tell():
                return await self._tell(intent)
            case Mark():
                chat, number = message_ids(intent.message)
                reaction = [ReactionTypeEmoji(mark(intent.emoji))] if intent.on else []
                await self._bot.set_message_reaction(chat, number, reaction)
        return Receipt()

    async def _create(self, intent: Create) -> Receipt:
        sent = await self._messages.send(intent.chat, intent.view, intent.form, intent.reply_to)
        if intent.pin:
            await self._pin(sent)
        return Receipt(sent)

    async def _tell(self, intent: Tell) -> Receipt:
        if not intent.handle:
            return Receipt(await self._messages.send(intent.chat, intent.view, Form.FULL, intent.reply_to))
        if not intent.handle.startswith(CALLBACK):
            raise Rejected("no callback query", why=RejectedWhy.UNREACHABLE)
        query = intent.handle.removeprefix(CALLBACK)
        if intent.chat.key == intent.to.key and not fits_toast(intent.view):
            return await self._tell_in_private(intent, query)
        words = toast(intent.view)
        # A toast passes in a moment; what had to be cut deserves a box that stays.
        long = words.endswith("…")
        await self._bot.answer_callback_query(query, words, show_alert=long)
        return Receipt()

    async def _tell_in_private(self, intent: Tell, query: str) -> Receipt:
        """A private chat has room for the whole answer; the press is answered too, to end its spinner."""
        sent = await self._messages.send(intent.chat, intent.view, Form.FULL, None)
        with suppress(TelegramError):
            await self._bot.answer_callback_query(query)
        return Receipt(sent)

    async def _pin(self, sent: MessageRef) -> None:
        chat, number = message_ids(sent)
        try:
            await self._bot.pin_chat_message(chat, number, disable_notification=True)
        except TelegramError as error:
            # The message stands; losing its receipt over the pin would send it twice.
            _LOG.warning("Telegram: a message in chat %s was not pinned: %s", chat, error)

    async def _unpin(self, message: MessageRef) -> None:
        """An old message may not be deleted by a bot, but unpinned all the same."""
        chat, number = message_ids(message)
        try:
            await self._bot.unpin_chat_message(chat, message_id=number)
        except TelegramError as error:
            _LOG.info("Telegram: a message in chat %s was not unpinned: %s", chat, error)

    async def _follow(self, intent: Intent, error: ChatMigrated) -> None:
        chat = intent.chat if isinstance(intent, Create | Tell) else intent.message.chat
        if self._gate is not None:
            event = moved(await self._identity(), chat_ids(chat)[0], error.new_chat_id)
            await self._gate.handle(event)


def _lost(error: TelegramError) -> Loss:
    """What a chat that does not answer is. Raises ``RetryLater`` where that is not said."""
    refusal = outcome(error, form=False)
    if isinstance(refusal, RetryLater):
        raise refusal from error
    return Loss.BLOCKED if refusal.why is RejectedWhy.UNREACHABLE else Loss.REMOVED


def _request(settings: Settings, connections: int) -> HTTPXRequest:
    """One try, bounded in time, trusting the system's certificates as a proxy in between may need it."""
    return HTTPXRequest(
        connection_pool_size=connections,
        connect_timeout=settings.request_seconds,
        read_timeout=settings.request_seconds,
        write_timeout=settings.request_seconds,
        pool_timeout=settings.request_seconds,
        httpx_kwargs={"verify": truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)},
    )


def _tame() -> None:
    """Keep the libraries' logs out: httpx writes addresses with the token in them, the SDK whole updates.

    The switch is the SDK's own for waits as ``timedelta``; without it each 429 raises a deprecation warning.
    """
    os.environ.setdefault("PTB_TIMEDELTA", "true")
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("telegram").setLevel(logging.CRITICAL + 1)
