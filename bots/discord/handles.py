"""How an interaction is answered later, also by another process: what Discord wants to know, as one word."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from bots.discord.convert import Malformed, Payload, moment, snowflake, text_field

_COMPONENT = 3
_KINDS = {False: "interaction", True: "button"}


@dataclass(frozen=True, slots=True)
class Handle:
    """How one interaction is answered. ``token`` is a secret that lives for 15 minutes.

    ``pressed``: acknowledged without a "thinking" line, so that each answer is a message of its own.
    """

    application: str
    token: str
    created: datetime
    pressed: bool

    def __repr__(self) -> str:
        return f"Handle({self.application}, created={self.created.isoformat()})"


def handle_of(data: Payload) -> str:
    """``interaction:<application>:<token>:<created, unix ms>``: all that another process needs to answer."""
    token = text_field(data, "token")
    if not token:
        raise Malformed("token")
    created = moment(snowflake(data["id"])).timestamp() * 1000
    kind = _KINDS[data["type"] == _COMPONENT]
    return f"{kind}:{snowflake(data['application_id'])}:{token}:{created:.0f}"


def read_handle(text: str) -> Handle | None:
    """The parts of a handle made by ``handle_of``, or nothing."""
    kind, _, rest = text.partition(":")
    application, _, rest = rest.partition(":")
    token, _, created = rest.rpartition(":")
    if kind not in _KINDS.values() or not token or not application.isdigit() or not created.isdigit():
        return None
    at = datetime.fromtimestamp(int(created) / 1000, UTC)
    return Handle(application, token, at, kind == _KINDS[True])
