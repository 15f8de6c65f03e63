"""Matrix events become what the core hears, and views become what a room shows."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.matrix.convert import (
    Invite,
    Reader,
    act_time,
    invitation,
    membership,
    own_join,
    shared,
)
from bots.matrix.html import MAX_DEPTH, PLATFORM, read_html, write_html
from bots.matrix.room import Room
from bots.matrix.show import edit, event_link, message
from core.body import (
    Body,
    Code,
    CodeBlock,
    Emoji,
    Emphasis,
    Link,
    List,
    Mention,
    Paragraph,
    Quote,
    Spoiler,
    Strike,
    Strong,
    Text,
    Underline,
)
from core.errors import Rejected, RejectedWhy
from core.events import (
    Actor,
    CommandEdited,
    CommandInvoked,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    Place,
    PlaceChanged,
    ReactionChanged,
    Rights,
)
from core.intents import Button, Form, View, Voice
from core.types import AccountRef, ChatRef, MessageRef

ME, ADA, BEN = "@stormo:one.test", "@ada:one.test", "@ben:two.test"
ROOM = "!garden"
CHAT = ChatRef(PLATFORM, ROOM)
AT = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
READER = Reader(me=ME, name="Stormo")
PLACE = Place(chat=CHAT, title="Garden")
ANNA = Actor(
    account=AccountRef(PLATFORM, ADA), name="Ada", username="ada", rights=Rights(admin=True, moderator=True)
)
Raw = dict[str, Any]


def state(kind: str, content: Raw, *, key: str = "", sender: str = ADA) -> Raw:
    return {"type": kind, "state_key": key, "sender": sender, "content": content, "event_id": f"${kind}"}


def member(user: str, membership: str = "join", *, before: str | None = None, **more: object) -> Raw:
    raw = state("m.room.member", {"membership": membership, **more}, key=user, sender=user)
    return raw if before is None else raw | {"unsigned": {"prev_content": {"membership": before}}}


def room(*more: Raw, name: str = "Garden", version: str = "12") -> Room:
    made = Room(ROOM, members={ME: "Stormo", ADA: "Ada", BEN: "Ben"})
    made.apply(state("m.room.create", {"room_version": version}))
    made.apply(state("m.room.power_levels", {"users": {}, "state_default": 50}))
    if name:
        made.apply(state("m.room.name", {"name": name}))
    for event in more:
        made.apply(event)
    return made


def two(*more: Raw) -> Room:
    """A private chat of Ada with the bot."""
    made = room(*more, name="")
    made.members = {ME: "Stormo", ADA: "Ada"}
    return made


def said(content: Raw, *, sender: str = ADA, kind: str = "m.room.message", **more: object) -> Raw:
    return {"type": kind, "event_id": "$1", "sender": sender, "content": content, **more}


def text(body: str, html: str = "") -> Raw:
    plain: Raw = {"msgtype": "m.text", "body": body, "m.mentions": {}}
    return plain | {"format": "org.matrix.custom.html", "formatted_body": html} if html else plain


def paragraph(*children: Any) -> Body:
    return Body((Paragraph(tuple(Text(child) if isinstance(child, str) else child for child in children)),))


def ref(event: str) -> MessageRef:
    return MessageRef(CHAT, event)


KEY = f"matrix:{ME}:event:$1"


# --- what the core hears ------------------------------------------------------------------------------------


def test_ordinary_talk_is_a_message_with_its_author_place_and_time() -> None:
    assert READER.read(said(text("Good day")), room(), AT) == MessageReceived(
        key=KEY,
        at=AT,
        place=PLACE,
        actor=ANNA,
        message=ref("$1"),
        body=paragraph("Good day"),
        source="Good day",
        dialect="plain",
    )


def test_a_formatted_message_keeps_its_form_and_its_source() -> None:
    heard = READER.read(said(text("Good *day*", "Good <em>day</em>")), room(), AT)
    assert isinstance(heard, MessageReceived)
    assert heard.body == paragraph("Good ", Emphasis((Text("day"),)))
    assert (heard.source, heard.dialect) == ("Good <em>day</em>", "html")


def test_a_reply_names_what_it_answers_and_loses_the_quoted_fallback() -> None:
    relation = {"m.in_reply_to": {"event_id": "$0"}}
    body = "> <@ben:two.test> Tea?\n> Or coffee?\n\nTea."
    html = "<mx-reply><blockquote>Tea?</blockquote></mx-reply>Tea."
    plain = READER.read(said(text(body) | {"m.relates_to": relation}), room(), AT)
    formatted = READER.read(said(text(body, html) | {"m.relates_to": relation}), room(), AT)
    for heard in (plain, formatted):
        assert isinstance(heard, MessageReceived)
        assert (heard.body, heard.reply_to) == (paragraph("Tea."), ref("$0"))


def test_talk_in_a_thread_answers_its_root_unless_it_answers_one_message() -> None:
    thread = {"rel_type": "m.thread", "event_id": "$root", "m.in_reply_to": {"event_id": "$last"}}
    for falling_back, answered in ((True, "$root"), (False, "$last")):
        content = text("Yes") | {"m.relates_to": thread | {"is_falling_back": falling_back}}
        heard = READER.read(said(content), room(), AT)
        assert isinstance(heard, MessageReceived)
        assert heard.reply_to == ref(answered)


def test_a_command_is_read_with_its_rest_as_text_and_tree() -> None:
    relation = {"m.in_reply_to": {"event_id": "$0"}}
    event = said(text("!Post public Hello **you**", "!Post public Hello <strong>you</strong>"))
    event["content"]["m.relates_to"] = relation
    assert READER.read(event, room(), AT) == CommandInvoked(
        key=KEY,
        at=AT,
        place=PLACE,
        actor=ANNA,
        name="post",
        text="public Hello you",
        body=paragraph("public Hello ", Strong((Text("you"),))),
        source="<p>public Hello <strong>you</strong></p>",
        dialect="html",
        message=ref("$1"),
        target=ref("$0"),
    )


def test_a_command_may_have_many_lines_and_blocks() -> None:
    plain = READER.read(said(text("!post Hello\nall\n\nMore")), room(), AT)
    listed = READER.read(said(text("x", "<p>!post Buy:</p><ul><li>milk</li></ul>")), room(), AT)
    assert isinstance(plain, CommandInvoked)
    assert (plain.name, plain.text) == ("post", "Hello\nall\n\nMore")
    assert isinstance(listed, CommandInvoked)
    milk = List(((Paragraph((Text("milk"),)),),))
    assert listed.body == Body((Paragraph((Text("Buy:"),)), milk))


PILL = '<a href="https://matrix.to/#/@stormo:one.test">Stormo</a>'


@pytest.mark.parametrize(
    "content",
    [
        text("!help post"),
        text("Stormo: help post"),
        text("stormo, help post"),
        text("@stormo:one.test help post"),
        text("@stormo help post"),
        text("Stormo help post") | {"m.mentions": {"user_ids": [ME]}},
        text("Stormo: help post", f"{PILL}: help post"),
        text("Stormo help post", f"<p>{PILL} help post</p>"),
        text("Stormo: !help post"),
    ],
)
def test_a_command_is_addressed_by_prefix_name_or_pill(content: Raw) -> None:
    heard = READER.read(said(content), room(), AT)
    assert isinstance(heard, CommandInvoked)
    assert (heard.name, heard.text) == ("help", "post")


def test_in_a_private_chat_known_commands_need_no_prefix() -> None:
    heard = READER.read(said(text("help post")), two(), AT)
    assert isinstance(heard, CommandInvoked)
    assert (heard.name, heard.text, heard.place.private) == ("help", "post", True)
    for body in ("helpless", "Hello", "!!!", "! help"):
        other = READER.read(said(text(body)), two(), AT)
        assert isinstance(other, MessageReceived)
        assert other.to_bot


def test_an_unknown_command_is_handed_over_so_that_the_nearest_can_be_named() -> None:
    heard = READER.read(said(text("!psot Hello")), room(), AT)
    assert isinstance(heard, CommandInvoked)
    assert heard.name == "psot"


def test_another_bot_s_command_is_none_of_ours_unless_we_are_addressed() -> None:
    assert isinstance(READER.read(said(text("!roll 2d6")), room(), AT), MessageReceived)
    for addressed, where in ((text("Stormo: !roll 2d6"), room()), (text("!roll 2d6"), two())):
        heard = READER.read(said(addressed), where, AT)
        assert isinstance(heard, CommandInvoked)
        assert heard.name == "roll"


@pytest.mark.parametrize(
    "body", ["help post", "Stormo is nice", "stormofan: help", "what about Stormo: help?", "!"]
)
def test_talk_that_only_resembles_a_command_stays_talk(body: str) -> None:
    assert isinstance(READER.read(said(text(body)), room(), AT), MessageReceived)


@pytest.mark.parametrize(
    "content",
    [
        text("Thanks Stormo") | {"m.mentions": {"user_ids": [ME]}},
        text("Thanks Stormo", f"Thanks {PILL}"),
    ],
)
def test_a_mention_elsewhere_is_talk_to_the_bot(content: Raw) -> None:
    heard = READER.read(said(content), room(), AT)
    assert isinstance(heard, MessageReceived)
    assert heard.to_bot


def edited(new: Raw) -> Raw:
    relation = {"rel_type": "m.replace", "event_id": "$0"}
    return said(text("* x") | {"m.new_content": new, "m.relates_to": relation})


def test_an_edit_names_the_original_and_who_edited() -> None:
    assert READER.read(edited(text("Better")), room(), AT) == MessageEdited(
        key=KEY,
        at=AT,
        place=PLACE,
        actor=ANNA,
        message=ref("$0"),
        body=paragraph("Better"),
        source="Better",
        dialect="plain",
    )


def test_an_edit_that_still_is_a_command_is_one() -> None:
    assert READER.read(edited(text("!post Better")), room(), AT) == CommandEdited(
        key=KEY,
        at=AT,
        place=PLACE,
        actor=ANNA,
        message=ref("$0"),
        name="post",
        text="Better",
        body=paragraph("Better"),
        source="Better",
    )


def test_a_reaction_carries_its_key_and_its_own_event() -> None:
    relation = {"rel_type": "m.annotation", "event_id": "$0", "key": "👍🏽"}
    heard = READER.read(said({"m.relates_to": relation}, kind="m.reaction", sender=BEN), room(), AT)
    assert heard == ReactionChanged(
        key=KEY,
        at=AT,
        message=ref("$0"),
        actor=Actor(account=AccountRef(PLATFORM, BEN), name="Ben", username="ben"),
        added=("👍🏽",),
        ref=ref("$1"),
    )


@pytest.mark.parametrize("more", [{"redacts": "$0"}, {"content": {"redacts": "$0"}}])
def test_a_redaction_names_what_is_gone_wherever_the_server_writes_it(more: Raw) -> None:
    heard = READER.read(said({}, kind="m.room.redaction") | more, room(), AT)
    assert heard == MessageDeleted(key=KEY, at=AT, message=ref("$0"))


@pytest.mark.parametrize(
    "event",
    [
        said(text("Mine"), sender=ME),
        said({"msgtype": "m.notice", "body": "!post spam"}),
        said(message(View(voice=Voice.PERSON, body=paragraph("a copy of another Stormo")), Form.FULL, BEN)),
        said({"msgtype": "m.location", "body": "here", "geo_uri": "geo:46.0,8.9"}),
        said({}),
        said(text("")),
        said(text("x") | {"m.relates_to": {"rel_type": "m.replace", "event_id": "$0"}}),
        said(text("x") | {"m.new_content": text("y"), "m.relates_to": {"rel_type": "m.replace"}}),
        said({"m.relates_to": {"rel_type": "m.annotation", "event_id": "$0"}}, kind="m.reaction"),
        said(
            {"m.relates_to": {"rel_type": "m.annotation", "event_id": "$0", "key": "x" * 501}},
            kind="m.reaction",
        ),
        said({}, kind="m.reaction"),
        said({}, kind="m.room.redaction"),
        said({"algorithm": "m.megolm.v1.aes-sha2"}, kind="m.room.encrypted"),
    ],
)
def test_own_words_bots_and_malformed_events_say_nothing(event: Raw) -> None:
    assert READER.read(event, room(), AT) is None


def test_names_are_one_line_without_tricks() -> None:
    heard = READER.read(said(text("Hi")), room(member(ADA, displayname="Ada\n\u202eadmin\x00 ")), AT)
    assert isinstance(heard, MessageReceived)
    assert heard.actor.name == "Ada admin"


def test_the_time_is_the_servers_held_between_the_last_sync_and_now() -> None:
    now, last = AT, AT - timedelta(seconds=30)
    for stamp, expected in (
        (AT - timedelta(seconds=10), AT - timedelta(seconds=10)),
        (AT - timedelta(days=9), last),
        (AT + timedelta(days=9), now),
    ):
        assert act_time({"origin_server_ts": int(stamp.timestamp() * 1000)}, last, now) == expected
    for broken in ("soon", -1, 10**18, True, None):
        assert act_time({"origin_server_ts": broken}, last, now) == now


# --- rooms --------------------------------------------------------------------------------------------------


def test_a_creator_of_version_12_stands_above_all_levels_and_an_older_one_does_not() -> None:
    levels = state("m.room.power_levels", {"users": {BEN: 50}, "users_default": 0, "redact": 40})
    new, old = room(levels), room(levels, version="11")
    more = room(levels, state("m.room.create", {"room_version": "12", "additional_creators": ["@cleo:x"]}))
    assert new.rights(ADA) == Rights(admin=True, moderator=True)
    assert more.rights("@cleo:x") == Rights(admin=True, moderator=True)
    assert old.rights(ADA) == Rights()
    assert new.rights(BEN) == old.rights(BEN) == Rights(admin=True, moderator=True)


def test_rights_follow_the_rooms_own_levels() -> None:
    levels = {"users": {ADA: 100, BEN: "60"}, "users_default": 10, "state_default": 75, "redact": 60}
    made = room(state("m.room.power_levels", levels), version="10")
    assert made.rights(ADA) == Rights(admin=True, moderator=True)
    assert made.rights(BEN) == Rights(admin=False, moderator=True)
    assert made.rights("@cleo:x") == Rights()
    everybody = room(state("m.room.power_levels", {"users_default": 50}), version="10")
    assert everybody.rights("@cleo:x") == Rights()


def test_without_levels_only_the_creator_has_rights() -> None:
    made = Room(ROOM)
    made.apply(state("m.room.create", {"room_version": "10"}))
    assert made.rights(ADA).admin
    assert not made.rights(BEN).admin


def test_a_private_chat_is_two_people_in_a_room_of_no_name() -> None:
    assert two().place(ME) == Place(chat=CHAT, title="Ada", private=True)
    named = two(state("m.room.name", {"name": "Board"}))
    assert not named.place(ME).private
    named.direct = True
    assert named.place(ME).private
    three = two()
    three.apply(member(BEN))
    assert not three.place(ME).private
    assert not two(state("m.room.join_rules", {"join_rule": "public"})).place(ME).private
    unread = two()
    unread.members = None
    assert not unread.place(ME).private


def test_an_encrypted_room_is_closed() -> None:
    assert room(state("m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"})).place(ME).closed


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (member(ME, before="invite"), {"gone": False}),
        (member(ME), {"gone": False}),
        (member(ME, "leave", before="join"), {"gone": True, "reason": "removed"}),
        (member(ME, "leave", before="join") | {"sender": ADA}, {"gone": True, "reason": "removed"}),
        (member(ME, "ban", before="join") | {"sender": ADA}, {"gone": True, "reason": "banned"}),
        (member(ME, before="join"), None),
        (member(ME, "leave", before="invite"), None),
        (member(ADA, "leave", before="join"), None),
    ],
)
def test_the_bots_own_coming_and_going_changes_the_place(event: Raw, expected: Raw | None) -> None:
    key = f"matrix:{ME}:event:$m.room.member"
    heard = membership(event, CHAT, ME, AT)
    assert heard == (None if expected is None else PlaceChanged(key=key, at=AT, chat=CHAT, **expected))


def test_what_was_said_before_the_bot_came_is_not_read() -> None:
    before, joined, after = said(text("old")), member(ME, before="invite"), said(text("new"))
    assert own_join([joined, before, joined, after], ME) == 2
    assert own_join([before, after], ME) == 0


def test_an_invitation_names_who_sent_it_and_whether_it_is_private() -> None:
    mine = {"type": "m.room.member", "state_key": ME, "sender": BEN, "content": {"membership": "invite"}}
    theirs = {"type": "m.room.member", "state_key": BEN, "sender": BEN, "content": {"membership": "join"}}
    invited = {"invite_state": {"events": [theirs, mine]}}
    assert invitation(ROOM, invited, ME) == Invite(ROOM, BEN, False)
    mine["content"] = {"membership": "invite", "is_direct": True}
    assert invitation(ROOM, invited, ME) == Invite(ROOM, BEN, True)
    broken: object
    for broken in ({}, [], {"invite_state": {"events": [theirs, 3, None]}}, {"invite_state": []}):
        assert invitation(ROOM, broken, ME) is None


# --- markup -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("html", "body"),
    [
        ("<b>a</b> <i>b</i> <u>c</u> <del>d</del>", None),
        (
            "<h2>Title</h2><p>Text</p>",
            Body((Paragraph((Strong((Text("Title"),)),)), Paragraph((Text("Text"),)))),
        ),
        ("<blockquote><p>so</p></blockquote>", Body((Quote((Paragraph((Text("so"),)),)),))),
        ("<pre><code class='language-py'>a\n  b\n</code></pre>", Body((CodeBlock("a\n  b", "py"),))),
        ("one<br>two<br/>three", paragraph("one\ntwo\nthree")),
        ("<p>a</p>\n\n<p>b</p>", Body((Paragraph((Text("a"),)), Paragraph((Text("b"),))))),
        ("x <span data-mx-spoiler='why'>y</span>", paragraph("x ", Spoiler((Text("y"),)))),
        ("<code>a &lt; b</code>", paragraph(Code("a < b"))),
        (
            '<a href="https://a.test/?x=1&amp;y=2">there</a>',
            paragraph(Link("https://a.test/?x=1&y=2", (Text("there"),))),
        ),
        ('<a href="javascript:alert(1)">there</a>', paragraph("there")),
        (PILL, paragraph(Mention("@Stormo", account=AccountRef(PLATFORM, ME)))),
        ('<img data-mx-emoticon alt=":bird:" src="mxc://x/y">', None),
        (
            '<a href="matrix:u/ada:one.test">Ada</a>',
            paragraph(Mention("@Ada", account=AccountRef(PLATFORM, ADA))),
        ),
        (
            '<a href="https://matrix.to/#/!room">room</a>',
            paragraph(Link("https://matrix.to/#/!room", (Text("room"),))),
        ),
        ('<a href="/here">there</a> <img src="x" alt="a cat"><hr>', paragraph("there a cat")),
        (
            "<table><tr><td>1</td><td>2</td></tr><tr><td>3</td></tr></table>",
            Body((Paragraph((Text("1 2"),)), Paragraph((Text("3"),)))),
        ),
        ("<b><p>one</p><p>two</p></b>", paragraph(Strong((Text("one\ntwo"),)))),
        ("a<script>alert(1)</script>b", paragraph("ab")),
        (
            "<ol start='3'><li>a</li><li>b</li></ol>",
            Body((List(((Paragraph((Text("a"),)),), (Paragraph((Text("b"),)),)), True, 3),)),
        ),
    ],
)
def test_markup_is_read_as_the_tree(html: str, body: Body | None) -> None:
    styled = paragraph(
        Strong((Text("a"),)),
        " ",
        Emphasis((Text("b"),)),
        " ",
        Underline((Text("c"),)),
        " ",
        Strike((Text("d"),)),
    )
    emoji = paragraph(Emoji(":bird:"))
    assert read_html(html) in ((body,) if body is not None else (styled, emoji))


def test_the_tree_written_as_markup_reads_back() -> None:
    inner = Paragraph(
        (Text("a & <b>"), Strong((Text(" c"),)), Code("<x>"), Link("https://a.test/?b=\"c'", (Text("d"),)))
    )
    body = read_html(write_html(Body((inner, Quote((inner,)), CodeBlock("x < y\n\nz", "c++")))))
    assert read_html(write_html(body)) == body
    assert "a & <b>" in str(body)


def test_nobody_becomes_a_pill_and_nothing_becomes_markup() -> None:
    mention = Mention("@Ada", account=AccountRef(PLATFORM, ADA))
    written = write_html(paragraph("<img src=x onerror=1> ", mention))
    assert written == "<p>&lt;img src=x onerror=1&gt; @Ada</p>"


def test_hostile_nesting_is_flattened() -> None:
    def depth(node: object) -> int:
        children = getattr(node, "children", getattr(node, "blocks", ()))
        return 1 + max(map(depth, children), default=0)

    for tag in ("b", "blockquote", "div", "ul><li"):
        body = read_html(f"<{tag}>" * 5000 + "deep")
        assert "deep" in str(body)
        assert depth(body) <= MAX_DEPTH + 3


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = (
    "type", "event_id", "sender", "content", "msgtype", "body", "format", "formatted_body", "m.relates_to",
    "rel_type", "key", "m.new_content", "m.in_reply_to", "redacts", "state_key", "unsigned", "prev_content",
    "membership", "users", "room_version", "m.mentions", "user_ids", "displayname", "origin_server_ts",
)  # fmt: skip
WORDS = (
    "m.room.message", "m.reaction", "m.room.redaction", "m.room.member", "m.room.power_levels", "m.text",
    "m.room.create", "m.replace", "m.annotation", "m.thread", "org.matrix.custom.html", "$1", ADA, ME,
    "!help", "<b>x", "\ud800", "\x00", "> <@a:b> x", "", "join",
)  # fmt: skip
hostile = st.recursive(
    st.sampled_from(WORDS) | json_values,
    lambda inner: st.dictionaries(st.sampled_from(FIELDS), inner, max_size=7) | st.lists(inner, max_size=2),
    max_leaves=16,
)


@given(st.dictionaries(st.sampled_from(FIELDS), hostile, max_size=7))
def test_no_event_can_crash_the_reader(event: Raw) -> None:
    made = room()
    made.apply(event)
    invitation(ROOM, event, ME)
    act_time(event, None, AT)
    membership(event, CHAT, ME, AT)
    shared(event, made, ME, AT)
    assert own_join([event], ME) == 0
    READER.read({"event_id": "$1", "sender": ADA, "type": "m.room.message"} | event, made, AT)
    assert made.place(ME).chat == CHAT


@given(st.text(st.sampled_from("<>/abpiu \n&;\"'=!-[]?ulolcodeprm#x\ud800\x00é"), max_size=80))
def test_no_markup_can_crash_the_reader_and_what_it_wrote_is_stable(html: str) -> None:
    heard = READER.read(said(text("x", html or "x")), room(), AT)
    if isinstance(heard, MessageReceived):
        once = read_html(write_html(heard.body))
        assert read_html(write_html(once)) == once


# --- what a room shows --------------------------------------------------------------------------------------

POST = View(
    voice=Voice.PERSON,
    author="Anna <b> (@anna · Telegram)",
    body=paragraph("Hello ", Strong((Text("flock"),)), " & ", Spoiler((Text("secret"),))),
    footer="3 votes",
    link="https://stormo.test/p/1",
)


def test_a_persons_post_leads_with_the_author_and_ends_with_the_footer() -> None:
    assert message(POST, Form.FULL, ME, ref("$0")) == {
        "msgtype": "m.text",
        "m.mentions": {},
        "org.stormo.copy": {},
        "body": "Anna <b> (@anna · Telegram)\n\nHello flock & ▒▒▒▒▒▒\n\n3 votes",
        "format": "org.matrix.custom.html",
        "formatted_body": (
            "<p><strong>Anna &lt;b&gt; (@anna · Telegram)</strong></p>"
            "<p>Hello <strong>flock</strong> &amp; <span data-mx-spoiler>secret</span></p>"
            "<p><em>3 votes</em></p>"
        ),
        "m.relates_to": {"m.in_reply_to": {"event_id": "$0"}},
    }


def test_the_bots_own_words_are_a_notice_with_the_typed_command_instead_of_buttons() -> None:
    view = View(
        voice=Voice.BOT,
        body=paragraph("Really?"),
        buttons=(
            Button("Yes", data="yes"),
            Button("Page", url="https://a.test/?a&b"),
            Button("Chat", private="x"),
        ),
        text_command="!link yes",
    )
    assert message(view, Form.FULL, ME) == {
        "msgtype": "m.notice",
        "m.mentions": {},
        "org.stormo.copy": {},
        "body": "Really?\n\n!link yes\n\nPage: https://a.test/?a&b · Chat: https://matrix.to/#/@stormo:one.test",
        "format": "org.matrix.custom.html",
        "formatted_body": (
            "<p>Really?</p><p><code>!link yes</code></p>"
            '<p><a href="https://a.test/?a&amp;b">Page</a> · '
            '<a href="https://matrix.to/#/@stormo:one.test">Chat</a></p>'
        ),
    }


def test_the_lower_rungs_are_plain_text_and_a_link() -> None:
    plain = message(POST, Form.PLAIN, ME)
    assert "formatted_body" not in plain
    assert plain["body"].startswith("Anna <b> (@anna · Telegram)\n\nHello flock & ")
    long = View(
        voice=Voice.PERSON, author="Anna", body=paragraph("word " * 9000), link="https://stormo.test/p/1"
    )
    short = message(long, Form.LINK, ME)["body"].split("\n")
    assert (short[0], short[-1]) == ("Anna", "https://stormo.test/p/1")
    assert short[1].endswith("…")


def test_an_edit_replaces_the_whole_with_a_short_fallback() -> None:
    content = edit(POST, Form.FULL, ME, ref("$0"))
    assert content["m.new_content"] == message(POST, Form.FULL, ME)
    assert content["m.relates_to"] == {"rel_type": "m.replace", "event_id": "$0"}
    assert content["body"].startswith("* Anna")
    assert content["m.mentions"] == {}


@given(st.integers(0, 70_000))
def test_what_is_created_can_always_be_edited_and_what_does_not_fit_is_refused(size: int) -> None:
    view = View(voice=Voice.PERSON, author="Anna", body=paragraph("&" * size), footer="1")
    for form, most in ((Form.FULL, 8_000), (Form.PLAIN, 29_000)):
        if size <= most:
            message(view, form, ME)
            raw = json.dumps(edit(view, form, ME, ref("$0")), ensure_ascii=False).encode()
            assert len(raw) <= 60_000
        if size > 30_000:
            with pytest.raises(Rejected) as refused:
                message(view, form, ME)
            assert refused.value.why is RejectedWhy.FORM
    assert len(message(view, Form.LINK, ME)["body"]) < 1_000


def test_a_message_has_an_address_that_names_a_server_of_the_room() -> None:
    assert event_link(MessageRef(ChatRef(PLATFORM, "!a/b"), "$x"), ME) == (
        "https://matrix.to/#/!a%2Fb/$x?via=one.test"
    )
