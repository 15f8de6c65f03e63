"""What a refusal undoes, and that nothing undone or changed is remembered."""

from __future__ import annotations

from typing import TypeVar

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from core.records import Vote
from core.types import AccountId, AccountRef, ChatRef, MemberId, ThingId
from storage.tables import to_micros
from storage.unit import SqlUnit
from tests.storage.conftest import NOW
from tests.storage.rows import PLATFORM, a_chat, a_community, a_copy, a_member, a_post, an_account

#: ``(`` opens a savepoint, ``)`` releases and ``x`` undoes the innermost, ``w`` writes one more key.
SCRIPTS = st.text(alphabet="((w)x", max_size=30)
T = TypeVar("T")


def end_inner(unit: SqlUnit, stands: list[T], step: str) -> None:
    """The innermost savepoint, if one is open; what stands at each is in ``stands``, the outermost first."""
    if len(stands) > 1:
        top = stands.pop()
        if step == ")":
            unit.release("inner")
            stands[-1] = top
        else:
            unit.undo("inner")


@given(SCRIPTS)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_undoing_reaches_back_to_its_savepoint_and_no_further(unit: SqlUnit, script: str) -> None:
    unit.savepoint("example")
    stands: list[set[str]] = [set()]
    for number, step in enumerate(script):
        if step == "(":
            unit.savepoint("inner")
            stands.append(set(stands[-1]))
        elif step == "w":
            unit.intake.set_meta(f"key{number}", "")
            stands[-1].add(f"key{number}")
        else:
            end_inner(unit, stands, step)
    found = {f"key{n}" for n in range(len(script)) if unit.intake.meta(f"key{n}") is not None}
    unit.undo("example")
    assert found == stands[-1]
    assert all(unit.intake.meta(key) is None for key in found)


@example([("p", 1, 0), ("(", 1, 0), ("d", 1, 0), ("a", 1, 0), ("x", 1, 0)])
@example([("a", 1, 0), ("(", 1, 0), ("a", 2, 0), ("p", 1, 1), ("w", 1, 0), ("x", 1, 0)])
@example([("(", 1, 0), ("a", 1, 0), ("p", 1, 1), ("x", 1, 0), ("p", 1, 0)])
@given(st.lists(st.tuples(st.sampled_from("(()xapdw"), st.integers(1, 2), st.integers(0, 1)), max_size=30))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_in_hand_is_written_once_and_undone_whole(
    unit: SqlUnit, script: list[tuple[str, int, int]]
) -> None:
    """``a`` adds a first row, ``p`` puts one, ``d`` drops it, ``w`` writes what waits; savepoints or none around it."""
    post, shelf = a_post(unit), unit.votes.votes
    stands: list[dict[int, int]] = [{}]
    for step, number, value in script:
        hand, member = stands[-1], MemberId(number)
        vote = Vote(post, member, AccountId(number), value, "👍", NOW)
        if step == "(":
            unit.savepoint("inner")
            stands.append(dict(hand))
        elif step == "a" and number not in hand:
            shelf.add((post, member), vote, (post, member, number, value, "👍", to_micros(NOW)))
            hand[number] = value
        elif step == "p":
            unit.votes.put_vote(vote)
            hand[number] = value
        elif step == "d":
            unit.votes.drop_vote(post, member)
            hand.pop(number, None)
        elif step == "w":
            unit.write()
        elif step in ")x":
            end_inner(unit, stands, step)
    seen = {n: held.value for n in (1, 2) if (held := unit.votes.vote(post, MemberId(n))) is not None}
    stored = {n: v.value for n in (1, 2) for v in unit.votes.votes_by(MemberId(n)) if v.post_id == post}
    for _ in stands[1:]:
        unit.release("inner")
    assert seen == stored == stands[-1]


def test_undoing_takes_the_inner_ones_that_an_error_left_open_with_it(unit: SqlUnit) -> None:
    unit.savepoint("job")
    unit.savepoint("event")
    unit.intake.set_meta("outer", "")
    unit.savepoint("attempt")
    unit.intake.set_meta("inner", "")
    unit.undo("job")
    unit.savepoint("job")
    unit.intake.set_meta("next", "")
    unit.release("job")
    assert [unit.intake.meta(key) for key in ("outer", "inner", "next")] == [None, None, ""]


def test_what_was_read_before_a_change_is_read_again_after_it(unit: SqlUnit) -> None:
    chat = a_chat(unit, key="perch")
    ref = ChatRef(PLATFORM, "perch")
    assert unit.communities.chat(ref) == unit.communities.chat_by_id(chat)
    unit.communities.describe_chat(chat, "Nest", private=False, closed=True)
    found = unit.communities.chat(ref)
    assert found is not None
    assert (found.title, found.closed) == ("Nest", True)
    unit.communities.move_chat(chat, ChatRef(PLATFORM, "elsewhere"))
    assert unit.communities.chat(ref) is None


def test_what_was_read_inside_is_forgotten_with_the_undoing(unit: SqlUnit) -> None:
    member, community = a_member(unit), a_community(unit)
    account = an_account(unit)
    unit.savepoint("attempt")
    unit.people.bind(account, member)
    unit.people.count_post(member)
    unit.communities.ban(community, member, account, NOW)
    assert unit.people.account_by_id(account).member_id == member
    assert [a.id for a in unit.people.accounts_of(member)] == [account]
    assert unit.people.member(member).posts == 1
    assert unit.communities.banned(community, member)
    unit.undo("attempt")
    assert unit.people.account_by_id(account).member_id is None
    assert unit.people.accounts_of(member) == []
    assert unit.people.member(member).posts == 0
    assert not unit.communities.banned(community, member)


def test_a_store_that_is_first_asked_for_inside_forgets_what_it_read_there(unit: SqlUnit) -> None:
    post, chat, reader = a_post(unit), a_chat(unit), AccountRef(PLATFORM, "reader")
    an_account(unit, key=reader.key)
    unit.write()
    unit.savepoint("attempt")
    unit.copies.add_copy(a_copy(chat, ThingId(post)))
    assert unit.votes.reacted(chat, "m1", reader) is not None
    unit.undo("attempt")
    assert unit.votes.reacted(chat, "m1", reader) is None


def test_a_stranger_is_known_once_written_down(unit: SqlUnit) -> None:
    ref = ChatRef(PLATFORM, "new")
    assert unit.communities.chat(ref) is None
    chat = a_chat(unit, key="new")
    found = unit.communities.chat(ref)
    assert found is not None
    assert found.id == chat
