"""Bring a virtual environment to what a hashed lock says; runs on the standard library alone.

    python3 requirements/install.py VENV LOCK [--program]

A missing or broken environment is made anew. With --program it also gets the `stormo` command, and sees this
checkout's packages from every directory. Nothing is fetched when it already holds what the lock pins.
"""

from __future__ import annotations

import argparse
import configparser
import fcntl
import os
import shlex
import shutil
import ssl
import subprocess
import sys
import venv
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)
# Where systems keep the bundle that their administrator's own authorities are in too.
SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
TOO_OLD = """\
Stormo needs Python {wanted} or newer, and {python} is {version}.
Name another one:  make PYTHON=/path/to/python3 ..."""
NO_PIP = """\
{python} cannot make a virtual environment: it has neither ensurepip nor pip.
On Debian and Ubuntu:  apt-get install python3-venv
Elsewhere: install pip for this Python, or name another one:  make PYTHON=/path/to/python3 ..."""


def main() -> None:
    """Read the command line, then make or mend the environment while holding its lock."""
    if sys.version_info < OLDEST:
        sys.exit(
            TOO_OLD.format(wanted=".".join(map(str, OLDEST)), python=sys.executable, version=sys.version)
        )
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("venv", type=Path)
    parser.add_argument("lock", type=Path)
    parser.add_argument("--program", action="store_true", help="also write the stormo command")
    args = parser.parse_args()
    home = args.venv.absolute()
    # Two `make` at once would otherwise install into the same environment at the same time.
    with home.with_name(home.name + ".lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        install(home, args.lock)
        if args.program:
            write_program(home)


def install(home: Path, lock: Path) -> None:
    """Make the environment if it cannot run pip, then install exactly what the lock pins."""
    pip = pip_of(home) or pip_of(created(home))
    if pip is None:
        shutil.rmtree(home, ignore_errors=True)
        sys.exit(NO_PIP.format(python=sys.executable))
    command = [*pip, "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    # Wheels only: building an sdist would fetch its build tools, which no hash of ours covers.
    command += [
        "--require-hashes",
        "--no-deps",
        "--only-binary",
        ":all:",
        *trust(pip),
        "--requirement",
        str(lock),
    ]
    print(f"installing {lock} into {home.name}", flush=True)
    done = subprocess.run(command, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def created(home: Path) -> Path:
    """Make an empty environment, with its own pip where this Python can give it one."""
    venv.create(home, clear=True, symlinks=True, with_pip=False)
    # Not by `with_pip`: Debian ships ensurepip, and the pip that it installs, in packages that may be absent.
    ensure = [str(home / "bin" / "python"), "-I", "-m", "ensurepip", "--upgrade", "--default-pip"]
    subprocess.run(ensure, capture_output=True, check=False)
    return home


def pip_of(home: Path) -> list[str] | None:
    """Return the command of a pip that installs into the environment: its own, else the system's, or None."""
    python = str(home / "bin" / "python")
    for command in ([python, "-m", "pip"], [sys.executable, "-m", "pip", "--python", python]):
        try:
            if subprocess.run([*command, "--version"], capture_output=True, check=False).returncode == 0:
                return command
        except OSError:
            continue
    return None


def trust(pip: list[str]) -> list[str]:
    """Return the options that make any pip trust the system's authorities, for a proxy that signs itself.

    What the user has configured for pip stays as it is. From 24.2 on pip uses the system's store by
    itself; the older ones of Python 3.11 and 3.12 have only their own list.
    """
    if configured(pip):
        return []
    paths = ssl.get_default_verify_paths()
    candidates = (os.environ.get("SSL_CERT_FILE"), paths.cafile, *SYSTEM_BUNDLES)
    bundle = next((path for path in candidates if path and Path(path).is_file()), None)
    return ["--cert", bundle] if bundle else []


def configured(pip: list[str]) -> bool:
    """Tell whether a certificate bundle is set for pip, by its environment or one of its files."""
    if any(os.environ.get(name) for name in ("PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")):
        return True
    listed = subprocess.run([*pip, "config", "list"], capture_output=True, text=True, check=False).stdout
    section = configparser.ConfigParser(interpolation=None, strict=False, allow_no_value=True)
    section.read_string("[pip]\n" + listed.replace(":env:.", "env."))
    return any(key.rpartition(".")[2] == "cert" for key in section["pip"])


def write_program(home: Path) -> None:
    """Write the `stormo` command and put the checkout on the environment's path."""
    python = home / "bin" / "python"
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = subprocess.run([python, "-c", where], capture_output=True, text=True, check=True).stdout.strip()
    # Not a bare path: mypy would take our own packages for installed ones without types.
    (Path(site) / "stormo-checkout.pth").write_text(f"import sys; sys.path.append({str(CHECKOUT)!r})\n")
    program = home / "bin" / "stormo"
    # -P: a folder `core` or `web` in the current directory must not be taken for the program's own.
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(str(python))} -P -m stormo "$@"\n')
    program.chmod(0o755)


if __name__ == "__main__":
    main()
