"""Failures on order: what happens to the next matching requests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal[
    "rate_limit",  # 429 with retry_after, not stored
    "error_before",  # a 5xx, not stored
    "error_after",  # stored, then a 5xx
    "slow",  # stored, answered after `seconds`
    "silent_before",  # not stored, no answer until the client gives up
    "silent_after",  # stored, no answer
    "drop_before",  # connection cut, not stored
    "drop_after",  # stored, connection cut
]

BEFORE = frozenset({"rate_limit", "error_before", "silent_before", "drop_before"})


@dataclass
class Fault:
    """One order. `hits` counts how often it has struck."""

    kind: Kind
    method: str | None = None
    #: part of the route's template, say "/messages" or "/webhooks/"
    route: str = ""
    times: int = 1
    #: matching requests let through first
    after: int = 0
    seconds: float = 0.5
    status: int = 500
    everywhere: bool = False  # rate_limit: the global limit
    shared: bool = False  # rate_limit: a limit that others used up too
    hits: int = field(default=0, init=False)

    def strikes(self, method: str, route: str) -> bool:
        """Whether this request meets the fault; counts it when so."""
        if self.hits >= self.times or self.method not in (None, method) or self.route not in route:
            return False
        if self.after > 0:
            self.after -= 1
            return False
        self.hits += 1
        return True
