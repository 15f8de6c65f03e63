"""An update of the Bot API -> what happened, in the core's words. Pure: rights are filled in by the listener.

What concerns nobody (service messages, other bots, reactions without a person) gives nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Final

from telegram import (
    CallbackQuery,
    Chat,
    ChatMember,
    ChatMemberAdministrator,
    ChatMemberOwner,
    ChatMemberRestricted,
    ChatMemberUpdated,
    Message,
    MessageEntity,
    MessageReactionUpdated,
    ReactionTypeEmoji,
    Update,
    User,
)

from bots.telegram.attachments import album, attached
from bots.telegram.reading import read, well_formed
from bots.telegram.refs import account_ref, chat_ref, message_ref
from core.commands import COMMANDS
from core.errors import StormoError
from core.events import (
    Actor,
    ButtonPressed,
    CommandEdited,
    CommandInvoked,
    Inbound,
    Loss,
    MessageEdited,
    MessageReceived,
    Place,
    PlaceChanged,
    ReactionChanged,
    Rights,
    place_now,
)
from core.types import ChatRef, Language, MessageRef

#: The dialect of a source whose formatting stood beside it, as entities.
DIALECT: Final = "telegram"
#: A button's ``handle`` in front of the callback query's id.
CALLBACK: Final = "cb:"

_COMMAND: Final = re.compile(r"/([A-Za-z0-9_]{1,64})(?:@([A-Za-z0-9_]{3,64}))?(?=\s|$)\s*")
#: How like a command's name a slip of the pen is.
_SLIP: Final = 0.7
_KNOWN: Final = frozenset(name for spec in COMMANDS for name in (spec.name, *spec.aliases)) | {"start"}
_VERBATIM: Final = frozenset({"code", "pre"})


@dataclass(frozen=True, slots=True)
class Me:
    """Who we are there."""

    id: int
    username: str


@dataclass(frozen=True, slots=True)
class _Command:
    name: str
    skip: int


#: The topic of a message by ids of chat and message: reactions do not name it.
TopicOf = Callable[[int, int], int | None]


class Unreadable(StormoError):
    """An update does not have the shape that the Bot API promises. Nothing of its content is in here."""


def inbound(update: Update, me: Me, topic_of: TopicOf) -> Inbound | None:
    """What an update means for the core, or ``None``. Raises ``Unreadable``."""
    try:
        return _event(update, me, topic_of)
    except (TypeError, AttributeError, ValueError, KeyError, OverflowError, OSError):
        # The library hands on whatever type a field has.
        raise Unreadable(f"update {update.update_id} cannot be read") from None


def _event(update: Update, me: Me, topic_of: TopicOf) -> Inbound | None:
    key = f"telegram:{me.id}:update:{update.update_id}"
    if message := update.message or update.channel_post:
        return _moved(message, me) or _reopened(message, key) or _received(message, key, me)
    if message := update.edited_message or update.edited_channel_post:
        return _edited(message, key, me)
    if update.message_reaction:
        return _reaction(update.message_reaction, key, topic_of)
    if update.callback_query:
        return _button(update.callback_query, key, topic_of)
    if update.my_chat_member:
        return _standing(update.my_chat_member, key)
    return None


def moved(me: Me, old: int, new: int) -> PlaceChanged:
    """A group became a supergroup. The notice in the chat and a refused call give the same event."""
    return PlaceChanged(
        key=f"telegram:{me.id}:moved:{old}:{new}",
        chat=chat_ref(old),
        moved_to=chat_ref(new),
        reason="migrated",
    )


def rights(member: ChatMember) -> Rights:
    """What a member may do: who may change its looks may set it up, who may delete moderates."""
    if isinstance(member, ChatMemberOwner):
        return Rights(admin=True, moderator=True)
    if isinstance(member, ChatMemberAdministrator):
        return Rights(admin=bool(member.can_change_info), moderator=bool(member.can_delete_messages))
    return Rights()


def thread_of(message: Message) -> int | None:
    """The forum topic of a message. Elsewhere a thread's number only groups replies."""
    in_topic = message.is_topic_message and message.chat.type != Chat.PRIVATE
    return message.message_thread_id if in_topic else None


def _moved(message: Message, me: Me) -> PlaceChanged | None:
    """Both sides tell it: the group that ends and the supergroup that begins."""
    if message.migrate_to_chat_id:
        return moved(me, message.chat.id, message.migrate_to_chat_id)
    old = message.migrate_from_chat_id
    return moved(me, old, message.chat.id) if old else None


def _reopened(message: Message, key: str) -> PlaceChanged | None:
    """A topic that was closed; that it was closed is learnt when it refuses a message: admins may go on."""
    thread = thread_of(message)
    if not message.forum_topic_reopened or thread is None:
        return None
    return PlaceChanged(key=key, at=_time(message.date), chat=chat_ref(message.chat.id, thread))


def _words(message: Message) -> tuple[str, Sequence[MessageEntity]]:
    if message.text:
        return well_formed(message.text), message.entities
    return well_formed(message.caption or ""), message.caption_entities


def _received(message: Message, key: str, me: Me) -> CommandInvoked | MessageReceived | None:
    text, entities = _words(message)
    files, actor = attached(message), _writer(message)
    if not (text or files) or actor is None:
        return None
    place = _place(message)
    here = message_ref(place.chat, message.message_id)
    target = _answered(message, place.chat)
    command = _command(message, text, entities, me)
    if command is None:
        return MessageReceived(
            key=key,
            at=_time(message.date),
            place=place,
            actor=actor,
            message=here,
            body=read(text, entities),
            source=text,
            dialect=DIALECT,
            reply_to=target,
            to_bot=place.private or _to_bot(message, text, entities, me),
            files=files,
            album=album(message),
        )
    return CommandInvoked(
        key=key,
        at=_time(message.date),
        place=place,
        actor=actor,
        name=command.name,
        text=text[command.skip :],
        body=read(text, entities, command.skip),
        source=text[command.skip :],
        dialect=DIALECT,
        message=here,
        target=target,
        files=files,
        album=album(message),
    )


def _edited(message: Message, key: str, me: Me) -> CommandEdited | MessageEdited | None:
    text, entities = _words(message)
    files, actor = attached(message), _writer(message)
    if not (text or files) or actor is None:
        return None
    place = _place(message)
    here = message_ref(place.chat, message.message_id)
    at = _time(message.edit_date or message.date)
    command = _command(message, text, entities, me)
    if command is None:
        body = read(text, entities)
        return MessageEdited(
            key=key, at=at, place=place, actor=actor, message=here, body=body, source=text, dialect=DIALECT
        )
    return CommandEdited(
        key=key,
        at=at,
        place=place,
        actor=actor,
        name=command.name,
        text=text[command.skip :],
        body=read(text, entities, command.skip),
        source=text[command.skip :],
        dialect=DIALECT,
        message=here,
        files=files,
    )


def _command(message: Message, text: str, entities: Sequence[MessageEntity], me: Me) -> _Command | None:
    """The command that a message is. A forwarded one is somebody else's, one set as code is an example."""
    match = _COMMAND.match(text)
    if match is None or message.forward_origin is not None or message.via_bot is not None:
        return None
    if any(entity.offset == 0 and entity.type in _VERBATIM for entity in entities):
        return None
    name, to = match[1].lower(), (match[2] or "").lower()
    if to and to != me.username.lower():
        return None
    if to or message.chat.type == Chat.PRIVATE or get_close_matches(name, _KNOWN, n=1, cutoff=_SLIP):
        return _Command(name, match.end())
    # Meant for another bot of the group.
    return None


def _to_bot(message: Message, text: str, entities: Sequence[MessageEntity], me: Me) -> bool:
    answered = message.reply_to_message
    if answered is not None and answered.from_user is not None and answered.from_user.id == me.id:
        return _answered(message, chat_ref(message.chat.id)) is not None
    mentioned = any(entity.type == MessageEntity.MENTION for entity in entities)
    return mentioned and f"@{me.username}".lower() in text.lower()


def _place(message: Message) -> Place:
    chat, thread = message.chat, thread_of(message)
    root = message.reply_to_message
    topic = root.forum_topic_created.name if thread and root is not None and root.forum_topic_created else ""
    title = well_formed(chat.title or chat.effective_name or "")
    return Place(
        chat=chat_ref(chat.id, thread),
        title=well_formed(topic) or title,
        private=chat.type == Chat.PRIVATE,
        closed=bool(message.has_protected_content),
        group=title if thread else "",
    )


def _answered(message: Message, chat: ChatRef) -> MessageRef | None:
    """The message answered to. All messages of a topic seem to answer to its first one: that is no reply."""
    answered = message.reply_to_message
    if answered is None or (message.is_topic_message and answered.message_id == message.message_thread_id):
        return None
    return message_ref(chat, answered.message_id)


def _writer(message: Message) -> Actor | None:
    """Who wrote: behind ``sender_chat`` stands an unknown person, and ``from`` is made up then."""
    if message.sender_chat is not None:
        return _hidden(message.sender_chat)
    if message.from_user is None:
        return _hidden(message.chat) if message.chat.type == Chat.CHANNEL else None
    return None if message.from_user.is_bot else person(message.from_user)


def _hidden(chat: Chat) -> Actor:
    name = well_formed(chat.effective_name or "")
    return Actor(account=account_ref(chat.id), name=name, username=chat.username or "", anonymous=True)


def person(user: User) -> Actor:
    """An account as it is now, without its rights."""
    tag = (user.language_code or "").split("-", 1)[0].lower()
    return Actor(
        account=account_ref(user.id),
        name=well_formed(user.full_name),
        username=user.username or "",
        locale=Language(tag) if tag else None,
        bot=bool(user.is_bot),
    )


def _reaction(change: MessageReactionUpdated, key: str, topic_of: TopicOf) -> ReactionChanged | None:
    """All reactions of one person on one message. Those of a chat or an anonymous admin name nobody."""
    if change.user is None or change.user.is_bot:
        return None
    chat = chat_ref(change.chat.id, topic_of(change.chat.id, change.message_id))
    emoji = (kind.emoji for kind in change.new_reaction if isinstance(kind, ReactionTypeEmoji))
    return ReactionChanged(
        key=key,
        at=_time(change.date),
        message=message_ref(chat, change.message_id),
        actor=person(change.user),
        added=tuple(dict.fromkeys(bare(one) for one in emoji)),
        whole=True,
    )


def _button(query: CallbackQuery, key: str, topic_of: TopicOf) -> ButtonPressed | None:
    message = query.message
    if message is None or not query.data or query.from_user.is_bot:
        return None
    if isinstance(message, Message):
        place = _place(message)
    else:
        place = _seen_place(message.chat, topic_of(message.chat.id, message.message_id))
    return ButtonPressed(
        key=key,
        place=place,
        actor=person(query.from_user),
        data=well_formed(query.data),
        message=message_ref(place.chat, message.message_id),
        handle=CALLBACK + query.id,
    )


def _seen_place(chat: Chat, thread: int | None) -> Place:
    title = well_formed(chat.title or chat.effective_name or "")
    private = chat.type == Chat.PRIVATE
    return Place(chat=chat_ref(chat.id, thread), title=title, private=private, group=title if thread else "")


def _standing(change: ChatMemberUpdated, key: str) -> PlaceChanged | None:
    """Whether we may speak in a chat, when that has changed."""
    private = change.chat.type == Chat.PRIVATE
    before, now = (
        silenced(member, private=private) for member in (change.old_chat_member, change.new_chat_member)
    )
    if before == now:
        return None
    return place_now(chat_ref(change.chat.id), now, key=key, at=_time(change.date))


def silenced(member: ChatMember, *, private: bool) -> Loss | None:
    """Why a member cannot speak."""
    if member.status == ChatMember.BANNED:
        return Loss.BLOCKED if private else Loss.BANNED
    if member.status == ChatMember.LEFT:
        return Loss.REMOVED
    if isinstance(member, ChatMemberRestricted) and not (member.is_member and member.can_send_messages):
        return Loss.MUTED if member.is_member else Loss.REMOVED
    # Only in channels is the right to post a matter of its own; elsewhere it is not sent.
    if isinstance(member, ChatMemberAdministrator) and member.can_post_messages is False:
        return Loss.MUTED
    return None


def bare(emoji: str) -> str:
    """An emoji without the sign that asks for its coloured form, which comes and goes."""
    return well_formed(emoji).replace("\ufe0f", "")


def _time(at: datetime) -> datetime | None:
    """Zero stands for a message that can no longer be seen."""
    return at.astimezone(UTC) if at.timestamp() > 0 else None
