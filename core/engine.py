"""A batch of inbound events = one transaction.

The writer calls ``handle`` for each event of a batch, then ``settle`` once, and commits. Seen before means stop, and
is a success. A refusal keeps the inbox row and its answer to the person and undoes all else.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from msgspec import structs

from core import codec, edited, places
from core.ahead import look_ahead
from core.commands import publishes
from core.counts import Happening
from core.crashpoints import passing
from core.dispatch import invoke, press, start
from core.errors import Ignored, Message, Refusal, StormoError, WrongCode
from core.events import (
    Actor,
    ButtonPressed,
    CommandEdited,
    CommandInvoked,
    Inbound,
    Loss,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    Missed,
    PlaceChanged,
    PositionAdvanced,
    ReactionChanged,
    ReactorsFound,
    platform_of,
)
from core.names import clean_name
from core.notices import Said, answer
from core.records import Chat, ChatState, Copy, Parked, Post, Reacted
from core.scene import Rules, Scene, account_of, enter
from core.social import enclosures, losses, posts, relays
from core.social.votes import about, any_vote, first_vote, react, settle, signal_emoji, take_back
from core.stores.unit import Unit
from core.text import is_empty
from core.types import ChatRef, MessageRef, Platform, PostId, ThingId, ThingKind

log = logging.getLogger(__name__)

#: Commands whose argument is a one-time code.
CODED = frozenset({"link", "setup", "start"})
#: The name in ``meta`` of the number of parked events that ever expired.
EXPIRED = "parked events expired"


class Engine:
    """The rules, applied to events. Has no state of its own."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._handlers: dict[type[Any], Callable[[Unit, Any], None]] = {
            CommandInvoked: self._command,
            CommandEdited: self._edited,
            MessageEdited: self._edited,
            MessageReceived: self._message,
            MessageDeleted: self._deleted,
            ReactionChanged: self._reaction,
            ReactorsFound: self._reactors,
            ButtonPressed: self._button,
            PlaceChanged: self._place,
            Missed: self._missed,
            PositionAdvanced: lambda _unit, _event: None,
        }

    def handle(self, unit: Unit, event: Inbound) -> None:
        """One event. What does not concern us leaves nothing behind, not even that it came."""
        if isinstance(event, ReactionChanged) and self._first_vote(unit, event):
            passing("inbound.done")
            return _advance(unit, event)
        unit.savepoint("event")
        try:
            if event.key is None or unit.intake.claim(event.key, unit.now):
                passing("inbound.claimed")
                self._handlers[type(event)](unit, event)
            else:
                _count(unit, platform_of(event), Happening.DUPLICATE)
        except Ignored:
            unit.undo("event")
        except StormoError:
            unit.undo("event")
            raise
        else:
            unit.release("event")
        passing("inbound.done")
        return _advance(unit, event)

    def read_ahead(self, unit: Unit, events: Sequence[Inbound]) -> None:
        """Before the events of a batch are handled one by one."""
        unit.read_ahead(look_ahead(events))

    def settle(self, unit: Unit) -> None:
        """What is derived, once for the whole batch."""
        settle(unit)

    def bury(self, unit: Unit, event: Inbound, error: BaseException) -> None:
        """An event that keeps failing becomes a dead letter that an operator can read, and counts as handled."""
        if event.key is not None:
            unit.intake.claim(event.key, unit.now)
        _count(unit, platform_of(event), Happening.BURIED)
        _advance(unit, event)
        unit.intake.bury(
            unit.new_id(),
            type(event).__name__,
            codec.dump(_without_secrets(event)),
            f"{type(error).__name__}: {error}"[:500],
            unit.now,
        )

    def known(self, unit: Unit, ref: MessageRef) -> None:
        """A message of ours is known now: what came before it is applied."""
        chat = unit.communities.chat(ref.chat)
        if chat is None:
            return
        for parked in unit.intake.unpark(chat.id, ref.key):
            self._apply(unit, chat, parked)

    def _apply(self, unit: Unit, chat: Chat, parked: Parked) -> None:
        """A parked event, and what takes it back again. One that fails must not undo the receipt it waited for."""
        unit.savepoint("parked")
        try:
            event = codec.load(parked.event)
            self.handle(unit, event)
            unit.write()
        except Exception as error:  # noqa: BLE001
            unit.undo("parked")
            why = f"{type(error).__name__}: {error}"[:500]
            unit.intake.bury(unit.new_id(), "Parked", parked.event, why, unit.now)
            _count(unit, chat.ref.platform, Happening.BURIED)
            return
        unit.release("parked")
        if isinstance(event, ReactionChanged) and event.ref is not None:
            for later in unit.intake.unpark(chat.id, event.ref.key):
                self._apply(unit, chat, later)

    def housekeep(self, unit: Unit) -> None:
        """Forgets what expires: keys, codes, handles, reports, parked events, guests. Who keeps a lost room is told."""
        unit.intake.clean(unit.now - self.rules.inbox_life)
        unit.people.clean_codes(unit.now - self.rules.code_life)
        unit.people.clean_handles(unit.now)
        unit.reports.clean(unit.now - self.rules.report_life)
        unit.notices.clean_notices(unit.now)
        unit.touched |= unit.votes.forget_guests(unit.now - self.rules.guest_life)
        self._expire(unit)
        losses.tell(unit, self.rules)

    @staticmethod
    def _expire(unit: Unit) -> None:
        """What was parked and belongs to no message of ours was people's talk among themselves: nothing of it stays.

        How many there were is all that anybody sees of them.
        """
        expired = unit.intake.expire(unit.now)
        chats = unit.communities.chats_by_id(sorted({parked.chat_id for parked in expired}))
        for platform, number in Counter(chats[p.chat_id].ref.platform for p in expired).items():
            log.info(
                "%s: %d events spoke of messages that never became known, and are forgotten", platform, number
            )
            _count(unit, platform, Happening.EXPIRED, number)
        if expired:
            unit.intake.set_meta(EXPIRED, str(int(unit.intake.meta(EXPIRED) or 0) + len(expired)))

    # -- commands and buttons ------------------------------------------------------------------------------------

    def _command(self, unit: Unit, event: CommandInvoked) -> None:
        if event.actor.bot:
            raise Ignored
        scene = enter(
            unit,
            self.rules,
            event.actor,
            event.place,
            message=event.message,
            target=event.target,
            handle=event.handle,
            command=True,
        )
        scene = _with_files(scene, event)
        self._attempt(scene, lambda: invoke(scene, event))

    def _button(self, unit: Unit, event: ButtonPressed) -> None:
        scene = enter(unit, self.rules, event.actor, event.place, target=event.message, handle=event.handle)
        self._attempt(scene, lambda: press(scene, event.data))

    def _attempt(self, scene: Scene, act: Callable[[], None]) -> None:
        """Runs a use case; a refusal undoes it and is told to the person."""
        unit = scene.unit
        unit.savepoint("attempt")
        try:
            if scene.actor.anonymous:
                raise Refusal("actor.anonymous")
            act()
        except WrongCode as refusal:
            unit.undo("attempt")
            unit.people.add_failure(scene.account.id, unit.now, unit.now - self.rules.code_life)
            self._refuse(scene, refusal.message)
        except Refusal as refusal:
            unit.undo("attempt")
            self._refuse(scene, refusal.message)
        else:
            unit.release("attempt")

    @staticmethod
    def _refuse(scene: Scene, why: Message) -> None:
        answer(scene, Said((why,), brief=True))

    # -- messages ------------------------------------------------------------------------------------------------

    def _message(self, unit: Unit, event: MessageReceived) -> None:
        """Ordinary talk concerns us as an answer to a copy, where the room's relay is on, and in the private chat."""
        if event.actor.bot or event.actor.anonymous:
            raise Ignored
        chat = unit.communities.chat(event.place.chat)
        if chat is None:
            return self._spoken_to(unit, event)
        if event.album and enclosures.join_album(unit, self.rules.media, chat, event):
            return None
        copy = unit.copies.copy_of(chat.id, event.reply_to.key) if event.reply_to else None
        if copy is not None and copy.kind is ThingKind.POST and _by_member(unit, event.actor):
            return self._reply(unit, event, copy)
        if copy is None and event.to_bot and event.reply_to and unit.tries.any_try(chat.id):
            return self._park(unit, chat, event.reply_to, event)
        if chat.relay and chat.community_id is not None and chat.state is not ChatState.GONE:
            return relays.pass_on(unit, self.rules, chat, account_of(unit, event.actor), event)
        return self._spoken_to(unit, event)

    def _spoken_to(self, unit: Unit, event: MessageReceived) -> None:
        """Who says something to the bot alone hears what waited for them, else how to begin."""
        account = unit.people.account(event.actor.account)
        if not event.place.private or is_empty(event.body) or (account is not None and account.opted_out):
            raise Ignored
        scene = enter(unit, self.rules, event.actor, event.place, message=event.message)
        self._attempt(scene, lambda: start(scene, ""))

    def _reply(self, unit: Unit, event: MessageReceived, copy: Copy) -> None:
        parent = unit.posts.post(copy.thing_id)
        if parent is None or parent.deleted_at is not None:
            raise Ignored
        scene = enter(
            unit,
            self.rules,
            event.actor,
            event.place,
            message=event.message,
            target=event.reply_to,
        )
        scene = _with_files(scene, event)
        self._attempt(
            scene,
            lambda: _publish_reply(scene, event, parent),
        )

    def _edited(self, unit: Unit, event: CommandEdited | MessageEdited) -> None:
        chat = unit.communities.chat(event.place.chat)
        copy = unit.copies.copy_of(chat.id, event.message.key) if chat else None
        if copy is None and isinstance(event, CommandEdited):
            return self._corrected(unit, event)
        if copy is None or copy.ours:
            raise Ignored
        account = unit.people.account(event.actor.account)
        if account is None:
            raise Ignored
        if copy.kind is ThingKind.RELAY:
            return self._relay_edited(unit, copy, event)
        post = unit.posts.post(copy.thing_id)
        if post is None or post.deleted_at is not None or post.account_id != account.id:
            # The server of a platform may let others edit; we do not.
            raise Ignored
        scene = enter(unit, self.rules, event.actor, event.place, message=event.message)
        # Gone is gone, as with a deletion, whatever is said of the words.
        taken = event.kept is not None and enclosures.keep(unit, ThingId(post.id), event.kept)
        return self._attempt(scene, lambda: edited.apply(scene, event, copy, taken=taken))

    def _corrected(self, unit: Unit, event: CommandEdited) -> None:
        """A message that made no post, as its command was refused or mistyped, is put right: now it may make one."""
        if not publishes(event.name):
            raise Ignored
        self._command(
            unit,
            CommandInvoked(
                key=event.key,
                at=event.at,
                place=event.place,
                actor=event.actor,
                name=event.name,
                text=event.text,
                body=event.body,
                source=event.source,
                dialect=event.dialect,
                message=event.message,
                files=event.files,
            ),
        )

    def _relay_edited(self, unit: Unit, copy: Copy, event: CommandEdited | MessageEdited) -> None:
        relay = unit.posts.relay(copy.thing_id)
        account = unit.people.account(event.actor.account)
        if relay is None or account is None or event.body is None:
            raise Ignored
        relays.edited(unit, relay, account, event.body, event.kept)

    def _deleted(self, unit: Unit, event: MessageDeleted) -> None:
        chat = unit.communities.chat(event.message.chat)
        if chat is None:
            raise Ignored
        signal = unit.votes.signal_by_ref(chat.id, event.message.key)
        if signal is not None:
            take_back(unit, signal.account_id, signal, event.at or unit.now)
            return None
        copy = unit.copies.copy_of(chat.id, event.message.key)
        if copy is None:
            if unit.tries.any_try(chat.id):
                return self._park(unit, chat, event.message, event)
            raise Ignored
        if copy.kind is ThingKind.RELAY and not copy.ours:
            relay = unit.posts.relay(copy.thing_id)
            return relays.deleted(unit, relay) if relay else None
        return posts.message_deleted(unit, copy)

    # -- reactions -----------------------------------------------------------------------------------------------

    def _reaction(self, unit: Unit, event: ReactionChanged) -> None:
        if event.actor.bot or event.actor.anonymous:
            raise Ignored
        given = any_vote(event.added)
        chat = unit.communities.chat(event.message.chat)
        if chat is None or not (given or event.whole or any_vote(event.removed)):
            raise Ignored
        known = unit.votes.reacted(chat.id, event.message.key, event.actor.account)
        if known is not None and _as_known(event.actor, known):
            return react(unit, known, chat.id, event)
        return self._reaction_of(unit, chat, event, given=given)

    @staticmethod
    def _first_vote(unit: Unit, event: ReactionChanged) -> bool:
        """What nothing can speak against any more needs no savepoint. Returns whether the event was of that kind."""
        actor, key = event.actor, event.key
        chat = unit.communities.chat(event.message.chat)
        if key is None or chat is None or actor.bot or actor.anonymous:
            return False
        known = unit.votes.reacted(chat.id, event.message.key, actor.account)
        if known is None or not _as_known(actor, known) or unit.intake.seen(key):
            return False
        if not first_vote(unit, known, chat.id, event):
            return False
        unit.intake.note(key, unit.now)
        passing("inbound.claimed")
        return True

    def _reaction_of(self, unit: Unit, chat: Chat, event: ReactionChanged, *, given: bool) -> None:
        """By somebody new or with another name, or on what is no post that stands."""
        copy = unit.copies.copy_of(chat.id, event.message.key)
        if copy is None:
            if unit.tries.any_try(chat.id):
                return self._park(unit, chat, event.message, event)
            raise Ignored
        post = unit.posts.post(copy.thing_id) if copy.kind is ThingKind.POST else None
        if post is None or post.deleted_at is not None:
            raise Ignored
        account = unit.people.account(event.actor.account)
        if (account is None and not given) or (account and account.opted_out):
            raise Ignored
        return react(unit, about(post, account_of(unit, event.actor)), chat.id, event)

    def _reactors(self, unit: Unit, event: ReactorsFound) -> None:
        """What was taken back while nobody listened is taken back now."""
        chat = unit.communities.chat(event.message.chat)
        copy = unit.copies.copy_of(chat.id, event.message.key) if chat else None
        if chat is None or copy is None or copy.kind is not ThingKind.POST:
            raise Ignored
        standing, only = set(event.accounts), signal_emoji(event.emoji)
        for signal in unit.votes.signals_on_message(PostId(copy.thing_id), chat.id, event.message.key):
            account = unit.people.account_by_id(signal.account_id)
            if account.ref in standing or (only and signal.emoji != only):
                continue
            if event.began is None or signal.at < event.began:
                take_back(unit, account.id, signal, signal.at)

    # -- what must wait, and places ------------------------------------------------------------------------------

    def _park(self, unit: Unit, chat: Chat, waits_for: MessageRef, event: Inbound) -> None:
        """A send of ours is under way in this chat, so this may speak of what is about to be known."""
        unit.intake.park(
            Parked(
                id=unit.new_id(),
                chat_id=chat.id,
                message_key=waits_for.key,
                event=codec.dump(_without_key(event)),
                expires_at=unit.now + self.rules.park_life,
            )
        )

    @staticmethod
    def _missed(unit: Unit, event: Missed) -> None:
        """Nothing can be done about it but say so, where an operator looks."""
        where = f"{event.platform} {event.chat.key}" if event.chat else str(event.platform)
        log.warning("%s: %s", where, event.reason)
        _count(unit, event.platform, Happening.MISSED)
        unit.intake.bury(unit.new_id(), "Missed", codec.dump(event), event.reason, unit.now)

    def _place(self, unit: Unit, event: PlaceChanged) -> None:
        chat = unit.communities.chat(event.chat)
        if chat is None:
            raise Ignored
        if event.shared:
            return unit.communities.describe_chat(chat.id, chat.title, False, chat.closed)
        if event.moved_to is not None:
            self._moved(unit, chat, event.moved_to)
        elif event.gone:
            places.lose(unit, chat, _loss(event, Loss.REMOVED))
        elif event.muted:
            places.lose(unit, chat, _loss(event, Loss.MUTED))
        else:
            places.find(unit, chat)
        return None

    @staticmethod
    def _moved(unit: Unit, chat: Chat, to: ChatRef) -> None:
        """The row goes with the room. What stood in the old one stays there, out of reach: numbers begin anew."""
        there = unit.communities.chat(to)
        if there is not None and there.community_id is not None:
            places.lose(unit, chat, Loss.MOVED, "to a room that was set up already")
            return
        if there is not None:
            # Somebody was heard in the new room before the move was: that row steps aside.
            unit.communities.move_chat(there.id, ChatRef(to.platform, f"{to.key} before {there.id}"))
            places.lose(unit, there, Loss.MOVED, "another row moved here")
        unit.placing.leave_behind(chat.id, "its room moved")
        unit.communities.set_pinned(chat.id, "")
        unit.communities.move_chat(chat.id, to)
        places.find(unit, chat)
        unit.woken.add(chat.id)


def _advance(unit: Unit, event: Inbound) -> None:
    """An event that was refused by the database is read back from here: what came after it must not hide it."""
    mark = event.bookmark
    if mark is not None and mark.after in (None, unit.intake.bookmark(mark.scope)):
        unit.intake.set_bookmark(mark.scope, mark.value)


def _count(unit: Unit, platform: Platform | None, what: Happening, number: int = 1) -> None:
    if platform is not None:
        unit.happened[platform, what] += number


def _loss(event: PlaceChanged, otherwise: Loss) -> Loss:
    return Loss(event.reason) if event.reason in Loss.__members__.values() else otherwise


def _as_known(actor: Actor, known: Reacted) -> bool:
    return (
        (actor.name == known.name or clean_name(actor.name) == known.name)
        and actor.username == known.username
        and (not actor.locale or str(actor.locale) == known.locale)
    )


def _by_member(unit: Unit, actor: Actor) -> bool:
    """Who never joined talks in their room, as people do: nothing travels by surprise."""
    account = unit.people.account(actor.account)
    return account is not None and account.member_id is not None


def _with_files(scene: Scene, event: CommandInvoked | MessageReceived) -> Scene:
    return (
        structs.replace(scene, files=event.files, album=event.album) if event.files or event.album else scene
    )


def _publish_reply(scene: Scene, event: MessageReceived, parent: Post) -> None:
    posts.publish(scene, event.body, source=event.source, dialect=event.dialect, reply_to=parent)


#: Stands where a one-time code stood, so that nothing can be run again as if there had been none.
FORGOTTEN = "…"


def _without_secrets(event: Inbound) -> Inbound:
    """Without an interaction's token and one-time codes: a dead letter is kept for people to read."""
    if isinstance(event, ButtonPressed):
        return replace(event, handle="")
    if not isinstance(event, CommandInvoked):
        return event
    if event.name.lower() in CODED:
        return replace(event, handle="", text=FORGOTTEN, source="", options=None, body=None)
    return replace(event, handle="")


def _without_key(event: Inbound) -> Inbound:
    """A parked event was claimed in the inbox when it came; applied later, it must not be taken for a repeat."""
    return replace(event, key=None, bookmark=None)
