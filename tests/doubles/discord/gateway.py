"""The websocket side: sessions that outlive connections, heartbeats, resume and replay, compression."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from tests.doubles.discord import payloads
from tests.doubles.discord.errors import Json
from tests.doubles.discord.events import KNOWN_INTENTS, PRIVILEGED, Event, Intent, may_see
from tests.doubles.discord.limits import Limits
from tests.doubles.discord.model import Guild, World
from tests.doubles.discord.packing import Packer, zlib_packer, zstd_packer

DISPATCH, HEARTBEAT, IDENTIFY, PRESENCE, VOICE_STATE, RESUME, RECONNECT = 0, 1, 2, 3, 4, 6, 7
REQUEST_MEMBERS, INVALID_SESSION, HELLO, HEARTBEAT_ACK = 8, 9, 10, 11

UNKNOWN_OPCODE, DECODE_ERROR, NOT_AUTHENTICATED = 4001, 4002, 4003
BAD_TOKEN, ALREADY_AUTHENTICATED = 4004, 4005
INVALID_SEQUENCE, RATE_LIMITED, SESSION_TIMED_OUT, INVALID_SHARD = 4007, 4008, 4009, 4010
SHARDING_REQUIRED, INVALID_VERSION, INVALID_INTENTS, DISALLOWED_INTENTS = 4011, 4012, 4013, 4014


class Session:
    """One IDENTIFY: its sequence and everything sent since, kept for a RESUME."""

    def __init__(self, intents: int, shard: tuple[int, int]) -> None:
        self.id = secrets.token_hex(16)
        self.intents = intents
        self.shard = shard
        self.sequence = 0
        self.sent: deque[tuple[int, str]] = deque(maxlen=10_000)
        self.connection: Connection | None = None
        self.alone_since = 0.0
        #: Its heartbeats are acknowledged, and it is told nothing.
        self.deaf = False

    def covers(self, guild: Guild | None) -> bool:
        number, count = self.shard
        return (guild.id >> 22) % count == number if guild is not None else number == 0

    def dispatch(self, name: str, data: Json) -> None:
        if self.deaf:
            return
        self.sequence += 1
        text = json.dumps({"op": DISPATCH, "t": name, "s": self.sequence, "d": data})
        self.sent.append((self.sequence, text))
        if self.connection is not None:
            self.connection.send_text(text)


class Connection:
    """One socket. Sends go through a queue, so that dispatching never waits."""

    def __init__(self, socket: web.WebSocketResponse, request: web.Request, pack: Packer) -> None:
        self.socket = socket
        self.request = request
        self.pack = pack
        self.session: Session | None = None
        self.received: deque[float] = deque()
        self.closing = False
        #: Nothing is sent any more, not even what keeps it alive.
        self.mute = False
        self._out: asyncio.Queue[str | int] = asyncio.Queue()

    def send(self, op: int, data: object) -> None:
        self.send_text(json.dumps({"op": op, "d": data, "s": None, "t": None}))

    def send_text(self, text: str) -> None:
        if not self.mute:
            self._out.put_nowait(text)

    def close(self, code: int) -> None:
        self.closing = True
        self._out.put_nowait(code)

    def abort(self) -> None:
        """Cuts the line without a goodbye."""
        if self.request.transport is not None:
            self.request.transport.abort()

    async def write(self) -> None:
        while True:
            item = await self._out.get()
            if isinstance(item, int):
                await self.socket.close(code=item)
                return
            packed = self.pack(item)
            try:
                if isinstance(packed, str):
                    await self.socket.send_str(packed)
                else:
                    await self.socket.send_bytes(packed)
            except ConnectionError:
                return


class Gateway:
    """Accepts bots, tells them events, and can be told to misbehave."""

    def __init__(self, world: World, limits: Limits, token: str) -> None:
        self._world = world
        self._limits = limits
        self._token = token
        self.url = ""
        self.sessions: dict[str, Session] = {}
        self.connections: set[Connection] = set()
        #: Privileged intents that the operator switched on.
        self.enabled_intents: int = int(PRIVILEGED)
        #: What bots sent: IDENTIFY and RESUME payloads, and the close codes we sent.
        self.identifies: list[Json] = []
        self.resumes: list[Json] = []
        self.closed_with: list[int] = []
        #: When each shard began a session, by the loop's seconds, and how many came before their turn.
        self.began: list[tuple[float, int]] = []
        self.too_soon = 0
        #: How many heartbeats came from each shard.
        self.heartbeats: Counter[int] = Counter()
        self.presences: list[Json] = []
        #: Faults that stay until switched back.
        self.refuse_resume = False
        self.acknowledge_heartbeats = True
        #: After so long a new thousand of IDENTIFYs begins, as `/gateway/bot` says.
        self.sessions_reset_seconds = 0.0

    @property
    def connected(self) -> bool:
        """Whether a bot that has identified is listening now."""
        return any(each.session is not None for each in self.connections)

    async def wait_connected(self, seconds: float = 10) -> None:
        await self._world.until(lambda: self.connected, seconds, "a bot connected to the gateway")

    # Faults, one act each

    def drop(self, shard: int | None = None) -> None:
        """Cuts every connection (or this shard's) without a close frame; sessions can be resumed."""
        for connection in self._of(shard):
            connection.abort()

    def close(self, code: int = 4000, shard: int | None = None) -> None:
        for connection in self._of(shard):
            self._shut(connection, code)

    def reconnect(self, shard: int | None = None) -> None:
        """Asks bots to come again (they resume)."""
        for connection in self._of(shard):
            connection.send(RECONNECT, None)

    def invalidate(self, *, resumable: bool = False, shard: int | None = None) -> None:
        """INVALID_SESSION; not resumable: everything sent before the next IDENTIFY is lost."""
        told = self._of(shard)
        if not resumable:
            self.forget_sessions(shard)
        for connection in told:
            connection.send(INVALID_SESSION, resumable)

    def deafen(self, shard: int | None = None) -> None:
        """From now on the sessions that there are hear nothing more; what happens is lost to them."""
        for session in self.sessions.values():
            if shard in (None, session.shard[0]):
                session.deaf = True

    def mute(self, shard: int | None = None) -> None:
        """Lets every connection (or this shard's) stand open and says nothing more over it."""
        for connection in self._of(shard):
            connection.mute = True

    def forget_sessions(self, shard: int | None = None) -> None:
        """The next RESUME is refused, silently until then."""
        for session in list(self.sessions.values()):
            if shard in (None, session.shard[0]):
                del self.sessions[session.id]

    def _of(self, shard: int | None) -> list[Connection]:
        """The connections of this shard, or all."""
        return [
            each
            for each in self.connections
            if shard is None or (each.session is not None and each.session.shard[0] == shard)
        ]

    def send_raw(self, text: str) -> None:
        """Sends `text` as it is (say, malformed JSON) to every bot."""
        for connection in self.connections:
            connection.send_text(text)

    # Events

    def dispatch(self, event: Event) -> None:
        """Queues an event for every session that asked for its intent and may see its place."""
        for session in list(self.sessions.values()):
            if self._expired(session):
                del self.sessions[session.id]
            elif self._wants(session, event):
                session.dispatch(event.name, event.build(session.intents))

    def _wants(self, session: Session, event: Event) -> bool:
        asked = not event.intent or bool(session.intents & event.intent)
        return asked and session.covers(event.guild) and may_see(event, self._world.bot)

    def _expired(self, session: Session) -> bool:
        if session.connection is not None:
            return False
        return asyncio.get_running_loop().time() - session.alone_since > self._limits.session_seconds

    # Sockets

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=0, compress=False)
        await socket.prepare(request)
        packer = self._packer(request.query.get("compress"))
        if packer is None or request.query.get("encoding", "json") != "json":
            await socket.close(code=DECODE_ERROR, message=b"our double cannot speak this encoding")
            return socket
        connection = Connection(socket, request, packer)
        if request.query.get("v", "10") != "10":
            await socket.close(code=INVALID_VERSION)
            return socket
        await self._serve(connection)
        return socket

    @staticmethod
    def _packer(compression: str | None) -> Packer | None:
        if compression == "zlib-stream":
            return zlib_packer()
        if compression == "zstd-stream":
            return zstd_packer()
        return None if compression else (lambda text: text)

    async def _serve(self, connection: Connection) -> None:
        self.connections.add(connection)
        writer = asyncio.create_task(connection.write())
        connection.send(HELLO, {"heartbeat_interval": int(self._limits.heartbeat_seconds * 1000)})
        try:
            await self._read(connection)
        finally:
            if connection.closing:  # the close frame is still to be written
                await asyncio.wait([writer], timeout=5)
            writer.cancel()
            self.connections.discard(connection)
            self._part(connection)
            self._world.touch()

    def _part(self, connection: Connection) -> None:
        session = connection.session
        if session is None or session.connection is not connection:
            return
        session.connection = None
        session.alone_since = asyncio.get_running_loop().time()
        if connection.socket.close_code in (WSCloseCode.OK, WSCloseCode.GOING_AWAY):
            self.sessions.pop(session.id, None)

    async def _read(self, connection: Connection) -> None:
        while True:
            try:
                patience = self._limits.heartbeat_seconds * self._limits.heartbeats_missed
                message = await self._receive(connection, patience)
            except TimeoutError:
                self._forget(connection)
                self._shut(connection, SESSION_TIMED_OUT)
                message = await connection.socket.receive()
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                return
            if self._too_fast(connection):
                self._shut(connection, RATE_LIMITED)
                continue
            self._take(connection, message.data)

    @staticmethod
    async def _receive(connection: Connection, seconds: float) -> Any:
        async with asyncio.timeout(seconds):
            return await connection.socket.receive()

    def _too_fast(self, connection: Connection) -> bool:
        now = asyncio.get_running_loop().time()
        connection.received.append(now)
        while connection.received[0] < now - 60:
            connection.received.popleft()
        return len(connection.received) > self._limits.gateway_sends_per_minute

    def _shut(self, connection: Connection, code: int) -> None:
        self.closed_with.append(code)
        connection.close(code)

    def _forget(self, connection: Connection) -> None:
        if connection.session is not None:
            self.sessions.pop(connection.session.id, None)

    def _take(self, connection: Connection, raw: str | bytes) -> None:
        try:
            frame = json.loads(raw)
            op, data = frame["op"], frame.get("d")
        except (ValueError, KeyError, TypeError):
            self._shut(connection, DECODE_ERROR)
            return
        handlers: dict[int, Callable[[Connection, Any], None]] = {
            HEARTBEAT: self._heartbeat,
            IDENTIFY: self._identify,
            RESUME: self._resume,
            REQUEST_MEMBERS: self._request_members,
            PRESENCE: lambda _connection, presence: self.presences.append(presence),
            VOICE_STATE: lambda _connection, _state: None,
        }
        if op not in handlers:
            self._shut(connection, UNKNOWN_OPCODE)
        elif connection.session is None and op not in (HEARTBEAT, IDENTIFY, RESUME):
            self._shut(connection, NOT_AUTHENTICATED)
        else:
            handlers[op](connection, data)

    def _heartbeat(self, connection: Connection, _sequence: object) -> None:
        if connection.session is not None:
            self.heartbeats[connection.session.shard[0]] += 1
            self._world.touch()
        if self.acknowledge_heartbeats:
            connection.send(HEARTBEAT_ACK, None)

    # IDENTIFY

    def _identify(self, connection: Connection, data: Json) -> None:
        self.identifies.append(data)
        code = self._objection(connection, data)
        if code:
            self._shut(connection, code)
            return
        if not self._its_turn(data):
            self.too_soon += 1
            connection.send(INVALID_SESSION, False)
            return
        session = Session(data["intents"], tuple(data.get("shard") or (0, 1)))
        self.sessions[session.id] = session
        self._attach(connection, session)
        guilds = [each for each in self._world.guilds.values() if each.has_bot and session.covers(each)]
        session.dispatch("READY", self._ready(session, guilds))
        for guild in guilds:
            if session.intents & Intent.GUILDS and guild.available:
                session.dispatch("GUILD_CREATE", self._world.events.guild_payload(guild, session.intents))
        self._world.touch()

    def _its_turn(self, data: Json) -> bool:
        """Whether no other shard of the same turn began a session just now."""
        now, (number, _) = asyncio.get_running_loop().time(), data.get("shard") or (0, 1)
        turns = self._limits.max_concurrency
        since = now - self._limits.identify_seconds
        if any(at > since and shard % turns == number % turns for at, shard in self.began):
            return False
        self.began.append((now, number))
        return True

    def _objection(self, connection: Connection, data: Json) -> int:
        """The close code for a bad IDENTIFY, 0 for a good one."""
        intents = data.get("intents")
        number, count = data.get("shard") or (0, 1)
        guilds = sum(each.has_bot for each in self._world.guilds.values())
        checks = (
            (connection.session is not None, ALREADY_AUTHENTICATED),
            (data.get("token") != self._token, BAD_TOKEN),
            (not isinstance(intents, int) or intents & ~KNOWN_INTENTS, INVALID_INTENTS),
            (not 0 <= number < count, INVALID_SHARD),
            (count == 1 and guilds >= self._limits.guilds_per_shard, SHARDING_REQUIRED),
            (isinstance(intents, int) and intents & PRIVILEGED & ~self.enabled_intents, DISALLOWED_INTENTS),
        )
        return next((code for wrong, code in checks if wrong), 0)

    def _ready(self, session: Session, guilds: list[Guild]) -> Json:
        return {
            "v": 10,
            "user": payloads.me(self._world.bot),
            "guilds": [{"id": str(each.id), "unavailable": True} for each in guilds],
            "session_id": session.id,
            "session_type": "normal",
            "resume_gateway_url": self.url,
            "shard": list(session.shard),
            "application": {"id": str(self._world.application_id), "flags": self.application_flags()},
            "private_channels": [],
            "relationships": [],
            "user_settings": {},
            "_trace": ["our double"],
        }

    def application_flags(self) -> int:
        """Which privileged intents the application shows as granted (limited form: under 100 guilds)."""
        flags = ((Intent.GUILD_PRESENCES, 13), (Intent.GUILD_MEMBERS, 15), (Intent.MESSAGE_CONTENT, 19))
        return sum(1 << bit for intent, bit in flags if self.enabled_intents & intent)

    def _attach(self, connection: Connection, session: Session) -> None:
        if session.connection is not None:
            session.connection.close(4000)
        connection.session = session
        session.connection = connection

    # RESUME

    def _resume(self, connection: Connection, data: Json) -> None:
        self.resumes.append(data)
        session = self.sessions.get(data.get("session_id", ""))
        if data.get("token") != self._token:
            self._shut(connection, BAD_TOKEN)
        elif session is None or self.refuse_resume or self._expired(session):
            connection.send(INVALID_SESSION, False)
        elif data.get("seq", 0) > session.sequence:
            self._shut(connection, INVALID_SEQUENCE)
        else:
            self._replay(connection, session, data["seq"])
        self._world.touch()

    def _replay(self, connection: Connection, session: Session, seen: int) -> None:
        missed = [text for sequence, text in session.sent if sequence > seen]
        self._attach(connection, session)
        for text in missed:
            connection.send_text(text)
        session.dispatch("RESUMED", {"_trace": ["our double"]})

    # Members on request

    def _request_members(self, connection: Connection, data: Json) -> None:
        session = connection.session
        guild = self._world.guilds.get(int(data["guild_id"]))
        if session is None or guild is None or not guild.has_bot:
            return
        wanted = [str(each) for each in data.get("user_ids") or []]
        query = (data.get("query") or "").lower()
        if not (session.intents & Intent.GUILD_MEMBERS) and not wanted and not query:
            return
        found = [
            payloads.member(each)
            for each in guild.members.values()
            if (str(each.user.id) in wanted if wanted else each.user.username.lower().startswith(query))
        ]
        chunk: Json = {"guild_id": str(guild.id), "members": found, "chunk_index": 0, "chunk_count": 1}
        chunk["not_found"] = [each for each in wanted if int(each) not in guild.members]
        if data.get("nonce") is not None:
            chunk["nonce"] = data["nonce"]
        session.dispatch("GUILD_MEMBERS_CHUNK", chunk)
