"""Everybody gets a handle that can be typed, and nobody passes for somebody else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.names import HANDLE, clean_name, confusable, is_handle, poses, skeleton, suggest_handle


@pytest.mark.parametrize(
    ("name", "handle"),
    [
        ("Anna Rossi", "anna_rossi"),
        ("Élodie Çelik", "elodie_celik"),
        ("Łukasz Straße", "lukasz_strasse"),
        ("ａｎｎａ", "anna"),
        ("_foo_ 👍", "foo"),
        ("Al", "al_"),
        ("x" * 19 + " y", "x" * 19),
        ("Анна", "member"),
        ("", "member"),
    ],
)
def test_a_handle_is_close_to_the_name(name: str, handle: str) -> None:
    assert suggest_handle(name) == handle


@given(st.text())
def test_every_suggestion_is_a_valid_handle(name: str) -> None:
    assert HANDLE.fullmatch(suggest_handle(name))


def test_the_rule_of_handles() -> None:
    assert is_handle("anna_1")
    assert not any(map(is_handle, ["an", "Anna", "anna-1", "x" * 21, "anna\n", "ànna"]))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("anna", "\u0430nn\u0430"),
        ("anna", "\u0391\u039d\u039d\u0391"),
        ("Stormo", "st0rm0"),
        ("modern", "modem"),
        ("wow", "vvow"),
        ("paypal", "paypaI"),
        ("paypal", "paypa1"),
        ("anna_1", "anna-l"),
        ("anna", "an\u200bna"),
        ("elan", "élan"),
    ],
)
def test_names_that_look_alike_are_taken_for_one_another(one: str, other: str) -> None:
    assert confusable(one, other)


@pytest.mark.parametrize(
    ("one", "other"), [("anna", "hanna"), ("anna", "anno"), ("", ""), ("__", "-"), ("漢字", "字漢")]
)
def test_names_that_differ_are_not(one: str, other: str) -> None:
    assert not confusable(one, other)


@given(st.text())
def test_any_name_has_a_skeleton_and_looks_like_itself(name: str) -> None:
    assert confusable(name, name) == bool(skeleton(name))


def test_a_display_name_is_one_short_line_without_hidden_marks() -> None:
    assert clean_name(" Carla\n\u202e(x)\u200b\x07 \u2028 e\u0301 ") == "Carla (x) é"
    assert clean_name("👩🏽" * 70) == "👩🏽" * 64


@pytest.mark.parametrize(
    "name",
    ["Carla (@carla · Discord)", "Carla ＠carla", "Carla · Matrix", "Stоrmo", "Stormo bot", "The Adm1n"],
)
def test_a_name_that_imitates_an_authors_line_or_the_coop_poses(name: str) -> None:
    assert poses(name)


@pytest.mark.parametrize("name", ["Anna Rossi", "Анна", "ジャン・ポール", "O’Hara-Smith", ""])
def test_an_ordinary_name_does_not_pose(name: str) -> None:
    assert not poses(name)
