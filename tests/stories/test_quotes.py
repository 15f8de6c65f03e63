"""A post that carries another one inside: whose words show where, and when they go again."""

from __future__ import annotations

import pytest

from tests.stories.world import HOUR, MINUTE, Person, Room, World


async def flock(world: World) -> tuple[Room, Person, Person, Room]:
    """Anna and Bruno in a group, and a room of another community that mirrors Bruno."""
    group, perch = world.room("telegram", "group"), world.room("matrix", "perch")
    await world.community(group)
    await world.community(perch)
    anna, bruno = await world.member("telegram", "anna"), await world.member("telegram", "bruno")
    await world.mirrors(perch, "@bruno")
    return group, anna, bruno, perch


HIDDEN = "> A post that cannot be seen here"


async def test_a_quote_shows_the_author_and_first_words_of_what_it_carries(world: World) -> None:
    group, anna, bruno, perch = await flock(world)
    own = await anna.posts(group, "visibility:public Eleven swifts")
    await bruno.runs(group, "quote visibility:public So many!", target=own)
    assert perch.texts == ["So many!\n\n> @anna Eleven swifts"]
    assert perch.copies[0].author == "@bruno · Telegram"


async def test_its_link_stands_under_a_public_post(world: World) -> None:
    world.rules = world.with_rules(public_url="https://birds.example")
    await world.restart()
    group, anna, bruno, perch = await flock(world)
    own = await anna.posts(group, "visibility:public Eleven swifts")
    await bruno.runs(group, "quote visibility:public So many!", target=own)
    id_ = await world.short_id_of("Eleven swifts")
    assert perch.texts[0].endswith(f"> @anna Eleven swifts\n>\n> https://birds.example/p/{id_}")


async def test_the_post_is_named_by_its_id_or_link_as_well(world: World) -> None:
    group, anna, bruno, perch = await flock(world)
    await anna.posts(group, "visibility:public Eleven swifts")
    id_ = await world.short_id_of("Eleven swifts")
    await bruno.runs(group, f"quote post:https://birds.example/p/{id_} visibility:public So many!")
    assert perch.texts == ["So many!\n\n> @anna Eleven swifts"]
    assert await bruno.asks(group, "quote So many!") == ["post.which"]
    assert await bruno.asks(group, "quote post:zzz So many!") == ["post.unknown"]


async def test_the_words_inside_follow_their_post(world: World) -> None:
    group, anna, bruno, perch = await flock(world)
    own = await anna.posts(group, "visibility:public Eleven swifts")
    quote = await bruno.runs(group, "quote visibility:public So many!", target=own)
    assert quote is not None
    await anna.edits(group, own, "/post visibility:public Twelve swifts")
    assert perch.texts == ["So many!\n\n> @anna Twelve swifts"]
    await bruno.edits(group, quote, "/quote visibility:public So very many!")
    assert perch.texts == ["So very many!\n\n> @anna Twelve swifts"]
    await anna.runs(group, "edit visibility:community Twelve swifts", target=own)
    assert perch.texts == [f"So very many!\n\n{HIDDEN}"]


async def test_they_go_when_their_post_is_withdrawn_and_the_quote_stays(world: World) -> None:
    group, anna, bruno, perch = await flock(world)
    own = await anna.posts(group, "visibility:public Eleven swifts")
    await bruno.runs(group, "quote visibility:public So many!", target=own)
    await anna.deletes(own)
    assert perch.texts == [f"So many!\n\n{HIDDEN}"]
    await world.restart()
    await world.passes(HOUR)
    assert perch.texts == [f"So many!\n\n{HIDDEN}"]
    assert await bruno.asks(group, "quote More!", target=own) == ["post.unknown"]


async def test_what_leads_an_answer_follows_its_post_as_well(world: World) -> None:
    group, anna, bruno, perch = await flock(world)
    own = await anna.posts(group, "visibility:public Eleven swifts")
    await bruno.says(group, "Indeed", reply_to=own)
    assert perch.texts == ["> @anna Eleven swifts\n\nIndeed"]
    await anna.edits(group, own, "/post visibility:public Twelve swifts")
    assert perch.texts == ["> @anna Twelve swifts\n\nIndeed"]
    await anna.deletes(own)
    assert perch.texts == ["> An answer to a post that cannot be seen here\n\nIndeed"]


@pytest.mark.parametrize("kept_out", ["mirror block @anna", "mirror block #ads", "ban @anna"])
async def test_a_room_reads_no_words_of_whom_it_keeps_out_through_a_quote(
    world: World, kept_out: str
) -> None:
    group, anna, bruno, perch = await flock(world)
    await world.person("matrix", "admin-perch").leads(perch).runs(perch, kept_out)
    own = await anna.posts(group, "visibility:public Feathers! #ads")
    await bruno.runs(group, "quote visibility:public No, thanks", target=own)
    assert perch.texts == [f"No, thanks\n\n{HIDDEN}"]


async def test_no_words_travel_in_a_quote_or_an_answer_before_their_post_does(world: World) -> None:
    group, anna, bruno, perch = await flock(world)
    dora = await world.member("discord", "dora")
    await world.mirrors(perch, "@anna", "@dora")
    await world.person("telegram", "admin-group").leads(group).runs(group, "hold 5")
    kept = await anna.posts(group, "visibility:public Eleven swifts")
    taken_back = await anna.posts(group, "visibility:public Twelve swifts")
    for words in ("Eleven swifts", "Twelve swifts"):
        await dora.runs(
            dora.private, f"quote post:{await world.short_id_of(words)} visibility:public So many!"
        )
    await bruno.says(group, "Indeed", reply_to=kept)
    await world.passes(4 * MINUTE)
    assert perch.texts == []
    await anna.deletes(taken_back)
    await world.passes(2 * MINUTE)
    assert "Twelve swifts" not in "".join(perch.texts)
    quotes = ["So many!\n\n> @anna Eleven swifts", f"So many!\n\n{HIDDEN}"]
    assert sorted(perch.texts) == sorted(["Eleven swifts", "Indeed", *quotes])


async def test_they_go_where_a_moderator_removes_their_post(world: World) -> None:
    group, anna, bruno, perch = await flock(world)
    await world.mirrors(perch, "@anna")
    elsewhere = world.room("discord", "elsewhere")
    await world.community(elsewhere)
    await world.mirrors(elsewhere, "@bruno")
    own = await anna.posts(group, "visibility:public Eleven swifts")
    await bruno.runs(group, "quote visibility:public So many!", target=own)
    mod = world.person("matrix", "mod").moderates(perch)
    await mod.runs(perch, "remove", target=perch.copies[0])
    assert perch.texts == [f"So many!\n\n{HIDDEN}"]
    assert elsewhere.texts == ["So many!\n\n> @anna Eleven swifts"]


async def test_a_quote_is_never_seen_by_more_people_than_what_it_carries(world: World) -> None:
    group, anna, bruno, perch = await flock(world)
    inside = world.room("discord", "inside")
    for wish, kept in (("room", "room"), ("community", "community"), ("public", "community")):
        own = await anna.posts(group, f"visibility:{wish} Eleven swifts")
        await bruno.runs(group, "quote So many!", target=own)
        assert await world.rows("SELECT visibility FROM posts ORDER BY id DESC LIMIT 1") == [(kept,)]
    own = await anna.posts(group, "visibility:community Eleven swifts")
    assert await bruno.asks(group, "quote visibility:public So many!", target=own) == ["quote.wider"]
    assert perch.texts == inside.texts == []


async def test_what_may_not_be_read_by_everybody_there_is_not_quoted_there(world: World) -> None:
    group, anna, bruno, perch = await flock(world)
    await anna.posts(group, "visibility:community At home")
    await anna.posts(group, "visibility:room In here")
    await bruno.posts(group, "visibility:room Seen here")
    home, room = await world.short_id_of("At home"), await world.short_id_of("In here")
    dario = await world.member("matrix", "dario")
    assert await dario.asks(perch, f"quote post:{home} Look") == ["post.unknown"]
    await world.link(bruno, dario)
    assert await dario.asks(perch, f"quote post:{home} Look") == ["quote.elsewhere"]
    assert await dario.asks(perch, f"quote post:{room} Look") == ["post.unknown"]
    guest = world.person("telegram", "guest")
    assert await guest.asks(group, f"quote post:{home} Look") == ["member.needed"]
    assert await world.rows("SELECT count(*) FROM posts WHERE quote_of IS NOT NULL") == [(0,)]


async def test_a_slash_command_s_quote_stands_in_its_own_room_too(world: World) -> None:
    lounge = world.room("discord", "lounge")
    await world.community(lounge)
    anna, bruno = await world.member("discord", "anna"), await world.member("discord", "bruno")
    await anna.runs(lounge, "post Eleven swifts")
    await bruno.runs(lounge, "quote So many!", target=lounge.copies[0])
    assert lounge.texts == ["Eleven swifts", "So many!\n\n> @anna Eleven swifts"]


async def test_a_refused_quote_that_is_put_right_by_an_edit_is_one(world: World) -> None:
    group, anna, bruno, perch = await flock(world)
    await anna.posts(group, "visibility:public Eleven swifts")
    line = await bruno.runs(group, "quote visibility:public So many!")
    assert line is not None
    assert perch.texts == []
    id_ = await world.short_id_of("Eleven swifts")
    await bruno.edits(group, line, f"/quote post:{id_} visibility:public So many!")
    assert perch.texts == ["So many!\n\n> @anna Eleven swifts"]


async def test_a_quote_without_words_says_so(world: World) -> None:
    group, anna, bruno, _ = await flock(world)
    own = await anna.posts(group, "Eleven swifts")
    assert await bruno.asks(group, "quote", target=own) == ["post.empty"]


async def test_an_answer_to_a_quote_and_a_vote_on_it_are_for_the_quote_alone(world: World) -> None:
    group, anna, bruno, perch = await flock(world)
    own = await anna.posts(group, "visibility:public Eleven swifts")
    await bruno.runs(group, "quote visibility:public So many!", target=own)
    dario = await world.member("matrix", "dario")
    await dario.reacts(perch.copies[0], "👍")
    assert await world.rows("SELECT score FROM posts ORDER BY id") == [(0,), (1,)]
    await dario.says(perch, "Indeed", reply_to=perch.copies[0])
    assert group.texts[-1] == "Indeed"
