"""What the stores hand to the rules: frozen values, one per family."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct

from core.types import (
    AccountId,
    AccountRef,
    ChatId,
    ChatRef,
    CommunityId,
    Feed,
    MemberId,
    MessageRef,
    Platform,
    PostId,
    ThingId,
    ThingKind,
    Visibility,
    quick,
)


@quick
class ChatState(StrEnum):
    ACTIVE = "active"
    #: The bot is there and may not write: what is to be shown waits until it may again.
    MUTED = "muted"
    #: The bot lost the chat: it was removed, or the chat is no more.
    GONE = "gone"


@quick
class Look(StrEnum):
    """In whose name people's posts are shown in a room, where its platform lets it choose."""

    BOT = "bot"
    AUTHOR = "author"


@quick
class Doubt(StrEnum):
    """What a community wants where a platform has no key and an answer was lost."""

    #: Send again: never none, and the surplus is listed.
    DOUBLE = "double"
    #: Leave it out: never two, and the gap is listed.
    GAP = "gap"


@quick
class CopyState(StrEnum):
    """How an outbox row stands."""

    LIVE = "live"
    #: Shown as a line of a fold.
    FOLDED = "folded"
    #: Taken away by somebody there: final.
    REMOVED = "removed"
    #: Perhaps sent, and it was chosen not to send again.
    DOUBT = "doubt"
    #: Refused for good, with a reason that a person can read.
    REFUSED = "refused"
    #: Withdrawn by us; nothing is shown any more.
    WITHDRAWN = "withdrawn"


#: The resolution of a doubt about what is never sent again.
LEFT_OUT: Final = "left out"


@quick
class FileState(StrEnum):
    """How far a file of a thing has come."""

    #: To be fetched from where it came from.
    WANTED = "wanted"
    #: In our store.
    STORED = "stored"
    #: Never to be had, with the reason.
    REFUSED = "refused"


@quick
class Verb(StrEnum):
    """What a try does. Part of every idempotency key."""

    CREATE = "create"
    EDIT = "edit"
    WITHDRAW = "withdraw"
    TELL = "tell"
    MARK = "mark"
    UNMARK = "unmark"
    TAKE = "take"
    UNPIN = "unpin"


class Account(Struct, frozen=True):
    id: AccountId
    ref: AccountRef
    name: str
    username: str
    locale: str
    member_id: MemberId | None
    private_chat_id: ChatId | None
    opted_out: bool


class Member(Struct, frozen=True):
    id: MemberId
    handle: str
    language: str
    show_name: bool
    name: str
    posts: int
    joined_at: datetime


class Community(Struct, frozen=True):
    id: CommunityId
    slug: str
    title: str
    paused: bool
    hold_seconds: int
    doubt: Doubt


class Chat(Struct, frozen=True):
    id: ChatId
    ref: ChatRef
    community_id: CommunityId | None
    title: str
    private: bool
    closed: bool
    relay: bool
    language: str
    state: ChatState
    #: Why it is not active: a ``core.events.Loss``, followed by ``: `` and the platform's words where it gave some.
    reason: str
    look: Look = Look.BOT
    #: Why it is the bot's again: a ``core.intents.NotAsAuthor``, or empty.
    look_lost: str = ""


class Post(Struct, frozen=True):
    id: PostId
    author_id: MemberId
    account_id: AccountId
    community_id: CommunityId | None
    chat_id: ChatId
    visibility: Visibility
    reply_to: PostId | None
    revision: int
    version: int
    score: int
    guests: int
    created_at: datetime
    deleted_at: datetime | None
    #: The post that it carries inside.
    quote_of: PostId | None = None


class Reader(Struct, frozen=True):
    """What a member follows, and the communities whose own posts reach them."""

    member: MemberId
    authors: list[MemberId]
    tags: list[str]
    communities: list[CommunityId]
    inside: list[CommunityId]


class Boosted(Struct, frozen=True):
    """A post that somebody passed on."""

    post: Post
    by: MemberId
    at: datetime


class Reported(Struct, frozen=True):
    """A post with its open reports in one community. ``reasons`` that were given, the first report first."""

    post_id: PostId
    count: int
    since: datetime
    reasons: tuple[str, ...]


class Revision(Struct, frozen=True):
    post_id: PostId
    number: int
    body: str
    source: str
    dialect: str
    at: datetime


class Reacted(Struct, frozen=True):
    """What a reaction is about: the post that a copy of it stands for, and the account that reacts."""

    post_id: PostId
    author_id: MemberId
    #: The account that wrote the post.
    written_by: AccountId
    account_id: AccountId
    member_id: MemberId | None
    #: As the account is known.
    name: str
    username: str
    locale: str
    #: Nobody of this member acted on this post before, nor spoke there for anybody. ``False`` where nobody looked.
    fresh: bool = False


class Signal(Struct, frozen=True):
    """A reaction as it stands under one copy."""

    post_id: PostId
    account_id: AccountId
    chat_id: ChatId
    message_key: str
    emoji: str
    ref_key: str
    at: datetime
    superseded: bool


class Vote(Struct, frozen=True):
    """What a member's acts on one post came to."""

    post_id: PostId
    member_id: MemberId
    account_id: AccountId
    value: int
    emoji: str
    acted_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    id: ThingId
    chat_id: ChatId
    account_id: AccountId
    author: str
    body: str
    version: int
    reply_to: ThingId | None
    deleted_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Enclosure:
    """A file of a thing (a post, relayed talk). ``source`` is read by the adapter of ``platform`` only.

    ``key``: the platform's name of it, or empty.
    ``mime`` and ``size`` as that platform says.
    ``digest`` names its bytes once they are stored; ``reason`` is a ``core.errors.FileWhy`` where it is refused.
    """

    thing_id: ThingId
    position: int
    platform: Platform
    source: str
    key: str
    name: str
    mime: str
    size: int
    alt: str
    spoiler: bool
    state: FileState
    digest: str
    reason: str
    attempts: int
    ready_at: datetime
    album: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """Bytes in our store, by their SHA-256 in hexadecimal. ``mime`` as they themselves say.

    ``small``: the digest of a smaller picture of the same, for platforms that do not take this one; or empty.
    """

    digest: str
    mime: str
    size: int
    width: int = 0
    height: int = 0
    small: str = ""


class Notice(Struct, frozen=True):
    """An answer or a small act of ours. ``payload`` is the JSON of ``core.notices.Said``."""

    id: ThingId
    chat_id: ChatId
    verb: Verb
    account_id: AccountId | None
    handle: str
    message_key: str
    payload: str
    created_at: datetime
    expires_at: datetime | None


class Copy(Struct, frozen=True):
    """A message that shows a thing, or a part of it, the first being 0. ``ours``: we may edit it.

    ``shown``: the version that it shows; of its author's own message the revision that it was last edited to, or 0.
    ``digest``: what the message shows, in short (``core.parts.digest_of``).
    """

    chat_id: ChatId
    thing_id: ThingId
    kind: ThingKind
    part: int
    message: MessageRef
    ours: bool
    shown: int
    sent_at: datetime
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """An outbox row: what a chat must show of a thing, and what it shows."""

    chat_id: ChatId
    thing_id: ThingId
    kind: ThingKind
    wanted: int
    shown: int
    generation: int
    state: CopyState
    rank: int
    form: str
    ready_at: datetime
    queued_at: datetime
    attempts: int
    reason: str
    fold_id: ThingId | None
    #: How often somebody had it tried again after a refusal.
    retries: int = 0
    #: Some parts of its first send stand, or may, and others are still to come.
    begun: bool = False
    #: Since when it is tried in vain, as long as ``attempts`` counts: what it waited for otherwise is not in it.
    failing_since: datetime | None = None
    #: Because of whose boost the chat shows it, if nothing else brings it there.
    boosted_by: MemberId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """So many outbox rows of one rank are due in a chat, the first of them at ``ready_at``."""

    chat_id: ChatId
    platform: Platform
    rank: int
    count: int
    ready_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Foremost:
    """What a chat would do next. ``rank``: of the first row that is ready, if any.

    ``unbound``: an answer through its own door (an interaction), which no window binds, is among them.
    """

    chat_id: ChatId
    platform: Platform
    rank: int | None
    unbound: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    chat_id: ChatId
    key: str
    thing_id: ThingId
    part: int
    verb: Verb
    version: int
    form: str
    epoch: int
    at: datetime
    #: What the first try rendered, in short.
    digest: str = ""
    #: Whether a repeat with its key may be recognised.
    keyed: bool = True
    #: Whether its message shows the key, so that it can be found again.
    signed: bool = False
    #: Since when its answer is lost.
    lost_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubtRow:
    chat: ChatRef
    key: str
    number: int
    thing_id: ThingId
    part: int
    at: datetime
    resolution: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LostRoom:
    """A community's chat that nothing can be sent to. ``told``: its people know; ``waiting``: rows of the outbox."""

    chat: Chat
    since: datetime
    told: bool
    waiting: int


class Waits(StrEnum):
    """Why a row of the outbox that is due was not sent yet."""

    #: Nothing but its turn is missing.
    TURN = "turn"
    #: Its time has not come: held, tried again later, a tally that moves seldom.
    TIME = "time"
    #: Its community is paused.
    PAUSED = "paused"
    #: The bot lost its room or may not write there.
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Rows of the outbox alike in these. ``since``: when the oldest of them could have been sent."""

    platform: Platform
    rank: int
    waits: Waits
    rows: int
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """How much there is of what an operator watches. Refused rows and doubts are those of late only."""

    backlog: list[Waiting]
    tries: dict[Platform, int]
    parked: dict[Platform, int]
    refused: dict[Platform, int]
    doubts: dict[Platform, int]
    rooms: dict[tuple[Platform, ChatState], int]
    letters: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A one-time code at rest: its hash, never itself."""

    hash: str
    purpose: str
    account_id: AccountId
    community_id: CommunityId | None
    chat_id: ChatId
    handle: str
    claimed_by: AccountId | None
    claim_chat_id: ChatId | None
    claim_handle: str
    agreed: bool
    expires_at: datetime
    used: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    chat_id: ChatId
    feed: Feed


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    id: int
    chat_id: ChatId
    message_key: str
    event: str
    expires_at: datetime
