"""When Python looks for garbage that only cycles hold."""

from __future__ import annotations

import gc
from typing import Final

#: New containers before the youngest are looked through: one batch of events makes fewer, and frees them by itself.
_YOUNG: Final = 20_000


def settle_garbage() -> None:
    """Once, when the program stands: what it is made of is looked through no more.

    A batch makes thousands of rows and records, none of them in a cycle. With Python's own thresholds the collector
    ran several times a batch, now and then through every module that is loaded: a third of the writer's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])
