"""What a batch of events will ask for, so that it can be read with one statement a table instead of one an event.

A hint and nothing more: whatever is not named here is read when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from core.events import CommandInvoked, Inbound, ReactionChanged
from core.types import AccountRef, ChatRef, MessageRef


@dataclass(slots=True)
class Ahead:
    """Keys of the inbox, reactions as message and account, commands as room and account."""

    keys: list[str] = field(default_factory=list)
    reactions: list[tuple[MessageRef, AccountRef]] = field(default_factory=list)
    commands: list[tuple[ChatRef, AccountRef]] = field(default_factory=list)


def look_ahead(events: Iterable[Inbound]) -> Ahead:
    """The hot kinds of events; others come too seldom to be worth it."""
    ahead = Ahead()
    for event in events:
        if event.key is not None:
            ahead.keys.append(event.key)
        if isinstance(event, ReactionChanged):
            ahead.reactions.append((event.message, event.actor.account))
        elif isinstance(event, CommandInvoked):
            ahead.commands.append((event.place.chat, event.actor.account))
    return ahead
