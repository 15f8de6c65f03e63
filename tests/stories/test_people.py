"""Joining, names, several accounts of one person, leaving no trace."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from core.types import Platform
from tests.stories.world import MINUTE, Person, World, code_in


async def votes(world: World, person: Person, *, text: str) -> None:
    """The person reacts to the copy with this text in their platform's room."""
    room = next(r for r in world.rooms if r.paper is person.paper and text in r.texts)
    line = next(line for line in room.copies if line.text == text)
    await person.reacts(line, "👍")


async def tally(world: World, text: str) -> tuple[int, int]:
    """Votes and guests of the post with these words."""
    rows = await world.rows(
        "SELECT p.score, p.guests FROM posts p JOIN revisions r ON r.post_id = p.id AND r.number = p.revision "
        f"WHERE r.source = '{text}'"
    )
    assert len(rows) == 1
    return int(rows[0][0]), int(rows[0][1])


# -- joining -----------------------------------------------------------------------------------------------------


async def test_one_tap_joins_with_a_handle_from_the_account_s_name(world: World) -> None:
    anna = world.person("telegram", "1", name="Änna Müller")
    assert await anna.asks(anna.private, "join") == ["join.done", "join.shown_as"]
    assert "@anna_muller" in anna.told_text
    assert await anna.asks(anna.private, "join") == ["join.already"]


async def test_the_username_is_preferred_and_a_taken_one_gets_a_number(world: World) -> None:
    for key in ("1", "2", "3"):
        person = world.person("telegram", key, name="Somebody Else", username="anna")
        await person.runs(person.private, "join")
    assert await world.rows("SELECT handle FROM members ORDER BY id") == [("anna",), ("anna2",), ("anna3",)]


@pytest.mark.parametrize(
    ("wish", "answer"),
    [
        ("anna", "handle.taken"),
        ("ANNA", "handle.taken"),
        ("@anna", "handle.taken"),
        ("an_na", "handle.confusable"),
        ("stormo", "handle.reserved"),
        ("st0rmo", "handle.reserved"),
        ("adrnin", "handle.reserved"),
        ("an", "handle.form"),
        ("a" * 21, "handle.form"),
        ("änna", "handle.form"),
        ("anna-banana", "handle.form"),
    ],
)
async def test_a_handle_that_cannot_be_had_is_refused_and_nobody_joins(
    world: World, wish: str, answer: str
) -> None:
    await world.member("telegram", "anna")
    other = world.person("matrix", "other")
    assert await other.asks(other.private, f"join {wish}") == [answer]
    assert await world.rows("SELECT handle FROM members") == [("anna",)]
    assert await other.asks(other.private, "whoami") == ["whoami.guest"]


async def test_a_name_like_a_reserved_one_gets_another_handle(world: World) -> None:
    person = await world.member("telegram", "1", name="Stormo")
    assert await world.rows("SELECT handle FROM members") == [("member_stormo",)]
    assert await person.asks(person.private, "name show") == ["name.confusable"]


async def test_a_member_takes_another_handle(world: World) -> None:
    anna = await world.member("telegram", "anna")
    assert await anna.asks(anna.private, "join nina") == ["join.renamed"]
    assert await anna.asks(anna.private, "join NI_NA") == ["join.renamed"]
    assert await world.rows("SELECT handle FROM members") == [("ni_na",)]


async def test_a_handle_given_up_is_kept_for_its_member_for_a_month(world: World) -> None:
    anna = await world.member("telegram", "anna")
    await anna.runs(anna.private, "join nina")
    other = world.person("matrix", "other")
    for wish in ("anna", "an_na"):
        assert await other.asks(other.private, f"join {wish}") == ["handle.kept"]
    assert await world.rows("SELECT handle FROM members") == [("nina",)]
    namesake = await world.member("discord", "9", name="Anna")
    assert await world.rows("SELECT handle FROM members ORDER BY id") == [("nina",), ("anna2",)]
    assert await namesake.asks(namesake.private, "name show") == ["name.confusable"]
    assert await anna.asks(anna.private, "join anna") == ["join.renamed"], "it is still hers"
    await anna.runs(anna.private, "join nina")
    await world.passes(timedelta(days=31))
    assert await other.asks(other.private, "join anna") == ["join.done", "join.shown_as"]


async def test_who_changes_names_all_the_time_keeps_no_more_than_three(world: World) -> None:
    anna = await world.member("telegram", "anna")
    for name in ("nina", "mina", "lina"):
        assert await anna.asks(anna.private, f"join {name}") == ["join.renamed"]
    assert await anna.asks(anna.private, "join tina") == ["handle.too_often"]
    assert await world.rows("SELECT handle FROM members") == [("lina",)]
    assert await anna.asks(anna.private, "join mina") == ["join.renamed"], (
        "what she gave up is hers to take back"
    )
    await world.passes(timedelta(days=31))
    assert await anna.asks(anna.private, "join tina") == ["join.renamed"]
    await world.write(world.engine.housekeep)
    assert await world.rows("SELECT handle FROM kept_handles") == [("mina",)]


async def test_a_name_crosses_to_another_platform_only_with_its_person_s_yes(world: World) -> None:
    group, channel = world.room("telegram", "birds"), world.room("discord", "channel")
    await world.community(group, channel)
    await world.mirrors(channel, "birds")
    anna = await world.member("telegram", "1", name="Anna Rossi", username="swift")
    await anna.posts(group, "one")
    assert channel.copies[-1].author == "@swift · Telegram"
    await anna.runs(anna.private, "name show")
    await anna.posts(group, "two")
    assert channel.copies[-1].author == "Anna Rossi (@swift · Telegram)"
    await anna.runs(anna.private, "name hide")
    await anna.posts(group, "three")
    assert channel.copies[-1].author == "@swift · Telegram"


async def test_hiding_a_name_takes_it_off_what_stands_there_already(world: World) -> None:
    group, channel = world.room("telegram", "birds"), world.room("discord", "channel")
    await world.community(group, channel)
    await world.mirrors(channel, "birds")
    anna = await world.member("telegram", "1", name="Anna Rossi", username="swift")
    await anna.runs(anna.private, "name show")
    await anna.posts(group, "one")
    assert channel.copies[-1].author == "Anna Rossi (@swift · Telegram)"
    await anna.runs(anna.private, "name hide")
    await world.passes(MINUTE)
    assert channel.copies[-1].author == "@swift · Telegram"


# -- one person, several accounts --------------------------------------------------------------------------------


async def test_two_accounts_become_one_when_the_first_confirms_the_second_s_name(world: World) -> None:
    anna = await world.member("telegram", "anna")
    twin = world.person("matrix", "twin", name="Anna on Matrix")
    await twin.runs(twin.private, "start")
    assert await anna.asks(anna.private, "link") == ["link.code", "link.warning"]
    code = code_in(anna.told_text)
    assert code not in str(await world.rows("SELECT * FROM codes"))
    assert await twin.asks(twin.private, f"link {code.lower()}") == ["link.claim", "link.confirm_warning"]
    assert "@anna" in twin.told_text
    assert "Telegram" in twin.told_text
    assert await twin.asks(twin.private, "link yes") == ["link.wait"]
    assert anna.told == ["link.confirm", "link.confirm_warning"]
    assert "Anna on Matrix" in anna.told_text
    assert "Matrix" in anna.told_text
    assert await anna.asks(anna.private, "link yes") == ["link.done_first"]
    assert twin.told == ["link.done"]
    assert await twin.asks(twin.private, "whoami") == ["whoami.member", "whoami.account", "whoami.account"]


async def test_a_deep_link_carries_the_code_to_a_platform_that_has_them(world: World) -> None:
    has = replace(
        world.rules.platforms[Platform("telegram")],
        door=lambda payload: f"https://t.me/flock?start={payload}",
    )
    world.rules = world.with_rules(platforms={**world.rules.platforms, Platform("telegram"): has})
    await world.restart()
    anna, twin = await world.member("matrix", "anna"), world.person("telegram", "twin")
    assert await anna.asks(anna.private, "link") == ["link.code", "link.door", "link.warning"]
    payload = anna.told_text.partition("https://t.me/flock?start=")[2].split()[0]
    assert payload == f"link-{code_in(anna.told_text)}"
    assert await world.rows(f"SELECT id FROM notices WHERE payload LIKE '%{code_in(anna.told_text)}%'") == []
    assert await twin.asks(twin.private, f"start {payload}") == ["link.claim", "link.confirm_warning"]
    await twin.runs(twin.private, "link yes")
    await anna.runs(anna.private, "link yes")
    assert await twin.asks(twin.private, "whoami") == ["whoami.member", "whoami.account", "whoami.account"]
    assert await twin.asks(twin.private, "start link-AAAAAAAAAAAAA") == ["code.wrong"]
    assert await twin.asks(twin.private, "link") == ["link.code", "link.warning"], "not to where one is"


async def test_without_the_first_side_s_yes_nothing_is_linked(world: World) -> None:
    anna, twin = await world.member("telegram", "anna"), world.person("matrix", "twin")
    await twin.runs(twin.private, "start")
    await anna.runs(anna.private, "link")
    code = code_in(anna.told_text)
    await twin.runs(twin.private, f"link {code}")
    await twin.runs(twin.private, "link yes")
    assert await twin.asks(twin.private, "whoami") == ["whoami.guest"]
    assert await anna.asks(anna.private, "link no") == ["link.refused_by_you"]
    assert twin.told == ["link.refused"]
    assert await anna.asks(anna.private, "link yes") == ["link.nothing"]
    assert await twin.asks(twin.private, f"link {code}") == ["code.used"]
    assert await twin.asks(twin.private, "whoami") == ["whoami.guest"]


async def test_a_code_that_somebody_sent_is_refused_by_who_typed_it(world: World) -> None:
    thief, anna = await world.member("telegram", "thief"), await world.member("matrix", "anna")
    await thief.runs(thief.private, "link")
    code = code_in(thief.told_text)
    await anna.runs(anna.private, f"link {code}")
    assert await thief.asks(thief.private, "link yes") == ["link.nothing"]
    assert await anna.asks(anna.private, "link no") == ["link.refused_by_you"]
    assert await thief.asks(thief.private, "link yes") == ["link.nothing"]
    assert await anna.asks(anna.private, "whoami") == ["whoami.member", "whoami.account"]


async def test_a_code_is_good_once_for_ten_minutes_and_for_its_purpose(world: World) -> None:
    anna, twin = await world.member("telegram", "anna"), world.person("matrix", "twin")
    await twin.runs(twin.private, "start")
    assert await twin.asks(twin.private, "link AAAAAAAAAAAAA") == ["code.wrong"]
    world.forget()
    await anna.runs(anna.private, "link")
    code = code_in(anna.told_text)
    room = world.room("matrix", "aviary")
    twin.leads(room)
    assert await twin.asks(room, f"setup {code}") == ["code.wrong"]
    await world.passes(11 * MINUTE)
    assert await twin.asks(twin.private, f"link {code}") == ["code.old"]
    world.forget()
    await anna.runs(anna.private, "link")
    code = code_in(anna.told_text)
    await anna.runs(anna.private, "link")
    assert await twin.asks(twin.private, f"link {code}") == ["code.used"]


async def test_a_code_claimed_by_one_is_no_longer_free_for_another(world: World) -> None:
    anna, twin = await world.member("telegram", "anna"), world.person("matrix", "twin")
    thief = world.person("discord", "thief")
    await anna.runs(anna.private, "link")
    code = code_in(anna.told_text)
    await twin.runs(twin.private, f"link {code}")
    assert await thief.asks(thief.private, f"link {code}") == ["code.used"]
    await twin.runs(twin.private, "link yes")
    await anna.runs(anna.private, "link yes")
    assert await thief.asks(thief.private, "whoami") == ["whoami.guest"]
    assert await anna.asks(anna.private, f"link {code}") == ["code.used"]


async def test_own_codes_and_accounts_that_are_one_already_are_refused(world: World) -> None:
    anna, twin = await world.member("telegram", "anna"), world.person("matrix", "twin")
    await anna.runs(anna.private, "link")
    code = code_in(anna.told_text)
    assert await anna.asks(anna.private, f"link {code}") == ["link.same_account"]
    await world.link(anna, twin)
    world.forget()
    await anna.runs(anna.private, "link")
    assert await twin.asks(twin.private, f"link {code_in(anna.told_text)}") == ["link.already"]


async def test_wrong_codes_are_counted_per_account_that_tries(world: World) -> None:
    anna, guesser = await world.member("telegram", "anna"), world.person("matrix", "guesser")
    await anna.runs(anna.private, "link")
    code = code_in(anna.told_text)
    for _ in range(5):
        assert await guesser.asks(guesser.private, "link AAAAAAAAAAAAA") == ["code.wrong"]
    assert await guesser.asks(guesser.private, f"link {code}") == ["code.too_many"]
    await world.restart()
    assert await guesser.asks(guesser.private, f"link {code}") == ["code.too_many"]
    other = world.person("matrix", "other")
    assert await other.asks(other.private, f"link {code}") == ["link.claim", "link.confirm_warning"]
    await world.passes(timedelta(minutes=10, seconds=1))
    assert await guesser.asks(guesser.private, "link AAAAAAAAAAAAA") == ["code.wrong"]


async def test_two_members_who_are_one_person_become_one(world: World) -> None:
    """Of two votes on one post the latest act counts; posts, follows and bans come along; self-votes go."""
    group, channel = world.room("telegram", "birds"), world.room("discord", "channel")
    await world.community(group, channel)
    await world.mirrors(channel, "birds")
    carla = await world.member("telegram", "carla")
    anna, twin = await world.member("telegram", "anna"), await world.member("discord", "twin")
    both = await carla.posts(group, "both")
    await anna.reacts(both, "👍")
    await votes(world, twin, text="both")
    mine = await anna.posts(group, "mine")
    await votes(world, twin, text="mine")
    assert await tally(world, "both") == (2, 0)
    assert await tally(world, "mine") == (1, 0)
    await twin.runs(twin.private, "follow #swifts")
    await world.link(anna, twin)
    assert await tally(world, "both") == (1, 0)
    assert await tally(world, "mine") == (0, 0)
    assert await anna.asks(anna.private, "unfollow #swifts") == ["unfollow.done"]
    await anna.reacts(mine, "👍")
    await anna.reacts(both, "👍", off=True)
    assert await tally(world, "both") == (1, 0), "the later act was the twin's"
    line = next(line for line in channel.copies if line.text == "both")
    await twin.reacts(line, "👍", off=True)
    assert await tally(world, "both") == (0, 0)


async def test_a_ban_holds_for_the_person_whichever_member_it_was_said_of(world: World) -> None:
    group = world.room("telegram", "birds")
    founder = await world.community(group)
    anna, twin = await world.member("telegram", "anna"), await world.member("discord", "twin")
    await founder.runs(group, "ban @twin")
    await world.link(anna, twin)
    assert await anna.asks(group, "post Hello") == ["post.banned"]


async def test_unlinking_leaves_no_second_vote_on_the_same_post(world: World) -> None:
    group, channel = world.room("telegram", "birds"), world.room("discord", "channel")
    await world.community(group, channel)
    await world.mirrors(channel, "birds")
    carla = await world.member("telegram", "carla")
    anna, twin = await world.member("telegram", "anna"), world.person("discord", "twin")
    await world.link(anna, twin)
    post = await carla.posts(group, "swifts")
    await votes(world, twin, text="swifts")
    assert await twin.asks(twin.private, "unlink") == ["unlink.done"]
    assert await tally(world, "swifts") == (1, 0), "neither a vote more nor a guest"
    await anna.reacts(post, "👍")
    assert await tally(world, "swifts") == (1, 0)
    await twin.runs(twin.private, "join twin2")
    await votes(world, twin, text="swifts")
    assert await tally(world, "swifts") == (1, 0)
    assert await anna.asks(anna.private, "unlink") == ["unlink.last"]


async def test_an_unlinked_account_takes_back_the_vote_it_gave(world: World) -> None:
    group, channel = world.room("telegram", "birds"), world.room("discord", "channel")
    await world.community(group, channel)
    await world.mirrors(channel, "birds")
    carla = await world.member("telegram", "carla")
    anna, twin = await world.member("telegram", "anna"), world.person("discord", "twin")
    await world.link(anna, twin)
    await carla.posts(group, "swifts")
    await votes(world, twin, text="swifts")
    await twin.runs(twin.private, "unlink")
    await twin.reacts(channel.copies[0], "👍", off=True)
    assert await tally(world, "swifts") == (0, 0)


async def test_nobody_votes_on_their_own_post_through_an_account_that_was_unlinked(world: World) -> None:
    group, channel = world.room("telegram", "birds"), world.room("discord", "channel")
    await world.community(group, channel)
    await world.mirrors(channel, "birds")
    anna, twin = await world.member("telegram", "anna"), world.person("discord", "twin")
    await world.link(anna, twin)
    await anna.posts(group, "swifts")
    await votes(world, twin, text="swifts")
    assert await tally(world, "swifts") == (0, 0)
    await twin.runs(twin.private, "unlink")
    await twin.runs(twin.private, "join twin2")
    assert await tally(world, "swifts") == (0, 0)


# -- opting out --------------------------------------------------------------------------------------------------


async def test_who_opted_out_is_not_counted_until_they_come_back(world: World) -> None:
    group, channel = world.room("telegram", "birds"), world.room("discord", "channel")
    await world.community(group, channel)
    await world.mirrors(channel, "birds")
    carla = await world.member("telegram", "carla")
    await carla.posts(group, "swifts")
    guest = world.person("discord", "guest")
    await votes(world, guest, text="swifts")
    assert await tally(world, "swifts") == (0, 1)
    assert await guest.asks(guest.private, "optout") == ["optout.done"]
    assert await tally(world, "swifts") == (0, 0)
    assert await world.rows("SELECT * FROM signals") == []
    await votes(world, guest, text="swifts")
    assert await tally(world, "swifts") == (0, 0)
    assert await guest.asks(guest.private, "optout undo") == ["optout.undone"]
    await votes(world, guest, text="swifts")
    assert await tally(world, "swifts") == (0, 1)
    assert await carla.asks(carla.private, "optout") == ["optout.member"]
    assert await carla.asks(carla.private, "whoami") == ["whoami.member", "whoami.account"]


async def test_an_account_that_opted_out_and_is_linked_counts_again(world: World) -> None:
    group, channel = world.room("telegram", "birds"), world.room("discord", "channel")
    await world.community(group, channel)
    await world.mirrors(channel, "birds")
    carla, anna = await world.member("telegram", "carla"), await world.member("telegram", "anna")
    twin = world.person("discord", "twin")
    await carla.posts(group, "swifts")
    await twin.runs(twin.private, "optout yes")
    await world.link(anna, twin)
    await votes(world, twin, text="swifts")
    assert await tally(world, "swifts") == (1, 0)


async def test_a_member_leaves_and_nothing_of_the_account_counts_any_more(world: World) -> None:
    group = world.room("telegram", "birds")
    await world.community(group)
    anna, bruno = await world.member("telegram", "anna"), await world.member("telegram", "bruno")
    post = await anna.posts(group, "one")
    await bruno.reacts(post, "👍")
    assert await tally(world, "one") == (1, 0)
    assert await bruno.asks(bruno.private, "optout yes") == ["optout.done"]
    assert await tally(world, "one") == (0, 0)
    assert await bruno.asks(bruno.private, "whoami") == ["whoami.guest"]
    await bruno.reacts(post, "❤")
    assert await tally(world, "one") == (0, 0)
    await bruno.runs(bruno.private, "optout undo")
    assert await bruno.asks(bruno.private, "join back") == ["join.done", "join.shown_as"]
