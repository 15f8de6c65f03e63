"""Commands, buttons, menus and forms: one interaction, its deadline, and every answer to it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.doubles.discord import acts, payloads, permissions
from tests.doubles.discord.errors import Json, invalid, refusal
from tests.doubles.discord.limits import Limits
from tests.doubles.discord.model import EPHEMERAL, LOADING, Attachment, Channel, Message, User, World

COMMAND, COMPONENT, AUTOCOMPLETE, MODAL_SUBMIT = 2, 3, 4, 5
PONG, MESSAGE, DEFER_MESSAGE, DEFER_UPDATE, UPDATE, CHOICES, MODAL = 1, 4, 5, 6, 7, 8, 9

_ALLOWED = {
    COMMAND: {MESSAGE, DEFER_MESSAGE, MODAL},
    COMPONENT: {MESSAGE, DEFER_MESSAGE, DEFER_UPDATE, UPDATE, MODAL},
    AUTOCOMPLETE: {CHOICES},
    MODAL_SUBMIT: {MESSAGE, DEFER_MESSAGE, DEFER_UPDATE, UPDATE},
}


@dataclass(eq=False)
class Interaction:
    """One act of a person towards the bot."""

    id: int
    type: int
    user: User
    channel: Channel
    began: datetime
    name: str = ""
    menu: bool = False
    #: the message whose button was pressed
    source: Message | None = None
    token: str = field(default_factory=lambda: secrets.token_urlsafe(120))
    answered: int | None = None
    original: Message | None = None
    followups: list[Message] = field(default_factory=list)
    choices: list[Json] = field(default_factory=list)
    modal: Json | None = None

    def metadata(self) -> Json:
        """What messages that answer it carry."""
        known = self.type if self.type in (COMMAND, COMPONENT) else COMMAND
        data: Json = {
            "id": str(self.id),
            "type": known,
            "user": payloads.user(self.user),
            "authorizing_integration_owners": owners(self.channel),
        }
        if known == COMPONENT and self.source is not None:
            data["interacted_message_id"] = str(self.source.id)
        extras: Json = {"interaction_metadata": data}
        if self.type == COMMAND:
            about = {"id": str(self.id), "type": COMMAND, "name": self.name, "user": payloads.user(self.user)}
            extras["interaction"] = about
        return extras

    def messages(self) -> list[Message]:
        return [each for each in [self.original, *self.followups] if each is not None]


def owners(channel: Channel) -> Json:
    return {"0": str(channel.guild.id) if channel.guild else "0"}


def begin(world: World, interaction: Interaction, data: Json) -> None:
    """Registers it and sends INTERACTION_CREATE."""
    world.interactions[interaction.token] = interaction
    channel, user, bot = interaction.channel, interaction.user, world.bot
    payload: Json = {
        "id": str(interaction.id),
        "application_id": str(world.application_id),
        "type": interaction.type,
        "data": data,
        "channel_id": str(channel.id),
        "channel": payloads.channel(channel) | {"permissions": allowed(channel, user)},
        "token": interaction.token,
        "version": 1,
        "locale": user.locale,
        "app_permissions": allowed(channel, bot),
        "entitlements": [],
        "authorizing_integration_owners": owners(channel),
        "context": 0 if channel.guild else 1,
        "attachment_size_limit": 10 * 1024 * 1024,
    }
    world.events.interaction(channel, payload | _who_and_where(interaction) | _about(interaction, bot))


def allowed(channel: Channel, user: User) -> str:
    return str(int(permissions.in_channel(channel, user.id)))


def _who_and_where(interaction: Interaction) -> Json:
    guild, user = interaction.channel.guild, interaction.user
    if guild is None:
        return {"user": payloads.user(user)}
    member = payloads.member(guild.members[user.id]) | {"permissions": allowed(interaction.channel, user)}
    return {
        "guild_id": str(guild.id),
        "guild": {"id": str(guild.id), "locale": guild.locale, "features": []},
        "guild_locale": guild.locale,
        "member": member,
    }


def _about(interaction: Interaction, bot: User) -> Json:
    """The pressed button's message comes whole, whatever the intents."""
    return {} if interaction.source is None else {"message": payloads.message(interaction.source, bot)}


def respond(
    world: World, limits: Limits, interaction: Interaction, body: Json, files: list[Attachment]
) -> Message | None:
    """The first answer. 10062 after the deadline, 40060 the second time. Returns the message it concerns."""
    kind = body.get("type")
    if interaction.answered is not None:
        raise refusal(40060)
    if world.now() - interaction.began > timedelta(seconds=limits.answer_seconds):
        raise refusal(10062)
    if kind not in _ALLOWED[interaction.type]:
        fitting = ", ".join(map(str, sorted(_ALLOWED[interaction.type])))
        raise invalid(("type",), "BASE_TYPE_CHOICES", f"Value must be one of {{{fitting}}}.")
    data = body.get("data") or {}
    message = _first_answer(world, interaction, kind, data, files)
    interaction.answered = kind
    world.touch()
    return message


def _first_answer(
    world: World, interaction: Interaction, kind: int, data: Json, files: list[Attachment]
) -> Message | None:
    if kind == MESSAGE:
        interaction.original = _say(world, interaction, data, files, first=True)
        return interaction.original
    if kind == DEFER_MESSAGE:
        interaction.original = _think(world, interaction, data)
        return interaction.original
    if kind in (UPDATE, DEFER_UPDATE):
        return _update(world, interaction, kind, data, files)
    if kind == CHOICES:
        interaction.choices = _checked_choices(data.get("choices") or [])
    if kind == MODAL:
        interaction.modal = _checked_modal(data)
    return None


def _say(
    world: World, interaction: Interaction, data: Json, files: list[Attachment], *, first: bool
) -> Message:
    draft = acts.Draft(interaction.channel, world.bot, data, files)
    message = acts.compose(world, draft)
    _dress(message, interaction, int(data.get("flags") or 0), first=first)
    _show(world, message)
    return message


def _dress(message: Message, interaction: Interaction, flags: int, *, first: bool) -> None:
    message.interaction = interaction
    message.application_id = message.channel.world.application_id
    message.flags |= flags & EPHEMERAL
    if not first:
        return
    source = interaction.source
    if source is None:
        message.type = acts.MENU_ANSWER if interaction.menu else acts.COMMAND_ANSWER
    elif not source.ephemeral:
        message.type, message.reply_to = acts.REPLY, source
        message.reference = {"type": 0, "channel_id": str(source.channel.id), "message_id": str(source.id)}


def _show(world: World, message: Message) -> None:
    """Ephemeral messages live only in their interaction: no channel has them, nobody is told."""
    if not message.ephemeral:
        acts.store(world, message)
        return
    for attachment in message.attachments:
        world.files[attachment.id] = attachment
    world.touch()


def _think(world: World, interaction: Interaction, data: Json) -> Message:
    message = Message(world.ids.next(), interaction.channel, world.bot, flags=LOADING)
    _dress(message, interaction, int(data.get("flags") or 0), first=True)
    _show(world, message)
    return message


def _update(
    world: World, interaction: Interaction, kind: int, data: Json, files: list[Attachment]
) -> Message | None:
    source = interaction.source
    if source is None:
        raise invalid(("type",), "BASE_TYPE_CHOICES", "This interaction came from no message.")
    interaction.original = source
    if kind == UPDATE:
        acts.edit(world, source, data, files)
    return source


def _checked_choices(choices: list[Json]) -> list[Json]:
    if len(choices) > 25:
        raise invalid(("data", "choices"), "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.")
    for index, choice in enumerate(choices):
        name, value = str(choice.get("name", "")), choice.get("value")
        if not 1 <= len(name) <= 100 or (isinstance(value, str) and len(value) > 100):
            path = ("data", "choices", index)
            raise invalid(path, "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 100 in length.")
    return choices


def _checked_modal(data: Json) -> Json:
    if not 1 <= len(data.get("title") or "") <= 45:
        raise invalid(("data", "title"), "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 45 in length.")
    if not 1 <= len(data.get("components") or []) <= 5:
        raise invalid(("data", "components"), "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 5 in length.")
    return data


def check_token(world: World, limits: Limits, interaction: Interaction) -> None:
    """Later answers: 50027 after the token's life, 10015 before the first answer."""
    if world.now() - interaction.began > timedelta(seconds=limits.token_seconds):
        raise refusal(50027)
    if interaction.answered is None:
        raise refusal(10015)


def follow_up(world: World, interaction: Interaction, data: Json, files: list[Attachment]) -> Message:
    """One more message; the first after a deferral takes the place of "thinking"."""
    original = interaction.original
    if original is not None and original.flags & LOADING and original.shown:
        acts.edit(world, original, data, files)
        return original
    message = _say(world, interaction, data, files, first=False)
    interaction.followups.append(message)
    return message


def find(interaction: Interaction, message_id: str) -> Message:
    """A message of this interaction: `@original` or an id; else 10008."""
    if message_id == "@original":
        message = interaction.original
    else:
        message = next((each for each in interaction.messages() if str(each.id) == message_id), None)
    if message is None or not message.shown:
        raise refusal(10008)
    return message
