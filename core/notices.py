"""Answers: what is said to a person, and where it may be said."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from core.errors import Argument, Glimpse, Message, Secret, message
from core.records import Account, Chat, ChatState, Notice, Verb
from core.scene import Scene
from core.stores.unit import Unit
from core.types import ChatId, MessageRef, ThingId

#: How long an answer waits for its person to open the private chat.
PRIVATE_WAIT = timedelta(minutes=10)
#: An answer older than this helps nobody any more.
STALE = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Choice:
    """A button of an answer: ``data`` comes back, or ``private`` opens the private chat with this start payload."""

    label: Message
    data: str = ""
    private: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """An answer: lines, buttons, and the command that does the same where there are no buttons.

    ``personal``: concerns only the asker, so it never prints in a group. ``brief``: may stand in the room for a
    minute all the same (a refusal, a short yes). ``pin``: a notice that the room should keep in sight.
    """

    lines: tuple[Message, ...]
    choices: tuple[Choice, ...] = ()
    text_command: str = ""
    personal: bool = True
    brief: bool = False
    pin: bool = False
    #: Taken away again after so many seconds; 0 stays.
    seconds: int = 0
    #: The message answered to is a command, and goes with the answer.
    sweep: bool = False


def say(id_: str, **args: Argument) -> Said:
    """One personal line."""
    return Said((message(id_, **args),))


def brief(id_: str, **args: Argument) -> Said:
    """One line that may stand in the room for a minute."""
    return Said((message(id_, **args),), brief=True)


def openly(id_: str, **args: Argument) -> Said:
    """One line that the whole room may read."""
    return Said((message(id_, **args),), personal=False)


def answer(scene: Scene, said: Said) -> None:
    """Answers the actor where that may be said: only to them, in private, or (if it is harmless) in the room."""
    if scene.handle or scene.chat.private or not said.personal:
        _tell(scene.unit, scene.chat.id, scene.account, said, handle=scene.handle, message=scene.message)
    elif said.brief:
        _tell(scene.unit, scene.chat.id, scene.account, _short_lived(scene, said), message=scene.message)
    elif private := private_chat(scene.unit, scene.account):
        _tell(scene.unit, private, scene.account, said)
    else:
        _keep(scene, said)


def tell_account(
    unit: Unit, account: Account, said: Said, *, chat: ChatId | None = None, handle: str = ""
) -> None:
    """Tells somebody who is not acting now: through the door they last used, else in their private chat."""
    if handle and chat:
        _tell(unit, chat, account, said, handle=handle)
    elif private := private_chat(unit, account):
        _tell(unit, private, account, said)


def announce(unit: Unit, chat: Chat, said: Said, *, under: MessageRef | None = None) -> None:
    """A notice to a whole room; ``under``: as an answer to this message."""
    _tell(unit, chat.id, None, said, message=under)


def mark(unit: Unit, chat: Chat, ref: MessageRef, emoji: str, *, on: bool = True) -> None:
    """Our one reaction on a message."""
    _add(unit, chat.id, Verb.MARK if on else Verb.UNMARK, payload=emoji, message_key=ref.key)


def take_away(unit: Unit, chat: ChatId, message_key: str, at: datetime, *, via: str = "") -> None:
    """Withdraws a message that is no copy (any more), at that time, where we may."""
    _add(unit, chat, Verb.TAKE, message_key=message_key, payload=via, ready_at=at)


def pinned_now(unit: Unit, chat: ChatId, message_key: str) -> None:
    """The notice of the relay stands pinned there. It replaces an older one, and goes if the relay ended meanwhile."""
    unpin(unit, chat)
    unit.communities.set_pinned(chat, message_key)
    if not unit.communities.chat_by_id(chat).relay:
        unpin(unit, chat)


def unpin(unit: Unit, chat: ChatId) -> None:
    """Takes the pinned notice of the relay away, where there is one."""
    if key := unit.communities.pinned(chat):
        unit.communities.set_pinned(chat, "")
        _add(unit, chat, Verb.UNPIN, message_key=key)


def private_opened(scene: Scene) -> int:
    """What waited for a private door is said through it. Returns how many answers."""
    unit = scene.unit
    return unit.notices.deliver_private(scene.account.id, scene.chat.id, unit.now, handle=scene.handle)


def private_chat(unit: Unit, account: Account) -> ChatId | None:
    """The chat with this person alone, while it is that and may be written to."""
    if account.private_chat_id is None:
        return None
    chat = unit.communities.chat_by_id(account.private_chat_id)
    return chat.id if chat.private and chat.state is ChatState.ACTIVE else None


def _short_lived(scene: Scene, said: Said) -> Said:
    seconds = int(scene.rules.brief_life.total_seconds())
    return replace(said, seconds=seconds, sweep=scene.command)


def _keep(scene: Scene, said: Said) -> None:
    """The answer waits; the room gets one line with the way to the private chat, for a minute."""
    unit = scene.unit
    unit.notices.keep_for_private(
        Notice(
            id=ThingId(unit.new_id()),
            chat_id=ChatId(0),
            verb=Verb.TELL,
            account_id=scene.account.id,
            handle="",
            message_key="",
            payload=dump(said),
            created_at=unit.now,
            expires_at=unit.now + PRIVATE_WAIT,
        )
    )
    line = Said(
        (message("private.waiting", name=scene.actor.name),),
        (Choice(message("private.open"), private="answer"),),
        brief=True,
    )
    _tell(unit, scene.chat.id, scene.account, _short_lived(scene, line), message=scene.message)


def _tell(
    unit: Unit,
    chat: ChatId,
    account: Account | None,
    said: Said,
    *,
    handle: str = "",
    message: MessageRef | None = None,
) -> None:
    key = message.key if message and (not account or account.private_chat_id != chat) else ""
    _add(unit, chat, Verb.TELL, account=account, handle=handle, message_key=key, payload=dump(said))


def _add(
    unit: Unit,
    chat: ChatId,
    verb: Verb,
    *,
    account: Account | None = None,
    handle: str = "",
    message_key: str = "",
    payload: str = "",
    ready_at: datetime | None = None,
) -> None:
    notice = Notice(
        ThingId(unit.new_id()), chat, verb, account.id if account else None, handle, message_key, payload,
        unit.now, unit.now + STALE,
    )  # fmt: skip
    unit.notices.add_notice(notice, ready_at or unit.now)


# -- as stored ---------------------------------------------------------------------------------------------------


def dump(said: Said) -> str:
    return json.dumps(
        {
            "lines": [_dump_message(line) for line in said.lines],
            "choices": [[_dump_message(c.label), c.data, c.private] for c in said.choices],
            "command": said.text_command,
            "seconds": said.seconds,
            "pin": said.pin,
            "sweep": said.sweep,
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )


def load(payload: str) -> Said:
    raw = json.loads(payload)
    return Said(
        lines=tuple(_load_message(line) for line in raw["lines"]),
        choices=tuple(Choice(_load_message(label), data, private) for label, data, private in raw["choices"]),
        text_command=raw["command"],
        seconds=raw["seconds"],
        pin=raw["pin"],
        sweep=raw["sweep"],
    )


def _dump_message(said: Message) -> list[Any]:
    return [said.id, {name: _dump_value(value) for name, value in said.args.items()}]


def _dump_value(value: object) -> object:
    match value:
        case Message():
            return {"message": _dump_message(value)}
        case datetime():
            return {"time": value.isoformat()}
        case Secret():
            return {"secret": value.nonce, "behind": value.behind}
        case Glimpse():
            return {"glimpse": value.post, "length": value.length}
        case _:
            return value


def _load_message(raw: list[Any]) -> Message:
    args: Mapping[str, Any] = raw[1]
    return Message(raw[0], {name: _load_value(value) for name, value in args.items()})


def _load_value(raw: object) -> Argument:
    match raw:
        case {"message": list() as inner}:
            return _load_message(inner)
        case {"time": str() as text}:
            return datetime.fromisoformat(text)
        case {"secret": str() as nonce, "behind": str() as behind}:
            return Secret(nonce, behind)
        case {"secret": str() as nonce}:
            return Secret(nonce)
        case {"glimpse": int() as post, "length": int() as length}:
            return Glimpse(post, length)
        case str() | int():
            return raw
        case _:
            raise ValueError("no argument of a message")
