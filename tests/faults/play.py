"""Plays rounds of the matrix on a stage, one after the other, and counts what every room shows after each."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from tests.faults.flock import FlockStage, Post
from tests.faults.matrix import AT_THE_PEER, Round, Way
from tests.faults.pieces import LARGE, SMALL, Picture, words
from tests.peers.matrix_proxy import ACTS as SENDS
from tests.stage import until

#: Seconds within which an act has reached every point that it reaches.
_REACHED = 15.0
#: Whose post somebody votes for: nobody's own.
_VOTED = {"telegram": "discord", "discord": "telegram", "matrix": "telegram"}

_TELEGRAM_SENDS = ("send", "edit", "delete", "setMessageReaction")
_DISCORD_SENDS = ("POST", "PATCH", "DELETE")


class Player:
    """``tally``: for each round, what was counted."""

    def __init__(self, stage: FlockStage, salt: str) -> None:
        self.stage = stage
        self.tally: dict[Round, Counter[str]] = {}
        self._salt = salt
        self._posts: dict[str, Post] = {}
        #: Of the post of several messages that stands: its newest words, and whether they are many.
        self._revision, self._long = 0, False

    async def play(self, rounds: Sequence[Round]) -> None:
        if not self.stage.running:
            await self.stage.start()
        for one in rounds:
            await self._one(one)

    async def _one(self, one: Round) -> None:
        post = await self._post_for(one)
        if one.way is Way.BACK:
            await self._killed_while_reading_back(one, post)
        elif one.point == "named by an earlier run":
            await self._killed_twice(one, post)
        elif one.slash:
            await self._killed_in_an_interaction(one, post)
        else:
            disarm = await self._armed(one)
            await self._act(one, post)
            await self._until_dead(one)
            disarm()
            await self.stage.restart()
        await self._stored(one, post)
        self.tally[one] = await self.stage.count(post, str(one), gap=one.gap)
        if post.pictures:
            await self.stage.check_store(str(one))

    async def _stored(self, one: Round, post: Post) -> None:
        """What was done is in the database, and every room shows it."""
        try:
            await until(lambda: self.stage.stored(post), "the act in the database")
            await self.stage.quiet()
        except AssertionError as error:
            raise AssertionError(one, post.words, self.stage.log()) from error

    async def _killed_while_reading_back(self, one: Round, post: Post) -> None:
        await self.stage.end()
        await self._act(one, post)
        self.stage.launch(one.trigger)
        await self._until_dead(one)
        await self.stage.restart()

    async def _killed_twice(self, one: Round, post: Post) -> None:
        """What the first run stored under its name, and wrote down nowhere, the second one finds there."""
        await self.stage.arm(replace(one, point="named").trigger)
        await self._act(one, post)
        await self._until_dead(one)
        self.stage.launch("media.known")
        await self._until_dead(one)
        await self.stage.restart()

    async def _killed_in_an_interaction(self, one: Round, post: Post) -> None:
        """What was not committed is lost with its interaction, wholly; whoever got no answer says it again."""
        await self.stage.arm(one.trigger)
        told = asyncio.create_task(self.stage.slash(post))
        await self._until_dead(one)
        await self.stage.restart()
        if self.stage.stored(post):
            assert await told, f"{one}: no answer came after all"
            return
        told.cancel()
        await asyncio.wait([told])
        before = await self.stage.copies(post)
        assert before == [], (one, before)
        assert await self.stage.slash(post), one

    # -- the act ---------------------------------------------------------------------------------------------------

    async def _post_for(self, one: Round) -> Post:
        """What the act is about: a new post, or one that every room shows already."""
        if one.way in (Way.FILE, Way.PLACE, Way.PARTS):
            return await self._of_pieces(one)
        author = _VOTED[one.origin] if one.act == "vote" else one.origin
        if one.act != "post" and author in self._posts:
            return self._posts[author]
        words = hashlib.sha256(f"{self._salt} {len(self.tally)} {one}".encode()).hexdigest()[:12]
        post = Post(author, f"flight {words}", slash=one.slash)
        if not one.slash:
            self._posts[author] = post
        if one.act != "post":
            await self.stage.publish(post)
            await self._stored(one, post)
        return post

    async def _of_pieces(self, one: Round) -> Post:
        """A post with files, or one of several messages: as long as it is to be before the act."""
        if (
            one.act in ("shrink", "grow", "cut", "moderate")
            and (post := self._posts.get("parts")) is not None
        ):
            before = one.act != "grow"
            if before is not self._long:
                self._stretch(post, long=before)
                await self.stage.correct(post)
                await self._stored(one, post)
            return post
        id_ = hashlib.sha256(f"{self._salt} {len(self.tally)} {one}".encode()).hexdigest()[:12]
        post = Post(one.origin, f"flight {id_}", parted=one.way is Way.PARTS)
        if post.parted:
            self._revision = 0
            self._stretch(post, long=one.act not in ("grow", "narrow"))
            post.options = "visibility:public " if one.act == "narrow" else ""
            self._posts["parts"] = post
        else:
            sides = [LARGE] if one.act == "large picture" else [SMALL] * (3 if one.origin == "discord" else 1)
            post.old = one.act == "old picture"
            post.pictures = [Picture.of(f"{id_} {number}", side) for number, side in enumerate(sides)]
        if one.act in ("shrink", "grow", "cut", "moderate", "narrow"):
            await self.stage.publish(post)
            await self._stored(one, post)
        return post

    def _stretch(self, post: Post, *, long: bool) -> None:
        self._revision += 1
        self._long = long
        post.text = words(post.id, self._revision, long=long)

    async def _act(self, one: Round, post: Post) -> None:
        match one.act:
            case "post" | "long" | "picture" | "old picture" | "large picture":
                await self.stage.publish(post)
            case "grow" | "shrink":
                self._stretch(post, long=one.act == "grow")
                await self.stage.correct(post)
            case "narrow":
                post.options = "visibility:community "
                await self.stage.correct(post)
            case "cut":
                post.deleted = True
                del self._posts["parts"]
                await self.stage.delete(post)
            case "moderate":
                del self._posts["parts"]
                await self.stage.moderate(post, one.adapter)
            case "edit":
                post.text = f"{post.text} again"
                await self.stage.correct(post)
            case "vote":
                post.votes ^= {one.origin}
                await self.stage.vote(post, one.origin)
            case "delete":
                post.deleted = True
                del self._posts[post.author]
                await self.stage.delete(post)

    # -- the end ---------------------------------------------------------------------------------------------------

    async def _armed(self, one: Round) -> Callable[[], None]:
        if one.point not in AT_THE_PEER:
            await self.stage.arm(one.trigger)
            return lambda: None
        return self._at_the_peer(one)

    def _at_the_peer(self, one: Round) -> Callable[[], None]:
        stage, left = self.stage, one.number

        def strike() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                stage.kill_now()

        def telegram(method: str, _count: int) -> None:
            if method.startswith(_TELEGRAM_SENDS):
                strike()

        def discord(method: str, route: str, _count: int) -> None:
            if method in _DISCORD_SENDS and ("/messages" in route or "/webhooks" in route):
                strike()

        stored = one.point == "call stored"
        match one.adapter:
            case "telegram":
                return (stage.telegram.on_stored if stored else stage.telegram.on_request)(telegram)
            case "discord":
                return (stage.discord.on_stored if stored else stage.discord.on_request)(discord)
            case _:
                trap = stage.proxy.on_stored if stored else stage.proxy.on_arrival
                trap(lambda _: strike(), SENDS, times=one.number)
                return stage.proxy.heal

    async def _until_dead(self, one: Round) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stage.dead(), _REACHED)
        assert not self.stage.running, (f"{one}: never reached", self.stage.log())


__all__ = ["Player"]
