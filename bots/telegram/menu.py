"""The menu of commands that Telegram shows behind ``/``, derived from the one tuple of commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from telegram import (
    Bot,
    BotCommand,
    BotCommandScope,
    BotCommandScopeAllChatAdministrators,
    BotCommandScopeAllGroupChats,
    BotCommandScopeAllPrivateChats,
)

from bots.telegram.writing import cut
from core.commands import COMMANDS, CommandSpec, Who
from core.errors import Message
from core.ports import Words

_EVERYBODY: Final = frozenset({Who.ANYONE, Who.MEMBER})
_ADMINS: Final = _EVERYBODY | {Who.ADMIN, Who.MODERATOR}
_MAX_DESCRIPTION: Final = 256

#: The language of each menu; Telegram shows the first to whoever speaks none of the others.
_LANGUAGES: Final = (("en", ""), ("it", "it"))

_SCOPES: Final[tuple[tuple[BotCommandScope, frozenset[Who]], ...]] = (
    (BotCommandScopeAllPrivateChats(), _EVERYBODY),
    (BotCommandScopeAllGroupChats(), _EVERYBODY),
    (BotCommandScopeAllChatAdministrators(), _ADMINS),
)


def entries(
    words: Words, language: str, who: frozenset[Who], commands: Sequence[CommandSpec] = COMMANDS
) -> tuple[BotCommand, ...]:
    """The menu for these people in this language."""
    return tuple(
        BotCommand(spec.name, cut(words(Message(f"command.{spec.name}"), language), _MAX_DESCRIPTION))
        for spec in commands
        if spec.who in who
    )


async def publish(bot: Bot, words: Words) -> None:
    """Set each menu that has changed. Raises what the library raises."""
    for scope, who in _SCOPES:
        for language, code in _LANGUAGES:
            wanted = entries(words, language, who)
            if tuple(await bot.get_my_commands(scope=scope, language_code=code or None)) != wanted:
                await bot.set_my_commands(wanted, scope=scope, language_code=code or None)
