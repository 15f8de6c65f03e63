"""The matrix: every crash point, on every platform, in every act, and how a round gets there.

A round is one act of one person, the end of the program at one point, and a new start. The points' names are those of
the code (``core.crashpoints``); those of the writer are passed by every transaction, so the matrix has them twice and
says which transaction it means.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable, Iterator
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
#: A file's way in, of a post that brings one (on Discord three). ``{n}``: of its n-th.
FILES = {
    "due": "media.due@{o}*{n}",
    "part opened": "media.opened@{o}*{n}",
    "address known": "media.located@{o}*{n}",
    "some of it here": "media.opened@{o}*{n}>media.portion*2",
    "all of it here": "media.fetched@{o}*{n}",
    "metadata taken out": "media.fetched@{o}*{n}>media.stripped",
    "on the disk": "media.fetched@{o}*{n}>media.synced",
    "about to be named": "media.fetched@{o}*{n}>media.naming",
    "named": "media.fetched@{o}*{n}>media.named",
    "named by an earlier run": "media.fetched@{o}*{n}>media.known",
    "smaller one made": "media.fetched@{o}>media.made_smaller",
    "smaller one named": "media.made_smaller>media.named",
    "in the store": "media.recording@{o}*{n}",
    "transaction of the file begun": "media.recording@{o}*{n}>writer.begun",
    "noted": "media.noted@{o}*{n}",
    "enclosed": "media.enclosed@{o}*{n}",
    "copies released": "media.released@{o}*{n}",
    "file settled": "media.released@{o}*{n}>writer.settled",
    "file committed, nobody told": "media.released@{o}*{n}>writer.committed",
    "file answered": "media.released@{o}*{n}>writer.answered",
    "recorded": "media.recorded@{o}*{n}",
}
#: Its way out beside its message's own.
PLACES = {"about to be placed": "media.placing@{x}*{n}", "placed": "media.placed@{x}*{n}"}
#: How a file goes that nothing shows any more: from a start on.
SWEEP = {
    "rows forgotten": "media.forgotten",
    "set aside": "media.aside",
    "dropped": "media.dropped",
}
#: What several messages of one thing take besides: ``{n}`` is the n-th message.
PARTS = {
    "changed": "parts.edited@{x}*{n}",
    "taken away": "parts.withdrawn@{x}*{n}",
    "more to come": "parts.more@{x}*{n}",
    "more to come, nobody told": "parts.more@{x}*{n}>writer.committed",
    "whole": "parts.whole@{x}*{n}",
    "nothing differs": "parts.none_left@{x}*{n}",
    "another given up": "parts.given_up@{x}*{n}",
    "all given up": "parts.given_up@{x}>parts.forgotten",
    "removed": "parts.given_up@{x}>parts.removed",
}
#: How a process comes to speak with a token where there are leases, how it goes on and how it ends.
TAKING = {
    "number claimed": "lease.numbered",
    "found free": "lease.free@{x}",
    "lease written": "lease.taken@{x}",
    "lease committed, nobody told": "lease.taken@{x}>writer.committed",
    "lease answered": "lease.answered@{x}",
    "lease held": "lease.held@{x}",
    "tries gone through": "lease.recovered@{x}",
    "tries committed, nobody told": "lease.recovered@{x}>writer.committed",
    "tries settled": "lease.settled@{x}",
    "served": "lease.served@{x}",
}
KEEPING = {
    "ids noted": "lease.ids_noted",
    "about to renew": "lease.renewing@{x}",
    "renewal written": "lease.renewed@{x}",
    "renewal committed, nobody told": "lease.renewed@{x}>writer.committed",
    "renewed": "lease.kept@{x}",
}
LOSING = {
    "lost": "lease.lost@{x}",
    "calls given up": "lease.left@{x}",
    "no more held": "lease.dropped@{x}",
    "file let go": "lease.let_go@{x}",
}
ENDING = {
    "about to give back": "lease.releasing@{x}",
    "given back": "lease.given_back@{x}",
    "given back, nobody told": "lease.given_back@{x}>writer.committed",
    "gave up at the end": "lease.releasing@{x}>lease.dropped@{x}",
    "let go at the end": "lease.releasing@{x}>lease.let_go@{x}",
    "number given back": "lease.number_back",
}
#: What one process alone passes too.
ALONE = (
    "number claimed",
    "tries gone through",
    "tries committed, nobody told",
    "tries settled",
    "served",
    "ids noted",
    "number given back",
)
#: Only a first send makes a copy.
FIRST_SENDS = ("copy written", "parked events applied")
#: At the platform's end of a call: the traps are the doubles' and the proxy's.
AT_THE_PEER = ("call arrived", "call stored")


class Way(StrEnum):
    """Whose steps are meant: an event's, as it comes or read back after an absence; a copy's."""

    IN = "in"
    BACK = "read back"
    OUT = "out"
    FILE = "file"
    PLACE = "file out"
    PARTS = "parts"


@dataclass(frozen=True)
class Round:
    """``adapter``: where the point is; ``origin``: where the person acts; ``number``: which passage of the point.

    ``slash``: the post is an interaction of Discord's, which is told once and never again. ``gap``: the community has
    what is in doubt left out. Beside ``ACTS`` there are ``picture``, ``old picture`` and ``large picture``; of what
    takes several messages ``long``, ``grow``, ``shrink``, ``cut`` (a deletion) and ``moderate``; and ``narrow``, after
    which every copy looks as before.
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
            case Way.FILE:
                there = FILES[self.point].format(o=self.origin, n=self.number)
            case _:
                there = (OUTBOUND | PLACES | PARTS)[self.point].format(x=self.adapter, n=self.number)
        # What a moderator does is told where it is done.
        told = self.adapter if self.act == "moderate" else self.origin
        return f"inbound.received@{told}>{there}"

    def __str__(self) -> str:
        how = f"{self.way}{', slash' * self.slash}{', gap' * self.gap}"
        return f"{self.point} ({how}, {self.adapter}), {self.act} on {self.origin}, number {self.number}"


def whole() -> list[Round]:
    """Every round of the matrix, always the same, in an order that mixes points and acts."""
    rounds = [*_inbound(), *_read_back(), *_interactions(), *_outbound()]
    _generator("order").shuffle(rounds)
    return rounds


def sample(count: int, salt: str, rounds: Callable[[], Iterable[Round]] = whole) -> list[Round]:
    return _generator(salt).sample([*rounds()], count)


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


def files_in() -> Iterator[Round]:
    """Files on their way into our store."""
    for turn, point in enumerate(FILES):
        if "smaller" in point:
            yield Round(Way.FILE, point, "telegram", "telegram", "large picture")
            continue
        for origin in PLATFORMS:
            if point != "address known" or origin != "matrix":
                # Discord's post has three.
                number = 1 + turn % 3 if origin == "discord" and "{n}" in FILES[point] else 1
                if (point, origin) == ("address known", "discord"):
                    # A link that ended is asked for once more.
                    yield Round(Way.FILE, point, origin, origin, "old picture")
                else:
                    yield Round(Way.FILE, point, origin, origin, "picture", number)


def files_out() -> Iterator[Round]:
    """Files on their way to a place. From Discord, where a post may have several: elsewhere each is a message."""
    points = (*PLACES, "try committed", "call arrived", "call stored", "answer received", "receipt committed")
    for turn, point in enumerate(points):
        for adapter in PLATFORMS:
            if point == "placed" and adapter != "matrix":
                continue
            if adapter == "discord":
                yield Round(Way.PLACE, point, adapter, "telegram", "picture", 1 + turn % 2)
            else:
                # Three files and two rooms; Matrix takes each file once.
                yield Round(Way.PLACE, point, adapter, "discord", "picture", 1 + turn % 3)


def parts() -> list[Round]:
    """Chiara's words take three messages on Telegram and Discord, and two in the other room of Matrix.

    In the order in which one post can grow and shrink, be deleted, and be followed by another.
    """
    acts = ("long", "shrink", "grow", "cut")
    return sorted(
        [*_in_parts(), *_moderated(), *_narrowed()],
        key=lambda one: (*acts, "moderate", "narrow").index(one.act),
    )


def _in_parts() -> Iterator[Round]:
    turn = 0
    for point in ("try committed", "about to call", "call arrived", "call stored", "answer received", "next"):
        for adapter in PLATFORMS:
            for act in ("long", "shrink", "grow", "cut")[turn % 2 :: 2]:
                yield _part(point, adapter, act, 2 + turn % 5)
            turn += 1
    ways = {
        "long": ("more to come", "more to come, nobody told", "whole"),
        "grow": ("changed", "more to come", "whole"),
        "shrink": ("changed", "taken away", "whole"),
        "cut": ("taken away", "more to come, nobody told", "whole"),
    }
    for act, points in ways.items():
        for point in points:
            for adapter in PLATFORMS:
                turn += 1
                yield _part(point, adapter, act, 1 + turn % 2)


def _part(point: str, adapter: str, act: str, number: int) -> Round:
    """In Matrix's one room two messages are all there are."""
    most = 2 if point in OUTBOUND else 1
    return Round(
        Way.PARTS, point, adapter, "matrix", act, min(number, most) if adapter == "matrix" else number
    )


def _moderated() -> Iterator[Round]:
    """Who takes one part away gets rid of all. Telegram tells nobody."""
    for point in ("another given up", "all given up", "removed"):
        yield Round(Way.PARTS, point, "discord", "matrix", "moderate", 2 if "another" in point else 1)
        yield Round(Way.PARTS, point, "matrix", "matrix", "moderate")


def _narrowed() -> Iterator[Round]:
    for adapter in PLATFORMS:
        yield Round(Way.PARTS, "nothing differs", adapter, "matrix", "narrow")


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
    "ALONE",
    "AT_THE_PEER",
    "ENDING",
    "FILES",
    "INBOUND",
    "KEEPING",
    "LOSING",
    "LOST",
    "OUTBOUND",
    "PARTS",
    "PLACES",
    "SWEEP",
    "TAKING",
    "Round",
    "Way",
    "files_in",
    "files_out",
    "gaps",
    "in_authors_names",
    "parts",
    "sample",
    "whole",
]
