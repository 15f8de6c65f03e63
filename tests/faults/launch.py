"""``stormo run`` as it is, with traps at its crash points, in a process of its own that starts in a moment.

Such a process is forked from one that has done nothing but import the program: that costs seconds at every start, and
holds no step between which anything could end.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from core import crashpoints
from stormo.cli import main
from tests.stage import Stage, until

_IMPORTED = [
    "bots.discord.bot",
    "bots.matrix.bot",
    "bots.telegram.bot",
    "psycopg",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite",
    "stormo.serve",
    "tests.faults.launch",
]


@dataclass
class _Step:
    """``platform`` is empty where any will do; ``left``: passages until it is done."""

    name: str
    platform: str
    left: int

    @classmethod
    def of(cls, text: str) -> _Step:
        point, _, number = text.partition("*")
        name, _, platform = point.partition("@")
        return cls(name, platform, int(number or 1))


class Trap:
    """Ends the process at its last step, as the kernel ends one that it kills.

    "inbound.received@telegram>outbound.tried@matrix*2>writer.committed": a Telegram update comes, then a second try is
    written for Matrix, then a transaction is committed.
    """

    def __init__(self, steps: str) -> None:
        self._steps = [_Step.of(step) for step in steps.split(">")]
        self._lock = threading.Lock()

    def __call__(self, name: str, platform: str) -> None:
        with self._lock:
            step = self._steps[0]
            if name != step.name or step.platform not in ("", platform):
                return
            step.left -= 1
            if step.left == 0:
                del self._steps[0]
            if not self._steps:
                os.kill(os.getpid(), signal.SIGKILL)


def _run(config: str, log: str, trap: str, traps: Connection) -> None:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    if trap:
        crashpoints.watch = Trap(trap)
    threading.Thread(target=_listen, args=(traps,), daemon=True).start()
    sys.exit(main(["run", "--config", config]))


def _listen(traps: Connection) -> None:
    while True:
        try:
            steps = traps.recv()
        except EOFError:
            os._exit(1)  # whoever started us is no more
        crashpoints.watch = Trap(steps)
        traps.send(steps)


class Program:
    """One start of the program: what a stage asks of ``asyncio.subprocess.Process``, and ``arm``."""

    def __init__(self, config: Path, log: Path, trap: str = "") -> None:
        context = get_context("forkserver")
        context.set_forkserver_preload(_IMPORTED)
        self._traps, theirs = context.Pipe()
        self._process = context.Process(target=_run, args=(str(config), str(log), trap, theirs))
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def terminate(self) -> None:
        self._process.terminate()

    async def wait(self) -> int:
        await until(lambda: self.returncode is not None, "the end of the program")
        assert self.returncode is not None
        self._traps.close()
        return self.returncode

    async def arm(self, trap: str) -> None:
        self._traps.send(trap)
        await until(self._traps.poll, f"the trap {trap}")
        assert self._traps.recv() == trap


class QuickStage(Stage):
    """A stage whose program starts in a moment, and can be ended at a crash point."""

    async def _launched(self) -> Program:
        self.program = Program(self.config, self._log_file)
        return self.program

    def launch(self, trap: str) -> None:
        """Starts the program with a trap on its way up, and does not wait until it is there."""
        self.discord.gateway.forget_sessions()
        self.starts += 1
        self._process = Program(self.config, self._log_file, trap)

    async def arm(self, trap: str) -> None:
        """The program ends at that crash point: see ``Trap``."""
        await self.program.arm(trap)

    async def end(self) -> None:
        self.kill_now()
        await self.dead()
