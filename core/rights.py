"""Who may use a command: the one place where rights are checked, for buttons and suggestions too."""

from __future__ import annotations

from core.commands import Who
from core.events import Rights


def refusal(who: Who, rights: Rights, *, member: bool, operator: bool, private: bool) -> str:
    """The id of the message that says who may, or an empty string for who does.

    ``member``, ``operator``: what the asker is; ``private``: asked in a private chat, which has no admins.
    """
    if who is Who.ANYONE or operator or (who is Who.MEMBER and member):
        return ""
    if who is Who.MEMBER:
        return "member.needed"
    if who is Who.OPERATOR:
        return "right.operator"
    if private:
        return "room.needed"
    if who is Who.ADMIN:
        return "" if rights.admin else "right.admin"
    return "" if rights.admin or rights.moderator else "right.moderator"
