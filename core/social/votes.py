"""A reaction on any copy is a signal; the vote is one row per post and member, set by the latest act.

Acts are ordered by (act time, arrival). Taking back the signal that counts means no vote; earlier signals of the
same member stay superseded for good. A find of reconciliation has no time and never displaces a timed act.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache

from msgspec import structs

from core.events import ReactionChanged
from core.records import Account, Post, Reacted, Signal, Vote
from core.stores.unit import Unit
from core.types import AccountId, ChatId, MemberId, PostId, ThingId

#: Everything else is decoration.
VOTES = ("👍", "❤")
_VOTES = frozenset(VOTES)
_VARIATION = "\ufe0f"
_SKIN_TONES = tuple(chr(code) for code in range(0x1F3FB, 0x1F400))


@lru_cache(maxsize=256)
def normal_emoji(emoji: str) -> str:
    """Without variation selectors and skin tones."""
    return "".join(c for c in emoji if c != _VARIATION and c not in _SKIN_TONES)


def any_vote(emojis: Iterable[str]) -> bool:
    return not _VOTES.isdisjoint(map(normal_emoji, emojis))


def signal_emoji(emoji: str) -> str:
    """As a signal keeps it: each skin tone is a reaction of its own, a variation selector is not."""
    return emoji.replace(_VARIATION, "")


def react(unit: Unit, about: Reacted, chat: ChatId, event: ReactionChanged) -> None:
    """Applies what changed in one account's reactions on one copy."""
    added = [signal_emoji(e) for e in event.added if normal_emoji(e) in _VOTES]
    at = event.at or unit.now
    standing = unit.votes.signals_on(about.post_id, about.account_id, chat, event.message.key)
    known, found = set[str](), event.found
    if standing:
        removed = set(map(signal_emoji, event.removed))
        if event.whole:
            removed = {s.emoji for s in standing} - set(added)
        counted = [take_back(unit, about.account_id, s, at) for s in standing if s.emoji in removed]
        # One emoji changed for another while nobody listened is one act, and displaces only itself.
        found = event.found and not any(counted)
        known = {s.emoji for s in standing} - removed
    for emoji in dict.fromkeys(added):
        if emoji not in known:
            _give(unit, about, _signal(about, chat, emoji, event, at), found=found)


def about(post: Post, account: Account) -> Reacted:
    """What a reaction of this account on this post is about."""
    return Reacted(
        post.id, post.author_id, post.account_id,
        account.id, account.member_id, account.name, account.username, account.locale,
    )  # fmt: skip


def _signal(about: Reacted, chat: ChatId, emoji: str, event: ReactionChanged, at: datetime) -> Signal:
    ref = event.ref.key if event.ref else ""
    return Signal(
        about.post_id, about.account_id, chat, event.message.key, emoji, ref, at, superseded=False
    )  # fmt: skip


def first_vote(unit: Unit, about: Reacted, chat: ChatId, event: ReactionChanged) -> bool:
    """The commonest act by far, in one step: a member's first on a post of somebody else. Returns whether it was one.

    What it writes is what ``react`` would; whatever is less plain is left to that.
    """
    member = about.member_id
    if member is None or not about.fresh or event.found or len(event.added) != 1:
        return False
    emoji = event.added[0]
    if emoji not in _VOTES:
        if normal_emoji(emoji) not in _VOTES:
            return False
        emoji = signal_emoji(emoji)
    if about.author_id == member or about.written_by == about.account_id:
        return False
    signal = _signal(about, chat, emoji, event, event.at or unit.now)
    if not unit.votes.first(signal, _vote(signal, member, signal.at)):
        return False
    unit.voted.add(about.post_id)
    return True


def _give(unit: Unit, about: Reacted, signal: Signal, *, found: bool) -> None:
    member = about.member_id
    if member is None:
        unit.touched.add(about.post_id)
        return unit.votes.put_signal(signal)
    unit.voted.add(about.post_id)
    counts = _may_count(unit, about, member)
    held = unit.votes.vote(about.post_id, member)
    wins = counts and (held is None or (not found and held.acted_at <= signal.at))
    if wins:
        unit.votes.supersede(about.post_id, unit.people.account_ids(member))
        unit.votes.put_vote(_vote(signal, member, _written(unit, about) if found else signal.at))
    return unit.votes.put_signal(structs.replace(signal, superseded=not wins))


def _written(unit: Unit, about: Reacted) -> datetime:
    """A find has no time of its own: every timed act is later."""
    post = unit.posts.post(about.post_id)
    assert post is not None
    return post.created_at


def _may_count(unit: Unit, about: Reacted, member: MemberId) -> bool:
    """Never one's own post, and never an account that spoke here for somebody else before."""
    spoken_for = unit.votes.speaks_for(about.post_id, about.account_id, member)
    return spoken_for == member and about.author_id != member and about.written_by != about.account_id


def _vote(signal: Signal, member: MemberId, at: datetime) -> Vote:
    return Vote(signal.post_id, member, signal.account_id, 1, signal.emoji, at)


def take_back(unit: Unit, account: AccountId, signal: Signal, at: datetime) -> bool:
    """The signal is gone; where it was the one that counts, so is the vote. Returns whether it was.

    An account that was unlinked since still answers for the vote that it gave.
    """
    unit.votes.drop_signal(signal)
    unit.touched.add(signal.post_id)
    member = unit.votes.spoke_for(signal.post_id, account)
    if member is None or signal.superseded:
        return False
    held = unit.votes.vote(signal.post_id, member)
    if held is None or held.value != 1 or held.account_id != account:
        return False
    unit.votes.put_vote(structs.replace(held, value=0, acted_at=max(at, held.acted_at)))
    return True


def count_standing(unit: Unit, account: Account, member: MemberId) -> None:
    """A guest joined or linked: the reactions that stand count now, each at its own time."""
    joined = unit.people.account_by_id(account.id)
    for signal in unit.votes.signals_by(account.id):
        post = unit.posts.post(signal.post_id)
        if post is not None and joined.member_id == member:
            unit.touched.add(post.id)
            _give(unit, about(post, joined), signal, found=False)


def settle(unit: Unit) -> None:
    """Once a batch: recounts every touched post, and wants the new tally shown wherever the post stands."""
    moved = unit.votes.recount(unit.touched) if unit.touched else {}
    if voted := unit.voted - unit.touched:
        moved |= unit.votes.count_more(voted)
    for fold in unit.outbox.tally(moved, unit.now) if moved else ():
        unit.folds.bump_fold(fold, unit.now, rank=3)
    unit.touched.clear()
    unit.voted.clear()


def show_again(unit: Unit, post: PostId, version: int, *, rank: int) -> None:
    """Every copy of the post, and every fold with a line of it, is to show this version."""
    for fold in unit.outbox.bump(ThingId(post), version, rank=rank, now=unit.now):
        unit.folds.bump_fold(fold, unit.now, rank=rank)


def show_all_again(unit: Unit, posts: list[PostId], *, rank: int) -> None:
    """The same of many posts, by the versions that they got."""
    for fold in dict.fromkeys(unit.outbox.bump_posts(posts, rank=rank, now=unit.now)):
        unit.folds.bump_fold(fold, unit.now, rank=rank)


def show_quoting(unit: Unit, post: PostId) -> None:
    """Posts that carry this one inside, or answer it, are to show it as it may be read now."""
    show_all_again(unit, unit.posts.bump_quoting(post), rank=2)
