"""Bodies are kept whole, cut kindly, and their tags and handles are found."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import cast

import pytest
import regex
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.body import (
    Body,
    Code,
    CodeBlock,
    Emoji,
    Inline,
    Link,
    List,
    Mention,
    Paragraph,
    Quote,
    Spoiler,
    Strong,
    Tag,
    Text,
    Time,
    from_json,
    to_json,
)
from core.canonical import find_url, linkifier, normalise
from core.tags import fold_tag, mentions, resolve, tags
from core.text import first_words, from_plain, is_empty, plain, without_prefix
from core.types import AccountRef, MemberId, Platform
from tests.conftest import SHARED
from tests.core.bodies import bodies

Case = dict[str, object]


def paragraph(*children: Inline) -> Body:
    return Body((Paragraph(children),))


@settings(max_examples=100, deadline=None)
@given(body=bodies)
def test_stored_bodies_come_back_as_they_were(body: Body) -> None:
    assert from_json(to_json(body)) == body


@settings(max_examples=300, deadline=None)
@given(body=bodies)
def test_the_stored_form_is_the_compact_json_of_any_encoder(body: Body) -> None:
    stored = to_json(body)
    assert json.dumps(json.loads(stored), ensure_ascii=False, separators=(",", ":")) == stored


@given(text=st.text(st.characters(exclude_categories=[])))
def test_text_is_stored_as_any_encoder_writes_it(text: str) -> None:
    words = json.dumps(text, ensure_ascii=False).encode("utf-8", "replace").decode()
    assert to_json(paragraph(Text(text))) == f'{{"v":1,"b":[{{"t":"p","c":[{words}]}}]}}'


def test_half_a_character_does_not_spoil_the_stored_form() -> None:
    assert from_json(to_json(paragraph(Text("a\ud83d")))) == paragraph(Text("a?"))


def test_the_stored_form_is_compact_and_stable() -> None:
    body = Body(
        (
            Paragraph((Text("hi "), Strong((Tag("birds"),)), Mention("@anna", MemberId(2**60)))),
            List(((Paragraph((Time(datetime(2026, 1, 2, tzinfo=UTC)),)),),), ordered=True, start=2),
            CodeBlock("x", "py"),
        )
    )
    assert to_json(body) == (
        '{"v":1,"b":[{"t":"p","c":["hi ",{"t":"strong","c":[{"t":"tag","x":"birds"}]},'
        '{"t":"mention","x":"@anna","member":"1152921504606846976"}]},'
        '{"t":"list","items":[[{"t":"p","c":[{"t":"time","at":"2026-01-02T00:00:00+00:00"}]}]],"ordered":true,"start":2},'
        '{"t":"pre","x":"x","lang":"py"}]}'
    )


def test_nodes_of_a_newer_version_fall_back_to_their_words() -> None:
    newer = (
        '{"v":2,"b":[{"t":"poll","c":["who?",{"t":"glow","c":["me"]},{"t":"sum","x":"2"}]},'
        '{"t":"box","c":[{"t":"p","c":["in"]}]},{"t":"picture"}]}'
    )
    assert from_json(newer) == Body(
        (Paragraph((Text("who?"), Text("me"), Text("2"))), Paragraph((Text("in"),)))
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"v":1}',
        '{"v":0,"b":[]}',
        '{"v":true,"b":[]}',
        '{"v":1,"b":[1]}',
        '{"v":1,"b":[{"t":"poll"}]}',
        '{"v":1,"b":[{"t":"p","c":[{"t":"time","at":"2026-01-01"}]}]}',
        '{"v":1,"b":[{"t":"p","c":[{"t":"mention","x":"@a","account":["x"]}]}]}',
        '{"v":1,"b":[{"t":["p"]}]}',
        '{"v":1,"b":' + '[{"t":"quote","c":' * 200 + "[]" + "}]" * 200 + "}",
        "[" * 100_000,
    ],
)
def test_malformed_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        from_json(text)


def test_plain_text_keeps_the_structure_readable() -> None:
    a, b = Paragraph((Text("a"),)), Paragraph((Text("b\nc"),))
    link = Paragraph((Link("https://a.it", (Text("here"),)), Link("https://b.it", (Text("https://b.it"),))))
    body = Body((a, Quote((a, b)), List(((a,), (b, a)), ordered=True, start=9), CodeBlock("x  y"), link))
    assert plain(body) == (
        "a\n\n> a\n>\n> b\n> c\n\n9. a\n10. b\n    c\n\n    a\n\nx  y\n\nhere (https://a.it)https://b.it"
    )


def test_leaves_are_shown_as_words() -> None:
    body = paragraph(
        Tag("t"), Mention("@a"), Time(datetime(2026, 1, 2, 3, 4, tzinfo=UTC)), Emoji("wave"), Emoji("👋")
    )
    assert plain(body) == "#t@a2026-01-02 03:04 UTC:wave:👋"


def test_spoilers_can_stay_hidden() -> None:
    body = paragraph(Text("he "), Spoiler((Text("di👨‍👩‍👧 x"),)))
    assert plain(body) == "he di👨‍👩‍👧 x"
    assert plain(body, hide_spoilers=True) == "he ▒▒▒ ▒"


def test_first_words_end_between_words_and_never_inside_a_character() -> None:
    assert first_words(from_plain("short"), 5) == "short"
    assert first_words(from_plain("one two\nthree four"), 12) == "one two…"
    assert first_words(from_plain("👨‍👩‍👧" * 5), 3) == "👨‍👩‍👧" * 2 + "…"
    assert first_words(paragraph(Spoiler((Text("secret"),))), 9) == "▒" * 6


@given(body=bodies, graphemes=st.integers(0, 30))
@settings(max_examples=150, deadline=None)
def test_first_words_fit(body: Body, graphemes: int) -> None:
    assert len(regex.findall(r"\X", first_words(body, graphemes))) <= graphemes


def test_plain_text_becomes_paragraphs_and_links_but_no_markup() -> None:
    assert from_plain(" *a*\nb \n\n\n see https://a.it ") == Body(
        (
            Paragraph((Text("*a*\nb"),)),
            Paragraph((Text("see "), Link("https://a.it", (Text("https://a.it"),)))),
        )
    )


def test_what_shows_nothing_is_empty() -> None:
    blank = Paragraph((Text(" \u200b\n"),))
    assert is_empty(Body())
    assert is_empty(Body((blank, Quote((blank,)), List(((blank,),)))))
    assert not is_empty(paragraph(Spoiler((Emoji("👋"),))))
    assert not is_empty(Body((CodeBlock("x"),)))


def test_what_begins_with_a_letter_or_digit_is_not_empty() -> None:
    """Python tells these by its own tables, and the rest is told by the tables of ``regex``."""
    letters = "".join(filter(str.isalnum, map(chr, range(0x110000))))
    assert regex.search(r"[\p{Z}\p{C}]", letters) is None


def test_the_word_of_a_flag_can_be_taken_off() -> None:
    rest = Paragraph((Text("more"),))
    body = Body((Paragraph((Strong((Text("public Hel"),)), Text("lo "), Code("x"))), rest))
    assert without_prefix(body, 6) == Body(
        (Paragraph((Strong((Text("Hel"),)), Text("lo "), Code("x"))), rest)
    )
    assert without_prefix(body, 11) == Body((Paragraph((Text("o "), Code("x"))), rest))
    assert without_prefix(body, 99) == Body((rest,))
    assert without_prefix(Body((CodeBlock("public"),)), 6) == Body((CodeBlock("public"),))
    assert without_prefix(Body(), 6) == Body()
    assert without_prefix(body, 0) == body
    blanks = Paragraph((Text(""), Text("  "), Text(" more")))
    assert without_prefix(Body((blanks,)), 0) == Body((rest,))


def test_tags_and_handles_of_the_text_become_nodes() -> None:
    body = paragraph(Text("hi @Anna, see #Birds"), Code("#no"), Link("https://a.it", (Text("#no @no1"),)))
    found = resolve(body)
    assert found == paragraph(
        Text("hi "),
        Mention("@Anna"),
        Text(", see "),
        Tag("Birds"),
        Code("#no"),
        Link("https://a.it", (Text("#no @no1"),)),
    )
    assert (tags(found), mentions(found)) == (("birds",), ("anna",))
    assert resolve(found) == found


@settings(max_examples=100, deadline=None)
@given(body=bodies)
def test_a_body_without_further_names_is_not_built_anew(body: Body) -> None:
    found = resolve(body)
    assert found != body or found is body


_SIGNS = st.text("#\uff03@\uff20ab1_é\ufe0f\u20e3&:.!rt字 \n\u200c", max_size=30)


@settings(max_examples=150, deadline=None)
@given(text=_SIGNS)
def test_names_are_found_alike_in_text_that_holds_an_address_and_in_text_that_holds_none(text: str) -> None:
    """The two are looked through in different ways."""
    without = resolve(paragraph(Text(text + " -")))
    assert resolve(paragraph(Text(text + " ://"))) == Body(
        tuple(Paragraph((*p.children[:-1], Text(_slashed(p.children[-1])))) for p in _paragraphs(without))
    )


@settings(max_examples=150, deadline=None)
@given(text=st.text("#@ab1_&:/.!-+$~rtRT [", max_size=30))
def test_names_are_found_alike_in_ascii_and_beside_other_letters(text: str) -> None:
    """The two are looked through with different expressions."""
    ascii_, other = (resolve(paragraph(Text(f"{text} {end}"))) for end in ("|", "字"))
    assert (tags(ascii_), mentions(ascii_)) == (tags(other), mentions(other))


@settings(max_examples=150, deadline=None)
@given(text=_SIGNS)
def test_names_are_found_alike_in_a_lone_text_and_beside_others(text: str) -> None:
    """The one has a shorter way."""
    alone, other = Paragraph((Text(text),)), Paragraph((Text("x"),))
    assert (*resolve(Body((alone,))).blocks, other) == resolve(Body((alone, other))).blocks


def _paragraphs(body: Body) -> list[Paragraph]:
    return [block for block in body.blocks if isinstance(block, Paragraph)]


def _slashed(last: Inline) -> str:
    assert isinstance(last, Text)
    return last.text.removesuffix("-") + "://"


_SCHEMES = st.sampled_from(
    ["http:", "https:", "HTTP:", "http\u017f:", "mailto:", "//", "http://a.it", "a@b.it", ":", "_"]
)


@settings(max_examples=150, deadline=None)
@given(text=st.lists(_SCHEMES | st.text(max_size=3), max_size=8).map("".join))
def test_an_address_stands_where_the_linkifier_finds_it_in_the_whole_text(text: str) -> None:
    found = linkifier().match(text)
    assert find_url(text) == ((found[0].index, found[0].last_index) if found else None)


@settings(max_examples=150, deadline=None)
@example(text="::\r\n:", cut=3)
@given(text=st.text("ab \t\n\r\v\x00\x1c\xa0\u200b\u2028:/hts.mailto@", max_size=30), cut=st.integers(0, 30))
def test_text_in_two_pieces_is_the_text(text: str, cut: int) -> None:
    assert normalise(paragraph(Text(text[:cut]), Text(text[cut:]))) == from_plain(text)


def test_tags_and_handles_are_listed_once_and_foreign_accounts_are_no_handles() -> None:
    foreign = Mention("@anna", account=AccountRef(Platform("discord"), "1"))
    body = Body((Quote((Paragraph((Tag("Ａ"), Tag("a"), Tag("STRASSE"), Tag("straße"), foreign)),)),))
    assert (tags(body), mentions(body)) == (("a", "strasse"), ())
    assert fold_tag("#Ｃafé") == fold_tag("cafe\u0301")


@pytest.mark.parametrize(
    "text",
    [
        "@ab",
        "@" + "x" * 21,
        "me@anna.it",
        "@anna:matrix.org",
        "@anna@a.social",
        "@anna.bsky.social",
        "@annaé",
    ],
)
def test_what_is_no_handle_of_ours_stays_text(text: str) -> None:
    assert mentions(resolve(from_plain(text))) == ()


def _conformance(*groups: str) -> list[Case]:
    path = SHARED / "data" / "twitter-text" / "extract.yml"
    if not path.exists():
        return []
    cases = yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]
    return [case for group in groups for case in cast("list[Case]", cases[group])]


@pytest.mark.skipif(not _conformance("hashtags"), reason="the conformance data of twitter-text is not here")
def test_hashtags_are_those_of_twitter_text() -> None:
    # No exceptions: every hashtag case holds.
    for case in _conformance("hashtags", "hashtags_from_astral"):
        found = resolve(paragraph(Text(str(case["text"])))).blocks[0]
        assert isinstance(found, Paragraph)
        assert [node.text for node in found.children if isinstance(node, Tag)] == case["expected"], case[
            "description"
        ]


@pytest.mark.skipif(not _conformance("mentions"), reason="the conformance data of twitter-text is not here")
def test_handles_are_found_where_twitter_text_finds_them() -> None:
    # No exceptions: all its names fit our three to twenty characters.
    for case in _conformance("mentions"):
        found = resolve(paragraph(Text(str(case["text"]))))
        assert list(mentions(found)) == case["expected"], case["description"]
