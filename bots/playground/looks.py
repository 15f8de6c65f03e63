"""The platforms that the playground looks like, with what each of them can do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

from core.canonical import Dialect
from core.intents import Capabilities, Form, View
from core.text import plain
from core.types import Platform

LookName = Literal["discord", "telegram", "matrix"]

#: The languages of the page and of who is played in it.
LANGUAGES: Final = ("en", "it")
#: A tally moves while one watches, unlike on the real platforms.
_TALLY: Final = timedelta(seconds=1)
#: Code points of Discord's plain content; a person's post is an embed, which takes more.
DISCORD_CONTENT: Final = 2000
#: Bytes of the largest file that a playground room shows.
_MAX_FILE: Final = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One platform's manners. ``max_typed``: the longest message of a person, in code points.

    ``slash``: commands are no messages and their answers are only for who asked (Discord).
    ``locale``: the platform says which language a person reads. ``bot``: what our bot is called there.
    """

    name: LookName
    capabilities: Capabilities
    bot: str
    dialect: Dialect
    max_typed: int
    slash: bool = False
    locale: bool = True

    @property
    def platform(self) -> Platform:
        return Platform(f"playground-{self.name}")


_DISCORD_EMBED: Final = 4096


def _as_discord(view: View, form: Form) -> tuple[int, int]:
    """Code points that a view takes, and how many there are: fewer without the frame."""
    whole = "\n".join(filter(None, (view.author, plain(view.body), view.text_command, view.footer)))
    return len(whole), DISCORD_CONTENT if form.said is Form.PLAIN else _DISCORD_EMBED


DISCORD: Final = Look(
    name="discord",
    capabilities=Capabilities(
        label="Discord",
        max_text=_DISCORD_EMBED,
        length_unit="codepoint",
        measure=_as_discord,
        ephemeral=True,
        key_life=timedelta(minutes=2),
        tally_every=_TALLY,
        files_per_message=4,
        max_file=_MAX_FILE,
        deaf_after=None,
    ),
    bot="Stormo",
    dialect="discord",
    max_typed=6000,
    slash=True,
)

TELEGRAM: Final = Look(
    name="telegram",
    capabilities=Capabilities(
        label="Telegram",
        max_text=4096,
        length_unit="utf16",
        key_life=None,
        tally_every=_TALLY,
        files_per_message=4,
        max_file=_MAX_FILE,
        deaf_after=None,
    ),
    bot="stormo_bot",
    dialect="commonmark",
    max_typed=4096,
)

MATRIX: Final = Look(
    name="matrix",
    capabilities=Capabilities(
        label="Matrix",
        max_text=30_000,
        length_unit="byte",
        buttons=False,
        command_prefix="!",
        key_life=timedelta(hours=24),
        tally_every=_TALLY,
        files_per_message=4,
        max_file=_MAX_FILE,
        deaf_after=None,
    ),
    bot="stormo",
    dialect="commonmark",
    max_typed=6000,
    locale=False,
)

LOOKS: Final[tuple[Look, ...]] = (DISCORD, TELEGRAM, MATRIX)


def look_of(platform: Platform) -> Look:
    """The look with this platform name. Raises ``KeyError``."""
    for look in LOOKS:
        if look.platform == platform:
            return look
    raise KeyError(platform)
