"""The real homeserver behaves as the other tests take for granted: it is a peer, not a double of ours."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from tests.peers.environment import ROOT
from tests.peers.fixtures import NewPerson
from tests.peers.matrix_person import MatrixPerson, MatrixRefused
from tests.peers.matrix_proxy import JOIN, MESSAGE, REACTION, SEND, SYNC, Exchange, MatrixProxy
from tests.peers.synapse import SynapseRefused, SynapseServer

pytestmark = pytest.mark.peer


async def two_in_a_room(matrix_person: NewPerson) -> tuple[MatrixPerson, MatrixPerson, str]:
    ada, ben = await matrix_person("Ada"), await matrix_person("Ben")
    room = await ada.create_room("Garden", invite=[ben.user_id])
    await ben.join(room)
    return ada, ben, room


async def test_people_see_what_each_other_says_in_order(matrix_person: NewPerson) -> None:
    ada, ben, room = await two_in_a_room(matrix_person)
    first = await ada.say(room, "Hello", html="<b>Hello</b>")
    await ben.wait_message(room, "Hello")
    await ben.say(room, "Good day", reply_to=first)
    seen = await ada.wait_visible(room, lambda now: len(now) == 2)
    assert [(one.sender, one.body, one.formatted_body, one.reply_to) for one in seen] == [
        (ada.user_id, "Hello", "<b>Hello</b>", None),
        (ben.user_id, "Good day", None, first),
    ]
    assert await ada.members(room) == {ada.user_id: "Ada", ben.user_id: "Ben"}


async def test_a_new_name_is_what_the_others_see(matrix_person: NewPerson) -> None:
    ada, ben, room = await two_in_a_room(matrix_person)
    await ada.set_display_name("Countess")

    async def renamed() -> bool:
        return (await ben.members(room))[ada.user_id] == "Countess"

    assert await ben.wait_for(renamed)


async def test_an_edit_replaces_the_text_and_counts_as_one_message(matrix_person: NewPerson) -> None:
    ada, ben, room = await two_in_a_room(matrix_person)
    message = await ada.say(room, "Helo")
    await ada.edit(room, message, "Hello")
    await ada.edit(room, message, "Hello all", html="<i>Hello all</i>")
    (shown,) = await ben.wait_visible(room, lambda now: [one.body for one in now] == ["Hello all"])
    assert (shown.event_id, shown.formatted_body, shown.edits) == (message, "<i>Hello all</i>", 2)
    assert (await ben.sent_messages(room))[ada.user_id] == 3


async def test_the_server_stores_an_edit_by_somebody_else_and_no_client_shows_it(
    matrix_person: NewPerson,
) -> None:
    ada, ben, room = await two_in_a_room(matrix_person)
    message = await ada.say(room, "Mine")
    edit = await ben.edit(room, message, "Not yours")
    assert edit in [event["event_id"] for event in await ada.events(room)]
    assert [one.body for one in await ada.visible(room)] == ["Mine"]


async def test_reactions_show_who_gave_which_until_taken_back(matrix_person: NewPerson) -> None:
    ada, ben, room = await two_in_a_room(matrix_person)
    message = await ada.say(room, "Tea?")
    await ada.react(room, message, "👍")
    thumb = await ben.react(room, message, "👍")
    await ben.react(room, message, "🎉")
    (shown,) = await ada.visible(room)
    assert shown.reactions == {"👍": {ada.user_id, ben.user_id}, "🎉": {ben.user_id}}
    assert {event["event_id"] for event in await ada.relations(room, message)} >= {thumb}
    await ben.redact(room, thumb)
    (shown,) = await ada.visible(room)
    assert shown.reactions == {"👍": {ada.user_id}, "🎉": {ben.user_id}}
    assert thumb not in {event["event_id"] for event in await ada.relations(room, message)}


async def test_the_same_reaction_twice_is_refused(matrix_person: NewPerson) -> None:
    ada, _, room = await two_in_a_room(matrix_person)
    message = await ada.say(room, "Tea?")
    await ada.react(room, message, "👍")
    with pytest.raises(MatrixRefused) as refused:
        await ada.react(room, message, "👍")
    assert refused.value.errcode == "M_DUPLICATE_ANNOTATION"


async def test_an_edit_of_a_deleted_message_is_stored_and_shown_to_nobody(matrix_person: NewPerson) -> None:
    ada, _, room = await two_in_a_room(matrix_person)
    message = await ada.say(room, "Oops")
    await ada.redact(room, message)
    await ada.edit(room, message, "Back again")
    assert await ada.visible(room) == []


async def test_a_deleted_message_is_gone_with_its_edits(matrix_person: NewPerson) -> None:
    ada, ben, room = await two_in_a_room(matrix_person)
    message = await ada.say(room, "Oops")
    await ada.edit(room, message, "Oops, sorry")
    await ada.redact(room, message, "a slip")
    await ben.say(room, "What was it?")
    assert [one.body for one in await ben.visible(room)] == ["What was it?"]


async def test_only_a_moderator_deletes_for_others(matrix_person: NewPerson) -> None:
    ada, ben, room = await two_in_a_room(matrix_person)
    message = await ada.say(room, "Here to stay?")
    with pytest.raises(MatrixRefused) as refused:
        await ben.redact(room, message)
    assert refused.value.errcode == "M_FORBIDDEN"
    await ada.power(room, ben.user_id, 50)
    await ben.redact(room, message)
    assert await ada.visible(room) == []


async def test_rooms_are_of_version_12_and_name_no_server(matrix_person: NewPerson) -> None:
    ada = await matrix_person("Ada")
    room = await ada.create_room("Square", public=True)
    assert (await ada.state(room, "m.room.create"))["room_version"] == "12"
    assert ":" not in room
    assert ada.user_id not in (await ada.state(room, "m.room.power_levels")).get("users", {})


async def test_anybody_finds_and_joins_a_public_room(matrix_person: NewPerson) -> None:
    ada, ben = await matrix_person("Ada"), await matrix_person("Ben")
    room = await ada.create_room("Square", public=True)
    await ben.join(room)
    listed = await ben.ask("POST", "/publicRooms", {"limit": 100})
    assert room in [one["room_id"] for one in listed["chunk"]]


async def test_a_private_room_wants_an_invitation(matrix_person: NewPerson) -> None:
    ada, ben = await matrix_person("Ada"), await matrix_person("Ben")
    room = await ada.create_room("Kitchen")
    with pytest.raises(MatrixRefused) as refused:
        await ben.join(room)
    assert refused.value.errcode == "M_FORBIDDEN"
    await ada.invite(room, ben.user_id)
    await ben.join(room)
    assert ben.user_id in await ada.members(room)


def test_a_name_is_given_once(synapse: SynapseServer) -> None:
    localpart = synapse.unused_name("cleo")
    synapse.register(localpart)
    with pytest.raises(SynapseRefused) as refused:
        synapse.register(localpart)
    assert refused.value.errcode == "M_USER_IN_USE"


async def test_the_same_transaction_sends_once(matrix_person: NewPerson) -> None:
    ada, ben, room = await two_in_a_room(matrix_person)
    first = await ada.say(room, "Once", transaction="t-1")
    again = await ada.say(room, "Once, said otherwise", transaction="t-1")
    theirs = await ben.say(room, "Once", transaction="t-1")
    assert again == first != theirs
    assert [one.body for one in await ada.visible(room)] == ["Once", "Once"]


async def test_a_transaction_is_remembered_over_a_kill_of_the_server(own_synapse: SynapseServer) -> None:
    async with await MatrixPerson.register(own_synapse, "Ada") as ada:
        room = await ada.create_room("Garden")
        first = await ada.say(room, "Once", transaction="t-1")
        own_synapse.restart(killed=True)
        assert await ada.say(room, "Once", transaction="t-1") == first
        assert await ada.sent_messages(room) == {ada.user_id: 1}


async def test_a_restart_keeps_rooms_messages_and_logins(own_synapse: SynapseServer) -> None:
    async with await MatrixPerson.register(own_synapse, "Ada") as ada:
        room = await ada.create_room("Garden")
        await ada.say(room, "Before")
        address = own_synapse.url
        own_synapse.stop()
        assert not own_synapse.running
        own_synapse.start()
        assert own_synapse.url == address
        await ada.say(room, "After")
        assert [one.body for one in await ada.visible(room)] == ["Before", "After"]


async def test_default_limits_hold_a_plain_account_and_not_one_that_was_freed(
    limited_synapse: SynapseServer,
) -> None:
    async with await MatrixPerson.register(limited_synapse, "Ada", patience=0) as ada:
        room = await ada.create_room("Garden")
        with pytest.raises(MatrixRefused) as refused:
            await asyncio.gather(*(ada.say(room, f"Message {number}") for number in range(30)))
        assert refused.value.errcode == "M_LIMIT_EXCEEDED"
        assert (refused.value.retry_after_ms or 0) > 0
        limited_synapse.lift_limits(ada.user_id)
        for number in range(30):
            await ada.say(room, f"Freed {number}")
        assert sum(one.body.startswith("Freed") for one in await ada.visible(room)) == 30


async def test_waiting_in_vain_says_what_was_seen(matrix_person: NewPerson) -> None:
    ada = await matrix_person("Ada")
    room = await ada.create_room()
    await ada.say(room, "Only this")
    with pytest.raises(TimeoutError, match="Only this"):
        await ada.wait_message(room, "something else", deadline=0.2)


async def test_the_proxy_passes_and_counts(matrix_person: NewPerson, matrix_proxy: MatrixProxy) -> None:
    ada = await matrix_person("Ada", homeserver=matrix_proxy.url)
    room = await ada.create_room("Ünïcode & <room>")
    await ada.say(room, "Grüße, 世界")
    assert [one.body for one in await ada.visible(room)] == ["Grüße, 世界"]
    assert (await ada.state(room, "m.room.name"))["name"] == "Ünïcode & <room>"
    assert (matrix_proxy.count(MESSAGE), matrix_proxy.count(REACTION), matrix_proxy.count(JOIN)) == (1, 0, 0)
    assert matrix_proxy.seen(MESSAGE)[0].body["body"] == "Grüße, 世界"


async def test_a_long_poll_through_the_proxy_ends_when_something_comes(
    matrix_person: NewPerson, matrix_proxy: MatrixProxy
) -> None:
    ada = await matrix_person("Ada", homeserver=matrix_proxy.url)
    room = await ada.create_room("Garden")
    await ada.client.sync(timeout=0)
    held = matrix_proxy.hold(SYNC)
    poll = asyncio.create_task(ada.client.sync(timeout=60_000))
    await asyncio.wait_for(held.held.wait(), 10)
    held.release()
    await ada.say(room, "Wake up")
    answer = await asyncio.wait_for(poll, 20)
    assert "Wake up" in str(answer)


async def test_a_send_cut_before_the_server_is_sent_by_the_next_try(
    matrix_person: NewPerson, matrix_proxy: MatrixProxy
) -> None:
    ada = await matrix_person("Ada", homeserver=matrix_proxy.url)
    room = await ada.create_room("Garden")
    matrix_proxy.drop_before(MESSAGE)
    await ada.say(room, "Hello", transaction="t-1")
    assert [one.status for one in matrix_proxy.seen(MESSAGE)] == [None, 200]
    assert await ada.sent_messages(room) == {ada.user_id: 1}


async def test_a_send_cut_after_the_server_stored_it_is_not_there_twice(
    matrix_person: NewPerson, matrix_proxy: MatrixProxy
) -> None:
    ada = await matrix_person("Ada", homeserver=matrix_proxy.url)
    room = await ada.create_room("Garden")
    matrix_proxy.drop_after(MESSAGE, times=2)
    event = await ada.say(room, "Hello", transaction="t-1")
    assert [one.status for one in matrix_proxy.seen(MESSAGE)] == [200, 200, 200]
    assert {one.answer["event_id"] for one in matrix_proxy.seen(MESSAGE)} == {event}
    assert await ada.sent_messages(room) == {ada.user_id: 1}


async def test_an_error_after_storing_leaves_one_message_for_the_same_transaction(
    matrix_person: NewPerson, matrix_proxy: MatrixProxy
) -> None:
    ada = await matrix_person("Ada", homeserver=matrix_proxy.url)
    room = await ada.create_room("Garden")
    matrix_proxy.fail_after(MESSAGE)
    with pytest.raises(MatrixRefused, match="Internal server error"):
        await ada.say(room, "Hello", transaction="t-1")
    await ada.say(room, "Hello", transaction="t-1")
    assert await ada.sent_messages(room) == {ada.user_id: 1}


async def test_a_limit_is_answered_with_its_wait(matrix_person: NewPerson, matrix_proxy: MatrixProxy) -> None:
    ada = await matrix_person("Ada", homeserver=matrix_proxy.url, patience=0)
    room = await ada.create_room("Garden")
    matrix_proxy.limit(1500, MESSAGE)
    with pytest.raises(MatrixRefused) as refused:
        await ada.say(room, "Hello")
    assert (refused.value.errcode, refused.value.retry_after_ms) == ("M_LIMIT_EXCEEDED", 1500)
    assert await ada.sent_messages(room) == {}


async def test_a_held_request_waits_and_then_passes(
    matrix_person: NewPerson, matrix_proxy: MatrixProxy
) -> None:
    ada = await matrix_person("Ada", homeserver=matrix_proxy.url)
    room = await ada.create_room("Garden")
    hold = matrix_proxy.hold(MESSAGE)
    sending = asyncio.create_task(ada.say(room, "Late"))
    await asyncio.wait_for(hold.held.wait(), 10)
    assert await ada.visible(room) == []
    hold.release()
    await sending
    assert [one.body for one in await ada.visible(room)] == ["Late"]


async def test_a_delay_is_over_when_its_time_is(matrix_person: NewPerson, matrix_proxy: MatrixProxy) -> None:
    ada = await matrix_person("Ada", homeserver=matrix_proxy.url)
    room = await ada.create_room("Garden")
    matrix_proxy.delay(0.2, MESSAGE)
    began = asyncio.get_running_loop().time()
    await ada.say(room, "Slow")
    assert asyncio.get_running_loop().time() - began >= 0.2


async def test_a_client_killed_between_storing_and_answer_finds_its_message_by_the_same_transaction(
    matrix_person: NewPerson, matrix_proxy: MatrixProxy
) -> None:
    ada = await matrix_person("Ada")
    room = await ada.create_room("Garden")
    address = f"{matrix_proxy.url}/_matrix/client/v3/rooms/{room}/send/m.room.message/t-1"
    program = (
        "import json, sys, urllib.request as u;"
        " body = json.dumps({'msgtype': 'm.text', 'body': 'Hello'}).encode();"
        " request = u.Request(sys.argv[1], body, {'Authorization': 'Bearer ' + sys.argv[2]}, method='PUT');"
        " u.build_opener(u.ProxyHandler({})).open(request)"
    )
    pid: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def kill(exchange: Exchange) -> None:
        os.kill(await pid, signal.SIGKILL)

    matrix_proxy.on_stored(kill, SEND)
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", program, address, ada.access_token)
    pid.set_result(child.pid)
    assert await asyncio.wait_for(child.wait(), 20) == -signal.SIGKILL
    assert [one.body for one in await ada.visible(room)] == ["Hello"]
    assert await ada.say(room, "Hello", transaction="t-1") == matrix_proxy.seen(SEND)[0].answer["event_id"]
    assert await ada.sent_messages(room) == {ada.user_id: 1}


async def test_a_server_that_is_away_is_a_bad_gateway_until_it_is_back(own_synapse: SynapseServer) -> None:
    async with (
        MatrixProxy(own_synapse.url) as proxy,
        await MatrixPerson.register(own_synapse, "Ada", homeserver=proxy.url) as ada,
    ):
        room = await ada.create_room("Garden")
        own_synapse.kill()
        with pytest.raises(MatrixRefused, match="bad gateway"):
            await ada.say(room, "Anybody?", transaction="t-1")
        own_synapse.start()
        await ada.say(room, "Anybody?", transaction="t-1")
        assert [one.body for one in await ada.visible(room)] == ["Anybody?"]


def test_a_server_does_not_outlive_a_run_that_was_killed() -> None:
    program = (
        "from tests.peers.synapse import SynapseServer; server = SynapseServer(); server.start();"
        " print(server.pid, server.data, flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=PIPE, stdout=PIPE, text=True, cwd=ROOT
    ) as run:
        assert run.stdout is not None
        pid, data = run.stdout.readline().split()
        watch = os.pidfd_open(int(pid))
        run.kill()
        gone, _, _ = select.select([watch], [], [], 20)
        os.close(watch)
    assert gone
    assert not Path(data).exists()


async def batch(person: MatrixPerson, since: str = "") -> tuple[dict[str, Any], str]:
    """The rooms of one /sync after `since`, and the next token."""
    answer = await person.ask("GET", "/sync", query={"since": since, "timeout": "0"} if since else None)
    return answer.get("rooms", {}), answer["next_batch"]


async def test_the_first_batch_after_joining_holds_what_was_said_before(matrix_person: NewPerson) -> None:
    ada, ben = await matrix_person("Ada"), await matrix_person("Ben")
    _, token = await batch(ben)
    room = await ada.create_room("Garden", invite=[ben.user_id])
    await ada.say(room, "Long ago")
    await ben.join(room)
    rooms, _ = await batch(ben, token)
    timeline = rooms["join"][room]["timeline"]
    joined = [event.get("state_key") == ben.user_id and event["content"] for event in timeline["events"]]
    said = [event["content"].get("body") for event in timeline["events"]].index("Long ago")
    assert timeline["limited"]
    assert said < next(place for place, own in enumerate(joined) if own and own["membership"] == "join")


async def test_a_gap_in_the_stream_is_read_back_to_the_old_token(matrix_person: NewPerson) -> None:
    ada, ben, room = await two_in_a_room(matrix_person)
    await ada.say(room, "Known")
    _, token = await batch(ben)
    for number in range(25):
        await ada.say(room, f"n{number}")
    rooms, _ = await batch(ben, token)
    timeline = rooms["join"][room]["timeline"]
    query = {"dir": "f", "from": token, "to": timeline["prev_batch"], "limit": "100"}
    gap = await ben.ask("GET", f"/rooms/{room}/messages", query=query)
    events = [*gap["chunk"], *timeline["events"]]
    assert timeline["limited"]
    assert [event["content"]["body"] for event in events] == [f"n{number}" for number in range(25)]


async def test_a_kick_is_told_among_the_rooms_that_were_left(matrix_person: NewPerson) -> None:
    ada, ben, room = await two_in_a_room(matrix_person)
    _, token = await batch(ben)
    await ada.kick(room, ben.user_id)
    rooms, _ = await batch(ben, token)
    (event,) = rooms["leave"][room]["timeline"]["events"]
    assert (event["type"], event["sender"], event["state_key"]) == ("m.room.member", ada.user_id, ben.user_id)
    assert event["content"]["membership"] == "leave"


async def test_a_redaction_names_its_target_in_both_places(matrix_person: NewPerson) -> None:
    ada, ben, room = await two_in_a_room(matrix_person)
    message = await ada.say(room, "Oops")
    _, token = await batch(ben)
    redaction = await ada.redact(room, message)
    rooms, _ = await batch(ben, token)
    (event,) = rooms["join"][room]["timeline"]["events"]
    assert (event["event_id"], event["redacts"], event["content"]["redacts"]) == (redaction, message, message)
