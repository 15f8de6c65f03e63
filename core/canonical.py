"""The one form of a body among all that look the same.

Markdown cannot say which of two equal nestings was meant, nor keep blanks at the ends of lines; two trees
that read the same become one here. ``normalise`` twice is ``normalise`` once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from functools import cache
from itertools import groupby
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from linkify_it import LinkifyIt

from core.body import (
    Block,
    Body,
    Code,
    CodeBlock,
    Emphasis,
    Inline,
    Leaf,
    Link,
    List,
    Mention,
    Paragraph,
    Quote,
    Spoiler,
    Strike,
    Strong,
    Styled,
    Tag,
    Text,
    Time,
    Underline,
)
from core.types import AccountRef

#: How a platform spells Markdown.
Dialect = Literal["commonmark", "discord"]

#: Schemes that a link may have; others are read as text.
SCHEMES = frozenset({"http", "https", "mailto", "matrix"})
#: Quotes and lists deeper than this lose their frame: no place shows them.
MAX_FRAMES = 6

_SHORT_NAME = re.compile(r"[A-Za-z0-9_~]+")
_LANGUAGE = re.compile(r"[A-Za-z0-9_+\-.#]*")
_BREAKS = re.compile(r"\r\n?|[\v\f\x85\u2028\u2029]")
#: Controls, zero-width space and byte-order mark, surrogates and noncharacters: nothing that can be seen.
_UNSEEN = re.compile("[\0-\x08\x0e-\x1f\x7f-\x9f\u200b\ufeff\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
#: Every scheme of the linkifier, read as it reads them: in any case.
_SCHEME = re.compile("(?:https?|mailto):", re.IGNORECASE)
_GAP = re.compile(r"\s+")
_UNSAFE_IN_URL = re.compile(r"""[\s<>\\|`"^{}\x00-\x20\x7f-\x9f]""")

#: The dress of a leaf: a style's type, or a link's address. Outermost first.
Dress = type[Styled] | str
_ORDER: tuple[type[Styled | str], ...] = (Spoiler, str, Underline, Strike, Emphasis, Strong)


@dataclass(frozen=True, slots=True)
class _Run:
    leaf: Leaf
    dress: frozenset[Dress]

    @property
    def blank(self) -> bool:
        return isinstance(self.leaf, Text) and self.leaf.text.isspace()

    @property
    def path(self) -> tuple[Dress, ...]:
        """The dress, outermost first."""
        return tuple(
            sorted(self.dress, key=lambda worn: _ORDER.index(str if isinstance(worn, str) else worn))
        )


def leaf_text(leaf: Leaf) -> str:
    """What is read where the leaf cannot be shown as itself."""
    if isinstance(leaf, (Text, Code, Mention)):
        return leaf.text
    if isinstance(leaf, Tag):
        return f"#{leaf.text}"
    if isinstance(leaf, Time):
        return f"{leaf.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return f":{leaf.text}:" if _SHORT_NAME.fullmatch(leaf.text) else leaf.text


def names_account(account: AccountRef, dialect: Dialect | None) -> bool:
    """Whether that Markdown has a mark of its own for this account: those of its platform, by their numbers."""
    return account.platform == dialect == "discord" and account.key.isascii() and account.key.isdigit()


def normalise(body: Body, dialect: Dialect | None = None) -> Body:
    """The body's one form; with ``dialect`` as that Markdown can say it, other nodes as their text.

    Paragraphs split at blank lines, lines lose blanks at their ends, equal neighbours join, styles nest in
    one order and never begin or end with white space, addresses in text become links, what is empty goes.
    """
    return Body(_blocks(body.blocks, dialect, 0))


def _blocks(blocks: Sequence[Block], dialect: Dialect | None, depth: int) -> tuple[Block, ...]:
    out: list[Block] = []
    for block in (done for given in blocks for done in _block(given, dialect, depth)):
        last = out[-1] if out else None
        if isinstance(block, List) and isinstance(last, List) and block.ordered == last.ordered:
            out[-1] = List(last.items + block.items, last.ordered, last.start)
        else:
            out.append(block)
    return tuple(out)


def _block(block: Block, dialect: Dialect | None, depth: int) -> Iterator[Block]:
    match block:
        case Paragraph(children):
            yield from _paragraph(children, dialect)
        case Quote(children):
            inner = _blocks(children, dialect, depth + 1)
            if depth >= MAX_FRAMES:
                yield from inner
            elif inner:
                yield Quote(inner)
        case List(items, ordered, start):
            done = tuple(item for blocks in items if (item := _blocks(blocks, dialect, depth + 1)))
            if depth >= MAX_FRAMES:
                yield from (block for item in done for block in item)
            elif done:
                yield List(done, ordered, min(max(start, 0), 99_999_999) if ordered else 1)
        case CodeBlock(text, language):
            lines = (line.rstrip() for line in _seen(text).replace("\t", "    ").split("\n"))
            if code := "\n".join(lines).strip("\n"):
                name = _LANGUAGE.match(language)
                yield CodeBlock(code, name[0] if name else "")


def _paragraph(children: Sequence[Inline], dialect: Dialect | None) -> Iterator[Paragraph]:
    match children:
        case (Text(text),):
            yield from text_paragraphs(text)
        case _:
            yield from _dressed(children, dialect)


def _dressed(children: Sequence[Inline], dialect: Dialect | None) -> list[Paragraph]:
    return [Paragraph(_nested(runs, 0)) for runs in _paragraphs(_runs(children, frozenset(), dialect))]


def text_paragraphs(text: str) -> list[Paragraph]:
    """The paragraphs of text that has no markup; without the long way where it holds no address, as most."""
    seen = _seen(text)
    if find_url(seen):
        return _dressed((Text(seen),), None)
    if "\n" not in seen:
        line = seen.strip().replace("\t", " ")
        return [Paragraph((Text(line),))] if line else []
    out: list[Paragraph] = []
    lines: list[str] = []
    for line in [*seen.split("\n"), ""]:
        if stripped := line.strip():
            lines.append(stripped.replace("\t", " "))
        elif lines:
            out.append(Paragraph((Text("\n".join(lines)),)))
            lines = []
    return out


def _seen(text: str) -> str:
    # What is printable holds no line break and nothing unseen, and is told much quicker.
    return text if text.isprintable() else _UNSEEN.sub("", _BREAKS.sub("\n", text))


def _runs(inlines: Iterable[Inline], dress: frozenset[Dress], dialect: Dialect | None) -> Iterator[_Run]:
    """The leaves with all that they wear, in this dialect's reach."""
    before: Inline | None = None
    for node in inlines:
        match node:
            case Link(url, children):
                address = clean_url(url)
                children = children or (Text(url),)
                inner = frozenset(worn for worn in dress if not isinstance(worn, str)) | {address}
                yield from _runs(children, inner if address else dress, dialect)
            case Underline(children) if dialect == "commonmark":
                yield from _runs(children, dress, dialect)
            case Strong() | Emphasis() | Underline() | Strike() | Spoiler():
                yield from _runs(node.children, dress | {type(node)}, dialect)
            case Text(text):
                # A line break of two characters may have been cut amid them.
                rest = text.startswith("\n") and isinstance(before, Text) and before.text.endswith("\r")
                yield _Run(Text(_seen(text[rest:])), dress)
            case Code(text):
                yield _Run(Code(_seen(text).replace("\n", " ").replace("\t", " ").strip()), dress)
            case Time(at) if dialect == "discord":
                yield _Run(Time(at.astimezone(UTC).replace(microsecond=0)), dress)
            case Mention(account=account) if account is not None and names_account(account, dialect):
                yield _Run(Mention(f"@{account.key}", account=account), dress)
            case _:
                yield _Run(Text(_seen(leaf_text(node))) if dialect else node, dress)
        before = node


def clean_url(url: str) -> str:
    """The address with what no address may contain percent-encoded; empty when its scheme is not allowed."""
    url = url.strip()
    try:
        scheme = urlsplit(url).scheme
    except ValueError:
        return ""
    if scheme not in SCHEMES or len(url) <= len(scheme) + 1:
        return ""
    return _UNSAFE_IN_URL.sub(lambda match: quote(match[0], safe="", errors="replace"), url)


def _paragraphs(runs: Iterable[_Run]) -> Iterator[list[_Run]]:
    """The runs of each paragraph, without white space at any edge."""
    pieces = [piece for run in _joined(runs) for linked in _linked(run) for piece in _pieces(linked)]
    current: list[_Run] = []
    blanks: list[_Run] = []
    for run in pieces:
        if run.blank:
            blanks.append(run)
            continue
        space = _text(blanks)
        if current and space.count("\n") > 1:
            yield list(_joined(current))
            current = []
        elif current and space:
            current.append(_space(space, current[-1], run, blanks))
        current.append(run)
        blanks = []
    if current:
        yield list(_joined(current))


def _joined(runs: Iterable[_Run]) -> Iterator[_Run]:
    filled = (run for run in runs if not isinstance(run.leaf, Text | Code) or run.leaf.text)
    for (kind, dress), group in groupby(filled, key=lambda run: (type(run.leaf), run.dress)):
        if kind in (Text, Code):
            text = _text(group)
            yield _Run(Code(text) if kind is Code else Text(text), dress)
        else:
            yield from group


def _text(runs: Iterable[_Run]) -> str:
    return "".join(run.leaf.text for run in runs if isinstance(run.leaf, Text | Code))


def _pieces(run: _Run) -> Iterator[_Run]:
    """Apart from the white space that may go or break a line; what stands inside a line stays where it is."""
    if not isinstance(run.leaf, Text):
        yield run
        return
    text, done = run.leaf.text, 0
    words = text.strip()
    if "\n" not in words:
        start = text.index(words)
        for piece in (text[:start], words.replace("\t", " "), text[start + len(words) :]):
            if piece:
                yield _Run(Text(piece), run.dress)
        return
    for gap in _GAP.finditer(text):
        start, end = gap.span()
        if start == 0 or end == len(text) or "\n" in gap[0]:
            if done < start:
                yield _Run(Text(text[done:start].replace("\t", " ")), run.dress)
            yield _Run(Text(gap[0]), run.dress)
            done = end
    if done < len(text):
        yield _Run(Text(text[done:].replace("\t", " ")), run.dress)


def _space(space: str, before: _Run, after: _Run, blanks: Sequence[_Run]) -> _Run:
    """White space between two runs: dressed only in what holds on both sides without a seam."""
    dress: set[Dress] = set()
    for left, right in zip(before.path, after.path, strict=False):
        if left != right or not all(left in blank.dress for blank in blanks):
            break
        dress.add(left)
    return _Run(Text("\n" if "\n" in space else space.replace("\t", " ")), frozenset(dress))


_new_linkifier: Callable[..., Any] = LinkifyIt


@cache
def linkifier() -> Any:  # noqa: ANN401 - linkify-it carries no annotations
    """Finds ``http``, ``https`` and ``mailto`` addresses in text."""
    # A bare `ciao.it` is more often a missing space than an address.
    linkify = _new_linkifier(options={"fuzzy_link": False, "fuzzy_email": False, "fuzzy_ip": False})
    return linkify.add("ftp:", None).add("//", None)


def find_url(text: str) -> tuple[int, int] | None:
    """Where the first address with ``http``, ``https`` or ``mailto`` stands in the text."""
    scheme = _SCHEME.search(text) if ":" in text else None
    if scheme is None:
        return None
    # The linkifier is slow at every letter, and looks at one before the scheme.
    skipped = max(scheme.start() - 1, 0)
    rest = text[skipped:]
    found = linkifier().match_at_start(rest) or next(iter(linkifier().match(rest) or ()), None)
    return (skipped + found.index, skipped + found.last_index) if found else None


def _linked(run: _Run) -> Iterator[_Run]:
    if not isinstance(run.leaf, Text) or any(isinstance(worn, str) for worn in run.dress):
        yield run
        return
    rest = run.leaf.text
    while found := find_url(rest):
        start, end = found
        url = clean_url(rest[start:end])
        yield _Run(Text(rest[:start]), run.dress)
        yield _Run(Text(rest[start:end]), run.dress | {url} if url else run.dress)
        rest = rest[end:]
    yield _Run(Text(rest), run.dress)


def _nested(runs: Iterable[_Run], depth: int) -> tuple[Inline, ...]:
    out: list[Inline] = []
    for worn, group in groupby(runs, key=lambda run: run.path[depth] if len(run.path) > depth else None):
        if worn is None:
            out.extend(run.leaf for run in group)
        elif isinstance(worn, str):
            out.append(Link(worn, _nested(group, depth + 1)))
        else:
            out.append(worn(_nested(group, depth + 1)))
    return tuple(out)
