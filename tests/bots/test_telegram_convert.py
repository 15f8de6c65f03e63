"""What the core is told of an update, and what Telegram is sent for a view, on payloads as they come."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from telegram import Message, MessageEntity, Update
from telegram.error import BadRequest, Forbidden

from bots.telegram.convert import Me, Unreadable, inbound
from bots.telegram.reading import read, utf16_length, well_formed
from bots.telegram.refs import address, chat_ref, message_ref
from bots.telegram.refusals import outcome, reply_is_gone
from bots.telegram.showing import compose, keyboard, mark, toast
from bots.telegram.writing import PING_BREAK, Sheet, cut, plain_text
from core.body import (
    Block,
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
    Tag,
    Text,
    Time,
    Underline,
)
from core.errors import Rejected, RejectedWhy
from core.events import (
    Actor,
    ButtonPressed,
    CommandEdited,
    CommandInvoked,
    Inbound,
    MessageEdited,
    MessageReceived,
    Place,
    PlaceChanged,
    ReactionChanged,
)
from core.intents import Button, Form, View, Voice
from core.types import AccountRef, ChatRef, Language, MessageRef, Platform

ME = Me(777007, "coop_test_bot")
TELEGRAM = Platform("telegram")
GROUP = -1000000000021
GROUP_REF = ChatRef(TELEGRAM, str(GROUP))
AT = datetime.fromtimestamp(1795379169, UTC)

ADA_USER = {
    "id": 777006,
    "is_bot": False,
    "first_name": "Ada",
    "last_name": "X",
    "language_code": "en-GB",
    "username": "ada",
}
ADA = Actor(account=AccountRef(TELEGRAM, "777006"), name="Ada X", username="ada", locale=Language("en"))
COOP = Place(chat=GROUP_REF, title="Coop")
PRIVATE = Place(chat=ChatRef(TELEGRAM, "777006"), title="Ada X", private=True)

SUPERGROUP = {"id": GROUP, "title": "Coop", "type": "supergroup"}
ADAS_CHAT = {"id": 777006, "first_name": "Ada", "last_name": "X", "type": "private"}


def message(text: str | None = "hello", **more: Any) -> dict[str, Any]:
    shape = {"message_id": 104, "from": ADA_USER, "chat": SUPERGROUP, "date": 1795379169, "text": text}
    return {name: value for name, value in (shape | more).items() if value is not None}


def event(**payload: Any) -> Inbound | None:
    update = Update.de_json({"update_id": 77, **payload}, None)
    return inbound(update, ME, _topic)


def _topic(chat: int, number: int) -> int | None:
    return 7 if (chat, number) == (GROUP, 55) else None


def received(**more: Any) -> MessageReceived:
    text = more.pop("source", "hello")
    shape: dict[str, Any] = {
        "key": "telegram:777007:update:77",
        "at": AT,
        "place": COOP,
        "actor": ADA,
        "message": MessageRef(GROUP_REF, "104"),
        "body": Body((Paragraph((Text(text),)),)),
        "source": text,
        "dialect": "telegram",
    }
    return MessageReceived(**(shape | more))


def command(name: str, text: str, **more: Any) -> CommandInvoked:
    shape: dict[str, Any] = {
        "key": "telegram:777007:update:77",
        "at": AT,
        "place": COOP,
        "actor": ADA,
        "name": name,
        "text": text,
        "body": Body((Paragraph((Text(text),)),) if text else ()),
        "source": text,
        "dialect": "telegram",
        "message": MessageRef(GROUP_REF, "104"),
    }
    return CommandInvoked(**(shape | more))


# -- messages and commands --


def test_an_ordinary_message() -> None:
    assert event(message=message()) == received()


def test_a_reply_names_the_message_answered_and_speaks_to_the_bot_when_it_is_the_bots() -> None:
    ours = message("card", message_id=90, **{"from": {"id": ME.id, "is_bot": True, "first_name": "Coop"}})
    assert event(message=message(reply_to_message=ours)) == received(
        reply_to=MessageRef(GROUP_REF, "90"), to_bot=True
    )


def test_a_mention_of_the_bot_speaks_to_it() -> None:
    text = "hey @Coop_Test_Bot"
    found = event(message=message(text, entities=[{"type": "mention", "offset": 4, "length": 14}]))
    assert isinstance(found, MessageReceived)
    assert found.to_bot


def test_a_command_with_formatting_keeps_the_tree_of_its_rest() -> None:
    text = "/post 😀 so bold"
    bold = {"type": "bold", "offset": 12, "length": 4}
    assert event(message=message(text, entities=[bold])) == command(
        "post", "😀 so bold", body=Body((Paragraph((Text("😀 so "), Strong((Text("bold"),)))),))
    )


def test_a_command_addressed_to_us_and_one_addressed_to_another_bot() -> None:
    assert event(message=message("/MIRROR@Coop_test_bot add #birds")) == command("mirror", "add #birds")
    assert isinstance(event(message=message("/post@other_bot hi")), MessageReceived)


def test_an_unknown_command_counts_only_where_it_is_meant_for_us() -> None:
    assert isinstance(event(message=message("/weather hi")), MessageReceived)
    assert event(message=message("/weather@coop_test_bot hi")) == command("weather", "hi")
    private = event(message=message("/weather hi", chat=ADAS_CHAT))
    assert private == command("weather", "hi", place=PRIVATE, message=MessageRef(PRIVATE.chat, "104"))
    assert event(message=message("/pots hi")) == command("pots", "hi"), "a slip of the pen"


def test_a_path_a_forwarded_command_and_one_set_as_code_are_no_commands() -> None:
    origin = {"type": "hidden_user", "sender_user_name": "Bob", "date": 1}
    code = [{"type": "code", "offset": 0, "length": 8}]
    for payload in (
        message("/post/office"),
        message("/post hi", forward_origin=origin),
        message("/post hi", entities=code),
    ):
        assert isinstance(event(message=payload), MessageReceived)


def test_a_command_that_answers_names_its_target() -> None:
    assert event(message=message("/delete", reply_to_message=message("old", message_id=90))) == command(
        "delete", "", target=MessageRef(GROUP_REF, "90")
    )


def test_a_deep_link_is_the_command_start(shared: Path) -> None:
    golden = _golden(shared, "deep link")["response"]["result"][0]
    found = inbound(Update.de_json(golden, None), ME, _topic)
    ada = Actor(account=AccountRef(TELEGRAM, "777006"), name="Ada X", locale=Language("en"))
    assert found == CommandInvoked(
        key="telegram:777007:update:543636337",
        at=datetime.fromtimestamp(1795379161, UTC),
        place=PRIVATE,
        actor=ada,
        name="start",
        text="join_abc",
        body=Body((Paragraph((Text("join_abc"),)),)),
        source="join_abc",
        dialect="telegram",
        message=MessageRef(PRIVATE.chat, "90"),
    )


def test_the_recorded_updates_give_a_message_its_edit_and_a_groups_message(shared: Path) -> None:
    updates = Update.de_list(_golden(shared, "group")["response"]["result"], None)
    kinds = [type(inbound(update, ME, _topic)) for update in updates]
    assert kinds == [MessageReceived, MessageEdited, MessageReceived]


def test_an_edit_of_a_message_and_of_a_command() -> None:
    later = datetime.fromtimestamp(1795379180, UTC)
    assert event(edited_message=message("new", edit_date=1795379180)) == MessageEdited(
        key="telegram:777007:update:77",
        at=later,
        place=COOP,
        actor=ADA,
        message=MessageRef(GROUP_REF, "104"),
        body=Body((Paragraph((Text("new"),)),)),
        source="new",
        dialect="telegram",
    )
    assert event(edited_message=message("/post new", edit_date=1795379180)) == CommandEdited(
        key="telegram:777007:update:77",
        at=later,
        place=COOP,
        actor=ADA,
        name="post",
        text="new",
        body=Body((Paragraph((Text("new"),)),)),
        source="new",
        dialect="telegram",
        message=MessageRef(GROUP_REF, "104"),
    )


def test_an_edit_without_words_and_a_bots_message_are_dropped() -> None:
    bot = {"id": 5, "is_bot": True, "first_name": "Other"}
    assert event(edited_message=message(text=None, edit_date=1795379180)) is None
    assert event(message=message("/post x", **{"from": bot})) is None


def test_who_writes_in_a_chats_name_is_anonymous() -> None:
    fake = {"id": 1087968824, "is_bot": True, "first_name": "Group", "username": "GroupAnonymousBot"}
    hidden = Actor(account=AccountRef(TELEGRAM, str(GROUP)), name="Coop", anonymous=True)
    found = event(message=message("/setup", **{"from": fake}, sender_chat=SUPERGROUP))
    assert found == command("setup", "", actor=hidden)
    channel = {"id": -1000000000030, "title": "News", "type": "channel", "username": "news"}
    post = event(channel_post=message("today", chat=channel, sender_chat=channel, **{"from": None}))
    assert isinstance(post, MessageReceived)
    assert post.actor == Actor(
        account=AccountRef(TELEGRAM, "-1000000000030"), name="News", username="news", anonymous=True
    )


def test_a_topic_is_a_chat_of_its_own_and_its_first_message_is_not_answered() -> None:
    forum = SUPERGROUP | {"is_forum": True}
    root = message(None, message_id=7, forum_topic_created={"name": "Birds", "icon_color": 1}, chat=forum)
    in_topic = {"chat": forum, "message_thread_id": 7, "is_topic_message": True}
    topic = ChatRef(TELEGRAM, f"{GROUP}/7")
    assert event(message=message("hello", **in_topic, reply_to_message=root)) == received(
        place=Place(chat=topic, title="Birds", group="Coop"), message=MessageRef(topic, "104")
    )
    answered = message("first", message_id=9, **in_topic)
    assert event(message=message("hello", **in_topic, reply_to_message=answered)) == received(
        place=Place(chat=topic, title="Coop", group="Coop"),
        message=MessageRef(topic, "104"),
        reply_to=MessageRef(topic, "9"),
    )


def test_a_thread_outside_forums_is_no_topic_and_protected_rooms_are_closed() -> None:
    found = event(message=message(message_thread_id=90, has_protected_content=True))
    assert found == received(place=replace(COOP, closed=True))


# -- reactions, buttons, places --


def reaction(**more: Any) -> dict[str, Any]:
    shape = {
        "chat": SUPERGROUP,
        "message_id": 104,
        "user": ADA_USER,
        "date": 1795379169,
        "old_reaction": [{"type": "emoji", "emoji": "👎"}],
        "new_reaction": [
            {"type": "emoji", "emoji": "❤\ufe0f"},
            {"type": "custom_emoji", "custom_emoji_id": "9"},
            {"type": "emoji", "emoji": "👍"},
        ],
    }
    return {name: value for name, value in (shape | more).items() if value is not None}


def test_a_reaction_carries_the_whole_set_without_the_colour_sign() -> None:
    assert event(message_reaction=reaction()) == ReactionChanged(
        key="telegram:777007:update:77",
        at=AT,
        message=MessageRef(GROUP_REF, "104"),
        actor=ADA,
        added=("❤", "👍"),
        whole=True,
    )
    gone = event(message_reaction=reaction(new_reaction=[]))
    assert isinstance(gone, ReactionChanged)
    assert (gone.added, gone.whole) == ((), True)


def test_a_reaction_finds_the_topic_of_a_message_seen_there() -> None:
    found = event(message_reaction=reaction(message_id=55))
    assert isinstance(found, ReactionChanged)
    assert found.message == MessageRef(ChatRef(TELEGRAM, f"{GROUP}/7"), "55")


def test_reactions_without_a_person_and_bare_counts_are_no_votes() -> None:
    count = {"chat": SUPERGROUP, "message_id": 104, "date": 1, "reactions": []}
    assert event(message_reaction=reaction(user=None, actor_chat=SUPERGROUP)) is None
    assert event(message_reaction_count=count) is None


def press(**more: Any) -> dict[str, Any]:
    card = message("card", message_id=90)
    return {"id": "334", "from": ADA_USER, "chat_instance": "8", "data": "undo:7", "message": card} | more


def test_a_pressed_button() -> None:
    pressed = ButtonPressed(
        key="telegram:777007:update:77",
        place=COOP,
        actor=ADA,
        data="undo:7",
        message=MessageRef(GROUP_REF, "90"),
        handle="cb:334",
    )
    assert event(callback_query=press()) == pressed
    faded = {"chat": SUPERGROUP, "message_id": 90, "date": 0}
    assert event(callback_query=press(message=faded)) == pressed


def member(status: str, **more: Any) -> dict[str, Any]:
    return {"status": status, "user": {"id": ME.id, "is_bot": True, "first_name": "Coop"}} | more


MUTED = dict.fromkeys(
    [
        "can_send_messages",
        "can_send_audios",
        "can_send_documents",
        "can_send_photos",
        "can_send_videos",
        "can_send_video_notes",
        "can_send_voice_notes",
        "can_send_polls",
        "can_send_other_messages",
        "can_add_web_page_previews",
        "can_edit_tag",
        "can_react_to_messages",
        "can_change_info",
        "can_invite_users",
        "can_pin_messages",
        "can_manage_topics",
    ],
    False,
)


@pytest.mark.parametrize(
    ("chat", "new", "reason"),
    [
        (SUPERGROUP, member("left"), "removed"),
        (SUPERGROUP, member("kicked", until_date=0), "banned"),
        (ADAS_CHAT, member("kicked", until_date=0), "blocked"),
        (SUPERGROUP, member("restricted", is_member=True, until_date=0, **MUTED), "muted"),
    ],
)
def test_losing_a_chat_and_finding_it_again(chat: dict[str, Any], new: dict[str, Any], reason: str) -> None:
    change = {"chat": chat, "from": ADA_USER, "date": 1795379169}
    lost = PlaceChanged(
        key="telegram:777007:update:77",
        at=AT,
        chat=chat_ref(chat["id"]),
        gone=reason != "muted",
        muted=reason == "muted",
        reason=reason,
    )
    there = {"old_chat_member": member("member"), "new_chat_member": new}
    assert event(my_chat_member=change | there) == lost
    back = {"old_chat_member": new, "new_chat_member": member("member")}
    assert event(my_chat_member=change | back) == replace(lost, gone=False, muted=False, reason="")


def test_a_promotion_changes_no_place() -> None:
    same = {"old_chat_member": member("member"), "new_chat_member": member("creator", is_anonymous=False)}
    assert event(my_chat_member={"chat": SUPERGROUP, "from": ADA_USER, "date": 1, **same}) is None


def test_a_group_that_became_a_supergroup_moves() -> None:
    """Both of them tell it; whichever is heard first counts."""
    group = {"id": -42, "title": "Coop", "type": "group"}
    moved = PlaceChanged(
        key=f"telegram:777007:moved:-42:{GROUP}",
        chat=ChatRef(TELEGRAM, "-42"),
        moved_to=GROUP_REF,
        reason="migrated",
    )
    assert event(message=message(None, chat=group, migrate_to_chat_id=GROUP)) == moved
    assert event(message=message(None, migrate_from_chat_id=-42)) == moved


def test_a_topic_that_was_reopened_is_open() -> None:
    reopened = message(None, forum_topic_reopened={}, message_thread_id=5, is_topic_message=True)
    assert event(message=reopened) == PlaceChanged(
        key="telegram:777007:update:77", at=AT, chat=ChatRef(TELEGRAM, f"{GROUP}/5")
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def _reading(update: Update) -> str:
    try:
        return "event" if inbound(update, ME, _topic) else "nothing"
    except Unreadable as fault:
        return str(fault)


@settings(max_examples=150)
@given(st.data())
def test_a_malformed_update_is_an_event_or_nothing_or_unreadable(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["message", "edited_message", "message_reaction", "callback_query"]))
    whole = {
        "message": message("/post hi", entities=[{"type": "bold", "offset": 6, "length": 2}]),
        "edited_message": message("/post hi", edit_date=1795379180),
        "message_reaction": reaction(),
        "callback_query": press(),
    }[kind]
    broken = whole | {data.draw(st.sampled_from(sorted(whole))): data.draw(JSON)}
    try:
        update = Update.de_json({"update_id": 77, kind: broken}, None)
    except Exception:  # noqa: BLE001 - the library's reader raises whatever it meets
        reject()
    assert _reading(update) in {"event", "nothing", "update 77 cannot be read"}


# -- entities --


def entity(kind: str, offset: int, length: int, **more: Any) -> MessageEntity:
    return MessageEntity.de_json({"type": kind, "offset": offset, "length": length} | more, None)


def paragraph(*children: Inline) -> Body:
    return Body((Paragraph(children),))


def test_every_kind_of_entity_is_read() -> None:
    text = "B i u s || c t l.me n@e.it @ada Ada #birds 😀 now"
    at = {
        word: utf16_length(text[: text.index(word)])
        for word in ("l.me", "n@e", "@ada", "Ada", "#", "😀", "now")
    }
    found = read(
        text,
        [
            entity("bold", 0, 1),
            entity("italic", 2, 1),
            entity("underline", 4, 1),
            entity("strikethrough", 6, 1),
            entity("spoiler", 8, 2),
            entity("code", 11, 1),
            entity("text_link", 13, 1, url="https://example.org/"),
            entity("url", at["l.me"], 4),
            entity("email", at["n@e"], 6),
            entity("mention", at["@ada"], 4),
            entity("text_mention", at["Ada"], 3, user=ADA_USER),
            entity("hashtag", at["#"], 6),
            entity("custom_emoji", at["😀"], 2, custom_emoji_id="5"),
            entity("date_time", at["now"], 3, unix_time=1795379169, date_time_format="t"),
        ],
    )
    space = Text(" ")
    assert found == paragraph(
        Strong((Text("B"),)),
        space,
        Emphasis((Text("i"),)),
        space,
        Underline((Text("u"),)),
        space,
        Strike((Text("s"),)),
        space,
        Spoiler((Text("||"),)),
        space,
        Code("c"),
        space,
        Link("https://example.org/", (Text("t"),)),
        space,
        Link("https://l.me", (Text("l.me"),)),
        space,
        Link("mailto:n@e.it", (Text("n@e.it"),)),
        space,
        Mention("@ada"),
        space,
        Mention("@Ada", account=AccountRef(TELEGRAM, "777006")),
        space,
        Tag("birds"),
        space,
        Emoji("😀"),
        space,
        Time(AT),
    )


def test_nested_and_overlapping_entities() -> None:
    nested = read("abcdef", [entity("bold", 0, 6), entity("italic", 2, 2)])
    assert nested == paragraph(Strong((Text("ab"), Emphasis((Text("cd"),)), Text("ef"))))
    crossing = read("abcdef", [entity("bold", 0, 4), entity("italic", 2, 4)])
    assert crossing == paragraph(Strong((Text("ab"), Emphasis((Text("cd"),)))), Emphasis((Text("ef"),)))


def test_quotes_code_blocks_and_paragraphs() -> None:
    text = "intro\n\nsecond\nline\nquoted\nprint(1)\nend"
    found = read(text, [entity("blockquote", 19, 6), entity("pre", 26, 8, language="python")])
    assert found == Body(
        (
            Paragraph((Text("intro"),)),
            Paragraph((Text("second\nline"),)),
            Quote((Paragraph((Text("quoted"),)),)),
            CodeBlock("print(1)", "python"),
            Paragraph((Text("end"),)),
        )
    )


def test_a_link_of_a_strange_scheme_is_its_text() -> None:
    assert read("go", [entity("text_link", 0, 2, url="javascript:alert(1)")]) == paragraph(Text("go"))


KINDS = st.sampled_from(
    [
        "bold",
        "italic",
        "underline",
        "strikethrough",
        "spoiler",
        "code",
        "pre",
        "blockquote",
        "text_link",
        "url",
        "mention",
        "hashtag",
        "new_kind",
    ]
)
TEXT = st.text(st.sampled_from("ab @#\n😀é\ud83d"), max_size=30)


@given(TEXT, st.lists(st.tuples(KINDS, st.integers(-3, 40), st.integers(-3, 40)), max_size=8))
def test_any_entities_give_a_tree_with_the_words_of_the_text(
    text: str, raw: list[tuple[str, int, int]]
) -> None:
    entities = [MessageEntity(kind, offset, length, url="https://e.org/") for kind, offset, length in raw]
    kept = plain_text(read(text, entities))
    kept.encode()
    assert "".join(kept.split()) == "".join(well_formed(text).split())


STYLES = (Strong, Emphasis, Underline, Strike, Spoiler)
LETTERS = st.text(st.sampled_from("abé😀"), min_size=1, max_size=4)
WORD: st.SearchStrategy[Inline] = LETTERS.map(Text) | st.builds(
    lambda style, word: style((Text(word),)), st.sampled_from(STYLES), LETTERS
)
LEAVES = WORD | LETTERS.map(Code) | st.builds(lambda word: Link("https://e.org/x", (Text(word),)), LETTERS)
SPACED = st.lists(LEAVES, min_size=1, max_size=4).map(
    lambda nodes: Paragraph(tuple(each for node in nodes for each in (node, Text(" ")))[:-1])
)
BLOCKS: st.SearchStrategy[Block] = (
    SPACED | st.builds(CodeBlock, LETTERS) | st.builds(lambda inner: Quote((inner,)), SPACED)
)


def _merged(block: Block) -> Block:
    """Neighbouring texts are one text once they were sent."""
    if isinstance(block, Quote):
        return Quote(tuple(_merged(inner) for inner in block.children))
    if not isinstance(block, Paragraph):
        return block
    out: list[Inline] = []
    for node in block.children:
        if out and isinstance(last := out[-1], Text) and isinstance(node, Text):
            out[-1] = Text(last.text + node.text)
        else:
            out.append(node)
    return Paragraph(tuple(out))


@given(st.lists(BLOCKS, min_size=1, max_size=4))
def test_what_is_written_reads_back_as_it_was(blocks: list[Block]) -> None:
    sheet = Sheet()
    sheet.body(Body(tuple(blocks)))
    sent = sheet.composed()
    assert read(sent.text, sent.entities) == Body(tuple(_merged(block) for block in blocks))


# -- views --


def view(*blocks: Block, **more: Any) -> View:
    shape: dict[str, Any] = {"voice": Voice.PERSON, "body": Body(blocks)}
    return View(**shape | more)


def shape(entities: tuple[MessageEntity, ...]) -> list[tuple[str, int, int]]:
    return [(str(each.type), each.offset, each.length) for each in entities]


def test_a_post_with_author_body_and_footer() -> None:
    body = Paragraph((Text("😀 "), Strong((Text("hi"), Emphasis((Text("!"),)))), Text(" "), Tag("birds")))
    sent = compose(view(body, author="Anna (@anna · Matrix)", footer="3 votes"), Form.FULL, keyboard=False)
    assert sent.text == f"Anna (@{PING_BREAK}anna · Matrix)\n😀 hi! #birds\n\n3 votes"
    assert shape(sent.entities) == [("bold", 0, 22), ("bold", 26, 3), ("italic", 28, 1), ("italic", 38, 7)]


def test_the_plain_form_has_the_words_only_and_the_link_form_the_first_of_them() -> None:
    long = view(Paragraph((Strong((Text("word " * 100),)),)), author="Anna", link="https://coop.example/p/1")
    assert compose(long, Form.PLAIN, keyboard=False).entities == ()
    teaser = compose(long, Form.LINK, keyboard=False)
    assert teaser.entities == ()
    assert teaser.text.startswith("Anna\nword word")
    assert teaser.text.endswith("word…\nhttps://coop.example/p/1")
    assert teaser.length < 260


def test_code_bears_no_style_and_lists_links_and_times_have_a_form() -> None:
    at = datetime(2026, 5, 1, 18, 30, tzinfo=UTC)
    sent = compose(
        view(
            Paragraph((Strong((Text("a"), Code("b"), Text("c"))),)),
            List(((Paragraph((Text("x"),)),), (Paragraph((Text("y"),)),)), ordered=True, start=3),
            Paragraph((Link("mailto:a@b.org", (Text("write"),)), Text(" "), Time(at))),
        ),
        Form.FULL,
        keyboard=False,
    )
    assert sent.text == "abc\n3. x\n4. y\nwrite (a@b.org) 2026-05-01 18:30 UTC"
    assert shape(sent.entities) == [("bold", 0, 1), ("code", 1, 1), ("bold", 2, 1), ("date_time", 30, 20)]


def test_a_text_that_does_not_fit_is_refused_and_one_that_just_fits_is_not() -> None:
    fits = view(Paragraph((Text("😀" * 2048),)))
    assert compose(fits, Form.FULL, keyboard=False).length == 4096
    with pytest.raises(Rejected) as refused:
        compose(replace(fits, footer="x"), Form.FULL, keyboard=False)
    assert refused.value.why is RejectedWhy.FORM
    with pytest.raises(Rejected):
        compose(view(), Form.FULL, keyboard=False)


def test_the_text_command_stands_only_where_there_are_no_buttons() -> None:
    ask = view(Paragraph((Text("Sure?"),)), text_command="/link yes", buttons=(Button("Yes", data="y"),))
    assert compose(ask, Form.FULL, keyboard=True).text == "Sure?"
    assert compose(ask, Form.FULL, keyboard=False).text == "Sure?\n\n/link yes"


def test_buttons_that_telegram_would_refuse_are_left_out() -> None:
    buttons = (
        Button("Undo", data="undo:1"),
        Button("Join", private="join_abc"),
        Button("Page", url="https://coop.example/p/1"),
        Button("Local", url="http://localhost:8080/p/1"),
        Button("Long", data="é" * 33),
        Button("Odd", private="no spaces"),
    )
    shown = keyboard(view(buttons=buttons), Form.FULL, "coop_test_bot")
    assert shown is not None
    assert [[(one.text, one.callback_data or one.url) for one in row] for row in shown.inline_keyboard] == [
        [
            ("Undo", "undo:1"),
            ("Join", "https://t.me/coop_test_bot?start=join_abc"),
            ("Page", "https://coop.example/p/1"),
        ]
    ]
    assert keyboard(view(buttons=buttons[2:3]), Form.PLAIN, "coop_test_bot") is None


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("hi @anna", f"hi @{PING_BREAK}anna"),
        ("a@b.org", "a@b.org"),
        ("https://social.example/@anna", "https://social.example/@anna"),
        ("(https://social.example/@anna)", "(https://social.example/@anna)"),
        ("https://@anna", f"https://@{PING_BREAK}anna"),
        ("https://x.orghttp://@anna", f"https://x.orghttp://@{PING_BREAK}anna"),
        ("\u200d@anna", f"\u200d@{PING_BREAK}anna"),
        ("@@anna", f"@@{PING_BREAK}anna"),
        ("1 @ 2", "1 @ 2"),
    ],
)
def test_no_name_pings_anybody(written: str, shown: str) -> None:
    assert compose(view(Paragraph((Text(written),))), Form.FULL, keyboard=False).text == shown


def test_a_name_in_two_pieces_does_not_ping_and_one_in_code_cannot() -> None:
    pieces = view(Paragraph((Text("@"), Strong((Text("anna"),)), Text(" "), Code("@anna"))))
    sent = compose(pieces, Form.FULL, keyboard=False)
    assert sent.text == f"@{PING_BREAK}anna @anna"
    assert shape(sent.entities) == [("bold", 2, 4), ("code", 7, 5)]
    plain = compose(pieces, Form.PLAIN, keyboard=False)
    assert plain.text == f"@{PING_BREAK}anna @{PING_BREAK}anna"


def test_code_past_telegrams_hundred_entities_cannot_ping_either() -> None:
    many = tuple(node for _ in range(101) for node in (Code("@anna"), Text(" ")))
    sent = compose(view(Paragraph(many)), Form.FULL, keyboard=False)
    assert len(sent.entities) == 100
    assert sent.text.count("@") == sent.text.count(PING_BREAK) == 101


def test_a_toast_is_short_and_cut_between_graphemes() -> None:
    family = "👨\u200d👩\u200d👧"
    assert toast(view(Paragraph((Text("Done."),)))) == "Done."
    words = toast(view(Paragraph((Text(family * 40),))))
    assert utf16_length(words) <= 200
    assert words == family * 24 + "…"
    assert cut("abc", 3) == "abc"


def test_our_mark_is_one_of_the_allowed_emoji() -> None:
    assert [mark(emoji) for emoji in ("👍", "❤\ufe0f", "🕊\ufe0f", "✅", "🤷\u200d♂")] == [
        "👍",
        "❤",
        "🕊",
        "👌",
        "🤷\u200d♂\ufe0f",
    ]


@pytest.mark.parametrize(
    ("sentence", "why"),
    [
        (
            "Bad Request: message is not modified: specified new message content and ...",
            RejectedWhy.UNCHANGED,
        ),
        ("Bad Request: message to edit not found", RejectedWhy.GONE),
        ("Bad Request: message can't be edited", RejectedWhy.GONE),
        ("Bad Request: message to delete not found", RejectedWhy.GONE),
        ("Bad Request: message to react not found", RejectedWhy.GONE),
        ("Bad Request: message can't be deleted for everyone", RejectedWhy.FORBIDDEN),
        ("Bad Request: not enough rights to send text messages to the chat", RejectedWhy.FORBIDDEN),
        ("Bad Request: need administrator rights in the channel chat", RejectedWhy.FORBIDDEN),
        ("Bad Request: CHAT_ADMIN_REQUIRED", RejectedWhy.FORBIDDEN),
        ("Bad Request: TOPIC_CLOSED", RejectedWhy.FORBIDDEN),
        ("Bad Request: chat not found", RejectedWhy.CHAT_GONE),
        ("Bad Request: message thread not found", RejectedWhy.CHAT_GONE),
        (
            "Bad Request: query is too old and response timeout expired or query ID is invalid",
            RejectedWhy.UNREACHABLE,
        ),
        ("Bad Request: message is too long", RejectedWhy.FORM),
        ("Bad Request: can't parse entities: unexpected end", RejectedWhy.FORM),
        ("Bad Request: BUTTON_DATA_INVALID", RejectedWhy.FORM),
        ("Bad Request: a sentence that nobody has seen yet", RejectedWhy.FORM),
        ("Forbidden: bot was kicked from the supergroup chat", RejectedWhy.CHAT_GONE),
        ("Forbidden: bot is not a member of the channel chat", RejectedWhy.CHAT_GONE),
        ("Forbidden: the group chat was deleted", RejectedWhy.CHAT_GONE),
        ("Forbidden: bot was blocked by the user", RejectedWhy.UNREACHABLE),
        ("Forbidden: user is deactivated", RejectedWhy.UNREACHABLE),
        ("Forbidden: bot can't initiate conversation with a user", RejectedWhy.UNREACHABLE),
        ("Forbidden: bots can't send messages to bots", RejectedWhy.UNREACHABLE),
        ("Forbidden: a sentence that nobody has seen yet", RejectedWhy.FORBIDDEN),
    ],
)
def test_the_servers_sentences_have_a_meaning(sentence: str, why: RejectedWhy) -> None:
    kind = Forbidden if sentence.startswith("Forbidden") else BadRequest
    found = outcome(kind(sentence), form=True)
    assert isinstance(found, Rejected)
    assert found.why is why


def test_a_fault_of_unknown_kind_in_a_call_without_words_is_a_missing_right() -> None:
    found = outcome(BadRequest("Bad Request: REACTION_SOMETHING"), form=False)
    assert isinstance(found, Rejected)
    assert found.why is RejectedWhy.FORBIDDEN


def test_every_refusal_recorded_from_the_genuine_server_is_understood(shared: Path) -> None:
    lines = (shared / "data" / "telegram-golden.jsonl").read_text(encoding="utf-8").splitlines()
    recorded = [json.loads(line) for line in lines]
    refused = [one["response"]["description"] for one in recorded if one["http"] == 400]
    assert len(refused) > 20
    assert all(isinstance(outcome(BadRequest(one), form=True), Rejected) for one in refused)
    assert sum(reply_is_gone(BadRequest(one)) for one in refused) == 1


def test_addresses_of_messages() -> None:
    in_topic = message_ref(chat_ref(-1002000000001, 7), 55)
    assert address(in_topic) == "https://t.me/c/2000000001/7/55"
    assert address(in_topic, "flock") == "https://t.me/flock/7/55"
    assert address(message_ref(chat_ref(-4000000001), 5)) == ""
    assert address(message_ref(chat_ref(777006), 5)) == ""


def test_what_we_send_comes_back_as_recorded_from_the_genuine_server(shared: Path) -> None:
    answer = _golden(shared, "HTML")["response"]["result"]
    sent = Message.de_json(answer, None)
    body = read(sent.text or "", sent.entities)
    assert body == paragraph(Strong((Text("hi 😀"),)), Text(" & "), Emphasis((Text("x"),)))
    written = compose(View(voice=Voice.BOT, body=body), Form.FULL, keyboard=False)
    assert (written.text, shape(written.entities)) == (sent.text, shape(sent.entities))


def _golden(shared: Path, note: str) -> dict[str, Any]:
    lines = (shared / "data" / "telegram-golden.jsonl").read_text(encoding="utf-8").splitlines()
    recorded: list[dict[str, Any]] = [json.loads(line) for line in lines]
    return next(one for one in recorded if one["note"] == note)
