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
    """Sliding windows over the accepted messages: one for the bot, one for each chat."""

    limits: Limits
    _overall: deque[float] = field(default_factory=deque)
    _chats: defaultdict[int, deque[float]] = field(
        default_factory=lambda: defaultdict(deque)
    )

    def admit(self, chat_id: int) -> int:
        """Counts one message to the chat and returns 0, or returns the whole seconds to wait, counting nothing."""
        if not self.limits.enabled:
            return 0
        now = self.limits.now()
        chat, capacity, seconds = self._chats[chat_id], *self._chat_window(chat_id)
        wait = max(
            _wait(self._overall, now, self.limits.overall_per_second, 1.0),
            _wait(chat, now, capacity, seconds),
        )
        if wait > 0:
            return math.ceil(wait)
        self._overall.append(now)
        chat.append(now)
        return 0

    def _chat_window(self, chat_id: int) -> tuple[int, float]:
        if chat_id < 0:
            return self.limits.group_per_minute, 60.0
        return (
            self.limits.private_burst,
            self.limits.private_burst / self.limits.private_per_second,
        )


def _wait(window: deque[float], now: float, capacity: int, seconds: float) -> float:
    while window and window[0] <= now - seconds:
        window.popleft()
    return (
        window[len(window) - capacity] + seconds - now
        if len(window) >= capacity
        else 0.0
    )
