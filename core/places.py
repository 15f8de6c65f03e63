"""A chat that the bot lost, may not write in, or found again: the one place where that changes."""

from __future__ import annotations

from core.events import Loss
from core.records import Chat, ChatState
from core.stores.unit import Unit


def lose(unit: Unit, chat: Chat, why: Loss, words: str = "") -> None:
    """From now on nothing is sent there. ``words``: what the platform said to it, for the operator."""
    state = ChatState.GONE if why.gone else ChatState.MUTED
    if (chat.state, loss_of(chat)) == (state, why):
        return
    unit.communities.set_state(chat.id, state, f"{why}: {words}"[:200] if words else why.value, unit.now)


def find(unit: Unit, chat: Chat) -> None:
    """The bot may write there (again): what waited goes out."""
    if chat.state is ChatState.ACTIVE:
        return
    unit.communities.set_state(chat.id, ChatState.ACTIVE, "", unit.now)
    unit.woken.add(chat.id)


def loss_of(chat: Chat) -> Loss | None:
    """Why nothing is sent there, ``None`` while there is no such reason."""
    if chat.state is ChatState.ACTIVE:
        return None
    code = chat.reason.partition(":")[0]
    known = code in Loss.__members__.values()
    return Loss(code) if known else Loss.MUTED if chat.state is ChatState.MUTED else Loss.REMOVED
