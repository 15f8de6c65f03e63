"""Joining, names, and the accounts through which one member speaks."""

from __future__ import annotations

from msgspec import structs

from core.errors import Message, Refusal, Secret, WrongCode, message
from core.names import HANDLE, RESERVED, confusable, poses, skeleton, suggest_handle
from core.notices import Choice, Said, answer, brief, say, tell_account
from core.records import Account, Code, Member
from core.scene import Scene, hash_code, new_nonce
from core.social.votes import count_standing, show_all_again, take_back
from core.stores.unit import Unit
from core.types import MemberId

LINK = "link"
#: Begins the start payload of a deep link; the code follows.
START_LINK = "link-"
#: Handles that are kept for one member at a time: no more changes before the first of them is free.
MAX_RENAMES = 3


def join(scene: Scene, wish: str) -> None:
    """One tap makes a network member. Raises ``Refusal`` for a handle that cannot be had."""
    if scene.member is not None:
        return _rename(scene, scene.member, wish)
    member = _add_member(scene, _free_handle(scene, wish))
    joined = scene.as_member(member)
    _enter_community(joined)
    count_standing(scene.unit, joined.account, member.id)
    said = Said(
        (
            message("join.done", handle=member.handle),
            message("join.shown_as", handle=member.handle, name=scene.actor.name),
        ),
        (Choice(message("join.show_name", name=scene.actor.name), data="name:show"),),
        text_command="name show",
        brief=True,
    )
    answer(joined, said)
    return None


def _add_member(scene: Scene, handle: str) -> Member:
    unit = scene.unit
    id_ = MemberId(unit.new_id())
    unit.people.add_member(id_, handle, skeleton(handle), "", "", unit.now)
    unit.people.bind(scene.account.id, id_)
    if scene.account.opted_out:
        unit.people.set_opted_out(scene.account.id, False)
    return unit.people.member(id_)


def _enter_community(scene: Scene) -> None:
    if scene.member and scene.chat.community_id:
        scene.unit.communities.add_membership(scene.chat.community_id, scene.member.id, scene.unit.now)


def _rename(scene: Scene, member: Member, wish: str) -> None:
    if not wish or wish.lstrip("@").lower() == member.handle:
        return answer(scene, brief("join.already", handle=member.handle))
    handle = _checked_handle(scene, wish, own=member)
    people, now = scene.unit.people, scene.unit.now
    people.release_handle(handle)
    kept = people.kept_for(member.id, now)
    if len(kept) >= MAX_RENAMES:
        raise Refusal("handle.too_often", at=kept[0])
    until = now + scene.rules.handle_life
    people.keep_handle(member.handle, skeleton(member.handle), member.id, until)
    people.rename_member(member.id, handle, skeleton(handle))
    return answer(scene, brief("join.renamed", handle=handle, old=member.handle, at=until))


def _free_handle(scene: Scene, wish: str) -> str:
    if wish:
        return _checked_handle(scene, wish)
    stem = suggest_handle(scene.actor.username or scene.actor.name)
    if any(confusable(stem, reserved) for reserved in RESERVED):
        stem = suggest_handle(f"member {stem}")
    for number in range(1, 10_000):
        handle = stem if number == 1 else f"{stem[:16]}{number}"
        if _refused(scene, handle, None) is None:
            return handle
    raise Refusal("handle.none_free")


def _checked_handle(scene: Scene, wish: str, *, own: Member | None = None) -> str:
    handle = wish.lstrip("@").lower()
    if not HANDLE.fullmatch(handle):
        raise Refusal("handle.form", handle=handle[:40])
    if any(confusable(handle, reserved) for reserved in RESERVED):
        raise Refusal("handle.reserved", handle=handle)
    if (refusal := _refused(scene, handle, own)) is not None:
        raise refusal
    return handle


def _refused(scene: Scene, handle: str, own: Member | None) -> Refusal | None:
    """Why this name, or one that could be taken for it, is another member's: now, or until lately."""
    people, alike = scene.unit.people, skeleton(handle)
    other = people.handle_like(handle, alike)
    if other is not None and (own is None or other != own.handle):
        outcome = "handle.taken" if other == handle else "handle.confusable"
        return Refusal(outcome, handle=handle, other=other)
    until = people.kept_until(handle, alike, own.id if own else None, scene.unit.now)
    return None if until is None else Refusal("handle.kept", handle=handle, at=until)


def set_name(scene: Scene, wish: str) -> None:
    """Whether the platform's display name may cross to other platforms. Raises ``Refusal``."""
    member = require_member(scene)
    shown = wish == "show"
    if shown and (poses(scene.actor.name) or _anothers(scene, member)):
        raise Refusal("name.confusable", name=scene.actor.name)
    scene.unit.people.show_name(member.id, shown, scene.actor.name if shown else "")
    if not shown:
        # The yes is taken back for what stands there already, too.
        show_all_again(scene.unit, scene.unit.posts.bump_all_of(member.id), rank=3)
    outcome = message("name.shown" if shown else "name.hidden", name=scene.actor.name, handle=member.handle)
    answer(scene, Said((outcome, *(() if shown else _stays(scene)))))


def _stays(scene: Scene) -> list[Message]:
    """What was said in an author's own name cannot be given another one."""
    voiced = [can.label for can in scene.rules.platforms.values() if can.as_author]
    return [message("name.stays", platform=label) for label in voiced]


def _anothers(scene: Scene, member: Member) -> bool:
    """Whether the display name could be taken for somebody else's handle."""
    return _refused(scene, scene.actor.name.lower(), member) is not None


def require_member(scene: Scene) -> Member:
    """Raises ``Refusal`` with the way to join."""
    if scene.member is None:
        raise Refusal("member.needed")
    return scene.member


def whoami(scene: Scene) -> None:
    if scene.member is None:
        return answer(scene, brief("whoami.guest"))
    lines = [message("whoami.member", handle=scene.member.handle)]
    lines += [
        message("whoami.account", name=account.name, platform=scene.rules.label(account.ref.platform))
        for account in scene.unit.people.accounts_of(scene.member.id)
    ]
    return answer(scene, Said(tuple(lines)))


def opt_out(scene: Scene, wish: str) -> None:
    """Nothing of this account is kept, counted or passed on until it is undone."""
    unit = scene.unit
    if wish == "undo":
        unit.people.set_opted_out(scene.account.id, False)
        return answer(scene, brief("optout.undone"))
    if scene.member is not None and wish != "yes":
        sure = Choice(message("optout.sure"), data="optout:yes")
        said = Said(
            (message("optout.member", handle=scene.member.handle),), (sure,), text_command="optout yes"
        )
        return answer(scene, said)
    for signal in unit.votes.signals_by(scene.account.id):
        take_back(unit, scene.account.id, signal, unit.now)
    unit.reports.forget(scene.account.id)
    if scene.member is not None:
        unit.people.bind(scene.account.id, None)
    unit.people.set_opted_out(scene.account.id, True)
    return answer(scene, brief("optout.done"))


# -- one person, several accounts --------------------------------------------------------------------------------


def link(scene: Scene, typed: str) -> None:
    """Without a word: a code. With a code: the second side. ``yes`` or ``no``: the first side's word on it."""
    if not typed:
        return _offer_code(scene)
    if typed.lower() in ("yes", "no"):
        return _confirm(scene, typed.lower() == "yes")
    return _claim(scene, typed)


def _offer_code(scene: Scene) -> None:
    require_member(scene)
    nonce = new_nonce()
    add_code(scene, LINK, nonce)
    minutes = int(scene.rules.code_life.total_seconds() // 60)
    first = message("link.code", code=Secret(nonce), minutes=minutes)
    answer(scene, Said((first, *_doors(scene, nonce), message("link.warning"))))


def _doors(scene: Scene, nonce: str) -> list[Message]:
    """Where a platform has deep links, one that carries the code."""
    found = []
    for platform, can in scene.rules.platforms.items():
        address = can.door(START_LINK) if can.door and platform != scene.account.ref.platform else ""
        if address:
            found.append(message("link.door", platform=can.label, address=Secret(nonce, address)))
    return found


def add_code(scene: Scene, purpose: str, nonce: str) -> None:
    """A fresh code of this account; its older ones of the same purpose end."""
    unit = scene.unit
    unit.people.drop_codes(scene.account.id, purpose)
    unit.people.add_code(
        Code(
            hash=hash_code(scene.rules.code(nonce)),
            purpose=purpose,
            account_id=scene.account.id,
            community_id=scene.chat.community_id if purpose != LINK else None,
            chat_id=scene.chat.id,
            handle=scene.handle,
            claimed_by=None,
            claim_chat_id=None,
            claim_handle="",
            agreed=False,
            expires_at=unit.now + scene.rules.code_life,
            used=False,
        )
    )


def open_code(scene: Scene, typed: str, purpose: str) -> Code:
    """The code that was typed. Raises ``WrongCode``, and ``Refusal`` after too many tries."""
    unit = scene.unit
    if unit.people.failures(scene.account.id, unit.now - scene.rules.code_life) >= scene.rules.code_tries:
        raise Refusal("code.too_many", minutes=int(scene.rules.code_life.total_seconds() // 60))
    code = unit.people.code(hash_code(typed))
    if code is None or code.purpose != purpose:
        raise WrongCode("code.wrong")
    if code.used:
        raise WrongCode("code.used")
    if code.expires_at < unit.now:
        raise WrongCode("code.old")
    return code


def _claim(scene: Scene, typed: str) -> None:
    unit = scene.unit
    code = open_code(scene, typed, LINK)
    first = unit.people.account_by_id(code.account_id)
    if first.id == scene.account.id:
        raise Refusal("link.same_account")
    if first.member_id is None or (scene.member and scene.member.id == first.member_id):
        raise Refusal("link.already")
    if code.claimed_by not in (None, scene.account.id):
        raise WrongCode("code.used")
    unit.people.claim_code(code.hash, scene.account.id, scene.chat.id, scene.handle)
    holder = unit.people.member(first.member_id)
    platform = scene.rules.label(first.ref.platform)
    answer(scene, _asked(message("link.claim", handle=holder.handle, platform=platform)))


def _asked(question: Message) -> Said:
    """A yes is needed on both sides, each seeing the other's name."""
    return Said(
        (question, message("link.confirm_warning")),
        (Choice(message("link.yes"), data="link:yes"), Choice(message("link.no"), data="link:no")),
        text_command="link yes",
    )


def _confirm(scene: Scene, agreed: bool) -> None:
    """The word of either side: first of the one that typed the code, then of the one that made it."""
    people, now = scene.unit.people, scene.unit.now
    typed = people.code_claimed_by(scene.account.id)
    if typed is not None and typed.expires_at >= now:
        return _second_word(scene, typed, agreed)
    made = people.claimed_code(scene.account.id)
    if made is None or made.claimed_by is None or made.expires_at < now:
        raise Refusal("link.nothing")
    return _first_word(scene, made, people.account_by_id(made.claimed_by), agreed)


def _second_word(scene: Scene, code: Code, agreed: bool) -> None:
    unit = scene.unit
    first = unit.people.account_by_id(code.account_id)
    if not agreed:
        unit.people.use_code(code.hash)
        return answer(scene, say("link.refused_by_you", name=first.name))
    unit.people.agree_to_code(code.hash)
    # An answer through an interaction is given where that person is now, not where they typed the code.
    unit.people.move_claim(code.hash, scene.chat.id, scene.handle)
    platform = scene.rules.label(scene.account.ref.platform)
    ask = _asked(message("link.confirm", name=scene.actor.name or scene.account.name, platform=platform))
    tell_account(unit, first, ask, chat=code.chat_id, handle=code.handle)
    return answer(scene, brief("link.wait", platform=scene.rules.label(first.ref.platform)))


def _first_word(scene: Scene, code: Code, second: Account, agreed: bool) -> None:
    unit = scene.unit
    unit.people.use_code(code.hash)
    if not agreed:
        tell_account(unit, second, say("link.refused"), chat=code.claim_chat_id, handle=code.claim_handle)
        return answer(scene, say("link.refused_by_you", name=second.name))
    member = require_member(scene)
    _unite(unit, member, second)
    platform = scene.rules.label(second.ref.platform)
    tell_account(
        unit,
        second,
        say("link.done", handle=member.handle),
        chat=code.claim_chat_id,
        handle=code.claim_handle,
    )
    return answer(scene, say("link.done_first", name=second.name, platform=platform))


def _unite(unit: Unit, member: Member, second: Account) -> None:
    unit.people.set_opted_out(second.id, False)
    if second.member_id is not None and second.member_id != member.id:
        _merge(unit, second.member_id, member.id)
    else:
        unit.people.bind(second.id, member.id)
        count_standing(unit, second, member.id)


def _merge(unit: Unit, loser: MemberId, winner: MemberId) -> None:
    """Two members were one person: the winner gets everything, and of two votes on one post the latest act."""
    for vote in unit.votes.votes_by(loser):
        held = unit.votes.vote(vote.post_id, winner)
        if held is None or (held.acted_at, held.account_id) < (vote.acted_at, vote.account_id):
            unit.votes.put_vote(structs.replace(vote, member_id=winner))
        unit.votes.drop_vote(vote.post_id, loser)
        unit.touched.add(vote.post_id)
    for feed in unit.people.follows(loser):
        unit.people.follow(winner, feed, unit.now)
    unit.people.unfollow_all(loser)
    unit.votes.move_speakers(loser, winner)
    unit.posts.move(loser, winner)
    _drop_own_votes(unit, winner)
    unit.boosts.move(loser, winner)
    unit.communities.merge_memberships(loser, winner)
    unit.communities.move_bans(loser, winner)
    unit.people.merge(loser, winner)


def _drop_own_votes(unit: Unit, member: MemberId) -> None:
    """What one of two said of the other's posts was said of their own."""
    for vote in unit.votes.votes_by(member):
        post = unit.posts.post(vote.post_id)
        if post is not None and post.author_id == member:
            unit.votes.drop_vote(vote.post_id, member)
            unit.touched.add(vote.post_id)


def unlink(scene: Scene) -> None:
    member = require_member(scene)
    if len(scene.unit.people.accounts_of(member.id)) == 1:
        raise Refusal("unlink.last")
    scene.unit.people.bind(scene.account.id, None)
    answer(scene, say("unlink.done", handle=member.handle))
