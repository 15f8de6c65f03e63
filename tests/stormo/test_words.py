"""People read sentences in their language: complete, with the right numbers and times, and never a crash."""

from __future__ import annotations

import ast
import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from core.commands import COMMANDS, CommandSpec
from core.errors import Message, Secret, message
from core.types import Visibility
from stormo.words import Catalogue
from tests.syntax import tree

ROOT = Path(__file__).resolve().parents[2]
PLACE = re.compile(r"\{[^}]*\}")
ID = re.compile(r"[a-z_]+(\.[a-z_]+)+")
HEAD = r"""
msgid ""
msgstr ""
"Content-Type: text/plain; charset=utf-8\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\n"
"""
ENGLISH = """
msgid "sheep"
msgid_plural "sheep"
msgstr[0] "{n} sheep"
msgstr[1] "{n} flocks, {name}"

msgid "at"
msgstr "at {when}"

msgid "wrapped"
msgstr "so: {what}"

msgid "only.english"
msgstr "only here"
"""
ITALIAN = """
msgid "sheep"
msgid_plural "sheep"
msgstr[0] "{n} pecora"
msgstr[1] "{n} pecore, {name}"

msgid "at"
msgstr "il {when}"

msgid "wrapped"
msgstr "ecco: {what}"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "en.po").write_text(HEAD + ENGLISH, encoding="utf-8")
    (tmp_path / "it.po").write_text(HEAD + ITALIAN, encoding="utf-8")
    return tmp_path


@pytest.fixture
def words(folder: Path) -> Catalogue:
    return Catalogue(folder, strict=True)


def test_the_count_chooses_the_form_and_is_written_as_the_reader_writes_numbers(words: Catalogue) -> None:
    assert words(message("sheep", n=1), "it") == "1 pecora"
    assert words(message("sheep", n=12345, name="Anna"), "it") == "12.345 pecore, Anna"
    assert words(message("sheep", n=12345, name="Anna"), "en") == "12,345 flocks, Anna"


def test_times_are_in_the_readers_language_and_zone(words: Catalogue) -> None:
    at = message("at", when=datetime(2026, 3, 5, 21, 4, tzinfo=UTC))
    assert words(at, "it", ZoneInfo("Europe/Rome")) == "il 5 mar 2026, 22:04"
    assert words(at, "en") == "at Mar 5, 2026, 21:04 UTC"


def test_a_message_inside_a_message_is_in_the_same_language(words: Catalogue) -> None:
    assert words(message("wrapped", what=message("sheep", n=1)), "it") == "ecco: 1 pecora"


def test_what_people_wrote_is_never_read_as_a_placeholder(words: Catalogue) -> None:
    assert words(message("wrapped", what="{what} {0.__class__} %s"), "en") == "so: {what} {0.__class__} %s"


def test_english_stands_in_for_a_missing_translation_and_an_unknown_language(words: Catalogue) -> None:
    assert words(message("only.english"), "it") == "only here"
    assert words(message("only.english"), "xx") == "only here"


def test_an_unknown_id_is_an_error_in_tests(words: Catalogue) -> None:
    for missing in (message("nobody.wrote"), message("sheep", n=2), message("wrapped", what=Secret("n"))):
        with pytest.raises(LookupError):
            words(missing, "en")


def test_an_unknown_id_is_shown_in_brackets_and_logged_once(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = Catalogue(folder)
    with caplog.at_level(logging.ERROR):
        assert [words(message("nobody.wrote"), "it") for _ in range(3)] == ["[nobody.wrote]"] * 3
    assert [record.getMessage() for record in caplog.records] == ["no words for nobody.wrote"]


def test_a_secret_that_was_not_opened_is_never_shown(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert "nonce7" not in Catalogue(folder)(message("wrapped", what=Secret("nonce7")), "en")
    assert "nonce7" not in caplog.text


def test_the_first_known_wish_is_the_language(words: Catalogue) -> None:
    assert words.languages == ("en", "it")
    assert words.choose(None, "de", "it-CH", "en") == "it"
    assert words.choose("pt_BR") == "en"


@pytest.fixture(scope="module")
def real() -> Catalogue:
    return Catalogue(strict=True)


def test_both_languages_say_the_same_things_with_the_same_arguments(real: Catalogue) -> None:
    english, italian = real.ids("en"), real.ids("it")
    assert set(english) == set(italian)
    for id_, forms in english.items():
        places = [sorted(set(PLACE.findall(form))) for form in (*forms, *italian[id_])]
        assert places == [places[0]] * len(places), id_
        assert all(re.fullmatch(r"\{[a-z_]+\}", place) for place in places[0]), id_
        assert len(forms) == len(italian[id_]), id_


def _command_ids(spec: CommandSpec, path: str) -> Iterator[str]:
    yield path
    for arg in spec.args:
        yield f"{path}.arg.{arg.name}"
        yield from (f"{path}.arg.{arg.name}.{choice}" for choice in arg.choices)
    for verb in spec.verbs:
        yield from _command_ids(verb, f"{path}.{verb.name}")


def test_every_command_argument_and_choice_has_its_help_and_no_other_has(real: Catalogue) -> None:
    wanted = {id_ for spec in COMMANDS for id_ in _command_ids(spec, f"command.{spec.name}")}
    assert {id_ for id_ in real.ids("en") if id_.startswith("command.")} == wanted


def test_help_fits_into_discords_hundred_characters(real: Catalogue) -> None:
    for language in real.languages:
        long = [
            id_
            for id_, (form, *_) in real.ids(language).items()
            if id_.startswith("command.") and len(form) > 100
        ]
        assert not long, language


def test_every_visibility_has_a_name(real: Catalogue) -> None:
    names = [real(Message(f"visibility.{visibility}"), "it") for visibility in Visibility]
    assert names == ["solo questa stanza", "la tua comunità", "tutti"]


def _sources() -> Iterator[tuple[str, ast.Module]]:
    for layer in ("core", "bots", "storage", "web", "stormo"):
        for path in sorted((ROOT / layer).rglob("*.py")):
            yield str(path.relative_to(ROOT)), tree(path)


SAID = re.compile(r"""\bsay\(\s*["']([a-z_]+(?:\.[a-z_]+)+)["']""")


def _templates() -> Iterator[tuple[str, str]]:
    """Every id that a page's template says, with the template."""
    for path in sorted((ROOT / "web").rglob("*.html")):
        yield from (
            (str(path.relative_to(ROOT)), id_) for id_ in SAID.findall(path.read_text(encoding="utf-8"))
        )


#: What makes a message of an id and keywords, by its bare name.
MAKERS = {"Refusal", "WrongCode", "Message", "message", "say", "brief", "openly", "words"}
#: Shown through ``core.views.Views.notice_view``, which knows the sign that begins a command.
NOTICES = (
    "core/civic/",
    "core/social/",
    "core/commands.py",
    "core/dispatch.py",
    "core/engine.py",
    "core/notices.py",
)


def _made(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    """The ids that this module spells out where it makes a message, with the call that makes it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args:
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in MAKERS:
                yield from ((id_, node) for id_ in _chosen(node.args[0]))


def _chosen(id_: ast.expr) -> Iterator[str]:
    """One id, or each of those between which a condition chooses."""
    if isinstance(id_, ast.Constant) and isinstance(id_.value, str):
        yield id_.value
    elif isinstance(id_, ast.IfExp):
        yield from (*_chosen(id_.body), *_chosen(id_.orelse))


def _patterns(tree: ast.Module) -> Iterator[str]:
    """Ids as far as the source says them: constants, and f-strings that begin with an id's first word."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and ID.fullmatch(node.value):
            yield re.escape(node.value)
        if isinstance(node, ast.JoinedStr) and re.match(r"[a-z_]+\.", _part(node.values[0], "")):
            yield "".join(re.escape(_part(part, "")) or "[a-z_.-]+" for part in node.values)


def _part(part: ast.expr, gap: str) -> str:
    return part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else gap


def test_every_message_that_the_code_makes_has_words(real: Catalogue) -> None:
    missing = {
        (path, id_) for path, code in _sources() for id_, _ in _made(code) if id_ not in real.ids("en")
    }
    missing |= {(path, id_) for path, id_ in _templates() if id_ not in real.ids("en")}
    assert not missing, "\n".join(f"{id_}  ({path})" for path, id_ in sorted(missing))


def test_every_placeholder_is_filled_where_the_message_is_made(real: Catalogue) -> None:
    empty = {
        f"{id_}: {place}  ({path}:{call.lineno})"
        for path, code in _sources()
        for id_, call in _made(code)
        for place in {place[1:-1] for place in PLACE.findall(" ".join(real.ids("en").get(id_, ())))}
        if place not in _given(call, path)
    }
    assert not empty, "\n".join(sorted(empty))


def _given(call: ast.Call, path: str) -> set[str]:
    """Names of the arguments, as keywords or as a literal mapping."""
    given = {keyword.arg for keyword in call.keywords if keyword.arg}
    for args in call.args[1:]:
        if isinstance(args, ast.Dict):
            given |= {
                key.value for key in args.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)
            }
    return given | ({"p"} if path.startswith(NOTICES) else set())


def test_no_words_are_left_over_that_the_code_never_says(real: Catalogue) -> None:
    patterns = {pattern for _, code in _sources() for pattern in _patterns(code)}
    said = re.compile("|".join(patterns | {re.escape(id_) for _, id_ in _templates()} | {"command\\..+"}))
    assert [id_ for id_ in real.ids("en") if not said.fullmatch(id_)] == []
