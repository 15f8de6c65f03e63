"""Our Bot API double: an HTTP server that behaves as the Bot API documents, for tests. It is not Telegram."""

from .double import Call, TelegramDouble
from .faults import Fault, FaultKind
from .limits import Limits
from .model import Chat
from .people import Button, CallbackAnswer, Person, Shown

__all__ = [
    "Button",
    "Call",
    "CallbackAnswer",
    "Chat",
    "Fault",
    "FaultKind",
    "Limits",
    "Person",
    "Shown",
    "TelegramDouble",
]
