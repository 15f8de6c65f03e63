"""The protocols that the rules see, and the classes that fulfil them, say the same."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from core import stores
from storage.backlog import BacklogStore
from storage.communities import CommunityStore
from storage.delivery import DeliveryStore
from storage.intake import IntakeStore
from storage.leases import LeaseStore
from storage.people import PeopleStore
from storage.placing import PlacingStore
from storage.posts import PostStore
from storage.sight import SightStore
from storage.unit import SqlUnit
from storage.votes import VoteStore

PAIRS: list[tuple[type[Any], type[Any]]] = [
    (stores.People, PeopleStore),
    (stores.Communities, CommunityStore),
    (stores.Posts, PostStore),
    (stores.Votes, VoteStore),
    (stores.Deliveries, DeliveryStore),
    (stores.Intake, IntakeStore),
    (stores.Sight, SightStore),
    (stores.Placing, PlacingStore),
    (stores.Backlog, BacklogStore),
    (stores.LeaseRows, LeaseStore),
    (stores.Unit, SqlUnit),
]
#: What only the writer's thread asks for.
OF_STORAGE = {"highest_id", "note_ids"}


def methods(kind: type[Any]) -> dict[str, Any]:
    return {n: f for n, f in vars(kind).items() if inspect.isfunction(f) and not n.startswith("_")}


@pytest.mark.parametrize(("protocol", "fulfilled"), PAIRS)
def test_the_same_methods(protocol: type[Any], fulfilled: type[Any]) -> None:
    assert set(methods(protocol)) == set(methods(fulfilled)) - OF_STORAGE


@pytest.mark.parametrize(
    ("protocol", "fulfilled", "name"), [(p, f, n) for p, f in PAIRS[:-1] for n in methods(p)]
)
def test_the_same_signature_and_the_same_words(protocol: type[Any], fulfilled: type[Any], name: str) -> None:
    asked, given = methods(protocol)[name], methods(fulfilled)[name]
    assert inspect.signature(asked) == inspect.signature(given)
    # Where the class says nothing, the protocol's words hold.
    assert inspect.getdoc(given) in (None, inspect.getdoc(asked))


def test_a_unit_has_each_store() -> None:
    names = {n for n, v in vars(stores.Unit).items() if isinstance(v, property)}
    assert names == {
        "people",
        "communities",
        "posts",
        "votes",
        "delivery",
        "intake",
        "sight",
        "placing",
        "backlog",
        "media",
        "leases",
    }
