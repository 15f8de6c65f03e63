"""The pictures of people's accounts, which stand beside their names where their words come in these."""

from __future__ import annotations

import logging
from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Final

from bots.discord.rest import Refused, Rest, Route
from core.errors import RetryLater
from core.ports import Clock
from core.types import AccountRef

log = logging.getLogger(__name__)

_PICTURE: Final = "{}/avatars/{}/{}.png?size=128"
_KEPT: Final = 1024
#: Whoever has a new one is seen with it after so long.
_FRESH: Final = timedelta(hours=1)


class Portraits:
    """Belongs to one event loop. ``cdn_url``: Discord's own server of files, from which it takes them itself."""

    def __init__(self, rest: Rest, cdn_url: str, clock: Clock) -> None:
        self._rest = rest
        self._cdn = cdn_url.rstrip("/")
        self._clock = clock
        self._known: OrderedDict[str, tuple[str, datetime]] = OrderedDict()

    async def of(self, account: AccountRef | None) -> str:
        """The address of its picture; empty where there is none or Discord does not say: no words wait for it."""
        if account is None:
            return ""
        now = self._clock.now()
        address, until = self._known.get(account.key, ("", now))
        if until > now:
            return address
        try:
            answer = await self._rest.call(Route("GET", "/users/{}", (account.key,)))
        except (Refused, RetryLater) as error:
            log.info("discord: a picture is not known: %s", error)
            return address
        picture = answer.get("avatar") if isinstance(answer, dict) else None
        address = _PICTURE.format(self._cdn, account.key, picture) if picture else ""
        self._known[account.key] = address, now + _FRESH
        self._known.move_to_end(account.key)
        if len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return address
