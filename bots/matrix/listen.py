"""The sync loop: what happened since the committed token, handed over in order, then the token with it.

A token is committed only after everything before it was handled, so a crash repeats events and loses none;
their keys make the repeats harmless. Fields of ``/sync`` and ``/messages`` are read raw.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Any

from bots.matrix.canary import Canary
from bots.matrix.convert import (
    SHARING_TYPES,
    TIMELINE_TYPES,
    Heard,
    Reader,
    act_time,
    event_key,
    invitation,
    joined_now,
    membership,
    opened,
    own_join,
    shared,
)
from bots.matrix.homeserver import Homeserver, Refused, part
from bots.matrix.html import PLATFORM
from bots.matrix.joining import Habits, Joiner
from bots.matrix.room import OURS, STATE_TYPES, Room, mapping, one_line, words
from core.crashpoints import passing
from core.errors import RetryLater
from core.events import Bookmark, Missed, PlaceChanged, PositionAdvanced, place_now
from core.ports import Clock, Gate
from core.types import ChatRef

log = logging.getLogger(__name__)

_TIMELINE = 100
_PAGE = 200
_BATCH = 256
_COMMIT_EVERY = timedelta(seconds=60)
#: How long an invitation that cannot be answered holds the token back.
_HOLD = timedelta(minutes=10)
_STAMP_DIGITS = 14
#: Seconds in which what was heard is answered, as a rule, and those that such an answer may take.
_ANSWERED_SOON, _ANSWERED_AT_MOST = 0.01, 0.1

Event = Mapping[str, Any]


@dataclass(slots=True)
class _Position:
    token: str | None
    seen_at: datetime | None

    @classmethod
    def parse(cls, value: str | None) -> _Position:
        token, _, millis = (value or "").partition(" ")
        known = millis.isascii() and millis.isdigit() and len(millis) <= _STAMP_DIGITS
        return cls(token or None, datetime.fromtimestamp(int(millis) / 1000, UTC) if known else None)

    def __str__(self) -> str:
        stamp = f" {int(self.seen_at.timestamp() * 1000)}" if self.seen_at else ""
        return f"{self.token}{stamp}"


class Listener:
    """Listens as one account until cancelled. ``rooms`` is emptied at the start and then kept true."""

    def __init__(
        self,
        server: Homeserver,
        reader: Reader,
        habits: Habits,
        gate: Gate,
        clock: Clock,
        rooms: dict[str, Room],
    ) -> None:
        self._server = server
        self._reader = reader
        self._habits = habits
        self._gate = gate
        self._clock = clock
        self._rooms = rooms
        self._me = server.me
        self._scope = f"matrix:{server.me}"
        self._position = _Position(None, None)
        self._committed_at: datetime | None = None
        self._owed = False
        self._joiner = Joiner(server, habits, rooms)
        self._canary = Canary(server, {"filter": _timeline_filter()})
        self._looked_at = clock.monotonic()

    async def run(self) -> None:
        """Listen. Raises ``BadToken`` for a dead token, ``Refused`` where the homeserver will not sync."""
        self._rooms.clear()
        self._position = _Position.parse(await self._gate.bookmark(self._scope))
        try:
            await self._persist(self._introduce)
            whole = True
            while True:
                await self._persist(partial(self._step, whole=whole))
                whole = False
        finally:
            self._joiner.cancel()

    async def _persist(self, act: Callable[[], Awaitable[None]]) -> None:
        """Again and again; what lasts and has no end that the server named is the supervisor's, who tells it."""
        failures, began = 0, self._clock.monotonic()
        while True:
            try:
                await act()
                return
            except RetryLater as later:
                failures += 1
                lasting = self._clock.monotonic() - began >= self._habits.patience.total_seconds()
                if lasting and later.after is None:
                    raise
                delay = self._habits.delay(failures, later.after)
                log.warning("Matrix: %s; again in %.1f s", later, delay)
            await asyncio.sleep(delay)

    async def _introduce(self) -> None:
        me = part(self._me)
        profile = await self._optional(f"/profile/{me}/displayname")
        name, wanted = one_line(profile.get("displayname")), self._habits.display_name
        if wanted and wanted != name:
            await self._server.call("PUT", f"/profile/{me}/displayname", {"displayname": wanted})
            name = wanted
        self._reader = replace(self._reader, name=name)
        self._joiner.know(await self._optional(f"/user/{me}/account_data/m.direct"))

    async def _optional(self, path: str) -> Mapping[str, Any]:
        try:
            return await self._server.call("GET", path)
        except Refused:
            return {}

    async def _step(self, *, whole: bool) -> None:
        """One sync, handled to its end. ``whole``: with the state of every room, for the first one."""
        answer = await self._sync(whole=whole)
        now = self._clock.now()
        passing("inbound.received", PLATFORM)
        heard = await self._heard(mapping(answer.get("rooms")), now, whole=whole)
        passing("inbound.converted", PLATFORM)
        await self._hand_over(heard)
        passing("inbound.answered", PLATFORM)
        first = self._position.token is None
        self._position = _Position(words(answer.get("next_batch")) or self._position.token, now)
        self._owed = self._owed or bool(heard) or first
        if whole:
            self._joiner.follow_all()
        await self._commit(now)
        await self._mistrust()
        if heard:
            # The next sync would bring our own words back first, before anybody else who waits hears them.
            await self._server.settled(_ANSWERED_SOON, _ANSWERED_AT_MOST)

    async def _mistrust(self) -> None:
        """Whether the syncs bring what the homeserver has. Raises ``Deaf``."""
        self._canary.synced()
        now = self._clock.monotonic()
        if now - self._looked_at >= self._habits.canary.total_seconds():
            self._looked_at = now
            await self._canary.look(list(self._rooms))

    async def _sync(self, *, whole: bool) -> Mapping[str, Any]:
        since, poll = self._position.token, self._habits.poll
        query = {"filter": _filter(0 if since is None else _TIMELINE), "set_presence": "offline"}
        if since is not None:
            query["since"] = since
        if whole:
            query["full_state"] = "true"
        else:
            query["timeout"] = str(int(poll.total_seconds() * 1000))
        try:
            answer = await self._server.call("GET", "/sync", query=query, wait=poll.total_seconds())
            if not words(answer.get("next_batch")):
                raise RetryLater("a sync without a position")
            self._gate.alive()
            return answer
        except Refused as refused:
            if since is None or refused.status != HTTPStatus.BAD_REQUEST:
                raise
        reason = "the homeserver does not know the kept token; listening starts from now"
        await self._tell_missed(event_key(self._me, f"{since}:unknown"), None, reason)
        self._position = _Position(None, None)
        self._rooms.clear()
        return await self._sync(whole=True)

    async def _commit(self, now: datetime) -> None:
        """A token may not pass an invitation that is not answered yet: the server would not repeat it."""
        age = None if self._committed_at is None else now - self._committed_at
        due = self._owed or age is None or age >= _COMMIT_EVERY
        if not due or (self._joiner.busy and (age is None or age < _HOLD)):
            return
        bookmark = Bookmark(scope=self._scope, value=str(self._position))
        await self._gate.handle(PositionAdvanced(key=None, bookmark=bookmark))
        passing("inbound.acknowledged", PLATFORM)
        self._committed_at, self._owed = now, False

    async def _hand_over(self, events: Sequence[Heard]) -> None:
        for start in range(0, len(events), _BATCH):
            calls = [self._gate.handle(event) for event in events[start : start + _BATCH]]
            for answer in await asyncio.gather(*calls, return_exceptions=True):
                if isinstance(answer, BaseException):
                    raise answer

    # --- one sync answer -> core events ---------------------------------------------------------------------

    async def _heard(self, rooms: Mapping[str, Any], now: datetime, *, whole: bool) -> list[Heard]:
        by_room: dict[str, list[Heard]] = {}
        for room, joined in mapping(rooms.get("join")).items():
            by_room[room] = [*await self._joined(room, mapping(joined), now), *self._standing(room, whole)]
        for room, left in mapping(rooms.get("leave")).items():
            by_room[room] = self._left(room, mapping(left), now)
        for room, invited in mapping(rooms.get("invite")).items():
            invite = invitation(room, invited, self._me)
            if invite is not None:
                await self._joiner.invited(invite)
        moves = self._moves(by_room)
        new = {move.moved_to.key for move in moves if move.moved_to}
        elder = [event for room, events in by_room.items() if room not in new for event in events]
        younger = [event for room, events in by_room.items() if room in new for event in events]
        return [*elder, *moves, *younger]

    async def _joined(self, room_id: str, joined: Mapping[str, Any], now: datetime) -> list[Heard]:
        room = self._rooms.get(room_id)
        if room is None:
            direct = bool(self._joiner.opener(room_id))
            room = self._rooms[room_id] = Room(room_id, direct=direct)
        for event in _events(joined, "state"):
            room.apply(event)
        timeline = await self._timeline(room, mapping(joined.get("timeline")))
        telling = (*TIMELINE_TYPES, *SHARING_TYPES)
        speaks = room.direct or any(event.get("type") in telling for event in timeline)
        if room.members is None and speaks and timeline:
            await self._read_members(room)
        heard = list(self._read(room, timeline, now))
        if room.direct and heard and isinstance(heard[0], PlaceChanged) and not heard[0].shared:
            heard[1:1] = await self._opened(heard[0], room)
        return heard

    def _standing(self, room_id: str, whole: bool) -> list[Heard]:
        """Whether the bot may write there, where that has changed; on the first look at all rooms, of each."""
        room = self._rooms[room_id]
        before, room.lost = room.lost, room.loss(self._me)
        if before is room.lost and not whole:
            return []
        return [place_now(room.chat, room.lost)]

    async def _opened(self, change: PlaceChanged, room: Room) -> list[Heard]:
        """Somebody opened a private chat: the core greets, or we say that it cannot be read."""
        person = self._joiner.opener(room.id)
        if room.encrypted and not change.gone:
            await self._say_unreadable(room)
            return []
        start = opened(change, room, person, self._me) if person else None
        return [start] if start else []

    async def _say_unreadable(self, room: Room) -> None:
        content = {"msgtype": "m.notice", "body": self._habits.unreadable, "m.mentions": {}, OURS: {}}
        path = f"/rooms/{part(room.id)}/send/m.room.message/unreadable"
        try:
            await self._server.call("PUT", path, content)
        except Refused as refused:
            log.info("Matrix: %s", refused)

    async def _timeline(self, room: Room, timeline: Mapping[str, Any]) -> list[Event]:
        events = _objects(timeline.get("events"))
        back, since = words(timeline.get("prev_batch")), self._position.token
        if timeline.get("limited") is True and since and back:
            # Lazily loaded members that changed in the gap may be missing from the state.
            room.members = None
            if not any(joined_now(event, self._me) for event in events):
                events = await self._gap(room.id, back, since) + events
        self._canary.hear(events)
        return events

    async def _gap(self, room_id: str, back: str, since: str) -> list[Event]:
        """What the room said between the last token and this timeline, oldest first."""
        found: list[Event] = []
        query = {"dir": "b", "from": back, "to": since, "limit": str(_PAGE), "filter": _timeline_filter()}
        while len(found) < self._habits.catchup:
            page = await self._server.call("GET", f"/rooms/{part(room_id)}/messages", query=query)
            found += _objects(page.get("chunk"))
            if not page.get("end"):
                return found[::-1]
            query["from"] = words(page.get("end"))
        key = event_key(self._me, f"{room_id}:{since}:missed")
        reason = f"more than {len(found)} events were missed; only the newest are read back"
        await self._tell_missed(key, ChatRef(PLATFORM, room_id), reason)
        return found[::-1]

    async def _tell_missed(self, key: str, chat: ChatRef | None, reason: str) -> None:
        since = self._position.seen_at
        await self._gate.handle(Missed(key=key, platform=PLATFORM, chat=chat, since=since, reason=reason))

    async def _read_members(self, room: Room) -> None:
        try:
            answer = await self._server.call("GET", f"/rooms/{part(room.id)}/joined_members")
        except Refused:
            return
        members = mapping(answer.get("joined"))
        room.members = {user: one_line(mapping(of).get("display_name")) for user, of in members.items()}

    def _read(self, room: Room, timeline: Sequence[Event], now: datetime) -> Iterable[Heard]:
        start = own_join(timeline, self._me)
        for index, event in enumerate(timeline):
            if "state_key" in event:
                room.apply(event)
                if event.get("type") == "m.room.tombstone":
                    self._joiner.follow(room, words(event.get("sender")))
            if index < start:
                continue
            at = act_time(event, self._position.seen_at, now)
            heard = (
                membership(event, room.chat, self._me, at)
                or shared(event, room, self._me, at)
                or self._reader.read(event, room, at)
            )
            if heard is not None:
                yield heard

    def _left(self, room_id: str, left: Mapping[str, Any], now: datetime) -> list[Heard]:
        room = self._rooms.pop(room_id, None) or Room(room_id)
        timeline = mapping(left.get("timeline"))
        events = [*_events(left, "state"), *_objects(timeline.get("events"))]
        return list(self._read(room, events, now))

    def _moves(self, changed: Iterable[str]) -> list[PlaceChanged]:
        """Upgrades that both rooms agree on, in rooms of this sync; a claim of one alone is nothing."""
        touched, moves = set(changed), []
        for old in self._rooms.values():
            new = self._rooms.get(old.replacement)
            if new is None or new.predecessor != old.id or not touched & {old.id, new.id}:
                continue
            key = event_key(self._me, f"{old.tombstone_event}:moved")
            moves.append(PlaceChanged(key=key, chat=old.chat, moved_to=new.chat, reason="upgraded"))
        return moves


def _objects(value: object) -> list[Event]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _events(room: Mapping[str, Any], section: str) -> list[Event]:
    return _objects(mapping(room.get(section)).get("events"))


def _timeline_filter() -> str:
    return json.dumps({"types": [*TIMELINE_TYPES, *STATE_TYPES], "lazy_load_members": True})


def _filter(limit: int) -> str:
    nothing: dict[str, list[str]] = {"types": []}
    return json.dumps(
        {
            "presence": nothing,
            "account_data": nothing,
            "room": {
                "account_data": nothing,
                "ephemeral": nothing,
                "state": {"types": [*STATE_TYPES], "lazy_load_members": True},
                "timeline": {
                    "limit": limit,
                    "types": [*TIMELINE_TYPES, *STATE_TYPES],
                    "lazy_load_members": True,
                },
            },
        }
    )
