"""What can go wrong, in one file; and messages to people as ids with typed arguments.

Every failure has two texts: ``Message`` for the person (its words live in the catalogues) and ``str(error)``
for the log. Neither ever contains a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Secret:
    """A one-time code in a message: only its nonce is stored, the code is made again when it is shown.

    ``behind``: the address that the code stands at the end of, or empty.
    """

    nonce: str
    behind: str = ""


@dataclass(frozen=True, slots=True)
class Glimpse:
    """The first words of a post in a message: put in when it is shown, as its readers' platform may see them.

    ``post`` is its id, ``length`` in graphemes.
    """

    post: int
    length: int


@dataclass(frozen=True, slots=True)
class Message:
    """A sentence to a person: an id of the catalogue and its arguments.

    An argument named ``n`` chooses the plural form. Values: ``str`` is shown as it is, ``int`` in the
    reader's digits, an aware ``datetime`` in the reader's zone, a ``Message`` in the same language;
    a ``Secret`` or ``Glimpse`` must have been opened before.
    """

    id: str
    args: Mapping[str, str | int | datetime | Message | Secret | Glimpse] = field(default_factory=dict)


def message(id_: str, **args: str | int | datetime | Message | Secret | Glimpse) -> Message:
    """Short form of ``Message(id_, args)``."""
    return Message(id_, args)


#: What an argument of a message may be.
Argument = str | int | datetime | Message | Secret | Glimpse


class StormoError(Exception):
    """Root of everything that Stormo raises on purpose."""


class Refusal(StormoError):
    """The wish of a person cannot be fulfilled. Safe to show; the transaction keeps only the answer.

    ``Refusal("post.too_long", limit=4096)``
    """

    def __init__(self, id_: str, **args: str | int | datetime | Message | Secret | Glimpse) -> None:
        self.message = Message(id_, args)
        super().__init__(id_)


class Ignored(StormoError):
    """The event does not concern Stormo: nothing of it is stored, not even that it came."""


class WrongCode(Refusal):
    """A one-time code that is wrong, old or used: counted against the account that tried it."""


class RetryLater(StormoError):
    """A platform did not do what was asked, and may do it later.

    ``after``: how long the platform asks to wait; ``None`` lets the courier choose a growing delay.
    ``unknown``: whether the act may have taken effect all the same (an answer was lost).
    ``whole_token``: whether the wait binds the bot's every chat and not only this one.
    ``too_many``: whether the platform counted one send too many (a 429), so that our own count was too generous.
    ``keyless``: nothing was asked, as no key of ours is known again in that place: what is lost there is looked for.
    """

    def __init__(
        self,
        reason: str,
        *,
        after: timedelta | None = None,
        unknown: bool = False,
        whole_token: bool = False,
        too_many: bool = False,
        keyless: bool = False,
    ) -> None:
        self.after = after
        self.unknown = unknown
        self.whole_token = whole_token
        self.too_many = too_many
        self.keyless = keyless
        super().__init__(reason)


class LeaseLost(StormoError):
    """Another process may speak with this platform's token by now: nothing more is done in our name."""

    def __init__(self, platform: str) -> None:
        super().__init__(f"another process may own {platform}")


class Deaf(StormoError):
    """A connection that looks alive brings nothing of what the platform has: it must be opened anew."""


class RejectedWhy(StrEnum):
    """What a refusal for good means."""

    #: The message is no longer there: somebody removed it, and that is final.
    GONE = "gone"
    #: The platform does not take this form (too long, bad entities): one step down the ladder may work.
    FORM = "form"
    #: The platform does not take a file of it: the words alone may pass.
    FILE = "file"
    #: The bot may not do this here (any more).
    FORBIDDEN = "forbidden"
    #: What it was to stand behind takes nothing more; the chat itself is open.
    CLOSED = "closed"
    #: The chat does not exist (any more), or the bot was put out of it.
    CHAT_GONE = "chat_gone"
    #: The message stands there, and nobody can change it any more: other words need another message.
    FROZEN = "frozen"
    #: The platform says that it shows exactly this already.
    UNCHANGED = "unchanged"
    #: The door to this person is shut: no private chat, an interaction that grew too old.
    UNREACHABLE = "unreachable"
    #: It was tried for too long. Said by us, never by a platform.
    LATE = "late"


class Rejected(StormoError):
    """A platform refused for good. ``why`` says what follows from it."""

    def __init__(self, reason: str, *, why: RejectedWhy) -> None:
        self.why = why
        super().__init__(reason)


class FileWhy(StrEnum):
    """Why a file cannot be had."""

    #: Larger than the instance keeps.
    SIZE = "size"
    #: Of a kind that the instance does not keep.
    TYPE = "type"
    #: No longer where it was.
    GONE = "gone"
    #: At an address inside this machine's own network.
    ADDRESS = "address"
    #: Where it lies did not answer, or not in a way that makes sense, however often it was asked.
    UNREACHABLE = "unreachable"
    #: Empty, or not what it says.
    DAMAGED = "damaged"
    #: The instance's store is full.
    QUOTA = "quota"


class FileRefused(StormoError):
    """A file cannot be had, for good."""

    def __init__(self, why: FileWhy, reason: str = "") -> None:
        self.why = why
        super().__init__(f"{why}: {reason}" if reason else why.value)


class ConfigError(StormoError):
    """Config that cannot work. ``faults`` has all of them at once, each with key, reason and example."""

    def __init__(self, faults: tuple[Message, ...]) -> None:
        self.faults = faults
        super().__init__(f"{len(faults)} faults in the configuration")


class BadToken(StormoError):
    """A platform does not know the token in the config: trying again cannot help before somebody changes it.

    ``label``: the platform's name as people know it, e.g. ``Telegram``.
    """

    def __init__(self, label: str) -> None:
        where = Message(f"platform.where.{label.lower()}")
        self.message = Message("platform.bad_token", {"platform": label, "where": where})
        super().__init__(f"{label} refuses the bot token")
