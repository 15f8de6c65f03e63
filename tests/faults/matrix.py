"""The matrix: every crash point, on every platform, in every act, and how a round gets there.

A round is one act of one person, the end of the program at one point, and a new start. The points' names are those of
the code (``core.crashpoints``); those of the writer are passed by every transaction, so the matrix has them twice and
says which transaction it means.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial

from tests.faults.flock import PLATFORMS

ACTS = ("post", "edit", "vote", "delete")

#: The way in. ``{o}``: the platform on which somebody acts. In the order of the steps.
INBOUND = {
    "update received": "inbound.received@{o}",
    "event converted": "inbound.received@{o}>inbound.converted@{o}",
    "handed to the gate": "inbound.received@{o}>inbound.handed",
    "queued": "inbound.received@{o}>inbound.queued",
    "transaction begun": "inbound.received@{o}>inbound.handed>writer.begun",
    "inbox claimed": "inbound.received@{o}>inbound.claimed",
    "use case done": "inbound.received@{o}>inbound.claimed>inbound.done",
    "settled": "inbound.received@{o}>inbound.claimed>writer.settled",
    "committed": "inbound.received@{o}>inbound.claimed>writer.committed",
    "courier woken": "inbound.received@{o}>inbound.claimed>outbound.woken",
    "batch answered": "inbound.received@{o}>inbound.claimed>writer.answered",
    "caller answered": "inbound.received@{o}>inbound.claimed>inbound.answered@{o}",
    "acknowledged": "inbound.received@{o}>inbound.claimed>inbound.acknowledged@{o}",
}
#: What each event passes, and not each batch of them.
PER_EVENT = ("handed to the gate", "queued", "inbox claimed", "use case done")
#: The way out. ``{x}``: the platform that is to show something; ``*{n}`` its n-th call.
OUTBOUND = {
    "place taken": "outbound.place_taken@{x}*{n}",
    "transaction of the try begun": "outbound.place_taken@{x}*{n}>writer.begun",
    "picked": "outbound.picked@{x}*{n}",
    "rendered": "outbound.rendered@{x}*{n}",
    "try written": "outbound.tried@{x}*{n}",
    "try settled": "outbound.tried@{x}*{n}>writer.settled",
    "try committed, nobody told": "outbound.tried@{x}*{n}>writer.committed",
    "try answered": "outbound.tried@{x}*{n}>writer.answered",
    "try committed": "outbound.try_committed@{x}*{n}",
    "about to call": "outbound.calling@{x}*{n}",
    "call arrived": "",
    "call stored": "",
    "answer received": "outbound.call_answered@{x}*{n}",
    "receipt queued": "outbound.receipt_queued@{x}*{n}",
    "transaction of the receipt begun": "outbound.call_answered@{x}*{n}>writer.begun",
    "copy written": "outbound.copied@{x}*{n}",
    "parked events applied": "outbound.unparked@{x}*{n}",
    "receipt settled": "outbound.receipt_queued@{x}*{n}>writer.settled",
    "receipt committed, nobody told": "outbound.receipt_queued@{x}*{n}>writer.committed",
    "receipt answered": "outbound.receipt_queued@{x}*{n}>writer.answered",
    "receipt committed": "outbound.receipt_committed@{x}*{n}",
    "next": "outbound.next@{x}*{n}",
}
#: How a send whose answer was lost is settled: from a start on, which finds its try.
LOST = {
    "about to look": "outbound.looking@{x}",
    "seen": "outbound.looked@{x}",
    "settled, not yet written": "outbound.looked@{x}>writer.settled",
    "written, nobody told": "outbound.looked@{x}>writer.committed",
    "settled": "outbound.settled@{x}",
}
#: Only a first send makes a copy.
FIRST_SENDS = ("copy written", "parked events applied")
#: At the platform's end of a call: the traps are the doubles' and the proxy's.
AT_THE_PEER = ("call arrived", "call stored")


class Way(StrEnum):
    """Whose steps are meant: an event's, as it comes or read back after an absence; a copy's."""

    IN = "in"
    BACK = "read back"
    OUT = "out"


@dataclass(frozen=True)
class Round:
    """``adapter``: where the point is; ``origin``: where the person acts; ``number``: which passage of the point.

    ``slash``: the post is an interaction of Discord's, which is told once and never again. ``gap``: the community has
    what is in doubt left out.
    """

    way: Way
    point: str
    adapter: str
    origin: str
    act: str
    number: int = 1
    slash: bool = False
    gap: bool = False

    @property
    def trigger(self) -> str:
        match self.way:
            case Way.IN:
                return INBOUND[self.point].format(o=self.origin)
            case Way.BACK:
                return f"{INBOUND[self.point].format(o=self.origin)}*{self.number}"
            case Way.OUT:
                there = OUTBOUND[self.point].format(x=self.adapter, n=self.number)
                return f"inbound.received@{self.origin}>{there}"

    def __str__(self) -> str:
        how = f"{self.way}{', slash' * self.slash}{', gap' * self.gap}"
        return f"{self.point} ({how}, {self.adapter}), {self.act} on {self.origin}, number {self.number}"


def whole() -> list[Round]:
    """Every round of the matrix, always the same, in an order that mixes points and acts."""
    rounds = [*_inbound(), *_read_back(), *_interactions(), *_outbound()]
    _generator("order").shuffle(rounds)
    return rounds


def sample(count: int, salt: str) -> list[Round]:
    return _generator(salt).sample(whole(), count)


def _generator(salt: str) -> random.Random:
    return random.Random(hashlib.sha256(salt.encode()).digest())


def _inbound() -> Iterator[Round]:
    for point in INBOUND:
        for origin in PLATFORMS:
            if _exists(point, origin):
                yield from (Round(Way.IN, point, origin, origin, act) for act in ACTS)


def _exists(point: str, origin: str) -> bool:
    """Discord knows no acknowledgement."""
    return (point, origin) != ("acknowledged", "discord")


def _read_back() -> Iterator[Round]:
    """Somebody acts while the program is away, and it ends again while it reads that back.

    A start has events of its own, of rooms and of what stood there already: the number says at which of them it ends.
    """
    turn = 0
    for point in INBOUND:
        for origin in filter(partial(_exists, point), PLATFORMS):
            turn += 1
            number = 1 + turn % 4 if origin != "telegram" and point in PER_EVENT else 1
            yield Round(Way.BACK, point, origin, origin, ACTS[turn % len(ACTS)], number)


def _interactions() -> Iterator[Round]:
    for point in filter(partial(_exists, origin="discord"), INBOUND):
        yield Round(Way.IN, point, "discord", "discord", "post", slash=True)


def in_authors_names() -> list[Round]:
    """The way to a room where a webhook speaks, which knows no key."""
    there = [one for one in _outbound() if one.adapter == "discord"]
    return [one for one in there if one.origin == "discord" or one.act in ("edit", "delete")]


def gaps() -> list[Round]:
    """A post's way to Telegram, which has no key, where a community wants rather a gap than a copy twice."""
    chosen = [r for r in _outbound() if r.adapter == "telegram" and r.act == "post" and r.origin != r.adapter]
    return [replace(one, gap=True) for one in chosen]


def _outbound() -> Iterator[Round]:
    """Each platform as the place of the copy, with its own people's posts as with others'."""
    turn = 0
    for point in OUTBOUND:
        for adapter in PLATFORMS:
            others = [platform for platform in PLATFORMS if platform != adapter]
            yield Round(Way.OUT, point, adapter, adapter, "post")
            for act in ACTS:
                if act != "post" and point in FIRST_SENDS:
                    continue
                turn += 1
                # Two rooms of another platform show it: the second call is as good a place as the first.
                number = 1 if act == "vote" else 1 + turn % 2
                yield Round(Way.OUT, point, adapter, others[turn // 2 % 2], act, number)


__all__ = [
    "AT_THE_PEER",
    "INBOUND",
    "OUTBOUND",
    "Round",
    "Way",
    "gaps",
    "in_authors_names",
    "sample",
    "whole",
]
