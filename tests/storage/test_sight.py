"""What an operator watches, counted by the database."""

from __future__ import annotations

from datetime import timedelta

from core.records import ChatState, CopyState, Parked, Stock, Waiting, Waits
from core.types import Platform
from storage.unit import SqlUnit
from tests.storage.conftest import NOW, later
from tests.storage.rows import PLATFORM, a_chat, a_community, a_try, wanted

LATELY = NOW - timedelta(days=1)


def stock(unit: SqlUnit) -> Stock:
    return unit.sight.stock(NOW, LATELY)


def test_an_empty_database_has_nothing_to_watch(unit: SqlUnit) -> None:
    empty: dict[Platform, int] = {}
    assert stock(unit) == Stock(
        backlog=[], tries=empty, parked=empty, refused=empty, doubts=empty, rooms={}, letters=0
    )


def test_what_waits_is_told_apart_by_platform_class_and_reason(unit: SqlUnit) -> None:
    paused = a_community(unit, "paused")
    unit.communities.set_paused(paused, True)
    here, there = a_chat(unit, a_community(unit)), a_chat(unit, paused)
    lost = a_chat(unit, a_community(unit, "lost"), platform=Platform("discord"))
    unit.communities.set_state(lost, ChatState.MUTED, "muted", NOW)
    wanted(unit, here, ready_at=later(-60))
    wanted(unit, here, ready_at=later(-30))
    wanted(unit, here, ready_at=later(60))
    wanted(unit, here, rank=0)
    wanted(unit, there)
    wanted(unit, lost)
    done = wanted(unit, here)
    unit.outbox.shown(here, done, 1, NOW, NOW)

    def row(rank: int, waits: Waits, rows: int, seconds: float = 0, platform: Platform = PLATFORM) -> Waiting:
        return Waiting(platform=platform, rank=rank, waits=waits, rows=rows, since=later(seconds))

    found = sorted(stock(unit).backlog, key=lambda one: (one.platform, one.rank, one.waits))
    assert found == [
        row(1, Waits.LOST, 1, platform=Platform("discord")),
        row(0, Waits.TURN, 1),
        row(1, Waits.PAUSED, 1),
        row(1, Waits.TIME, 1, 60),
        row(1, Waits.TURN, 2),
    ]


def test_the_oldest_counts_from_when_it_could_have_gone_and_not_from_its_last_try(unit: SqlUnit) -> None:
    chat = a_chat(unit)
    thing = wanted(unit, chat)
    unit.outbox.retry(chat, thing, later(300), "no route", "full")
    (one,) = stock(unit).backlog
    assert (one.waits, one.since) == (Waits.TIME, NOW)


def test_refusals_and_doubts_of_late(unit: SqlUnit) -> None:
    chat = a_chat(unit)
    thing, waits = wanted(unit, chat), wanted(unit, chat)
    unit.outbox.settle(chat, thing, CopyState.REFUSED, "no")
    unit.tries.add_doubt(a_try(chat, thing), NOW, "sent again", "lost")
    unit.tries.add_doubt(a_try(chat, thing), LATELY, "sent again", "lost")
    unit.tries.add_try(a_try(chat, waits, key="open"))
    found = stock(unit)
    assert (found.refused, found.doubts, found.tries) == ({PLATFORM: 1}, {PLATFORM: 1}, {PLATFORM: 1})
    assert unit.sight.stock(later(90_000), later(60)).refused == {}


def test_rooms_parked_events_and_dead_letters(unit: SqlUnit) -> None:
    home = a_community(unit)
    chat, _, alone = a_chat(unit, home), a_chat(unit, home), a_chat(unit)
    unit.communities.set_state(chat, ChatState.GONE, "removed", NOW)
    unit.intake.park(
        Parked(id=unit.new_id(), chat_id=alone, message_key="m", event="{}", expires_at=later(9))
    )
    unit.intake.bury(unit.new_id(), "Parked", "{}", "KeyError", NOW)
    found = stock(unit)
    assert found.rooms == {(PLATFORM, ChatState.GONE): 1, (PLATFORM, ChatState.ACTIVE): 1}
    assert (found.parked, found.letters) == ({PLATFORM: 1}, 1)
