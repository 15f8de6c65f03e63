"""Matrix events -> core events. Pure: no I/O, no clock.

Events are written by anybody: what is malformed is dropped (``None``), nothing here raises on content.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bots.matrix.files import TYPES, attached, has_caption
from bots.matrix.html import read_html, write_html
from bots.matrix.room import OURS, Room, localpart, mapping, words
from core.body import Body, Inline, Mention, Paragraph, Text
from core.canonical import normalise
from core.commands import COMMANDS
from core.events import (
    Attachment,
    CommandEdited,
    CommandInvoked,
    Loss,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    PlaceChanged,
    ReactionChanged,
    place_now,
)
from core.text import from_plain, plain
from core.types import ChatRef, MessageRef

Heard = (
    MessageReceived
    | MessageEdited
    | MessageDeleted
    | ReactionChanged
    | CommandInvoked
    | CommandEdited
    | PlaceChanged
)

#: Timeline events that the bot asks the server for, besides the state that ``Room`` keeps.
TIMELINE_TYPES = ("m.room.message", "m.reaction", "m.room.redaction")
#: Dialects of sources.
PLAIN, HTML = "plain", "html"

_KNOWN = frozenset(name for spec in COMMANDS for name in (spec.name, *spec.aliases)) | {"start"}
#: How like a command's name a slip of the pen is.
_SLIP = 0.7
_NAME = re.compile(r"([A-Za-z][A-Za-z0-9_-]{0,31})(?=\s|$)")
_KEY_MAX = 500
#: The year 10000, in milliseconds: later stamps are nobody's clock.
_STAMP_END = 253_402_300_800_000
_MESSAGE_TYPES = {"m.text", "m.emote"}


def event_key(me: str, event_id: str) -> str:
    """The inbox key of an event."""
    return f"matrix:{me}:event:{event_id}"


def act_time(event: Mapping[str, Any], earliest: datetime | None, latest: datetime) -> datetime:
    """The sender's server's time, held between the last sync and now: servers may say anything."""
    stamp = event.get("origin_server_ts")
    if isinstance(stamp, bool) or not isinstance(stamp, int) or not 0 <= stamp < _STAMP_END:
        return latest
    said = datetime.fromtimestamp(stamp // 1000, UTC).replace(microsecond=stamp % 1000 * 1000)
    return min(max(said, earliest) if earliest else said, latest)


@dataclass(frozen=True, slots=True)
class _Said:
    """The words of a message: the tree, what it was read from, and how."""

    body: Body
    source: str
    dialect: str


@dataclass(frozen=True, slots=True)
class _Command:
    name: str
    text: str
    said: _Said


@dataclass(frozen=True, slots=True)
class _Common:
    """What every converted event carries."""

    key: str
    at: datetime
    room: Room
    sender: str
    ref: MessageRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Reads timeline events for the bot ``me`` (user id), who is called ``name`` there."""

    me: str
    name: str = ""
    prefix: str = "!"

    def read(self, event: Mapping[str, Any], room: Room, at: datetime) -> Heard | None:
        """One timeline event, or ``None`` where it says nothing to the core."""
        event_id, sender = words(event.get("event_id")), words(event.get("sender"))
        if not event_id or not sender or sender == self.me:
            return None
        common = _Common(event_key(self.me, event_id), at, room, sender, MessageRef(room.chat, event_id))
        content = mapping(event.get("content"))
        match event.get("type"):
            case "m.room.message":
                return self._message(content, common)
            case "m.reaction":
                return _reaction(content, common)
            case "m.room.redaction":
                return _redaction(event, content, common)
            case _:
                return None

    def _message(self, content: Mapping[str, Any], common: _Common) -> Heard | None:
        relation = mapping(content.get("m.relates_to"))
        if relation.get("rel_type") == "m.replace":
            return self._edit(content, words(relation.get("event_id")), common)
        answered, files = _answered(relation), attached(content)
        said = _said(content, reply=bool(answered), wordless=bool(files))
        if said is None:
            return None
        command = self._command(said, content, common.room)
        target = MessageRef(common.room.chat, answered) if answered else None
        if command:
            return self._invoked(command, target, files, common)
        place = common.room.place(self.me)
        return MessageReceived(
            key=common.key,
            at=common.at,
            place=place,
            actor=common.room.actor(common.sender),
            message=common.ref,
            body=said.body,
            source=said.source,
            dialect=said.dialect,
            reply_to=target,
            to_bot=place.private or self._mentioned(said, content),
            files=files,
        )

    def _invoked(
        self,
        command: _Command,
        target: MessageRef | None,
        files: tuple[Attachment, ...],
        common: _Common,
    ) -> CommandInvoked:
        return CommandInvoked(
            key=common.key,
            at=common.at,
            place=common.room.place(self.me),
            actor=common.room.actor(common.sender),
            name=command.name,
            text=command.text,
            body=command.said.body,
            source=command.said.source,
            dialect=command.said.dialect,
            message=common.ref,
            target=target,
            files=files,
        )

    def _edit(self, content: Mapping[str, Any], original: str, common: _Common) -> Heard | None:
        new = mapping(content.get("m.new_content"))
        files = attached(new)
        said = _said(new, reply=False, wordless=bool(files))
        if said is None or not original:
            return None
        place, actor = common.room.place(self.me), common.room.actor(common.sender)
        message = MessageRef(common.room.chat, original)
        command = self._command(said, new, common.room)
        if command is None:
            return MessageEdited(
                key=common.key,
                at=common.at,
                place=place,
                actor=actor,
                message=message,
                body=said.body,
                source=said.source,
                dialect=said.dialect,
            )
        return CommandEdited(
            key=common.key,
            at=common.at,
            place=place,
            actor=actor,
            message=message,
            name=command.name,
            text=command.text,
            body=command.said.body,
            source=command.said.source,
            dialect=command.said.dialect,
            files=files,
        )

    def _mentioned(self, said: _Said, content: Mapping[str, Any]) -> bool:
        users = mapping(content.get("m.mentions")).get("user_ids")
        if isinstance(users, list) and self.me in users:
            return True
        return _pilled(said.body, self.me) or self._after_name(_leading(said.body), sure=False) is not None

    def _command(self, said: _Said, content: Mapping[str, Any], room: Room) -> _Command | None:
        leading = _leading(said.body)
        if leading.startswith(self.prefix):
            command = _parsed(said, leading.removeprefix(self.prefix), pilled=False)
            return command if command and (_ours(command.name) or room.place(self.me).private) else None
        if _starts_with_pill(said.body, self.me):
            return _parsed(said, leading.lstrip().lstrip(":,").lstrip(), pilled=True)
        users = mapping(content.get("m.mentions")).get("user_ids")
        rest = self._after_name(leading, sure=isinstance(users, list) and self.me in users)
        if rest is not None:
            return _parsed(said, rest.removeprefix(self.prefix), pilled=False)
        word = _NAME.match(leading)
        if word and word[1].lower() in _KNOWN and room.place(self.me).private:
            return _parsed(said, leading, pilled=False)
        return None

    def _after_name(self, text: str, *, sure: bool) -> str | None:
        """What stands behind the bot's name; a bare name needs a colon unless we are ``sure``."""
        for name in (self.me, f"@{localpart(self.me)}", self.name, localpart(self.me)):
            if not name or text[: len(name)].lower() != name.lower():
                continue
            rest = text[len(name) :]
            if rest[:1] in (":", ","):
                return rest[1:].lstrip()
            if (sure or name.startswith("@")) and (not rest or rest[0].isspace()):
                return rest.lstrip()
        return None


def _ours(name: str) -> bool:
    """Whether a prefixed word in a room is meant for us: other bots there may listen to the same sign."""
    return name in _KNOWN or bool(difflib.get_close_matches(name, _KNOWN, n=1, cutoff=_SLIP))


def _answered(relation: Mapping[str, Any]) -> str:
    """The event that a message answers to; inside a thread, its root unless one message is answered."""
    answered = words(mapping(relation.get("m.in_reply_to")).get("event_id"))
    threaded = relation.get("rel_type") == "m.thread"
    if threaded and (relation.get("is_falling_back") is True or not answered):
        return words(relation.get("event_id"))
    return answered


def _said(content: Mapping[str, Any], *, reply: bool, wordless: bool) -> _Said | None:
    """The words of a message's content; ``wordless``: there may be none. Bots' ``m.notice`` are nobody's words."""
    kind = words(content.get("msgtype"))
    if kind not in _MESSAGE_TYPES | TYPES or OURS in content:
        return None
    if kind in TYPES and not has_caption(content):
        return _Said(Body(), "", PLAIN) if wordless else None
    formatted = words(content.get("formatted_body"))
    if formatted and content.get("format") == "org.matrix.custom.html":
        body = read_html(formatted)
        return _Said(body, formatted, HTML) if body.blocks or wordless else None
    source = words(content.get("body"))
    source = _without_fallback(source) if reply else source
    body = from_plain(source)
    return _Said(body, source, PLAIN) if body.blocks or wordless else None


def _without_fallback(source: str) -> str:
    """Without the quoted lines that older clients put before a reply."""
    if not re.match(r"> (?:\* )?<@", source):
        return source
    lines = source.split("\n")
    kept = next((index for index, line in enumerate(lines) if not line.startswith(">")), len(lines))
    return "\n".join(lines[kept:]).lstrip("\n")


def _first(body: Body) -> tuple[Inline, ...]:
    block = body.blocks[0] if body.blocks else None
    return block.children if isinstance(block, Paragraph) else ()


def _starts_with_pill(body: Body, me: str) -> bool:
    first = _first(body)[:1]
    return bool(first) and _is_pill(first[0], me)


def _is_pill(inline: Inline, me: str) -> bool:
    return isinstance(inline, Mention) and inline.account is not None and inline.account.key == me


def _pilled(body: Body, me: str) -> bool:
    return any(_is_pill(inline, me) for block in body.blocks for inline in getattr(block, "children", ()))


def _leading(body: Body) -> str:
    """The plain text that a message begins with, behind a leading pill."""
    for inline in _first(body):
        if isinstance(inline, Text):
            return inline.text.lstrip()
        if not isinstance(inline, Mention):
            break
    return ""


def _parsed(said: _Said, line: str, *, pilled: bool) -> _Command | None:
    """``line`` is the leading text from the command's name on; the tree behind the name is the rest."""
    name = _NAME.match(line)
    if name is None:
        return None
    first = _first(said.body)[1 if pilled else 0 :]
    head = Paragraph((Text(line[name.end() :]), *first[1:]))
    rest = normalise(Body((head, *said.body.blocks[1:])))
    text = plain(rest)
    source = text if said.dialect == PLAIN else write_html(rest)
    return _Command(name[1].lower(), text, _Said(rest, source, said.dialect))


def _reaction(content: Mapping[str, Any], common: _Common) -> ReactionChanged | None:
    relation = mapping(content.get("m.relates_to"))
    target, emoji = words(relation.get("event_id")), words(relation.get("key"))
    if relation.get("rel_type") != "m.annotation" or not target or not emoji or len(emoji) > _KEY_MAX:
        return None
    return ReactionChanged(
        key=common.key,
        at=common.at,
        message=MessageRef(common.room.chat, target),
        actor=common.room.actor(common.sender),
        added=(emoji,),
        ref=common.ref,
    )


def _redaction(
    event: Mapping[str, Any], content: Mapping[str, Any], common: _Common
) -> MessageDeleted | None:
    gone = words(content.get("redacts")) or words(event.get("redacts"))
    if not gone:
        return None
    return MessageDeleted(key=common.key, at=common.at, message=MessageRef(common.room.chat, gone))


#: State by which others may come to read a room.
SHARING_TYPES = (
    "m.room.member",
    "m.room.join_rules",
    "m.room.history_visibility",
    "m.room.name",
    "m.room.canonical_alias",
)


def membership(event: Mapping[str, Any], chat: ChatRef, me: str, at: datetime) -> PlaceChanged | None:
    """The bot's own coming and going: joined (found again), left, kicked or banned."""
    if event.get("type") != "m.room.member" or event.get("state_key") != me:
        return None
    now = mapping(event.get("content")).get("membership")
    key = event_key(me, words(event.get("event_id")))
    if joined_now(event, me):
        return PlaceChanged(key=key, at=at, chat=chat)
    if now in ("leave", "ban") and _before(event) == "join":
        return place_now(chat, Loss.BANNED if now == "ban" else Loss.REMOVED, key=key, at=at)
    return None


def shared(event: Mapping[str, Any], room: Room, me: str, at: datetime) -> PlaceChanged | None:
    """Somebody came in, or anybody may now: what was a private chat with the bot is one no longer."""
    kind = event.get("type")
    if kind == "m.room.member":
        came = mapping(event.get("content")).get("membership") == "join" and _before(event) != "join"
        if not came or event.get("state_key") == me:
            return None
    elif kind not in SHARING_TYPES:
        return None
    if room.place(me).private:
        return None
    return PlaceChanged(key=event_key(me, words(event.get("event_id"))), at=at, chat=room.chat, shared=True)


def joined_now(event: Mapping[str, Any], me: str) -> bool:
    """Whether this is the bot's coming into the room, and not a change of its name there."""
    mine = event.get("type") == "m.room.member" and event.get("state_key") == me
    return mine and mapping(event.get("content")).get("membership") == "join" and _before(event) != "join"


def _before(event: Mapping[str, Any]) -> object:
    """The membership before a member event, ``None`` where there was none."""
    unsigned = mapping(event.get("unsigned"))
    previous = mapping(unsigned.get("prev_content")) or mapping(event.get("prev_content"))
    return previous.get("membership")


def own_join(events: Sequence[Mapping[str, Any]], me: str) -> int:
    """Where the bot's last joining stands, else 0: what was said before it came is none of its business."""
    return max((index for index, event in enumerate(events) if joined_now(event, me)), default=0)


def opened(change: PlaceChanged, room: Room, person: str, me: str) -> CommandInvoked | None:
    """Who opened a private chat with the bot gets what ``/start`` gives; ``change`` is the bot's joining."""
    place = room.place(me)
    if change.key is None or change.gone or not place.private:
        return None
    return CommandInvoked(
        key=f"{change.key}:start", at=change.at, place=place, actor=room.actor(person), name="start"
    )


@dataclass(frozen=True, slots=True)
class Invite:
    """An invitation to the bot: the room, who sent it, and whether it is to a private chat."""

    room: str
    sender: str
    direct: bool


def invitation(room: str, invited: object, me: str) -> Invite | None:
    """The invite of one entry of ``rooms.invite``, or ``None``."""
    state = mapping(mapping(invited).get("invite_state")).get("events")
    for event in state if isinstance(state, list) else ():
        content = mapping(mapping(event).get("content"))
        if mapping(event).get("state_key") == me and content.get("membership") == "invite":
            sender = words(mapping(event).get("sender"))
            return Invite(room, sender, content.get("is_direct") is True) if sender else None
    return None
