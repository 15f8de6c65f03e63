"""What a form for a command begins with, for who may use it."""

from __future__ import annotations

from collections.abc import Mapping

from core.body import from_json
from core.commands import Kind, spec_of
from core.records import Member, Post
from core.rights import refusal
from core.scene import Rules
from core.social.posts import parse_id, short_id
from core.stores.unit import Unit
from core.suggestions import Asked, Draft


def draft(unit: Unit, rules: Rules, asked: Asked, values: Mapping[str, str]) -> Draft | None:
    """``None`` for who may not use the command: they hear so before they write anything.

    ``values``: the arguments typed already. A post is named by its short id, so that it stays the same one.
    """
    spec = spec_of(asked.command)
    account = unit.people.account(asked.actor.account)
    member = unit.people.member(account.member_id) if account and account.member_id else None
    chat = unit.communities.chat(asked.chat)
    if spec is None or refusal(
        spec.who,
        asked.actor.rights,
        member=member is not None,
        operator=asked.actor.account in rules.operators,
        private=chat is not None and chat.private,
    ):
        return None
    named = {arg.name: values[arg.name] for arg in spec.args if arg.kind is Kind.POST and arg.name in values}
    ids = {name: short_id(id_) for name, typed in named.items() if (id_ := parse_id(typed)) is not None}
    if spec.name != "edit" or member is None:
        return Draft(ids)
    post = _own(unit, member, values.get("post", ""))
    if post is None:
        return Draft(ids)
    return Draft({"post": short_id(post.id)}, from_json(unit.posts.revision(post.id).body))


def _own(unit: Unit, member: Member, typed: str) -> Post | None:
    id_ = parse_id(typed) if typed else None
    post = unit.posts.post(id_) if id_ is not None else None if typed else unit.posts.latest_of(member.id)
    return post if post is not None and post.author_id == member.id and post.deleted_at is None else None
