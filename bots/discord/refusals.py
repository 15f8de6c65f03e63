"""What Discord's refusals mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bots.discord.rest import Refused
from core.errors import Rejected, RejectedWhy, RetryLater

UNKNOWN_CHANNEL: Final = 10003
UNKNOWN_MESSAGE: Final = 10008
INVALID_FORM: Final = 50035
MISSING_ACCESS: Final = 50001
MISSING_PERMISSIONS: Final = 50013
#: A kind of channel in which no messages stand.
NOT_FOR_MESSAGES: Final = 50008
ARCHIVED: Final = 50083
LOCKED: Final = 160005

_WHY: Final[Mapping[int, RejectedWhy]] = {
    10003: RejectedWhy.CHAT_GONE,  # unknown channel
    10004: RejectedWhy.CHAT_GONE,  # unknown guild
    10008: RejectedWhy.GONE,  # unknown message
    10014: RejectedWhy.FORM,  # unknown emoji
    10015: RejectedWhy.UNREACHABLE,  # unknown webhook: an interaction's token that ended
    10062: RejectedWhy.UNREACHABLE,  # unknown interaction
    30010: RejectedWhy.FORBIDDEN,  # 20 distinct reactions stand there already
    40067: RejectedWhy.FORBIDDEN,  # a forum's posts need a tag
    50001: RejectedWhy.FORBIDDEN,  # missing access
    50005: RejectedWhy.FORBIDDEN,  # somebody else's message
    50006: RejectedWhy.FORM,  # empty message
    50007: RejectedWhy.UNREACHABLE,  # takes no direct messages
    50008: RejectedWhy.FORBIDDEN,  # a kind of channel without messages
    50013: RejectedWhy.FORBIDDEN,  # missing permissions
    50024: RejectedWhy.FORBIDDEN,  # not in this kind of channel
    50027: RejectedWhy.UNREACHABLE,  # an interaction's token that ended
    50035: RejectedWhy.FORM,  # invalid form body
    50083: RejectedWhy.FORBIDDEN,  # archived thread
    90001: RejectedWhy.FORBIDDEN,  # reactions blocked
    160005: RejectedWhy.FORBIDDEN,  # locked thread
    200000: RejectedWhy.FORM,  # stopped by the guild's word filter
    200001: RejectedWhy.FORM,  # the same, for a title
    240000: RejectedWhy.FORM,  # stopped by the filter of links
}
#: Limits that end by themselves: threads that are open at a time, edits of what is older than an hour, slow mode.
_LATER: Final = frozenset({20016, 30046, 160006, 160007})
_BY_STATUS: Final[Mapping[int, RejectedWhy]] = {
    400: RejectedWhy.FORM,
    404: RejectedWhy.GONE,
    413: RejectedWhy.FORM,
}
#: A request, or a file for this guild.
_TOO_LARGE: Final = frozenset({40005, 50045})


def rejected(refused: Refused, *, embeds: bool = False, files: bool = False, post: bool = False) -> Rejected:
    """What a refusal means. ``post``: it speaks of a post of a forum, which is a channel that may go by itself.

    Without the right to embed links, or to attach files, Discord refuses those as it refuses all writing: plain
    content, then words alone, each one step down the ladder, tell them apart. Raises ``RetryLater`` for a limit that
    ends.
    """
    if refused.code in _LATER:
        raise RetryLater(str(refused))
    if post and refused.code == UNKNOWN_CHANNEL:
        return Rejected(str(refused), why=RejectedWhy.GONE)
    why = _WHY.get(refused.code) or _BY_STATUS.get(refused.status, RejectedWhy.FORBIDDEN)
    if refused.code == MISSING_PERMISSIONS and (embeds or files):
        why = RejectedWhy.FORM if embeds else RejectedWhy.FILE
    elif files and refused.code in _TOO_LARGE:
        why = RejectedWhy.FILE
    return Rejected(str(refused), why=why)
