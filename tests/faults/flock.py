"""A stage on which everybody may be the author: two rooms a platform, each of which mirrors the whole community."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from bots.telegram.writing import PING_BREAK
from tests.doubles.discord import Channel
from tests.doubles.telegram import Chat
from tests.faults.launch import QuickStage
from tests.faults.pieces import Picture, digest, fewest, tokens
from tests.peers.synapse import SynapseServer
from tests.stage import until

PLATFORMS = ("discord", "telegram", "matrix")
#: Where a repeat is recognised: exactly one copy.
KEYED = ("discord", "matrix")


@dataclass
class Post:
    """What is meant to be shown. ``words`` begin every text that it ever had."""

    author: str
    words: str
    text: str = ""
    deleted: bool = False
    votes: set[str] = field(default_factory=set)
    #: The author's own message, as its platform knows it; an interaction leaves none.
    message: Any = None
    slash: bool = False
    #: What is typed before the text: who may see it.
    options: str = ""
    pictures: Sequence[Picture] = ()
    #: Until the next start Discord's links to its pictures end at once.
    old: bool = False
    #: Its text takes several messages, or did.
    parted: bool = False
    #: Rooms where a moderator took it away.
    gone: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.text = self.text or self.words

    @property
    def id(self) -> str:
        return self.words.split()[-1]

    @property
    def typed(self) -> str:
        return f"post {self.options}{self.text}"


@dataclass(frozen=True)
class Message:
    """``files``: the digests of those that stand in it."""

    text: str
    files: Sequence[str] = ()


@dataclass(frozen=True)
class Room:
    """One room: ``messages`` gives what the bot shows there now."""

    name: str
    platform: str
    messages: Callable[[], Awaitable[list[Message]]]
    key: str

    async def texts(self) -> list[str]:
        return [message.text for message in await self.messages()]


class FlockStage(QuickStage):
    """Anna, Bruno and Chiara each write in the first room of their platform; the second one only mirrors."""

    def __init__(self, synapse: SynapseServer, folder: Path, *, database: str = "") -> None:
        super().__init__(synapse, folder, database=database, limited=False)
        self._reactions: dict[str, str] = {}
        self._digests: dict[str, str] = {}

    # -- setting it up -------------------------------------------------------------------------------------------

    def _write_config(self) -> None:
        super()._write_config()
        # Every restart reads back: the newest messages are enough to be found again. A poll acknowledges when it ends.
        text = self.config.read_text().replace(
            "[discord]", "[discord]\ncatchup_things = 30\ncall_seconds = 2"
        )
        self.config.write_text(text.replace("[telegram]", "[telegram]\npoll_seconds = 2"))

    async def set_up(self) -> None:
        """Everybody joins, six rooms become one community, and each mirrors all of it."""
        self.second = await self.chiara.create_room("Birds too", invite=[self.bot.user_id])
        await self.start()
        await self.anna.start()
        await self.anna.send(self.group, "/join")
        await self.anna.send(self.group, "/setup")
        await self.anna.send(self.mirror, f"/setup {await self._code()}")
        await self._shows(self.mirror, "birds")
        for chat in (self.group, self.mirror):
            await self.anna.send(chat, "/mirror add birds")
        await self._discord_rooms()
        await self._matrix_rooms()
        await until(lambda: self.ask("SELECT count(*) FROM mirrors") == [(6,)], "six mirrors")
        await self.quiet()

    async def _discord_rooms(self) -> None:
        await until(lambda: self.discord.world.commands[None], "the slash commands")
        await self.bruno.slash(self.channels[0], "join", {})
        for channel in self.channels[:2]:
            await self.bruno.slash(channel, "setup", {"code": await self._code()})
            await self.bruno.slash(channel, "mirror add", {"feed": "birds"})

    async def speak_as_authors(self) -> None:
        """In Discord's second room a webhook speaks from now on: it has no key, and a lost send is looked for."""
        await self.bruno.slash(self.channels[1], "mirror look", {"name": "author"})
        await until(lambda: self.ask("SELECT 1 FROM chats WHERE look = 'author'"), "the choice")
        await self.quiet()

    async def rather_gaps(self) -> None:
        """Where nobody knows whether a copy stands there, it is left out from now on."""
        await self.anna.send(self.group, "/doubt gap")
        await until(lambda: self.ask("SELECT 1 FROM communities WHERE doubt = 'gap'"), "the choice")

    async def _matrix_rooms(self) -> None:
        for room in (self.room, self.second):
            await until(lambda room=room: self._is_in(room), "the bot in the room")  # type: ignore[misc]
            if room == self.room:
                await self.chiara.say(room, "!join")
            await self.chiara.say(room, f"!setup {await self._code()}")
            await self.chiara.wait_message(room, "birds", 30)
            await self.chiara.say(room, "!mirror add birds")

    async def _is_in(self, room: str) -> bool:
        return self.bot.user_id in await self.chiara.members(room)

    # -- acts ----------------------------------------------------------------------------------------------------

    async def publish(self, post: Post) -> None:
        if post.pictures:
            await self._publish_pictures(post)
            return
        match post.author:
            case "telegram":
                post.message = await self.anna.send(self.group, f"/{post.typed}")
            case "discord":
                post.message = await self.bruno.say(self.channels[0], self._typed(post.typed))
            case _:
                post.message = await self.chiara.say(self.room, f"!{post.typed}")

    async def _publish_pictures(self, post: Post) -> None:
        first, *_ = files = [picture.brought for picture in post.pictures]
        match post.author:
            case "telegram":
                post.message = await self.anna.attach(
                    self.group, first, f"/{post.typed}", kind="document", name="0.png", mime="image/png"
                )
            case "discord":
                named = {f"{number}.png": file for number, file in enumerate(files)}
                self.discord.world.link_life = timedelta(days=-1 if post.old else 1)
                post.message = await self.bruno.say(self.channels[0], self._typed(post.typed), files=named)
            case _:
                post.message = await self.chiara.attach(self.room, first, "0.png", f"!{post.typed}")

    async def slash(self, post: Post) -> bool:
        """Bruno posts by an interaction. Whether he was answered."""
        answer = await self.bruno.slash(self.channels[0], "post", {"text": post.text}, patience=30)
        return answer.message.ephemeral

    async def correct(self, post: Post) -> None:
        """The author edits their message: it says ``post.text`` now."""
        match post.author:
            case "telegram":
                await self.anna.edit(post.message, f"/{post.typed}")
            case "discord":
                await self.bruno.edit(post.message, self._typed(post.typed))
            case _:
                await self.chiara.edit(self.room, post.message, f"!{post.typed}")

    async def delete(self, post: Post) -> None:
        match post.author:
            case "telegram":
                await self.anna.send(self.group, "/delete", reply_to=post.message)
            case "discord":
                await self.bruno.delete(post.message)
            case _:
                await self.chiara.redact(self.room, post.message)

    async def moderate(self, post: Post, platform: str) -> None:
        """Somebody takes the last message of it away in the second room of that platform."""
        if platform == "discord":
            post.gone.add(self.channels[1].name)
            *_, last = (m for m in self.discord.visible(self.channels[1]) if post.id in m.text)
            await self.bruno.delete(self.discord.message(last.id))
        else:
            post.gone.add("second")
            *_, event = (m.event_id for m in await self.chiara.visible(self.second) if post.id in m.body)
            await self.chiara.redact(self.second, event)

    async def vote(self, post: Post, voter: str) -> None:
        """The person of a platform votes for the copy in the second room there, or takes the vote back."""
        on = voter in post.votes
        match voter:
            case "telegram":
                # Where it stands twice, the program knows the later one: the first one's answer was lost.
                *_, copy = (m for m in self.telegram.visible(self.mirror) if post.words in m.text)
                await self.anna.react(copy, ["👍"] if on else [])
            case "discord":
                shown = next(m for m in self.discord.visible(self.channels[1]) if post.words in m.text)
                message = self.discord.message(shown.id)
                await (self.bruno.react if on else self.bruno.unreact)(message, "👍")
            case _:
                await self._chiara_votes(post, on)

    async def _chiara_votes(self, post: Post, on: bool) -> None:
        if on:
            copy = next(m for m in await self.chiara.visible(self.second) if post.words in m.body)
            self._reactions[post.words] = await self.chiara.react(self.second, copy.event_id, "👍")
        else:
            await self.chiara.redact(self.second, self._reactions.pop(post.words))

    def _typed(self, command: str) -> str:
        return f"<@{self.discord.bot.id}> {command}"

    # -- what stands there ---------------------------------------------------------------------------------------

    @property
    def rooms(self) -> list[Room]:
        return [
            *(
                self._telegram_room(name, chat)
                for name, chat in (("group", self.group), ("mirror", self.mirror))
            ),
            *(self._discord_room(channel) for channel in self.channels[:2]),
            *(self._matrix_room(name, id_) for name, id_ in (("room", self.room), ("second", self.second))),
        ]

    def shows_copy(self, room: Room, post: Post) -> bool:
        """Whether a copy belongs there: everywhere but where a message of the author stands."""
        home = {"telegram": "group", "discord": self.channels[0].name, "matrix": "room"}
        return post.slash or home[post.author] != room.name

    def _telegram_room(self, name: str, chat: Chat) -> Room:
        async def messages() -> list[Message]:
            return [
                Message(m.text.replace(PING_BREAK, ""), [digest(m.media.data)] if m.media else ())
                for m in self.telegram.visible(chat)
                if m.from_bot
            ]

        return Room(name, "telegram", messages, str(chat.id))

    def _discord_room(self, channel: Channel) -> Room:
        async def messages() -> list[Message]:
            ours = [
                m for m in self.discord.visible(channel) if m.webhook_id or m.author_id == self.discord.bot.id
            ]
            return [Message(m.text.replace("\\", ""), [*map(digest, m.attachments.values())]) for m in ours]

        return Room(channel.name, "discord", messages, str(channel.id))

    def _matrix_room(self, name: str, id_: str) -> Room:
        async def messages() -> list[Message]:
            ours = [m for m in await self.chiara.visible(id_) if m.sender == self.bot.user_id]
            return [Message(m.body, await self._on_homeserver(m.content.get("url"))) for m in ours]

        return Room(name, "matrix", messages, id_)

    async def _on_homeserver(self, uri: str | None) -> Sequence[str]:
        if uri is None:
            return ()
        if uri not in self._digests:
            self._digests[uri] = digest(await self.chiara.download(uri))
        return [self._digests[uri]]

    async def counted(self, posts: Sequence[Post], why: str) -> Counter[str]:
        """Waits until all of them are stored and shown as they are meant, and counts them room by room."""
        for post in posts:
            await until(lambda post=post: self._takes(post), f"{why}: {post} in the database", 60)  # type: ignore[misc]
        await self.quiet()
        return sum([await self.count(post, why) for post in posts], Counter())

    def _takes(self, post: Post) -> bool:
        assert self.running, self.log()
        return self.stored(post)

    async def copies(self, post: Post) -> list[str]:
        """Whatever of this post stands anywhere."""
        return [text for room in self.rooms for text in await room.texts() if post.words in text]

    async def count(self, post: Post, why: str, *, gap: bool = False) -> Counter[str]:
        """Exactly one copy a room where the platform has a key; elsewhere one at least, and each surplus listed.

        ``gap``: the community has left out what is in doubt. Raises ``AssertionError`` with ``why``.
        """
        tally: Counter[str] = Counter(rounds=1)
        in_pieces = post.parted or post.pictures
        for room in self.rooms:
            tally += await (
                self._count_pieces(post, room, why) if in_pieces else self._count_in(post, room, why, gap)
            )
        return tally

    async def _count_pieces(self, post: Post, room: Room, why: str) -> Counter[str]:
        """Each part and each file once and in order, and nothing else of it: no fragment of what it was."""
        files = [self._file_in(picture, room) for picture in post.pictures]
        messages = [
            [*tokens(message.text, post.id), *(file for file in message.files if file in files)]
            for message in await room.messages()
        ]
        messages = [one for one in messages if one]
        stands = self.shows_copy(room, post) and not post.deleted and room.name not in post.gone
        wanted = [*tokens(post.text, post.id), *files] if stands else []
        needed, doubts = fewest(messages, wanted), self.doubts_of(post, room)
        told = (f"{why}: {room.name} shows {messages} of {post.words}, {doubts} in doubt", self.log())
        assert needed is not None, told
        surplus = len(messages) - needed
        assert surplus == 0 == doubts if room.platform in KEYED else surplus <= doubts, told
        return Counter({"copies": len(messages), "surplus": surplus, "in doubt": doubts})

    def _file_in(self, picture: Picture, room: Room) -> str:
        """What stands there of it: itself, or the smaller one where it is too large."""
        if room.platform != "discord":
            return picture.digest
        found = self.ask(f"SELECT small FROM blobs WHERE digest = '{picture.digest}'")
        return str(found[0][0]) if found and found[0][0] else picture.digest

    async def _count_in(self, post: Post, room: Room, why: str, gap: bool) -> Counter[str]:
        texts = [text for text in await room.texts() if post.words in text]
        copies, current = len(texts), sum(post.text in text for text in texts)
        doubts = self.doubts_of(post, room)
        wanted = int(self.shows_copy(room, post) and not post.deleted)
        told = (f"{why}: {room.name} shows {texts} of {post}, {doubts} in doubt", self.log())
        surplus = max(copies - wanted, 0)
        if room.platform in KEYED:
            assert (copies, current, doubts) == (wanted, wanted, 0), told
        elif gap:
            assert surplus == 0, told
            assert current == wanted or self.left_out(post, room), told
        else:
            assert current >= wanted, told
            assert surplus <= doubts, told
        return Counter({"copies": copies, "surplus": surplus, "in doubt": doubts})

    # -- the store of files ----------------------------------------------------------------------------------------

    async def restart(self) -> None:
        self.kill_now()
        await self.dead()
        # What that run left half written has lain there for long when the next one looks.
        for part in (self.folder / "data" / "media" / "parts").glob("*"):
            os.utime(part, (0, 0))
        self.discord.world.link_life = timedelta(days=1)
        await super().restart()

    def age_store(self) -> None:
        """All of it has lain there for long."""
        for file in (self.folder / "data" / "media").glob("*/*"):
            os.utime(file, (0, 0))

    async def check_store(self, why: str) -> None:
        """Each file is there once and whole, each has its row, and no part of one is left."""
        store = self.folder / "data" / "media"
        await until(lambda: not [*store.glob("parts/*")], f"{why}: no part is left")
        files = [*store.glob("??/*")]
        assert [file.name for file in files] == [digest(file.read_bytes()) for file in files], why
        assert {(file.name,) for file in files} == set(self.ask("SELECT digest FROM blobs")), why
        assert len({file.name for file in files}) == len(files), why

    # -- the program's own book ----------------------------------------------------------------------------------

    def stored(self, post: Post) -> bool:
        """Whether what the post is meant to be is in the database."""
        found = self.ask(
            "SELECT revisions.source, posts.deleted_at IS NOT NULL, posts.score FROM posts"
            " JOIN revisions ON post_id = posts.id AND number = revision"
            f" WHERE source LIKE '%{post.words}%'"
        )
        if not found or len(found) > 1:
            return False
        source, deleted, score = found[0]
        if post.gone and not self._removed(post):
            return False
        return (source, bool(deleted)) == (post.text, post.deleted) and (
            post.deleted or score == len(post.votes)
        )

    def _removed(self, post: Post) -> bool:
        rooms = [room.key for room in self.rooms if room.name in post.gone]
        found = self.ask(
            "SELECT chats.key FROM outbox JOIN chats ON chats.id = chat_id WHERE outbox.state = 'removed'"
            f" AND thing_id IN (SELECT post_id FROM revisions WHERE source LIKE '%{post.words}%')"
        )
        return sorted(found) == sorted((key,) for key in rooms)

    def doubts_of(self, post: Post, room: Room) -> int:
        """How many copies of it are listed as perhaps a surplus or perhaps missing there."""
        return len(self._doubts(post, room))

    def left_out(self, post: Post, room: Room) -> bool:
        return ("left out",) in self._doubts(post, room)

    def _doubts(self, post: Post, room: Room) -> list[tuple[object, ...]]:
        return self.ask(
            "SELECT resolution FROM doubts JOIN chats ON chats.id = doubts.chat_id WHERE thing_id IN"
            f" (SELECT post_id FROM revisions WHERE source LIKE '%{post.words}%')"
            f" AND chats.key = '{room.key}'"
        )

    async def quiet(self) -> None:
        """Nothing of a post is due any more, and no call is under way. A burst may take its time while it shrinks."""
        while left := self._due():
            await until(partial(self._less_than, left), f"every copy as it is wanted, {left} are not")
        await super().quiet()

    def _less_than(self, left: int) -> bool:
        return self._due() < left

    def _due(self) -> int:
        return int(str(self.ask("SELECT count(*) FROM outbox WHERE due = 1 AND kind = 'post'")[0][0]))


__all__ = ["KEYED", "PLATFORMS", "FlockStage", "Post", "Room"]
