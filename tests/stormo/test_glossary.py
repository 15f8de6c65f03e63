"""Somebody who looks a word up in the glossary finds it in the code where the glossary says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| ([^|]+) \| .* \| ([^|]+) \|$", re.MULTILINE)
PLACES = [
    (term, place)
    for term, place in ROW.findall((ROOT / "docs" / "GLOSSARY.md").read_text(encoding="utf-8"))
    if term != "Term"
]


@pytest.mark.parametrize(("term", "place"), PLACES, ids=[term for term, _ in PLACES])
def test_the_code_keeps_the_word_where_the_glossary_says(term: str, place: str) -> None:
    if place == "later":
        return
    file, name = re.fullmatch(r"`([^`]+)` `([^`]+)`", place).groups()  # type: ignore[union-attr]
    found = re.search(rf"\b{re.escape(name)}\b", (ROOT / file).read_text(encoding="utf-8"))
    assert found, f"{term}: no {name} in {file}"


def test_each_word_is_explained_once() -> None:
    terms = [term for term, _ in PLACES]
    assert sorted(set(terms)) == sorted(terms)
    assert len(terms) > 50
