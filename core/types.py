"""Opaque references and ids, one type each.

Only the adapter that made a reference may read inside its ``key``; everybody else compares and stores it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Final, NewType, TypeVar

from msgspec import Struct

E = TypeVar("E", bound=Enum)

#: Name of an adapter, e.g. ``telegram``. A new platform must never need an edit in ``core``.
Platform = NewType("Platform", str)

MemberId = NewType("MemberId", int)
AccountId = NewType("AccountId", int)
CommunityId = NewType("CommunityId", int)
ChatId = NewType("ChatId", int)
PostId = NewType("PostId", int)
#: Any thing that has copies (a post, a notice, a fold, a relayed message): all come from one id space.
ThingId = NewType("ThingId", int)
MirrorId = NewType("MirrorId", int)

#: Woken like a chat when a file waits to be fetched. No chat has this id.
FILES: Final = ChatId(-1)

#: BCP 47 primary tag, ``en`` or ``it``.
Language = NewType("Language", str)


@dataclass(frozen=True, slots=True, order=True)
class ChatRef:
    """A place where messages stand: a channel, a group or one of its topics, a room, a private chat."""

    platform: Platform
    key: str


@dataclass(frozen=True, slots=True, order=True)
class MessageRef:
    """One message of a chat.

    ``via``: how its adapter reaches it again, where there are several ways; no part of what it is.
    """

    chat: ChatRef
    key: str
    via: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, order=True)
class AccountRef:
    """A mouth on a platform. ``key`` never changes when its owner is renamed."""

    platform: Platform
    key: str


def quick(members: type[E]) -> type[E]:
    """The enumeration with its members as plain attributes: Python 3.11 asks a property for each, ten times as long."""
    for member in members:
        type.__setattr__(members, member.name, member)
    return members


@quick
class Visibility(StrEnum):
    """Who may ever see a post: the origin's room, its community's rooms, or everybody."""

    ROOM = "room"
    COMMUNITY = "community"
    PUBLIC = "public"


@quick
class ThingKind(StrEnum):
    """What a copy is a copy of."""

    POST = "post"
    #: An answer or a notice of ours.
    NOTICE = "notice"
    #: Several posts in one message, when a room's cap is reached.
    FOLD = "fold"
    #: Ordinary talk passed between rooms of one community. Never a post.
    RELAY = "relay"


@quick
class FeedKind(StrEnum):
    """What can be followed and mirrored."""

    MEMBER = "member"
    TAG = "tag"
    COMMUNITY = "community"
    EVERYTHING = "everything"


class Feed(Struct, frozen=True):
    """A feed's identity: ``key`` is the member's or community's id as text, the tag's folded name, or empty."""

    kind: FeedKind
    key: str
