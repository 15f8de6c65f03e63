"""``python -m bench`` runs every benchmark, ``python -m bench NAME ...`` one of them with its arguments."""

from __future__ import annotations

import subprocess
import sys

#: Each is a module here with a ``main``; each gets a process of its own, so that none warms another's memory.
BENCHES = ("writes", "relay")


def main(arguments: list[str]) -> int:
    """Exits with 0 even when a benchmark falls short of its bar, with 1 when one of them failed to run."""
    if arguments and arguments[0] not in BENCHES:
        print(f"no benchmark {arguments[0]!r}; there are: {', '.join(BENCHES)}", file=sys.stderr)
        return 2
    chosen, rest = (arguments[:1], arguments[1:]) if arguments else (list(BENCHES), [])
    failed = 0
    for name in chosen:
        print(f"== {name}", flush=True)
        failed += subprocess.run([sys.executable, "-m", f"bench.{name}", *rest], check=False).returncode != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
