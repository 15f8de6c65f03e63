"""Ordinary talk passed between the rooms of one community. Never a post: no feed, no search, no vote."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence

from core.body import Body, to_json
from core.errors import Ignored
from core.events import MessageReceived
from core.names import poses
from core.records import Account, Chat, Copy, Member, Relay
from core.scene import Rules
from core.social import enclosures
from core.social.communities import share_talk
from core.social.setup import start_community
from core.stores.unit import Unit
from core.types import ChatId, ChatRef, MessageRef, ThingId, ThingKind


def declare(unit: Unit, rules: Rules, rooms: Sequence[ChatRef]) -> list[ChatRef]:
    """What the operator's config asks for: these rooms are one community and pass their talk on.

    Each room is set up once: what its admins change afterwards stays. Returns the rooms that belong to another
    community, which are left alone.
    """
    chats = [_chat_of(unit, rules, ref) for ref in rooms]
    owners = [chat.community_id for chat in chats if chat.community_id is not None]
    community = owners[0] if owners else start_community(unit, chats[0].title)
    elsewhere = []
    for chat in chats:
        mark = f"relay declared: {chat.ref.platform}:{chat.ref.key}"
        if unit.intake.meta(mark) is not None:
            continue
        if chat.community_id not in (None, community):
            elsewhere.append(chat.ref)
            continue
        unit.intake.set_meta(mark, str(community))
        unit.communities.set_community(chat.id, community)
        share_talk(unit, chat, unit.communities.community(community), on=True)
    return elsewhere


def _chat_of(unit: Unit, rules: Rules, ref: ChatRef) -> Chat:
    found = unit.communities.chat(ref)
    if found is None:
        id_ = ChatId(unit.new_id())
        unit.communities.add_chat(id_, ref, "", False, False, rules.default_language, unit.now)
        found = unit.communities.chat_by_id(id_)
    return found


def pass_on(unit: Unit, rules: Rules, chat: Chat, account: Account, event: MessageReceived) -> None:
    """One message of a room with its relay on goes to the other rooms of its community that have it on."""
    assert chat.community_id is not None
    others = unit.communities.relayed_with(chat.community_id, chat.id)
    banned = account.member_id and unit.communities.banned(chat.community_id, account.member_id)
    if not others or account.opted_out or banned:
        raise Ignored
    id_ = ThingId(unit.new_id())
    parent = unit.copies.copy_of(chat.id, event.reply_to.key) if event.reply_to else None
    unit.posts.add_relay(
        id_,
        chat.id,
        account.id,
        account.name,
        to_json(event.body),
        parent.thing_id if parent else None,
        unit.now,
    )
    unit.copies.note_origin(
        Copy(
            chat_id=chat.id,
            thing_id=id_,
            kind=ThingKind.RELAY,
            part=0,
            message=event.message,
            ours=False,
            shown=0,
            sent_at=unit.now,
        )
    )
    ids = [other.id for other in others]
    unit.posts.add_places(id_, ids)
    unit.outbox.want(id_, ThingKind.RELAY, 1, ids, rank=1, now=unit.now, ready_at=unit.now)
    enclosures.enclose(unit, rules.media, id_, chat.ref.platform, event.files, event.album)


def edited(
    unit: Unit, relay: Relay, account: Account, body: Body, kept: Collection[str] | None = None
) -> None:
    """``kept``: the keys of the files that still stand with it, where its platform says."""
    if relay.account_id != account.id or relay.deleted_at is not None:
        return
    if kept is not None:
        enclosures.keep(unit, relay.id, kept)
    now = unit.posts.relay(relay.id)
    assert now is not None
    unit.posts.revise_relay(relay.id, to_json(body))
    unit.outbox.bump(relay.id, now.version + 1, rank=2, now=unit.now)


def deleted(unit: Unit, relay: Relay) -> None:
    if relay.deleted_at is None:
        unit.posts.delete_relay(relay.id, unit.now)
        unit.media.drop(relay.id)
        unit.outbox.bump(relay.id, relay.version + 1, rank=0, now=unit.now)


def speaker(rules: Rules, relay: Relay, account: Account, member: Member | None, chat: Chat) -> str:
    """The name that a room sees. A platform's name crosses to another platform only with its person's yes."""
    label = rules.label(account.ref.platform)
    if chat.ref.platform == account.ref.platform and relay.author and not poses(relay.author):
        return relay.author
    if member is None:
        digest = hashlib.sha256(rules.key + b"guest" + str(account.id).encode()).hexdigest()
        return f"guest-{digest[:4]} · {label}"
    name = member.name if member.show_name and member.name else ""
    return f"{name} (@{member.handle} · {label})" if name else f"@{member.handle} · {label}"


def origin(unit: Unit, chat: Chat, ref: MessageRef) -> Relay | None:
    copy = unit.copies.copy_of(chat.id, ref.key)
    return (
        unit.posts.relay(copy.thing_id) if copy and copy.kind is ThingKind.RELAY and not copy.ours else None
    )
