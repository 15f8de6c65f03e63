"""Members, their accounts, one-time codes and who follows what."""

from __future__ import annotations

import pytest

from core.records import Code
from core.types import AccountId, AccountRef, ChatId, Feed, FeedKind, MemberId
from storage.unit import SqlUnit
from tests.storage.conftest import NOW, later
from tests.storage.rows import PLATFORM, a_chat, a_member, an_account


def a_code(account: AccountId, hash_: str = "h1", *, purpose: str = "link", expires: float = 600) -> Code:
    return Code(
        hash=hash_,
        purpose=purpose,
        account_id=account,
        community_id=None,
        chat_id=ChatId(1),
        handle="ask",
        claimed_by=None,
        claim_chat_id=None,
        claim_handle="",
        agreed=False,
        expires_at=later(expires),
        used=False,
    )


def test_an_account_is_found_renamed_bound_and_silenced(unit: SqlUnit) -> None:
    member, chat = a_member(unit), a_chat(unit, private=True)
    account = an_account(unit, key="77")
    found = unit.people.account(AccountRef(PLATFORM, "77"))
    assert found == unit.people.account_by_id(account)
    assert (found.member_id, found.private_chat_id, found.opted_out, found.locale) == (
        None,
        None,
        False,
        "en-GB",
    )
    unit.people.rename_account(account, "Robin", "robin", "it")
    unit.people.bind(account, member)
    unit.people.set_private_chat(account, chat)
    unit.people.set_opted_out(account, True)
    found = unit.people.account_by_id(account)
    assert (found.name, found.username, found.locale) == ("Robin", "robin", "it")
    assert (found.member_id, found.private_chat_id, found.opted_out) == (member, chat, True)
    unit.people.bind(account, None)
    unit.people.set_private_chat(account, None)
    assert unit.people.account_by_id(account).member_id is None
    assert unit.people.account_by_id(account).private_chat_id is None


def test_who_is_not_there_is_not_found(unit: SqlUnit) -> None:
    assert unit.people.account(AccountRef(PLATFORM, "0")) is None
    assert unit.people.by_handle("nobody") is None
    with pytest.raises(LookupError):
        unit.people.account_by_id(AccountId(404))
    with pytest.raises(LookupError):
        unit.people.member(MemberId(404))


def test_a_member_is_found_renamed_and_counted(unit: SqlUnit) -> None:
    member = a_member(unit, "wren")
    found = unit.people.by_handle("wren")
    assert found == unit.people.member(member)
    assert (found.posts, found.show_name, found.joined_at) == (0, False, NOW)
    unit.people.rename_member(member, "robin", "sk-robin")
    unit.people.show_name(member, True, "Robin R.")
    unit.people.count_post(member)
    unit.people.count_post(member)
    found = unit.people.member(member)
    assert (found.handle, found.show_name, found.name, found.posts) == ("robin", True, "Robin R.", 2)
    assert unit.people.by_handle("wren") is None
    assert unit.people.members([member, MemberId(404)]) == {member: found}


def test_handles_are_completed_in_their_order(unit: SqlUnit) -> None:
    for handle in ("wren", "wre", "wr_z", "wr9", "robin", "x"):
        a_member(unit, handle)
    assert [m.handle for m in unit.people.starting("wr")] == ["wr9", "wr_z", "wre", "wren"]
    assert unit.people.starting("zz") == []
    for number in range(30):
        a_member(unit, f"many{number:02}")
    assert len(unit.people.starting("many")) == 25


def test_a_handle_that_could_be_taken_for_another_is_found(unit: SqlUnit) -> None:
    a_member(unit, "wren")
    assert unit.people.handle_like("wren", "other") == "wren"
    assert unit.people.handle_like("vvren", "sk-wren") == "wren"
    assert unit.people.handle_like("robin", "sk-robin") is None


def test_a_handle_is_kept_for_its_member_until_a_time(unit: SqlUnit) -> None:
    member, other = a_member(unit, "robin"), a_member(unit, "wren")
    unit.people.keep_handle("jay", "sk-jay", member, later(60))
    unit.people.keep_handle("jay", "sk-jay", member, later(90))
    unit.people.keep_handle("tit", "sk-tit", member, later(30))
    for name, alike in (("jay", "other"), ("iay", "sk-jay")):
        assert unit.people.kept_until(name, alike, None, NOW) == later(90)
        assert unit.people.kept_until(name, alike, other, later(89)) == later(90)
        assert unit.people.kept_until(name, alike, member, NOW) is None
        assert unit.people.kept_until(name, alike, None, later(90)) is None
    assert unit.people.kept_until("wren", "sk-wren", None, NOW) is None
    assert unit.people.kept_for(member, NOW) == [later(30), later(90)]
    unit.people.clean_handles(later(30))
    assert unit.people.kept_for(member, NOW) == [later(90)]
    unit.people.merge(member, other)
    assert unit.people.kept_for(other, NOW) == [later(90)]
    assert unit.people.kept_for(member, NOW) == []
    unit.people.release_handle("jay")
    assert unit.people.kept_for(other, NOW) == []


def test_of_two_members_that_become_one_the_handle_stays_taken(unit: SqlUnit) -> None:
    loser, winner = a_member(unit, "old"), a_member(unit, "new")
    accounts = [an_account(unit, loser), an_account(unit, winner)]
    unit.people.merge(loser, winner)
    assert [a.id for a in unit.people.accounts_of(winner)] == accounts
    assert unit.people.accounts_of(loser) == []
    assert unit.people.by_handle("old") is None
    assert unit.people.starting("old") == []
    assert unit.people.handle_like("old", "x") == "old"


def test_a_code_is_claimed_and_used_once(unit: SqlUnit) -> None:
    asker, other = an_account(unit), an_account(unit)
    unit.people.add_code(a_code(asker))
    assert unit.people.code("h1") == a_code(asker)
    assert unit.people.code("h2") is None
    assert unit.people.claimed_code(asker) is None
    unit.people.claim_code("h1", other, ChatId(8), "")
    assert unit.people.claimed_code(asker) is None, "the side that typed it has not said yes"
    assert unit.people.code_claimed_by(other) is not None
    unit.people.agree_to_code("h1")
    assert unit.people.code_claimed_by(other) is None
    unit.people.move_claim("h1", ChatId(9), "answer")
    found = unit.people.claimed_code(asker)
    assert found is not None
    assert (found.claimed_by, found.claim_chat_id, found.claim_handle) == (other, 9, "answer")
    unit.people.use_code("h1")
    assert unit.people.claimed_code(asker) is None
    used = unit.people.code("h1")
    assert used is not None
    assert used.used


def test_a_new_code_ends_the_older_ones_of_its_purpose(unit: SqlUnit) -> None:
    asker = an_account(unit)
    unit.people.add_code(a_code(asker, "h1"))
    unit.people.add_code(a_code(asker, "h2", purpose="setup"))
    unit.people.drop_codes(asker, "link")
    assert [code.used for h in ("h1", "h2") if (code := unit.people.code(h))] == [True, False]


def test_old_codes_are_forgotten(unit: SqlUnit) -> None:
    asker = an_account(unit)
    unit.people.add_code(a_code(asker, "old", expires=-1))
    unit.people.add_code(a_code(asker, "new", expires=0))
    unit.people.clean_codes(NOW)
    assert unit.people.code("old") is None
    assert unit.people.code("new") is not None


def test_wrong_codes_are_counted_within_their_time(unit: SqlUnit) -> None:
    account = an_account(unit)
    assert unit.people.failures(account, later(-3600)) == 0
    for second in range(3):
        unit.people.add_failure(account, later(second), later(second - 3600))
    assert unit.people.failures(account, later(-3600)) == 3
    # An hour after the first one the count begins anew.
    assert unit.people.failures(account, NOW) == 0
    unit.people.add_failure(account, later(4000), later(400))
    assert unit.people.failures(account, later(400)) == 1


def test_a_feed_is_followed_once(unit: SqlUnit) -> None:
    member = a_member(unit)
    tag, everything = Feed(FeedKind.TAG, "birds"), Feed(FeedKind.EVERYTHING, "")
    assert unit.people.follow(member, tag, NOW)
    assert not unit.people.follow(member, tag, NOW)
    assert unit.people.follow(member, everything, NOW)
    assert set(unit.people.follows(member)) == {tag, everything}
    assert unit.people.unfollow(member, tag)
    assert not unit.people.unfollow(member, tag)
    unit.people.unfollow_all(member)
    assert unit.people.follows(member) == []
