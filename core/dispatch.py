"""From a typed command or a pressed button to its use case, with the rights checked in one place."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache

from msgspec import Struct

from core.body import Body
from core.civic import members
from core.commands import COMMANDS, Arg, CommandSpec, Kind, Who, find_spec, first_word, is_verb
from core.errors import Message, Refusal, message
from core.events import CommandInvoked
from core.intents import ABOUT, AGREE
from core.notices import Said, answer, brief, private_opened, say
from core.rights import refusal
from core.scene import Scene
from core.social import (
    about,
    asking,
    boosts,
    communities,
    feeds,
    pictures,
    posts,
    profiles,
    reports,
    setup,
    status,
)
from core.social.reach import homes
from core.text import without_prefix
from core.types import AccountRef, Visibility

#: Commands that a platform sends by itself.
HIDDEN = ("start",)


class Call(Struct, frozen=True, kw_only=True):
    """A command with its arguments. ``rest``: the tree of a ``TEXT`` argument where it had formatting."""

    spec: CommandSpec
    values: Mapping[str, str]
    rest: Body | None = None
    dialect: str = "plain"

    def __getitem__(self, name: str) -> str:
        return self.values.get(name, "")


def parse(spec: CommandSpec, text: str) -> tuple[dict[str, str], int]:
    """Argument values of a text command, and how many characters stand before its ``TEXT``.

    Raises ``Refusal`` naming what is missing.
    """
    values: dict[str, str] = {}
    used = 0
    for index, arg in enumerate(spec.args):
        if arg.kind is Kind.FILE:
            continue
        if arg.kind is Kind.TEXT:
            values[arg.name] = text[used:].strip()
        elif not arg.required and index < spec.text_at:
            used += _flags(spec.args[index:], text[used:], values)
        else:
            word, length = first_word(text[used:])
            values[arg.name] = word
            used += length
    return values, used


def _flags(args: Sequence[Arg], text: str, values: dict[str, str]) -> int:
    """Values written with their names, in any order. Returns how many characters that took."""
    used = 0
    if ":" not in text:
        return used
    while length := next(
        (found for arg in args if arg.name not in values and (found := _named(arg, text[used:], values))), 0
    ):
        used += length
    return used


@cache
def _flag(name: str) -> re.Pattern[str]:
    return re.compile(rf"\s*{name}:(\S+)\s*", re.IGNORECASE)


def _named(arg: Arg, text: str, values: dict[str, str]) -> int:
    match = _flag(arg.name).match(text)
    if match is None:
        return 0
    values[arg.name] = match.group(1)
    return match.end()


def check(spec: CommandSpec, values: Mapping[str, str]) -> None:
    """Raises ``Refusal`` for a missing argument or one outside its choices."""
    for arg in spec.args:
        value = values.get(arg.name, "")
        if arg.required and not value:
            if arg.kind is Kind.TEXT:
                raise Refusal("post.empty")
            raise Refusal(
                "usage.missing", name=spec.name, example=spec.examples[0] if spec.examples else spec.name
            )
        if value and arg.choices and value.lower() not in arg.choices:
            raise Refusal("usage.choice", value=value[:40], choices=", ".join(arg.choices))


def may(scene: Scene, who: Who) -> None:
    """Raises ``Refusal`` with who may."""
    if who is Who.MEMBER and scene.member is not None:
        # What is done most.
        return
    why = refusal(
        who,
        scene.actor.rights,
        member=scene.member is not None,
        operator=scene.operator,
        private=scene.chat.private,
    )
    if why:
        raise Refusal(why)


def run(
    scene: Scene, name: str, text: str, options: Mapping[str, str] | None, body: Body | None, dialect: str
) -> None:
    """One command. Raises ``Refusal``."""
    if name.lower() in HIDDEN:
        return start(scene, text)
    spec, rest, verb_length = find_spec(name, text)
    values, used = (dict(options), 0) if options is not None else parse(spec, rest)
    check(spec, values)
    may(scene, spec.who)
    # With options the tree is that of the one text among them; else it begins with verb and flags.
    tree = body if body is None or options is not None else without_prefix(body, verb_length + used)
    key = f"mirror {spec.name}" if is_verb(spec) else spec.name
    ACTIONS[key](scene, Call(spec=spec, values=values, rest=tree, dialect=dialect))
    return None


def invoke(scene: Scene, event: CommandInvoked) -> None:
    """A command as an adapter brought it, from a typed line, a form or a menu. Raises ``Refusal``."""
    options = event.options
    if event.words_of is not None and not asking.may_post(scene, event.words_of, event.question):
        return
    if event.chosen is not None:
        options = {**(options or {}), _naming(event.name): _handle_of(scene, event.chosen)}
    run(scene, event.name, event.text, options, event.body, event.dialect)


def _naming(command: str) -> str:
    """The argument that says whom a command is about."""
    spec, _, _ = find_spec(command, "")
    return next(arg.name for arg in spec.args if arg.kind in (Kind.FEED, Kind.MEMBER))


def _handle_of(scene: Scene, chosen: AccountRef) -> str:
    """Only of who is known by this account already: that two accounts are one member is private."""
    account = scene.unit.people.account(chosen)
    if account is None or account.member_id is None:
        raise Refusal("member.not_known_here")
    if chosen != scene.actor.account and not scene.unit.posts.written_from(account.id, homes(scene)):
        raise Refusal("member.not_known_here")
    return f"@{scene.unit.people.member(account.member_id).handle}"


#: Buttons that do what their command does with this argument.
_TYPED = frozenset({"join", "link:yes", "link:no", "name:show", "name:hide", "optout:yes"})


def press(scene: Scene, data: str) -> None:
    """A button does what its typed command does, under the same rights. Raises ``Refusal`` for forged data."""
    verb, _, value = data.partition(":")
    if data in _TYPED:
        return run(scene, verb, value, None, None, "plain")
    if verb not in BUTTONS:
        raise Refusal("button.unknown")
    return BUTTONS[verb](scene, value)


def _set_up(scene: Scene, value: str) -> None:
    may(scene, Who.ADMIN)
    setup.go_on(scene, value)


def start(scene: Scene, payload: str) -> None:
    """The private chat was opened: what waited is said, else the way to begin."""
    if payload == "join" and scene.member is None:
        return members.join(scene, "")
    if payload.startswith(members.START_LINK):
        return run(scene, "link", payload.removeprefix(members.START_LINK), None, None, "plain")
    # Typed in a room it opens nothing: what waits is for the private chat, or for who pressed there alone.
    opens = scene.chat.private or bool(scene.handle)
    if not opens or private_opened(scene) == 0:
        answer(scene, say("start.member" if scene.member else "start.guest", name=scene.actor.name))
    return None


def posts_delete(scene: Scene, typed: str) -> None:
    members.require_member(scene)
    post = posts.post_of(scene, typed)
    posts.require_own(scene, post)
    posts.delete(scene.unit, post)
    answer(scene, brief("post.deleted"))


def _post(scene: Scene, call: Call) -> None:
    parent = None
    if scene.target is not None:
        copy = scene.unit.copies.copy_of(scene.chat.id, scene.target.key)
        parent = scene.unit.posts.post(copy.thing_id) if copy else None
    posts.publish(
        scene,
        call.rest,
        source=call["text"],
        dialect=call.dialect,
        visibility=call["visibility"].lower(),
        reply_to=parent if parent and parent.deleted_at is None else None,
    )


def _quote(scene: Scene, call: Call) -> None:
    members.require_member(scene)
    posts.publish(
        scene,
        call.rest,
        source=call["text"],
        dialect=call.dialect,
        visibility=call["visibility"].lower(),
        quoted=posts.quotable(scene, call["post"]),
    )


def _edit(scene: Scene, call: Call) -> None:
    members.require_member(scene)
    post = posts.post_of(scene, call["post"])
    wish = call["visibility"].lower()
    now = posts.narrow(scene, post, Visibility(wish)) if wish else post
    moved = posts.edit(scene, now, call.rest, call["text"], call.dialect)
    if said := posts.say_edited(post, now, moved, asked=True):
        answer(scene, said)


def _help(scene: Scene, call: Call) -> None:
    if call["command"]:
        return answer(scene, _explain(scene, call["command"].lstrip("/!").lower()))
    lines = [message("help.title")]
    lines += [
        message("help.line", name=_typed(c.name), text=message(f"command.{c.name}"))
        for c in COMMANDS
        if c.short_help
    ]
    return answer(scene, Said(tuple(lines)))


#: Commands that are needed where a platform tells nobody of a deleted message.
_INSTEAD_OF_DELETING = ("delete", "remove")


def _explain(scene: Scene, name: str) -> Said:
    """One command with its examples, or each of its further words."""
    group = next((c for c in COMMANDS if c.name == name and c.verbs), None)
    specs = group.verbs if group else (find_spec(name, "")[0],)
    lines: list[Message] = []
    for spec in specs:
        full = f"{group.name} {spec.name}" if group else spec.name
        text = message(f"command.{full.replace(' ', '.')}")
        lines.append(message("help.line", name=_typed(full), text=text))
        lines += [message("help.example", example=_typed(example)) for example in spec.examples]
    able = scene.rules.capabilities(scene.chat.ref.platform)
    if name in _INSTEAD_OF_DELETING and able and not able.tells_deletions:
        lines.append(message(f"untold.{name}", platform=able.label))
    return Said(tuple(lines))


def _typed(text: str) -> Message:
    """A command as people write it here."""
    return message("help.command", text=text)


ACTIONS: Mapping[str, Callable[[Scene, Call], None]] = {
    "join": lambda scene, call: members.join(scene, call["handle"]),
    "post": _post,
    "follow": lambda scene, call: feeds.follow(scene, call["feed"]),
    "unfollow": lambda scene, call: feeds.unfollow(scene, call["feed"]),
    "feed": lambda scene, _: feeds.home(scene),
    "profile": lambda scene, call: profiles.profile(scene, call["member"]),
    "edit": _edit,
    "alt": lambda scene, call: pictures.describe(scene, call["post"], call["picture"], call["text"]),
    "delete": lambda scene, call: posts_delete(scene, call["post"]),
    "boost": lambda scene, call: boosts.boost(scene, call["post"]),
    "unboost": lambda scene, call: boosts.unboost(scene, call["post"]),
    "quote": _quote,
    "report": lambda scene, call: reports.report(scene, call["post"], call["reason"]),
    "reports": lambda scene, _: reports.tell(scene),
    "dismiss": lambda scene, call: reports.dismiss(scene, call["post"]),
    "status": lambda scene, call: status.status(scene, call["post"]),
    "retry": lambda scene, call: status.retry(scene, call["post"]),
    "link": lambda scene, call: members.link(scene, call["code"]),
    "unlink": lambda scene, _: members.unlink(scene),
    "whoami": lambda scene, _: members.whoami(scene),
    "optout": lambda scene, call: members.opt_out(scene, call["answer"].lower()),
    "name": lambda scene, call: members.set_name(scene, call["answer"].lower()),
    "help": _help,
    "setup": lambda scene, call: setup.setup(scene, call["code"]),
    "leave": lambda scene, call: communities.leave(scene, call["copies"].lower()),
    "mirror add": lambda scene, call: communities.mirror_add(scene, call["feed"]),
    "mirror list": lambda scene, _: communities.mirror_list(scene),
    "mirror remove": lambda scene, call: communities.mirror_remove(scene, call["feed"]),
    "mirror look": lambda scene, call: communities.mirror_look(scene, call["name"].lower()),
    "mirror block": lambda scene, call: communities.mirror_block(scene, call["what"], on=True),
    "mirror unblock": lambda scene, call: communities.mirror_block(scene, call["what"], on=False),
    "relay": lambda scene, call: communities.relay(scene, call["state"].lower()),
    "doubt": lambda scene, call: communities.choose_doubt(scene, call["choice"].lower()),
    "hold": lambda scene, call: communities.hold(scene, call["minutes"]),
    "pause": lambda scene, _: communities.pause(scene, on=True),
    "resume": lambda scene, _: communities.pause(scene, on=False),
    "ban": lambda scene, call: communities.ban(scene, call["member"], on=True),
    "unban": lambda scene, call: communities.ban(scene, call["member"], on=False),
    "remove": lambda scene, call: communities.remove(scene, call["post"]),
}

#: What the buttons do that are no command with a fixed argument, by the first word of their data.
BUTTONS: Mapping[str, Callable[[Scene, str], None]] = {
    "undo": posts_delete,
    "retry": lambda scene, value: run(scene, "retry", value, None, None, "plain"),
    "unboost": lambda scene, value: run(scene, "unboost", value, None, None, "plain"),
    "ask": asking.ask,
    "refuse": asking.refuse,
    AGREE: asking.unreadable,
    "setup": _set_up,
    ABOUT: lambda scene, _: about.tell(scene),
}
