"""Webhooks, and the answers to interactions, which speak through the same paths."""

from __future__ import annotations

import base64
import hashlib
import hmac

from tests.doubles.discord import acts, interactions, payloads
from tests.doubles.discord.errors import FormErrors, Json, refusal
from tests.doubles.discord.interactions import Interaction
from tests.doubles.discord.model import ANNOUNCEMENT, FORUMS, TEXT, Channel, Message, User, Webhook
from tests.doubles.discord.permissions import Permission
from tests.doubles.discord.rest.pipeline import NO_CONTENT, Call, Reply, Route

WEBHOOK_LIMIT = 15
BY_TOKEN = "/webhooks/{webhook_id}/{webhook_token}"
MESSAGE = BY_TOKEN + "/messages/{message_id}"
ORIGINAL = BY_TOKEN + "/messages/@original"
CALLBACK = "/interactions/{interaction_id}/{interaction_token}/callback"


def check_name(name: object, path: str = "name") -> None:
    """1-80 characters, and none of the words that the platform keeps for itself."""
    errors = FormErrors()
    errors.longest((path,), name, 80, least=1)
    for word in ("clyde", "discord"):
        if word in str(name).lower():
            code = "USERNAME_INVALID_CONTAINS"
            errors.add((path,), code, f'Username cannot contain "{word}"')
    if str(name).lower() in ("everyone", "here"):
        errors.add((path,), "USERNAME_INVALID", f'Username cannot be "{str(name).lower()}"')
    errors.settle()


def _has_webhooks(call: Call) -> Channel:
    """A channel of a guild, no thread: those speak through their channel's."""
    channel = call.channel()
    if channel.guild is None:
        raise refusal(50003)
    if channel.type not in (TEXT, ANNOUNCEMENT, 2, 13, *FORUMS):
        raise refusal(50024)
    return channel


def create(call: Call) -> Reply:
    channel = _has_webhooks(call)
    acts.need(channel, call.bot, Permission.MANAGE_WEBHOOKS)
    check_name(call.body.get("name"))
    if sum(each.channel is channel for each in call.world.webhooks.values()) >= WEBHOOK_LIMIT:
        raise refusal(30007)
    webhook = Webhook(call.world.ids.next(), channel, call.body["name"], call.bot, call.world.application_id)
    webhook.avatar = _avatar(call, call.body.get("avatar"))
    call.world.webhooks[webhook.id] = webhook
    call.world.events.webhooks_changed(channel)
    return Reply(200, _payload(call, webhook))


def _avatar(call: Call, uri: str | None) -> str | None:
    if not uri:
        return None
    data = base64.b64decode(uri.partition(",")[2])
    name = hashlib.md5(data, usedforsecurity=False).hexdigest()
    call.world.avatars[name] = data
    return name


def _payload(call: Call, webhook: Webhook) -> Json:
    """The token is shown only to whom the webhook belongs."""
    return payloads.webhook(webhook, with_token=webhook.application_id == call.world.application_id)


def list_in_channel(call: Call) -> Reply:
    channel = _has_webhooks(call)
    acts.need(channel, call.bot, Permission.MANAGE_WEBHOOKS)
    found = [each for each in call.world.webhooks.values() if each.channel is channel]
    return Reply(200, [_payload(call, each) for each in found])


def list_in_guild(call: Call) -> Reply:
    guild = call.guild()
    found = [each for each in call.world.webhooks.values() if each.channel.guild is guild]
    if any(not each.channel.allows(call.bot, Permission.MANAGE_WEBHOOKS) for each in found):
        raise refusal(50013)
    return Reply(200, [_payload(call, each) for each in found])


def _by_id(call: Call) -> Webhook:
    webhook = call.world.webhooks.get(call.number("webhook_id"))
    if webhook is None:
        raise refusal(10015)
    acts.need(webhook.channel, call.bot, Permission.MANAGE_WEBHOOKS)
    return webhook


def _by_token(call: Call) -> Webhook:
    webhook = call.world.webhooks.get(call.number("webhook_id"))
    if webhook is None:
        raise refusal(10015)
    if not hmac.compare_digest(webhook.token, call.params["webhook_token"]):
        raise refusal(50027)
    return webhook


def get(call: Call) -> Reply:
    return Reply(200, _payload(call, _by_id(call)))


def get_by_token(call: Call) -> Reply:
    shown = payloads.webhook(_by_token(call), with_token=True)
    del shown["user"]
    return Reply(200, shown)


def _change(call: Call, webhook: Webhook) -> None:
    if call.body.get("name") is not None:
        check_name(call.body["name"])
        webhook.name = call.body["name"]
    if "avatar" in call.body:
        webhook.avatar = _avatar(call, call.body["avatar"])
    call.world.events.webhooks_changed(webhook.channel)


def change(call: Call) -> Reply:
    webhook = _by_id(call)
    if call.body.get("channel_id") is not None:
        target = call.world.channels.get(int(call.body["channel_id"]))
        if target is None:
            raise refusal(10003)
        acts.need(target, call.bot, Permission.MANAGE_WEBHOOKS)
        webhook.channel = target
    _change(call, webhook)
    return Reply(200, _payload(call, webhook))


def change_by_token(call: Call) -> Reply:
    webhook = _by_token(call)
    _change(call, webhook)
    return Reply(200, payloads.webhook(webhook, with_token=True))


def _remove(call: Call, webhook: Webhook) -> Reply:
    del call.world.webhooks[webhook.id]
    call.world.events.webhooks_changed(webhook.channel)
    return NO_CONTENT


def remove(call: Call) -> Reply:
    return _remove(call, _by_id(call))


def remove_by_token(call: Call) -> Reply:
    return _remove(call, _by_token(call))


# Speaking


def _interaction(call: Call) -> Interaction | None:
    """The interaction whose token this is; its "webhook" is the application."""
    if call.params["webhook_id"] != str(call.world.application_id):
        return None
    found = call.world.interactions.get(call.params["webhook_token"])
    if found is None:
        raise refusal(50027)
    interactions.check_token(call.world, call.limits, found)
    return found


def execute(call: Call) -> Reply:
    """A follow-up to an interaction, or a webhook's message: each call makes a new one, no nonce helps."""
    interaction = _interaction(call)
    body = call.body or {}
    if interaction is not None:
        message = interactions.follow_up(call.world, interaction, body, call.files)
        return Reply(200, payloads.message(message, call.bot))
    webhook = _by_token(call)
    channel = _target(call, webhook)
    body = {key: value for key, value in body.items() if key not in ("nonce", "message_reference")}
    if body.get("username") is not None:
        check_name(body["username"], "username")
    if webhook.application_id is None:
        # A button needs an application that hears of it. What else others' webhooks may show we leave out, too.
        body.pop("components", None)
    name = body.get("username") or webhook.name
    avatar = webhook.avatar if not body.get("avatar_url") else _foreign_avatar(body["avatar_url"])
    author = User(webhook.id, name, bot=True, avatar=avatar)
    draft = acts.Draft(channel, author, body, call.files, webhook)
    if channel.is_forum and "thread_name" not in body:
        raise refusal(220001)
    if channel.is_forum:
        message = acts.begin_post(call.world, channel, str(body.pop("thread_name")), draft)
    else:
        message = acts.send(call.world, draft)
    if call.query.get("wait", "0").lower() not in ("1", "true"):
        return NO_CONTENT
    return Reply(200, payloads.message(message, call.bot))


def _foreign_avatar(url: str) -> str:
    """The platform fetches the picture and keeps it under a hash of its own."""
    return hashlib.md5(url.encode(), usedforsecurity=False).hexdigest()


def _target(call: Call, webhook: Webhook) -> Channel:
    if "thread_name" in (call.body or {}) and not webhook.channel.is_forum:
        raise refusal(220003)
    if "thread_id" not in call.query:
        return webhook.channel
    thread = call.world.channels.get(int(call.query["thread_id"]))
    if thread is None or thread.parent is not webhook.channel or not thread.is_thread:
        raise refusal(10003)
    return thread


def _own_message(call: Call) -> Message:
    """Only what this very webhook sent: anything else is unknown."""
    message_id = call.params.get("message_id", "@original")
    interaction = _interaction(call)
    if interaction is not None:
        return interactions.find(interaction, message_id)
    webhook = _by_token(call)
    message = _target(call, webhook).messages.get(call.number("message_id"))
    if message is None or message.webhook is None or message.webhook.id != webhook.id:
        raise refusal(10008)
    return message


def get_message(call: Call) -> Reply:
    return Reply(200, payloads.message(_own_message(call), call.bot))


def edit_message(call: Call) -> Reply:
    message = _own_message(call)
    acts.edit(call.world, message, call.body or {}, call.files)
    return Reply(200, payloads.message(message, call.bot))


def delete_message(call: Call) -> Reply:
    acts.delete(call.world, [_own_message(call)])
    return NO_CONTENT


def callback(call: Call) -> Reply:
    """The first answer to an interaction."""
    interaction = call.world.interactions.get(call.params["interaction_token"])
    if interaction is None or interaction.id != call.number("interaction_id"):
        raise refusal(10062)
    message = interactions.respond(call.world, call.limits, interaction, call.body or {}, call.files)
    if call.query.get("with_response", "0").lower() not in ("1", "true"):
        return NO_CONTENT
    return Reply(200, _callback_payload(call, interaction, message))


def _callback_payload(call: Call, interaction: Interaction, message: Message | None) -> Json:
    about: Json = {
        "id": str(interaction.id),
        "type": interaction.type,
        "channel_id": str(interaction.channel.id),
    }
    if interaction.channel.guild is not None:
        about["guild_id"] = str(interaction.channel.guild.id)
    kind = interaction.answered
    if message is not None:
        about["response_message_id"] = str(message.id)
        about["response_message_loading"] = kind == interactions.DEFER_MESSAGE
        about["response_message_ephemeral"] = message.ephemeral
    if message is None or kind not in (interactions.MESSAGE, interactions.UPDATE):
        return {"interaction": about}
    resource = {"type": kind, "message": payloads.message(message, call.bot)}
    return {"interaction": about, "resource": resource}


ROUTES = (
    Route("POST", "/channels/{channel_id}/webhooks", create, per="channel_id"),
    Route("GET", "/channels/{channel_id}/webhooks", list_in_channel, per="channel_id"),
    Route("GET", "/guilds/{guild_id}/webhooks", list_in_guild, per="guild_id"),
    Route("GET", "/webhooks/{webhook_id}", get, per="webhook_id"),
    Route("PATCH", "/webhooks/{webhook_id}", change, per="webhook_id"),
    Route("DELETE", "/webhooks/{webhook_id}", remove, per="webhook_id"),
    Route("GET", BY_TOKEN, get_by_token, per="webhook_id", token=False, counted=False),
    Route("PATCH", BY_TOKEN, change_by_token, per="webhook_id", token=False, counted=False),
    Route("DELETE", BY_TOKEN, remove_by_token, per="webhook_id", token=False, counted=False),
    Route("POST", BY_TOKEN, execute, "webhooks", "webhook_token", token=False, counted=False),
    *(
        Route(method, path, handler, per="webhook_token", token=False, counted=False)
        for path in (ORIGINAL, MESSAGE)
        for method, handler in (("GET", get_message), ("PATCH", edit_message), ("DELETE", delete_message))
    ),
    Route("POST", CALLBACK, callback, per="interaction_token", token=False, counted=False),
)
