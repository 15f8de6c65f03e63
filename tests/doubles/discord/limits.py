"""Rate limits: windows per bucket, told in headers, refused with 429 and counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Rate:
    """`count` requests in each window of `seconds`; the window begins with its first request."""

    count: int
    seconds: float


@dataclass
class Limits:
    """Every number that a test may turn. Marked (u): undocumented by the platform, observed by others."""

    enabled: bool = True
    #: What a reverse proxy adds; without it discord.py takes a 429 for a ban and raises at once.
    via_header: bool = True
    everything: Rate = Rate(50, 1.0)
    messages: tuple[Rate, ...] = (Rate(5, 5.0),)  # (u) creations per channel
    edits: tuple[Rate, ...] = (Rate(5, 5.0),)  # (u)
    deletes: tuple[Rate, ...] = (Rate(5, 1.0),)  # (u)
    reactions: tuple[Rate, ...] = (Rate(1, 0.25),)  # (u)
    webhooks: tuple[Rate, ...] = (Rate(5, 2.0), Rate(30, 60.0))  # (u) per channel
    others: tuple[Rate, ...] = (Rate(50, 1.0),)
    #: How long a nonce guards against a second message.
    nonce_seconds: float = 300.0
    #: How long the bot may take for the first answer to an interaction, and how long its token lives.
    answer_seconds: float = 3.0
    token_seconds: float = 900.0
    heartbeat_seconds: float = 41.25
    #: After how many times so long without a heartbeat a connection is closed.
    heartbeats_missed: float = 1.5
    session_seconds: float = 180.0
    gateway_sends_per_minute: int = 120
    guilds_per_shard: int = 2500
    #: What is advised to a bot: how many shards, and of how many turns each may begin a session in so many seconds (on
    #: the platform five). 0: whenever it likes, as most tests begin again within seconds.
    shards: int = 1
    max_concurrency: int = 1
    identify_seconds: float = 0.0
    command_creates_per_day: int = 200
    file_bytes: int = 10 * 1024 * 1024
    request_bytes: int = 25 * 1024 * 1024


@dataclass(frozen=True)
class Verdict:
    """What the headers say after a request; `allowed` False is a 429."""

    allowed: bool
    limit: int
    remaining: int
    reset_after: float


def busiest(times: Sequence[float], seconds: float = 1.0) -> int:
    """The most of these ascending times that lie within any window of so many seconds, its end excluded."""
    first = most = 0
    for number, time in enumerate(times):
        while times[first] <= time - seconds:
            first += 1
        most = max(most, number - first + 1)
    return most


@dataclass
class _Window:
    rate: Rate
    began: float = float("-inf")
    used: int = 0

    def refresh(self, now: float) -> None:
        if now >= self.began + self.rate.seconds:
            self.began, self.used = now, 0

    @property
    def remaining(self) -> int:
        return self.rate.count - self.used

    def reset_after(self, now: float) -> float:
        return max(0.0, self.began + self.rate.seconds - now)


@dataclass
class Buckets:
    """Counts requests by bucket. Times are the loop's seconds."""

    _windows: dict[str, list[_Window]] = field(default_factory=dict)

    def take(self, key: str, rates: tuple[Rate, ...], now: float) -> Verdict:
        """Counts one request, or refuses it without counting."""
        windows = self._windows.get(key)
        if windows is None or tuple(each.rate for each in windows) != rates:
            windows = self._windows[key] = [_Window(rate) for rate in rates]
        for window in windows:
            window.refresh(now)
        allowed = all(window.remaining > 0 for window in windows)
        if allowed:
            for window in windows:
                window.used += 1
        # The header shows one window: the fullest, and among full ones the one that lasts longest.
        tightest = min(windows, key=lambda window: (window.remaining, -window.reset_after(now)))
        return Verdict(allowed, tightest.rate.count, tightest.remaining, tightest.reset_after(now))
