"""What was reported to a community's moderators, until they dealt with it."""

from __future__ import annotations

from core.records import Reported
from storage.unit import SqlUnit
from tests.storage.conftest import NOW, later
from tests.storage.rows import a_community, a_member, a_post, an_account


def test_an_open_report_stays_as_it_is_and_a_closed_one_may_be_made_again(unit: SqlUnit) -> None:
    post, account, home = a_post(unit), an_account(unit), a_community(unit)
    assert unit.reports.add(post, account, home, "first", NOW)
    assert not unit.reports.add(post, account, home, "second", later(1))
    assert unit.reports.open_in(home, 10) == [Reported(post, 1, NOW, ("first",))]
    assert unit.reports.close(post, home, later(2)) == 1
    assert unit.reports.close(post, home, later(2)) == 0
    assert unit.reports.open_in(home, 10) == []
    other = a_community(unit, "fish")
    assert unit.reports.add(post, account, other, "third", later(3))
    assert unit.reports.open_in(other, 10) == [Reported(post, 1, later(3), ("third",))]


def test_what_waits_longest_comes_first_with_the_reasons_that_were_given(unit: SqlUnit) -> None:
    home, other = a_community(unit), a_community(unit, "fish")
    old, new, elsewhere = (a_post(unit) for _ in range(3))
    for number, (post, reason) in enumerate(((new, "b"), (old, "second"), (old, ""), (old, "first"))):
        unit.reports.add(post, an_account(unit), home, reason, later(-number))
    unit.reports.add(elsewhere, an_account(unit), other, "", NOW)
    first, second = Reported(old, 3, later(-3), ("first", "second")), Reported(new, 1, NOW, ("b",))
    assert unit.reports.open_in(home, 10) == [first, second]
    assert unit.reports.open_in(home, 1) == [first]


def test_those_of_an_author_are_closed_in_one_community_and_those_of_a_post_in_all(unit: SqlUnit) -> None:
    author, home, other = a_member(unit), a_community(unit), a_community(unit, "fish")
    one, two, else_s = a_post(unit, author), a_post(unit, author), a_post(unit)
    for post in (one, two, else_s):
        for where in (home, other):
            unit.reports.add(post, an_account(unit), where, "", NOW)
    unit.reports.close_of_author(author, home, NOW)
    assert [r.post_id for r in unit.reports.open_in(home, 10)] == [else_s]
    assert [r.post_id for r in unit.reports.open_in(other, 10)] == [one, two, else_s]
    unit.reports.close_everywhere(else_s, NOW)
    assert unit.reports.open_in(home, 10) == []
    assert [r.post_id for r in unit.reports.open_in(other, 10)] == [one, two]


def test_an_account_s_reports_are_counted_forgotten_and_cleaned(unit: SqlUnit) -> None:
    account, other, home = an_account(unit), an_account(unit), a_community(unit)
    posts = [a_post(unit) for _ in range(3)]
    for number, post in enumerate(posts):
        unit.reports.add(post, account, home, "", later(number))
    unit.reports.add(posts[0], other, home, "", NOW)
    unit.reports.close(posts[0], home, later(3))
    assert unit.reports.made_since(account, later(0)) == 2
    assert unit.reports.made_since(account, later(-1)) == 3
    unit.reports.clean(later(3))
    assert unit.reports.made_since(account, later(-1)) == 3
    unit.reports.clean(later(4))
    assert (unit.reports.made_since(account, later(-1)), unit.reports.made_since(other, later(-1))) == (2, 0)
    unit.reports.forget(account)
    assert unit.reports.open_in(home, 10) == []
