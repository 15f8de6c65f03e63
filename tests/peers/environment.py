"""The environment of the real peers, `.peers`; the Makefile makes it from a lock of its own: pins differ."""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / ".peers"
INSTALL_DEADLINE = 300.0


class PeerUnavailable(RuntimeError):
    """A peer cannot be installed here; the text says why."""


@functools.cache
def synapse_python() -> Path:
    """The interpreter that can import synapse, which `make peers` installs first where it is missing or old.

    Several processes may ask at once: the installer lets one in at a time.

    Raises:
        PeerUnavailable: the installation failed or took over 300 s; it carries the installer's last lines.
    """
    command = ["make", "--no-print-directory", "-C", str(ROOT), "peers", f"PYTHON={sys.executable}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_DEADLINE, check=False)
    except (OSError, subprocess.TimeoutExpired) as failed:
        raise PeerUnavailable(f"Synapse could not be installed: {failed}") from failed
    if done.returncode != 0:
        last = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise PeerUnavailable("Synapse could not be installed: " + " | ".join(last))
    return PEERS / "bin" / "python"
