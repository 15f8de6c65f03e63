"""One `stormo run` of several that share a database, as its supervisor and a load balancer see it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import aiohttp

from tests.conftest import ROOT
from tests.stage import until

_READY = re.compile(r"Ready: (http://\S+)")
#: Several start at once, on a machine that has other things to do.
_START = 90.0
_HOST = re.compile(r"http://[^/]+")


class Program:
    """A process with this config and these words on its command line; its log lies beside the config."""

    def __init__(self, config: Path, name: str, *words: str) -> None:
        self._config = config
        self._words = words
        self._log = config.parent / f"{name}.log"
        self._process: asyncio.subprocess.Process | None = None
        self._address = ""

    async def start(self) -> None:
        """Returns when its pages are served; its platforms may still be on their way."""
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "stormo", "run", "--config", str(self._config), "--port", "0"),
                *self._words,
                cwd=ROOT,
                stdout=log,
                stderr=log,
                stdin=asyncio.subprocess.DEVNULL,
                env=os.environ | {"LANG": "en_US.UTF-8", "LC_ALL": ""},
            )
        await until(self._ready, f"the start of {self._log.name}", _START)

    def _ready(self) -> bool:
        assert self.running, self.log()
        found = _READY.search(self.log())
        if found is not None:
            self._address = _HOST.findall(found[1])[0]
        return found is not None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    async def page(self, path: str) -> tuple[int, Any]:
        async with aiohttp.ClientSession() as session, session.get(self._address + path) as answer:
            json = answer.content_type == "application/json"
            return answer.status, await answer.json() if json else await answer.text()

    async def doing(self, platform: str) -> str:
        """What it says of a platform."""
        return str((await self.page("/healthz"))[1]["platforms"][platform])

    async def does(self, platform: str, what: str, patience: float = 30) -> None:
        async def holds() -> bool:
            return await self.doing(platform) == what

        await until(holds, f"{self._log.name}: {platform} {what}\n{self.log()[-3000:]}", patience)

    # -- what happens to it ------------------------------------------------------------------------------------------

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def kill_now(self) -> None:
        """-9, between whichever two lines it is."""
        self._signal(signal.SIGKILL)

    async def kill(self) -> None:
        """-9, also of one that is frozen or ended before."""
        if self.running:
            self.kill_now()
            await self.ended()

    async def stop(self) -> None:
        """As a supervisor does."""
        self._signal(signal.SIGTERM)
        await self.ended()

    async def ended(self) -> None:
        assert self._process is not None
        await self._process.wait()
