"""The people, chats and messages that our Bot API double keeps, and the JSON the bot sees of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from .media import Media

Json = dict[str, Any]
ChatType = Literal["private", "group", "supergroup", "channel"]
Status = Literal["creator", "administrator", "member", "restricted", "left", "kicked"]

ADMIN_RIGHTS = (
    "can_manage_chat",
    "can_delete_messages",
    "can_manage_video_chats",
    "can_restrict_members",
    "can_promote_members",
    "can_change_info",
    "can_invite_users",
    "can_post_stories",
    "can_edit_stories",
    "can_delete_stories",
)
CHANNEL_RIGHTS = ("can_post_messages", "can_edit_messages")
GROUP_RIGHTS = ("can_pin_messages",)
SUPERGROUP_RIGHTS = ("can_pin_messages", "can_manage_topics")

PERMISSIONS = (
    "can_send_messages",
    "can_send_audios",
    "can_send_documents",
    "can_send_photos",
    "can_send_videos",
    "can_send_video_notes",
    "can_send_voice_notes",
    "can_send_polls",
    "can_send_other_messages",
    "can_add_web_page_previews",
    "can_react_to_messages",
    "can_edit_tag",
    "can_change_info",
    "can_invite_users",
    "can_pin_messages",
    "can_manage_topics",
)

_REACTIONS = (
    "❤ 👍 👎 🔥 🥰 👏 😁 🤔 🤯 😱 🤬 😢 🎉 🤩 🤮 💩 🙏 👌 🕊 🤡 🥱 🥴 😍 🐳 ❤\u200d🔥 🌚 🌭 💯 🤣 ⚡ 🍌 🏆 "
    "💔 🤨 😐 🍓 🍾 💋 🖕 😈 😴 😭 🤓 👻 👨\u200d💻 👀 🎃 🙈 😇 😨 🤝 ✍ 🤗 🫡 🎅 🎄 ☃ 💅 🤪 🗿 🆒 💘 🙉 🦄 "
    "😘 💊 🙊 😎 👾 🤷\u200d♂ 🤷 🤷\u200d♀ 😡"
)
REACTIONS = frozenset(_REACTIONS.split())


@dataclass
class User:
    """A person or a bot. Two users are the same when their ids are."""

    id: int
    first_name: str
    is_bot: bool = False
    last_name: str = ""
    username: str = ""
    language_code: str = ""
    is_premium: bool = False

    def as_json(self) -> Json:
        optional = {
            "last_name": self.last_name,
            "username": self.username,
            "language_code": self.language_code,
        }
        known: Json = {name: value for name, value in optional.items() if value}
        if self.is_premium:
            known["is_premium"] = True
        return {
            "id": self.id,
            "is_bot": self.is_bot,
            "first_name": self.first_name,
            **known,
        }


GROUP_ANONYMOUS_BOT = User(1087968824, "Group", True, username="GroupAnonymousBot")
CHANNEL_BOT = User(136817688, "Channel", True, username="Channel_Bot")
SERVICE_USER = User(777000, "Telegram")


@dataclass
class Member:
    """What a user is in a chat; `rights` are names of administrator rights."""

    user: User
    status: Status = "member"
    rights: frozenset[str] = frozenset()
    anonymous: bool = False

    @property
    def present(self) -> bool:
        return self.status not in ("left", "kicked")

    @property
    def admin(self) -> bool:
        return self.status in ("creator", "administrator")

    def can(self, right: str) -> bool:
        return self.status == "creator" or (self.status == "administrator" and right in self.rights)

    def as_json(self, chat_type: ChatType) -> Json:
        shape: Json = {"status": self.status, "user": self.user.as_json()}
        if self.status == "creator":
            shape["is_anonymous"] = self.anonymous
        elif self.status == "administrator":
            shape |= {"can_be_edited": False, "is_anonymous": self.anonymous}
            shape |= {right: right in self.rights for right in rights_of(chat_type)}
        elif self.status == "restricted":
            shape |= {"is_member": True, "until_date": 0} | dict.fromkeys(PERMISSIONS, False)
        elif self.status == "kicked":
            shape["until_date"] = 0
        return shape


def rights_of(chat_type: ChatType) -> tuple[str, ...]:
    """The administrator rights that exist in such a chat."""
    special = {
        "channel": CHANNEL_RIGHTS,
        "group": GROUP_RIGHTS,
        "supergroup": SUPERGROUP_RIGHTS,
    }
    return ADMIN_RIGHTS + special.get(chat_type, ())


@dataclass(eq=False, repr=False)
class Message:
    """A message as the server keeps it. `content` holds service and media fields as they appear in JSON."""

    id: int
    chat: Chat
    date: int
    text: str = ""
    entities: list[Json] = field(default_factory=list)
    sender: User | None = None
    sender_chat: Chat | None = None
    #: A file, with the text as its caption.
    media: Media | None = None
    album: str = ""
    content: Json = field(default_factory=dict)
    service: bool = False
    edit_date: int = 0
    reply_to: int | None = None
    thread: int | None = None
    in_topic: bool = False
    buttons: list[list[Json]] = field(default_factory=list)
    link_preview: Json | None = None
    silent: bool = False
    protected: bool = False
    pinned: bool = False
    from_bot: bool = False
    reactions: dict[int, tuple[str, ...]] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<message {self.id} in {self.chat}: {self.text!r}>"

    def as_json(self, *, with_reply: bool = True) -> Json:
        """The Message object; like the server's, a reply carries one level of `reply_to_message`."""
        shape: Json = {"message_id": self.id}
        if self.sender:
            shape["from"] = self.sender.as_json()
        if self.sender_chat:
            shape["sender_chat"] = self.sender_chat.as_json()
        shape |= {"chat": self.chat.as_json(), "date": self.date}
        if self.edit_date:
            shape["edit_date"] = self.edit_date
        if self.thread:
            shape["message_thread_id"] = self.thread
        if with_reply and (replied := self.chat.messages.get(self.reply_to or 0)):
            shape["reply_to_message"] = replied.as_json(with_reply=False)
        return shape | self._body()

    def _body(self) -> Json:
        shape: Json = self.media.as_json() if self.media else {}
        words, marks = ("caption", "caption_entities") if self.media else ("text", "entities")
        if self.album:
            shape["media_group_id"] = self.album
        if self.text:
            shape[words] = self.text
        if self.entities:
            shape[marks] = self.entities
        if self.link_preview:
            shape["link_preview_options"] = self.link_preview
        shape |= self.content
        if self.buttons:
            shape["reply_markup"] = {"inline_keyboard": self.buttons}
        if self.protected:
            shape["has_protected_content"] = True
        if self.in_topic:
            shape["is_topic_message"] = True
        return shape


@dataclass(eq=False, repr=False)
class Chat:
    """A private chat (its id is the person's), basic group, supergroup or channel."""

    id: int
    type: ChatType
    title: str = ""
    username: str = ""
    user: User | None = None
    members: dict[int, Member] = field(default_factory=dict)
    messages: dict[int, Message] = field(default_factory=dict)
    is_forum: bool = False
    topics: dict[int, str] = field(default_factory=dict)
    linked: Chat | None = None
    migrated_to: Chat | None = None
    started: bool = False
    blocked: bool = False
    #: Ordinary members may not write.
    silent: bool = False
    last_id: int = 0

    def __repr__(self) -> str:
        return f"<{self.type} {self.id} {self.title or self.id}>"

    def as_json(self) -> Json:
        if self.user:
            person = self.user.as_json()
            names: Json = {
                key: person[key] for key in ("first_name", "last_name", "username") if key in person
            }
            return {"id": self.id, **names, "type": self.type}
        shape: Json = {"id": self.id, "title": self.title}
        if self.username:
            shape["username"] = self.username
        if self.is_forum:
            shape["is_forum"] = True
        return shape | {"type": self.type}

    def member(self, user: User) -> Member:
        return self.members.get(user.id) or Member(user, "left")


@dataclass
class CallbackQuery:
    """A pressed button that waits for its answer."""

    id: int
    at: float
    text: str = ""
    show_alert: bool = False
    url: str = ""
    answered: bool = False
