"""What exists: people, guilds, channels, messages, webhooks. It outlives every connection of the bot."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.doubles.discord import permissions, snowflakes
from tests.doubles.discord.errors import Json, refusal

if TYPE_CHECKING:
    from tests.doubles.discord.events import Events
    from tests.doubles.discord.interactions import Interaction

TEXT, DM, CATEGORY, ANNOUNCEMENT, PUBLIC_THREAD, PRIVATE_THREAD = 0, 1, 4, 5, 11, 12
FORUM, MEDIA = 15, 16
FORUMS = frozenset({FORUM, MEDIA})
ANNOUNCEMENT_THREAD = 10
THREADS = frozenset({ANNOUNCEMENT_THREAD, PUBLIC_THREAD, PRIVATE_THREAD})

REQUIRE_TAG = 1 << 4
CROSSPOSTED, EPHEMERAL, LOADING = 1 << 0, 1 << 6, 1 << 7


@dataclass(eq=False)
class User:
    """An account. `name` is what people see, `username` the unique one."""

    id: int
    username: str
    name: str | None = None
    bot: bool = False
    locale: str = "en-US"
    avatar: str | None = None
    #: False: sends into the direct channel are refused with 50007.
    accepts_dms: bool = True

    @property
    def shown_name(self) -> str:
        return self.name or self.username


@dataclass(eq=False)
class Role:
    id: int
    guild: Guild
    name: str
    permissions: int = 0
    position: int = 1
    mentionable: bool = False
    bot_id: int | None = None


@dataclass(eq=False)
class Member:
    user: User
    joined_at: datetime
    roles: list[Role] = field(default_factory=list)
    nick: str | None = None
    timed_out_until: datetime | None = None


@dataclass(eq=False)
class Guild:
    """A server. Its methods are the acts of whoever administers it, and are told to the bot as events."""

    id: int
    name: str
    owner_id: int
    world: World
    locale: str = "en-US"
    available: bool = True
    roles: dict[int, Role] = field(default_factory=dict)
    members: dict[int, Member] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)

    @property
    def everyone(self) -> Role:
        return self.roles[self.id]

    @property
    def has_bot(self) -> bool:
        return self.world.bot.id in self.members

    def join(self, user: User, *roles: Role) -> Member:
        """Makes `user` a member; the bot is told only with the members intent."""
        member = Member(user, self.world.now(), list(roles))
        self.members[user.id] = member
        self.world.events.member_joined(self, member)
        return member

    def leave(self, user: User) -> None:
        member = self.members.pop(user.id)
        self.world.events.member_left(self, member)

    def add_bot(self, allowed: int = permissions.MODEST_BOT) -> Role:
        """Invites the bot with a managed role; it gets GUILD_CREATE."""
        role = self.role(self.world.bot.username, allowed, bot_id=self.world.bot.id)
        self.members[self.world.bot.id] = Member(self.world.bot, self.world.now(), [role])
        self.world.events.guild_created(self, joined=True)
        return role

    def remove_bot(self) -> None:
        """Kicks the bot; it gets GUILD_DELETE."""
        del self.members[self.world.bot.id]
        self.world.events.guild_deleted(self, unavailable=False)

    @property
    def bot_role(self) -> Role:
        return next(role for role in self.roles.values() if role.bot_id is not None)

    def set_available(self, available: bool) -> None:
        """An outage of the guild, or its end."""
        self.available = available
        if available:
            self.world.events.guild_created(self, joined=False)
        else:
            self.world.events.guild_deleted(self, unavailable=True)

    def role(
        self, name: str, allowed: int = 0, *, mentionable: bool = False, bot_id: int | None = None
    ) -> Role:
        role = Role(self.world.ids.next(), self, name, int(allowed), len(self.roles), mentionable, bot_id)
        self.roles[role.id] = role
        self.world.events.role_changed("GUILD_ROLE_CREATE", role)
        return role

    def set_permissions(self, role: Role, allowed: int) -> None:
        role.permissions = int(allowed)
        self.world.events.role_changed("GUILD_ROLE_UPDATE", role)

    def give(self, user: User, role: Role) -> None:
        """Gives a role; GUILD_MEMBER_UPDATE follows."""
        member = self.members[user.id]
        if role not in member.roles:
            member.roles.append(role)
        self.world.events.member_updated(self, member)

    def take(self, user: User, role: Role) -> None:
        member = self.members[user.id]
        member.roles.remove(role)
        self.world.events.member_updated(self, member)

    def time_out(self, user: User, until: datetime | None) -> None:
        """Until then they may only look; ``None`` ends it. GUILD_MEMBER_UPDATE follows, and nothing at its end."""
        member = self.members[user.id]
        member.timed_out_until = until
        self.world.events.member_updated(self, member)

    def text_channel(self, name: str, *, nsfw: bool = False, topic: str | None = None) -> Channel:
        return self.add_channel(name, TEXT, nsfw=nsfw, topic=topic)

    def announcement_channel(self, name: str, *, topic: str | None = None) -> Channel:
        return self.add_channel(name, ANNOUNCEMENT, topic=topic)

    def forum(self, name: str, *, tags_required: bool = False, media: bool = False) -> Channel:
        channel = self.add_channel(name, MEDIA if media else FORUM)
        if tags_required:
            channel.update(flags=REQUIRE_TAG)
        return channel

    def category(self, name: str) -> Channel:
        return self.add_channel(name, CATEGORY)

    def add_channel(self, name: str, kind: int, *, nsfw: bool = False, topic: str | None = None) -> Channel:
        channel = Channel(self.world.ids.next(), kind, self.world, self, name, topic=topic, nsfw=nsfw)
        channel.position = len(self.channels)
        self.channels[channel.id] = channel
        self.world.channels[channel.id] = channel
        self.world.events.channel_changed("CHANNEL_CREATE", channel)
        return channel


@dataclass(eq=False)
class Channel:
    """A place for messages: a guild's channel, a thread, or a direct channel."""

    id: int
    type: int
    world: World
    guild: Guild | None = None
    name: str = ""
    topic: str | None = None
    nsfw: bool = False
    position: int = 0
    parent: Channel | None = None
    owner_id: int | None = None
    archived: bool = False
    locked: bool = False
    flags: int = 0
    #: Who is in a private thread.
    insiders: set[int] = field(default_factory=set)
    recipients: list[User] = field(default_factory=list)
    overwrites: dict[int, tuple[int, int]] = field(default_factory=dict)
    messages: dict[int, Message] = field(default_factory=dict)
    pins: dict[int, datetime] = field(default_factory=dict)

    @property
    def is_thread(self) -> bool:
        return self.type in THREADS

    @property
    def is_forum(self) -> bool:
        return self.type in FORUMS

    @property
    def posts(self) -> list[Channel]:
        """A forum's threads, oldest first."""
        return sorted(
            (each for each in self.world.channels.values() if each.parent is self), key=lambda each: each.id
        )

    @property
    def last_message_id(self) -> int | None:
        return next(reversed(self.messages), None)

    def allows(self, user: User, wanted: int) -> bool:
        return permissions.in_channel(self, user.id) & wanted == wanted

    def overwrite(self, target: Role | User, *, allow: int = 0, deny: int = 0) -> None:
        """Sets what this channel allows or denies to a role or one person; CHANNEL_UPDATE follows."""
        self.overwrites[target.id] = (int(allow), int(deny))
        self.world.events.channel_changed("CHANNEL_UPDATE", self)

    def update(
        self,
        *,
        name: str | None = None,
        topic: str | None = None,
        kind: int | None = None,
        nsfw: bool | None = None,
        flags: int | None = None,
        archived: bool | None = None,
        locked: bool | None = None,
    ) -> None:
        self.name = name or self.name
        self.topic = topic if topic is not None else self.topic
        self.type = self.type if kind is None else kind
        self.nsfw = self.nsfw if nsfw is None else nsfw
        self.flags = self.flags if flags is None else flags
        self.archived = self.archived if archived is None else archived
        self.locked = self.locked if locked is None else locked
        event = "THREAD_UPDATE" if self.is_thread else "CHANNEL_UPDATE"
        self.world.events.channel_changed(event, self)

    def remove(self) -> None:
        """Deletes the channel with its messages, threads and webhooks."""
        inside = [each for each in self.world.channels.values() if each.parent is self]
        for thread in inside:
            if thread.is_thread:
                thread.remove()
        del self.world.channels[self.id]
        if self.guild is not None:
            self.guild.channels.pop(self.id, None)
        for webhook in [each for each in self.world.webhooks.values() if each.channel is self]:
            del self.world.webhooks[webhook.id]
        event = "THREAD_DELETE" if self.is_thread else "CHANNEL_DELETE"
        self.world.events.channel_changed(event, self)

    def thread(
        self, name: str, owner: User, *, kind: int = PUBLIC_THREAD, message: Message | None = None
    ) -> Channel:
        """Opens a thread, on a message (then it has that message's id) or on its own."""
        if self.type == ANNOUNCEMENT and kind == PUBLIC_THREAD:
            kind = ANNOUNCEMENT_THREAD
        thread_id = message.id if message is not None else self.world.ids.next()
        if thread_id in self.world.channels:
            raise refusal(160004)
        thread = Channel(thread_id, kind, self.world, self.guild, name, parent=self, owner_id=owner.id)
        self.world.channels[thread.id] = thread
        thread.insiders.add(owner.id)
        if kind != PRIVATE_THREAD or owner is self.world.bot:
            self.world.events.channel_changed("THREAD_CREATE", thread)
        return thread

    def put_out(self, user: User) -> None:
        """Takes somebody out of a thread; THREAD_MEMBERS_UPDATE follows."""
        self.insiders.discard(user.id)
        self.world.events.thread_left(self, user)

    def let_in(self, user: User) -> None:
        """The reverse."""
        self.insiders.add(user.id)
        self.world.events.thread_joined(self, user)


@dataclass(frozen=True)
class Pinged:
    """Whom a message would really have notified, after `allowed_mentions` and permissions."""

    everyone: bool = False
    users: frozenset[int] = frozenset()
    roles: frozenset[int] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.everyone or self.users or self.roles)


@dataclass(eq=False)
class Attachment:
    id: int
    filename: str
    data: bytes
    content_type: str
    description: str | None = None


@dataclass(eq=False)
class Message:
    """A message; `shown` turns False when it is deleted."""

    id: int
    channel: Channel
    author: User
    content: str = ""
    embeds: list[Json] = field(default_factory=list)
    components: list[Json] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    type: int = 0
    flags: int = 0
    tts: bool = False
    nonce: str | int | None = None
    webhook: Webhook | None = None
    application_id: int | None = None
    reply_to: Message | None = None
    reference: Json | None = None
    interaction: Interaction | None = None
    edited_at: datetime | None = None
    pinged: Pinged = Pinged()
    mentions: list[User] = field(default_factory=list)
    mention_roles: list[int] = field(default_factory=list)
    mention_everyone: bool = False
    #: emoji -> ids of users, in the order of reacting; emoji as first sent ("👍" or "name:id")
    reactions: dict[str, list[int]] = field(default_factory=dict)
    shown: bool = True

    @property
    def created_at(self) -> datetime:
        return snowflakes.time_of(self.id)

    @property
    def ephemeral(self) -> bool:
        return bool(self.flags & EPHEMERAL)

    @property
    def pinned(self) -> bool:
        return self.id in self.channel.pins

    @property
    def reaction_counts(self) -> dict[str, int]:
        return {emoji: len(users) for emoji, users in self.reactions.items()}

    def buttons(self) -> list[Json]:
        """Every interactive part in all rows, in order."""
        return [part for row in self.components for part in row.get("components", [])]


@dataclass(eq=False)
class Webhook:
    id: int
    channel: Channel
    name: str
    creator: User
    application_id: int | None
    avatar: str | None = None
    token: str = field(default_factory=lambda: secrets.token_urlsafe(48))


class World:
    """All state of the double, and the place where a test waits for it to change."""

    def __init__(self, *, now: Callable[[], datetime] | None = None) -> None:
        self.now: Callable[[], datetime] = now or (lambda: datetime.now(UTC))
        self.ids = snowflakes.Snowflakes(self.now)
        self.events: Events  # set by the double: the events need the gateway, which needs the world
        self.cdn_url = ""
        #: For how long a link to a file stays valid.
        self.link_life = timedelta(hours=24)
        self.application_id = self.ids.next()
        self.bot = User(self.application_id, "Stormo", bot=True)
        self.users: dict[int, User] = {self.bot.id: self.bot}
        self.guilds: dict[int, Guild] = {}
        self.channels: dict[int, Channel] = {}
        self.webhooks: dict[int, Webhook] = {}
        #: by token
        self.interactions: dict[str, Interaction] = {}
        #: guild id (None: everywhere) -> command id -> command as the API answers it
        self.commands: dict[int | None, dict[int, Json]] = {None: {}}
        self.files: dict[int, Attachment] = {}
        self.avatars: dict[str, bytes] = {}
        self._waiting: list[asyncio.Future[None]] = []

    def guild(
        self,
        name: str,
        owner: User,
        *,
        locale: str = "en-US",
        bot: bool = True,
        shard: tuple[int, int] | None = None,
    ) -> Guild:
        id_ = self.ids.next() if shard is None else self.ids.next_of(*shard)
        guild = Guild(id_, name, owner.id, self, locale)
        guild.roles[guild.id] = Role(guild.id, guild, "@everyone", int(permissions.EVERYONE), 0)
        guild.members[owner.id] = Member(owner, self.now())
        self.guilds[guild.id] = guild
        if bot:
            guild.add_bot()
        return guild

    def direct_channel(self, one: User, other: User) -> Channel:
        """The one direct channel of two accounts, made when first asked for."""
        for channel in self.channels.values():
            if channel.type == DM and {one.id, other.id} == {user.id for user in channel.recipients}:
                return channel
        channel = Channel(self.ids.next(), DM, self, recipients=[one, other])
        self.channels[channel.id] = channel
        return channel

    def message(self, message_id: int) -> Message:
        """Any message, shown in a channel or not; raises KeyError for an unknown id."""
        for channel in self.channels.values():
            if message_id in channel.messages:
                return channel.messages[message_id]
        raise KeyError(message_id)

    def members_among(self, users: Iterable[int]) -> list[User]:
        return [self.users[each] for each in users if each in self.users]

    def touch(self) -> None:
        """Says that something changed: everybody in `until` looks again."""
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def until(self, holds: Callable[[], Any], seconds: float, what: str = "") -> Any:
        """Waits until `holds()` is true and returns its value; AssertionError after `seconds`."""
        deadline = asyncio.get_running_loop().time() + seconds
        while not (value := holds()):
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                raise AssertionError(f"not within {seconds} s: {what or holds}")
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            await asyncio.wait([future], timeout=left)
        return value
