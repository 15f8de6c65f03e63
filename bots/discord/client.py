"""discord.py's gateway client, one a shard, and what it tells of what we may do where."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING, Any

import aiohttp
import discord

from bots.discord.cache import loss_in, manages_threads
from core.events import Loss

if TYPE_CHECKING:
    from bots.discord.ears import Ears

_Channel = (
    discord.TextChannel
    | discord.VoiceChannel
    | discord.StageChannel
    | discord.ForumChannel
    | discord.CategoryChannel
    | discord.Thread
    | discord.abc.PrivateChannel
)


def intents(*, message_content: bool) -> discord.Intents:
    """The least: no member lists, no presences; message content is the only privileged one."""
    return discord.Intents(
        guilds=True,
        guild_messages=True,
        dm_messages=True,
        guild_reactions=True,
        dm_reactions=True,
        message_content=message_content,
    )


def _unheard(_: Collection[str]) -> None:
    """Nobody listens."""


class Client(discord.Client):
    """One shard: the SDK's client without message and member caches; all that it hears goes to ``Ears``.

    ``number`` of ``count``. ``turn`` returns when its session may begin; ``trace`` sees all that it calls over HTTP.
    """

    def __init__(
        self,
        *,
        number: int,
        count: int,
        message_content: bool,
        guild_ready_timeout: float,
        turn: Callable[[int], Awaitable[None]],
        trace: aiohttp.TraceConfig,
    ) -> None:
        super().__init__(
            shard_id=number,
            shard_count=count,
            http_trace=trace,
            intents=intents(message_content=message_content),
            allowed_mentions=discord.AllowedMentions.none(),
            max_messages=None,
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            guild_ready_timeout=guild_ready_timeout,
            # The documented way to the payloads themselves; converters work on those and need no cache.
            enable_debug_events=True,
        )
        self.ears: Ears | None = None
        #: Is told the channels of each guild that comes, also of those that a session begins with.
        self.came: Callable[[Collection[str]], None] = _unheard
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.number = number
        #: Its first session begins: the next shard of its turn may make ready.
        self.identified = asyncio.Event()
        self._turn = turn
        #: In which guild a channel was found.
        self._guild_of: dict[int, int] = {}
        self._standing: dict[int, Loss | None] = {}
        #: Private threads that somebody put us out of.
        self._put_out: set[int] = set()

    def get_channel(self, channel: int, /) -> _Channel | None:
        """The SDK looks through all guilds each time, half a millisecond for 2,000 of them."""
        guild = self.get_guild(self._guild_of.get(channel, 0))
        found = guild.get_channel_or_thread(channel) if guild is not None else None
        if found is not None:
            return found
        searched = super().get_channel(channel)
        if isinstance(searched, discord.Thread | discord.abc.GuildChannel):
            self._guild_of[channel] = searched.guild.id
        return searched

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Sessions begin in turns, and each counts against the day's number."""
        await super().before_identify_hook(shard_id, initial=initial)
        await self._turn(self.number)
        self.identified.set()

    async def on_socket_raw_receive(self, text: str) -> None:
        if self.ears is not None:
            self.ears.hear(text)

    async def on_ready(self) -> None:
        if self.ears is not None:
            self.ears.session_began()

    async def on_guild_join(self, guild: discord.Guild) -> None:
        for channel in (*guild.channels, *guild.threads):
            self._tell(channel.id, loss_in(channel))

    async def on_guild_available(self, guild: discord.Guild) -> None:
        self._look(guild)
        if self.ears is not None:
            self.came({str(channel.id) for channel in (*guild.channels, *guild.threads)})

    async def on_guild_remove(self, guild: discord.Guild) -> None:
        for channel in (*guild.channels, *guild.threads):
            self._tell(channel.id, Loss.REMOVED)

    async def on_guild_channel_delete(self, channel: discord.abc.GuildChannel) -> None:
        for thread in channel.guild.threads:
            if thread.parent_id == channel.id:
                self._tell(thread.id, Loss.DELETED)
        self._tell(channel.id, Loss.DELETED)

    async def on_raw_thread_delete(self, payload: discord.RawThreadDeleteEvent) -> None:
        self._tell(payload.thread_id, Loss.DELETED)

    # Whatever may change what we may do in a channel: its own settings, a role's, or which roles we have.

    async def on_guild_channel_update(
        self, _before: discord.abc.GuildChannel, after: discord.abc.GuildChannel
    ) -> None:
        self._look(after.guild)

    async def on_thread_update(self, _before: discord.Thread, after: discord.Thread) -> None:
        self._look_at(after)

    async def on_thread_join(self, thread: discord.Thread) -> None:
        """Also one that was archived, of which the gateway tells nothing until it is open again."""
        self._put_out.discard(thread.id)
        self._look_at(thread)

    async def on_thread_remove(self, thread: discord.Thread) -> None:
        """A public one may be written in all the same."""
        if thread.is_private():
            self._put_out.add(thread.id)
        self._look_at(thread)

    async def on_guild_role_update(self, _before: discord.Role, after: discord.Role) -> None:
        self._look(after.guild)

    async def on_guild_role_delete(self, role: discord.Role) -> None:
        self._look(role.guild)

    async def on_member_update(self, _before: discord.Member, after: discord.Member) -> None:
        if after == after.guild.me:
            self._look(after.guild)

    async def on_error(self, _event: str, /, *_args: Any, **_kwargs: Any) -> None:
        """A fault of ours in a handler ends this run; the SDK would only log it."""
        error = sys.exception()
        if error is not None and not self.failed.done():
            self.failed.set_exception(error)

    def _look(self, guild: discord.Guild) -> None:
        """Tells where what we may do has changed; of a channel seen for the first time, only what we may not."""
        for channel in (*guild.channels, *guild.threads):
            self._look_at(channel)

    def _look_at(self, channel: discord.abc.GuildChannel | discord.Thread) -> None:
        loss = self.loss(channel)
        if self._standing.get(channel.id) is not loss:
            self._tell(channel.id, loss)

    def loss(self, channel: discord.abc.GuildChannel | discord.Thread) -> Loss | None:
        """Why we may not write there."""
        if channel.id in self._put_out and not manages_threads(channel):
            return Loss.REMOVED
        return loss_in(channel)

    def _tell(self, channel: int, loss: Loss | None) -> None:
        self._standing[channel] = loss
        if self.ears is not None:
            self.ears.place_changed(str(channel), loss)
