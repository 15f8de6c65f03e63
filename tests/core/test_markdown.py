"""Markdown in and out: what people mean is understood, and what they did not mean never becomes markup."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.body import (
    Body,
    Code,
    CodeBlock,
    Emoji,
    Emphasis,
    Inline,
    Link,
    List,
    Mention,
    Paragraph,
    Quote,
    Spoiler,
    Strike,
    Strong,
    Text,
    Time,
    Underline,
)
from core.canonical import Dialect, normalise
from core.markdown import read_markdown, write_markdown
from core.text import plain
from core.types import AccountRef, Platform
from tests.core.bodies import bodies, texts

DIALECTS: list[Dialect] = ["commonmark", "discord"]
both = pytest.mark.parametrize("dialect", DIALECTS)


def paragraph(*children: Inline) -> Body:
    return Body((Paragraph(children),))


@both
@settings(max_examples=100, deadline=None)
@given(body=bodies)
def test_what_is_written_reads_back_as_the_same_body(dialect: Dialect, body: Body) -> None:
    assert read_markdown(write_markdown(body, dialect=dialect), dialect=dialect) == normalise(body, dialect)


@both
@settings(max_examples=100, deadline=None)
@given(text=texts)
def test_text_never_becomes_markup(dialect: Dialect, text: str) -> None:
    body = paragraph(Text(text))
    assert plain(read_markdown(write_markdown(body, dialect=dialect), dialect=dialect)) == plain(
        normalise(body)
    )


@settings(max_examples=100, deadline=None)
@given(body=bodies, dialect=st.sampled_from([None, *DIALECTS]))
def test_the_normal_form_of_a_normal_form_is_itself(body: Body, dialect: Dialect | None) -> None:
    once = normalise(body, dialect)
    assert normalise(once, dialect) == once
    assert normalise(once) == once


@both
@settings(max_examples=100, deadline=None)
@given(source=st.text("*_~|`\\[]()<>!#+-=.:&@ \nab1/", max_size=40) | texts)
def test_any_source_can_be_read_and_its_writing_means_the_same(dialect: Dialect, source: str) -> None:
    body = read_markdown(source, dialect=dialect)
    assert read_markdown(write_markdown(body, dialect=dialect), dialect=dialect) == normalise(body, dialect)


def test_discord_marks_mean_what_discord_shows() -> None:
    assert read_markdown("**b** *i* _i_ __u__ ~~s~~ ||p|| `c`", dialect="discord") == paragraph(
        Strong((Text("b"),)),
        Text(" "),
        Emphasis((Text("i"),)),
        Text(" "),
        Emphasis((Text("i"),)),
        Text(" "),
        Underline((Text("u"),)),
        Text(" "),
        Strike((Text("s"),)),
        Text(" "),
        Spoiler((Text("p"),)),
        Text(" "),
        Code("c"),
    )


def test_commonmark_reads_double_underscores_as_strong() -> None:
    assert read_markdown("__x__") == paragraph(Strong((Text("x"),)))


@both
def test_words_with_underscores_and_sums_stay_as_they_are(dialect: Dialect) -> None:
    assert read_markdown("snake_case_name 2 * 3 * 4", dialect=dialect) == paragraph(
        Text("snake_case_name 2 * 3 * 4")
    )


@both
def test_html_is_text_and_line_breaks_stay(dialect: Dialect) -> None:
    assert read_markdown("<b>x</b>\ny", dialect=dialect) == paragraph(Text("<b>x</b>\ny"))


@both
def test_a_heading_is_a_strong_paragraph(dialect: Dialect) -> None:
    assert read_markdown("# Birds", dialect=dialect) == paragraph(Strong((Text("Birds"),)))


@both
def test_only_safe_schemes_become_links(dialect: Dialect) -> None:
    assert read_markdown("[x](javascript:alert)", dialect=dialect) == paragraph(Text("[x](javascript:alert)"))
    assert read_markdown("[x](https://a.it)", dialect=dialect) == paragraph(
        Link("https://a.it", (Text("x"),))
    )


@both
def test_addresses_become_links_and_keep_their_underscores(dialect: Dialect) -> None:
    url = "https://a.it/one_two_three"
    assert read_markdown(f"see {url}.", dialect=dialect) == paragraph(
        Text("see "), Link(url, (Text(url),)), Text(".")
    )


def test_an_image_becomes_a_link() -> None:
    assert read_markdown("![a bird](https://a.it/b.png)") == paragraph(
        Link("https://a.it/b.png", (Text("a bird"),))
    )


@both
def test_quotes_lists_and_code(dialect: Dialect) -> None:
    source = "> q\n\n3. one\n4. two\n   - deep\n\n```py\nx = 1\n```"
    one, two, deep = (Paragraph((Text(word),)) for word in ("one", "two", "deep"))
    assert read_markdown(source, dialect=dialect) == Body(
        (
            Quote((Paragraph((Text("q"),)),)),
            List(((one,), (two, List(((deep,),)))), ordered=True, start=3),
            CodeBlock("x = 1", "py"),
        )
    )


def test_a_discord_quote_ends_with_its_line_and_a_long_one_with_the_message() -> None:
    q, after = Paragraph((Text("q"),)), Paragraph((Text("after"),))
    assert read_markdown("> q\nafter", dialect="discord") == Body((Quote((q,)), after))
    assert read_markdown(">>> q\n\nafter", dialect="discord") == Body((Quote((q, after)),))
    assert read_markdown(">q", dialect="discord") == paragraph(Text(">q"))


def test_discord_code_blocks_may_stand_in_a_line() -> None:
    before, after = Paragraph((Text("a"),)), Paragraph((Text("b"),))
    assert read_markdown("a ```x``` b", dialect="discord") == Body((before, CodeBlock("x"), after))
    assert read_markdown("```py\nx = 1```", dialect="discord") == Body((CodeBlock("x = 1", "py"),))


def test_discords_own_tokens() -> None:
    assert read_markdown("<@!42> <t:0:R> <a:wave:7>", dialect="discord") == paragraph(
        Mention("@42", account=AccountRef(Platform("discord"), "42")),
        Text(" "),
        Time(datetime(1970, 1, 1, tzinfo=UTC)),
        Text(" "),
        Emoji("wave"),
    )


def test_emphasis_inside_a_word_survives_where_commonmark_forbids_it() -> None:
    body = paragraph(Text("un"), Emphasis((Text("believ"),)), Text("able"))
    for dialect in DIALECTS:
        assert read_markdown(write_markdown(body, dialect=dialect), dialect=dialect) == body


@both
@pytest.mark.timeout(20)
@pytest.mark.parametrize("mark", ["*a ", "_a ", "[", "<"])
def test_hostile_repetition_is_read_as_the_text_it_is(dialect: Dialect, mark: str) -> None:
    source = (mark * 1000).strip()
    assert plain(read_markdown(source, dialect=dialect)) == source
