"""Markdown as one reader of bodies among others; its writer is ``core.markdown_writer``.

Two dialects: CommonMark with ``~~strike~~`` and ``||spoiler||``, and Discord's, where ``__x__`` underlines,
quotes and lists end with their line, and emphasis follows Discord's own rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, partial
from types import SimpleNamespace
from typing import Any

from markdown_it import MarkdownIt, helpers
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from core.body import (
    Block,
    Body,
    Code,
    CodeBlock,
    Emoji,
    Emphasis,
    Inline,
    Link,
    List,
    Mention,
    Paragraph,
    Quote,
    Spoiler,
    Strike,
    Strong,
    Styled,
    Text,
    Time,
    Underline,
)
from core.canonical import Dialect, clean_url, linkifier, normalise
from core.markdown_writer import write_markdown
from core.types import AccountRef, Platform

__all__ = ["Dialect", "read_markdown", "write_markdown"]

_STYLES: dict[str, type[Styled]] = {
    "strong": Strong,
    "em": Emphasis,
    "s": Strike,
    "underline": Underline,
    "spoiler": Spoiler,
}


def read_markdown(source: str, *, dialect: Dialect = "commonmark") -> Body:
    """The body, in its normal form, that this Markdown means. Never fails: what is no markup is text.

    HTML is text, headings are strong paragraphs, images are links, line breaks stay. In ``discord``, ``<@1>``
    is a ``Mention`` of that account whose ``text`` is ``@1`` until somebody puts the name there, ``<t:1>`` a
    ``Time``, ``<:name:1>`` an ``Emoji``.
    """
    if dialect == "discord":
        source = _discord_blocks(source)
    return normalise(Body(_Builder().read(_parser(dialect).parse(source))))


@cache
def _parser(dialect: Dialect) -> MarkdownIt:
    md = MarkdownIt("commonmark", {"html": False, "linkify": True, "maxNesting": 100})
    md.linkify = linkifier()
    md.normalizeLink = clean_url  # type: ignore[method-assign]
    md.normalizeLinkText = str  # type: ignore[method-assign,assignment]
    md.validateLink = bool  # type: ignore[method-assign,assignment]
    md.disable(["code", "html_block", "html_inline", "reference", "hr"])
    md.inline.ruler.enableOnly([*md.inline.ruler.get_active_rules(), "linkify"])
    md.inline.add_terminator_char("|")
    rules = {"spoiler": _PAIRS["spoiler"]} if dialect == "commonmark" else _PAIRS
    for name, pattern in rules.items():
        md.inline.ruler.before("escape", name, partial(_pair, name.removesuffix("_"), pattern))
    if dialect == "commonmark":
        return md.enable("strikethrough")
    md.inline.ruler.before("autolink", "discord_token", _discord_token)
    md.helpers = _DISCORD_HELPERS
    return md.disable(["emphasis", "entity", "image", "lheading"])


# What a pair of marks may span: escapes and code spans hide marks.
_SPAN = r"\\[\s\S]|(?P<code>`++)[\s\S]*?(?<!`)(?P=code)(?!`)|`++"
_PAIRS = {
    "spoiler": re.compile(rf"\|\|(?P<in>(?>{_SPAN}|[^\\`])+?)\|\|"),
    "strong": re.compile(rf"\*\*(?P<in>(?>{_SPAN}|[^\\`])+?)\*\*(?!\*)"),
    "em": re.compile(rf"\*(?=\S)(?P<in>(?>{_SPAN}|\*\*|[^\\`*])+?)(?<!\s)\*(?!\*)"),
    "underline": re.compile(rf"__(?P<in>(?>{_SPAN}|[^\\`])+?)__(?!_)"),
    "em_": re.compile(rf"(?<![^\W_])_(?P<in>(?>{_SPAN}|__|[^\\`_])+?)_(?!\w)"),
    "s": re.compile(rf"~~(?P<in>(?>{_SPAN}|[^\\`])+?)~~"),
}


def _pair(name: str, pattern: re.Pattern[str], state: StateInline, silent: bool) -> bool:
    end = state.posMax
    found = pattern.match(state.src, state.pos, end)
    if not found or state.level >= state.md.options.maxNesting:
        return False
    if not silent:
        state.push(f"{name}_open", "span", 1)
        state.pos, state.posMax = found.span("in")
        state.md.inline.tokenize(state)
        state.push(f"{name}_close", "span", -1)
        state.posMax = end
    state.pos = found.end()
    return True


def _literal_destination(source: str, start: int, end: int) -> Any:  # noqa: ANN401 - the parser's own type
    """A link's address as it stands: Discord decodes no entities in it."""
    result = helpers.parseLinkDestination(source, start, end)
    if result.ok:
        result.str = re.sub(
            r"\\([!-/:-@\[-`{-~])", r"\1", source[start : result.pos].removeprefix("<").removesuffix(">")
        )
    return result


_DISCORD_HELPERS: Any = SimpleNamespace(
    parseLinkLabel=helpers.parseLinkLabel,
    parseLinkTitle=helpers.parseLinkTitle,
    parseLinkDestination=_literal_destination,
)

_TOKEN = re.compile(
    r"<(?:(?P<mention>@!?)(?P<user>\d+)|t:(?P<time>-?\d{1,12})(?::[tTdDfFsSR])?|a?:(?P<emoji>\w+):\d+)>"
)


def _discord_token(state: StateInline, silent: bool) -> bool:
    found = _TOKEN.match(state.src, state.pos, state.posMax)
    if not found:
        return False
    if not silent:
        state.push("discord", "", 0).meta = {"node": _discord_node(found)}
    state.pos = found.end()
    return True


def _discord_node(found: re.Match[str]) -> Inline:
    if found["mention"]:
        return Mention(f"@{found['user']}", account=AccountRef(Platform("discord"), found["user"]))
    if found["emoji"]:
        return Emoji(found["emoji"])
    with suppress(ValueError, OverflowError, OSError):
        return Time(datetime.fromtimestamp(int(found["time"]), UTC))
    return Text(found[0])


_FENCED = re.compile(r"(?<![\\`])```(?:(?P<lang>[A-Za-z0-9_+\-.#]+)\n|)\n*(?P<code>[^\n][\s\S]*?)\n*```(?!`)")
_FRAMED = re.compile(r"(?:[ >]|[-*] |\d+\. )*")
_ITEM = re.compile(r" *(?:[-*]|\d+\.) ")


def _discord_blocks(source: str) -> str:
    """Discord's blocks in CommonMark's spelling: fences on lines of their own, quotes that end in time."""
    source = _FENCED.sub(_own_lines, source.replace("\r\n", "\n"))
    out: list[str] = []
    fenced = whole = False
    last = ""
    for given in source.split("\n"):
        fence = _FRAMED.sub("", given, count=1).startswith("```")
        fenced ^= fence
        begins = not fence and not fenced and given.startswith(">>> ")
        line = given[4:] if begins else given
        whole = whole or begins
        if whole:
            line = f"> {line}"
        elif not fence and not fenced:
            line = _discord_line(line)
        if out and not fenced and _ends(last, line):
            out.append("")
        out.append(line)
        last = line
    return "\n".join(out)


def _own_lines(found: re.Match[str]) -> str:
    source = found.string
    before = source[source.rfind("\n", 0, found.start()) + 1 : found.start()]
    tail = found[0][: -len("```")].rsplit("\n", 1)[-1]
    own = "\n" in found[0] and _FRAMED.fullmatch(tail)
    if _FRAMED.fullmatch(before) and own:
        return found[0]
    language = found["lang"] or ""
    return f"\n```{language}\n{found['code']}\n```\n"


def _discord_line(line: str) -> str:
    if line.startswith("-# "):
        return line[3:]
    if line.startswith(">") and not line.startswith("> ") and line != ">":
        return "\\" + line
    return "\\" + line if line.startswith("+ ") else line


def _ends(last: str, line: str) -> bool:
    """Whether ``line`` leaves the quote or list of the line before it."""
    if last.startswith(">"):
        return not line.startswith(">")
    return bool(_ITEM.match(last) and line and not line.startswith((" ", ">")) and not _ITEM.match(line))


@dataclass(slots=True)
class _Frame:
    """An element that is still open."""

    token: Token | None = None
    blocks: list[Block] = field(default_factory=list)
    inlines: list[Inline] = field(default_factory=list)
    items: list[tuple[Block, ...]] = field(default_factory=list)


class _Builder:
    """Builds the tree from the parser's flat run of opening and closing tokens."""

    def __init__(self) -> None:
        self._frames = [_Frame()]

    def read(self, tokens: Iterable[Token]) -> tuple[Block, ...]:
        for token in tokens:
            if token.type == "inline":
                self._inline(token.children or [])
            elif token.nesting > 0:
                self._frames.append(_Frame(token))
            elif token.nesting < 0:
                self._close_block(self._frames.pop())
            else:
                self._frames[-1].blocks.append(
                    CodeBlock(token.content.removesuffix("\n"), token.info.strip().split(" ")[0])
                )
        return tuple(self._frames[0].blocks)

    def _close_block(self, frame: _Frame) -> None:
        parent = self._frames[-1]
        token = frame.token
        inlines = tuple(frame.inlines)
        match token.type if token else "":
            case "paragraph_open":
                parent.blocks.append(Paragraph(inlines))
            case "heading_open":
                parent.blocks.append(Paragraph((Strong(inlines),)))
            case "blockquote_open":
                parent.blocks.append(Quote(tuple(frame.blocks)))
            case "list_item_open":
                parent.items.append(tuple(frame.blocks))
            case "bullet_list_open":
                parent.blocks.append(List(tuple(frame.items)))
            case "ordered_list_open":
                start = token.attrGet("start") if token else None
                parent.blocks.append(List(tuple(frame.items), True, 1 if start is None else int(start)))

    def _inline(self, tokens: Iterable[Token]) -> None:
        for token in tokens:
            if token.nesting > 0:
                self._frames.append(_Frame(token))
            elif token.nesting < 0:
                frame = self._frames.pop()
                self._frames[-1].inlines.append(_dressed(frame.token, tuple(frame.inlines)))
            else:
                self._frames[-1].inlines.append(_leaf(token))


def _dressed(token: Token | None, children: tuple[Inline, ...]) -> Inline:
    name = token.type.removesuffix("_open") if token else ""
    if token and name == "link":
        return Link(str(token.attrGet("href")), children)
    return _STYLES[name](children)


def _leaf(token: Token) -> Inline:
    match token.type:
        case "code_inline":
            return Code(token.content)
        case "softbreak" | "hardbreak":
            return Text("\n")
        case "image":
            return Link(str(token.attrGet("src")), (Text(token.content),) if token.content else ())
        case "discord":
            node: Inline = token.meta["node"]
            return node
        case _:
            return Text(token.content)
