"""Reactions put into core events: heard, cleared, and found again. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from bots.discord.convert import (
    Malformed,
    Payload,
    Person,
    actor,
    lenient,
    message_at,
    person,
    snowflake,
    text_field,
)
from core.events import ReactionChanged, ReactorsFound
from core.types import MessageRef


def emoji_name(data: object) -> str:
    """The emoji itself, or ``name:id`` of a custom one, as Discord's addresses write it."""
    if not isinstance(data, Mapping):
        raise Malformed("emoji")
    name = text_field(data, "name")
    id_ = data.get("id")
    if id_ is None and not name:
        raise Malformed("emoji")
    return name if id_ is None else f"{name}:{snowflake(id_)}"


@lenient
def changed(
    data: Payload, *, me: str, added: bool, known: Mapping[str, Person], forum: str = ""
) -> ReactionChanged | None:
    """MESSAGE_REACTION_ADD or _REMOVE. Our own give nothing. They carry neither id nor time: set-state.

    A removal names its owner only by id; ``known`` has names seen before.
    """
    user = snowflake(data["user_id"])
    if user == me:
        return None
    member = data.get("member")
    named = isinstance(member, Mapping) and isinstance(member.get("user"), Mapping)
    who = person(member["user"], member) if named and member is not None else known.get(user, Person())
    emoji = (emoji_name(data["emoji"]),)
    return ReactionChanged(
        key=None,
        message=message_at(data["channel_id"], data["message_id"], forum),
        actor=actor(user, who),
        added=emoji if added else (),
        removed=() if added else emoji,
    )


@lenient
def cleared(data: Payload, *, forum: str = "") -> ReactorsFound | None:
    """MESSAGE_REACTION_REMOVE_ALL or _REMOVE_EMOJI: a moderator took everybody's away, nobody stands there now."""
    return ReactorsFound(
        key=None,
        message=message_at(data["channel_id"], data["message_id"], forum),
        accounts=(),
        began=None,
        emoji=emoji_name(data["emoji"]) if "emoji" in data else "",
    )


def found(
    message: MessageRef, reactors: Mapping[str, Iterable[Payload]], *, me: str
) -> tuple[ReactionChanged, ...]:
    """What stands on a message at reconciliation: each person's whole set, from the users of each emoji."""
    people: dict[str, Person] = {}
    emoji: dict[str, list[str]] = {}
    for name, users in reactors.items():
        for user in users:
            id_ = _user_id(user)
            if id_ is None or id_ == me:
                continue
            people[id_] = _named(user) or Person()
            if name not in emoji.setdefault(id_, []):
                emoji[id_].append(name)
    return tuple(
        ReactionChanged(
            key=None,
            message=message,
            actor=actor(id_, people[id_]),
            added=tuple(names),
            whole=True,
            found=True,
        )
        for id_, names in emoji.items()
    )


_VARIATIONS = re.compile("[\ufe0e\ufe0f\U0001f3fb-\U0001f3ff]")
_NORMAL, _BURST = 0, 1


def bare_emoji(name: str) -> str:
    """Without variation selector and skin tone, by which no vote differs from another."""
    return _VARIATIONS.sub("", name)


def under(data: Payload) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """The emoji under a message and the kinds (normal, burst) of reaction that Discord lists apart."""
    return _under(data) or ()


@lenient
def _under(data: Payload) -> tuple[tuple[str, tuple[int, ...]], ...]:
    return tuple((emoji_name(one["emoji"]), _kinds(one)) for one in data.get("reactions") or [])


def _kinds(one: Payload) -> tuple[int, ...]:
    details = one.get("count_details")
    burst = isinstance(details, Mapping) and details.get("burst")
    return (_NORMAL, _BURST) if burst else (_NORMAL,)


@lenient
def _user_id(user: Payload) -> str | None:
    return snowflake(user["id"])


@lenient
def _named(user: Payload) -> Person | None:
    return person(user)
