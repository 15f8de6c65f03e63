"""What somebody is typing, and what may stand there or in a form for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.body import Body
from core.events import Actor
from core.types import ChatRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """``typed``: what stands in the argument ``arg`` of ``command`` (with its verb: ``mirror add``) so far."""

    actor: Actor
    chat: ChatRef
    command: str
    arg: str
    typed: str


@dataclass(frozen=True, slots=True)
class Suggestion:
    """``value`` is what the command takes, ``label`` what a person reads."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class Draft:
    """What a form begins with: arguments that are settled, and the words that stand there now."""

    values: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None
