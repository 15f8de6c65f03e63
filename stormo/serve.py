"""``stormo run``: serves until it is asked to end."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable

from core.errors import Message, message
from stormo.app import Stormo
from stormo.config import PAGES, Config
from stormo.memory import settle_garbage

log = logging.getLogger(__name__)


async def serve(config: Config, ready: Callable[[str], None] = lambda _: None) -> bool:
    """Serves until SIGTERM or SIGINT, then lets what is under way end. ``ready`` gets the address to open.

    Returns whether that was all as wished.
    """
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    try:
        async with Stormo(config) as app:
            settle_garbage()
            ready(address(app))
            asked, failed = asyncio.create_task(ended.wait()), asyncio.create_task(app.ended.wait())
            await asyncio.wait({asked, failed}, return_when=asyncio.FIRST_COMPLETED)
            failed.cancel()
            asked.cancel()
            log.info("ending")
            return not app.ended.is_set()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def address(app: Stormo) -> str:
    """The page to open."""
    host, port = app.address
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/" + (
        "playground" if app.config.playground else ""
    )


def greeting(config: Config) -> Message:
    """What the terminal says first."""
    served = ", ".join(config.platforms) or ("playground" if config.playground else PAGES)
    return message("run.starting", name=config.coop.name, platforms=served)
