"""What may stand in an argument that somebody is just typing: looked up, never stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from core.body import from_json
from core.commands import COMMANDS, Among, Arg, Kind
from core.records import Chat, Member, Post
from core.scene import Rules
from core.social.asker import asker
from core.social.feeds import EVERYTHING
from core.social.posts import parse_id, short_id
from core.stores.unit import Unit
from core.suggestions import Asked, Suggestion
from core.tags import fold_tag
from core.text import first_words
from core.types import CommunityId, Feed, FeedKind, MemberId

#: No platform shows more of them.
MOST = 25
_WORDS = 70
#: How many of the newest posts are searched.
_LOOKED_AT = 200


@dataclass(frozen=True, slots=True)
class _Search:
    """``around``: the communities of which the asker may know who and what is in them."""

    unit: Unit
    rules: Rules
    asked: Asked
    arg: Arg
    chat: Chat | None
    member: Member | None
    around: list[CommunityId]

    @property
    def typed(self) -> str:
        return self.asked.typed.strip()


def suggest(unit: Unit, rules: Rules, asked: Asked) -> list[Suggestion]:
    """At most ``MOST``, the best first; nothing for what the asker may not use or that has no such values."""
    who = asker(unit, rules, asked)
    arg = next((arg for arg in who.spec.args if arg.name == asked.arg), None) if who else None
    if who is None or arg is None or arg.kind not in SOURCES:
        return []
    search = _Search(unit, rules, asked, arg, who.chat, who.member, _around(unit, who.chat, who.member))
    found = {one.value: one for one in SOURCES[arg.kind](search)}
    return list(islice(found.values(), MOST))


def _around(unit: Unit, chat: Chat | None, member: Member | None) -> list[CommunityId]:
    """The asker's communities, and this room's: who is in neither learns nothing of them here."""
    own = unit.communities.of_member(member.id) if member else []
    here = [chat.community_id] if chat and chat.community_id is not None else []
    return sorted({*own, *here})


def _members(search: _Search) -> Iterable[Suggestion]:
    prefix = search.typed.lstrip("@").lower()
    if search.typed.startswith("#"):
        return
    for member in search.unit.people.known_starting(prefix, search.around, MOST):
        yield _plain(f"@{member.handle}")


def _tags(search: _Search) -> Iterable[Suggestion]:
    if search.typed.startswith("@"):
        return
    prefix = fold_tag(search.typed.lstrip("#")) or ""
    for tag in search.unit.timelines.tags_starting(prefix, search.around, MOST):
        yield _plain(f"#{tag}")


def _communities(search: _Search) -> Iterable[Suggestion]:
    prefix = search.typed.lower()
    slugs = [search.unit.communities.community(one).slug for one in search.around]
    if search.asked.actor.account in search.rules.operators:
        slugs.append("everything")
    return map(_plain, sorted(slug for slug in slugs if slug.startswith(prefix)))


def _feeds(search: _Search) -> Iterable[Suggestion]:
    """A third of each at most while nothing is typed, so that one kind does not hide the others."""
    if search.arg.among is not Among.ALL:
        return _fitting(search, _chosen_feeds(search))
    kinds = (_communities(search), _tags(search), _members(search))
    if search.typed:
        return (one for kind in kinds for one in kind)
    return (one for kind in kinds for one in islice(kind, MOST // 3))


def _chosen_feeds(search: _Search) -> Sequence[Feed]:
    if search.arg.among is Among.MINE:
        return search.unit.people.follows(search.member.id) if search.member else ()
    if search.chat is None:
        return ()
    if search.arg.kind is Kind.MEMBER_OR_TAG:
        return search.unit.communities.blocks_of(search.chat.id)
    return [mirror.feed for mirror in search.unit.communities.mirrors_of(search.chat.id)]


def _fitting(search: _Search, feeds: Sequence[Feed]) -> Iterable[Suggestion]:
    typed = search.typed.lower()
    names = (_feed_name(search.unit, feed) for feed in feeds)
    return (_plain(name) for name in names if typed in name.lower())


def _feed_name(unit: Unit, feed: Feed) -> str:
    match feed.kind:
        case FeedKind.MEMBER:
            return f"@{unit.people.member(MemberId(int(feed.key))).handle}"
        case FeedKind.TAG:
            return f"#{feed.key}"
        case FeedKind.COMMUNITY:
            return unit.communities.community(CommunityId(int(feed.key))).slug
        case FeedKind.EVERYTHING:
            return EVERYTHING.kind.value


def _members_or_tags(search: _Search) -> Iterable[Suggestion]:
    if search.arg.among is not Among.ALL:
        return _fitting(search, _chosen_feeds(search))
    return (one for kind in (_members(search), _tags(search)) for one in kind)


def _posts(search: _Search) -> Iterable[Suggestion]:
    """By the words that are typed, or by a post's id. Only what the asker wrote or what stands in this room."""
    unit, typed = search.unit, search.typed.lower()
    if search.arg.among is Among.MINE:
        posts = (
            unit.timelines.written(search.member.id, own=True, inside=[], count=_LOOKED_AT)
            if search.member
            else []
        )
    else:
        ours = search.arg.among is Among.COPIES
        posts = unit.timelines.shown_in(search.chat.id, ours=ours, count=_LOOKED_AT) if search.chat else []
    authors = unit.people.members([post.author_id for post in posts])
    bodies = unit.posts.bodies([post.id for post in posts])
    for post in posts:
        label = _glimpse(bodies[post.id], post, authors[post.author_id])
        if not typed or typed in label.lower() or parse_id(typed) == post.id:
            yield Suggestion(short_id(post.id), label)


def _glimpse(body: str, post: Post, author: Member) -> str:
    words = first_words(from_json(body), _WORDS)
    return f"@{author.handle}: {words}" if words else f"@{author.handle} · {short_id(post.id)}"


def _commands(search: _Search) -> Iterable[Suggestion]:
    typed = search.typed.lstrip("/!").lower()
    return (_plain(spec.name) for spec in COMMANDS if spec.name.startswith(typed))


def _plain(value: str) -> Suggestion:
    return Suggestion(value, value)


#: The kinds of arguments that have suggestions.
SOURCES: Mapping[Kind, Callable[[_Search], Iterable[Suggestion]]] = {
    Kind.MEMBER: _members,
    Kind.FEED: _feeds,
    Kind.MEMBER_OR_TAG: _members_or_tags,
    Kind.POST: _posts,
    Kind.COMMAND: _commands,
}
