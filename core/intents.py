"""What a platform is asked to show, and what it answers.

An intent carries everything that an adapter needs; performing one never reads the database. ``key`` is the
derived idempotency key (43 characters of URL-safe base64): the same act has the same key after any crash.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from core.body import Block, Body
from core.types import AccountRef, ChatRef, Language, MessageRef


class Voice(StrEnum):
    """Whose words a view carries: Matrix sends people as ``m.text`` and the bot as ``m.notice``."""

    PERSON = "person"
    BOT = "bot"


class NotAsAuthor(StrEnum):
    """Why words could not be shown in their author's name, so that the bot showed them in its own."""

    #: The bot has not (any more) the right that ``Capabilities.as_author`` names.
    FORBIDDEN = "forbidden"
    #: The place has as many voices already as it may have.
    FULL = "full"
    #: Somebody took the voice away, twice.
    TAKEN_AWAY = "taken_away"
    #: There is no such thing in this kind of place.
    UNABLE = "unable"


class Form(StrEnum):
    """The rungs of the ladder: each place gets the best form that it takes."""

    FULL = "full"
    PLAIN = "plain"
    LINK = "link"
    #: The same as the first two, where the place does not take the files. An adapter never sees these.
    FULL_WORDS = "full words"
    PLAIN_WORDS = "plain words"

    @property
    def said(self) -> Form:
        """As an adapter is asked for it."""
        return {Form.FULL_WORDS: Form.FULL, Form.PLAIN_WORDS: Form.PLAIN}.get(self, self)

    @property
    def with_files(self) -> bool:
        return self in (Form.FULL, Form.PLAIN)


_ENGLISH = Language("en")
#: Begins the data of the button by which a copy can be asked about: what follows is its adapter's.
ABOUT = "about"
#: Begins the data of the button by which somebody agrees that a message of theirs becomes a post, with their account's
#: and the message's keys behind it. Its adapter brings the message's words as ``CommandInvoked`` does from a menu.
AGREE = "agree"


@dataclass(frozen=True, slots=True)
class Button:
    """A button with a worded label that does one of three things.

    ``data`` (at most 64 bytes) comes back as ``ButtonPressed``; ``url`` opens; ``private`` opens the private chat
    with the bot, which then gets the command ``start`` with this payload (at most 64 of ``[A-Za-z0-9_-]``) where
    the platform has deep links. An adapter leaves out a button that it cannot show.
    """

    label: str
    data: str = ""
    url: str = ""
    private: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file of a post, as it lies in our own store: never where it came from.

    ``digest``: SHA-256 of its bytes in hexadecimal; ``size`` in bytes; ``width`` and ``height`` in pixels, 0 where
    unknown; ``alt``: its description in words; ``spoiler``: shown only to who asks for it.
    """

    digest: str
    path: Path
    mime: str
    name: str
    size: int
    alt: str = ""
    spoiler: bool = False
    width: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True)
class View:
    """What a message must show, in the reader's words already, in no platform's dialect yet.

    ``body``: in the bot's own words each command that they name is a ``Text`` of its own.
    ``author``: the line that leads a person's words, e.g. ``Anna (@anna · Telegram)``; empty for the bot's own.
    ``footer``: the line under it, e.g. ``3 votes · +1 not a member``; empty when there is nothing to say.
    ``text_command``: shown instead of buttons where there are none, e.g. ``/link yes``.
    ``link``: where the whole can be read; the last rung of the ladder and the title's link.
    ``files``: shown with the words, at most ``Capabilities.files_per_message`` of them.
    ``as_author``: where the platform can, a new message speaks in ``author``'s name instead of the bot's.
    ``portrait``: the account of this very platform whose picture such a message may show.
    ``parent``: the first words of what is answered, for a message that the platform lets be no reply.
    ``about``: the label of a button by which anybody may ask about this message. Only where an adapter has use for one;
    it comes back as ``ABOUT``, and as the sign by which the message can be found again (``Adapter.find_sent``).
    """

    voice: Voice
    body: Body
    author: str = ""
    footer: str = ""
    buttons: tuple[Button, ...] = ()
    text_command: str = ""
    link: str = ""
    language: Language = _ENGLISH
    silent: bool = True
    files: tuple[File, ...] = ()
    as_author: bool = False
    portrait: AccountRef | None = None
    parent: tuple[Block, ...] = ()
    about: str = ""


@dataclass(frozen=True, slots=True)
class Create:
    """Show ``view`` as a new message of ``chat``.

    ``follows``: the part before this one, in whose thread it belongs where each thing has a thread of its own.
    ``keyed``: a repeat is to be known again by its key. Where its place knows none, the adapter says so before it asks
    for anything (``RetryLater.keyless``).
    """

    key: str
    chat: ChatRef
    view: View
    form: Form = Form.FULL
    reply_to: MessageRef | None = None
    pin: bool = False
    follows: MessageRef | None = None
    keyed: bool = True


@dataclass(frozen=True, slots=True)
class Edit:
    """Make our own ``message`` show ``view``."""

    key: str
    message: MessageRef
    view: View
    form: Form = Form.FULL
    reply_to: MessageRef | None = None


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Take ``message`` away: our own, or somebody else's where our rights allow.

    ``pinned``: it was pinned, which must end with it; an adapter unpins it first where taking it away does not.
    """

    key: str
    message: MessageRef
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class Tell:
    """Answer one person. Only that person sees it where the platform can do that.

    ``handle``: what the adapter put into the event (an interaction's token, a callback query's id), or empty.
    ``to``: the account answered; ``reply_to``: the message answered.
    """

    key: str
    chat: ChatRef
    to: AccountRef
    view: View
    handle: str = ""
    reply_to: MessageRef | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """Put our one reaction on a message (``on``) or take it back. Never counted as a vote."""

    key: str
    message: MessageRef
    emoji: str
    on: bool = True


Intent = Create | Edit | Withdraw | Tell | Mark


@dataclass(frozen=True, slots=True)
class Quota:
    """What a platform says of the window that a send into a chat counted in.

    ``remaining`` of ``limit`` sends are left until it begins anew in ``reset`` seconds.
    """

    limit: int
    remaining: int
    reset: float


@dataclass(frozen=True, slots=True)
class Receipt:
    """A platform did what was asked.

    ``message``: what stands there now, where there is something to name (nothing for an ephemeral answer, a toast, a
    withdrawal).
    ``not_as_author``: it was asked for and could not be, which will not change by itself.
    ``quota``: what the platform told of the chat's window.
    """

    message: MessageRef | None = None
    not_as_author: NotAsAuthor | None = None
    quota: Quota | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """At most ``count`` sends in any ``period``, as a strict sliding window."""

    count: int
    period: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a platform can do, as data.

    ``max_text`` in the unit that ``length_unit`` names (``utf16`` or ``codepoint`` or ``byte``).
    ``key_life``: how long the platform de-duplicates our keys; ``None`` means that it never does.
    ``tally_every``: the shortest time between two edits that only move a tally.
    ``files_per_message``: 0 where no file can be shown; ``max_file``: the bytes of the largest one.
    ``replaces_files``: whether an edit may bring other files than the message has; else such a part is sent anew, and
    the files of an edit are those that stand there, perhaps with other descriptions.
    ``tells_deletions``: whether it tells that somebody took a message away; where not, a command must say it.
    ``as_author``: the right that the bot needs to show people's words in their name, as the platform names it in
    ``Place.lacks``; ``None`` where it never can.
    ``mentions``: a mention of one of its accounts shows that account there, and calls nobody.
    ``hears``: the right that the bot needs to hear ordinary talk, as the platform names it in ``Place.lacks``; ``None``
    where it hears it with no more than being there.
    ``find_after``: how long a call whose answer was lost may still be under way, after which ``find_sent`` can tell
    what became of it: longer than the adapter waits for any answer. ``None`` where the platform lets nobody look.
    ``door``: the address that opens the private chat with the bot and hands over a start payload, with which it ends;
    empty while it is not known. ``None``: there is no such thing.
    ``deaf_after``: so long without ``Gate.alive`` the connection counts as deaf; ``None``: it cannot be.
    ``part``: what this process listens to where others listen to the rest, as people may read it; empty: everything.
    ``in_vain``: how many calls of late were answered in a way that brings the bot nearer to being shut out by its
    platform; ``None`` where it does not count them.
    ``measure``: how much of one message a view takes in a form, and how much there is, as the adapter counts it with
    all that it adds; without it, the bare words against ``max_text``. Pure, and exact enough that what it says to fit
    is not refused as too long.
    ``token_windows`` bind all sends of the bot, ``chat_windows`` those of one chat. First guesses: an
    answer of the platform (``RetryLater``) always wins.
    """

    label: str
    max_text: int
    length_unit: str
    edits: bool = True
    reactions: bool = True
    buttons: bool = True
    ephemeral: bool = False
    silent: bool = True
    pins: bool = True
    tells_deletions: bool = True
    command_prefix: str = "/"
    key_life: timedelta | None = None
    tally_every: timedelta = timedelta(seconds=5)
    files_per_message: int = 0
    max_file: int = 0
    replaces_files: bool = False
    as_author: str | None = None
    mentions: bool = False
    hears: str | None = None
    find_after: timedelta | None = None
    part: str = ""
    in_vain: Callable[[], int] | None = None
    measure: Callable[[View, Form], tuple[int, int]] | None = None
    door: Callable[[str], str] | None = None
    deaf_after: timedelta | None = timedelta(seconds=90)
    token_windows: tuple[Window, ...] = ()
    chat_windows: tuple[Window, ...] = ()
    vote_emoji: tuple[str, ...] = field(default=("👍", "❤"))

    @property
    def longest_window(self) -> timedelta:
        """What was sent before that binds nobody, as far as is guessed."""
        return max((w.period for w in self.token_windows + self.chat_windows), default=timedelta(0))
