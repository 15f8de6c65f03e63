"""A person on Matrix, acting through a matrix-nio client of their own, who sees what a room shows."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlencode

from nio.api import RoomPreset, RoomVisibility
from nio.client.async_client import AsyncClient, AsyncClientConfig
from nio.responses import ErrorResponse, SyncResponse

from tests.peers.synapse import Login, SynapseServer

T = TypeVar("T")
R = TypeVar("R")
Event = dict[str, Any]

DEADLINE = 20.0
# Every probe is asked again at least this often, in seconds: some changes reach no /sync of this person.
LOOK_AGAIN = 0.5
_NOTHING_OLD = {"room": {"timeline": {"limit": 1}, "state": {"lazy_load_members": True}}}


class MatrixRefused(RuntimeError):
    """The homeserver refused what a person did; `errcode` as `M_FORBIDDEN`, `retry_after_ms` on a 429."""

    def __init__(self, errcode: str | None, text: str, retry_after_ms: int | None = None) -> None:
        super().__init__(f"{errcode}: {text}")
        self.errcode = errcode
        self.retry_after_ms = retry_after_ms


@dataclass(frozen=True)
class Shown:
    """One message as a room shows it now: the newest valid edit applied, reactions counted by key."""

    event_id: str
    sender: str
    body: str
    formatted_body: str | None
    msgtype: str
    reply_to: str | None
    thread: str | None
    edits: int
    reactions: Mapping[str, frozenset[str]]
    mentions: Mapping[str, Any] | None
    content: Mapping[str, Any] = field(repr=False)


class MatrixPerson:
    """An account with its own client. Made by `MatrixPerson.register`; to be closed (or `async with`).

    Every act raises `MatrixRefused` when the homeserver says no, after `patience` waits on a 429.
    """

    def __init__(self, login: Login, homeserver: str, name: str, *, patience: int = 10) -> None:
        self.user_id = login.user_id
        self.access_token = login.access_token
        self.device_id = login.device_id
        self.name = name
        config = AsyncClientConfig(max_limit_exceeded=patience, max_timeouts=3, store_sync_tokens=False)
        self.client = AsyncClient(homeserver, login.user_id, device_id=login.device_id, config=config)
        self.client.restore_login(login.user_id, login.device_id, login.access_token)

    @classmethod
    async def register(
        cls, server: SynapseServer, name: str, *, homeserver: str | None = None, patience: int = 10
    ) -> MatrixPerson:
        """A new account called `name`; its user id gets a number, so that tests can share a server.

        `homeserver` is where the person's client connects: the server, or the address of a `MatrixProxy`.
        """
        localpart = server.unused_name(name)
        login = await asyncio.to_thread(server.register, localpart, display_name=name)
        return cls(login, homeserver or server.url, name, patience=patience)

    async def close(self) -> None:
        await self.client.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def set_display_name(self, name: str) -> None:
        _accepted(await self.client.set_displayname(name))
        self.name = name

    async def create_room(
        self,
        name: str | None = None,
        *,
        public: bool = False,
        version: str | None = None,
        invite: Sequence[str] = (),
    ) -> str:
        """A new room, and its id. Without `version` the server's default, 12. A public one is listed."""
        visibility = RoomVisibility.public if public else RoomVisibility.private
        preset = RoomPreset.public_chat if public else RoomPreset.private_chat
        made = await self.client.room_create(
            visibility=visibility, preset=preset, name=name, room_version=version, invite=invite
        )
        return str(_accepted(made).room_id)

    async def invite(self, room: str, user_id: str) -> None:
        _accepted(await self.client.room_invite(room, user_id))

    async def join(self, room: str) -> None:
        """Join by id or alias."""
        _accepted(await self.client.join(room))

    async def leave(self, room: str) -> None:
        _accepted(await self.client.room_leave(room))

    async def kick(self, room: str, user_id: str) -> None:
        _accepted(await self.client.room_kick(room, user_id))

    async def ban(self, room: str, user_id: str) -> None:
        _accepted(await self.client.room_ban(room, user_id))

    async def say(
        self,
        room: str,
        text: str,
        *,
        reply_to: str | None = None,
        html: str | None = None,
        msgtype: str = "m.text",
        transaction: str | None = None,
    ) -> str:
        """Send a message, as Element would, and return its event id."""
        content = _text(text, html, msgtype) | {"m.mentions": {}}
        if reply_to:
            content["m.relates_to"] = {"m.in_reply_to": {"event_id": reply_to}}
        return await self.send(room, "m.room.message", content, transaction)

    async def upload(self, data: bytes, mime: str = "image/png") -> str:
        """Brings a file to the homeserver; gives its `mxc://` address."""
        headers = {"Authorization": f"Bearer {self.access_token}", "Content-Type": mime}
        answer = await self.client.send("POST", "/_matrix/media/v3/upload", data, headers)
        return str((await answer.json())["content_uri"])

    async def attach(self, room: str, data: bytes, name: str, caption: str = "", **more: Any) -> str:
        """Sends a file, as clients do: with a caption the body is no longer its name."""
        info = {"mimetype": "image/png", "size": len(data)}
        content: Event = {
            "msgtype": "m.image",
            "url": await self.upload(data),
            "info": info,
            "filename": name,
        }
        return await self.send(room, "m.room.message", content | {"body": caption or name} | more)

    async def download(self, uri: str) -> bytes:
        """What lies at an `mxc://` address."""
        path = f"/_matrix/client/v1/media/download/{uri.removeprefix('mxc://')}"
        headers = {"Authorization": f"Bearer {self.access_token}"}
        answer = await self.client.send("GET", path, headers=headers)
        return bytes(await answer.read())

    async def edit(self, room: str, event_id: str, text: str, *, html: str | None = None) -> str:
        """Edit a message (the server lets anybody try), and return the edit's event id."""
        new = _text(text, html, "m.text") | {"m.mentions": {}}
        content = _text(f"* {text}", f"* {html}" if html else None, "m.text") | {
            "m.new_content": new,
            "m.mentions": {},
            "m.relates_to": {"rel_type": "m.replace", "event_id": event_id},
        }
        return await self.send(room, "m.room.message", content)

    async def react(self, room: str, event_id: str, key: str) -> str:
        """React, and return the reaction's event id, which `redact` takes back."""
        relation = {"rel_type": "m.annotation", "event_id": event_id, "key": key}
        return await self.send(room, "m.reaction", {"m.relates_to": relation})

    async def redact(self, room: str, event_id: str, reason: str | None = None) -> str:
        """Delete a message or take back a reaction; returns the redaction's event id."""
        return str(_accepted(await self.client.room_redact(room, event_id, reason)).event_id)

    async def send(self, room: str, event_type: str, content: Event, transaction: str | None = None) -> str:
        """Send any event, under a transaction id of one's own where given; returns its event id."""
        return str(
            _accepted(await self.client.room_send(room, event_type, content, tx_id=transaction)).event_id
        )

    async def power(self, room: str, user_id: str, level: int) -> None:
        """Give somebody a power level: 50 moderates, 100 administers. In version 12 a creator has more."""
        levels = await self.state(room, "m.room.power_levels")
        levels["users"] = levels.get("users", {}) | {user_id: level}
        _accepted(await self.client.room_put_state(room, "m.room.power_levels", levels))

    async def state(self, room: str, event_type: str, state_key: str = "") -> Event:
        """The content of one state event; raises MatrixRefused (`M_NOT_FOUND`) where there is none."""
        return await self.ask("GET", f"/rooms/{quote(room)}/state/{event_type}/{quote(state_key)}")

    async def members(self, room: str) -> dict[str, str]:
        """Who is joined: user id -> display name."""
        joined = (await self.ask("GET", f"/rooms/{quote(room)}/joined_members"))["joined"]
        return {user: member.get("display_name") or user for user, member in joined.items()}

    async def events(self, room: str) -> list[Event]:
        """Every event of the room that this person may see, oldest first, raw."""
        return [event async for event in self._pages(f"/rooms/{quote(room)}/messages", {"dir": "f"})]

    async def relations(self, room: str, event_id: str, rel_type: str = "m.annotation") -> list[Event]:
        """What the server says is related to an event now, newest first, raw."""
        path = f"/rooms/{quote(room)}/relations/{quote(event_id)}/{rel_type}"
        return [event async for event in self._pages(path, {}, "v1")]

    async def visible(self, room: str) -> list[Shown]:
        """The room's messages as a client shows them now, in order: edited, without the deleted ones."""
        return shown(await self.events(room))

    async def sent_messages(self, room: str) -> Counter[str]:
        """How many m.room.message events each sender ever sent, edits and deleted ones too."""
        return Counter(
            event["sender"] for event in await self.events(room) if event["type"] == "m.room.message"
        )

    async def wait_for(self, probe: Callable[[], Awaitable[T]], deadline: float = DEADLINE) -> T:
        """Follow /sync until `probe` gives something true, and return that.

        Raises TimeoutError after `deadline` seconds, naming what the probe gave last.
        """
        until = time.monotonic() + deadline
        await self._sync(0)
        while not (found := await probe()):
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"{self.name} waited {deadline} s; last seen: {found!r}")
            await self._sync(min(left, LOOK_AGAIN))
        return found

    async def wait_visible(
        self, room: str, holds: Callable[[list[Shown]], object], deadline: float = DEADLINE
    ) -> list[Shown]:
        """Follow /sync until `holds(what the room shows)` is true, and return what it shows.

        Raises TimeoutError after `deadline` seconds, with what the room showed last.
        """
        last: list[Shown] = []

        async def probe() -> bool:
            nonlocal last
            last = await self.visible(room)
            return bool(holds(last))

        try:
            await self.wait_for(probe, deadline)
        except TimeoutError:
            raise TimeoutError(f"{self.name} waited {deadline} s; the room shows: {last}") from None
        return last

    async def wait_message(self, room: str, part: str, deadline: float = DEADLINE) -> Shown:
        """Follow /sync until a message whose body holds `part` shows, and return the first such."""
        seen = await self.wait_visible(room, lambda now: any(part in one.body for one in now), deadline)
        return next(one for one in seen if part in one.body)

    async def ask(
        self,
        method: str,
        path: str,
        body: Event | None = None,
        *,
        query: Mapping[str, str] | None = None,
        version: str = "v3",
    ) -> Event:
        """One raw request to the client API, `path` as in `/rooms/...`; raises MatrixRefused."""
        address = f"/_matrix/client/{version}{path}" + (f"?{urlencode(query)}" if query else "")
        headers = {"Authorization": f"Bearer {self.access_token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body)
        async with await self.client.send(method, address, data, headers) as response:
            answer: Event = await response.json()
            if response.status >= 300:
                raise MatrixRefused(
                    answer.get("errcode"), answer.get("error", ""), answer.get("retry_after_ms")
                )
            return answer

    async def _pages(self, path: str, query: dict[str, str], version: str = "v3") -> AsyncIterator[Event]:
        query = {**query, "limit": "1000"}
        while True:
            page = await self.ask("GET", path, query=query, version=version)
            for event in page["chunk"]:
                yield event
            following = page.get("end") or page.get("next_batch")
            if not following:
                return
            query["from"] = following

    async def _sync(self, seconds: float) -> SyncResponse:
        answer = await self.client.sync(timeout=int(seconds * 1000), sync_filter=_NOTHING_OLD)
        if isinstance(answer, SyncResponse):
            return answer
        raise MatrixRefused(answer.status_code, answer.message)


def shown(events: Sequence[Event]) -> list[Shown]:
    """What a client shows of raw events in order, by the specification's rules for edits and reactions."""
    alive = [event for event in events if not _redacted(event)]
    edits = _edits(alive)
    reactions = _reactions(alive)
    return [
        _as_shown(event, edits.get(event["event_id"], []), reactions.get(event["event_id"], {}))
        for event in alive
        if event["type"] == "m.room.message"
        and "body" in event["content"]
        and _relation(event)[0] != "m.replace"
    ]


def _as_shown(event: Event, edits: list[Event], reactions: dict[str, set[str]]) -> Shown:
    own = [edit for edit in edits if edit["sender"] == event["sender"]]
    newest = max(own, key=lambda edit: (edit["origin_server_ts"], edit["event_id"]), default=None)
    content = newest["content"]["m.new_content"] if newest else event["content"]
    relates = event["content"].get("m.relates_to", {})
    rel_type, target = _relation(event)
    return Shown(
        event_id=event["event_id"],
        sender=event["sender"],
        body=content.get("body", ""),
        formatted_body=content.get("formatted_body"),
        msgtype=content.get("msgtype", ""),
        reply_to=relates.get("m.in_reply_to", {}).get("event_id"),
        thread=target if rel_type == "m.thread" else None,
        edits=len(own),
        reactions={key: frozenset(who) for key, who in reactions.items()},
        mentions=content.get("m.mentions"),
        content=content,
    )


def _edits(events: Sequence[Event]) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = {}
    for event in events:
        rel_type, target = _relation(event)
        if (
            event["type"] == "m.room.message"
            and rel_type == "m.replace"
            and "m.new_content" in event["content"]
        ):
            found.setdefault(target, []).append(event)
    return found


def _reactions(events: Sequence[Event]) -> dict[str, dict[str, set[str]]]:
    found: dict[str, dict[str, set[str]]] = {}
    for event in events:
        rel_type, target = _relation(event)
        if event["type"] == "m.reaction" and rel_type == "m.annotation":
            key = event["content"]["m.relates_to"].get("key", "")
            found.setdefault(target, {}).setdefault(key, set()).add(event["sender"])
    return found


def _relation(event: Event) -> tuple[str, str]:
    relates = event["content"].get("m.relates_to") or {}
    return relates.get("rel_type", ""), relates.get("event_id", "")


def _redacted(event: Event) -> bool:
    return "redacted_because" in event.get("unsigned", {})


def _text(text: str, html: str | None, msgtype: str) -> Event:
    content: Event = {"msgtype": msgtype, "body": text}
    if html is not None:
        content |= {"format": "org.matrix.custom.html", "formatted_body": html}
    return content


def _accepted(response: R) -> R:
    if isinstance(response, ErrorResponse):
        raise MatrixRefused(response.status_code, response.message, response.retry_after_ms)
    return response
