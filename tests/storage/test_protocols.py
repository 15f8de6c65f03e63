"""The protocols that the rules see, and the classes that fulfil them, say the same."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from core.stores.backlog import Backlog
from core.stores.boosts import Boosts
from core.stores.communities import Communities
from core.stores.copies import Copies
from core.stores.folds import Folds
from core.stores.intake import Intake
from core.stores.lanes import Lanes
from core.stores.leases import LeaseRows
from core.stores.notices import Notices
from core.stores.outbox import Outbox
from core.stores.people import People
from core.stores.placing import Placing
from core.stores.posts import Posts
from core.stores.reports import Reports
from core.stores.sight import Sight
from core.stores.timelines import Timelines
from core.stores.tries import Tries
from core.stores.unit import Unit
from core.stores.votes import Votes
from storage.backlog import BacklogStore
from storage.boosts import BoostStore
from storage.communities import CommunityStore
from storage.copies import CopyStore
from storage.folds import FoldStore
from storage.intake import IntakeStore
from storage.lanes import LaneStore
from storage.leases import LeaseStore
from storage.notices import NoticeStore
from storage.outbox import OutboxStore
from storage.people import PeopleStore
from storage.placing import PlacingStore
from storage.posts import PostStore
from storage.reports import ReportStore
from storage.sight import SightStore
from storage.timelines import TimelineStore
from storage.tries import TryStore
from storage.unit import SqlUnit
from storage.votes import VoteStore

PAIRS: list[tuple[type[Any], type[Any]]] = [
    (People, PeopleStore),
    (Communities, CommunityStore),
    (Posts, PostStore),
    (Timelines, TimelineStore),
    (Boosts, BoostStore),
    (Reports, ReportStore),
    (Votes, VoteStore),
    (Outbox, OutboxStore),
    (Lanes, LaneStore),
    (Copies, CopyStore),
    (Tries, TryStore),
    (Notices, NoticeStore),
    (Folds, FoldStore),
    (Intake, IntakeStore),
    (Sight, SightStore),
    (Placing, PlacingStore),
    (Backlog, BacklogStore),
    (LeaseRows, LeaseStore),
    (Unit, SqlUnit),
]
#: What only those who make and end a transaction ask for.
OF_STORAGE = {"end", "highest_id", "note_ids"}
#: Acts that another object's method does, with nothing between.
GIVEN = {"new_id", "savepoint", "release"}


def methods(kind: type[Any]) -> dict[str, Any]:
    return {n: f for n, f in vars(kind).items() if inspect.isfunction(f) and not n.startswith("_")}


@pytest.mark.parametrize(("protocol", "fulfilled"), PAIRS)
def test_the_same_methods(protocol: type[Any], fulfilled: type[Any]) -> None:
    given = GIVEN if fulfilled is SqlUnit else set()
    assert set(methods(protocol)) - given == set(methods(fulfilled)) - OF_STORAGE


@pytest.mark.parametrize(
    ("protocol", "fulfilled", "name"), [(p, f, n) for p, f in PAIRS[:-1] for n in methods(p)]
)
def test_the_same_signature_and_the_same_words(protocol: type[Any], fulfilled: type[Any], name: str) -> None:
    asked, given = methods(protocol)[name], methods(fulfilled)[name]
    assert inspect.signature(asked) == inspect.signature(given)
    # Where the class says nothing, the protocol's words hold.
    assert inspect.getdoc(given) in (None, inspect.getdoc(asked))


def test_a_unit_has_each_store() -> None:
    names = {n for n, v in vars(Unit).items() if isinstance(v, property)}
    assert names == {
        "people",
        "communities",
        "posts",
        "timelines",
        "boosts",
        "reports",
        "votes",
        "outbox",
        "lanes",
        "copies",
        "tries",
        "notices",
        "folds",
        "intake",
        "sight",
        "placing",
        "backlog",
        "media",
        "leases",
    }
