"""Faults that a test schedules: what goes wrong between our double and the bot, and when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FaultKind = Literal[
    "flood",
    "error_before",
    "error_after",
    "bad_gateway",
    "hang_before",
    "hang_after",
    "slow",
    "drop_before",
    "drop_after",
]

FAULTS_AFTER: frozenset[str] = frozenset({"error_after", "hang_after", "slow", "drop_after"})


@dataclass
class Fault:
    """One scheduled fault. `after` matching calls pass first, then `times` calls suffer it.

    `..._before` kinds, `flood` (429) and `bad_gateway` (502 with an HTML body) store nothing; `..._after`
    kinds and `slow` (the answer comes `seconds` late) have stored. `chat_id` None means every chat.
    """

    kind: FaultKind
    method: str | None
    chat_id: int | None = None
    times: int = 1
    after: int = 0
    retry_after: int = 1
    seconds: float = 1.0
    struck: int = 0

    def strikes(self, method: str, chat_id: int | None) -> bool:
        """Whether this call is hit; counts the call."""
        if self.method is None and method == "getUpdates":
            return False
        if (
            self.method not in (None, method)
            or self.chat_id not in (None, chat_id)
            or self.struck >= self.times
        ):
            return False
        if self.after > 0:
            self.after -= 1
            return False
        self.struck += 1
        return True
