"""How many more sessions Discord lets us begin today, so that no run of faults uses them up.

A bot that identifies 1,000 times in a day has its token taken away.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from bots.discord.rest import Refused, Rest, Route
from core.errors import RetryLater

log = logging.getLogger(__name__)

_MILLISECONDS = 1000


async def patience(rest: Rest) -> float:
    """Seconds to wait before a session may begin: none while plenty are left, then ever longer.

    From half of the day's number on they are spread over the rest of it; the last tenth is never used.
    """
    try:
        answer = await rest.call(Route("GET", "/gateway/bot"))
        return _spread(answer["session_start_limit"])
    except (RetryLater, Refused) as unknown:
        log.info("discord: how many sessions are left is not known: %s", unknown)
    except (KeyError, TypeError, ValueError):
        log.info("discord: how many sessions are left is not said")
    return 0.0


def _spread(limit: Mapping[str, Any]) -> float:
    total, left = int(limit["total"]), int(limit["remaining"])
    seconds = int(limit["reset_after"]) / _MILLISECONDS
    if left > total // 2:
        return 0.0
    usable = left - total // 10
    wait = seconds / usable if usable > 0 else seconds
    log.warning("discord: %d of %d sessions are left for %.0f s; waiting %.0f s", left, total, seconds, wait)
    return wait


async def wait_for_turn(rest: Rest) -> None:
    """Returns when a session may begin."""
    await asyncio.sleep(await patience(rest))
