"""People in front of their apps: they write, react, press, and read what the bot answers."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tests.doubles.discord import acts, interactions, payloads
from tests.doubles.discord.answers import Answer, ClientRefuses, find_part, option_payload, wait_for_answer
from tests.doubles.discord.errors import Json, refusal
from tests.doubles.discord.interactions import Interaction
from tests.doubles.discord.model import Attachment, Channel, Guild, Message, Role, User, Webhook
from tests.doubles.discord.permissions import Permission

if TYPE_CHECKING:
    from tests.doubles.discord.double import DiscordDouble

SUBCOMMANDS = frozenset({1, 2})


def file(double: DiscordDouble, filename: str, data: bytes) -> Attachment:
    kind = mimetypes.guess_type(filename)[0] or "application/octet-stream"
    attachment = Attachment(double.world.ids.next(), filename, data, kind)
    double.world.files[attachment.id] = attachment
    return attachment


class Person(User):
    """A person. Acts raise `ApiError` where the platform refuses, `ClientRefuses` where their app would."""

    def __init__(self, double: DiscordDouble, username: str, name: str, locale: str) -> None:
        super().__init__(double.world.ids.next(), username, name, locale=locale)
        self.double = double

    @property
    def mention(self) -> str:
        return f"<@{self.id}>"

    # Messages

    async def say(
        self,
        channel: Channel,
        text: str = "",
        *,
        reply_to: Message | None = None,
        ping: bool = True,
        files: dict[str, bytes] | None = None,
    ) -> Message:
        """Writes in a channel; `files` maps names to bytes; `ping`: whether a reply notifies its author."""
        world = self.double.world
        body: Json = {"content": text}
        if reply_to is not None:
            body["message_reference"] = {"message_id": str(reply_to.id)}
            body["allowed_mentions"] = {"parse": ["users", "roles", "everyone"], "replied_user": ping}
        attachments = [file(self.double, name, data) for name, data in (files or {}).items()]
        acts.need_to_send(channel, self, body, attachments)
        return acts.send(world, acts.Draft(channel, self, body, attachments))

    async def dm(self, text: str, **more: dict[str, bytes]) -> Message:
        """Writes to the bot in private."""
        return await self.say(self.direct_channel, text, **more)  # type: ignore[arg-type]

    @property
    def direct_channel(self) -> Channel:
        return self.double.world.direct_channel(self, self.double.world.bot)

    async def edit(self, message: Message, text: str) -> None:
        if message.author is not self:
            raise refusal(50005)
        acts.edit(self.double.world, message, {"content": text}, [])

    async def delete(self, message: Message) -> None:
        """Own messages, or anybody's as a moderator."""
        if message.author is not self:
            acts.need(message.channel, self, Permission.MANAGE_MESSAGES)
        acts.delete(self.double.world, [message])

    async def purge(self, messages: list[Message]) -> None:
        """Deletes many at once, as a moderator: one event."""
        acts.need(messages[0].channel, self, Permission.MANAGE_MESSAGES)
        acts.delete(self.double.world, messages, bulk=True)

    async def react(self, message: Message, emoji: str) -> None:
        acts.react(self.double.world, message, self, emoji)

    async def unreact(self, message: Message, emoji: str) -> None:
        acts.unreact(self.double.world, message, self, emoji)

    async def clear_reactions(self, message: Message, emoji: str | None = None) -> None:
        """All, or all of one emoji, as a moderator."""
        acts.need(message.channel, self, Permission.MANAGE_MESSAGES)
        acts.clear_reactions(self.double.world, message, emoji)

    async def pin(self, message: Message) -> None:
        acts.pin(self.double.world, message, self)

    async def open_thread(self, channel: Channel, name: str, *, on: Message | None = None) -> Channel:
        acts.need(channel, self, Permission.CREATE_PUBLIC_THREADS)
        return channel.thread(name, self, message=on)

    async def begin_post(self, forum: Channel, name: str, text: str) -> Message:
        """A post of a forum; its first message."""
        acts.need(forum, self, Permission.SEND_MESSAGES)
        draft = acts.Draft(forum, self, {"content": text})
        return acts.begin_post(self.double.world, forum, name, draft)

    # Webhooks, as whoever may manage them has them in the channel's settings

    async def make_webhook(self, channel: Channel, name: str) -> Webhook:
        """One that belongs to no application."""
        acts.need(channel, self, Permission.MANAGE_WEBHOOKS)
        webhook = Webhook(self.double.world.ids.next(), channel, name, self, None)
        self.double.world.webhooks[webhook.id] = webhook
        self.double.world.events.webhooks_changed(channel)
        return webhook

    async def move_webhook(self, webhook: Webhook, channel: Channel) -> None:
        acts.need(webhook.channel, self, Permission.MANAGE_WEBHOOKS)
        acts.need(channel, self, Permission.MANAGE_WEBHOOKS)
        webhook.channel = channel
        self.double.world.events.webhooks_changed(channel)

    async def delete_webhook(self, webhook: Webhook) -> None:
        acts.need(webhook.channel, self, Permission.MANAGE_WEBHOOKS)
        del self.double.world.webhooks[webhook.id]
        self.double.world.events.webhooks_changed(webhook.channel)

    async def speak_through(self, webhook: Webhook, text: str) -> Message:
        """What somebody's script sends to a webhook's address."""
        world, author = self.double.world, User(webhook.id, webhook.name, bot=True)
        return acts.send(world, acts.Draft(webhook.channel, author, {"content": text}, [], webhook))

    # Interactions

    async def slash(
        self,
        channel: Channel,
        name: str,
        options: Mapping[str, object] | None = None,
        *,
        patience: float = 10,
    ) -> Answer:
        """Runs a slash command ("post", or "poll new" with a subcommand) and waits for the answer.

        Raises `BotDidNotAnswer` after the 3 s, `ClientRefuses` for what the app would not send.
        """
        words = name.split()
        command = self._command(channel, words[0], 1)
        data = self._command_data(channel, command)
        entries, found = self._options(command, words[1:], options or {}, focused=None)
        data["options"] = entries
        data["resolved"] = self._resolved(channel, found)
        return await self._act(interactions.COMMAND, channel, data, name, patience)

    async def autocomplete(
        self, channel: Channel, name: str, options: Mapping[str, object], *, focused: str
    ) -> list[Json]:
        """Types into one option; the choices offered."""
        words = name.split()
        command = self._command(channel, words[0], 1)
        data = self._command_data(channel, command)
        data["options"], _ = self._options(command, words[1:], options, focused=focused)
        answer = await self._act(interactions.AUTOCOMPLETE, channel, data, name, 10)
        return answer.choices

    async def menu(self, target: Message | User, name: str, *, channel: Channel | None = None) -> Answer:
        """A context-menu entry on a message, or on a person in `channel`."""
        where = target.channel if isinstance(target, Message) else channel
        assert where is not None, "a menu on a person needs a channel"
        command = self._command(where, name, 3 if isinstance(target, Message) else 2)
        data = self._command_data(where, command) | {"target_id": str(target.id)}
        if isinstance(target, Message):
            shown = payloads.message(target, self.double.world.bot)
            data["resolved"] = {"messages": {str(target.id): shown}}
        else:
            data["resolved"] = self._resolved(where, [target])
        return await self._act(interactions.COMMAND, where, data, name, 10, menu=True)

    async def press(
        self, target: Message | Answer, wanted: str, *, values: list[str] | None = None, patience: float = 10
    ) -> Answer:
        """Presses the button with this label or custom_id; for a select `values` are what is picked."""
        message = target if isinstance(target, Message) else target.message
        part = find_part(message, wanted)
        data: Json = {"component_type": part["type"], "custom_id": part["custom_id"], "id": part["id"]}
        if values is not None:
            data["values"] = values
        return await self._act(
            interactions.COMPONENT, message.channel, data, wanted, patience, source=message
        )

    async def submit(self, answer: Answer, fields: dict[str, str], *, patience: float = 10) -> Answer:
        """Sends a form that the bot opened; `fields` by custom_id."""
        modal = answer.modal
        data: Json = {"custom_id": modal["custom_id"], "components": _filled(modal["components"], fields)}
        before = answer.interaction
        return await self._act(
            interactions.MODAL_SUBMIT, before.channel, data, before.name, patience, source=before.source
        )

    async def _act(
        self,
        kind: int,
        channel: Channel,
        data: Json,
        name: str,
        patience: float,
        *,
        source: Message | None = None,
        menu: bool = False,
    ) -> Answer:
        world, limits = self.double.world, self.double.limits
        acts.need(channel, self, Permission.VIEW_CHANNEL)
        interaction = Interaction(world.ids.next(), kind, self, channel, world.now(), name, menu, source)
        interactions.begin(world, interaction, data)
        return await wait_for_answer(world, limits, interaction, patience)

    def _command(self, channel: Channel, name: str, kind: int) -> Json:
        commands = self.double.world.commands
        acts.need(channel, self, Permission.USE_APPLICATION_COMMANDS)
        local = commands.get(channel.guild.id, {}) if channel.guild else {}
        offered = [*local.values(), *commands[None].values()]
        for command in offered:
            if command["name"] == name and command["type"] == kind:
                self._check_offered(channel, command)
                return command
        raise ClientRefuses(f"no command {name!r}; there are {sorted(each['name'] for each in offered)}")

    def _check_offered(self, channel: Channel, command: Json) -> None:
        needed = command.get("default_member_permissions")
        if channel.guild is not None and needed is not None:
            wanted = int(needed) or Permission.ADMINISTRATOR
            allowed = channel.allows(self, wanted)
            if not allowed:
                raise ClientRefuses(f"{command['name']!r} is not offered to {self.shown_name}")
        contexts = command.get("contexts")
        here = 0 if channel.guild else 1
        if contexts is not None and here not in contexts:
            raise ClientRefuses(f"{command['name']!r} is not offered here")
        if channel.guild is None and command.get("dm_permission") is False:
            raise ClientRefuses(f"{command['name']!r} is not offered in private")

    def _command_data(self, channel: Channel, command: Json) -> Json:
        data: Json = {"id": command["id"], "name": command["name"], "type": command["type"]}
        if "guild_id" in command and channel.guild is not None:
            data["guild_id"] = command["guild_id"]
        return data

    def _options(
        self, command: Json, path: list[str], given: Mapping[str, object], *, focused: str | None
    ) -> tuple[list[Json], list[object]]:
        """Options as sent, nested under subcommands, and the values that need resolving."""
        known = {each["name"]: each for each in command.get("options") or []}
        if path:
            if path[0] not in known:
                raise ClientRefuses(f"no subcommand {path[0]!r} among {sorted(known)}")
            branch = known[path[0]]
            inner, found = self._options(branch, path[1:], given, focused=focused)
            return [{"type": branch["type"], "name": path[0], "options": inner}], found
        unknown = given.keys() - known.keys()
        missing = [name for name, each in known.items() if each.get("required") and name not in given]
        branches = any(each["type"] in SUBCOMMANDS for each in known.values())
        if unknown or (missing and focused is None) or branches:
            raise ClientRefuses(f"unknown {sorted(unknown)}, missing {missing} among {sorted(known)}")
        entries = [option_payload(known[name], value, name == focused) for name, value in given.items()]
        return entries, list(given.values())

    def _resolved(self, channel: Channel, values: list[object]) -> Json:
        """The objects behind the ids in the options."""
        resolved: Json = {}
        for value in values:
            if isinstance(value, User):
                resolved.setdefault("users", {})[str(value.id)] = payloads.user(value)
                self._resolve_member(resolved, channel.guild, value)
            elif isinstance(value, Role):
                resolved.setdefault("roles", {})[str(value.id)] = payloads.role(value)
            elif isinstance(value, Channel):
                shown = payloads.channel(value) | {"permissions": interactions.allowed(value, self)}
                resolved.setdefault("channels", {})[str(value.id)] = shown
            elif isinstance(value, Attachment):
                shown = payloads.attachment(value, channel) | {"ephemeral": True}
                resolved.setdefault("attachments", {})[str(value.id)] = shown
        return resolved

    @staticmethod
    def _resolve_member(resolved: Json, guild: Guild | None, user: User) -> None:
        if guild is not None and user.id in guild.members:
            member = payloads.member(guild.members[user.id], with_user=False) | {"permissions": "0"}
            resolved.setdefault("members", {})[str(user.id)] = member


def _filled(rows: list[Json], fields: dict[str, str]) -> list[Json]:
    """A form's rows with the person's words in them."""
    filled = []
    for row in rows:
        inner = row.get("components") or [row.get("component")]
        parts = [
            {"type": part["type"], "custom_id": part["custom_id"], "value": fields.get(part["custom_id"], "")}
            for part in inner
            if part and part.get("custom_id")
        ]
        key = "components" if "components" in row else "component"
        filled.append({"type": row["type"], key: parts if key == "components" else parts[0]})
    return filled
