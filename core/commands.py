"""A command is declared once, as a value: name, typed arguments, who may, help, examples, module.

Slash commands, menus, text commands, the help and ``docs/commands.md`` are derived from ``COMMANDS``.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from enum import StrEnum

from core.errors import Refusal
from core.types import quick


@quick
class Who(StrEnum):
    """Who may use a command: a closed set, checked in one place, for buttons too."""

    #: Anyone on the platform who is not hidden behind an anonymous identity.
    ANYONE = "anyone"
    #: A network member.
    MEMBER = "member"
    #: The room's administrators, by that platform's own rights, or a steward of its community.
    ADMIN = "admin"
    #: Those who may remove messages in the room, or a steward of its community.
    MODERATOR = "moderator"
    #: Who runs the instance.
    OPERATOR = "operator"


@quick
class Kind(StrEnum):
    """The type of an argument; each has its own parser, error and autocomplete."""

    #: All that is left of the line.
    TEXT = "text"
    WORD = "word"
    #: ``@handle``, ``#tag``, a community's name, or ``everything``.
    FEED = "feed"
    MEMBER = "member"
    #: ``@handle`` or ``#tag``.
    MEMBER_OR_TAG = "member_or_tag"
    #: The name of a command.
    COMMAND = "command"
    #: A whole number from 1 on.
    NUMBER = "number"
    #: A post's short id or link.
    POST = "post"
    CHOICE = "choice"
    #: Something that comes with the words: no part of a typed line.
    FILE = "file"


#: The kinds that have suggestions (``core.social.suggest``).
SUGGESTED = frozenset({Kind.FEED, Kind.MEMBER, Kind.MEMBER_OR_TAG, Kind.POST, Kind.COMMAND})


@quick
class Among(StrEnum):
    """Which of its kind an argument names, for what is suggested to who types it."""

    ALL = "all"
    #: The asker's own: posts they wrote, feeds they follow.
    MINE = "mine"
    #: This room's: posts that it shows, feeds that it mirrors or blocks.
    HERE = "here"
    #: Posts that we brought into this room.
    COPIES = "copies"


@quick
class Menu(StrEnum):
    """On what a platform with context menus offers a command, by the catalogue entry ``menu.<name>``."""

    NONE = "none"
    MESSAGE = "message"
    MEMBER = "member"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arg:
    """One argument. Its description is the catalogue entry ``command.<name>.arg.<arg>``.

    An optional argument that stands before a ``TEXT`` is written ``name:value`` on text platforms, so that the
    first word of a text is never taken for it.
    """

    name: str
    kind: Kind
    required: bool = True
    choices: tuple[str, ...] = ()
    among: Among = Among.ALL


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSpec:
    """One command. Its one-line help is the catalogue entry ``command.<name>``.

    ``group``: further words (``mirror add``) are declared as ``verbs`` of one command.
    ``short_help``: among the seven lines of ``/help``.
    ``personal``: its answer concerns only the asker and never prints in a group.
    """

    name: str
    who: Who
    args: tuple[Arg, ...] = ()
    verbs: tuple[CommandSpec, ...] = ()
    examples: tuple[str, ...] = ()
    module: str = "feeds"
    short_help: bool = False
    personal: bool = True
    aliases: tuple[str, ...] = ()
    menu: Menu = Menu.NONE
    #: Where among ``args`` the ``TEXT`` is; -1 where there is none.
    text_at: int = field(init=False)

    def __post_init__(self) -> None:
        kinds = [arg.kind for arg in self.args]
        object.__setattr__(self, "text_at", kinds.index(Kind.TEXT) if Kind.TEXT in kinds else -1)


_VISIBILITY = Arg(
    name="visibility", kind=Kind.CHOICE, required=False, choices=("room", "community", "public")
)
_FEED = Arg(name="feed", kind=Kind.FEED)
_FILE = Arg(name="file", kind=Kind.FILE, required=False)
_MY_POST = Arg(name="post", kind=Kind.POST, required=False, among=Among.MINE)
_POST = Arg(name="post", kind=Kind.POST, required=False, among=Among.HERE)

COMMANDS: tuple[CommandSpec, ...] = (
    CommandSpec(
        name="join",
        who=Who.ANYONE,
        args=(Arg(name="handle", kind=Kind.WORD, required=False),),
        examples=("join", "join anna"),
        short_help=True,
    ),
    CommandSpec(
        name="post",
        who=Who.MEMBER,
        args=(_VISIBILITY, Arg(name="text", kind=Kind.TEXT, required=False), _FILE),
        examples=("post Hello, flock!", "post visibility:public Hello, everybody!"),
        menu=Menu.MESSAGE,
        short_help=True,
    ),
    CommandSpec(
        name="follow",
        who=Who.MEMBER,
        args=(_FEED,),
        examples=("follow @anna", "follow #birds"),
        menu=Menu.MEMBER,
        short_help=True,
    ),
    CommandSpec(
        name="unfollow",
        who=Who.MEMBER,
        args=(Arg(name="feed", kind=Kind.FEED, among=Among.MINE),),
        examples=("unfollow @anna",),
    ),
    CommandSpec(name="feed", who=Who.MEMBER, examples=("feed",), short_help=True),
    CommandSpec(
        name="profile",
        who=Who.ANYONE,
        args=(Arg(name="member", kind=Kind.MEMBER, required=False),),
        examples=("profile", "profile @anna"),
        menu=Menu.MEMBER,
    ),
    CommandSpec(
        name="edit",
        who=Who.MEMBER,
        args=(_MY_POST, _VISIBILITY, Arg(name="text", kind=Kind.TEXT)),
        examples=("edit Hello again", "edit visibility:room Hello again"),
    ),
    CommandSpec(
        name="alt",
        who=Who.MEMBER,
        args=(
            _MY_POST,
            Arg(name="picture", kind=Kind.NUMBER, required=False),
            Arg(name="text", kind=Kind.TEXT),
        ),
        examples=("alt Two swifts above a church tower", "alt picture:2 The same tower, empty"),
    ),
    CommandSpec(name="delete", who=Who.MEMBER, args=(_MY_POST,), examples=("delete",)),
    CommandSpec(name="boost", who=Who.MEMBER, args=(_POST,), examples=("boost",), menu=Menu.MESSAGE),
    CommandSpec(name="unboost", who=Who.MEMBER, args=(_POST,), examples=("unboost",)),
    CommandSpec(
        name="quote",
        who=Who.MEMBER,
        args=(_POST, _VISIBILITY, Arg(name="text", kind=Kind.TEXT, required=False), _FILE),
        examples=("quote So true!", "quote visibility:room Look at this"),
        menu=Menu.MESSAGE,
    ),
    CommandSpec(
        name="report",
        who=Who.ANYONE,
        args=(_POST, Arg(name="reason", kind=Kind.TEXT, required=False)),
        examples=("report", "report The same advertisement again"),
        menu=Menu.MESSAGE,
    ),
    CommandSpec(name="status", who=Who.ANYONE, args=(_MY_POST,), examples=("status",)),
    CommandSpec(name="retry", who=Who.ANYONE, args=(_MY_POST,), examples=("retry",)),
    CommandSpec(
        name="link",
        who=Who.ANYONE,
        args=(Arg(name="code", kind=Kind.WORD, required=False),),
        examples=("link", "link ABCDEFGHJKMNP", "link yes"),
        short_help=True,
    ),
    CommandSpec(name="unlink", who=Who.MEMBER, examples=("unlink",)),
    CommandSpec(name="whoami", who=Who.ANYONE, examples=("whoami",), short_help=True),
    CommandSpec(
        name="optout",
        who=Who.ANYONE,
        args=(Arg(name="answer", kind=Kind.CHOICE, required=False, choices=("yes", "undo")),),
        examples=("optout", "optout undo"),
    ),
    CommandSpec(
        name="name",
        who=Who.MEMBER,
        args=(Arg(name="answer", kind=Kind.CHOICE, choices=("show", "hide")),),
        examples=("name show", "name hide"),
    ),
    CommandSpec(
        name="help",
        who=Who.ANYONE,
        args=(Arg(name="command", kind=Kind.COMMAND, required=False),),
        examples=("help", "help post"),
        short_help=True,
    ),
    CommandSpec(
        name="setup",
        who=Who.ADMIN,
        args=(Arg(name="code", kind=Kind.WORD, required=False),),
        examples=("setup", "setup ABCDEFGHJKMNP"),
    ),
    CommandSpec(
        name="leave",
        who=Who.ADMIN,
        args=(Arg(name="copies", kind=Kind.CHOICE, required=False, choices=("keep", "remove")),),
        examples=("leave", "leave remove"),
    ),
    CommandSpec(
        name="mirror",
        who=Who.ADMIN,
        personal=False,
        verbs=(
            CommandSpec(
                name="add", who=Who.ADMIN, args=(_FEED,), examples=("mirror add #birds", "mirror add @anna")
            ),
            CommandSpec(name="list", who=Who.ADMIN, examples=("mirror list",)),
            CommandSpec(
                name="remove",
                who=Who.ADMIN,
                args=(Arg(name="feed", kind=Kind.FEED, among=Among.HERE),),
                examples=("mirror remove #birds",),
            ),
            CommandSpec(
                name="look",
                who=Who.ADMIN,
                args=(Arg(name="name", kind=Kind.CHOICE, required=False, choices=("author", "bot")),),
                examples=("mirror look", "mirror look author", "mirror look bot"),
            ),
            CommandSpec(
                name="block",
                who=Who.ADMIN,
                args=(Arg(name="what", kind=Kind.MEMBER_OR_TAG),),
                examples=("mirror block @spammer", "mirror block #ads"),
            ),
            CommandSpec(
                name="unblock",
                who=Who.ADMIN,
                args=(Arg(name="what", kind=Kind.MEMBER_OR_TAG, among=Among.HERE),),
                examples=("mirror unblock #ads",),
            ),
        ),
    ),
    CommandSpec(
        name="relay",
        who=Who.ADMIN,
        args=(Arg(name="state", kind=Kind.CHOICE, choices=("on", "off")),),
        examples=("relay on", "relay off"),
    ),
    CommandSpec(
        name="doubt",
        who=Who.ADMIN,
        args=(Arg(name="choice", kind=Kind.CHOICE, choices=("double", "gap")),),
        examples=("doubt double", "doubt gap"),
    ),
    CommandSpec(
        name="hold",
        who=Who.ADMIN,
        args=(Arg(name="minutes", kind=Kind.WORD),),
        examples=("hold 5", "hold off"),
    ),
    CommandSpec(name="pause", who=Who.ADMIN, examples=("pause",)),
    CommandSpec(name="resume", who=Who.ADMIN, examples=("resume",)),
    CommandSpec(
        name="ban",
        who=Who.MODERATOR,
        args=(Arg(name="member", kind=Kind.MEMBER),),
        examples=("ban @spammer",),
    ),
    CommandSpec(
        name="unban",
        who=Who.MODERATOR,
        args=(Arg(name="member", kind=Kind.MEMBER),),
        examples=("unban @spammer",),
    ),
    CommandSpec(
        name="remove",
        who=Who.MODERATOR,
        args=(Arg(name="post", kind=Kind.POST, required=False, among=Among.COPIES),),
        examples=("remove",),
    ),
    CommandSpec(name="reports", who=Who.MODERATOR, examples=("reports",)),
    CommandSpec(name="dismiss", who=Who.MODERATOR, args=(_POST,), examples=("dismiss",)),
)

#: Whose names are unique only beside the word that they follow; no two specs are told apart so quickly otherwise.
_VERBS = frozenset(id(verb) for spec in COMMANDS for verb in spec.verbs)
_SPECS = {word: spec for spec in reversed(COMMANDS) for word in (spec.name, *spec.aliases)}


def find_spec(name: str, text: str) -> tuple[CommandSpec, str, int]:
    """The spec, what is left of the text behind its verb, and how many characters that took.

    Raises ``Refusal`` for an unknown command, with the nearest one.
    """
    words = name.lower().split()
    spec = _SPECS.get(words[0]) if words else None
    if spec is None:
        names = [c.name for c in COMMANDS]
        near = difflib.get_close_matches(words[0] if words else "", names, n=1, cutoff=0.5)
        if near:
            raise Refusal("usage.unknown_near", name=name[:32], near=near[0])
        raise Refusal("usage.unknown", name=name[:32])
    if not spec.verbs:
        return spec, text, 0
    verb, used = (words[1], 0) if len(words) > 1 else first_word(text)
    found = next((v for v in spec.verbs if v.name == verb.lower()), None)
    if found is None:
        raise Refusal("usage.verb", name=spec.name, verbs=", ".join(v.name for v in spec.verbs))
    return found, text[used:].strip() if used else text, used


def makes_post(name: str) -> bool:
    """Whether this is the command that makes a message a post as it stands."""
    return _names(name, "post")


def publishes(name: str) -> bool:
    """Whether a message that begins with this command becomes a post."""
    return _names(name, "post", "quote")


def _names(name: str, *commands: str) -> bool:
    spec = spec_of(name)
    return spec is not None and spec.name in commands


def first_word(text: str) -> tuple[str, int]:
    """The first word of a line, and how many characters it takes with the blanks around it."""
    match = re.match(r"\s*(\S+)\s*", text)
    return (match.group(1), match.end()) if match else ("", 0)


def is_verb(spec: CommandSpec) -> bool:
    """Whether it is a further word of another command."""
    return id(spec) in _VERBS


def spec_of(name: str) -> CommandSpec | None:
    """The command of this name, with its verb (``mirror add``); nothing for an unknown one."""
    try:
        return find_spec(name, "")[0]
    except Refusal:
        return None


def command_in(text: str) -> str:
    """The command with which a text begins, with its verb where there is one; empty where it begins with none."""
    words = re.match(r"([a-z]*)(?: ([a-z]+))?", text)
    name, verb = words.groups() if words else ("", None)
    spec = _SPECS.get(name)
    if spec is None:
        return ""
    return f"{name} {verb}" if any(one.name == verb for one in spec.verbs) else name
