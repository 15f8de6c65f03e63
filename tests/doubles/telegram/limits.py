"""The sending limits of our double: platform defaults, each one a number a test can change."""

from __future__ import annotations

import math
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Limits:
    """What the double lets through before it answers 429. Rates count messages; edits only if `edits_count`.

    `enabled` switches all of it off. `private_burst` messages may come at once in a private chat, then
    `private_per_second`. `callback_seconds` is how long a button press may wait for its answer.
    """

    enabled: bool = True
    overall_per_second: int = 30
    group_per_minute: int = 20
    private_per_second: float = 1.0
    private_burst: int = 5
    edits_count: bool = False
    callback_seconds: float = 60.0
    now: Callable[[], float] = time.monotonic


@dataclass
class RateLimiter:
    """Counts accepted messages: windows for the bot and each group, a leaking bucket per private chat."""

    limits: Limits
    _overall: deque[float] = field(default_factory=deque)
    _groups: defaultdict[int, deque[float]] = field(default_factory=lambda: defaultdict(deque))
    _private: dict[int, float] = field(default_factory=dict)

    def admit(self, chat_id: int) -> int:
        """Counts one message to the chat and returns 0, or counts nothing and returns the seconds to wait."""
        if not self.limits.enabled:
            return 0
        now = self.limits.now()
        overall = _wait(self._overall, now, self.limits.overall_per_second, 1.0)
        wait = max(
            overall, self._group_wait(chat_id, now) if chat_id < 0 else self._private_wait(chat_id, now)
        )
        if wait > 0:
            return math.ceil(wait)
        self._overall.append(now)
        if chat_id < 0:
            self._groups[chat_id].append(now)
        else:
            self._private[chat_id] = (
                max(now, self._private.get(chat_id, now)) + 1 / self.limits.private_per_second
            )
        return 0

    def _group_wait(self, chat_id: int, now: float) -> float:
        return _wait(self._groups[chat_id], now, self.limits.group_per_minute, 60.0)

    def _private_wait(self, chat_id: int, now: float) -> float:
        allowance = (self.limits.private_burst - 1) / self.limits.private_per_second
        return self._private.get(chat_id, now) - allowance - now


def _wait(window: deque[float], now: float, capacity: int, seconds: float) -> float:
    while window and window[0] <= now - seconds:
        window.popleft()
    return window[len(window) - capacity] + seconds - now if len(window) >= capacity else 0.0
