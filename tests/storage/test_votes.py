"""Signals are not votes: the raw reactions, the one vote of a member, and what is counted."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from core.types import PostId
from storage.unit import SqlUnit
from tests.storage.conftest import NOW, later
from tests.storage.rows import a_chat, a_member, a_post, a_signal, a_vote, an_account


def tally(unit: SqlUnit, post: PostId) -> tuple[int, int, int]:
    found = unit.posts.post(post)
    assert found is not None
    return found.score, found.guests, found.version


def test_a_signal_is_set_and_found_each_way(unit: SqlUnit) -> None:
    post, chat, account = a_post(unit), a_chat(unit), an_account(unit)
    signal = a_signal(post, account, chat, ref_key="$event")
    unit.votes.put_signal(signal)
    newer = structs.replace(signal, at=later(1), superseded=True)
    unit.votes.put_signal(newer)
    heart = a_signal(post, account, chat, emoji="❤", at=later(2))
    unit.votes.put_signal(heart)
    elsewhere = a_signal(post, account, chat, key="m2", at=later(3))
    unit.votes.put_signal(elsewhere)
    assert set(unit.votes.signals_on(post, account, chat, "m1")) == {newer, heart}
    assert unit.votes.signals_by(account) == [newer, heart, elsewhere]
    assert set(unit.votes.signals_on_message(post, chat, "m1")) == {newer, heart}
    assert unit.votes.signal_by_ref(chat, "$event") == newer
    assert unit.votes.signal_by_ref(chat, "$other") is None
    unit.votes.drop_signal(newer)
    assert unit.votes.signals_on(post, account, chat, "m1") == [heart]


def test_superseding_touches_the_accounts_named_and_no_other(unit: SqlUnit) -> None:
    post, other, chat = a_post(unit), a_post(unit), a_chat(unit)
    mine, theirs = an_account(unit), an_account(unit)
    for on in (post, other):
        unit.votes.put_signal(a_signal(on, mine, chat))
    unit.votes.put_signal(a_signal(post, theirs, chat))
    unit.votes.supersede(post, [])
    unit.votes.supersede(post, [mine])
    assert [s.superseded for s in unit.votes.signals_by(mine)].count(True) == 1
    assert [s.superseded for s in unit.votes.signals_by(theirs)] == [False]


def test_guests_reactions_are_forgotten_and_members_kept(unit: SqlUnit) -> None:
    post, chat = a_post(unit), a_chat(unit)
    guest, member = an_account(unit), an_account(unit, a_member(unit))
    unit.votes.put_signal(a_signal(post, guest, chat))
    unit.votes.put_signal(a_signal(post, member, chat))
    assert unit.votes.forget_guests(NOW) == set()
    assert unit.votes.forget_guests(later(1)) == {post}
    assert unit.votes.signals_by(guest) == []
    assert len(unit.votes.signals_by(member)) == 1


def test_a_vote_is_set_and_dropped(unit: SqlUnit) -> None:
    member, post, other = a_member(unit), a_post(unit), a_post(unit)
    account = an_account(unit, member)
    vote = a_vote(post, member, account)
    unit.votes.put_vote(vote)
    taken = structs.replace(vote, value=0, acted_at=later(1), emoji="❤")
    unit.votes.put_vote(taken)
    unit.votes.put_vote(a_vote(other, member, account))
    assert unit.votes.vote(post, member) == taken
    assert [v.post_id for v in unit.votes.votes_by(member)] == [post, other]
    unit.votes.drop_vote(post, member)
    assert unit.votes.vote(post, member) is None


def test_an_account_speaks_for_one_member_on_a_post_for_ever(unit: SqlUnit) -> None:
    post, account = a_post(unit), an_account(unit)
    first, second, third = a_member(unit), a_member(unit), a_member(unit)
    assert unit.votes.spoke_for(post, account) is None
    assert unit.votes.speaks_for(post, account, first) == first
    assert unit.votes.speaks_for(post, account, second) == first
    assert unit.votes.spoke_for(post, account) == first
    unit.votes.move_speakers(first, third)
    assert unit.votes.speaks_for(post, account, second) == third


def test_one_who_was_unlinked_is_no_guest_beside_their_vote(unit: SqlUnit) -> None:
    post, chat, member = a_post(unit), a_chat(unit), a_member(unit)
    account = an_account(unit, member)
    unit.votes.speaks_for(post, account, member)
    unit.votes.put_signal(a_signal(post, account, chat))
    unit.votes.put_vote(a_vote(post, member, account))
    unit.people.bind(account, None)
    unit.votes.recount({post})
    assert tally(unit, post)[:2] == (1, 0)


def test_a_tally_that_did_not_change_is_no_new_version(unit: SqlUnit) -> None:
    post, member = a_post(unit), a_member(unit)
    assert unit.votes.recount({post}) == {}
    unit.votes.put_vote(a_vote(post, member, an_account(unit, member)))
    assert unit.votes.recount({post}) == {post: 2}
    assert tally(unit, post) == (1, 0, 2)
    assert unit.votes.recount({post, PostId(404)}) == {}


@given(
    votes=st.lists(st.integers(0, 1), max_size=8),
    guests=st.lists(st.sets(st.sampled_from("👍❤"), min_size=1), max_size=5),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_members_count_once_each_and_guests_apart(
    unit: SqlUnit, votes: list[int], guests: list[set[str]]
) -> None:
    unit.savepoint("example")
    post, chat = a_post(unit), a_chat(unit)
    for value in votes:
        member = a_member(unit)
        account = an_account(unit, member)
        unit.votes.put_vote(a_vote(post, member, account, value=value))
        unit.votes.put_signal(a_signal(post, account, chat))
    for emojis in guests:
        guest = an_account(unit)
        for emoji in emojis:
            unit.votes.put_signal(a_signal(post, guest, chat, emoji=emoji))
    changed = unit.votes.recount({post})
    found = tally(unit, post)
    unit.undo("example")
    assert found[:2] == (sum(votes), len(guests))
    assert (changed == {}) == (found[:2] == (0, 0))
