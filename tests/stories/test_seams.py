"""Where the rules and the platforms meet: what adapters really hand over, and what must not come of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from core.body import Body, Mention, Paragraph, Strong, Text
from core.errors import Rejected, RejectedWhy, RetryLater
from core.events import PlaceChanged, ReactorsFound
from core.intents import Create, Form
from core.types import ChatRef, MessageRef, Platform
from core.windows import Windows
from tests.stories.world import MINUTE, World


async def test_start_in_a_group_says_no_private_answer_there(world: World) -> None:
    """Somebody's link code waits for their private chat; `/start` typed in the group must not bring it out."""
    group = world.room("telegram", "group")
    await world.community(group)
    anna = world.person("telegram", "anna")
    await anna.runs(group, "join")
    await anna.runs(group, "link")
    world.forget()
    await anna.runs(group, "start answer")
    assert "link.code" not in group.heard
    await anna.runs(anna.private, "start answer")
    assert "link.code" in anna.private.heard


async def test_a_private_button_without_deep_links_answers_its_presser_alone(world: World) -> None:
    """On Discord the button into the private chat is a command of its own, pressed in the channel."""
    channel = world.room("discord", "general")
    await world.community(channel)
    anna = world.person("discord", "anna")
    await anna.runs(channel, "join")
    typed = replace(anna.command(channel, "whoami"), handle="", message=MessageRef(channel.ref, "typed"))
    await world.hand(typed)
    world.forget()
    await anna.runs(channel, "start answer")
    assert "whoami.member" not in channel.heard
    assert "whoami.member" in anna.told


async def test_a_private_chat_that_others_entered_hears_no_personal_answer(world: World) -> None:
    group = world.room("matrix", "group")
    await world.community(group)
    anna = await world.member("matrix", "anna")
    once_private = anna.private
    shared = replace(once_private.place, private=False)
    world.forget()
    event = replace(anna.command(once_private, "help"), place=shared)
    await world.hand(event)
    world.forget()
    await anna.runs(group, "link")
    assert "link.code" not in once_private.heard


async def test_a_moved_group_mixes_up_no_message_numbers(world: World) -> None:
    """A supergroup numbers its messages anew: what stood in the group is not what has the number now."""
    group, channel = world.room("telegram", "-5"), world.room("discord", "general")
    await world.community(group, channel)
    await world.mirrors(group, "#news")
    anna = await world.member("discord", "anna")
    await anna.runs(channel, "post old #news")
    [old] = group.copies
    new = ChatRef(Platform("telegram"), "-1005")
    await world.hand(PlaceChanged(key="moved", chat=group.ref, moved_to=new))
    supergroup = world.room("telegram", "-1005")
    world.papers[Platform("telegram")]._number = int(old.ref.key[1:]) - 1
    await anna.runs(channel, "post new #news")
    await world.passes(MINUTE)
    assert [line.text for line in supergroup.copies] == ["new #news"]
    bert = await world.member("telegram", "bert")
    await bert.reacts(supergroup.copies[0], "👍")
    await world.passes(MINUTE)
    assert {line.text: line.footer for line in channel.copies} == {"old #news": "", "new #news": "1 vote"}
    assert supergroup.copies[0].footer == "1 vote"


async def test_a_group_whose_new_identity_was_heard_before_the_move_goes_on_there(world: World) -> None:
    group, channel = world.room("telegram", "-5"), world.room("discord", "general")
    await world.community(group, channel)
    await world.mirrors(group, "#news")
    supergroup = world.room("telegram", "-1005")
    early = world.person("telegram", "early")
    await early.runs(supergroup, "help")
    await world.hand(PlaceChanged(key="moved", chat=group.ref, moved_to=supergroup.ref))
    anna = await world.member("discord", "anna")
    await anna.runs(channel, "post new #news")
    await world.passes(MINUTE)
    assert [line.text for line in supergroup.copies] == ["new #news"]
    assert group.copies == []


async def test_a_reply_brings_no_word_of_a_removed_post_back(world: World) -> None:
    group, channel = world.room("telegram", "group"), world.room("discord", "general")
    await world.community(group, channel)
    anna, bert = await world.member("telegram", "anna"), await world.member("telegram", "bert")
    await world.mirrors(channel, "@anna", "@bert")
    post = await anna.posts(group, "something nasty")
    await world.passes(MINUTE)
    await anna.deletes(channel.copies[0])
    await bert.says(group, "how rude", reply_to=post)
    await world.passes(MINUTE)
    assert "how rude" in channel.texts[0]
    assert "nasty" not in channel.texts[0]


async def test_a_reply_brings_no_word_of_a_banned_author_back(world: World) -> None:
    group, channel = world.room("telegram", "group"), world.room("discord", "general")
    await world.community(group)
    await world.community(channel)
    mod = world.person("discord", "mod").leads(channel)
    anna, bert = await world.member("telegram", "anna"), await world.member("telegram", "bert")
    await world.mirrors(channel, "@anna", "@bert")
    await mod.runs(channel, "ban @anna")
    post = await anna.posts(group, "visibility:public something nasty")
    await bert.says(group, "how rude", reply_to=post)
    await world.passes(MINUTE)
    assert "how rude" in channel.texts[0]
    assert "nasty" not in channel.texts[0]


async def test_who_is_banned_cannot_speak_by_editing(world: World) -> None:
    group, channel = world.room("telegram", "group"), world.room("discord", "general")
    await world.community(group, channel)
    anna = await world.member("telegram", "anna")
    await world.mirrors(channel, "@anna")
    post = await anna.posts(group, "hello")
    mod = world.person("telegram", "mod").leads(group)
    await mod.runs(group, "ban @anna")
    await anna.edits(group, post, "/post something nasty")
    await world.passes(MINUTE)
    assert channel.texts == ["hello"]


async def test_a_commands_token_and_code_are_not_in_a_dead_letter(world: World) -> None:
    anna = world.person("discord", "anna")
    event = replace(anna.command(anna.private, "link ABCDEFGHJKMNP"), handle="interaction:1:s3cret:2")
    await world.write(lambda unit: world.engine.bury(unit, event, ValueError("broken")))
    [(payload,)] = await world.rows("SELECT payload FROM dead_letters")
    assert "s3cret" not in payload


def test_a_place_given_back_may_be_gone_already() -> None:
    """Without windows only the last send is kept in mind, and two lanes may have one place each."""
    windows = Windows(())
    windows.take(1.0)
    windows.take(2.0)
    windows.give_back(1.0)
    assert windows.ready_at(3.0) == 3.0


async def test_one_thing_that_fails_does_not_silence_its_room(world: World) -> None:
    """Only a limit parks a lane: what a platform's fault puts off steps aside, and answers go on."""
    group, channel = world.room("telegram", "group"), world.room("matrix", "aviary")
    await world.community(group, channel)
    anna = await world.member("telegram", "anna")
    await world.mirrors(channel, "@anna")
    fault = RetryLater("server error 500", unknown=True)
    channel.paper.fails(fault, when=lambda i: isinstance(i, Create), times=1000)
    await anna.posts(group, "hello")
    await world.passes(timedelta(minutes=20))
    bert = world.person("matrix", "bert")
    world.forget()
    await bert.runs(channel, "join")
    assert "join.done" in bert.told


async def test_a_slash_command_keeps_the_form_of_its_text(world: World) -> None:
    group, channel = world.room("telegram", "group"), world.room("discord", "general")
    await world.community(group, channel)
    anna = await world.member("discord", "anna")
    await world.mirrors(group, "@anna")
    tree = Body((Paragraph((Strong((Text("bold"),)),)),))
    event = replace(anna.command(channel, "post"), text="", options={"text": "**bold**"}, body=tree)
    await world.hand(event)
    [copy] = group.copies
    assert copy.view is not None
    assert copy.view.body == tree


async def test_a_vote_taken_back_while_nobody_listened_ends(world: World) -> None:
    channel = world.room("discord", "general")
    await world.community(channel)
    anna, bert, carl = [await world.member("discord", key) for key in ("anna", "bert", "carl")]
    await anna.runs(channel, "post hello")
    [copy] = channel.copies
    await bert.reacts(copy, "👍")
    await carl.reacts(copy, "👍")
    await world.passes(MINUTE)
    assert copy.footer == "2 votes"
    began = world.clock.now()
    await world.hand(ReactorsFound(key=None, message=copy.ref, accounts=(carl.ref,), began=began))
    await world.passes(MINUTE)
    assert copy.footer == "1 vote"


async def test_a_reaction_heard_after_the_reading_began_is_not_judged_by_it(world: World) -> None:
    channel = world.room("discord", "general")
    await world.community(channel)
    anna, bert = [await world.member("discord", key) for key in ("anna", "bert")]
    await anna.runs(channel, "post hello")
    [copy] = channel.copies
    began = world.clock.now()
    await bert.reacts(copy, "👍")
    await world.hand(ReactorsFound(key=None, message=copy.ref, accounts=(), began=began))
    await world.passes(MINUTE)
    assert copy.footer == "1 vote"


async def test_a_thumb_changed_for_a_heart_while_nobody_listened_still_is_a_vote(world: World) -> None:
    channel = world.room("discord", "general")
    await world.community(channel)
    anna, bert = [await world.member("discord", key) for key in ("anna", "bert")]
    await anna.runs(channel, "post hello")
    [copy] = channel.copies
    await bert.reacts(copy, "👍")
    await world.passes(MINUTE)
    await world.hand(bert.reaction(copy, "❤", whole=True, found=True))
    await world.passes(MINUTE)
    assert copy.footer == "1 vote"


async def test_a_lost_room_is_still_watched_so_that_it_can_be_found_again(world: World) -> None:
    channel = world.room("discord", "general")
    await world.community(channel)
    await world.hand(PlaceChanged(key=None, chat=channel.ref, gone=True, reason="removed"))
    assert list(await world.gate.watched_chats(Platform("discord"))) == [channel.ref]


async def test_a_mention_takes_no_platforms_name_to_another_platform(world: World) -> None:
    """A member is named by their handle there, anybody else by nobody's name; at home the words stay."""
    group, channel = world.room("telegram", "group"), world.room("discord", "general")
    twin = world.room("telegram", "twin")
    await world.community(group, channel, twin)
    anna = await world.member("telegram", "anna")
    bert = await world.member("telegram", "bert", name="Bert Surname", username="bert")
    carl = world.person("telegram", "77", name="Carl Surname")
    await world.mirrors(twin, "@anna")
    tree = Body(
        (
            Paragraph(
                (
                    Text("with "),
                    Mention("@Bert Surname", account=bert.ref),
                    Strong((Text(" and "), Mention("@Carl Surname", account=carl.ref))),
                )
            ),
        )
    )
    await world.hand(replace(anna.command(group, "post x"), body=tree))
    admin = world.person("discord", "admin-general").leads(channel)
    await admin.asks(channel, "mirror add @anna")
    assert "with @bert and @somebody" in admin.told_text
    assert twin.texts == ["with @Bert Surname and @Carl Surname"]
    dora = await world.member("discord", "dora")
    await dora.runs(channel, "follow @anna")
    await dora.asks(dora.private, "feed")
    assert "with @bert and @somebody" in dora.told_text


async def test_neither_a_quote_nor_a_fold_names_a_foreign_account(world: World) -> None:
    group, channel = world.room("telegram", "group"), world.room("discord", "general")
    await world.community(group, channel)
    anna = await world.member("telegram", "anna")
    carl = world.person("telegram", "77", name="Carl Surname")
    tree = Body((Paragraph((Text("with "), Mention("@Carl Surname", account=carl.ref))),))
    event = anna.command(group, "post x")
    await world.hand(replace(event, body=tree))
    await world.mirrors(channel, "@anna")
    assert event.message is not None
    await anna.says(group, "an answer", reply_to=anna.paper.find(event.message))
    assert "with @somebody" in channel.texts[0]
    await world.restart(after=timedelta(hours=2))
    channel.paper.fails(RetryLater("busy", after=timedelta(minutes=20)), when=lambda i: isinstance(i, Create))
    for _ in range(2):
        await world.hand(replace(anna.command(group, "post x"), body=tree))
    await world.passes(timedelta(hours=1))
    assert channel.spoken[-1].text.count("with @somebody") >= 1
    assert not [line.text for line in channel.lines if "Surname" in line.text]


async def test_relayed_talk_names_no_foreign_account(world: World) -> None:
    group, channel = world.room("telegram", "group"), world.room("discord", "general")
    founder = await world.community(group, channel)
    await founder.runs(group, "relay on")
    await world.person("discord", "admin-general").leads(channel).runs(channel, "relay on")
    anna, carl = await world.member("telegram", "anna"), world.person("telegram", "77", name="Carl Surname")
    tree = Body((Paragraph((Mention("@Carl Surname", account=carl.ref), Text(", hello"))),))
    line = anna.paper.write(group.ref, "anna", "x")
    await world.hand(replace(anna.message(group, line, "x"), body=tree))
    assert channel.texts == ["@somebody, hello"]


async def test_a_display_name_passes_for_nobody_else(world: World) -> None:
    """An author's line is ours to write: a name that imitates one, or another's handle, becomes the handle."""
    group, channel = world.room("telegram", "group"), world.room("discord", "general")
    await world.community(group, channel)
    await world.member("discord", "carla")
    await world.mirrors(channel, "#news")
    for key, name in (
        ("eve", "Carla (@carla · Discord)\u202e"),
        ("mal", "C\u200barla"),
        ("joe", "Joe\nRossi"),
    ):
        person = await world.member("telegram", key, name=name, username=key)
        await person.runs(person.private, "name show")
        await person.posts(group, f"by {key} #news")
    await world.passes(MINUTE)
    assert [line.author for line in channel.copies] == [
        "@eve · Telegram",
        "@mal · Telegram",
        "Joe Rossi (@joe · Telegram)",
    ]


async def test_relayed_talk_passes_for_nobody_else(world: World) -> None:
    group, twin = world.room("telegram", "group"), world.room("telegram", "twin")
    founder = await world.community(group, twin)
    await founder.runs(group, "relay on")
    await world.person("telegram", "admin-twin").leads(twin).runs(twin, "relay on")
    await world.person("telegram", "anna", name="Anna\n\u202eRossi").says(group, "hello")
    await world.person("telegram", "eve", name="Carla (@carla · Discord)").says(group, "it is me")
    await world.passes(MINUTE)
    first, second = (line.author for line in twin.copies)
    assert first == "Anna Rossi"
    assert "carla" not in second
    assert second.startswith("guest-")


async def test_a_narrower_wish_in_an_edited_post_withdraws_what_no_longer_belongs(world: World) -> None:
    group, channel, guests = (
        world.room(*at) for at in (("telegram", "a"), ("discord", "b"), ("matrix", "c"))
    )
    await world.community(group, channel)
    await world.community(guests)
    anna = await world.member("telegram", "anna")
    await world.mirrors(channel, "@anna")
    await world.mirrors(guests, "@anna")
    post = await anna.posts(group, "visibility:public hello")
    assert (channel.texts, guests.texts) == (["hello"], ["hello"])
    await anna.edits(group, post, "/post visibility:community hello")
    assert (channel.texts, guests.texts) == (["hello"], [])
    world.forget()
    await anna.edits(group, post, "/post visibility:room hello, you")
    assert (channel.texts, guests.texts) == ([], [])
    assert anna.told == ["post.narrowed"]


async def test_a_wider_wish_in_an_edited_post_is_refused_with_what_to_do(world: World) -> None:
    group, channel = world.room("telegram", "group"), world.room("discord", "general")
    await world.community(group)
    await world.community(channel)
    anna = await world.member("telegram", "anna")
    await world.mirrors(channel, "@anna")
    post = await anna.posts(group, "hello")
    world.forget()
    await anna.edits(group, post, "/post visibility:public hello again")
    await world.passes(MINUTE)
    assert anna.told == ["post.cannot_widen"]
    assert channel.texts == []
    world.forget()
    await anna.edits(group, post, "/post visibility:nobody hello again")
    assert anna.told == ["usage.choice"]


async def test_the_edit_command_takes_a_narrower_wish_too(world: World) -> None:
    group, channel = world.room("telegram", "birds"), world.room("discord", "channel")
    await world.community(group, channel)
    await world.mirrors(channel, "birds")
    anna = await world.member("telegram", "anna")
    own = await anna.posts(group, "Hello, all")
    id_ = await world.short_id_of("Hello, all")
    assert await anna.asks(group, "edit visibility:public Hello", target=own) == ["post.cannot_widen"]
    assert channel.texts == ["Hello, all"]
    assert await anna.asks(group, f"edit visibility:room post:{id_} Hello, you") == [
        "post.narrowed",
        "post.edited",
    ]
    assert channel.texts == []
    assert await anna.asks(group, "edit visibility:room Hello, you", target=own) == ["post.same"]


async def test_a_mistyped_post_that_is_put_right_travels_once(world: World) -> None:
    group, channel = world.room("telegram", "group"), world.room("discord", "general")
    await world.community(group, channel)
    anna = await world.member("telegram", "anna")
    await world.mirrors(channel, "@anna")
    line = await anna.runs(group, "pots hi")
    assert line is not None
    await anna.edits(group, line, "/post hi")
    assert channel.texts == ["hi"]
    await anna.edits(group, line, "/post hi there")
    # What was to go with the refusal is a post now, and stays.
    await world.passes(timedelta(minutes=5))
    assert channel.texts == ["hi there"]
    assert not line.deleted


async def test_an_edit_runs_no_other_command_and_revives_no_deleted_post(world: World) -> None:
    group, channel = world.room("telegram", "group"), world.room("discord", "general")
    await world.community(group, channel)
    anna = await world.member("telegram", "anna")
    await world.mirrors(channel, "@anna")
    post = await anna.posts(group, "hello")
    await anna.runs(group, "delete", target=post)
    world.forget()
    await anna.edits(group, post, "/post hello again")
    line = await anna.runs(group, "pots hi")
    world.forget()
    assert line is not None
    await anna.edits(group, line, "/whoami")
    await world.passes(MINUTE)
    assert channel.texts == []
    assert anna.told == []


async def test_other_words_get_the_best_form_again(world: World) -> None:
    """What was cut to a link for its length is shown whole once it was edited short; a tally alone tries nothing."""
    group, channel = world.room("telegram", "group"), world.room("discord", "general")
    await world.community(group, channel)
    anna, bert = [await world.member("telegram", key) for key in ("anna", "bert")]
    await world.mirrors(channel, "@anna")
    too_long = Rejected("too long", why=RejectedWhy.FORM)
    channel.paper.fails(too_long, when=lambda i: isinstance(i, Create) and i.form is not Form.LINK, times=2)
    post = await anna.posts(group, "very long")
    await bert.reacts(channel.copies[0], "👍")
    await world.passes(MINUTE)
    assert [line.form for line in channel.copies] == [Form.LINK]
    await anna.edits(group, post, "/post short")
    assert [(line.text, line.form) for line in channel.copies] == [("short", Form.FULL)]


async def test_a_room_that_keeps_an_author_out_shows_nothing_newer_of_them(world: World) -> None:
    """A ban or a block after the copy stands: it stays as it was, and its withdrawal still comes."""
    group, channel, aviary = (
        world.room(*at) for at in (("telegram", "a"), ("discord", "b"), ("matrix", "c"))
    )
    for room in (group, channel, aviary):
        await world.community(room)
    anna = await world.member("telegram", "anna")
    await world.mirrors(channel, "@anna")
    await world.mirrors(aviary, "@anna")
    post = await anna.posts(group, "visibility:public hello")
    await world.person("discord", "mod").leads(channel).runs(channel, "ban @anna")
    await world.person("matrix", "mod").leads(aviary).runs(aviary, "mirror block @anna")
    await anna.edits(group, post, "/post something nasty")
    await world.passes(MINUTE)
    assert (channel.texts, aviary.texts) == (["hello"], ["hello"])
    await world.person("discord", "mod").leads(channel).runs(channel, "unban @anna")
    await anna.edits(group, post, "/post something nice")
    assert (channel.texts, aviary.texts) == (["something nice"], ["hello"])
    await anna.deletes(post)
    assert (channel.texts, aviary.texts) == ([], [])


async def test_relayed_talk_of_who_was_banned_since_changes_no_more(world: World) -> None:
    group, channel = world.room("telegram", "group"), world.room("discord", "general")
    founder = await world.community(group, channel)
    await founder.runs(group, "relay on")
    mod = world.person("discord", "admin-general").leads(channel)
    await mod.runs(channel, "relay on")
    anna = await world.member("telegram", "anna")
    line = await anna.says(group, "hello")
    await mod.runs(channel, "ban @anna")
    await anna.edits(group, line, "something nasty")
    await world.passes(MINUTE)
    assert channel.texts == ["hello"]


async def test_a_room_does_not_read_whom_its_admin_blocks(world: World) -> None:
    group = world.room("telegram", "group")
    await world.community(group)
    await world.member("discord", "eve")
    admin = (await world.member("telegram", "admin")).leads(group)
    world.forget()
    await admin.runs(group, "mirror block @eve")
    await admin.runs(group, "mirror list")
    assert not [line.text for line in group.spoken if "eve" in line.text]
    assert "mirror.block_line" in admin.private.heard
    assert await admin.asks(group, "mirror unblock @eve") == ["mirror.unblocked"]
    assert await admin.asks(group, "mirror list") == ["mirror.none"]
    assert group.heard[-1] == "mirror.none"


async def test_a_private_chat_that_somebody_entered_unheard_hears_no_personal_answer(world: World) -> None:
    group = world.room("matrix", "group")
    await world.community(group)
    anna = await world.member("matrix", "anna")
    await world.hand(PlaceChanged(key=None, chat=anna.private.ref, shared=True))
    await anna.runs(group, "link")
    assert "link.code" not in anna.private.heard
    assert "link.code" not in group.heard
    await anna.runs(anna.private, "start answer")
    assert "link.code" in anna.private.heard, "alone again"
