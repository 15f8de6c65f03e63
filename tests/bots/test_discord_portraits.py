"""The picture beside an author's name, against our own double."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from core.intents import Create, Voice
from core.types import AccountRef
from tests.bots.discord_scene import DISCORD, Scene, a_scene, create, view
from tests.doubles.discord import User
from tests.doubles.discord.rest.webhooks import _foreign_avatar as kept

pytestmark = [pytest.mark.peer, pytest.mark.timeout(60)]

USER = ("GET", "/users/{user_id}")


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with a_scene() as scene:
        yield scene


def post(scene: Scene, text: str, *, portrait: bool = True, as_author: bool = True) -> Create:
    shown = view(
        text,
        voice=Voice.PERSON,
        author="Anna (@anna · Discord)",
        as_author=as_author,
        portrait=AccountRef(DISCORD, str(scene.anna.id)) if portrait else None,
    )
    return replace(create(scene.chat, text), view=shown)


async def author(scene: Scene, intent: Create) -> User:
    receipt = await scene.adapter.perform(intent)
    assert receipt.message is not None
    return scene.double.message(int(receipt.message.key)).author


async def test_words_in_their_author_s_name_have_their_picture_which_is_asked_for_once(scene: Scene) -> None:
    scene.anna.avatar = "0" * 32
    picture = kept(f"{scene.double.cdn_url}/avatars/{scene.anna.id}/{'0' * 32}.png?size=128")
    for text in ("one", "two"):
        assert (await author(scene, post(scene, text))).avatar == picture
    assert scene.double.requests.count(USER) == 1
    assert (await author(scene, post(scene, "nobody's", portrait=False))).avatar is None
    await scene.adapter.perform(post(scene, "from the bot", as_author=False))
    assert scene.double.requests.count(USER) == 1


async def test_who_has_no_picture_and_whom_discord_does_not_know_are_shown_without(scene: Scene) -> None:
    assert (await author(scene, post(scene, "one"))).avatar is None
    del scene.double.world.users[scene.anna.id]
    assert (await author(scene, post(scene, "two"))).avatar is None
    stranger = AccountRef(DISCORD, "404")
    asked = post(scene, "three")
    assert (await author(scene, replace(asked, view=replace(asked.view, portrait=stranger)))).avatar is None


async def test_no_words_wait_for_a_picture(scene: Scene) -> None:
    scene.anna.avatar = "0" * 32
    scene.double.fault("error_before", method="GET", route="/users/")
    assert (await author(scene, post(scene, "one"))).avatar is None
    assert (await author(scene, post(scene, "two"))).avatar is not None
