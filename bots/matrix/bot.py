"""The Matrix adapter: one account on one homeserver."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bots.matrix.convert import Reader
from bots.matrix.files import Files
from bots.matrix.homeserver import LABEL, Homeserver, Login, Refused
from bots.matrix.html import PLATFORM
from bots.matrix.joining import Habits
from bots.matrix.listen import Listener
from bots.matrix.perform import Performer
from bots.matrix.room import Room, words
from bots.matrix.show import MAX_TEXT, event_link, measure
from core.errors import BadToken, Rejected, RejectedWhy, RetryLater, message
from core.events import Loss
from core.intents import Capabilities, Create, Intent, Receipt, Window
from core.ports import Clock, Finding, Gate, Words
from core.types import ChatRef, MessageRef

#: A plain account on Synapse may send 10 at once and then 0.2 a second; the server's answers teach the rest.
PLAIN_ACCOUNT = (Window(10, timedelta(seconds=10)),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """``[matrix]`` of the config.

    ``homeserver``: base address. ``user_id``: ``@bot:server``. Either ``access_token`` or ``password``; with
    a password ``device_id`` keeps repeats harmless over restarts. ``invite_servers``: whose invitations are
    accepted, ``*`` for everybody's, empty for the own server's. ``windows``: the account's limits.
    """

    homeserver: str
    user_id: str
    access_token: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    device_id: str = ""
    command_prefix: str = "!"
    invite_servers: tuple[str, ...] = ()
    display_name: str = ""
    tally_every: timedelta = timedelta(minutes=10)
    windows: tuple[Window, ...] = PLAIN_ACCOUNT
    poll: timedelta = timedelta(seconds=30)
    first_delay: timedelta = timedelta(seconds=1)
    last_delay: timedelta = timedelta(seconds=60)
    patience: timedelta = timedelta(seconds=30)
    canary_seconds: float = 300
    catchup_events: int = 10_000

    @property
    def stable_device(self) -> bool:
        """Whether the server will know our keys again after a restart: it keeps them per device."""
        return bool(self.access_token or self.device_id)


class MatrixAdapter:
    """``core.ports.Adapter`` for Matrix."""

    platform = PLATFORM

    def __init__(self, settings: Settings, words: Words, clock: Clock) -> None:
        self.capabilities = _capabilities(settings)
        self._settings = settings
        self._words = words
        self._clock = clock
        self._rooms: dict[str, Room] = {}
        login = Login(
            user=settings.user_id,
            token=settings.access_token,
            password=settings.password,
            device=settings.device_id,
        )
        self._server = Homeserver(settings.homeserver, login)
        self._files = Files(self._server, settings.homeserver)
        self._performer = Performer(self._server, self._files, self._rooms)

    async def run(self, gate: Gate) -> None:
        """Listen until cancelled. Raises ``BadToken`` for a dead token; lost connections are waited out."""
        settings = self._settings
        habits = Habits(
            servers=settings.invite_servers,
            display_name=settings.display_name,
            unreadable=self._words(message("matrix.unreadable", name=settings.user_id), "en"),
            poll=settings.poll,
            first_delay=settings.first_delay,
            last_delay=settings.last_delay,
            patience=settings.patience,
            canary=timedelta(seconds=settings.canary_seconds),
            catchup=settings.catchup_events,
        )
        reader = Reader(me=settings.user_id, prefix=settings.command_prefix)
        try:
            await Listener(self._server, reader, habits, gate, self._clock, self._rooms).run()
        finally:
            await self.close()

    async def perform(self, intent: Intent) -> Receipt:
        """One act; see ``core.ports.Adapter``."""
        return await self._performer.perform(intent)

    async def fetch(self, source: str, take: Callable[[bytes], None]) -> None:
        """See ``core.ports.Adapter``."""
        await self._files.fetch(source, take)

    async def find_sent(self, create: Create, since: datetime) -> MessageRef | None:  # noqa: ARG002 - the port names it
        """See ``core.ports.Adapter``. Never asked here."""
        raise Rejected("the transaction id tells: a repeat is the way to ask", why=RejectedWhy.UNREACHABLE)

    async def standing(self, chat: ChatRef) -> Loss | None:
        """See ``core.ports.Adapter``."""
        room = self._rooms.get(chat.key)
        if room is not None:
            return room.loss(self._settings.user_id)
        try:
            joined = (await self._server.call("GET", "/joined_rooms")).get("joined_rooms")
        except Refused as refused:
            raise RetryLater(str(refused)) from refused
        if isinstance(joined, list) and chat.key in joined:
            raise RetryLater("the room's state is not known yet")
        return Loss.REMOVED

    async def close(self) -> None:
        """Close the connections; a later act opens new ones."""
        await self._server.close()
        await self._files.close()

    def link(self, message: MessageRef) -> str:
        """The ``matrix.to`` address of a message."""
        return event_link(message, self._settings.user_id)

    async def check(self) -> Sequence[Finding]:
        """Homeserver, token, device and limits, one finding each; changes nothing."""
        settings = self._settings
        try:
            await self._server.versions()
        except (RetryLater, Refused) as fault:
            refusal = message("check.matrix.unreachable", url=settings.homeserver, reason=str(fault))
            return (Finding(False, refusal),)
        found = [Finding(True, message("check.matrix.homeserver", url=settings.homeserver))]
        try:
            found += await self._identity()
            await self._server.log_out()
        except BadToken as bad:
            found.append(Finding(False, bad.message))
        except (RetryLater, Refused) as fault:
            refusal = message("check.matrix.refused", user=settings.user_id, reason=str(fault))
            found.append(Finding(False, refusal))
        return found

    async def _identity(self) -> list[Finding]:
        settings = self._settings
        who = await self._server.call("GET", "/account/whoami")
        user, device = words(who.get("user_id")), words(who.get("device_id"))
        if user != settings.user_id:
            return [Finding(False, message("check.matrix.other_user", user=user, expected=settings.user_id))]
        stable = settings.stable_device and bool(device)
        about_device = message("check.matrix.device" if stable else "check.matrix.no_device", device=device)
        return [
            Finding(True, message("check.matrix.user", user=user)),
            Finding(stable, about_device),
            Finding(True, message("check.matrix.limits", user=user)),
        ]


def _capabilities(settings: Settings) -> Capabilities:
    return Capabilities(
        label=LABEL,
        max_text=MAX_TEXT,
        length_unit="byte",
        buttons=False,
        ephemeral=False,
        silent=True,
        command_prefix=settings.command_prefix,
        key_life=timedelta(hours=24) if settings.stable_device else None,
        tally_every=settings.tally_every,
        measure=measure,
        files_per_message=1,
        max_file=50 * 1024 * 1024,
        token_windows=settings.windows,
    )
