"""The shards that this process listens to: one client each, every one with its own guilds, session and reading back.

Why not discord.py's ``AutoShardedClient``: it keeps the guilds that a shard lost while it was away, forgets to say that
shards are ready when one of them begins anew at that moment, and lets every shard wait while one waits for its turn to
identify. A client a shard is the same public code, and no shard's trouble is another's.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Coroutine, Iterator, Sequence
from typing import Any, Final

import discord

from bots.discord.cache import Cache
from bots.discord.channels import Channel
from bots.discord.client import Client
from bots.discord.identify import Turns
from bots.discord.rest import LABEL
from core.errors import BadToken

_AUTHENTICATION_FAILED: Final = 4004
#: Seconds after which what should have ended is told so again.
_CANCELLED_AGAIN: Final = 0.1


class Shards:
    """``count`` is the number of all shards there are, here and in other processes. None: we are not connected.

    ``quiet``: seconds without a sign of life after which a shard counts as gone; longer than between two heartbeats.
    """

    def __init__(self, clients: Sequence[Client] = (), count: int = 0, quiet: float = 0) -> None:
        self._clients = clients
        self._count = count
        self._quiet = quiet
        self._signs: dict[int, float] = {}
        #: Whose a channel was when it was known: one that is known no more is still that shard's to look for.
        self._homes: dict[str, int] = {}
        self._told: set[int] = set()
        #: Of all channels that were asked for, which shard was given them to read back.
        self._given: dict[str, int | None] = {}

    def __iter__(self) -> Iterator[Client]:
        return iter(self._clients)

    @property
    def ready(self) -> bool:
        """Whether every one of them has begun a session and knows its guilds."""
        return bool(self._clients) and all(client.is_ready() for client in self._clients)

    def alive(self, shard: Client) -> bool:
        """A sign of life of one. Whether all gave one of late, or are to yet: all are as alive as the quietest."""
        now = self._signs[shard.number] = asyncio.get_running_loop().time()
        return now - min(self._signs.values()) <= self._quiet

    def around(self, channel: str) -> Cache:
        """What is known of a channel: by the shard of its guild, else by one that knows nothing of it either."""
        return Cache(self._knowing(channel) or self._clients[0])

    def _knowing(self, channel: str) -> Client | None:
        home = self._homes.get(channel)
        likely = sorted(self._clients, key=lambda client: client.number != home)
        for client in likely:
            if client.get_channel(int(channel)) is not None:
                self._homes[channel] = client.number
                return client
        return None

    def heard(self, channel: str) -> int | None:
        """See ``Cache.heard``."""
        return self.around(channel).heard(channel)

    def channel(self, channel: str) -> Channel | None:
        """A channel that a shard here knows."""
        knowing = self._knowing(channel)
        return None if knowing is None else Cache(knowing).channel(channel)

    def own(self, shard: Client, channels: Collection[str]) -> Collection[str]:
        """Which of these are to be read back by a shard that has just begun a session.

        No id tells to which guild a channel belongs. One that no shard knows (gone, or an archived thread) belongs
        where it was known before, else to whoever asks once all that there are have asked.
        """
        self._homes |= {channel: shard.number for channel in _channels(shard) if channel in channels}
        self._told.add(shard.number)
        mine = {channel for channel in channels if self._homes.get(channel) == shard.number}
        if len(self._told) >= self._count:
            mine |= {channel for channel in set(channels) - self._homes.keys() if not self._knowing(channel)}
        self._given = dict.fromkeys(channels) | self._given | dict.fromkeys(mine, shard.number)
        return mine

    def late(self, shard: Client, channels: Collection[str]) -> Collection[str]:
        """Which of a guild's channels are to be read back by a shard that did not know them when it began."""
        late = {channel for channel in channels if self._given.get(channel, shard.number) != shard.number}
        self._given |= dict.fromkeys(late, shard.number)
        return late

    def connect(self, token: str, turns: Turns, tasks: asyncio.TaskGroup) -> None:
        """Begin all sessions, each in its turn. The end of one is a fault, raised in the group."""
        for turn in {turns.turn(client.number) for client in self._clients}:
            one_by_one = [client for client in self._clients if turns.turn(client.number) == turn]
            tasks.create_task(self._connect(one_by_one, token, turns, tasks))

    async def _connect(
        self, clients: Sequence[Client], token: str, turns: Turns, tasks: asyncio.TaskGroup
    ) -> None:
        """Those who share a turn, none before the one ahead of it has had it."""
        now = asyncio.get_running_loop().time()
        for place, client in enumerate(clients):
            # One that waits for the day's sake, or whose turn does not come, is quiet too.
            self._signs[client.number] = now + place * turns.seconds
        for client in clients:
            await turns.spare(client.number)
            tasks.create_task(_start(client, token))
            await client.identified.wait()

    def deafen(self) -> None:
        """The run ends: whatever still comes is for the next one to read back."""
        for client in self._clients:
            client.ears = None

    async def close(self) -> None:
        await asyncio.gather(*(client.close() for client in self._clients))


def _channels(client: Client) -> Iterator[str]:
    for guild in client.guilds:
        for channel in (*guild.channels, *guild.threads):
            yield str(channel.id)


async def _start(client: Client, token: str) -> None:
    try:
        await _to_its_end(client.start(token))
    except discord.LoginFailure:
        raise BadToken(LABEL) from None
    except discord.ConnectionClosed as closed:
        if closed.code == _AUTHENTICATION_FAILED:
            raise BadToken(LABEL) from None
        raise
    except AttributeError:
        # What the SDK makes of a first connection that fails, or takes longer than a minute: it has none to resume.
        if client.ws is None:
            raise ConnectionError("Discord's gateway cannot be reached") from None
        raise
    raise ConnectionError("Discord's gateway closed the session")


async def _to_its_end(session: Coroutine[Any, Any, None]) -> None:
    """Cancelled for sure.

    The SDK waits with ``asyncio.wait_for``, which before Python 3.12 loses a cancellation that comes just as what it
    waits for ends (python/cpython#86296).
    """
    task = asyncio.create_task(session)
    try:
        await asyncio.wait({task})
    finally:
        while not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=_CANCELLED_AGAIN)
    task.result()


@contextlib.asynccontextmanager
async def first_fault() -> AsyncIterator[None]:
    """The supervisor wants the fault itself, not the group of one that a ``TaskGroup`` makes of it."""
    try:
        yield
    except BaseExceptionGroup as group:
        fault: BaseException = group
        while isinstance(fault, BaseExceptionGroup):
            fault = fault.exceptions[0]
        raise fault from None
