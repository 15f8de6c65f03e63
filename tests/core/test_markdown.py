"""Markdown in and out: what people write is understood, and what they did not mean as markup never becomes it."""

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
@settings(max_examples=400, deadline=None)
@given(body=bodies)
def test_what_is_written_reads_back_as_the_same_body(dialect: Dialect, body: Body) -> None:
    assert read_markdown(write_markdown(body, dialect=dialect), dialect=dialect) == normalise(body, dialect)


@both
@settings(max_examples=300, deadline=None)
@given(text=texts)
def test_text_never_becomes_markup(dialect: Dialect, text: str) -> None:
    body = paragraph(Text(text))
    assert plain(read_markdown(write_markdown(body, dialect=dialect), dialect=dialect)) == plain(normalise(body))


@settings(max_examples=300, deadline=None)
@given(body=bodies, dialect=st.sampled_from([None, *DIALECTS]))
def test_the_normal_form_of_a_normal_form_is_itself(body: Body, dialect: Dialect | None) -> None:
    once = normalise(body, dialect)
    assert normalise(once, dialect) == once
    assert normalise(once) == once


@both
@settings(max_examples=300, deadline=None)
@given(source=st.text("*_~|`\\[]()<>!#+-=.:&@ \nab1/", max_size=40) | texts)
def test_any_source_can_be_read_and_its_writing_means_the_same(dialect: Dialect, source: str) -> None:
    body = read_markdown(source, dialect=dialect)
    assert read_markdown(write_markdown(body, dialect=dialect), dialect=dialect) == normalise(body, dialect)
