"""Whatever stands, the first difference put right, and again, ends with what is wanted: in order and in few calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from core.parts import EMPTIED, STUCK
from core.records import Copy, Try, Verb
from core.steps import differences
from core.types import ChatId, ChatRef, MessageRef, Platform, ThingId, ThingKind

NOW = datetime(2026, 5, 1, tzinfo=UTC)
#: Which files, and which words: what stands before the dot speaks of the files.
DIGESTS = st.builds(
    lambda files, words: f"{files}.{words}", st.sampled_from(("", "f", "g")), st.integers(0, 3)
)
PARTS = st.lists(DIGESTS, max_size=5)


def copy_of(part: int, digest: str, key: str = "m", shown: int = 1) -> Copy:
    return Copy(
        chat_id=ChatId(1),
        thing_id=ThingId(1),
        kind=ThingKind.POST,
        part=part,
        message=MessageRef(ChatRef(Platform("x"), "room"), key),
        ours=True,
        shown=shown,
        sent_at=NOW,
        digest=digest,
    )


def try_of(part: int, verb: Verb) -> Try:
    return Try(
        chat_id=ChatId(1),
        key=f"{verb}{part}",
        thing_id=ThingId(1),
        part=part,
        verb=verb,
        version=1,
        form="full",
        epoch=0,
        at=NOW,
    )


@dataclass
class Room:
    """Copies as they are recorded, and the order in which their messages stand."""

    replaces: bool
    copies: dict[int, Copy] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    calls: list[tuple[Verb, int]] = field(default_factory=list)
    _keys: count[int] = field(default_factory=count)

    def becomes(self, wanted: list[str]) -> None:
        while todo := differences(
            dict(enumerate(wanted)), list(self.copies.values()), (), replaces_files=self.replaces
        ):
            verb, part = todo[0]
            self.calls.append((verb, part))
            match verb:
                case Verb.CREATE:
                    key = f"m{next(self._keys)}"
                    self.copies[part] = copy_of(part, wanted[part], key)
                    self.messages.append(key)
                case Verb.EDIT:
                    self.copies[part] = structs.replace(self.copies[part], digest=wanted[part])
                case _:
                    self.messages.remove(self.copies.pop(part).message.key)
            assert len(self.calls) < 40, "it comes to rest"

    def shown(self) -> list[str]:
        by_key = {copy.message.key: copy.digest for copy in self.copies.values()}
        return [by_key[key] for key in self.messages]


@given(st.lists(PARTS, max_size=6), st.booleans())
def test_any_change_ends_with_what_is_wanted_in_its_order(changes: list[list[str]], replaces: bool) -> None:
    room = Room(replaces)
    for wanted in changes:
        room.calls.clear()
        room.becomes(wanted)
        assert room.shown() == wanted
        assert len(room.calls) <= 10, "each part goes and comes once at most"


@given(PARTS)
def test_what_stands_already_needs_nothing(wanted: list[str]) -> None:
    room = Room(replaces=False)
    room.becomes(wanted)
    assert room.calls == [(Verb.CREATE, part) for part in range(len(wanted))]
    room.becomes(wanted)
    assert len(room.calls) == len(wanted)


def test_a_part_that_is_missing_comes_before_one_that_is_out_of_date() -> None:
    """Else votes without end would keep the next part away."""
    standing = [copy_of(0, ".old", "m0")]
    todo = differences({0: ".new", 1: ".more"}, standing, (), replaces_files=False)
    assert todo == [(Verb.CREATE, 1), (Verb.EDIT, 0)]


def test_what_was_changed_longest_ago_is_changed_first() -> None:
    standing = [copy_of(0, ".a", shown=7), copy_of(1, ".b", shown=3), copy_of(2, ".c", shown=7)]
    todo = differences(dict.fromkeys(range(3), ".new"), standing, (), replaces_files=False)
    assert todo == [(Verb.EDIT, 1), (Verb.EDIT, 0), (Verb.EDIT, 2)]


def test_other_files_make_a_part_and_all_behind_it_anew() -> None:
    standing = [copy_of(0, ".a"), copy_of(1, "f.b"), copy_of(2, "h.c"), copy_of(3, "i.d")]
    wanted = {0: ".a", 1: "g.b", 2: "h.c"}
    anew = [(Verb.WITHDRAW, 3), (Verb.WITHDRAW, 2), (Verb.WITHDRAW, 1), (Verb.CREATE, 1), (Verb.CREATE, 2)]
    assert differences(wanted, standing, (), replaces_files=False) == anew
    edited = [(Verb.EDIT, 1), (Verb.WITHDRAW, 3)]
    assert differences(wanted, standing, (), replaces_files=True) == edited


def test_an_edit_without_an_answer_is_made_again_whatever_was_recorded() -> None:
    todo = differences({0: ".a"}, [copy_of(0, ".a")], [try_of(0, Verb.EDIT)], replaces_files=True)
    assert todo == [(Verb.EDIT, 0)]


def test_a_withdrawal_without_an_answer_is_made_again_before_its_part_comes_back() -> None:
    standing = [copy_of(0, ".a"), copy_of(1, ".b")]
    todo = differences({0: ".a", 1: ".b"}, standing, [try_of(1, Verb.WITHDRAW)], replaces_files=True)
    assert todo == [(Verb.WITHDRAW, 1), (Verb.CREATE, 1)]


def test_a_send_without_an_answer_that_is_wanted_no_more_is_asked_for_last() -> None:
    standing = [copy_of(0, ".old"), copy_of(1, ".b")]
    todo = differences({0: ".a"}, standing, [try_of(2, Verb.CREATE)], replaces_files=True)
    assert todo == [(Verb.EDIT, 0), (Verb.WITHDRAW, 1), (Verb.CREATE, 2), (Verb.WITHDRAW, 2)]


def test_what_cannot_be_taken_away_is_emptied_once_and_has_words_again_when_it_is_wanted() -> None:
    standing = [copy_of(0, ".a"), copy_of(1, STUCK), copy_of(2, EMPTIED)]
    assert differences({0: ".a"}, standing, (), replaces_files=False) == [(Verb.EDIT, 1)]
    unsure = [try_of(2, Verb.EDIT)]
    assert differences({0: ".a"}, standing, unsure, replaces_files=False) == [(Verb.EDIT, 1), (Verb.EDIT, 2)]
    again = {0: ".a", 1: ".b", 2: "f.c"}
    assert differences(again, standing, (), replaces_files=False) == [(Verb.EDIT, 1), (Verb.EDIT, 2)]
