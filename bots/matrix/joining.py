"""Coming into rooms: invitations, and the successors of upgraded rooms."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from bots.matrix.convert import Invite
from bots.matrix.homeserver import Homeserver, Refused, part
from bots.matrix.room import Room, server_of
from core.errors import BadToken, RetryLater

log = logging.getLogger(__name__)

_TRIES = 20
_AT_ONCE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How the bot listens.

    ``servers``: whose invitations it accepts, ``*`` for all; empty for its own server's. ``poll``: how long a
    sync may idle; ``first_delay`` doubles with each failure in a row up to ``last_delay``, and after ``patience``
    of nothing else the operator is told. ``unreadable``: what is said to somebody who opened an encrypted private
    chat. ``canary``: how often it is doubted that a sync brings all. ``catchup``: how many events of a room are read
    back at most after an absence.
    """

    servers: tuple[str, ...] = ()
    display_name: str = ""
    unreadable: str = ""
    poll: timedelta = timedelta(seconds=30)
    first_delay: timedelta = timedelta(seconds=1)
    last_delay: timedelta = timedelta(seconds=60)
    patience: timedelta = timedelta(seconds=30)
    canary: timedelta = timedelta(minutes=5)
    catchup: int = 10_000

    def welcomes(self, sender: str, me: str) -> bool:
        servers = self.servers or (server_of(me),)
        return "*" in servers or server_of(sender) in servers

    def delay(self, failures: int, asked: timedelta | None) -> float:
        """Seconds to wait after so many failures in a row; never less than the server asked for."""
        growing = min(self.first_delay * float(2 ** min(failures - 1, 16)), self.last_delay)
        jittered = growing * random.uniform(0.75, 1.0)  # noqa: S311
        return max(jittered, asked or timedelta()).total_seconds()


class Joiner:
    """Joins rooms beside the sync loop: a server may let an account in only every ten seconds."""

    def __init__(self, server: Homeserver, habits: Habits, rooms: Mapping[str, Room]) -> None:
        self._server = server
        self._habits = habits
        self._rooms = rooms
        self._direct: dict[str, list[str]] = {}
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._free = asyncio.Semaphore(_AT_ONCE)

    @property
    def busy(self) -> bool:
        """Whether an invitation is not answered yet."""
        return bool(self._under_way)

    def cancel(self) -> None:
        """Give up what is under way."""
        for task in list(self._under_way.values()):
            task.cancel()

    def know(self, direct: Mapping[str, object]) -> None:
        """Take in which rooms are private chats, as ``m.direct`` keeps it."""
        self._direct = {user: list(rooms) for user, rooms in direct.items() if isinstance(rooms, list)}

    def opener(self, room: str) -> str:
        """Who opened this private chat with the bot; empty where it is none."""
        return next((user for user, rooms in self._direct.items() if room in rooms), "")

    async def invited(self, invite: Invite) -> None:
        """Accept or decline. The same invitation may come again and again."""
        if invite.room in self._under_way or invite.room in self._rooms:
            return
        if not self._habits.welcomes(invite.sender, self._server.me):
            log.info("Matrix: an invitation from %s is declined", server_of(invite.sender))
            await self._decline(invite.room)
            return
        if invite.direct and not self.opener(invite.room):
            self._direct.setdefault(invite.sender, []).append(invite.room)
        self._start(invite.room, server_of(invite.sender), direct=invite.direct)

    def follow_all(self) -> None:
        """Try again to come into the successors of rooms that were upgraded before."""
        for room in list(self._rooms.values()):
            self.follow(room, "")

    def follow(self, room: Room, sender: str) -> None:
        """Come into the successor that a room's tombstone names; an upgrade moves no members."""
        new = room.replacement
        if new and new not in self._rooms and new not in self._under_way:
            self._start(new, server_of(sender) or server_of(self._server.me), direct=False)

    async def _decline(self, room: str) -> None:
        try:
            await self._server.call("POST", f"/rooms/{part(room)}/leave", {})
        except Refused as refused:
            log.info("Matrix: declining failed: %s", refused)

    def _start(self, room: str, via: str, *, direct: bool) -> None:
        task = asyncio.create_task(self._join(room, via, direct=direct))
        self._under_way[room] = task
        task.add_done_callback(lambda _: self._under_way.pop(room, None))

    async def _join(self, room: str, via: str, *, direct: bool) -> None:
        query = {"server_name": via, "via": via} if via else {}
        for failures in range(1, _TRIES + 1):
            try:
                async with self._free:
                    await self._server.call("POST", f"/join/{part(room)}", {}, query=query)
                    await self._remember(direct=direct)
                return
            except RetryLater as later:
                delay = self._habits.delay(failures, later.after)
            except (Refused, BadToken) as refused:
                log.warning("Matrix: cannot join %s: %s", room, refused)
                return
            await asyncio.sleep(delay)
        log.warning("Matrix: gave up joining %s", room)

    async def _remember(self, *, direct: bool) -> None:
        """Joining forgets that the invitation was to a private chat; account data keeps it."""
        if direct:
            path = f"/user/{part(self._server.me)}/account_data/m.direct"
            await self._server.call("PUT", path, dict(self._direct))
