"""What a room is to show no longer, and what it is to show again."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Text, bindparam, case, cast, delete, literal, null, select, update

from core.intents import Form
from core.records import CopyState, Verb
from core.types import ChatId, FeedKind, ThingId, ThingKind
from storage import tables as t
from storage.statements import Build, Runner, Statement
from storage.tables import Instant

_O, _P, _M, _C = t.outbox.c, t.posts.c, t.mirrors.c, t.copies.c
_N, _T, _B = t.notices.c, t.tries.c, t.boosts.c
_LIVE, _FOLDED, _WITHDRAWN = CopyState.LIVE.value, CopyState.FOLDED.value, CopyState.WITHDRAWN.value
#: How often a post comes back to a room that it was withdrawn from.
MOST_RETURNS = 3


def _some(table: Any, *conditions: Any) -> Any:
    """A row of this table for the row that is asked about."""
    return select(literal(1)).select_from(table).where(*conditions).correlate_except(table).exists()


def _wanted() -> Any:
    """The row's post was written in the room, a mirror of the room brings it, or it answers what stands there."""
    boosted = _some(t.boosts, _B.post_id == _P.id, cast(_B.member_id, Text) == _M.feed_key)
    tagged = _some(t.post_tags, t.post_tags.c.post_id == _P.id, t.post_tags.c.tag == _M.feed_key)
    mirrored = _some(
        t.mirrors,
        _M.chat_id == _O.chat_id,
        (_M.feed_kind == FeedKind.EVERYTHING.value)
        | ((_M.feed_kind == FeedKind.MEMBER.value) & ((_M.feed_key == cast(_P.author_id, Text)) | boosted))
        | ((_M.feed_kind == FeedKind.COMMUNITY.value) & (_M.feed_key == cast(_P.community_id, Text)))
        | ((_M.feed_kind == FeedKind.TAG.value) & tagged),
    )
    answers = _some(t.copies, _C.chat_id == _O.chat_id, _C.thing_id == _P.reply_to)
    return _some(t.posts, _P.id == _O.thing_id, (_P.chat_id == _O.chat_id) | mirrored | answers)


#: Due all the same: a first send may be under way, or its answer lost, and is looked for.
WITHDRAW_UNMIRRORED = Statement(
    lambda _: (
        update(t.outbox)
        .where(
            _O.chat_id == bindparam("chat"),
            _O.due == 1,
            _O.rank == 1,
            _O.kind == ThingKind.POST.value,
            _O.state == _LIVE,
            _O.shown == 0,
            ~_wanted(),
        )
        .values(state=_WITHDRAWN, rank=0, ready_at=bindparam("at", type_=Instant), reason=bindparam("why"))
        .returning(_O.thing_id)
    )
)
UNSENT_FOLDS = Statement(
    lambda _: select(_O.thing_id).where(
        _O.chat_id == bindparam("chat"),
        _O.due == 1,
        _O.kind == ThingKind.FOLD.value,
        _O.state == _LIVE,
        _O.shown == 0,
    )
)
WITHDRAW_LINES = Statement(
    lambda d: (
        update(t.outbox)
        .where(
            _O.chat_id == bindparam("chat"),
            d.among(_O.fold_id, "folds"),
            _O.state == _FOLDED,
            ~_wanted(),
        )
        .values(state=_WITHDRAWN, due=0, reason=bindparam("why"))
        .returning(_O.fold_id)
    )
)
WITHDRAW = Statement(
    lambda d: (
        update(t.outbox)
        .where(
            _O.thing_id == bindparam("thing"),
            d.among(_O.chat_id, "chats"),
            (_O.state == _LIVE) | (_O.state == _FOLDED),
        )
        .values(
            state=_WITHDRAWN,
            due=case((_O.state == _LIVE, 1), else_=0),
            rank=0,
            ready_at=bindparam("at", type_=Instant),
            reason=bindparam("why"),
        )
        .returning(_O.chat_id, _O.fold_id)
    )
)


def _again(d: Build) -> Any:
    """Where a copy still stands it is edited; where it was taken away the next one is a new message."""
    ready: Any = bindparam("ready", type_=Instant)
    stands = _some(t.copies, _C.chat_id == _O.chat_id, _C.thing_id == _O.thing_id)
    return (
        update(t.outbox)
        .where(
            _O.thing_id == bindparam("thing"),
            d.among(_O.chat_id, "chats"),
            _O.state == _WITHDRAWN,
            _O.returns < MOST_RETURNS,
        )
        .values(
            state=_LIVE,
            due=1,
            wanted=bindparam("version"),
            shown=case((stands, _O.shown), else_=0),
            rank=case((stands, 2), else_=1),
            returns=_O.returns + case((stands | (_O.shown == 0), 0), else_=1),
            begun=case((stands, _O.begun), else_=0),
            form=Form.FULL.value,
            fold_id=null(),
            # Who brings it now is said by whoever asked.
            boosted_by=null(),
            attempts=0,
            reason="",
            ready_at=ready,
            queued_at=ready,
        )
        .returning(_O.chat_id)
    )


AGAIN = Statement(_again)
WITHDRAW_IN = Statement(
    lambda _: (
        update(t.outbox)
        .where(
            _O.chat_id == bindparam("chat"),
            _O.kind != ThingKind.NOTICE.value,
            _O.state == _LIVE,
            _O.shown == 0,
            _O.begun == 0,
        )
        .values(due=0, state=CopyState.WITHDRAWN.value, reason=bindparam("why"))
    )
)
WITHDRAW_SHOWN = Statement(
    lambda _: update(t.outbox)
    .where(
        _O.chat_id == bindparam("chat"), _O.kind != ThingKind.NOTICE.value, _O.state == _LIVE,
        (_O.shown > 0) | (_O.begun == 1),
    )
    .values(
        due=1, rank=0, wanted=_O.wanted + 1, ready_at=bindparam("at", type_=Instant), reason=bindparam("why"),
        state=CopyState.WITHDRAWN.value,
    )
)  # fmt: skip
LEAVE_SHOWN = Statement(
    lambda _: (
        update(t.outbox)
        .where(
            _O.chat_id == bindparam("chat"),
            _O.kind != ThingKind.NOTICE.value,
            _O.shown > 0,
            (_O.state == _LIVE) | (_O.state == CopyState.WITHDRAWN.value),
        )
        .values(due=0, state=CopyState.REMOVED.value, reason=bindparam("why"))
    )
)
#: Tries of what was shown already: a first send under way may still be repeated.
LEAVE_TRIES = Statement(
    lambda _: delete(t.tries).where(
        _T.chat_id == bindparam("chat"),
        select(literal(1)).where(_O.chat_id == _T.chat_id, _O.thing_id == _T.thing_id, _O.shown > 0).exists(),
    )
)
LEAVE_COPIES = Statement(lambda _: delete(t.copies).where(_C.chat_id == bindparam("chat")))
LEAVE_ACTS = Statement(
    lambda d: delete(t.outbox).where(
        _O.chat_id == bindparam("chat"),
        select(literal(1)).where(_N.id == _O.thing_id, d.among(_N.verb, "verbs")).exists(),
    )
)
LEAVE_NOTICES = Statement(
    lambda d: delete(t.notices).where(_N.chat_id == bindparam("chat"), d.among(_N.verb, "verbs"))
)
LEAVE_REPLIES = Statement(
    lambda _: update(t.notices).where(_N.chat_id == bindparam("chat")).values(message_key="")
)


class PlacingStore:
    """``woken`` collects the chats whose courier has something new to look at."""

    def __init__(self, run: Runner, woken: set[ChatId]) -> None:
        self._run = run
        self._woken = woken

    def withdraw_unmirrored(self, chat: ChatId, now: datetime, reason: str) -> list[ThingId]:
        """Waiting posts that this room wants no more never come. Returns the unsent folds that lost lines."""
        if self._run.all(WITHDRAW_UNMIRRORED, chat=chat, at=now, why=reason):
            self._woken.add(chat)
        folds = [fold for (fold,) in self._run.all(UNSENT_FOLDS, chat=chat)]
        if not folds:
            return []
        lines = self._run.all(WITHDRAW_LINES, chat=chat, folds=folds, why=reason)
        return [ThingId(fold) for fold in dict.fromkeys(fold for (fold,) in lines)]

    def withdraw(self, thing: ThingId, chats: list[ChatId], now: datetime, reason: str) -> list[ThingId]:
        """The thing is to go from these chats, or not to come. Returns the folds that showed it."""
        rows = self._run.all(WITHDRAW, thing=thing, chats=chats, at=now, why=reason) if chats else []
        self._woken.update(ChatId(chat) for chat, _ in rows)
        return [ThingId(fold) for _, fold in rows if fold is not None]

    def again(self, thing: ThingId, version: int, chats: list[ChatId], ready_at: datetime) -> set[ChatId]:
        """What was withdrawn from these chats is to be shown there again; what people took away is not.

        Returns where that is so: a few times at most.
        """
        rows = (
            self._run.all(AGAIN, thing=thing, version=version, chats=chats, ready=ready_at) if chats else []
        )
        found = {ChatId(chat) for (chat,) in rows}
        self._woken |= found
        return found

    def withdraw_waiting(self, chat: ChatId, reason: str) -> None:
        self._run.run(WITHDRAW_IN, chat=chat, why=reason)

    def leave_behind(self, chat: ChatId, reason: str) -> None:
        """The chat got another identity: its messages so far are out of reach, what waits goes to the new one."""
        verbs = [verb.value for verb in (Verb.MARK, Verb.UNMARK, Verb.TAKE, Verb.UNPIN)]
        self._run.run(LEAVE_TRIES, chat=chat)
        self._run.run(LEAVE_SHOWN, chat=chat, why=reason)
        self._run.run(LEAVE_COPIES, chat=chat)
        self._run.run(LEAVE_ACTS, chat=chat, verbs=verbs)
        self._run.run(LEAVE_NOTICES, chat=chat, verbs=verbs)
        self._run.run(LEAVE_REPLIES, chat=chat)

    def withdraw_all(self, chat: ChatId, now: datetime) -> None:
        """Every copy shown in this chat is to go."""
        self._run.run(WITHDRAW_SHOWN, chat=chat, at=now, why="the room left its community")
        self._woken.add(chat)
