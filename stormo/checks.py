"""``stormo check``: is everything there that a start needs, and what to do where it is not."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy.exc import SQLAlchemyError

from core.errors import BadToken, ConfigError, Message, StormoError, message
from core.ports import Adapter, Finding
from storage import migrate
from stormo import lock
from stormo.clock import SystemClock
from stormo.config import Config
from stormo.logs import Redacting
from stormo.platforms import PLATFORMS, build
from stormo.site import listening
from stormo.words import Catalogue

_SECONDS = 30.0


async def findings(config: Config) -> list[Finding]:
    """One a line; changes nothing, neither here nor there."""
    found = [_config(config), *_places(config), *await asyncio.to_thread(_database, config), _port(config)]
    catalogue, clock = Catalogue(), SystemClock()
    for entry in PLATFORMS:
        if entry.name in config.platforms:
            adapter = build(entry, config.platforms[entry.name], catalogue, clock)
            found += await _platform(adapter)
    if config.playground:
        from bots.playground.looks import LOOKS

        labels = ", ".join(look.capabilities.label for look in LOOKS)
        found.append(Finding(ok=True, message=message("check.playground", platform=labels)))
    return found


def _config(config: Config) -> Finding:
    return Finding(
        ok=True,
        message=message("check.config", file=str(config.file))
        if config.file
        else message("check.config_defaults"),
    )


def _places(config: Config) -> list[Finding]:
    folder = config.data
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK | os.X_OK):
        return [Finding(ok=False, message=message("check.data_unwritable", folder=str(folder)))]
    return [Finding(ok=True, message=message("check.data", folder=str(config.data)))]


def _database(config: Config) -> list[Finding]:
    try:
        version = migrate.version(config.database_url)
        writable = version is None or migrate.writable(config.database_url)
    except StormoError as error:
        return [Finding(ok=False, message=_told(error))]
    except (SQLAlchemyError, OSError) as error:
        reason = (
            Redacting(config.secrets).redact(str(getattr(error, "orig", None) or error)).split("\n", 1)[0]
        )
        return [Finding(ok=False, message=message("check.database_closed", reason=reason))]
    if not writable:
        return [Finding(ok=False, message=message("check.database_unwritable"))]
    if version is None:
        return [Finding(ok=True, message=message("check.database_new"))]
    if version != migrate.newest():
        return [
            Finding(
                ok=True, message=message("check.database_older", version=version, newest=migrate.newest())
            )
        ]
    return [Finding(ok=True, message=message("check.database", version=version))]


def _port(config: Config) -> Finding:
    if (owner := lock.owner(config.data)) is not None:
        # The port is that process's, as it should be.
        return Finding(ok=True, message=message("check.running", process=owner))
    try:
        with listening(config.web):
            where = message("check.port", host=config.web.host, port=str(config.web.port))
            return Finding(ok=True, message=where)
    except StormoError as error:
        return Finding(ok=False, message=_told(error))


async def _platform(adapter: Adapter) -> Sequence[Finding]:
    label = adapter.capabilities.label
    try:
        async with asyncio.timeout(_SECONDS):
            found = list(await adapter.check())
    except (BadToken, ConfigError) as error:
        faults = error.faults if isinstance(error, ConfigError) else (error.message,)
        found = [Finding(ok=False, message=fault) for fault in faults]
    except Exception as error:  # noqa: BLE001
        reason = str(error) or type(error).__name__
        found = [Finding(ok=False, message=message("check.unreachable", platform=label, reason=reason))]
    finally:
        if (close := getattr(adapter, "close", None)) is not None:
            with suppress(Exception):
                await close()
    return [Finding(ok=f.ok, message=message("check.of", platform=label, finding=f.message)) for f in found]


def _told(error: StormoError) -> Message:
    told = getattr(error, "message", None)
    return told if isinstance(told, Message) else message("check.fault", reason=str(error))
