"""What happened on a platform, in its neutral form.

An adapter fills everything here before it calls the engine: no lookup over the network happens inside.
``key`` identifies the event for ever (``telegram:<bot>:update:77``); seen before means stop, and is a success.
An event without key is set-state: applying it twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from core.body import Body
from core.types import AccountRef, ChatRef, Language, MessageRef, Platform


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """What the platform lets this account do in this chat, now.

    ``admin`` may set the chat up; ``moderator`` may remove others' messages; ``operator`` runs the instance
    (named in the config).
    """

    admin: bool = False
    moderator: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acted: an account with its rights in this chat.

    ``name`` is the display name and ``username`` the unique one (may be empty), as the platform has them now.
    ``anonymous``: the platform hides the person (anonymous admin, linked channel); never votes or posts.
    """

    account: AccountRef
    name: str
    username: str = ""
    locale: Language | None = None
    rights: Rights = field(default_factory=Rights)
    anonymous: bool = False
    bot: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The chat an event came from, as the platform describes it now.

    ``private``: only the bot and one person are in it. ``closed``: age-restricted or encrypted, so that posts
    from here stay in the room unless their author says otherwise.
    ``group``: names what the room is part of (a guild, a space); empty where there is no such thing.
    ``lacks``: what the bot may not do there, by the platform's own names, as far as a command needs to know; each has
    its words in the catalogues (``check.<platform>.permission.<name>``).
    ``threaded``: whatever is new there begins a thread of its own, so that it is no room for talk.
    """

    chat: ChatRef
    title: str
    private: bool = False
    closed: bool = False
    group: str = ""
    lacks: tuple[str, ...] = ()
    threaded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bookmark:
    """How far this adapter has read; committed together with the event that carries it.

    ``after``: the value that stands there if everything before was stored; where another one does, something was not,
    and the bookmark stays before it. ``None``: whatever stands there.
    """

    scope: str
    value: str
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file that came with words, still where its platform keeps it. Only its adapter reads inside ``source``.

    What the platform says of it: ``name``, ``mime``, ``size`` in bytes, ``width`` and ``height`` in pixels, empty or 0
    where it says nothing. ``alt``: its description in words; ``spoiler``: shown only to who asks for it. ``key``: the
    platform's own name of it, where files can be taken out of a message.
    """

    source: str
    key: str = ""
    name: str = ""
    mime: str = ""
    size: int = 0
    alt: str = ""
    spoiler: bool = False
    width: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What all events share. ``at``: the platform's own time of the act, ``None`` where it sends none."""

    key: str | None
    at: datetime | None = None
    bookmark: Bookmark | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageReceived(Event):
    """Somebody wrote a message that is no command. ``to_bot``: it mentions the bot or answers to it.

    ``files``: what came with the words, or without any. ``album``: names what several messages of one file each
    make together; empty where there is no such thing.
    """

    place: Place
    actor: Actor
    message: MessageRef
    body: Body
    source: str
    dialect: str
    reply_to: MessageRef | None = None
    to_bot: bool = False
    files: tuple[Attachment, ...] = ()
    album: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageEdited(Event):
    """A message has new words, or fewer files.

    ``kept``: the keys of the files that still stand with it; ``None`` where its platform does not say.
    """

    place: Place
    actor: Actor
    message: MessageRef
    body: Body
    source: str
    dialect: str
    kept: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageDeleted(Event):
    """A message (or, on Matrix, an event such as a reaction) was taken away, by whomever."""

    message: MessageRef


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactionChanged(Event):
    """An account's reactions on a message changed by these emoji.

    ``whole``: ``added`` is the account's full set on that message now, everything else was taken back.
    ``ref``: the reaction's own event, where reactions are events (Matrix): a later ``MessageDeleted`` of it
    takes the reaction back.
    ``found``: read back at reconciliation; it has no time and never displaces a timed act.
    """

    message: MessageRef
    actor: Actor
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    whole: bool = False
    ref: MessageRef | None = None
    found: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactorsFound(Event):
    """Everybody who stands under a message with a vote's emoji, as reconciliation read it: nobody else does.

    ``began``: when the reading began; a reaction heard since is not judged by it. ``None``: heard live, in order.
    ``emoji``: it speaks of this one only; empty: of every vote's emoji.
    """

    message: MessageRef
    accounts: tuple[AccountRef, ...]
    began: datetime | None
    emoji: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandInvoked(Event):
    """A command, from whichever door: a slash command, a text command, a menu.

    ``text``: what stands behind the name, unparsed (text platforms); ``options``: values by argument name where
    the platform parsed them. ``body``: the tree of ``text``, or of the option
    that is a text.
    ``message``: the person's own message, where the command is one. ``target``: the message answered to.
    ``handle``: what the adapter needs to answer only this person (an interaction token).
    ``words_of``: who wrote ``message``, where a menu or a button (in ``question``) brought one that stood there;
    its words come with it only where that is the actor. ``chosen``: the account that a menu was opened on.
    """

    place: Place
    actor: Actor
    name: str
    text: str = ""
    options: Mapping[str, str] | None = None
    body: Body | None = None
    source: str = ""
    dialect: str = "plain"
    message: MessageRef | None = None
    target: MessageRef | None = None
    handle: str = ""
    files: tuple[Attachment, ...] = ()
    album: str = ""
    words_of: Actor | None = None
    question: MessageRef | None = None
    chosen: AccountRef | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandEdited(Event):
    """The message of an earlier command was edited and still is a command.

    ``files``: what stands with it, for a command that is one only now; a post takes no more than it was made with, and
    loses those that are not ``kept``, as with ``MessageEdited``.
    """

    place: Place
    actor: Actor
    name: str
    text: str
    body: Body | None = None
    source: str = ""
    dialect: str = "plain"
    message: MessageRef
    files: tuple[Attachment, ...] = ()
    kept: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ButtonPressed(Event):
    """A button of ours was pressed. ``data`` may be forged: rights are checked as for a typed command."""

    place: Place
    actor: Actor
    data: str
    message: MessageRef | None = None
    handle: str = ""


class Loss(StrEnum):
    """Why the bot cannot write in a chat. From ``MUTED`` on it still is in it, and only a right is missing."""

    #: Somebody put the bot out, or it left.
    REMOVED = "removed"
    BANNED = "banned"
    #: The one person of a private chat wants to hear nothing more.
    BLOCKED = "blocked"
    #: The chat is no more.
    DELETED = "deleted"
    #: The room moved to one that was set up already.
    MOVED = "moved"
    #: The right to write is missing.
    MUTED = "muted"
    #: Somebody locked the thread that it is.
    LOCKED = "locked"
    #: Each thing there must carry one of the room's own tags, and which one fits only its people know.
    TAGS = "tags"
    #: The right to see the chat is missing.
    UNSEEN = "unseen"
    #: The room is encrypted, and Stormo speaks in clear.
    ENCRYPTED = "encrypted"

    @property
    def gone(self) -> bool:
        """Whether the chat itself is lost, and not only a right in it."""
        return self not in (Loss.MUTED, Loss.LOCKED, Loss.TAGS, Loss.UNSEEN, Loss.ENCRYPTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceChanged(Event):
    """A chat got another identity (``moved_to``), or the bot lost it (``gone``), or found it again.

    ``muted``: it is there, and may not write (any more). ``reason``: a ``Loss`` in both cases.
    ``shared``: nothing of this, but it is no private chat (any more): others may read what is said there.
    """

    chat: ChatRef
    moved_to: ChatRef | None = None
    gone: bool = False
    muted: bool = False
    shared: bool = False
    reason: str = ""


def place_now(
    chat: ChatRef, loss: Loss | None, *, key: str | None = None, at: datetime | None = None
) -> PlaceChanged:
    """How a chat stands now: lost or closed to the bot for that reason, else open."""
    gone, muted = loss is not None and loss.gone, loss is not None and not loss.gone
    return PlaceChanged(key=key, at=at, chat=chat, gone=gone, muted=muted, reason=str(loss or ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed(Event):
    """More may have happened while nobody listened than could be read back: an operator must see that.

    ``chat``: where; ``None``: anywhere on the platform. ``since``: from when on, ``None`` where that is not known.
    ``reason``: for the operator, in English.
    """

    platform: Platform
    reason: str
    chat: ChatRef | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionAdvanced(Event):
    """Everything up to ``bookmark`` has been handled (a Matrix sync token)."""


Inbound = (
    MessageReceived
    | MessageEdited
    | MessageDeleted
    | ReactionChanged
    | ReactorsFound
    | CommandInvoked
    | CommandEdited
    | ButtonPressed
    | PlaceChanged
    | Missed
    | PositionAdvanced
)


def platform_of(event: Inbound) -> Platform | None:
    """Where it happened; ``None`` for what says nothing of a platform."""
    match event:
        case PositionAdvanced():
            return None
        case Missed():
            return event.platform
        case PlaceChanged():
            return event.chat.platform
        case MessageDeleted() | ReactionChanged() | ReactorsFound():
            return event.message.chat.platform
        case _:
            return event.place.chat.platform
