"""Who asks before a command is given, where, and whether they may: for suggestions and forms alike."""

from __future__ import annotations

from dataclasses import dataclass

from core.commands import CommandSpec, spec_of
from core.records import Chat, Member
from core.rights import refusal
from core.scene import Rules
from core.stores.unit import Unit
from core.suggestions import Asked


@dataclass(frozen=True, slots=True)
class Asker:
    """Somebody who may use ``spec`` there. ``None``: a chat or member that is not known."""

    spec: CommandSpec
    chat: Chat | None
    member: Member | None


def asker(unit: Unit, rules: Rules, asked: Asked) -> Asker | None:
    """``None`` for an unknown command and for who may not use it. Writes nothing down."""
    spec = spec_of(asked.command)
    if spec is None:
        return None
    account = unit.people.account(asked.actor.account)
    member = unit.people.member(account.member_id) if account and account.member_id else None
    chat = unit.communities.chat(asked.chat)
    refused = refusal(
        spec.who,
        asked.actor.rights,
        member=member is not None,
        operator=asked.actor.account in rules.operators,
        private=chat is not None and chat.private,
    )
    return None if refused else Asker(spec, chat, member)
