"""What lies before each chat, by which the courier orders its work."""

from __future__ import annotations

import pytest

from core.records import CopyState, Foremost, Load
from core.types import ChatId, Platform, ThingKind
from storage.unit import SqlUnit
from tests.storage.conftest import NOW, later
from tests.storage.rows import PLATFORM, a_chat, a_notice, wanted


def load(chat: ChatId, rank: int, count: int, seconds: int = 0, platform: Platform = PLATFORM) -> Load:
    return Load(chat_id=chat, platform=platform, rank=rank, count=count, ready_at=later(seconds))


def test_what_is_due_is_counted_by_chat_and_rank(unit: SqlUnit) -> None:
    chat, other, idle = a_chat(unit), a_chat(unit, platform=Platform("matrix")), a_chat(unit)
    wanted(unit, chat, ready_at=later(60))
    wanted(unit, chat, ready_at=later(30))
    wanted(unit, chat, rank=3)
    wanted(unit, other)
    unit.outbox.settle(idle, wanted(unit, idle), CopyState.REFUSED, "test")
    found = sorted(unit.backlog.loads(PLATFORM), key=lambda one: one.rank)
    assert found == [load(chat, 1, 2, 30), load(chat, 3, 1)]
    assert unit.backlog.loads(Platform("matrix")) == [load(other, 1, 1, platform=Platform("matrix"))]


@pytest.mark.parametrize("handle", ["", "an interaction"])
def test_the_foremost_row_that_is_ready_and_whether_a_door_is_open(unit: SqlUnit, handle: str) -> None:
    chat, busy, idle = a_chat(unit), a_chat(unit), a_chat(unit)
    wanted(unit, chat, rank=3)
    wanted(unit, chat, rank=2)
    wanted(unit, chat, rank=0, ready_at=later(60))
    unit.notices.add_notice(a_notice(unit, busy, handle=handle), NOW)
    wanted(unit, a_chat(unit))
    found = {one.chat_id: one for one in unit.backlog.foremost({chat, busy, idle}, NOW)}
    assert found == {
        chat: Foremost(chat_id=chat, platform=PLATFORM, rank=2, unbound=False),
        busy: Foremost(chat_id=busy, platform=PLATFORM, rank=0, unbound=bool(handle)),
        idle: Foremost(chat_id=idle, platform=PLATFORM, rank=None, unbound=False),
    }


def test_an_answer_that_is_put_off_opens_no_door_yet(unit: SqlUnit) -> None:
    chat = a_chat(unit)
    notice = a_notice(unit, chat, handle="an interaction")
    unit.notices.add_notice(notice, later(60))
    wanted(unit, chat, kind=ThingKind.RELAY)
    (found,) = unit.backlog.foremost([chat], NOW)
    assert (found.rank, found.unbound) == (1, False)
    (found,) = unit.backlog.foremost([chat], later(60))
    assert (found.rank, found.unbound) == (0, True)
