"""What a person sees after an act, and what their own app lets them send."""

from __future__ import annotations

from typing import Any

from tests.doubles.discord import content
from tests.doubles.discord.errors import Json
from tests.doubles.discord.interactions import (
    CHOICES,
    DEFER_MESSAGE,
    DEFER_UPDATE,
    MESSAGE,
    MODAL,
    UPDATE,
    Interaction,
)
from tests.doubles.discord.limits import Limits
from tests.doubles.discord.model import LOADING, Message, World

_NAMES = {
    MESSAGE: "message",
    DEFER_MESSAGE: "deferred",
    DEFER_UPDATE: "deferred update",
    UPDATE: "update",
    CHOICES: "choices",
    MODAL: "modal",
}


class BotDidNotAnswer(AssertionError):
    """The person reads "The application did not respond"."""


class ClientRefuses(AssertionError):
    """The person's app would not let them do this: no such command or button, a value out of bounds."""


class Answer:
    """What the person sees after an act; it follows later edits, deletions and more messages."""

    def __init__(self, world: World, interaction: Interaction) -> None:
        self._world = world
        self.interaction = interaction

    @property
    def kind(self) -> str:
        """message, deferred, deferred update, update, choices or modal."""
        return _NAMES[self.interaction.answered or 0]

    @property
    def message(self) -> Message:
        """The first message (for an update: the one with the button); AssertionError when there is none."""
        assert self.interaction.original is not None, f"the bot answered with {self.kind}, no message"
        return self.interaction.original

    @property
    def ephemeral(self) -> bool:
        return self.message.ephemeral

    @property
    def content(self) -> str:
        return self.message.content

    @property
    def embeds(self) -> list[Json]:
        return self.message.embeds

    @property
    def components(self) -> list[Json]:
        return self.message.components

    @property
    def labels(self) -> list[str]:
        """The words on the buttons."""
        return [part.get("label", "") for part in self.message.buttons()]

    @property
    def deleted(self) -> bool:
        return not self.message.shown

    @property
    def followups(self) -> list[Message]:
        return [each for each in self.interaction.followups if each.shown]

    @property
    def choices(self) -> list[Json]:
        return self.interaction.choices

    @property
    def modal(self) -> Json:
        assert self.interaction.modal is not None, f"the bot answered with {self.kind}, no form"
        return self.interaction.modal

    @property
    def text(self) -> str:
        """All words of all messages, embeds too, in order."""
        shown = [each for each in self.interaction.messages() if each.shown]
        return "\n".join(words(each) for each in shown)

    async def until(self, holds: Any, seconds: float = 10) -> Answer:
        """Waits until `holds(answer)`; AssertionError after `seconds`."""
        await self._world.until(lambda: holds(self), seconds, f"answer now: {self.text!r}")
        return self

    def __repr__(self) -> str:
        return f"<Answer {self.kind}: {self.text!r}>"


def words(message: Message) -> str:
    """Everything that can be read in a message."""
    parts: list[str | None] = [message.content]
    for embed in message.embeds:
        parts += [embed.get("title"), embed.get("description")]
        parts += [f"{each['name']}\n{each['value']}" for each in embed.get("fields", [])]
        parts.append((embed.get("footer") or {}).get("text"))
    return "\n".join(part for part in parts if part)


async def wait_for_answer(world: World, limits: Limits, interaction: Interaction, patience: float) -> Answer:
    """The first answer within the platform's deadline, then the end of "thinking" within `patience` s."""
    try:
        await world.until(lambda: interaction.answered is not None, limits.answer_seconds + 0.05)
    except AssertionError:
        what = interaction.name or "press"
        raise BotDidNotAnswer(f"no answer to {what!r} within {limits.answer_seconds} s") from None
    if interaction.answered == DEFER_MESSAGE:
        await world.until(lambda: _settled(interaction), patience, "the bot deferred and kept thinking")
    return Answer(world, interaction)


def _settled(interaction: Interaction) -> bool:
    original = interaction.original
    return (
        original is None or not original.shown or not original.flags & LOADING or bool(interaction.followups)
    )


def option_payload(option: Json, value: object, focused: bool) -> Json:
    """One option as sent, bounds checked as the person's app does."""
    kind, name = option["type"], option["name"]
    entry: Json = {"type": kind, "name": name, "value": _option_value(kind, value)}
    if focused:
        return entry | {"focused": True}
    choices = [each["value"] for each in option.get("choices") or []]
    if choices and entry["value"] not in choices:
        raise ClientRefuses(f"{name}: {value!r} is none of {choices}")
    _check_bounds(option, entry["value"])
    return entry


def _option_value(kind: int, value: object) -> object:
    expected = {3: str, 4: int, 5: bool, 10: (int, float)}
    if kind in expected and not isinstance(value, expected[kind]):  # type: ignore[arg-type]
        raise ClientRefuses(f"{value!r} has the wrong kind for an option of type {kind}")
    return str(getattr(value, "id", value)) if kind in (6, 7, 8, 9, 11) else value


def _check_bounds(option: Json, value: object) -> None:
    size = len(value) if isinstance(value, str) else value
    if not isinstance(size, int | float) or isinstance(size, bool):
        return
    least, most = ("min_length", "max_length") if isinstance(value, str) else ("min_value", "max_value")
    if size < option.get(least, size) or size > option.get(most, size):
        raise ClientRefuses(f"{option['name']}: {value!r} is out of bounds")


def label_of(part: Json) -> str:
    return str(part.get("label") or (part.get("emoji") or {}).get("name") or "")


def find_part(message: Message, wanted: str) -> Json:
    """The button or menu with that custom_id or label, which must not be disabled."""
    parts = message.buttons()
    for part in parts:
        if wanted in (part.get("custom_id"), label_of(part)):
            if part.get("disabled"):
                raise ClientRefuses(f"{wanted!r} is disabled")
            if part.get("style") == content.LINK_STYLE:
                raise ClientRefuses(f"{wanted!r} is a link")
            return part
    raise ClientRefuses(f"no {wanted!r} among {[label_of(part) for part in parts]}")
