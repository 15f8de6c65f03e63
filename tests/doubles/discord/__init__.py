"""Our own double of a chat platform with gateway and REST, driven by the real discord.py."""

from tests.doubles.discord.answers import Answer, BotDidNotAnswer, ClientRefuses
from tests.doubles.discord.double import DiscordDouble, Shown
from tests.doubles.discord.errors import ApiError
from tests.doubles.discord.events import Intent
from tests.doubles.discord.limits import Limits, Rate
from tests.doubles.discord.model import Channel, Guild, Message, Pinged, Role, User, Webhook
from tests.doubles.discord.people import Person
from tests.doubles.discord.permissions import Permission

__all__ = [
    "Answer",
    "ApiError",
    "BotDidNotAnswer",
    "Channel",
    "ClientRefuses",
    "DiscordDouble",
    "Guild",
    "Intent",
    "Limits",
    "Message",
    "Permission",
    "Person",
    "Pinged",
    "Rate",
    "Role",
    "Shown",
    "User",
    "Webhook",
]
