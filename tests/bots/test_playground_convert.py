"""What the playground shows of a view, and what it makes of people's words."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.playground.convert import (
    Act,
    Command,
    Shown,
    command_of,
    cut,
    edited,
    invoked,
    reacted,
    said,
    show,
    toast,
    typed,
)
from bots.playground.looks import DISCORD, LOOKS, MATRIX, TELEGRAM, Look
from bots.playground.markup import to_html
from core.body import Body, Link, Paragraph, Spoiler, Strong, Tag, Text
from core.errors import Rejected, RejectedWhy
from core.events import (
    Actor,
    CommandEdited,
    CommandInvoked,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    Place,
    ReactionChanged,
)
from core.intents import Button, Form, View, Voice
from core.text import from_plain, plain
from core.types import AccountRef, ChatRef, MessageRef
from tests.core.bodies import bodies

AT = datetime(2026, 6, 1, 12, tzinfo=UTC)


def act(look: Look, *, private: bool = False) -> Act:
    return Act(
        look=look,
        key="k",
        at=AT,
        place=Place(chat=ChatRef(look.platform, "r"), title="Room", private=private),
        actor=Actor(account=AccountRef(look.platform, "anna"), name="Anna", username="anna"),
    )


def ref(look: Look, key: str = "m1") -> MessageRef:
    return MessageRef(ChatRef(look.platform, "r"), key)


def test_a_persons_post_is_a_card_on_discord_with_author_and_footer() -> None:
    body = Body((Paragraph((Strong((Text("Hi"),)), Text(" <all> "), Tag("birds"))),))
    view = View(
        Voice.PERSON,
        body,
        author="Anna (@anna · Telegram)",
        footer="1 vote",
        buttons=(Button("Undo", data="undo:1"),),
        text_command="/delete",
        link="https://example.org/p/1",
    )
    assert show(view, Form.FULL, DISCORD) == Shown(
        html='<p><strong>Hi</strong> &lt;all&gt; <span class="tag">#birds</span></p>',
        text="Hi <all> #birds",
        author="Anna (@anna · Telegram)",
        footer="1 vote",
        buttons=(Button("Undo", data="undo:1"),),
        link="https://example.org/p/1",
        frame=True,
    )


def test_matrix_shows_the_typed_command_where_others_have_buttons() -> None:
    buttons = (Button("Yes", data="link:yes"),)
    view = View(Voice.BOT, from_plain("Is that you?"), buttons=buttons, text_command="!link yes")
    assert show(view, Form.FULL, TELEGRAM).buttons == buttons
    assert show(view, Form.FULL, TELEGRAM).command == ""
    shown = show(view, Form.FULL, MATRIX)
    assert (shown.buttons, shown.command) == ((), "!link yes")


def test_plain_has_no_markup_and_link_has_the_first_words_and_the_address() -> None:
    body = Body((Paragraph((Strong((Text("word " * 100),)),)),))
    view = View(Voice.PERSON, body, author="Anna", link="https://example.org/p/1")
    assert "<strong>" not in show(view, Form.PLAIN, TELEGRAM).html
    shown = show(view, Form.LINK, TELEGRAM)
    assert shown.text.endswith("…\nhttps://example.org/p/1")
    assert 'href="https://example.org/p/1"' in shown.html


@pytest.mark.parametrize(
    ("look", "form", "fits", "too_long"),
    [
        (DISCORD, Form.FULL, "a" * 4096, "a" * 4097),
        (DISCORD, Form.PLAIN, "a" * 2000, "a" * 2001),
        (TELEGRAM, Form.FULL, "🕊" * 2048, "🕊" * 2049),
        (MATRIX, Form.FULL, "è" * 15_000, "è" * 15_001),
    ],
)
def test_lengths_are_counted_as_the_platform_counts_them(
    look: Look, form: Form, fits: str, too_long: str
) -> None:
    assert show(View(Voice.PERSON, from_plain(fits)), form, look).text == fits
    with pytest.raises(Rejected) as refused:
        show(View(Voice.PERSON, from_plain(too_long)), form, look)
    assert refused.value.why is RejectedWhy.FORM


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "JaVaScRiPt:x", "vbscript:x"])
def test_no_address_runs_a_script(url: str) -> None:
    body = Body((Paragraph((Link(url, (Text("click"),)),)),))
    assert to_html(body) == "<p>click</p>"
    assert show(View(Voice.PERSON, body, link=url), Form.FULL, DISCORD).link == ""


@given(bodies)
def test_html_never_holds_what_a_person_wrote_as_markup(body: Body) -> None:
    evil = "<script>alert('x')</script>\"&"
    spiked = Body((*body.blocks, Paragraph((Text(evil), Spoiler((Text(evil),)), Tag(evil)))))
    html = to_html(spiked)
    assert "<script" not in html
    assert html.count("&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;&quot;&amp;") == 3


@given(st.text(max_size=300))
def test_whatever_a_person_types_is_shown(text: str) -> None:
    for look in LOOKS:
        assert "<script" not in typed(text, look).html


def test_a_toast_ends_where_telegram_cuts_it() -> None:
    assert len(toast(View(Voice.BOT, from_plain("word " * 100))).text) <= 200
    assert cut("abc👨\u200d👩\u200d👧def", 6) == "abc…"


@pytest.mark.parametrize(
    ("look", "text", "private", "command"),
    [
        (TELEGRAM, "/post Hello  there", False, Command("post", "Hello  there")),
        (TELEGRAM, "/post\nHello", False, Command("post", "Hello")),
        (TELEGRAM, "/Post@Stormo_Bot Hi", False, Command("post", "Hi")),
        (TELEGRAM, "/post@other_bot Hi", False, None),
        (TELEGRAM, "/nonsense", False, None),
        (TELEGRAM, "/psot Hi", False, Command("psot", "Hi")),
        (TELEGRAM, "/nonsense", True, Command("nonsense", "")),
        (TELEGRAM, "/nonsense@stormo_bot", False, Command("nonsense", "")),
        (TELEGRAM, "!post Hi", False, None),
        (TELEGRAM, "say /post Hi", False, None),
        (MATRIX, "!mirror add #birds", False, Command("mirror", "add #birds")),
        (MATRIX, "!nonsense", False, None),
        (MATRIX, "!psot Hi", False, Command("psot", "Hi")),
        (MATRIX, "!nonsense", True, Command("nonsense", "")),
        (MATRIX, "link ABC", True, Command("link", "ABC")),
        (MATRIX, "link ABC", False, None),
        (MATRIX, "linked lists", True, None),
        (MATRIX, "hello there", True, None),
        (MATRIX, "stormo: feed", False, Command("feed", "")),
        (MATRIX, "Stormo, !post Hi", False, Command("post", "Hi")),
        (MATRIX, "@stormo nonsense", False, Command("nonsense", "")),
        (MATRIX, "stormo feed", False, None),
        (MATRIX, "stormo: !!", False, None),
        (MATRIX, "/post Hi", False, None),
        (MATRIX, "!!", False, None),
        (DISCORD, "/whoami", False, Command("whoami", "")),
        (DISCORD, "/", False, None),
    ],
)
def test_which_words_are_a_command(look: Look, text: str, private: bool, command: Command | None) -> None:
    assert command_of(text, look, private=private) == command


def test_a_typed_command_carries_its_tree_its_message_and_what_it_answers() -> None:
    event = said(act(TELEGRAM), "/post **Hi**", ref(TELEGRAM), ref(TELEGRAM, "m0"), to_bot=False)
    assert isinstance(event, CommandInvoked)
    assert event.body == Body((Paragraph((Strong((Text("Hi"),)),)),))
    assert (event.name, event.text, event.key, event.at) == ("post", "**Hi**", "k", AT)
    assert (event.message, event.target, event.handle) == (ref(TELEGRAM), ref(TELEGRAM, "m0"), "")


def test_a_slash_command_has_no_message_but_a_handle() -> None:
    event = invoked(act(DISCORD), Command("whoami", ""), handle="h1")
    assert (event.message, event.handle) == (None, "h1")


def test_ordinary_talk_is_to_the_bot_when_it_is_named_or_alone_with_somebody() -> None:
    talk = said(act(TELEGRAM), "good morning", ref(TELEGRAM), None, to_bot=False)
    assert isinstance(talk, MessageReceived)
    assert not talk.to_bot
    named = said(act(TELEGRAM), "hello @stormo_bot", ref(TELEGRAM), None, to_bot=False)
    alone = said(act(TELEGRAM, private=True), "hello", ref(TELEGRAM), None, to_bot=False)
    assert isinstance(named, MessageReceived)
    assert isinstance(alone, MessageReceived)
    assert named.to_bot
    assert alone.to_bot


def test_an_edited_command_stays_a_command_where_commands_are_messages() -> None:
    assert isinstance(edited(act(TELEGRAM), "/post New", ref(TELEGRAM)), CommandEdited)
    assert isinstance(edited(act(MATRIX), "!post New", ref(MATRIX)), CommandEdited)
    assert isinstance(edited(act(DISCORD), "/post New", ref(DISCORD)), MessageEdited)
    event = edited(act(TELEGRAM), "just talk", ref(TELEGRAM))
    assert plain(event.body or Body()) == "just talk"


def test_a_reaction_is_told_as_each_platform_tells_it() -> None:
    put = reacted(act(DISCORD), ref(DISCORD), "👍", ("❤", "👍"), on=True, ref=ref(DISCORD, "r1"))
    assert isinstance(put, ReactionChanged)
    assert (put.key, put.at, put.added, put.whole) == (None, None, ("👍",), False)

    whole = reacted(act(TELEGRAM), ref(TELEGRAM), "👍", ("❤",), on=False, ref=ref(TELEGRAM, "r1"))
    assert isinstance(whole, ReactionChanged)
    assert (whole.key, whole.at, whole.added, whole.whole) == ("k", AT, ("❤",), True)

    event = reacted(act(MATRIX), ref(MATRIX), "👍", ("👍",), on=True, ref=ref(MATRIX, "r1"))
    assert isinstance(event, ReactionChanged)
    assert event.ref == ref(MATRIX, "r1")
    back = reacted(act(MATRIX), ref(MATRIX), "👍", (), on=False, ref=ref(MATRIX, "r1"))
    assert back == MessageDeleted(key="k", at=AT, message=ref(MATRIX, "r1"))
