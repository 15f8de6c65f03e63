"""The scheduler of one bot token alone, on a simulated clock, against the most that any scheduler could deliver.

10,000 chats with a power-law backlog, 1,000,000 deliveries, answers that take no time. Every send is judged by a
referee that shares no code with the scheduler, and how many are done by 10, 50, 90 and 99 % of the shortest possible
run is compared with an upper bound that no order of sends can pass.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import statistics
import sys
import time
import tracemalloc
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from core.intents import Window
from core.scheduler import FAIR, NEVER, Class, Scheduler
from core.types import ChatId

MARKS = (0.1, 0.5, 0.9, 0.99)
BAR = {"share_of_maximum": 0.999, "rejected": 0, "cpu_us": 25.0, "bytes_a_chat": 3072.0}
#: For the memory: so many sends fill the windows of every chat.
_FILL = 25


@dataclass(frozen=True)
class Bot:
    """A platform's windows, as pairs of a count and seconds, and how steep the backlog falls from chat to chat."""

    token: tuple[tuple[int, float], ...]
    chat: tuple[tuple[int, float], ...]
    exponent: float = 1.0

    def scheduler(self, *, fair: int = FAIR) -> Scheduler:
        token, chat = (
            tuple(Window(count, timedelta(seconds=seconds)) for count, seconds in pairs)
            for pairs in (self.token, self.chat)
        )
        return Scheduler(token, chat, fair=fair)


BOTS = {
    # The token is the narrow place at first, a few chats alone near the end.
    "discord": Bot(((50, 1.0),), ((5, 5.0),), exponent=0.8),
    # One chat alone takes longer than the token for all.
    "telegram": Bot(((30, 1.0),), ((1, 1.0), (20, 60.0))),
    "discord, steep": Bot(((50, 1.0),), ((5, 5.0),)),
    "telegram, even": Bot(((30, 1.0),), ((1, 1.0), (20, 60.0)), exponent=0.6),
}
#: Those that are run where nobody chooses.
USUAL = ("discord", "telegram")


def backlog(chats: int, deliveries: int, exponent: float) -> list[int]:
    """How many each chat has to get, in no order."""
    weights = [(rank + 1) ** -exponent for rank in range(chats)]
    scale = deliveries / sum(weights)
    found = [int(weight * scale) for weight in weights]
    for rank in range(deliveries - sum(found)):
        found[rank % chats] += 1
    random.Random(1).shuffle(found)
    return found


# -- what is possible ----------------------------------------------------------------------------------------------


def earliest(windows: Sequence[tuple[int, float]], number: int) -> list[float]:
    """The earliest time of each send of somebody alone: each as soon as every window lets it."""
    times: list[float] = []
    for k in range(number):
        freed = (times[k - count] + seconds for count, seconds in windows if k >= count)
        times.append(max(freed, default=0.0))
        if k and times[k] < times[k - 1]:
            times[k] = times[k - 1]
    return times


class Maximum:
    """No schedule delivers more by a time than this, and none ends before ``end``.

    A minimal cut: before any moment each chat gets at most what it could get alone, and from that moment on the token
    sends at most what it could send alone. The least of that over all moments bounds every schedule.
    """

    def __init__(self, bot: Bot, backlogs: Sequence[int]) -> None:
        self._total = sum(backlogs)
        self._chat = earliest(bot.chat, max(backlogs))
        self._token = earliest(bot.token, self._total)
        # How many are delivered when every chat got k, or all it has.
        ordered, at_most = sorted(backlogs), [0]
        for k in range(1, len(self._chat) + 1):
            at_most.append(at_most[-1] + len(ordered) - bisect_left(ordered, k))
        self._at_most = at_most

    @property
    def end(self) -> float:
        rest = (
            begins + self._token[self._total - done - 1]
            for begins, done in zip(self._chat, self._at_most, strict=False)
        )
        return max(*rest, self._chat[-1])

    def by(self, at: float) -> int:
        alone = bisect_right(self._chat, at)
        cuts = (self._at_most[k] + bisect_right(self._token, at - self._chat[k]) for k in range(alone))
        return min(*cuts, self._at_most[alone])


# -- the run -------------------------------------------------------------------------------------------------------


def run(scheduler: Scheduler, backlogs: Sequence[int]) -> tuple[list[float], list[int], float]:
    """Times and chats of all sends, and the seconds of CPU that they took."""
    left = list(backlogs)
    times, chats = [0.0] * sum(left), [0] * sum(left)
    done, now = 0, 0.0
    began = time.process_time()
    for number, more in enumerate(left):
        scheduler.wake(ChatId(number), now, more=more)
    while True:
        chat = scheduler.choose(now)
        if chat is None:
            now = scheduler.next_at(now)
            if now == NEVER:
                break
            continue
        scheduler.begin(chat, now, Class.BULK)
        times[done], chats[done] = now, chat
        done += 1
        left[chat] -= 1
        scheduler.end(chat, now)
        scheduler.free(chat, now, now if left[chat] else NEVER)
    return times[:done], chats[:done], time.process_time() - began


def rejected(times: Sequence[float], windows: Sequence[tuple[int, float]]) -> int:
    """The referee: how many sends were one too many in the period that ends with them. ``times`` ascend."""
    found = 0
    for count, seconds in windows:
        first = 0
        for last, at in enumerate(times):
            while at - times[first] >= seconds:
                first += 1
            found += last - first + 1 > count
    return found


def judged(bot: Bot, times: Sequence[float], chats: Sequence[int], number: int) -> int:
    of_chat: list[list[float]] = [[] for _ in range(number)]
    for at, chat in zip(times, chats, strict=True):
        of_chat[chat].append(at)
    return rejected(times, bot.token) + sum(rejected(one, bot.chat) for one in of_chat)


def memory(bot: Bot, chats: int) -> float:
    """Bytes a chat at the most, with every window full: by what Python allocates while a run goes on."""
    left = [_FILL] * chats
    gc.collect()
    tracemalloc.start()
    try:
        scheduler, now = bot.scheduler(), 0.0
        for number, more in enumerate(left):
            scheduler.wake(ChatId(number), now, more=more)
        while now != NEVER:
            while (chat := scheduler.choose(now)) is not None:
                left[chat] -= 1
                scheduler.begin(chat, now, Class.BULK)
                scheduler.end(chat, now)
                scheduler.free(chat, now, now if left[chat] else NEVER)
            now = scheduler.next_at(now)
        assert not any(left)
        return tracemalloc.get_traced_memory()[1] / chats
    finally:
        tracemalloc.stop()


def measure(options: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    for name in options.bots or USUAL:
        bot = BOTS[name]
        backlogs = backlog(options.chats, options.deliveries, bot.exponent)
        maximum = Maximum(bot, backlogs)
        marks = {f"{share:.0%}": share * maximum.end for share in MARKS}
        runs = [run(bot.scheduler(), backlogs) for _ in range(options.rounds)]
        cpu = [seconds / len(sent) * 1e6 for sent, _, seconds in runs]
        times, chats, _ = runs[-1]
        possible = {mark: maximum.by(at) for mark, at in marks.items()}
        done = {mark: bisect_right(times, at) for mark, at in marks.items()}
        first_come, _, _ = run(bot.scheduler(fair=1), backlogs)
        yield (
            name,
            {
                "deliveries": len(times),
                "shortest_s": maximum.end,
                "took_s": times[-1],
                "done": done,
                "possible": possible,
                "share": {mark: round(done[mark] / possible[mark], 6) for mark in marks},
                "share_first_come": {
                    mark: round(bisect_right(first_come, at) / possible[mark], 4)
                    for mark, at in marks.items()
                },
                "rejected": judged(bot, times, chats, options.chats),
                "cpu_us": round(statistics.median(cpu), 2),
                "bytes_a_chat": round(memory(bot, options.chats), 1),
            },
        )


def missed(figures: dict[str, Any], options: argparse.Namespace) -> list[str]:
    rows: dict[str, bool] = {}
    for name, found in figures.items():
        rows |= {
            f"{name}: deliveries": found["deliveries"] == options.deliveries,
            f"{name}: share of the maximum": min(found["share"].values()) >= BAR["share_of_maximum"],
            f"{name}: referee": found["rejected"] <= BAR["rejected"],
            f"{name}: CPU": found["cpu_us"] <= BAR["cpu_us"],
            f"{name}: memory": found["bytes_a_chat"] <= BAR["bytes_a_chat"],
        }
    return [row for row, reached in rows.items() if not reached]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench scheduler")
    parser.add_argument("--chats", type=int, default=10_000)
    parser.add_argument("--deliveries", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3, help="runs for the median of the CPU time")
    parser.add_argument("--bot", choices=BOTS, action="append", dest="bots", help="instead of the usual two")
    options = parser.parse_args(arguments)
    figures = {}
    for name, found in measure(options):
        figures[name] = found
        print(f"{name}: shortest possible run {found['shortest_s']:.0f} s, took {found['took_s']:.0f} s")
        for mark, share in found["share"].items():
            done, possible = found["done"][mark], found["possible"][mark]
            first = found["share_first_come"][mark]
            print(f"  at {mark:>3} {done:>9,} of {possible:>9,} = {share:.6f}   (first come {first:.4f})")
        print(
            f"  {found['rejected']} rejected, {found['cpu_us']:.1f} us CPU a message,"
            f" {found['bytes_a_chat']:.0f} bytes a chat",
            flush=True,
        )
    short = missed(figures, options)
    print(
        json.dumps({"bench": "scheduler", "figures": figures, "bar": BAR, "missed": short, "ok": not short})
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
