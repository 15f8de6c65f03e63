"""What a form for a command begins with, for who may use it."""

from __future__ import annotations

from collections.abc import Mapping

from core.body import from_json
from core.commands import Kind
from core.records import Member, Post
from core.scene import Rules
from core.social.asker import asker
from core.social.posts import parse_id, short_id
from core.stores.unit import Unit
from core.suggestions import Asked, Draft


def draft(unit: Unit, rules: Rules, asked: Asked, values: Mapping[str, str]) -> Draft | None:
    """``None`` for who may not use the command: they hear so before they write anything.

    ``values``: the arguments typed already. A post is named by its short id, so that it stays the same one.
    """
    who = asker(unit, rules, asked)
    if who is None:
        return None
    named = {
        arg.name: values[arg.name] for arg in who.spec.args if arg.kind is Kind.POST and arg.name in values
    }
    ids = {name: short_id(id_) for name, typed in named.items() if (id_ := parse_id(typed)) is not None}
    own = _own(unit, who.member, values.get("post", "")) if who.spec.name == "edit" and who.member else None
    if own is None:
        return Draft(ids)
    return Draft({"post": short_id(own.id)}, from_json(unit.posts.revision(own.id).body))


def _own(unit: Unit, member: Member, typed: str) -> Post | None:
    """The post of this member that is meant: without an id their newest."""
    if not typed:
        return unit.posts.latest_of(member.id)
    id_ = parse_id(typed)
    post = unit.posts.post(id_) if id_ is not None else None
    return post if post and post.author_id == member.id and post.deleted_at is None else None
