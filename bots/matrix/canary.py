"""A sync that is answered and brings nothing of what the homeserver has is noticed: the listening begins anew."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from bots.matrix.homeserver import Homeserver, Refused, part
from bots.matrix.room import words
from core.errors import Deaf

#: Rooms looked at each time; the next ones follow the next time.
_AT_A_TIME = 5
_REMEMBERED = 4096
#: Syncs that may pass before an event that ``/messages`` shows must have come.
_SYNCS = 2


class Canary:
    """Compares the newest event of some rooms, as ``/messages`` has it, with what the syncs brought."""

    def __init__(self, server: Homeserver, query: Mapping[str, str]) -> None:
        self._server = server
        self._query = query
        self._heard: OrderedDict[str, None] = OrderedDict()
        #: The newest event of each room at the last look: what stood there before is not missed.
        self._newest: dict[str, str] = {}
        self._missing: dict[str, int] = {}
        self._next = 0

    def hear(self, events: Iterable[Mapping[str, Any]]) -> None:
        """These events came by sync, or were read back."""
        for event in events:
            self._heard[words(event.get("event_id"))] = None
        while len(self._heard) > _REMEMBERED:
            self._heard.popitem(last=False)

    @property
    def suspicious(self) -> bool:
        """Whether an event is awaited that should have come already."""
        return bool(self._missing)

    def synced(self) -> None:
        """A sync was handled. Raises ``Deaf``."""
        for event, syncs in list(self._missing.items()):
            if event in self._heard:
                del self._missing[event]
            elif syncs >= _SYNCS:
                raise Deaf(f"the event {event} never came by sync")
            else:
                self._missing[event] = syncs + 1

    async def look(self, rooms: Sequence[str]) -> None:
        """Asks for the newest event of the next few rooms. Raises ``RetryLater``."""
        self._next = self._next + _AT_A_TIME if self._next + _AT_A_TIME < len(rooms) else 0
        for room in islice(rooms, self._next, self._next + _AT_A_TIME):
            newest = await self._newest_of(room)
            before, self._newest[room] = self._newest.get(room, newest), newest
            if newest not in (before, "") and newest not in self._heard:
                self._missing.setdefault(newest, 0)

    async def _newest_of(self, room: str) -> str:
        query = {**self._query, "dir": "b", "limit": "1"}
        try:
            page = await self._server.call("GET", f"/rooms/{part(room)}/messages", query=query)
        except Refused:
            return ""
        chunk = page.get("chunk")
        first = chunk[0] if isinstance(chunk, list) and chunk else None
        return words(first.get("event_id")) if isinstance(first, dict) else ""
