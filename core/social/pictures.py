"""What pictures show, in words, for those who cannot see them. Asked for once, never needed."""

from __future__ import annotations

from core.errors import Refusal
from core.notices import answer, brief
from core.scene import Scene
from core.social.enclosures import MAX_ALT, show_again
from core.social.posts import post_of, require_own
from core.types import ThingId


def describe(scene: Scene, typed: str, picture: str, words: str) -> None:
    """Describes a picture of an own post: the one with that number, else the first that nothing was said of.

    Raises ``Refusal``.
    """
    post = post_of(scene, typed)
    require_own(scene, post)
    media, thing = scene.unit.media, ThingId(post.id)
    rows = media.of(thing)
    if not rows:
        raise Refusal("alt.none")
    if picture and not (picture.isdecimal() and 1 <= int(picture) <= len(rows)):
        raise Refusal("alt.which", n=len(rows))
    bare = next((row for row in rows if not row.alt), rows[0])
    row = rows[int(picture) - 1] if picture else bare
    media.describe(thing, row.position, " ".join(words.split())[:MAX_ALT])
    show_again(scene.unit, thing)
    answer(scene, brief("alt.done", name=row.name))
