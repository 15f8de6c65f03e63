"""What a chat must show and what it shows: desired state, tries, copies, doubts, answers and folds."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from core.records import CopyState, Delivery, Verb
from core.types import AccountId, ChatId, ChatRef, Platform, ThingId, ThingKind
from storage.unit import SqlUnit
from tests.storage.conftest import NOW, later
from tests.storage.rows import PLATFORM, a_chat, a_copy, a_notice, a_post, a_try, an_account, wanted

IN_UNIT = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def row(unit: SqlUnit, chat: ChatId, thing: ThingId) -> Delivery:
    found = unit.outbox.delivery(chat, thing)
    assert found is not None
    return found


def due(unit: SqlUnit, chat: ChatId, at: datetime = NOW) -> ThingId | None:
    found = unit.lanes.next(chat, at)
    return found.thing_id if found else None


# -- wanting -------------------------------------------------------------------------------------------------------


def test_a_new_thing_is_wanted_in_each_chat(unit: SqlUnit) -> None:
    chats = [a_chat(unit), a_chat(unit)]
    thing = ThingId(unit.new_id())
    unit.outbox.want(thing, ThingKind.POST, 1, chats, rank=1, now=NOW, ready_at=later(60))
    found = unit.outbox.deliveries(thing)
    assert [d.chat_id for d in found] == chats
    assert {(d.wanted, d.shown, d.state, d.rank, d.attempts) for d in found} == {(1, 0, CopyState.LIVE, 1, 0)}
    assert {d.ready_at for d in found} == {later(60)}
    assert {d.queued_at for d in found} == {later(60)}
    assert unit.woken == set(chats)


def test_wanting_again_never_resets_what_is_there(unit: SqlUnit) -> None:
    chat = a_chat(unit)
    thing = wanted(unit, chat)
    unit.outbox.shown(chat, thing, 1, NOW, later(5))
    unit.outbox.settle(chat, thing, CopyState.REMOVED, "taken away there")
    before = row(unit, chat, thing)
    unit.outbox.want(thing, ThingKind.POST, 1, [chat], rank=0, now=later(9), ready_at=later(9))
    assert row(unit, chat, thing) == before
    assert due(unit, chat, later(99)) is None


def test_wanting_in_no_chat_is_nothing(unit: SqlUnit) -> None:
    thing = ThingId(unit.new_id())
    unit.outbox.want(thing, ThingKind.POST, 1, [], rank=1, now=NOW, ready_at=NOW)
    assert unit.outbox.deliveries(thing) == []
    assert unit.outbox.delivery(a_chat(unit), thing) is None


# -- choosing ------------------------------------------------------------------------------------------------------


def test_a_lane_takes_answers_first_then_things_in_their_order(unit: SqlUnit) -> None:
    chat, other = a_chat(unit), a_chat(unit)
    first, second = wanted(unit, chat), wanted(unit, chat)
    answer = wanted(unit, chat, kind=ThingKind.NOTICE, rank=0)
    edit = wanted(unit, chat, rank=2)
    wanted(unit, other, rank=0)
    order = []
    while (thing := due(unit, chat)) is not None:
        order.append(thing)
        unit.outbox.settle(chat, thing, CopyState.REFUSED, "test")
    assert order == [answer, first, second, edit]


def test_what_is_not_ready_waits(unit: SqlUnit) -> None:
    chat = a_chat(unit)
    thing = wanted(unit, chat, ready_at=later(60))
    assert due(unit, chat, later(59)) is None
    assert unit.lanes.soonest(chat, NOW) == later(60)
    assert due(unit, chat, later(60)) == thing
    assert unit.lanes.soonest(chat, later(60)) is None
    assert unit.lanes.waiting(Platform("telegram")) == {chat: later(60)}
    assert unit.lanes.waiting(Platform("matrix")) == {}


def test_first_sends_of_posts_can_be_left_out(unit: SqlUnit) -> None:
    chat = a_chat(unit)
    wanted(unit, chat)
    relay = wanted(unit, chat, kind=ThingKind.RELAY)
    found = unit.lanes.next(chat, NOW, new_posts=False)
    assert found is not None
    assert found.thing_id == relay


def test_first_sends_are_posts_that_are_ready_in_their_order(unit: SqlUnit) -> None:
    chat = a_chat(unit)
    things = [wanted(unit, chat) for _ in range(3)]
    wanted(unit, chat, kind=ThingKind.RELAY)
    wanted(unit, chat, ready_at=later(60))
    wanted(unit, chat, rank=2)
    assert [d.thing_id for d in unit.lanes.first_sends(chat, NOW)] == things


def test_an_earlier_first_send_that_is_retried_is_not_overtaken(unit: SqlUnit) -> None:
    chat = a_chat(unit)
    first, second = wanted(unit, chat), wanted(unit, chat)
    assert unit.lanes.retried_before(chat, second, NOW) is None
    unit.outbox.retry(chat, first, later(30), "a wait", "full")
    assert unit.lanes.retried_before(chat, second, NOW) == later(30)
    assert unit.lanes.retried_before(chat, first, NOW) is None
    assert unit.lanes.retried_before(chat, second, later(30)) is None


def test_a_silenced_community_still_gives_answers(unit: SqlUnit) -> None:
    chat = a_chat(unit)
    wanted(unit, chat)
    assert unit.lanes.next_notice(chat, NOW) is None
    notice = a_notice(unit, chat)
    unit.notices.add_notice(notice, NOW)
    found = unit.lanes.next_notice(chat, NOW)
    assert found is not None
    assert found.thing_id == notice.id


def test_answers_with_a_door_of_their_own_are_exempt(unit: SqlUnit) -> None:
    chat = a_chat(unit)
    unit.notices.add_notice(a_notice(unit, chat), NOW)
    assert unit.lanes.next_exempt(chat, NOW) is None
    with_door = a_notice(unit, chat, handle="interaction")
    unit.notices.add_notice(with_door, NOW)
    found = unit.lanes.next_exempt(chat, NOW)
    assert found is not None
    assert found.thing_id == with_door.id


# -- a newer version -----------------------------------------------------------------------------------------------


@given(
    shown=st.integers(0, 3),
    rank=st.integers(0, 3),
    new=st.sampled_from([0, 2, 3]),
    wait=st.integers(-60, 60),
    version=st.integers(0, 5),
    state=st.sampled_from(list(CopyState)),
    idle=st.booleans(),
)
@IN_UNIT
def test_a_bump_keeps_places_and_pauses(
    unit: SqlUnit, shown: int, rank: int, new: int, wait: int, version: int, state: CopyState, idle: bool
) -> None:
    """First sends keep rank and time, a tally keeps its pause, words and withdrawals go at once."""
    unit.savepoint("example")
    chat = a_chat(unit)
    thing = wanted(unit, chat)
    unit.write()
    unit._run.cursor.execute(
        f"UPDATE outbox SET wanted = 3, shown = {shown}, rank = {rank}, due = {int(not idle)}, "
        f"state = '{state}', ready_at = ready_at + {wait * 1_000_000} WHERE thing_id = {thing}"
    )
    before = row(unit, chat, thing)
    unit.outbox.bump(thing, version, rank=new, now=NOW)
    after = row(unit, chat, thing)
    is_due = due(unit, chat, later(1000)) == thing
    unit.undo("example")
    if version <= 3:
        assert after == before
        return
    assert (after.wanted, after.shown, after.state) == (version, shown, state)
    # What was refused or is in doubt waits for a person, but goes with its thing where it stands.
    halted = state in (CopyState.REFUSED, CopyState.DOUBT) and shown > 0 and new == 0
    assert is_due is (state is CopyState.LIVE or halted or not idle)
    if shown == 0:
        assert (after.rank, after.ready_at) == (before.rank, before.ready_at)
        return
    assert after.rank == (new if idle else min(rank, new))
    assert after.ready_at == (max(before.ready_at, NOW) if new == 3 else NOW)


def test_a_bump_wakes_the_chats_that_show_the_thing(unit: SqlUnit) -> None:
    live, gone = a_chat(unit), a_chat(unit)
    thing = wanted(unit, live)
    wanted(unit, gone, thing)
    unit.outbox.settle(gone, thing, CopyState.REMOVED, "taken away there")
    unit.woken.clear()
    assert unit.outbox.bump(thing, 2, rank=2, now=NOW) == []
    assert unit.woken == {live}
    assert row(unit, gone, thing).state is CopyState.REMOVED
    assert due(unit, gone, later(99)) is None


def sent(unit: SqlUnit, chat: ChatId, *, kind: ThingKind = ThingKind.POST) -> ThingId:
    thing = wanted(unit, chat, kind=kind)
    unit.outbox.shown(chat, thing, 1, NOW, later(600))
    unit.copies.add_copy(a_copy(chat, thing, kind=kind, key=f"m{thing}"))
    return thing


def test_what_is_shown_and_wanted_rests(unit: SqlUnit) -> None:
    chat = a_chat(unit)
    thing = wanted(unit, chat)
    unit.outbox.retry(chat, thing, NOW, "a wait", "plain")
    unit.outbox.shown(chat, thing, 1, later(1), later(600))
    found = row(unit, chat, thing)
    assert (found.shown, found.attempts, found.reason, found.form) == (1, 0, "", "plain")
    assert due(unit, chat, later(9999)) is None


def test_a_tally_waits_for_its_pause(unit: SqlUnit) -> None:
    chat = a_chat(unit)
    thing = sent(unit, chat)
    unit.outbox.bump(thing, 2, rank=3, now=later(1))
    assert due(unit, chat, later(599)) is None
    assert due(unit, chat, later(600)) == thing


def test_votes_during_a_tally_edit_wait_for_the_next_pause(unit: SqlUnit) -> None:
    chat = a_chat(unit)
    thing = sent(unit, chat)
    unit.outbox.bump(thing, 2, rank=3, now=later(600))
    unit.outbox.bump(thing, 3, rank=3, now=later(601))
    unit.outbox.shown(chat, thing, 2, later(602), later(1200))
    assert due(unit, chat, later(1199)) is None
    assert due(unit, chat, later(1200)) == thing


def test_words_edited_during_a_tally_edit_do_not_wait(unit: SqlUnit) -> None:
    chat = a_chat(unit)
    thing = sent(unit, chat)
    unit.outbox.bump(thing, 2, rank=3, now=later(600))
    unit.outbox.bump(thing, 3, rank=2, now=later(601))
    unit.outbox.shown(chat, thing, 2, later(602), later(1200))
    assert due(unit, chat, later(602)) == thing


def test_words_edited_twice_do_not_wait(unit: SqlUnit) -> None:
    chat = a_chat(unit)
    thing = sent(unit, chat)
    unit.outbox.bump(thing, 2, rank=2, now=later(10))
    unit.outbox.bump(thing, 3, rank=2, now=later(11))
    unit.outbox.shown(chat, thing, 2, later(12), later(1200))
    assert due(unit, chat, later(12)) == thing


def test_votes_during_an_edit_of_words_cost_one_edit_and_no_more(unit: SqlUnit) -> None:
    """However often somebody votes while a call is under way, the pause holds from the second edit on."""
    chat = a_chat(unit)
    thing = sent(unit, chat)
    unit.outbox.bump(thing, 2, rank=2, now=later(10))
    unit.outbox.bump(thing, 3, rank=3, now=later(11))
    unit.outbox.shown(chat, thing, 2, later(12), later(612))
    unit.outbox.bump(thing, 4, rank=3, now=later(13))
    unit.outbox.shown(chat, thing, 3, later(14), later(614))
    assert due(unit, chat, later(613)) is None
    assert due(unit, chat, later(614)) == thing


def test_a_withdrawal_during_an_edit_passes_everything(unit: SqlUnit) -> None:
    chat = a_chat(unit)
    thing = sent(unit, chat)
    unit.outbox.bump(thing, 2, rank=2, now=later(10))
    wanted(unit, chat)
    unit.outbox.bump(thing, 3, rank=0, now=later(11))
    unit.outbox.shown(chat, thing, 2, later(12), later(612))
    assert due(unit, chat, later(12)) == thing


def test_a_withdrawal_during_the_first_send_does_not_wait(unit: SqlUnit) -> None:
    chat = a_chat(unit)
    thing = wanted(unit, chat)
    unit.outbox.bump(thing, 2, rank=0, now=NOW)
    unit.outbox.shown(chat, thing, 1, later(1), later(601))
    assert due(unit, chat, later(1)) == thing


@pytest.mark.parametrize("state", [CopyState.REMOVED, CopyState.REFUSED, CopyState.DOUBT])
def test_a_copy_removed_during_an_edit_is_never_due_again(unit: SqlUnit, state: CopyState) -> None:
    chat = a_chat(unit)
    thing = sent(unit, chat)
    unit.outbox.bump(thing, 2, rank=2, now=later(10))
    unit.outbox.bump(thing, 3, rank=2, now=later(11))
    unit.outbox.settle(chat, thing, state, "taken away there")
    unit.outbox.shown(chat, thing, 2, later(12), later(612))
    assert row(unit, chat, thing).state is state
    assert due(unit, chat, later(9999)) is None


def test_what_was_sent_while_its_room_left_is_taken_back(unit: SqlUnit) -> None:
    chat = a_chat(unit)
    thing = wanted(unit, chat)
    unit.placing.withdraw_waiting(chat, "the room left its community")
    assert due(unit, chat) is None
    unit.outbox.shown(chat, thing, 1, later(1), later(601))
    assert due(unit, chat, later(1)) == thing
    assert row(unit, chat, thing).state is CopyState.WITHDRAWN


def test_all_copies_of_a_room_are_withdrawn_at_once(unit: SqlUnit) -> None:
    chat, other = a_chat(unit), a_chat(unit)
    thing = sent(unit, chat)
    elsewhere = sent(unit, other)
    notice = a_notice(unit, chat)
    unit.notices.add_notice(notice, later(50))
    unit.woken.clear()
    unit.placing.withdraw_all(chat, NOW)
    assert due(unit, chat, NOW) == thing
    assert (row(unit, chat, thing).wanted, row(unit, chat, thing).rank) == (2, 0)
    assert due(unit, other, later(9999)) is None
    assert row(unit, other, elsewhere).wanted == 1
    assert due(unit, chat, later(50)) is not None
    assert unit.woken == {chat}


def test_a_withdrawal_of_a_room_leaves_its_answers(unit: SqlUnit) -> None:
    chat = a_chat(unit)
    wanted(unit, chat)
    notice = a_notice(unit, chat)
    unit.notices.add_notice(notice, NOW)
    unit.placing.withdraw_waiting(chat, "the room left its community")
    assert due(unit, chat) == notice.id


# -- ends and retries ----------------------------------------------------------------------------------------------


def test_a_retry_waits_counts_and_says_why(unit: SqlUnit) -> None:
    chat = a_chat(unit)
    thing = wanted(unit, chat)
    for attempt in (1, 2):
        unit.outbox.retry(chat, thing, later(30), "429", "plain")
        assert row(unit, chat, thing).attempts == attempt
    found = row(unit, chat, thing)
    assert (found.reason, found.form, found.ready_at) == ("429", "plain", later(30))
    assert due(unit, chat, later(29)) is None
    assert due(unit, chat, later(30)) == thing


def test_a_permanent_failure_is_a_row_to_read_and_to_revive(unit: SqlUnit) -> None:
    chat = a_chat(unit)
    thing, fine, stands = wanted(unit, chat), wanted(unit, chat), wanted(unit, chat)
    unit.outbox.settle(chat, thing, CopyState.REFUSED, "no right to write")
    unit.outbox.shown(chat, stands, 1, NOW, later(5))
    assert unit.outbox.states() == {"waiting": 1, "live": 1, "refused": 1}
    refused = unit.outbox.in_states([CopyState.REFUSED, CopyState.DOUBT])
    assert [(d.thing_id, d.reason) for d in refused] == [(thing, "no right to write")]
    assert unit.outbox.in_states([]) == []
    assert due(unit, chat) == fine
    unit.woken.clear()
    unit.outbox.revive(chat, thing, later(5))
    assert due(unit, chat, later(5)) == thing
    assert unit.woken == {chat}
    assert unit.outbox.in_states([CopyState.REFUSED]) == []


# -- tries and doubts ----------------------------------------------------------------------------------------------


def test_a_try_stays_what_it_first_was(unit: SqlUnit) -> None:
    """A repeat with the same key shows the version that the first try rendered."""
    chat, thing = a_chat(unit), ThingId(7)
    first = a_try(chat, thing, version=1)
    unit.tries.add_try(first)
    unit.tries.add_try(replace(first, version=2, at=later(9)))
    assert unit.tries.tries_of(chat, thing) == [first]
    assert unit.tries.tries() == [first]


def test_tries_are_found_by_chat_and_thing_and_end(unit: SqlUnit) -> None:
    chat, other = a_chat(unit), a_chat(unit)
    one, two = a_try(chat, ThingId(7), key="a"), a_try(chat, ThingId(8), key="b", at=later(-5))
    unit.tries.add_try(one)
    unit.tries.add_try(two)
    unit.tries.add_try(a_try(other, ThingId(7), key="a", at=later(5)))
    assert unit.tries.tries_of(chat, ThingId(7)) == [one]
    assert [t.key for t in unit.tries.tries()] == ["b", "a", "a"]
    assert unit.tries.any_try(chat)
    unit.tries.end_try(chat, "a")
    assert unit.tries.tries_of(chat, ThingId(7)) == []
    assert len(unit.tries.tries_of(other, ThingId(7))) == 1
    unit.tries.end_tries(chat, ThingId(8))
    assert not unit.tries.any_try(chat)
    assert unit.tries.any_try(other)


def test_doubts_of_one_key_are_numbered(unit: SqlUnit) -> None:
    chat = a_chat(unit, key="-100")
    attempt = a_try(chat, ThingId(7))
    for second in range(3):
        unit.tries.add_doubt(attempt, later(second), "sent again", "no answer came")
    unit.tries.add_doubt(replace(attempt, key="other"), later(9), "left out", "no answer came")
    found = unit.tries.doubts()
    assert [(d.key, d.number) for d in found] == [("k1", 0), ("k1", 1), ("k1", 2), ("other", 0)]
    assert [d.at for d in found] == [NOW, later(1), later(2), later(9)]
    assert found[0].chat == ChatRef(PLATFORM, "-100")
    assert (found[3].resolution, found[3].reason, found[3].thing_id) == ("left out", "no answer came", 7)


# -- copies --------------------------------------------------------------------------------------------------------


def test_a_copy_is_found_both_ways(unit: SqlUnit) -> None:
    chat = a_chat(unit, key="-100")
    thing = ThingId(7)
    unit.copies.add_copy(a_copy(chat, thing, key="m2", part=1))
    unit.copies.add_copy(a_copy(chat, thing, key="m1", part=0, ours=False))
    found = unit.copies.copy_of(chat, "m1")
    assert found is not None
    assert (found.thing_id, found.part, found.ours, found.sent_at) == (thing, 0, False, NOW)
    assert found.message.chat == ChatRef(PLATFORM, "-100")
    assert unit.copies.copy_in(chat, thing) == found
    assert len(unit.copies.copies(thing)) == 2
    assert unit.copies.copy_of(chat, "m3") is None
    unit.copies.drop_copies(chat, thing)
    assert unit.copies.copies(thing) == []
    assert unit.copies.copy_in(chat, thing) is None


def test_the_same_receipt_twice_is_one_copy(unit: SqlUnit) -> None:
    chat, thing = a_chat(unit), ThingId(7)
    for _ in range(2):
        unit.copies.add_copy(a_copy(chat, thing))
    assert len(unit.copies.copies(thing)) == 1


def test_a_copy_sent_again_is_the_newer_message(unit: SqlUnit) -> None:
    chat, thing = a_chat(unit), ThingId(7)
    unit.copies.add_copy(a_copy(chat, thing, key="m1", shown=1))
    unit.copies.add_copy(a_copy(chat, thing, key="m2", shown=3, at=later(5)))
    (found,) = unit.copies.copies(thing)
    assert (found.message.key, found.shown, found.sent_at) == ("m2", 3, later(5))


def test_a_rooms_caps_count_posts_from_elsewhere_and_folds_when_they_were_first_sent(unit: SqlUnit) -> None:
    chat = a_chat(unit)

    def sent(kind: ThingKind, at: datetime, thing: ThingId | None = None) -> ThingId:
        thing = wanted(unit, chat, thing, kind=kind)
        unit.outbox.shown(chat, thing, 1, at, later(5))
        return thing

    gone, old = sent(ThingKind.POST, NOW), sent(ThingKind.POST, later(-3600))
    for kind in (ThingKind.FOLD, ThingKind.RELAY, ThingKind.NOTICE):
        sent(kind, NOW)
    post = a_post(unit)
    written_here = unit.posts.post(post)
    assert written_here is not None
    unit.outbox.want(ThingId(post), ThingKind.POST, 1, [written_here.chat_id], rank=0, now=NOW, ready_at=NOW)
    unit.outbox.shown(written_here.chat_id, ThingId(post), 1, NOW, later(5))
    unit.outbox.settle(chat, gone, CopyState.WITHDRAWN, "its author took it back")
    unit.outbox.shown(chat, old, 2, NOW, later(5))
    wanted(unit, chat)
    assert unit.outbox.sent_since(chat, later(-3600)) == 2
    assert unit.outbox.sent_since(chat, later(-3601)) == 3
    assert unit.outbox.sent_since(written_here.chat_id, later(-3600)) == 0


def test_recent_copies_of_a_platform_are_newest_first(unit: SqlUnit) -> None:
    chat, other = a_chat(unit), a_chat(unit, platform=Platform("matrix"))
    for number in range(3):
        unit.copies.add_copy(a_copy(chat, ThingId(number), key=f"m{number}", at=later(number)))
    unit.copies.add_copy(a_copy(other, ThingId(9), key="m9"))
    # Relayed talk: its own words may have changed meanwhile, a copy of them matters to nobody else.
    unit.copies.add_copy(a_copy(chat, ThingId(7), key="m7", kind=ThingKind.RELAY, at=later(2)))
    said = a_copy(chat, ThingId(8), key="m8", kind=ThingKind.RELAY, ours=False, at=later(3))
    unit.copies.add_copy(said)
    assert [c.thing_id for c in unit.copies.recent(PLATFORM, NOW)] == [8, 2, 1]


def test_what_we_sent_lately_is_what_windows_count(unit: SqlUnit) -> None:
    chat, one, other = a_chat(unit), a_chat(unit), a_chat(unit, platform=Platform("matrix"))
    for where, number in ((chat, 0), (one, 2), (chat, 1)):
        unit.copies.add_copy(a_copy(where, ThingId(number), key=f"m{number}", at=later(number)))
    unit.copies.add_copy(a_copy(chat, ThingId(7), key="m7", kind=ThingKind.RELAY, at=later(3)))
    unit.copies.add_copy(a_copy(chat, ThingId(8), key="m8", ours=False, at=later(3)))
    unit.copies.add_copy(a_copy(other, ThingId(9), key="m9", at=later(3)))
    assert unit.copies.standing_since(PLATFORM, NOW) == [(chat, later(1)), (one, later(2)), (chat, later(3))]


# -- answers -------------------------------------------------------------------------------------------------------


def test_an_answer_is_kept_until_it_is_given(unit: SqlUnit) -> None:
    chat = a_chat(unit)
    notice = a_notice(unit, chat, account=AccountId(5), handle="h", expires_at=later(60))
    unit.notices.add_notice(notice, later(2))
    assert unit.notices.notice(notice.id) == notice
    assert (row(unit, chat, notice.id).rank, row(unit, chat, notice.id).ready_at) == (0, later(2))
    unit.notices.drop_notice(chat, notice.id)
    assert unit.notices.notice(notice.id) is None
    assert unit.outbox.delivery(chat, notice.id) is None


def test_what_waits_for_a_private_chat_goes_there_once(unit: SqlUnit) -> None:
    account, other = an_account(unit), an_account(unit)
    kept = [a_notice(unit, ChatId(0), account=account, expires_at=later(60)) for _ in range(2)]
    expired = a_notice(unit, ChatId(0), account=account, expires_at=later(-1))
    for notice in (*kept, expired, a_notice(unit, ChatId(0), account=other)):
        unit.notices.keep_for_private(notice)
    private = a_chat(unit, private=True)
    assert unit.notices.deliver_private(account, private, NOW) == 2
    assert due(unit, private) == kept[0].id
    found = unit.notices.notice(kept[0].id)
    assert found is not None
    assert found.chat_id == private
    assert unit.notices.deliver_private(account, private, NOW) == 0
    unit.notices.clean_notices(NOW)
    assert unit.notices.notice(expired.id) is None
    assert unit.notices.notice(kept[1].id) is not None


# -- folds ---------------------------------------------------------------------------------------------------------


def test_a_fold_shows_what_it_took_in(unit: SqlUnit) -> None:
    chat, other = a_chat(unit), a_chat(unit)
    things = [wanted(unit, chat) for _ in range(3)]
    wanted(unit, other, things[0])
    fold = ThingId(unit.new_id())
    unit.folds.fold(fold, chat, things[:2], NOW)
    assert [d.thing_id for d in unit.folds.folded(chat, fold)] == things[:2]
    assert {d.state for d in unit.folds.folded(chat, fold)} == {CopyState.FOLDED}
    assert row(unit, other, things[0]).state is CopyState.LIVE
    assert due(unit, chat) == things[2]
    found = row(unit, chat, fold)
    assert (found.kind, found.rank, found.wanted) == (ThingKind.FOLD, 1, 1)


def test_a_change_of_a_folded_post_changes_the_fold(unit: SqlUnit) -> None:
    chat = a_chat(unit)
    things = [wanted(unit, chat) for _ in range(2)]
    fold = ThingId(unit.new_id())
    unit.folds.fold(fold, chat, things, NOW)
    unit.outbox.shown(chat, fold, 1, NOW, later(600))
    assert unit.outbox.bump(things[0], 2, rank=2, now=later(1)) == [fold]
    unit.folds.bump_fold(fold, later(1), rank=2)
    assert row(unit, chat, fold).wanted == 2
    assert due(unit, chat, later(1)) == fold
    unit.folds.bump_fold(fold, later(2), rank=3)
    assert row(unit, chat, fold).wanted == 3


def test_many_posts_are_to_be_shown_anew_at_once_by_their_own_versions(unit: SqlUnit) -> None:
    chat, posts = a_chat(unit), [a_post(unit) for _ in range(4)]
    for post in posts:
        unit.outbox.want(ThingId(post), ThingKind.POST, 1, [chat], rank=1, now=NOW, ready_at=NOW)
        unit.outbox.shown(chat, ThingId(post), 1, NOW, later(600))
    unit.folds.fold(fold := ThingId(unit.new_id()), chat, [ThingId(posts[2])], NOW)
    for times, post in enumerate(posts):
        for _ in range(times):
            unit.posts.bump(post)
    unit.woken.clear()
    assert unit.outbox.bump_posts(posts[:3], rank=2, now=later(1)) == [fold]
    assert unit.outbox.bump_posts([], rank=2, now=later(1)) == []
    rows = [row(unit, chat, ThingId(post)) for post in posts]
    assert [(d.wanted, d.rank) for d in rows] == [(1, 3), (2, 2), (3, 2), (1, 3)]
    assert rows[1].ready_at == later(1)
    assert unit.woken == {chat}


def test_a_fold_that_is_not_there_is_not_changed(unit: SqlUnit) -> None:
    unit.folds.bump_fold(ThingId(404), NOW, rank=2)
    assert unit.outbox.deliveries(ThingId(404)) == []


def test_a_verb_is_read_back_as_one(unit: SqlUnit) -> None:
    chat = a_chat(unit)
    unit.tries.add_try(a_try(chat, ThingId(1)))
    assert unit.tries.tries()[0].verb is Verb.CREATE
    assert timedelta(0) == unit.tries.tries()[0].at - NOW


# -- parts ---------------------------------------------------------------------------------------------------------


def begun(unit: SqlUnit, chat: ChatId, *, ready_at: datetime = NOW) -> ThingId:
    """A first send of which one part stands."""
    thing = wanted(unit, chat, ready_at=ready_at)
    unit.outbox.progress(chat, thing, NOW)
    unit.copies.add_copy(a_copy(chat, thing, key=f"m{thing}"))
    return thing


def test_each_part_shows_what_it_was_last_told_to(unit: SqlUnit) -> None:
    chat, thing = a_chat(unit), ThingId(7)
    for part in (1, 0, 2):
        unit.copies.add_copy(structs.replace(a_copy(chat, thing, key=f"m{part}", part=part), digest="old"))
    unit.copies.copy_shows(chat, thing, 1, 5, "new")
    found = unit.copies.copies_in(chat, thing)
    assert [(c.part, c.shown, c.digest) for c in found] == [(0, 1, "old"), (1, 5, "new"), (2, 1, "old")]
    assert unit.copies.copies(thing) == found


def test_a_message_taken_away_leaves_the_others_and_another_generation(unit: SqlUnit) -> None:
    chat = a_chat(unit)
    thing = sent(unit, chat)
    unit.copies.add_copy(a_copy(chat, thing, key="m2", part=1))
    unit.copies.withdrew(chat, thing, 1)
    assert [c.part for c in unit.copies.copies_in(chat, thing)] == [0]
    assert row(unit, chat, thing).generation == 1


def test_tries_of_one_part_end_alone(unit: SqlUnit) -> None:
    chat, thing = a_chat(unit), ThingId(7)
    one, two = a_try(chat, thing, key="a"), replace(a_try(chat, thing, key="b"), part=1, digest="d")
    for attempt in (one, two, replace(two, key="c")):
        unit.tries.add_try(attempt)
    unit.tries.end_tries(chat, thing, 1)
    assert unit.tries.tries_of(chat, thing) == [one]
    unit.tries.add_try(two)
    assert unit.tries.tries_of(chat, thing)[-1].digest == "d"
    unit.tries.end_tries(chat, thing)
    assert unit.tries.tries_of(chat, thing) == []


def test_a_first_send_that_has_begun_goes_on_at_once_and_keeps_its_place(unit: SqlUnit) -> None:
    chat = a_chat(unit)
    held, thing = wanted(unit, chat, ready_at=later(60)), begun(unit, chat)
    found = row(unit, chat, thing)
    assert (found.begun, found.shown, found.rank, found.ready_at) == (True, 0, 1, NOW)
    assert unit.lanes.begun(chat) == found
    assert [d.thing_id for d in unit.lanes.first_sends(chat, later(60))] == [held]
    assert unit.lanes.next_known(chat, later(60)) is None
    unit.outbox.shown(chat, thing, 1, later(5), later(600))
    assert not row(unit, chat, thing).begun
    assert unit.lanes.begun(chat) is None


def test_caps_count_a_thing_once_when_its_first_part_was_sent(unit: SqlUnit) -> None:
    chat = a_chat(unit)
    thing = begun(unit, chat)
    assert unit.outbox.sent_since(chat, later(-1)) == 1
    unit.outbox.progress(chat, thing, later(10))
    unit.outbox.shown(chat, thing, 1, later(20), later(600))
    assert unit.outbox.sent_since(chat, later(-1)) == 1
    assert unit.outbox.sent_since(chat, later(5)) == 0


def test_a_withdrawal_of_what_has_begun_passes_everything(unit: SqlUnit) -> None:
    chat = a_chat(unit)
    thing = begun(unit, chat)
    unit.outbox.bump(thing, 2, rank=2, now=later(1))
    assert row(unit, chat, thing).rank == 1, "newer words wait for nothing, and keep the place"
    unit.outbox.bump(thing, 3, rank=0, now=later(2))
    assert row(unit, chat, thing).rank == 0


@pytest.mark.parametrize("state", [CopyState.REFUSED, CopyState.DOUBT])
def test_what_stands_of_something_refused_goes_with_it(unit: SqlUnit, state: CopyState) -> None:
    chat = a_chat(unit)
    thing = begun(unit, chat)
    unit.outbox.settle(chat, thing, state, "no")
    unit.woken.clear()
    unit.outbox.bump(thing, 2, rank=2, now=later(1))
    assert due(unit, chat, later(1)) is None
    unit.outbox.bump(thing, 3, rank=0, now=later(2))
    assert due(unit, chat, later(2)) == thing
    assert unit.woken == {chat}


def test_what_was_removed_is_looked_for_once_more_and_stays_removed(unit: SqlUnit) -> None:
    chat = a_chat(unit)
    thing = begun(unit, chat)
    unit.outbox.remove(chat, thing, later(1), "taken away there")
    unit.outbox.progress(chat, thing, later(2))
    found = row(unit, chat, thing)
    assert (found.state, found.rank, found.reason) == (CopyState.REMOVED, 0, "taken away there")
    assert due(unit, chat, later(2)) == thing
    unit.outbox.settle(chat, thing, CopyState.REMOVED, "taken away there")
    unit.outbox.bump(thing, 5, rank=2, now=later(3))
    assert due(unit, chat, later(9)) is None


def test_a_part_left_out_is_never_due_for_it_and_the_row_goes_on(unit: SqlUnit) -> None:
    chat = a_chat(unit)
    thing = wanted(unit, chat)
    unit.tries.leave_out(replace(a_try(chat, thing), part=2), later(1), "no answer came")
    unit.tries.add_doubt(replace(a_try(chat, thing), part=1), later(1), "sent again", "no answer came")
    assert unit.tries.left_out(chat, thing) == {2}
    assert [d.part for d in unit.tries.doubts()] == [2, 1]
    found = row(unit, chat, thing)
    assert (found.begun, found.state, found.reason) == (True, CopyState.LIVE, "no answer came")
    assert due(unit, chat) == thing


def test_a_room_that_leaves_takes_back_what_has_begun(unit: SqlUnit) -> None:
    chat = a_chat(unit)
    thing = begun(unit, chat)
    unit.placing.withdraw_waiting(chat, "the room left its community")
    assert row(unit, chat, thing).state is CopyState.LIVE
    unit.placing.withdraw_all(chat, later(1))
    found = row(unit, chat, thing)
    assert (found.state, found.rank) == (CopyState.WITHDRAWN, 0)
    assert due(unit, chat, later(1)) == thing
