"""Long texts and several files as parts: nothing is lost, nothing too long, every formatting whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from bots.discord import render
from bots.matrix import show
from bots.telegram import showing
from core.body import Body, Code, CodeBlock, Link, List, Mention, Paragraph, Quote, Strong, Text
from core.canonical import normalise
from core.cut import borders, cut, spelled
from core.intents import Button, Capabilities, File, Form, View, Voice
from core.parts import MAX_PARTS, digest_of, length_of, parted, same_files, taken_of
from core.text import from_plain, plain
from tests.core.bodies import bodies

PLAIN = Capabilities(label="Plain", max_text=200, length_unit="utf16", files_per_message=1)
PLATFORMS = {
    "discord": Capabilities(
        label="Discord", max_text=4096, length_unit="codepoint", measure=render.measure, files_per_message=10
    ),
    "telegram": Capabilities(
        label="Telegram", max_text=4096, length_unit="utf16", measure=showing.measure, files_per_message=1
    ),
    "matrix": Capabilities(
        label="Matrix", max_text=30_000, length_unit="byte", measure=show.measure, files_per_message=1
    ),
}
FAST = settings(max_examples=80, deadline=None)


def number(i: int, of: int) -> str:
    return f"{i}/{of}"


def a_view(body: Body, **more: object) -> View:
    return replace(View(Voice.PERSON, body, author="Anna (@anna · Telegram)"), **more)  # type: ignore[arg-type]


def a_file(name: str) -> File:
    return File(digest=name, path=Path(name), mime="image/png", name=name, size=1)


def letters(text: str) -> str:
    return "".join(text.split())


def words(count: int) -> str:
    return " ".join(f"word{i}" for i in range(count))


# -- cutting -----------------------------------------------------------------------------------------------------


@FAST
@given(bodies.map(normalise), st.data())
def test_what_is_cut_reads_as_before(body: Body, data: st.DataObject) -> None:
    text = spelled(body)
    place = data.draw(st.integers(0, len(text)))
    head, tail = cut(body, place)
    assert letters(spelled(head)) + letters(spelled(tail)) == letters(text)
    assert letters(spelled(head)) == letters(text[:place])


@FAST
@given(bodies.map(normalise), st.integers(1, 80))
def test_a_cut_falls_between_characters_that_people_see(body: Body, room: int) -> None:
    text = spelled(body)
    if room >= len(text):
        return
    place = borders(body).best(room)
    assert 1 <= place <= room
    first = regex.match(r"\X", text)
    assert first is not None
    atomic = any(start < room < end for start, end in borders(body).whole)
    if first.end() <= room and not atomic:
        assert place in {match.end() for match in regex.finditer(r"\X", text)}


def test_a_cut_is_behind_a_paragraph_else_a_line_else_a_word() -> None:
    body = from_plain("one two\nthree four\n\nfive six seven")
    paragraph = len("one two\nthree four")
    assert borders(body).best(paragraph + 9) == paragraph
    assert borders(body).best(paragraph - 2) == len("one two\n")
    assert borders(from_plain("one two three")).best(10) == len("one two ")
    assert borders(from_plain("abcdefghij")).best(4) == 4


def test_formatting_is_closed_and_opened_again() -> None:
    link = Link("https://example.org/long", (Strong((Text("one two"),)),))
    head, tail = cut(Body((Quote((Paragraph((link,)),)),)), 4)
    assert head == Body((Quote((Paragraph((Link(link.url, (Strong((Text("one"),)),)),)),)),))
    assert tail == Body((Quote((Paragraph((Link(link.url, (Strong((Text("two"),)),)),)),)),))


def test_code_keeps_its_indentation_and_language() -> None:
    head, tail = cut(Body((CodeBlock("if x:\n    y()\n    z()", "py"),)), len("if x:\n"))
    assert head == Body((CodeBlock("if x:", "py"),))
    assert tail == Body((CodeBlock("    y()\n    z()", "py"),))


def test_a_list_goes_on_with_its_number() -> None:
    items = tuple((Paragraph((Text(word),)),) for word in ("one", "two", "three"))
    head, tail = cut(Body((List(items, ordered=True, start=4),)), len("onetwo"))
    assert head == Body((List(items[:2], ordered=True, start=4),))
    assert tail == Body((List(items[2:], ordered=True, start=6),))
    head, tail = cut(Body((List(items, ordered=True, start=4),)), len("onetw"))
    assert tail == Body((List(((Paragraph((Text("o"),)),), items[2]), ordered=True, start=5),))


def test_a_mention_is_not_cut() -> None:
    body = Body((Paragraph((Text("hello"), Mention("@anna rossi"), Text("there"))),))
    assert borders(body).best(8) == len("hello")


# -- parts -------------------------------------------------------------------------------------------------------


def test_a_short_text_is_one_part_as_it_is() -> None:
    view = a_view(from_plain("hello"), footer="3 votes", buttons=(Button("Undo", data="undo"),))
    assert parted(view, Form.FULL, PLAIN, number) == (view,)


def test_author_first_tally_last_and_numbers_on_each() -> None:
    view = a_view(from_plain(words(80)), footer="3 votes", buttons=(Button("Undo", data="undo"),))
    parts = parted(view, Form.FULL, PLAIN, number)
    n = len(parts)
    assert n > 3
    assert [part.author for part in parts] == [view.author] + [""] * (n - 1)
    assert [part.footer for part in parts] == [f"{i}/{n}" for i in range(1, n)] + [f"{n}/{n} · 3 votes"]
    assert [part.buttons for part in parts] == [()] * (n - 1) + [view.buttons]
    assert " ".join(plain(part.body) for part in parts) == words(80)


def test_a_tally_moves_no_cut() -> None:
    view = a_view(from_plain(words(80)))
    more = replace(view, footer="1,234 votes · +56 not members")
    bodies_ = [[part.body for part in parted(v, Form.FULL, PLAIN, number)] for v in (view, more)]
    assert bodies_[0] == bodies_[1]


def test_what_no_ten_parts_hold_ends_with_a_sign_of_it() -> None:
    parts = parted(a_view(from_plain(words(1000))), Form.FULL, PLAIN, number)
    assert len(parts) == MAX_PARTS
    assert plain(parts[-1].body).endswith("…")


def test_the_link_is_one_part() -> None:
    view = a_view(from_plain(words(80)), files=(a_file("a"),))
    assert parted(view, Form.LINK, PLAIN, number) == (replace(view, files=()),)


@FAST
@given(bodies.map(normalise), st.sampled_from(sorted(PLATFORMS)), st.sampled_from([Form.FULL, Form.PLAIN]))
def test_on_each_platform_nothing_is_lost_and_every_part_fits(body: Body, name: str, form: Form) -> None:
    can = PLATFORMS[name]
    # The same words over and over, until no single message holds them.
    long = normalise(Body(body.blocks * (9000 // max(len(spelled(body)), 300) + 1)))
    parts = parted(a_view(long), form, can, number)
    if len(parts) < MAX_PARTS:
        assert "".join(letters(spelled(part.body)) for part in parts) == letters(spelled(long))
    for part in parts:
        taken, room = taken_of(part, form, can)
        assert taken <= room
    for part in parts[:-1] if 1 < len(parts) < MAX_PARTS else ():
        taken, room = taken_of(part, form, can)
        assert taken > room // 8, "a part that is nearly empty"


@pytest.mark.parametrize(("name", "most"), [("telegram", 3), ("discord", 3), ("matrix", 1)])
def test_nine_thousand_characters(name: str, most: int) -> None:
    text = "\n\n".join(words(60) for _ in range(22))[:9000].rstrip()
    parts = parted(a_view(from_plain(text)), Form.FULL, PLATFORMS[name], number)
    assert len(parts) == most
    assert "\n\n".join(plain(part.body) for part in parts) == text
    for part in parts:
        assert render.message(part, Form.FULL) if name == "discord" else True
        assert showing.compose(part, Form.FULL, keyboard=False) if name == "telegram" else True
        assert show.message(part, Form.FULL, "@stormo:example.org") if name == "matrix" else True


# -- files -------------------------------------------------------------------------------------------------------


def test_files_stand_with_the_words_while_they_fit_and_then_alone() -> None:
    files = tuple(a_file(name) for name in "abc")
    parts = parted(
        a_view(from_plain("look"), files=files, footer="1 vote"), Form.FULL, PLATFORMS["telegram"], number
    )
    assert [part.files for part in parts] == [(file,) for file in files]
    assert [part.footer for part in parts] == ["1/3 · 1 vote", "2/3", "3/3"]
    assert [plain(part.body) for part in parts] == ["look", "", ""]
    (together,) = parted(a_view(from_plain("look"), files=files), Form.FULL, PLATFORMS["discord"], number)
    assert together.files == files


def test_words_too_long_for_a_caption_stand_before_the_file() -> None:
    view = a_view(from_plain(words(300)), files=(a_file("a"),))
    parts = parted(view, Form.FULL, PLATFORMS["telegram"], number)
    assert [(bool(part.body.blocks), len(part.files)) for part in parts] == [(True, 0), (False, 1)]


def test_files_without_words_have_their_author_with_the_first() -> None:
    view = a_view(Body(), files=(a_file("a"), a_file("b")))
    parts = parted(view, Form.FULL, PLATFORMS["telegram"], number)
    assert [(part.author, len(part.files)) for part in parts] == [(view.author, 1), ("", 1)]


def test_a_place_without_files_shows_the_words() -> None:
    nothing = Capabilities(label="x", max_text=200, length_unit="utf16")
    (only,) = parted(a_view(from_plain("look"), files=(a_file("a"),)), Form.FULL, nothing, number)
    assert only.files == ()


# -- what a message shows, in short -------------------------------------------------------------------------------


def test_digests_tell_files_and_words_apart() -> None:
    view = a_view(from_plain("one"))
    other = replace(view, body=from_plain("two"))
    with_file = replace(view, files=(a_file("a"),))
    digests = [digest_of(v, Form.FULL) for v in (view, other, with_file)]
    assert len(set(digests)) == 3
    assert same_files(digests[0], digests[1])
    assert not same_files(digests[0], digests[2])
    assert digest_of(view, Form.PLAIN) != digests[0]
    assert digest_of(a_view(from_plain("one")), Form.FULL) == digests[0]


@pytest.mark.parametrize(("unit", "length"), [("utf16", 3), ("byte", 5), ("codepoint", 2)])
def test_lengths_are_counted_in_the_platforms_unit(unit: str, length: int) -> None:
    assert length_of("a👍", unit) == length


def test_code_that_is_cut_is_code_on_both_sides() -> None:
    head, tail = cut(Body((Paragraph((Code("one two"),)),)), 4)
    assert head == Body((Paragraph((Code("one "),)),))
    assert tail == Body((Paragraph((Code("two"),)),))


def test_another_description_is_an_edit_and_another_file_is_not() -> None:
    file = File(digest="d", path=Path("d"), mime="image/png", name="a.png", size=1)
    view = View(voice=Voice.PERSON, body=Body(), files=(file,))
    described = replace(view, files=(replace(file, alt="Two swifts"),))
    other = replace(view, files=(replace(file, digest="e"),))
    digests = [digest_of(each, Form.FULL) for each in (view, described, other)]
    assert len(set(digests)) == 3
    assert same_files(digests[0], digests[1])
    assert not same_files(digests[0], digests[2])
