"""What the documents for people promise is there: links lead somewhere, commands exist, references are what is."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.commands import COMMANDS
from stormo.cli import parser
from stormo.config import SECTIONS
from stormo.config_page import EXAMPLE, PAGE, descriptions, page
from stormo.platforms import COMMON, PLATFORMS
from tests.conftest import ROOT

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
#: A command line of ours: a line of a block of code, or all of a piece of code inside a text.
_CALL = re.compile(r"^(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?stormo ([a-z][a-z-]*)((?: \S+)*)")
_CHAT = re.compile(r"^/([a-z]+)(?: ([a-z]+))?(?![\w/.?=-])")
#: What begins with a slash and is no command of ours: paths of addresses, commands of other bots.
_NOT_OURS = {"p", "playground", "healthz", "readyz", "metrics", "newbot", "mybots", "start"}
#: A command that a how-to invents while it explains how to add one.
_INVENTED = {"pin"}
#: It speaks of paths of the platforms' addresses, which look the same.
_DOUBLES = ROOT / "docs" / "reference" / "doubles.md"

every_page = pytest.mark.parametrize("file", PAGES, ids=lambda file: str(file.relative_to(ROOT)))


def _code(text: str) -> Iterator[str]:
    """Lines of indented and fenced blocks, and what stands between back-ticks."""
    for block in re.findall(r"^```[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield from (line.strip() for line in block.splitlines())
    rest = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    yield from (line.strip() for line in re.findall(r"^ {4,}(.+)$", rest, re.MULTILINE))
    yield from (" ".join(piece.split()) for piece in re.findall(r"`([^`]+)`", rest))


def _anchors(text: str) -> set[str]:
    """As GitHub makes them from headings."""
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@every_page
def test_every_link_of_a_page_leads_somewhere(file: Path) -> None:
    for target in _LINK.findall(file.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        there = file.parent / name if name else file
        assert there.exists(), target
        if anchor:
            assert anchor in _anchors(there.read_text(encoding="utf-8")), target


def _subcommands() -> dict[str, argparse.ArgumentParser]:
    actions = parser(lambda id_: id_)._subparsers
    assert actions is not None
    found = next(a for a in actions._group_actions if isinstance(a, argparse._SubParsersAction))
    return dict(found.choices)


@every_page
def test_every_command_line_named_on_a_page_exists(file: Path) -> None:
    known = _subcommands()
    for code in _code(file.read_text(encoding="utf-8")):
        if call := _CALL.match(code):
            assert call[1] in known, code
            flags = set(re.findall(r"(?<= )--?[a-z][a-z-]*", call[2]))
            assert flags <= set(known[call[1]]._option_string_actions), code


@pytest.mark.parametrize(
    "file", [f for f in PAGES if f != _DOUBLES], ids=lambda file: str(file.relative_to(ROOT))
)
def test_every_chat_command_named_on_a_page_exists(file: Path) -> None:
    known = {spec.name: {verb.name for verb in spec.verbs} for spec in COMMANDS}
    for code in _code(file.read_text(encoding="utf-8")):
        if (named := _CHAT.match(code)) and named[1] not in _NOT_OURS | _INVENTED:
            assert named[1] in known, code
            assert not known[named[1]] or not named[2] or named[2] in known[named[1]], code


def test_every_page_can_be_found_from_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / t).resolve() for t in _LINK.findall(index.read_text(encoding="utf-8"))}
    folders = {there for there in linked if there.is_dir()}
    for file in PAGES:
        inside = ROOT / "docs" in file.parents and file != index
        assert not inside or file in linked or file.parent in folders, file


def test_the_reference_of_the_config_is_generated_from_its_declarations() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m stormo.config_page"


def test_the_example_shows_every_key_and_no_other() -> None:
    shown = set(descriptions(EXAMPLE.read_text(encoding="utf-8")))
    known = {(section, key.name) for section, keys in SECTIONS.items() for key in keys}
    known |= {(entry.name, key.name) for entry in PLATFORMS for key in (*entry.keys, *COMMON)}
    assert shown == known
