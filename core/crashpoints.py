"""Named places between two steps, at which a test may end the process.

Nothing in the program sets ``watch``: only the launcher of ``tests/faults`` does, so that a place costs one look at a
global. Every name is in the matrix there.
"""

from __future__ import annotations

from collections.abc import Callable

#: Called with the name of each place that is passed, and with the platform where one is concerned.
watch: Callable[[str, str], None] | None = None


def passing(name: str, platform: str = "") -> None:
    """What came before is done, what comes after is not: both must be able to bear that it ends here."""
    if watch is not None:
        watch(name, platform)
