"""Chats and their members as the bot may ask about them."""

from __future__ import annotations

from .args import Args
from .errors import bad_request, forbidden
from .methods import chat_of, method, reachable
from .model import PERMISSIONS, Chat, Json
from .world import World


@method("getChat")
def get_chat(world: World, args: Args) -> Json:
    chat = chat_of(world, args)
    if chat.type == "private" and not chat.started:
        raise bad_request("chat not found")
    gifts = (
        "unlimited_gifts",
        "limited_gifts",
        "unique_gifts",
        "premium_subscription",
        "gifts_from_channels",
    )
    shape = chat.as_json() | {
        "accent_color_id": abs(chat.id) % 7,
        "max_reaction_count": 11,
        "accepted_gift_types": dict.fromkeys(gifts, False),
    }
    if chat.type in ("group", "supergroup"):
        shape["permissions"] = dict.fromkeys(PERMISSIONS, not chat.silent)
    if chat.linked:
        shape["linked_chat_id"] = chat.linked.id
    pinned = [message for message in chat.messages.values() if message.pinned]
    return shape | ({"pinned_message": pinned[-1].as_json(with_reply=False)} if pinned else {})


@method("getChatMember")
def get_chat_member(world: World, args: Args) -> Json:
    user_id = args.integer("user_id")
    if user_id <= 0:
        raise bad_request("invalid user_id specified")
    chat = chat_of(world, args)
    if user_id != world.bot.id:
        _readable_members(world, chat)
    user = world.users.get(user_id)
    if user is None or (chat.type == "private" and user_id not in (chat.id, world.bot.id)):
        raise bad_request("member not found")
    if chat.type == "private":
        return {"status": "member", "user": user.as_json()}
    return chat.member(user).as_json(chat.type)


@method("getChatAdministrators")
def get_chat_administrators(world: World, args: Args) -> list[Json]:
    chat = chat_of(world, args)
    if chat.type == "private":
        raise bad_request("there are no administrators in the private chat")
    _readable_members(world, chat)
    admins = [member for member in chat.members.values() if member.admin]
    return [
        member.as_json(chat.type) for member in admins if not member.user.is_bot or member.user == world.bot
    ]


@method("getChatMemberCount")
def get_chat_member_count(world: World, args: Args) -> int:
    chat = chat_of(world, args)
    return 2 if chat.type == "private" else sum(member.present for member in chat.members.values())


@method("leaveChat", stores=True)
def leave_chat(world: World, args: Args) -> bool:
    chat = reachable(world, chat_of(world, args))
    if chat.type == "private":
        raise bad_request("chat member status can't be changed in private chats")
    world.change_member(chat, world.bot, world.bot, "left")
    return True


def _readable_members(world: World, chat: Chat) -> None:
    reachable(world, chat)
    if chat.type == "channel" and not chat.member(world.bot).admin:
        raise bad_request("member list is inaccessible")
    if chat.blocked and not chat.started:
        raise forbidden("bot was blocked by the user")
