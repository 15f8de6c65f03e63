"""What the bot knows of a room, folded from its state events. Pure.

``members`` is ``None`` until the members were read; a member event of the timeline then keeps them true.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bots.matrix.html import PLATFORM
from core.events import Actor, Loss, Place, Rights
from core.types import AccountRef, ChatRef

#: State that the bot asks the server for.
STATE_TYPES = (
    "m.room.create",
    "m.room.power_levels",
    "m.room.name",
    "m.room.canonical_alias",
    "m.room.encryption",
    "m.room.join_rules",
    "m.room.history_visibility",
    "m.room.tombstone",
    "m.room.member",
)

#: Marks what a Stormo wrote: two of them in the same rooms must not pass each other's copies on for ever.
OURS = "org.stormo.copy"

_INFINITE = 2**63
#: Room version whose creators stand above the power levels.
_CREATORS_REIGN = 12
_NAME_MAX = 100
_UNSEEN = re.compile(r"[\x00-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]+")


def mapping(value: object) -> Mapping[str, Any]:
    """``value`` where it is a JSON object, else an empty one: events are written by anybody."""
    return value if isinstance(value, dict) else {}


def words(value: object) -> str:
    """``value`` where it is a string, with what UTF-8 or a database cannot hold replaced."""
    return value.encode("utf-8", "replace").decode().replace("\0", "\ufffd") if isinstance(value, str) else ""


def one_line(value: object) -> str:
    """A name as people may see it: one line, no direction marks, at most 100 characters."""
    name = _UNSEEN.sub(" ", value) if isinstance(value, str) else ""
    return " ".join(words(name).split())[:_NAME_MAX]


def localpart(user: str) -> str:
    """``anna`` of ``@anna:example.org``."""
    return user.removeprefix("@").split(":", 1)[0]


def server_of(user: str) -> str:
    """``example.org`` of ``@anna:example.org``; empty where there is none."""
    return user.split(":", 1)[1] if ":" in user else ""


@dataclass(slots=True)
class Room:
    """One joined room. ``direct``: it was opened as a private chat with the bot."""

    id: str
    state: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    creator: str = ""
    tombstone_event: str = ""
    members: dict[str, str] | None = None
    names: dict[str, str] = field(default_factory=dict)
    direct: bool = False
    #: What ``loss`` said when the core was told last.
    lost: Loss | None = None

    @property
    def chat(self) -> ChatRef:
        return ChatRef(PLATFORM, self.id)

    def apply(self, event: Mapping[str, Any]) -> None:
        """Take one state event in; anything malformed or unknown changes nothing."""
        kind, key, content = event.get("type"), event.get("state_key"), mapping(event.get("content"))
        if kind == "m.room.member" and isinstance(key, str):
            self._member(key, content)
        elif kind in STATE_TYPES and key == "":
            self.state[str(kind)] = content
            if kind == "m.room.create":
                self.creator = words(event.get("sender"))
            elif kind == "m.room.tombstone":
                self.tombstone_event = words(event.get("event_id"))

    def _member(self, user: str, content: Mapping[str, Any]) -> None:
        name = one_line(content.get("displayname"))
        if content.get("membership") != "join":
            self.names.pop(user, None)
            if self.members is not None:
                self.members.pop(user, None)
            return
        self.names[user] = name
        if self.members is not None:
            self.members[user] = name

    def _of(self, kind: str) -> Mapping[str, Any]:
        return self.state.get(kind, {})

    @property
    def encrypted(self) -> bool:
        return "m.room.encryption" in self.state

    @property
    def replacement(self) -> str:
        """The room that this one was upgraded to, or an empty string."""
        return words(self._of("m.room.tombstone").get("replacement_room"))

    @property
    def predecessor(self) -> str:
        """The room that this one says it replaces: believed only when that room's tombstone agrees."""
        return words(mapping(self._of("m.room.create").get("predecessor")).get("room_id"))

    def name_of(self, user: str) -> str:
        """The display name of a member, else the local part of the user id."""
        return self.names.get(user) or (self.members or {}).get(user) or one_line(localpart(user))

    def place(self, me: str) -> Place:
        """The room as the core sees it; ``me`` is the bot's user id."""
        name = one_line(self._of("m.room.name").get("name"))
        alias = one_line(self._of("m.room.canonical_alias").get("alias"))
        others = [user for user in self.members or {} if user != me]
        title = name or alias or (self.name_of(others[0]) if len(others) == 1 else "") or self.id
        return Place(
            chat=self.chat,
            title=title,
            private=self._between_two(others) and (self.direct or not (name or alias)),
            closed=self.encrypted,
        )

    def _between_two(self, others: list[str]) -> bool:
        if self.members is None or len(others) > 1:
            return False
        entry = self._of("m.room.join_rules").get("join_rule")
        return entry != "public" and self._of("m.room.history_visibility").get("history_visibility") != (
            "world_readable"
        )

    def actor(self, user: str) -> Actor:
        """A member as an actor, with the rights that the room's power levels give now."""
        return Actor(
            account=AccountRef(PLATFORM, user),
            name=self.name_of(user),
            username=localpart(user),
            rights=self.rights(user),
        )

    def loss(self, me: str) -> Loss | None:
        """Why the bot may not write here, as far as the room's state says."""
        if self.encrypted:
            return Loss.ENCRYPTED
        levels = self._of("m.room.power_levels")
        needed = mapping(levels.get("events")).get("m.room.message", levels.get("events_default"))
        return Loss.MUTED if self.level(me) < _int(needed, 0) else None

    def rights(self, user: str) -> Rights:
        """Admin from the level that may change the room's state, moderator from the one that may redact."""
        levels, level = self._of("m.room.power_levels"), self.level(user)
        ordinary = _int(levels.get("users_default"), 0)
        admin = level > ordinary and level >= _int(levels.get("state_default"), 50)
        redact = level > ordinary and level >= _int(levels.get("redact"), 50)
        return Rights(admin=admin, moderator=admin or redact)

    def level(self, user: str) -> int:
        """The power level of a user. From room version 12 on its creators stand above all levels."""
        version = _int(self._of("m.room.create").get("room_version"), 1)
        if version >= _CREATORS_REIGN and user in self._creators():
            return _INFINITE
        if "m.room.power_levels" not in self.state:
            return 100 if user and user == self.creator else 0
        levels = self._of("m.room.power_levels")
        return _int(mapping(levels.get("users")).get(user), _int(levels.get("users_default"), 0))

    def _creators(self) -> set[str]:
        more = self._of("m.room.create").get("additional_creators")
        return {self.creator} | {words(user) for user in (more if isinstance(more, list) else ())}


def _int(value: object, default: int) -> int:
    """A level: old rooms may write it as text; anything else is the default."""
    if isinstance(value, bool):
        return default
    if isinstance(value, int):
        return value
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?[0-9]{1,18}\s*", value, re.ASCII):
        return int(value)
    return default
