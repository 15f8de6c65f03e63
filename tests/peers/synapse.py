"""A real Synapse for the tests: on loopback, with its own data, to be stopped, killed and started again."""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import itertools
import json
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from tests.peers.environment import PeerUnavailable, synapse_python

Limits = Literal["off", "default"]

SERVER_NAME = "stormo.test"
START_DEADLINE = 60.0
STOP_DEADLINE = 20.0
POLL = 0.05

# It must not outlive a killed test run: its standard input is a pipe that only the run holds open.
_RUNNER = """
import os, shutil, threading
def follow_parent():
    os.read(0, 1)
    shutil.rmtree(os.environ["SYNAPSE_DATA"], ignore_errors=True)
    os._exit(1)
threading.Thread(target=follow_parent, daemon=True).start()
from synapse.app.homeserver import main
main()
"""


@dataclass(frozen=True)
class Login:
    """A logged-in account: `user_id` is `@name:stormo.test`; the token lives as long as the server's data."""

    user_id: str
    access_token: str
    device_id: str


class SynapseRefused(RuntimeError):
    """Synapse answered an administrative request with an error."""

    def __init__(self, status: int, answer: dict[str, Any]) -> None:
        super().__init__(f"{status} {answer.get('errcode')}: {answer.get('error')}")
        self.status = status
        self.errcode: str | None = answer.get("errcode")


class SynapseServer:
    """One homeserver on a free loopback port; its data lives in memory where the machine has /dev/shm.

    `limits="off"` lifts all rate limits; `"default"` keeps those that Synapse gives a plain account
    (0.2 messages/s after a burst of 10). Use as a context manager, or call `start` and `close`.

    Raises from `start`: `PeerUnavailable` when Synapse cannot be installed, `RuntimeError` with the end of
    its log when it stops at once or does not answer in time.
    """

    def __init__(self, limits: Limits = "off", settings: dict[str, Any] | None = None) -> None:
        self.limits: Limits = limits
        self._settings = settings or {}
        self._secret = secrets.token_hex(16)
        self._names = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._admin: Login | None = None
        self._port = 0
        self.data: Path | None = None

    @property
    def url(self) -> str:
        """The base address, `http://127.0.0.1:PORT`; it stays the same over restarts."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """The process id of the running server; raises RuntimeError when it does not run."""
        if self._process is None:
            raise RuntimeError("Synapse is not running")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start and wait until it answers; on the same data and port when it ran before."""
        if self.running:
            return
        python = synapse_python()
        if self.data is None:
            self.data = Path(tempfile.mkdtemp(prefix="stormo-synapse-", dir=_memory_folder()))
        self._port = _free_port(self._port)
        config = self.data / "homeserver.yaml"
        config.write_text(json.dumps(self._configuration(self.data)))
        with (self.data / "output.log").open("ab") as output:
            self._process = subprocess.Popen(
                [str(python), "-c", _RUNNER, "--config-path", str(config)],
                cwd=self.data,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | {"SYNAPSE_DATA": str(self.data)},
            )
        self._wait_until_ready(self._process)

    def stop(self) -> None:
        """End it the polite way (SIGTERM), and wait; killed when it does not obey in 20 s. The data stays."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL), and wait. The data stays."""
        self._end(signal.SIGKILL)

    def restart(self, *, killed: bool = False) -> None:
        """Stop (or kill) it and start it again on the same data and port."""
        self._end(signal.SIGKILL if killed else signal.SIGTERM)
        self.start()

    def close(self) -> None:
        """Kill it and remove its data."""
        self.kill()
        if self.data is not None:
            shutil.rmtree(self.data, ignore_errors=True)
            self.data = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def unused_name(self, name: str) -> str:
        """A localpart that nobody has on this server yet, made from `name`: tests share a server."""
        return f"{name.lower()}-{next(self._names)}"

    def register(self, localpart: str, *, display_name: str | None = None, admin: bool = False) -> Login:
        """Make an account through the shared secret. Blocks for about 20 ms.

        Raises SynapseRefused (`M_USER_IN_USE` when the name is taken).
        """
        path = "/_synapse/admin/v1/register"
        nonce = self.admin_request("GET", path, token=None)["nonce"]
        password = secrets.token_hex(12)
        parts = (nonce, localpart, password, "admin" if admin else "notadmin")
        mac = hmac.new(self._secret.encode(), "\0".join(parts).encode(), hashlib.sha1).hexdigest()
        body = {"nonce": nonce, "username": localpart, "password": password, "admin": admin, "mac": mac}
        answer = self.admin_request(
            "POST", path, body | {"displayname": display_name or localpart}, token=None
        )
        return Login(answer["user_id"], answer["access_token"], answer["device_id"])

    def lift_limits(self, user_id: str) -> None:
        """Free one account from the message limits, as an operator does for a bot."""
        path = f"/_synapse/admin/v1/users/{urllib.parse.quote(user_id)}/override_ratelimit"
        self.admin_request("POST", path, {"messages_per_second": 0, "burst_count": 0})

    def admin_request(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, token: str | None = ""
    ) -> dict[str, Any]:
        """Ask the admin API as the server's operator; `token=None` asks without an account.

        Raises SynapseRefused on any answer but 2xx.
        """
        credentials = self._operator().access_token if token == "" else token
        headers = {"Content-Type": "application/json"}
        if credentials:
            headers["Authorization"] = f"Bearer {credentials}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with _direct().open(request, timeout=30) as response:
                return _as_object(response.read())
        except urllib.error.HTTPError as refused:
            raise SynapseRefused(refused.code, _as_object(refused.read())) from None

    def memory_mib(self) -> float:
        """The resident memory of the running server, in MiB."""
        fields = Path(f"/proc/{self.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of what it wrote."""
        if self.data is None or not (self.data / "output.log").is_file():
            return ""
        return "\n".join((self.data / "output.log").read_text(errors="replace").splitlines()[-lines:])

    def _operator(self) -> Login:
        if self._admin is None:
            self._admin = self.register("operator", admin=True)
        return self._admin

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(STOP_DEADLINE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdin is not None
        process.stdin.close()

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        until = time.monotonic() + START_DEADLINE
        while time.monotonic() < until:
            if self._answers():
                return
            try:
                process.wait(POLL)
            except subprocess.TimeoutExpired:
                continue
            break
        log = self.log_tail()
        self.kill()
        raise RuntimeError(f"Synapse did not come up:\n{log}")

    def _answers(self) -> bool:
        try:
            with _direct().open(self.url + "/_matrix/client/versions", timeout=2):
                return True
        except OSError:
            return False

    def _configuration(self, data: Path) -> dict[str, Any]:
        resources = [{"names": ["client"], "compress": False}]
        listener = {
            "port": self._port,
            "type": "http",
            "bind_addresses": ["127.0.0.1"],
            "resources": resources,
        }
        return {
            "server_name": SERVER_NAME,
            "public_baseurl": self.url + "/",
            "listeners": [listener],
            "pid_file": str(data / "homeserver.pid"),
            "signing_key_path": str(_signing_key(data)),
            "log_config": str(_log_config(data)),
            "media_store_path": str(data / "media"),
            "database": {"name": "sqlite3", "args": {"database": str(data / "homeserver.db")}},
            "registration_shared_secret": self._secret,
            "macaroon_secret_key": self._secret,
            "form_secret": self._secret,
            "report_stats": False,
            "trusted_key_servers": [],
            "suppress_key_server_warning": True,
            "federation_domain_whitelist": [],
            "presence": {"enabled": False},
            "bcrypt_rounds": 4,
            "room_list_publication_rules": [{"action": "allow"}],
            # Its two-minute cache would replay an old batch to a bot that starts again without a token.
            "caches": {"sync_response_cache_duration": "0s"},
            **(_no_limits() if self.limits == "off" else {}),
            **self._settings,
        }


def _no_limits() -> dict[str, Any]:
    free = {"per_second": 1_000_000, "burst_count": 1_000_000}
    single = (
        "message",
        "registration",
        "admin_redaction",
        "joins_per_room",
        "room_creation",
        "reports",
        "user_directory",
    )
    return {
        **{f"rc_{name}": free for name in single},
        "rc_login": {"address": free, "account": free, "failed_attempts": free},
        "rc_joins": {"local": free, "remote": free},
        "rc_invites": {"per_room": free, "per_user": free, "per_issuer": free},
        "rc_media_create": free,
        "rc_profile": free,
    }


def _signing_key(data: Path) -> Path:
    path = data / "signing.key"
    if not path.exists():
        seed = base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
        path.write_text(f"ed25519 a_test {seed}\n")
    return path


def _log_config(data: Path) -> Path:
    path = data / "log.yaml"
    handler = {"class": "logging.StreamHandler", "formatter": "plain"}
    plain = {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}
    root = {"level": "WARNING", "handlers": ["console"]}
    config = {"version": 1, "formatters": {"plain": plain}, "handlers": {"console": handler}, "root": root}
    path.write_text(json.dumps(config))
    return path


def _memory_folder() -> str | None:
    memory = Path("/dev/shm")
    return str(memory) if memory.is_dir() and os.access(memory, os.W_OK) else None


def _free_port(wanted: int) -> int:
    """`wanted` when nobody listens there, else RuntimeError; for 0 a free one.

    It is drawn below the range from which the system gives ports to outgoing connections: none of those can
    take it between this look and Synapse's own bind.
    """
    for port in [wanted] if wanted else random.sample(range(20_000, 32_000), 50):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"port {wanted} is in use by somebody else")


@functools.cache
def _direct() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _as_object(raw: bytes) -> dict[str, Any]:
    value = json.loads(raw or b"{}")
    return value if isinstance(value, dict) else {}


__all__ = ["Limits", "Login", "PeerUnavailable", "SynapseRefused", "SynapseServer"]
