"""An author's own message, from which a post was made, was edited on its platform."""

from __future__ import annotations

from core.body import Body
from core.commands import find_spec
from core.dispatch import check, parse
from core.events import CommandEdited, MessageEdited
from core.notices import answer
from core.records import Copy, Post
from core.scene import Scene
from core.social import posts
from core.stores.unit import Unit
from core.text import without_prefix
from core.types import Visibility


def apply(scene: Scene, event: CommandEdited | MessageEdited, origin: Copy, *, taken: bool) -> None:
    """The post says what its message says now. Raises ``Refusal``.

    ``taken``: a file was taken out of the message, whose words may be as they were.
    """
    unit = scene.unit
    post = unit.posts.post(origin.thing_id)
    assert post is not None
    body, source, wish = event.body, event.source, ""
    if isinstance(event, CommandEdited):
        body, source, wish = _parts_of(event)
    now = posts.narrow(scene, post, Visibility(wish)) if wish else post
    old = taken and _replaced(unit, post, origin, source)
    moved = None if old else posts.edit(scene, now, body, source, event.dialect)
    said_now = post.revision + (moved is not None)
    if not old and said_now != _last_said(origin):
        unit.copies.copy_shows(origin.chat_id, origin.thing_id, origin.part, said_now, "")
    if said := posts.say_edited(post, now, moved, asked=False):
        answer(scene, said)


def _replaced(unit: Unit, post: Post, origin: Copy, source: str) -> bool:
    """Whether these are the words that its message has said before, and ``/edit`` others since."""
    last = _last_said(origin)
    return last < post.revision and source == unit.posts.revisions(post.id)[last - 1].source


def _last_said(origin: Copy) -> int:
    """The number of the revision that its author's message says."""
    return max(origin.shown, 1)


def _parts_of(event: CommandEdited) -> tuple[Body | None, str, str]:
    """The text of a ``/post`` or ``/edit`` that was edited, without its flags; and who may see it, if it says."""
    spec, rest, _ = find_spec(event.name, event.text)
    values, used = parse(spec, rest)
    check(spec, values)
    body = without_prefix(event.body, used) if event.body is not None else None
    return body, values.get("text", ""), values.get("visibility", "").lower()
