"""The model as the wire shows it. Pure: state in, JSON out; ids are strings."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import TYPE_CHECKING

from tests.doubles.discord import permissions
from tests.doubles.discord.errors import Json
from tests.doubles.discord.model import DM, Attachment, Channel, Guild, Member, Message, Role, User, Webhook

if TYPE_CHECKING:
    from tests.doubles.discord.model import World

#: How long a signed link to a file lives.


def stamp(moment: datetime) -> str:
    return moment.isoformat()


def user(account: User) -> Json:
    body: Json = {
        "id": str(account.id),
        "username": account.username,
        "avatar": account.avatar,
        "discriminator": "0000" if account.bot else "0",
        "public_flags": 0,
        "flags": 0,
        "global_name": account.name,
        "primary_guild": None,
        "avatar_decoration_data": None,
        "banner": None,
        "accent_color": None,
        "collectibles": None,
    }
    if account.bot:
        body["bot"] = True
    return body


def me(account: User) -> Json:
    return user(account) | {
        "mfa_enabled": False,
        "locale": account.locale,
        "verified": True,
        "email": None,
    }


def application(world: World, flags: int) -> Json:
    return {
        "id": str(world.application_id),
        "name": world.bot.username,
        "icon": None,
        "description": "",
        "type": None,
        "bot": user(world.bot),
        "bot_public": True,
        "bot_require_code_grant": False,
        "verify_key": "0" * 64,
        "flags": flags,
        "flags_new": str(flags),
        "redirect_uris": [],
        "interactions_endpoint_url": None,
        "role_connections_verification_url": None,
        "owner": user(User(1, "operator", "Operator")),
        "approximate_guild_count": sum(guild.has_bot for guild in world.guilds.values()),
        "approximate_user_install_count": 0,
        "approximate_user_authorization_count": 0,
        "explicit_content_filter": 0,
        "team": None,
        "eligible_oauth2_scopes": [],
        "integration_types_config": {"0": {}},
    }


def role(item: Role) -> Json:
    body: Json = {
        "id": str(item.id),
        "name": item.name,
        "permissions": str(int(item.permissions)),
        "position": item.position,
        "color": 0,
        "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
        "hoist": False,
        "managed": item.bot_id is not None,
        "mentionable": item.mentionable,
        "icon": None,
        "unicode_emoji": None,
        "flags": 0,
    }
    if item.bot_id is not None:
        body["tags"] = {"bot_id": str(item.bot_id)}
    return body


def member(item: Member, *, with_user: bool = True) -> Json:
    body: Json = {
        "avatar": None,
        "banner": None,
        "communication_disabled_until": stamp(item.timed_out_until) if item.timed_out_until else None,
        "flags": 0,
        "joined_at": stamp(item.joined_at),
        "nick": item.nick,
        "pending": False,
        "premium_since": None,
        "roles": [str(each.id) for each in item.roles],
        "mute": False,
        "deaf": False,
    }
    if with_user:
        body["user"] = user(item.user)
    return body


def channel(item: Channel) -> Json:
    if item.type == DM:
        return _direct(item)
    body: Json = {
        "id": str(item.id),
        "type": item.type,
        "flags": item.flags,
        "guild_id": str(item.guild.id) if item.guild else None,
        "name": item.name,
        "last_message_id": _optional(item.last_message_id),
        "rate_limit_per_user": 0,
        "parent_id": str(item.parent.id) if item.parent else None,
    }
    return body | (_thread_part(item) if item.is_thread else _channel_part(item)) | _forum_part(item)


def _forum_part(item: Channel) -> Json:
    if not item.is_forum:
        return {}
    return {
        "last_message_id": _optional(item.posts[-1].id if item.posts else None),
        "available_tags": [],
        "default_reaction_emoji": None,
        "default_sort_order": None,
        "default_forum_layout": 0,
    }


def thread_member(item: Channel, account: User) -> Json:
    return {
        "id": str(item.id),
        "user_id": str(account.id),
        "join_timestamp": stamp(item.world.now()),
        "flags": 0,
    }


def _channel_part(item: Channel) -> Json:
    roles = item.guild.roles if item.guild else {}
    return {
        "position": item.position,
        "topic": item.topic,
        "nsfw": item.nsfw,
        "permission_overwrites": [
            {"id": str(target), "type": 0 if target in roles else 1, "allow": str(allow), "deny": str(deny)}
            for target, (allow, deny) in item.overwrites.items()
        ],
    }


def _thread_part(item: Channel) -> Json:
    count = len(item.messages)
    return {
        "owner_id": str(item.owner_id),
        "thread_metadata": {
            "archived": item.archived,
            "archive_timestamp": stamp(item.world.now()),
            "auto_archive_duration": 1440,
            "locked": item.locked,
        },
        "message_count": count,
        "member_count": 1,
        "total_message_sent": count,
    }


def _direct(item: Channel) -> Json:
    others = [each for each in item.recipients if each is not item.world.bot]
    return {
        "id": str(item.id),
        "type": DM,
        "flags": 0,
        "last_message_id": _optional(item.last_message_id),
        "recipients": [user(each) for each in others],
    }


def guild(item: Guild) -> Json:
    """The guild as REST answers it: without channels and members."""
    nothing = (
        "icon description home_header splash discovery_splash banner application_id afk_channel_id"
        " system_channel_id widget_channel_id vanity_url_code rules_channel_id safety_alerts_channel_id"
        " public_updates_channel_id incidents_data max_presences"
    )
    return dict.fromkeys(nothing.split()) | {
        "id": str(item.id),
        "name": item.name,
        "features": [],
        "owner_id": str(item.owner_id),
        "region": "deprecated",
        "afk_timeout": 300,
        "system_channel_flags": 0,
        "widget_enabled": False,
        "verification_level": 0,
        "roles": [role(each) for each in item.roles.values()],
        "default_message_notifications": 0,
        "mfa_level": 0,
        "explicit_content_filter": 0,
        "max_members": 500_000,
        "max_stage_video_channel_users": 50,
        "max_video_channel_users": 25,
        "premium_tier": 0,
        "premium_subscription_count": 0,
        "preferred_locale": item.locale,
        "premium_progress_bar_enabled": False,
        "nsfw": False,
        "nsfw_level": 0,
        "emojis": [],
        "stickers": [],
    }


def guild_create(item: Guild, members: list[Member], bot: User) -> Json:
    """The guild as GUILD_CREATE carries it, with its channels, threads and the members the bot may see."""
    threads = [each for each in item.world.channels.values() if each.guild is item and each.is_thread]
    return guild(item) | {
        "joined_at": stamp(item.members[bot.id].joined_at),
        "large": len(item.members) > 250,
        "unavailable": False,
        "member_count": len(item.members),
        "voice_states": [],
        "members": [member(each) for each in members],
        "channels": [channel(each) for each in item.channels.values()],
        "threads": [channel(each) for each in threads if not each.archived and _in_sight(each, bot)],
        "presences": [],
        "stage_instances": [],
        "guild_scheduled_events": [],
        "soundboard_sounds": [],
    }


def _in_sight(thread: Channel, bot: User) -> bool:
    return thread.allows(bot, permissions.Permission.VIEW_CHANNEL)


def my_guild(item: Guild, bot: User) -> Json:
    return {
        "id": str(item.id),
        "name": item.name,
        "icon": None,
        "banner": None,
        "owner": item.owner_id == bot.id,
        "permissions": str(int(permissions.in_guild(item, bot.id))),
        "features": [],
    }


def emoji(text: str) -> Json:
    name, _, number = text.partition(":")
    return {"id": number, "name": name} if number else {"id": None, "name": text}


def reactions(item: Message, viewer: User) -> list[Json]:
    return [
        {
            "emoji": emoji(text),
            "count": len(users),
            "count_details": {"burst": 0, "normal": len(users)},
            "burst_colors": [],
            "me_burst": False,
            "me": viewer.id in users,
        }
        for text, users in item.reactions.items()
    ]


def attachment(item: Attachment, owner: Channel) -> Json:
    """A signed link, as the platform gives: it stops working after the world's `link_life`."""
    expires = int((owner.world.now() + owner.world.link_life).timestamp())
    link = f"{owner.world.cdn_url}/attachments/{owner.id}/{item.id}/{item.filename}"
    link = f"{link}?ex={expires:x}&hm={signature(item.id, expires)}"
    body: Json = {
        "id": str(item.id),
        "filename": item.filename,
        "size": len(item.data),
        "url": link,
        "proxy_url": link,
        "content_type": item.content_type,
    }
    if item.description is not None:
        body["description"] = item.description
    return body


def signature(attachment_id: int, expires: int) -> str:
    return hashlib.sha256(f"{attachment_id}:{expires}".encode()).hexdigest()


def message(item: Message, viewer: User, *, redacted: bool = False, nested: bool = False) -> Json:
    """A message as `viewer` gets it; `redacted`: without the content intent, its words are missing."""
    body: Json = {
        "id": str(item.id),
        "channel_id": str(item.channel.id),
        "type": item.type,
        "author": user(item.author),
        "content": "" if redacted else item.content,
        "embeds": [] if redacted else item.embeds,
        "attachments": [] if redacted else [attachment(each, item.channel) for each in item.attachments],
        "components": [] if redacted else item.components,
        "mentions": [user(each) for each in item.mentions],
        "mention_roles": [str(each) for each in item.mention_roles],
        "mention_everyone": item.mention_everyone,
        "timestamp": stamp(item.created_at),
        "edited_timestamp": stamp(item.edited_at) if item.edited_at else None,
        "flags": item.flags,
        "pinned": item.pinned,
        "tts": item.tts,
    }
    return body | _message_extras(item, viewer, redacted, nested)


def _message_extras(item: Message, viewer: User, redacted: bool, nested: bool) -> Json:
    extras: Json = {}
    if item.reactions:
        extras["reactions"] = reactions(item, viewer)
    if item.nonce is not None:
        extras["nonce"] = item.nonce
    if item.webhook is not None:
        extras["webhook_id"] = str(item.webhook.id)
    if item.application_id is not None:
        extras["application_id"] = str(item.application_id)
    if item.interaction is not None:
        extras |= {"webhook_id": str(item.application_id)} | item.interaction.metadata()
    if item.reference is not None:
        extras["message_reference"] = item.reference
    thread = item.channel.world.channels.get(item.id)
    if thread is not None:
        extras["thread"] = channel(thread)
    if item.reply_to is not None and not nested:
        shown = item.reply_to.shown
        extras["referenced_message"] = (
            message(item.reply_to, viewer, redacted=redacted, nested=True) if shown else None
        )
    return extras


def webhook(item: Webhook, *, with_token: bool) -> Json:
    body: Json = {
        "id": str(item.id),
        "type": 1,
        "application_id": _optional(item.application_id),
        "avatar": item.avatar,
        "channel_id": str(item.channel.id),
        "guild_id": str(item.channel.guild.id) if item.channel.guild else None,
        "name": item.name,
        "user": user(item.creator),
    }
    if with_token:
        body["token"] = item.token
    return body


def _optional(snowflake: int | None) -> str | None:
    return None if snowflake is None else str(snowflake)
