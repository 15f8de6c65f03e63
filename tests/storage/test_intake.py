"""What came in: the inbox, bookmarks, parked events, dead letters, settings of the instance."""

from __future__ import annotations

from core.records import Parked
from core.types import ChatId
from storage.unit import SqlUnit
from tests.storage.conftest import NOW, later


def a_parked(id_: int, key: str = "m1", *, chat: int = 1, expires: float = 60) -> Parked:
    return Parked(id=id_, chat_id=ChatId(chat), message_key=key, event="{}", expires_at=later(expires))


def test_old_keys_are_forgotten_and_new_ones_kept(unit: SqlUnit) -> None:
    unit.intake.claim("old", later(-1))
    unit.intake.claim("new", NOW)
    unit.intake.clean(NOW)
    assert unit.intake.claim("old", NOW)
    assert not unit.intake.claim("new", NOW)


def test_a_bookmark_and_a_setting_are_what_was_written_last(unit: SqlUnit) -> None:
    assert unit.intake.bookmark("matrix") is None
    assert unit.intake.meta("paused") is None
    for value in ("1", "2"):
        unit.intake.set_bookmark("matrix", f"s{value}")
        unit.intake.set_meta("paused", value)
    unit.intake.set_bookmark("telegram", "9")
    assert (unit.intake.bookmark("matrix"), unit.intake.meta("paused")) == ("s2", "2")


def test_parked_events_are_taken_once_in_their_order(unit: SqlUnit) -> None:
    for parked in (a_parked(2), a_parked(1), a_parked(3, "m2"), a_parked(4, chat=2)):
        unit.intake.park(parked)
    assert unit.intake.unpark(ChatId(1), "m1") == [a_parked(1), a_parked(2)]
    assert unit.intake.unpark(ChatId(1), "m1") == []


def test_parked_events_that_expired_are_handed_out(unit: SqlUnit) -> None:
    unit.intake.park(a_parked(1, expires=-1))
    unit.intake.park(a_parked(2, expires=0))
    assert unit.intake.expire(NOW) == [a_parked(1, expires=-1)]
    assert unit.intake.expire(NOW) == []
    assert unit.intake.unpark(ChatId(1), "m1") == [a_parked(2, expires=0)]


def test_dead_letters_are_read_newest_first_and_exhumed_once(unit: SqlUnit) -> None:
    for letter in (1, 2):
        unit.intake.bury(letter, "Edited", f"[{letter}]", "KeyError: 'x'", later(letter))
    assert unit.intake.dead_letters() == [
        (2, "Edited", "[2]", "KeyError: 'x'", later(2)),
        (1, "Edited", "[1]", "KeyError: 'x'", later(1)),
    ]
    assert unit.intake.exhume(1) == "[1]"
    assert unit.intake.exhume(1) is None
    assert len(unit.intake.dead_letters()) == 1
