"""Communities and their rooms: set-up, mirrors, who may see what, relays, and moderators who win."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.errors import RetryLater
from core.intents import Create
from core.social.relays import declare
from core.types import AccountRef, Platform
from tests.stories.world import HOUR, MINUTE, Person, Room, World, code_in


async def two_rooms(world: World) -> tuple[Person, Room, Room]:
    """A Telegram group, and a Discord channel of the same community that mirrors it; Anna is a member."""
    group, channel = world.room("telegram", "birds"), world.room("discord", "channel")
    await world.community(group, channel)
    await world.mirrors(channel, "birds")
    return await world.member("telegram", "anna"), group, channel


# -- set-up ------------------------------------------------------------------------------------------------------


async def test_setup_starts_a_community_and_its_code_brings_in_one_more_room(world: World) -> None:
    group, channel = (
        world.room("telegram", "birds", title="Birds of Ticino"),
        world.room("discord", "channel"),
    )
    anna = await world.member("telegram", "anna")
    anna.leads(group)
    assert await anna.asks(group, "setup") == ["setup.code", "setup.next"]
    assert group.heard == ["setup.started"]
    code = code_in(anna.told_text)
    bruno = world.person("discord", "bruno").leads(channel)
    assert await bruno.asks(channel, f"setup {code.lower()}") == ["setup.joined", "setup.next"]
    assert (await world.community_of(channel)).slug == "birds-of-ticino"
    assert await bruno.asks(channel, f"setup {code}") == ["setup.already"]
    other = world.room("discord", "other")
    bruno.leads(other)
    assert await bruno.asks(other, f"setup {code}") == ["code.used"]


async def test_who_has_no_right_sets_nothing_up(world: World) -> None:
    group = world.room("telegram", "birds")
    anna = await world.member("telegram", "anna")
    for command in ("setup", "setup AAAAAAAAAAAAA", "leave", "mirror add #x", "relay on", "pause", "resume"):
        assert await anna.asks(group, command) == ["right.admin"]
    for command in ("ban @anna", "unban @anna", "remove"):
        assert await anna.asks(group, command) == ["right.moderator"]
    assert await anna.asks(anna.private, "setup") == ["room.needed"]
    assert await world.rows("SELECT * FROM communities") == []


async def test_a_code_of_a_room_ends_after_ten_minutes(world: World) -> None:
    group, channel = world.room("telegram", "birds"), world.room("discord", "channel")
    founder = await world.community(group)
    world.forget()
    await founder.runs(group, "setup")
    code = code_in(founder.told_text)
    await world.passes(11 * MINUTE)
    bruno = world.person("discord", "bruno").leads(channel)
    assert await bruno.asks(channel, f"setup {code}") == ["code.old"]
    assert (
        await world.rows("SELECT id FROM chats WHERE community_id IS NOT NULL AND platform = 'discord'") == []
    )


async def test_two_communities_of_one_name_have_two_short_names(world: World) -> None:
    one, two = world.room("telegram", "1", title="Birds"), world.room("telegram", "2", title="Birds")
    await world.community(one)
    await world.community(two)
    assert [(await world.community_of(r)).slug for r in (one, two)] == ["birds", "birds-2"]


# -- mirrors -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("feed", ["@anna", "#Swifts", "birds"])
async def test_a_mirror_starts_from_now_with_one_preview_and_ends_when_removed(
    world: World, feed: str
) -> None:
    group, channel = world.room("telegram", "birds"), world.room("discord", "channel")
    await world.community(group, channel)
    anna = await world.member("telegram", "anna")
    admin = world.person("discord", "admin").leads(channel)
    await anna.posts(group, "old #swifts")
    assert await admin.asks(channel, f"mirror add {feed}") == ["mirror.added", "mirror.preview"]
    assert "old #swifts" in admin.told_text
    assert await admin.asks(channel, f"mirror add {feed}") == ["mirror.already"]
    assert await admin.asks(channel, "mirror list") == ["mirror.title", "mirror.line"]
    assert channel.texts == []
    await anna.posts(group, "new #swifts")
    assert channel.texts == ["new #swifts"]
    assert await admin.asks(channel, f"mirror remove {feed}") == ["mirror.removed"]
    assert await admin.asks(channel, f"mirror remove {feed}") == ["mirror.not_there"]
    await anna.posts(group, "newest #swifts")
    assert channel.texts == ["new #swifts"]
    assert await admin.asks(channel, "mirror list") == ["mirror.none"]


async def test_a_post_in_two_mirrored_feeds_comes_once(world: World) -> None:
    anna, group, channel = await two_rooms(world)
    await world.mirrors(channel, "@anna", "#swifts")
    await anna.posts(group, "one #swifts")
    assert channel.texts == ["one #swifts"]


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("#", "tag.form"),
        ("@nobody", "member.unknown"),
        ("@anma", "member.unknown_near"),
        ("nowhere", "feed.unknown"),
        ("bird", "feed.unknown_near"),
        ("everything", "feed.everything"),
        ("", "usage.missing"),
    ],
)
async def test_a_mirror_of_what_does_not_exist_or_may_not_be_seen_is_refused(
    world: World, typed: str, answer: str
) -> None:
    group = world.room("telegram", "birds")
    founder = await world.community(group)
    await world.member("telegram", "anna")
    assert await founder.asks(group, f"mirror add {typed}") == [answer]
    assert await world.rows("SELECT * FROM mirrors") == []


async def test_everything_is_the_operator_s_and_any_room_may_take_it_away(world: World) -> None:
    world.rules = world.with_rules(operators=frozenset({AccountRef(Platform("discord"), "root")}))
    await world.restart()
    group, channel = world.room("telegram", "birds"), world.room("discord", "channel")
    await world.community(group)
    await world.community(channel)
    root = world.person("discord", "root")
    assert (await root.asks(channel, "mirror add everything"))[0] == "mirror.added"
    anna = await world.member("telegram", "anna")
    await anna.posts(group, "visibility:public Hello, everybody")
    await anna.posts(group, "Hello, birds")
    assert channel.texts == ["Hello, everybody"]
    admin = world.person("discord", "admin").leads(channel)
    assert await admin.asks(channel, "mirror remove everything") == ["mirror.removed"]
    await anna.posts(group, "visibility:public Hello again")
    assert channel.texts == ["Hello, everybody"]


@pytest.mark.parametrize("what", ["@anna", "#ads"])
async def test_a_room_blocks_a_member_or_a_tag_and_lets_them_in_again(world: World, what: str) -> None:
    anna, group, channel = await two_rooms(world)
    admin = world.person("discord", "admin").leads(channel)
    assert await admin.asks(channel, f"mirror block {what}") == ["mirror.blocked"]
    assert await admin.asks(channel, f"mirror block {what}") == ["mirror.block_same"]
    await anna.posts(group, "one #ADS")
    assert channel.texts == []
    assert await admin.asks(channel, f"mirror unblock {what}") == ["mirror.unblocked"]
    await anna.posts(group, "two #ads")
    assert channel.texts == ["two #ads"]


async def test_what_is_blocked_or_banned_while_it_waits_is_never_shown(world: World) -> None:
    world.rules = world.with_rules(hold=timedelta(seconds=60))
    await world.restart()
    anna, group, channel = await two_rooms(world)
    other = world.room("matrix", "aviary")
    await world.community(other)
    await world.mirrors(other, "birds")
    await anna.posts(group, "visibility:public spam")
    admin = world.person("discord", "admin").leads(channel)
    await admin.runs(channel, "ban @anna")
    await world.person("matrix", "admin").leads(other).runs(other, "mirror block @anna")
    await world.passes(HOUR)
    assert channel.texts == other.texts == []


# -- who may see what --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("closed", [False, True], ids=["open", "closed"])
@pytest.mark.parametrize(
    ("visibility", "same", "other"),
    [
        ("room", False, False),
        ("community", True, False),
        ("public", True, True),
        ("", True, False),
    ],
)
async def test_the_table_of_who_sees_a_post(
    world: World, visibility: str, *, same: bool, other: bool, closed: bool
) -> None:
    """Without a word a post is the community's, and the room's own where the room is closed."""
    origin = world.room("telegram", "origin", closed=closed)
    mate, stranger = world.room("discord", "mate"), world.room("discord", "stranger")
    await world.community(origin, mate)
    await world.community(stranger)
    await world.mirrors(mate, "origin")
    await world.mirrors(stranger, "origin")
    anna = await world.member("telegram", "anna")
    await anna.posts(origin, f"visibility:{visibility} Hello" if visibility else "Hello")
    if closed and not visibility:
        same = False
    assert mate.texts == ["Hello"] * same
    assert stranger.texts == ["Hello"] * other


@pytest.mark.parametrize(("visibility", "seen"), [("", False), ("room", False), ("public", True)])
async def test_a_post_from_the_private_chat_stays_there_unless_its_author_says_public(
    world: World, visibility: str, *, seen: bool
) -> None:
    channel = world.room("discord", "channel")
    await world.community(channel)
    anna = await world.member("telegram", "anna")
    await world.mirrors(channel, "@anna")
    await anna.posts(anna.private, f"visibility:{visibility} Hello" if visibility else "Hello")
    assert channel.texts == ["Hello"] * seen
    assert await anna.asks(anna.private, "post visibility:community Hello") == ["post.no_community"]


@pytest.mark.parametrize("wish", ["keep", "remove", ""])
async def test_a_room_that_leaves_gets_nothing_more_and_chooses_about_its_copies(
    world: World, wish: str
) -> None:
    anna, group, channel = await two_rooms(world)
    own = await anna.posts(group, "one")
    await anna.posts(group, "two")
    await world.execute("UPDATE communities SET hold_seconds = 60")
    carla = await world.member("telegram", "carla")
    await carla.posts(group, "held back")
    channel.paper.fails(RetryLater("busy", after=MINUTE))
    await anna.edits(group, own, "/post one, edited just before")
    admin = world.person("discord", "admin").leads(channel)
    assert await admin.asks(channel, f"leave {wish}".strip()) == [
        "leave.removed" if wish == "remove" else "leave.kept"
    ]
    await world.passes(HOUR)
    await anna.posts(group, "three")
    await anna.edits(group, own, "/post one, edited later")
    await carla.reacts(own, "👍")
    await world.passes(HOUR)
    assert channel.texts == ([] if wish == "remove" else ["one", "two"])
    await anna.deletes(own)
    await world.passes(HOUR)
    assert channel.texts == ([] if wish == "remove" else ["two"]), "the author's word goes on counting"
    assert await admin.asks(channel, "mirror list") == ["room.no_community"]


async def test_a_reply_to_a_copy_is_a_reply_to_the_post_and_goes_where_the_post_stands(world: World) -> None:
    anna, group, channel = await two_rooms(world)
    matrix = world.room("matrix", "aviary")
    await world.community(matrix)
    await world.mirrors(matrix, "birds")
    own = await anna.posts(group, "visibility:public The swifts are back")
    bruno = await world.member("discord", "bruno")
    reply = await bruno.says(channel, "How many?", reply_to=channel.copies[0])
    assert group.texts == ["How many?"]
    assert group.copies[0].reply_to == own.ref
    assert matrix.texts == ["The swifts are back", "How many?"]
    assert matrix.copies[1].reply_to == matrix.copies[0].ref
    await bruno.edits(channel, reply, "How many are there?")
    assert group.texts == ["How many are there?"]
    guest = world.person("discord", "guest")
    await guest.says(channel, "I never joined", reply_to=channel.copies[0])
    assert await world.rows("SELECT key FROM accounts WHERE key = 'guest'") == []


async def test_a_room_that_removed_a_post_gets_no_answers_to_it(world: World) -> None:
    anna, group, channel = await two_rooms(world)
    own = await anna.posts(group, "The swifts are back")
    await world.person("discord", "mod").deletes(channel.copies[0])
    matrix = world.room("matrix", "aviary")
    carla = await world.member("telegram", "carla")
    await carla.says(group, "How many?", reply_to=own)
    assert "The swifts are back" not in channel.texts
    assert matrix.copies == []
    assert channel.texts == ["> An answer to a post that cannot be seen here\n\nHow many?"], (
        "by its mirror, not by the conversation, and without a word of what was removed"
    )


async def test_a_quoted_parent_that_this_room_may_not_see_is_hidden(world: World) -> None:
    anna, group, channel = await two_rooms(world)
    stranger = world.room("matrix", "stranger")
    await world.community(stranger)
    await world.mirrors(stranger, "#swifts")
    own = await anna.posts(group, "A secret of ours")
    carla = await world.member("telegram", "carla")
    assert await carla.asks(group, "post visibility:public #swifts?", target=own) == [
        "post.wider_than_parent"
    ]
    assert stranger.texts == []
    assert len(channel.copies) == 1


# -- relays ------------------------------------------------------------------------------------------------------


async def relayed(world: World) -> tuple[Room, Room, Room]:
    group, channel, matrix = (
        world.room("telegram", "birds"),
        world.room("discord", "channel"),
        world.room("matrix", "aviary"),
    )
    await world.community(group, channel, matrix)
    for room in (group, channel):
        admin = world.person(room.paper.platform, f"admin-{room.ref.key}").leads(room)
        await admin.runs(room, "relay on")
        assert [line.pinned for line in room.spoken if "relay.on" in world.speech.ids(line.text)] == [True]
    return group, channel, matrix


async def test_ordinary_talk_passes_only_between_rooms_with_their_relay_on_and_is_never_a_post(
    world: World,
) -> None:
    group, channel, matrix = await relayed(world)
    guest = world.person("telegram", "guest", name="Gina")
    line = await guest.says(group, "Good morning")
    assert channel.texts == ["Good morning"]
    assert matrix.texts == group.texts == []
    assert channel.copies[0].author.startswith("guest-")
    assert "Gina" not in channel.copies[0].author
    await guest.edits(group, line, "Good morning, all")
    assert channel.texts == ["Good morning, all"]
    bruno = await world.member("discord", "bruno")
    reply = await bruno.says(channel, "Hello", reply_to=channel.copies[0])
    assert group.texts == ["Hello"]
    assert group.copies[0].author == "@bruno · Discord"
    assert group.copies[0].reply_to == line.ref
    await bruno.reacts(channel.copies[0], "👍")
    assert await world.rows("SELECT * FROM posts") == []
    assert await world.rows("SELECT * FROM signals") == []
    await bruno.deletes(reply)
    assert group.texts == []


async def test_the_operators_config_may_share_rooms_once_and_their_admins_have_the_last_word(
    world: World,
) -> None:
    group, matrix = world.room("telegram", "birds"), world.room("matrix", "aviary")
    wanted = [group.ref, matrix.ref]
    assert await world.write(lambda unit: declare(unit, world.rules, wanted)) == []
    await world.settled()
    assert group.heard == matrix.heard == ["relay.on"]
    assert [line.pinned for line in group.spoken] == [True]
    guest = world.person("telegram", "guest")
    await guest.says(group, "Good morning")
    assert matrix.texts == ["Good morning"]

    admin = world.person("matrix", "admin").leads(matrix)
    await admin.runs(matrix, "relay off")
    assert await world.write(lambda unit: declare(unit, world.rules, wanted)) == []
    await guest.says(group, "Anybody there?")
    assert matrix.texts == ["Good morning"], "the config is no order to a room's admin"

    channel = world.room("discord", "channel")
    assert await world.write(lambda unit: declare(unit, world.rules, [*wanted, channel.ref])) == []
    await guest.says(group, "Hello, channel")
    assert channel.texts == ["Hello, channel"]


async def test_a_room_of_another_community_is_not_taken_by_the_config(world: World) -> None:
    group, channel = world.room("telegram", "birds"), world.room("discord", "channel")
    await world.community(group)
    await world.community(channel)
    assert await world.write(lambda unit: declare(unit, world.rules, [group.ref, channel.ref])) == [
        channel.ref
    ]
    await world.person("discord", "guest").says(channel, "Just us")
    assert group.texts == []


async def test_with_the_relay_off_nothing_passes_and_what_stands_there_stays(world: World) -> None:
    group, channel, _ = await relayed(world)
    guest = world.person("telegram", "guest")
    line = await guest.says(group, "Good morning")
    admin = world.person("discord", "admin-channel").leads(channel)
    await admin.runs(channel, "relay off")
    assert channel.heard.count("relay.off") == 1
    assert [line.pinned for line in channel.spoken] == [False] * len(channel.spoken), "its notice is gone"
    assert any(line.pinned for line in group.spoken), "where the relay is still on, it stays"
    await guest.says(group, "Anybody there?")
    await guest.edits(group, line, "Good evening")
    await world.passes(HOUR)
    assert channel.texts == ["Good morning"]
    await guest.deletes(line)
    assert channel.texts == []


async def test_the_pinned_notice_goes_with_the_relay_however_it_ends(world: World) -> None:
    group, channel, _ = await relayed(world)
    admin = world.person("telegram", "admin-birds").leads(group)
    await admin.runs(group, "leave")
    assert not any(line.pinned for line in group.spoken)
    keeper = world.person("discord", "admin-channel").leads(channel)
    await keeper.runs(channel, "relay off")
    held = channel.paper.hold(lambda intent: isinstance(intent, Create) and intent.pin)
    await world.hand_only(keeper.command(channel, "relay on"))
    await held.reached.wait()
    await world.hand_only(keeper.command(channel, "relay off"))
    held.release.set()
    await world.settled()
    assert not any(line.pinned for line in channel.spoken), "it ended while its notice was on the way"
    await keeper.runs(channel, "relay on")
    assert sum(line.pinned for line in channel.spoken) == 1


async def test_talk_that_goes_nowhere_leaves_nothing_behind(world: World) -> None:
    group = world.room("telegram", "birds")
    founder = await world.community(group)
    before = await world.snapshot()
    guest = world.person("telegram", "guest")
    await guest.says(group, "Good morning")
    assert await world.snapshot() == before
    await founder.runs(group, "relay on")
    before = await world.snapshot()
    await guest.says(group, "Good morning")
    assert await world.snapshot() == before


async def test_who_opted_out_or_is_banned_is_not_relayed(world: World) -> None:
    group, channel, _ = await relayed(world)
    guest = world.person("telegram", "guest")
    await guest.runs(guest.private, "optout")
    await guest.says(group, "Not me")
    bruno = await world.member("telegram", "bruno")
    await world.person("discord", "mod").moderates(channel).runs(channel, "ban @bruno")
    await bruno.says(group, "Nor me")
    assert channel.texts == []


async def test_relayed_talk_does_not_wait_behind_posts_that_reached_the_cap(world: World) -> None:
    world.rules = world.with_rules(copies_an_hour=1)
    await world.restart()
    group, channel, _ = await relayed(world)
    await world.mirrors(channel, "birds")
    anna = await world.member("telegram", "anna")
    await anna.posts(group, "one")
    await anna.posts(group, "two")
    await anna.says(group, "ordinary talk")
    assert channel.texts == ["one", "ordinary talk"]


# -- moderators win ----------------------------------------------------------------------------------------------


async def test_pause_stops_all_output_but_answers_and_survives_a_restart(world: World) -> None:
    anna, group, channel = await two_rooms(world)
    admin = world.person("discord", "admin").leads(channel)
    own = await anna.posts(group, "one")
    assert await admin.asks(channel, "pause") == ["pause.on"]
    assert await admin.asks(channel, "pause") == ["pause.same_on"]
    await anna.posts(group, "two")
    await anna.edits(group, own, "/post one, edited")
    await world.restart()
    await world.passes(MINUTE)
    assert channel.texts == ["one"]
    assert await admin.asks(channel, "whoami") == ["whoami.guest"]
    assert await admin.asks(channel, "resume") == ["pause.off"]
    assert channel.texts == ["one, edited", "two"]
    assert await admin.asks(channel, "resume") == ["pause.same_off"]


async def test_a_pause_stops_what_is_under_way_at_the_next_step(world: World) -> None:
    anna, group, channel = await two_rooms(world)
    hold = channel.paper.hold(lambda i: isinstance(i, Create))
    await world.hand_only(anna.command(group, "post one"), anna.command(group, "post two"))
    await hold.reached.wait()
    admin = world.person("discord", "admin").leads(channel)
    await world.hand_only(admin.command(channel, "pause"))
    hold.release.set()
    await world.settled()
    assert channel.texts == ["one"]


async def test_a_ban_holds_in_all_rooms_of_the_community_and_nowhere_else(world: World) -> None:
    anna, group, channel = await two_rooms(world)
    elsewhere, listener = world.room("telegram", "elsewhere"), world.room("discord", "listener")
    await world.community(elsewhere, listener)
    await world.mirrors(listener, "@anna")
    mod = await world.member("discord", "mod")
    mod.moderates(channel)
    assert await mod.asks(channel, "ban @anna") == ["ban.done"]
    assert await mod.asks(channel, "ban @anna") == ["ban.already"]
    assert await mod.asks(channel, "ban @nobody") == ["member.unknown"]
    assert await mod.asks(channel, "ban @mod") == ["ban.self"]
    assert await anna.asks(group, "post Hello") == ["post.banned"]
    await world.mirrors(channel, "#x")
    await anna.posts(elsewhere, "visibility:public Hello #x")
    assert listener.texts == ["Hello #x"]
    assert channel.texts == []
    assert await mod.asks(channel, "unban @anna") == ["unban.done"]
    assert await mod.asks(channel, "unban @anna") == ["unban.none"]
    await anna.posts(group, "Hello")
    assert channel.texts == ["Hello"]


@pytest.mark.parametrize("how", ["answering", "by its id"])
async def test_remove_takes_one_copy_out_of_one_room_for_good(world: World, how: str) -> None:
    anna, group, channel = await two_rooms(world)
    matrix = world.room("matrix", "aviary")
    await world.community(matrix)
    await world.mirrors(matrix, "birds")
    own = await anna.posts(group, "visibility:public spam")
    mod = world.person("discord", "mod").moderates(channel)
    copy = channel.copies[0]
    id_ = await world.short_id_of("spam")
    if how == "answering":
        assert await mod.asks(channel, "remove", target=copy) == ["remove.done"]
    else:
        assert await mod.asks(channel, f"remove {id_}") == ["remove.done"]
    await anna.edits(group, own, "/post spam again")
    await world.passes(HOUR)
    assert channel.copies == []
    assert matrix.texts == ["spam again"]
    assert await mod.asks(channel, "remove") == ["remove.no_target"]
    assert await mod.asks(channel, f"remove {id_}") == ["remove.not_ours"]
    assert await mod.asks(channel, "remove xyz") == ["post.unknown"]


async def test_a_community_chooses_what_becomes_of_a_send_in_doubt(world: World) -> None:
    room = world.room("telegram", "birds")
    founder = await world.community(room)
    assert await founder.asks(room, "doubt gap") == ["doubt.gap"]
    assert await world.rows("SELECT doubt FROM communities") == [("gap",)]
    assert await founder.asks(room, "doubt double") == ["doubt.double"]
    assert await founder.asks(room, "doubt perhaps") == ["usage.choice"]
    assert await world.rows("SELECT doubt FROM communities") == [("double",)]
