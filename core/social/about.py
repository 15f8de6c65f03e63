"""What is said of a copy to who asks about it: whose words these are, and what can be done with them."""

from __future__ import annotations

from core.errors import message
from core.notices import Said, answer
from core.records import Post
from core.scene import Rules, Scene
from core.social.posts import post_of, short_id
from core.stores.unit import Unit


def author_line(unit: Unit, rules: Rules, post: Post) -> str:
    """The author as copies name them: a platform's name only with its person's yes."""
    member = unit.people.member(post.author_id)
    label = rules.label(unit.people.account_by_id(post.account_id).ref.platform)
    if member.show_name and member.name:
        return f"{member.name} (@{member.handle} · {label})"
    return f"@{member.handle} · {label}"


def tell(scene: Scene) -> None:
    """Answers who pressed the button under a copy. Raises ``Refusal`` where none of ours stands (any more)."""
    post = post_of(scene, "")
    id_ = short_id(post.id)
    lines = [
        message("about.author", author=author_line(scene.unit, scene.rules, post)),
        message("about.answer"),
        message("about.more", id=id_),
    ]
    if scene.member is None:
        lines.append(message("about.guest"))
    if scene.actor.rights.admin or scene.actor.rights.moderator:
        lines.append(message("about.moderator", id=id_))
    answer(scene, Said(tuple(lines)))
