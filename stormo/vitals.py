"""Whether all is well, for a supervisor and for a load balancer: ``/healthz`` and ``/readyz``.

No reasons here: they may name what only the operator should read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from aiohttp import web

from core.types import Platform
from stormo.health import Doing, Health
from stormo.instance import Instance

#: How long the database may take to answer.
_SECONDS: Final = 2.0
_READY: Final = frozenset({Doing.RUNNING, Doing.STANDBY})
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def healthz(instance: Instance, health: Mapping[Platform, Health]) -> Handler:
    """200 while this process lives and its database takes changes; a platform that fails is no reason to restart."""

    async def answer(_: web.Request) -> web.Response:
        fault = await _database(instance)
        body = {"status": fault or "ok", "platforms": {name: one.doing for name, one in health.items()}}
        return web.json_response(body, status=503 if fault else 200)

    return answer


def readyz(instance: Instance, health: Mapping[Platform, Health]) -> Handler:
    """200 while, besides, every platform has proved lately that it speaks with us, or is another process's to serve.

    Who stands by is as ready as can be: it serves pages, and takes over by itself.
    """

    async def answer(_: web.Request) -> web.Response:
        fault = await _database(instance)
        if fault is None and any(one.doing not in _READY for one in health.values()):
            fault = "not every platform answers"
        body = {"status": fault or "ready", "platforms": {name: _told(one) for name, one in health.items()}}
        return web.json_response(body, status=503 if fault else 200)

    return answer


def _told(health: Health) -> Mapping[str, Any]:
    return {
        "doing": health.doing,
        "alive_seconds_ago": _rounded(health.alive_age),
        "event_seconds_ago": _rounded(health.event_age),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


async def _database(instance: Instance) -> str | None:
    """What is wrong with the database, if it takes no change."""
    try:
        async with asyncio.timeout(_SECONDS):
            await instance.writer.submit(lambda unit: unit.intake.set_meta("pulse", unit.now.isoformat()))
    except Exception as error:  # noqa: BLE001
        return f"no database: {type(error).__name__}"
    return None
