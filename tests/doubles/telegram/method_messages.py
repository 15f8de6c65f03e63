"""Sending, editing, deleting, reacting, pinning and answering presses."""

from __future__ import annotations

import re
from typing import Any

from .args import Args
from .errors import bad_request, forbidden
from .methods import chat_of, message_of, method, writable
from .model import REACTIONS, Chat, Json, Member, Message
from .text import formatted
from .world import World

TWO_DAYS = 2 * 86_400
NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same "
    "as a current content and reply markup of the message"
)
TOO_OLD = "query is too old and response timeout expired or query ID is invalid"


@method("sendMessage", stores=True, sends=True)
def send_message(world: World, args: Args) -> Json:
    text, entities = _text(args)
    message = world.store(
        **placed(world, args),
        text=text,
        entities=entities,
        link_preview=args.json("link_preview_options", "can't parse link preview options JSON object"),
    )
    message.from_bot = True
    world.forward_to_discussion(message)
    return message.as_json()


def placed(world: World, args: Args) -> dict[str, Any]:
    """Where and how a new message of the bot stands, whatever it holds; raises what is refused of that."""
    buttons = buttons_of(args)
    chat = writable(world, chat_of(world, args))
    thread = _topic(chat, args.integer("message_thread_id"))
    reply_to = _reply_to(world, chat, args)
    return {
        "chat": chat,
        "sender": None if chat.type == "channel" else world.bot,
        "sender_chat": chat if chat.type == "channel" else None,
        "reply_to": reply_to or thread or None,
        "thread": thread or thread_of_reply(chat, reply_to),
        "in_topic": bool(thread),
        "buttons": buttons,
        "silent": args.flag("disable_notification"),
        "protected": args.flag("protect_content"),
    }


@method("editMessageText", stores=True, edits=True)
def edit_message_text(world: World, args: Args) -> Json:
    text, entities = _text(args)
    buttons = buttons_of(args)
    message = editable(world, args)
    if message.media is not None:
        raise bad_request("there is no text in the message to edit")
    preview = args.json("link_preview_options", "can't parse link preview options JSON object")
    if (message.text, message.entities, message.buttons) == (text, entities, buttons):
        raise bad_request(NOT_MODIFIED)
    message.text, message.entities, message.link_preview = text, entities, preview
    return edited(world, message, buttons)


@method("editMessageReplyMarkup", stores=True, edits=True)
def edit_message_reply_markup(world: World, args: Args) -> Json:
    buttons = buttons_of(args)
    message = editable(world, args)
    if message.buttons == buttons:
        raise bad_request(NOT_MODIFIED)
    return edited(world, message, buttons)


@method("deleteMessage", stores=True)
def delete_message(world: World, args: Args) -> bool:
    if not args.text("chat_id"):
        raise bad_request("chat identifier is not specified")
    if not args.integer("message_id"):
        raise bad_request("message identifier is not specified")
    message = message_of(world, args, "message to delete")
    _refuse_deletion(world, message)
    world.remove(message)
    return True


@method("setMessageReaction", stores=True)
def set_message_reaction(world: World, args: Args) -> bool:
    given = args.json("reaction", "can't parse reaction types JSON object") or []
    emoji = tuple(_reaction(each) for each in given)
    message = message_of(world, args, "message to react")
    if len(emoji) > 1:
        raise bad_request("REACTIONS_TOO_MANY")
    if not REACTIONS.issuperset(emoji):
        raise bad_request("REACTION_INVALID")
    world.react(message, world.bot, emoji)
    return True


@method("pinChatMessage", stores=True)
def pin_chat_message(world: World, args: Args) -> bool:
    message = _pinnable(world, args, "message to pin")
    message.pinned = True
    if message.chat.type != "channel":
        pinned = {"pinned_message": message.as_json(with_reply=False)}
        notice = world.post(message.chat, sender=world.bot, content=pinned, service=True)
        notice.from_bot = True
    return True


@method("unpinChatMessage", stores=True)
def unpin_chat_message(world: World, args: Args) -> bool:
    _pinnable(world, args, "message to unpin").pinned = False
    world.changes.tell()
    return True


@method("sendChatAction")
def send_chat_action(world: World, args: Args) -> bool:
    writable(world, chat_of(world, args))
    if not args.text("action"):
        raise bad_request("wrong parameter action in request")
    return True


@method("answerCallbackQuery", stores=True)
def answer_callback_query(world: World, args: Args) -> bool:
    query = world.presses.get(args.integer("callback_query_id"))
    if query is None or query.answered or world.clock() - query.at > world.limits.callback_seconds:
        raise bad_request(TOO_OLD)
    if len(args.text("text")) > 200:
        raise bad_request("MESSAGE_TOO_LONG")
    query.text, query.url = args.text("text"), args.text("url")
    query.show_alert, query.answered = args.flag("show_alert"), True
    world.changes.tell()
    return True


def thread_of_reply(chat: Chat, reply_to: int | None) -> int | None:
    """The thread that a reply joins: supergroups make one of every chain of replies."""
    replied = chat.messages.get(reply_to or 0)
    if replied is None or chat.type != "supergroup":
        return None
    return replied.thread or (None if chat.is_forum else replied.id)


def _text(args: Args) -> tuple[str, list[Json]]:
    entities = args.json("entities", "can't parse entities: can't parse entities JSON object")
    return formatted(args.text("text"), entities, args.text("parse_mode"))


def _topic(chat: Chat, thread: int) -> int:
    """The topic to send to, 0 for none: elsewhere than in forums and private chats the server ignores it."""
    if thread and (chat.is_forum or chat.type == "private") and thread not in chat.topics:
        raise bad_request("message thread not found")
    return thread if chat.is_forum else 0


def _reply_to(world: World, chat: Chat, args: Args) -> int | None:
    wanted = args.json("reply_parameters", "can't parse reply parameters JSON object")
    if not wanted:
        return None
    elsewhere = wanted.get("chat_id", chat.id)
    where = chat if elsewhere == chat.id else chat_of(world, Args({"chat_id": elsewhere}))
    if wanted["message_id"] in where.messages:
        return int(wanted["message_id"]) if where is chat else None
    if wanted.get("allow_sending_without_reply"):
        return None
    raise bad_request("message to be replied not found")


def buttons_of(args: Args) -> list[list[Json]]:
    markup = args.json("reply_markup", "can't parse reply keyboard markup JSON object")
    if markup is None:
        return []
    if not isinstance(markup, dict):
        raise bad_request("object expected as reply markup")
    return [
        row for row in ([_button(each) for each in row] for row in markup.get("inline_keyboard", [])) if row
    ]


def _button(button: Any) -> Json:
    refusal = "can't parse inline keyboard button: "
    if not isinstance(button, dict):
        raise bad_request(refusal + "InlineKeyboardButton must be an Object")
    if len(button) < 2:
        raise bad_request(refusal + "Text buttons are unallowed in the inline keyboard")
    if not str(button.get("text", "")).strip():
        raise bad_request("inline keyboard button text must be non-empty")
    if "callback_data" in button and not 1 <= len(str(button["callback_data"]).encode()) <= 64:
        raise bad_request("BUTTON_DATA_INVALID")
    if "url" in button and not re.match(r"(https?|tg)://\S+$|[\w-]+(\.[\w-]+)+(/\S*)?$", button["url"]):
        raise bad_request(f"inline keyboard button URL '{button['url']}' is invalid: Wrong HTTP URL")
    return dict(button)


def editable(world: World, args: Args) -> Message:
    if not args.text("chat_id") or not args.integer("message_id"):
        raise bad_request("message identifier is not specified")
    message = message_of(world, args, "message to edit")
    me = message.chat.member(world.bot)
    if message.chat.blocked:
        raise forbidden("bot was blocked by the user")
    allowed = message.from_bot or (message.chat.type == "channel" and me.can("can_edit_messages"))
    if message.service or not allowed:
        raise bad_request("message can't be edited")
    return message


def edited(world: World, message: Message, buttons: list[list[Json]]) -> Json:
    message.buttons = buttons
    message.edit_date = world.now()
    world.changes.tell()
    return message.as_json()


def _refuse_deletion(world: World, message: Message) -> None:
    me = message.chat.member(world.bot)
    old = world.clock() - message.date >= TWO_DAYS
    if message.chat.type in ("private", "group"):
        mine = message.from_bot and not message.service
        allowed = mine or message.chat.type == "private" or me.admin
        if old or not allowed:
            raise bad_request("message can't be deleted for everyone")
        return
    structural = message.id == 1 or not {
        "forum_topic_created",
        "migrate_from_chat_id",
    }.isdisjoint(message.content)
    if old or structural or not _may_delete(me, message):
        raise bad_request("message can't be deleted")


def _may_delete(me: Member, message: Message) -> bool:
    if me.can("can_delete_messages"):
        return True
    if message.from_bot and (_channel(message) or message.service):
        return me.can("can_post_messages")
    return message.from_bot


def _channel(message: Message) -> bool:
    return message.chat.type == "channel"


def _reaction(given: Any) -> str:
    if not isinstance(given, dict) or given.get("type") not in (
        "emoji",
        "custom_emoji",
    ):
        raise bad_request("can't parse ReactionType: invalid reaction type specified")
    return str(given.get("emoji", "")).replace("\N{VARIATION SELECTOR-16}", "")


def _pinnable(world: World, args: Args, wanted: str) -> Message:
    message = message_of(world, args, wanted)
    right = "can_edit_messages" if _channel(message) else "can_pin_messages"
    if message.chat.type != "private" and not message.chat.member(world.bot).can(right):
        raise bad_request("not enough rights to manage pinned messages in the chat")
    return message
