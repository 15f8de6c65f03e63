"""A Matrix room relayed into another through a real Synapse: speed, latency, memory, and what kills lose or double.

The program runs as an operator runs it: ``stormo run --config FILE`` with two rooms and a relay between them, as a
process of its own, Matrix alone. Who talks never joined Stormo. The homeserver's limits are off. Senders are raw
clients that repeat a send with its own transaction id until it is acknowledged, so that whatever is missing or there
twice afterwards is the relay's doing.

With ``--matterbridge FILE``, the program of the best known relay, it does the same work here and in the same run, and
the rows are held against that. Without it they are held against its figures from another machine.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp

from tests.peers.synapse import Login, SynapseServer

#: The best known relay on the same work on another machine, which is to be beaten in every row but memory.
MATTERBRIDGE = {"p95_ms_at_1": 56.0, "p95_ms_at_20": 107.0, "sustained_per_s": 27.0}
BAR_MEMORY_MB = 100.0
BURST = 500
TALKERS = 8
#: Seconds without any new copy after which nothing more is waited for.
_SILENCE = 15.0
_RETRY = 0.2

Figures = dict[str, float | None]

CONFIG = """
[data]
dir = "{folder}"

[web]
port = 0

[room]
quiet_hours = "off"

[matrix]
homeserver = "{url}"
user_id = "{bot.user_id}"
access_token = "{bot.access_token}"
windows = [[1000, 1.0]]

[relay]
rooms = [["matrix:{here}", "matrix:{there}"]]
"""


MATTERBRIDGE_CONFIG = """
[general]
RemoteNickFormat = "{{NICK}}: "

[matrix.there]
Server = "{url}"
MxID = "{bot.user_id}"
Token = "{bot.access_token}"

[[gateway]]
name = "relay"
enable = true
[[gateway.in]]
account = "matrix.there"
channel = "{here}"
[[gateway.out]]
account = "matrix.there"
channel = "{there}"
"""


@dataclass(frozen=True)
class Relay:
    """What relays: how it is told what to do, and the command that the file's name is added to."""

    config: str
    command: tuple[str, ...]


STORMO = Relay(CONFIG, (sys.executable, "-m", "stormo", "run", "--config"))


class Client:
    """One account, speaking the client API raw."""

    def __init__(self, url: str, login: Login) -> None:
        self.url = url
        self.login = login
        headers = {"Authorization": f"Bearer {login.access_token}"}
        self._http = aiohttp.ClientSession(
            headers=headers, connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=60)
        )

    async def close(self) -> None:
        await self._http.close()

    async def ask(self, method: str, path: str, body: object = None, **query: str) -> dict[str, Any]:
        """Raises ``aiohttp.ClientError``, ``TimeoutError``."""
        address = f"{self.url}/_matrix/client/v3{path}"
        async with self._http.request(method, address, json=body, params=query) as answer:
            answer.raise_for_status()
            found: dict[str, Any] = await answer.json()
            return found

    async def room(self, name: str, invite: Sequence[str]) -> str:
        made = await self.ask(
            "POST", "/createRoom", {"name": name, "preset": "public_chat", "invite": list(invite)}
        )
        return str(made["room_id"])

    async def say(self, room: str, text: str) -> None:
        """Until it is acknowledged; the transaction id keeps repeats from doubling it."""
        path = f"/rooms/{quote(room)}/send/m.room.message/{quote(text.replace(' ', '-'))}"
        content = {"msgtype": "m.text", "body": text, "m.mentions": {}}
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                await self.ask("PUT", path, content)
                return
            await asyncio.sleep(_RETRY)

    async def follow(self, room: str) -> AsyncIterator[list[str]]:
        """The messages of a room as they come."""
        query = {"timeout": "0", "filter": json.dumps({"room": {"timeline": {"limit": 1000}}})}
        while True:
            try:
                answer = await self.ask("GET", "/sync", **query)
            except (aiohttp.ClientError, TimeoutError):
                await asyncio.sleep(_RETRY)
                continue
            joined = answer["rooms"]["join"] if "rooms" in answer else {}
            events = joined.get(room, {}).get("timeline", {}).get("events", ())
            if found := [e["content"].get("body", "") for e in events if e["type"] == "m.room.message"]:
                yield found
            query |= {"since": answer["next_batch"], "timeout": "5000"}

    async def pass_on(self, here: str, there: str) -> None:
        """A relay that remembers nothing and names nobody: the least that there is to do."""
        for room in (here, there):
            await self.ask("POST", f"/join/{quote(room)}", {})
        async for bodies in self.follow(here):
            for body in bodies:
                await self.say(there, body)

    async def bodies(self, room: str) -> list[str]:
        """Every message that the room shows, oldest first."""
        found: list[str] = []
        query = {"dir": "f", "limit": "1000"}
        while True:
            page = await self.ask("GET", f"/rooms/{quote(room)}/messages", **query)
            found += [e["content"].get("body", "") for e in page["chunk"] if e["type"] == "m.room.message"]
            if not page.get("end"):
                return found
            query["from"] = page["end"]


@dataclass
class Watch:
    """When each text was first seen in the other room: ``time.monotonic()`` by its last words."""

    client: Client
    room: str
    seen: dict[str, float] = field(default_factory=dict)
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def follow(self) -> None:
        async for bodies in self.client.follow(self.room):
            now = time.monotonic()
            for body in bodies:
                self.seen.setdefault(mark_of(body), now)
            async with self._news:
                self._news.notify_all()

    async def until(self, texts: Sequence[str], count: int, silence: float = _SILENCE) -> bool:
        """So many of these were seen (true), or nothing new came for so many seconds (false)."""
        marks = {mark_of(text) for text in texts}
        async with self._news:
            while len(marks & self.seen.keys()) < count:
                try:
                    async with asyncio.timeout(silence):
                        await self._news.wait()
                except TimeoutError:
                    return False
        return True


def mark_of(body: str) -> str:
    """A copy may lead with who speaks; the last word is the message's own."""
    return body.rsplit(" ", 1)[-1]


class Program:
    """A relay's process, to be killed and started at will."""

    def __init__(self, command: Sequence[str], config: Path) -> None:
        self._command = (*command, str(config))
        self._log = config.parent / "relay.log"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(*self._command, stdout=log, stderr=log)

    async def end(self, how: signal.Signals) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(how)
        await self._process.wait()

    @property
    def memory_mb(self) -> float:
        """Resident memory, in units of 10**6 bytes."""
        assert self._process is not None
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


@dataclass
class Stage:
    """A homeserver, two rooms with a relay between them, those who talk here and one who looks on there."""

    server: SynapseServer
    talkers: list[Client]
    watch: Watch
    here: str
    program: Program | None
    numbers: int = 0

    def texts(self, count: int) -> list[str]:
        first, self.numbers = self.numbers, self.numbers + count
        return [f"a bird passes over the roof {first + number:06d}" for number in range(count)]

    async def say(self, text: str) -> float:
        """Returns the time at which it was asked for."""
        asked = time.monotonic()
        await self.talkers[hash(text) % len(self.talkers)].say(self.here, text)
        return asked


@asynccontextmanager
async def staged(relay: Relay | None) -> AsyncIterator[Stage]:
    """``None``: what relays is ``Client.pass_on``."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stormo-bench-")))
        server = stack.enter_context(SynapseServer())
        bot = server.register("stormo")
        clients = [Client(server.url, server.register(f"talker-{n}")) for n in range(TALKERS + 1)]
        for client in clients:
            stack.push_async_callback(client.close)
        looker, talkers = clients[0], clients[1:]
        here, there = [await looker.room(name, [bot.user_id]) for name in ("Here", "There")]
        for talker in talkers:
            await talker.ask("POST", f"/join/{quote(here)}", {})
        program = None
        if relay is None:
            least = Client(server.url, bot)
            stack.push_async_callback(least.close)
            stack.callback(asyncio.create_task(least.pass_on(here, there)).cancel)
        else:
            config = folder / "config.toml"
            config.write_text(
                relay.config.format(folder=folder / "data", url=server.url, bot=bot, here=here, there=there)
            )
            program = Program(relay.command, config)
            await program.start()
            stack.push_async_callback(program.end, signal.SIGTERM)
        watch = Watch(looker, there)
        following = asyncio.create_task(watch.follow())
        stack.callback(following.cancel)
        stage = Stage(server, talkers, watch, here, program)
        await _until_relayed(stage)
        yield stage


async def _until_relayed(stage: Stage) -> None:
    """The first message that passes says that the relay is there."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        texts = stage.texts(1)
        await stage.say(texts[0])
        if await stage.watch.until(texts, 1, silence=1.0):
            return
    raise RuntimeError("nothing is relayed")


# -- what is measured ------------------------------------------------------------------------------------------------


async def raw_rates(count: int) -> dict[str, float]:
    """Messages a second that one raw client pushes into such a homeserver: one after another, and many at once."""
    with SynapseServer() as server:
        client = Client(server.url, server.register("raw"))
        try:
            room = await client.room("Raw", [])
            rates = {}
            for name, width in (("one by one", 1), ("64 at once", 64)):
                texts = iter([f"raw {name} {number}" for number in range(count)])
                began = time.monotonic()
                await asyncio.gather(*(_push(client, room, texts) for _ in range(width)))
                rates[name] = count / (time.monotonic() - began)
            return rates
        finally:
            await client.close()


async def _push(client: Client, room: str, texts: Iterator[str]) -> None:
    for text in texts:
        await client.say(room, text)


async def latency(stage: Stage, rate: float, count: int) -> Figures:
    """Milliseconds from asking the homeserver to say it here until it is seen there."""
    texts, asked = stage.texts(count), {}
    began = time.monotonic()

    async def one(number: int, text: str) -> None:
        await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        asked[text] = await stage.say(text)

    await asyncio.gather(*(one(number, text) for number, text in enumerate(texts)))
    await stage.watch.until(texts, count)
    return _waits(stage, asked)


def _waits(stage: Stage, asked: dict[str, float]) -> Figures:
    """``None`` for a time that never came: what was lost waited for ever."""
    seen, never = stage.watch.seen, float("inf")
    waits = sorted(1000 * (seen.get(mark_of(text), never) - at) for text, at in asked.items())
    marks = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}
    found = {name: waits[min(len(waits) - 1, int(part * len(waits)))] for name, part in marks.items()}
    times = {name: None if wait == never else round(wait, 1) for name, wait in found.items()}
    return times | {"lost": waits.count(never)}


async def burst(stage: Stage, count: int) -> Figures:
    """Everybody talks at once. The rate is that of the copies, from the first to the last."""
    texts = stage.texts(count)
    asked = dict(zip(texts, await asyncio.gather(*map(stage.say, texts)), strict=True))
    await stage.watch.until(texts, count)
    times = sorted(stage.watch.seen[mark_of(text)] for text in texts if mark_of(text) in stage.watch.seen)
    rate = (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 0.0
    return _waits(stage, asked) | {"copies_per_s": round(rate, 1)}


async def kill(
    stage: Stage, rate: float | None, count: int, fell: Callable[[], Awaitable[None]]
) -> dict[str, int]:
    """Messages lost and copies doubled when something is killed after a third of them; ``None``: all at once."""
    texts = stage.texts(count)
    began = time.monotonic()

    async def one(number: int, text: str) -> None:
        if rate is not None:
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        await stage.say(text)

    async def falling() -> None:
        await stage.watch.until(texts, count // 3)
        await fell()

    await asyncio.gather(falling(), *(one(number, text) for number, text in enumerate(texts)))
    await stage.watch.until(texts, count)
    stands = Counter(map(mark_of, await stage.watch.client.bodies(stage.watch.room)))
    times = [stands[mark_of(text)] for text in texts]
    return {"lost": times.count(0), "doubled": sum(max(0, number - 1) for number in times)}


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    figures: dict[str, Any] = {"raw_per_s": {}}
    for name, rate in (await raw_rates(options.raw)).items():
        figures["raw_per_s"][name] = round(rate, 1)
    print(f"raw client   {figures['raw_per_s']}", flush=True)
    figures["bare_relay"] = await relayed("bare relay", None, options)
    if options.matterbridge:
        matterbridge = Relay(MATTERBRIDGE_CONFIG, (options.matterbridge, "-conf"))
        figures["matterbridge"] = await relayed("matterbridge", matterbridge, options)
    figures["stormo"] = await relayed("stormo", STORMO, options)
    share = figures["stormo"]["sustained_per_s"] / max(figures["raw_per_s"].values())
    return figures | {"share_of_raw": round(share, 2)}


async def relayed(name: str, relay: Relay | None, options: argparse.Namespace) -> dict[str, Any]:
    """What one relay reaches on this homeserver and machine; ``None``: one that does nothing else."""
    figures: dict[str, Any] = {}

    def found(key: str, figure: object) -> None:
        figures[key] = figure
        print(f"{name:<12} {key}: {figure}", flush=True)

    async with staged(relay) as stage:
        if stage.program:
            found("memory_mb_at_rest", stage.program.memory_mb)
        for rate, count in ((1, options.slow), (20, options.fast)):
            found(f"at_{rate}_per_s", await latency(stage, rate, count))
        bursts = [await burst(stage, BURST) for _ in range(options.rounds)]
        found("bursts", bursts)
        found("sustained_per_s", statistics.median(one["copies_per_s"] or 0.0 for one in bursts))
        if stage.program:
            found("memory_mb", stage.program.memory_mb)
            found("kills", await kills(stage, stage.program))
    return figures


async def kills(stage: Stage, program: Program) -> dict[str, dict[str, int]]:
    async def relay() -> None:
        await program.end(signal.SIGKILL)
        await program.start()

    async def synapse() -> None:
        await asyncio.to_thread(stage.server.restart, killed=True)

    figures = {}
    for name, fell in (("relay", relay), ("synapse", synapse)):
        for when, rate, count in (("burst", None, BURST), ("20/s", 20.0, 200)):
            figures[f"{name}, {when}"] = await kill(stage, rate, count, fell)
    return figures


def bar(figures: dict[str, Any]) -> dict[str, Any]:
    """What is to be beaten: the best known relay in this run, or what it reached on another machine."""
    if known := figures.get("matterbridge"):
        rows: dict[str, Any] = {f"p95_ms_at_{rate}": known[f"at_{rate}_per_s"]["p95_ms"] for rate in (1, 20)}
        rows |= {"sustained_per_s": known["sustained_per_s"], "measured": "in this run"}
    else:
        rows = {**MATTERBRIDGE, "measured": "on another machine"}
    return {**rows, "memory_mb": BAR_MEMORY_MB, "lost": 0, "doubled": 0}


def missed(figures: dict[str, Any], bar: dict[str, Any]) -> list[str]:
    """Every row in which the best known relay is not beaten, and every message lost or doubled."""
    ours = figures["stormo"]
    rows = {
        f"p95 at {rate}/s": _sooner(ours[f"at_{rate}_per_s"]["p95_ms"], bar[f"p95_ms_at_{rate}"])
        for rate in (1, 20)
    }
    latencies = [ours["at_1_per_s"], ours["at_20_per_s"], *ours["bursts"]]
    rows |= {
        "sustained": ours["sustained_per_s"] > bar["sustained_per_s"],
        "memory": ours["memory_mb"] < bar["memory_mb"],
        "lost": not any(one["lost"] for one in latencies),
        "kills": not any(sum(one.values()) for one in ours["kills"].values()),
    }
    return [name for name, reached in rows.items() if not reached]


def _sooner(ours: float | None, theirs: float | None) -> bool:
    return ours is not None and (theirs is None or ours < theirs)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench relay")
    parser.add_argument("--raw", type=int, default=400, help="messages for the raw client's rates")
    parser.add_argument("--slow", type=int, default=60, help="messages at 1/s")
    parser.add_argument("--fast", type=int, default=600, help="messages at 20/s")
    parser.add_argument("--rounds", type=int, default=3, help="bursts")
    parser.add_argument("--matterbridge", default="", help="its program, to do the same work in this run")
    options = parser.parse_args(arguments)
    figures = asyncio.run(measure(options))
    rows = bar(figures)
    short = missed(figures, rows)
    print(json.dumps({"bench": "relay", "figures": figures, "bar": rows, "missed": short, "ok": not short}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
