"""``python -m bench`` runs every benchmark, ``python -m bench NAME ...`` one of them with its arguments.

``--save`` keeps the last line of each, with date, commit and machine, as ``bench/results/NAME.json``.
"""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

#: Each is a module here with a ``main``; each gets a process of its own, so that none warms another's memory.
BENCHES = ("scheduler", "writes", "relay")
RESULTS = Path(__file__).parent / "results"


def main(arguments: list[str]) -> int:
    """Exits with 0 even when a benchmark falls short of its bar, with 1 when one of them failed to run."""
    save = "--save" in arguments
    arguments = [one for one in arguments if one != "--save"]
    if arguments and arguments[0] not in BENCHES:
        print(f"no benchmark {arguments[0]!r}; there are: {', '.join(BENCHES)}", file=sys.stderr)
        return 2
    chosen, rest = (arguments[:1], arguments[1:]) if arguments else (list(BENCHES), [])
    failed = 0
    for name in chosen:
        print(f"== {name}", flush=True)
        failed += not _run(name, rest, save=save)
    return 1 if failed else 0


def _run(name: str, arguments: list[str], *, save: bool) -> bool:
    load, last = os.getloadavg()[0], ""
    command = [sys.executable, "-m", f"bench.{name}", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            last = line.strip() or last
    if process.returncode == 0 and save:
        said: dict[str, Any] = json.loads(last)
        # Where a program lies is this machine's business.
        given = [Path(one).name if os.sep in one else one for one in arguments]
        found = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "commit": _commit(), "arguments": given}
        found |= {"machine": machine() | {"load_before": round(load, 1)}} | said
        RESULTS.mkdir(exist_ok=True)
        text = json.dumps(found, indent=2, ensure_ascii=False)
        (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    return process.returncode == 0


def machine() -> dict[str, Any]:
    """What a figure depends on besides the code."""
    return {
        "cpu": _first_line("/proc/cpuinfo", "model name") or platform.machine(),
        "cores": os.cpu_count(),
        "memory_mb": int(_first_line("/proc/meminfo", "MemTotal").partition(" ")[0] or 0) // 1024,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }


def _first_line(file: str, name: str) -> str:
    """The value that such a file has under this name, empty where there is none."""
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def _commit() -> str:
    """What was measured; a plus sign says that files were changed since."""
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty=+", "--abbrev=10"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
