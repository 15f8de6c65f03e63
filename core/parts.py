"""A view that is longer than one message of its platform, or has more files, becomes parts. Pure.

Cuts depend on the words and the platform only, never on the tally under them: a vote moves no cut.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from core.body import Body, Paragraph, Text, to_json
from core.cut import borders, cut
from core.intents import Capabilities, File, Form, View
from core.text import plain

#: Messages that one text may take. What is left then goes, with a sign that it does.
MAX_PARTS: Final = 10
#: Room that each part keeps free for its number and the tally, so that neither ever moves a cut.
_FOOT: Final = 64
#: A text this many times shorter than the room fits whatever the platform does to it.
_SAFELY: Final = 5
#: Code points of room that may stay unused before the search for the best cut ends.
_NEAR: Final = 48

#: The words that number a part: (2, 3) -> ``2/3``.
Number = Callable[[int, int], str]


def parted(view: View, form: Form, can: Capabilities, number: Number) -> tuple[View, ...]:
    """What stands in each message that shows this view, in order; one at least.

    The author leads the first, the tally and the buttons close the last that has words; files follow the words, or
    stand with the last of them where the platform can do that.
    """
    if form is Form.LINK:
        return (replace(view, files=()),)
    texts = [replace(view, body=body, files=()) for body in _texts(view, form, can)]
    texts = [_middle(part, first=i == 0, last=i + 1 == len(texts)) for i, part in enumerate(texts)]
    files = view.files if can.files_per_message else ()
    with_words = _beside(texts[-1], files, form, can) if view.body.blocks else 0
    if with_words:
        texts[-1] = replace(texts[-1], files=files[:with_words])
    wordless = View(
        voice=view.voice,
        body=Body(),
        author=view.author if view.as_author else "",
        language=view.language,
        silent=view.silent,
        as_author=view.as_author,
        portrait=view.portrait,
        about=view.about,
    )
    rest = _grouped(wordless, files[with_words:], form, can)
    if not view.body.blocks and rest:
        texts = [replace(texts[0], files=rest.pop(0))]
    bare = [replace(wordless, files=group) for group in rest]
    return _numbered([*texts, *bare], number)


def _middle(part: View, *, first: bool, last: bool) -> View:
    return replace(
        part,
        author=part.author if first or part.as_author else "",
        parent=part.parent if first else (),
        footer=part.footer if last else "",
        buttons=part.buttons if last else (),
        text_command=part.text_command if last else "",
    )


def _numbered(parts: Sequence[View], number: Number) -> tuple[View, ...]:
    if len(parts) == 1:
        return tuple(parts)
    numbers = (number(i, len(parts)) for i in range(1, len(parts) + 1))
    return tuple(
        replace(part, footer=f"{words} · {part.footer}" if part.footer else words)
        for part, words in zip(parts, numbers, strict=True)
    )


# -- words -------------------------------------------------------------------------------------------------------


def _texts(view: View, form: Form, can: Capabilities) -> tuple[Body, ...]:
    if _surely_fits(view, can):
        return (view.body,)
    foot = "0" * max(_FOOT, len(view.footer) + _FOOT // 4)
    frame = replace(view, body=Body(), files=(), footer=foot)
    return _split(view.body, frame, form, can)


def _surely_fits(view: View, can: Capabilities) -> bool:
    """A short text is the usual case, and must not cost a rendering."""
    return (len(to_json(view.body)) + len(view.author) + _FOOT) * _SAFELY <= can.max_text


@lru_cache(maxsize=64)
def _split(body: Body, frame: View, form: Form, can: Capabilities) -> tuple[Body, ...]:
    """The same post goes to many rooms of a platform, each part in a transaction of its own: it is cut once."""
    found: list[Body] = []
    while len(found) < MAX_PARTS:
        ruler = _Ruler(frame if not found else replace(frame, author=""), form, can)
        if ruler.fits(body):
            return (*found, body)
        if len(found) + 1 == MAX_PARTS:
            return (*found, _with_ellipsis(ruler.longest(body)[0]))
        head, body = ruler.longest(body)
        if head.blocks:
            found.append(head)
        if not body.blocks:
            break
    return tuple(found) or (Body(),)


def _with_ellipsis(body: Body) -> Body:
    match body.blocks:
        case (*before, Paragraph(children)):
            return Body((*before, Paragraph((*children, Text(" …")))))
        case _:
            return Body((*body.blocks, Paragraph((Text("…"),))))


@dataclass(frozen=True, slots=True)
class _Ruler:
    """Measures bodies as one message of this platform shows them."""

    frame: View
    form: Form
    can: Capabilities

    def fits(self, body: Body) -> bool:
        taken, room = taken_of(replace(self.frame, body=body), self.form, self.can)
        return taken <= room

    def longest(self, body: Body) -> tuple[Body, Body]:
        """The most that fits, up to the best place for a cut, and the rest."""
        places = borders(body)
        most = self._most(body, len(places.text))
        while True:
            head, tail = cut(body, places.best(most))
            if most <= 1 or (head.blocks and self.fits(head)):
                return head, tail
            most -= max(most // 16, 1)

    def _most(self, body: Body, length: int) -> int:
        """The greatest place, to within ``_NEAR``, whose text still fits."""
        low, high = 0, length
        taken, room = taken_of(replace(self.frame, body=body), self.form, self.can)
        guess = min(length - 1, length * room // max(taken, 1))
        while high - low > _NEAR:
            place = guess if low < guess < high else (low + high) // 2
            taken, room = taken_of(replace(self.frame, body=cut(body, place)[0]), self.form, self.can)
            low, high = (place, high) if taken <= room else (low, place)
            # Aimed a little short, so that both sides of the search close in.
            guess = place * room // max(taken, 1) - _NEAR // 2 if low != place else place + _NEAR
        return max(low, 1)


def taken_of(view: View, form: Form, can: Capabilities) -> tuple[int, int]:
    """How much of a message this view takes, and how much there is, as the platform counts it."""
    if can.measure is not None:
        return can.measure(view, form)
    lines = (view.author, plain(view.body), view.text_command, view.footer)
    whole = "\n\n".join(line for line in lines if line)
    return length_of(whole, can.length_unit), can.max_text


def length_of(text: str, unit: str) -> int:
    """The length of a text in ``utf16`` code units, ``byte`` or ``codepoint``."""
    if text.isascii():
        return len(text)
    match unit:
        case "utf16":
            return len(text.encode("utf-16-le", "surrogatepass")) // 2
        case "byte":
            return len(text.encode("utf-8", "replace"))
        case _:
            return len(text)


# -- files -------------------------------------------------------------------------------------------------------


def _beside(part: View, files: tuple[File, ...], form: Form, can: Capabilities) -> int:
    """How many files stand with these words. The foot is measured at its longest, so that no vote parts the two."""
    part = replace(part, footer="0" * max(_FOOT, len(part.footer) + _FOOT // 4))
    return _how_many(part, files, form, can)


def _how_many(part: View, files: tuple[File, ...], form: Form, can: Capabilities) -> int:
    for count in range(min(can.files_per_message, len(files)), 0, -1):
        taken, room = taken_of(replace(part, files=files[:count]), form, can)
        if taken <= room:
            return count
    return 0


def _grouped(
    wordless: View, files: tuple[File, ...], form: Form, can: Capabilities
) -> list[tuple[File, ...]]:
    """The files of each message that has no words."""
    found = []
    while files:
        count = max(_how_many(wordless, files, form, can), 1)
        found.append(files[:count])
        files = files[count:]
    return found


# -- what a message shows, in short ------------------------------------------------------------------------------

#: In the place of a digest: a message that could not be taken away and is to be emptied, and one that is.
STUCK: Final = "stuck"
EMPTIED: Final = "emptied"
#: The same of one that cannot be changed and is to be taken away.
FROZEN: Final = "frozen"


def digest_of(view: View, form: Form) -> str:
    """Equal for what looks the same. What stands before the dot speaks of the files alone."""
    files = [(f.digest, f.name, f.spoiler) for f in view.files]
    # A description is words: what stands there can be given another one.
    described = [f.alt for f in view.files]
    buttons = [(b.label, b.data, b.url, b.private) for b in view.buttons]
    # What leads an answer that can be no reply stands there as its own words do.
    words = Body((*view.parent, *view.body.blocks)) if view.as_author else view.body
    shown = (described, view.voice, view.author, view.footer, buttons, view.text_command, view.link, form)
    return f"{_hash(repr(files)) if files else ''}.{_hash(repr(shown) + to_json(words))}"


def same_files(one: str, other: str) -> bool:
    """Whether two digests speak of the same files."""
    return one.partition(".")[0] == other.partition(".")[0]


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=12).hexdigest()
