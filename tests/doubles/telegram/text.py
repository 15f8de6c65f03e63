"""Message text as the server treats it: cleaning, limits, entities counted in UTF-16 code units."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import unescape
from typing import Any

from .errors import bad_request

Json = dict[str, Any]

MAX_TEXT = 4096

_TLD = "com|org|net|edu|gov|info|io|it|eu|de|fr|uk|es|ch|at|nl|coop|social|example|me|dev|app"
_FOUND_BY_THE_SERVER: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "email",
        re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+\.(?:[\w-]+\.)*[a-zA-Z]{2,}(?!\w)"),
    ),
    (
        "url",
        re.compile(
            rf"(?<![\w@/.])(?:(?:https?|ftp|tg|tonsite)://[^\s<>\"]+|(?:[\w-]+\.)+(?:{_TLD})(?![\w.-])(?:[/?#][^\s<>\"]*)?)",
            re.IGNORECASE,
        ),
    ),
    (
        "bot_command",
        re.compile(
            r"(?<![\w/<>@.])/[a-zA-Z0-9_]{1,64}(?:@[a-zA-Z0-9_]{3,32})?(?![\w/<>@])",
            re.ASCII,
        ),
    ),
    ("mention", re.compile(r"(?<![\w@])@[a-zA-Z0-9_]{4,32}(?!\w)")),
    ("hashtag", re.compile(r"(?<![\w#@])#(?=\w*[^\W\d_])\w{1,256}")),
    ("cashtag", re.compile(r"(?<![\w$])\$[A-Z]{1,8}(?![\w$])")),
)
_TRAILING_PUNCTUATION = ".,:;!?()[]{}'\"»”’"
# Inside these the server looks for nothing else.
_OPAQUE = frozenset({"code", "pre", "text_link", "text_mention", "custom_emoji", "url", "email"})

_TAGS = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "tg-spoiler": "spoiler",
    "code": "code",
    "pre": "pre",
    "blockquote": "blockquote",
    "a": "text_link",
}
_TAG = re.compile(r"<(/?)([a-zA-Z-]+)((?:\s+[\w-]+(?:\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s>]+))?)*)\s*>")
_HREF = re.compile(r"href\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|(\S+))", re.IGNORECASE)
_RESERVED = frozenset("_*[]()~`>#+-=|{}.!")


def units(text: str) -> int:
    """Length in UTF-16 code units."""
    return len(text.encode("utf-16-le")) // 2


def cut(text: str, offset: int, length: int) -> str:
    """The piece of `text` that an entity covers (UTF-16 units)."""
    return text.encode("utf-16-le")[offset * 2 : (offset + length) * 2].decode("utf-16-le", "replace")


def formatted(text: str, entities: list[Json] | None = None, parse_mode: str = "") -> tuple[str, list[Json]]:
    """Text and entities as stored; raises ApiError with the server's sentence for what it refuses."""
    if not text:
        raise bad_request("message text is empty")
    if len(text.encode()) > 1 << 15:
        raise bad_request("text is too long")
    if parse_mode and parse_mode.lower() != "none":
        text, entities = _parsed(text, parse_mode.lower())
    text = _cleaned(text)
    stored = list(_checked(text, entities or []))
    text, stored = _trimmed(text, stored)
    if not text:
        raise bad_request("text must be non-empty")
    if units(text) > MAX_TEXT:
        raise bad_request("message is too long")
    return text, sorted(
        stored + list(_found(text, stored)),
        key=lambda entity: (entity["offset"], -entity["length"]),
    )


def _cleaned(text: str) -> str:
    return "".join(" " if ord(char) < 32 and char != "\n" else char for char in text if char != "\r")


def _checked(text: str, entities: Iterable[Json]) -> Iterator[Json]:
    total = units(text)
    for entity in entities:
        offset, length = int(entity["offset"]), int(entity["length"])
        if offset < 0:
            raise bad_request(f"receive an entity with incorrect offset {offset}")
        if length < 0:
            raise bad_request(f"receive an entity with incorrect length {length}")
        if offset > total:
            raise bad_request(f"entity begins after the end of the text at UTF-16 offset {offset}")
        if offset + length > total:
            raise bad_request(
                f"entity beginning at UTF-16 offset {offset} ends after the end of the text "
                f"at UTF-16 offset {offset + length}"
            )
        _refuse_half_symbols(text, offset, length)
        if length:
            yield dict(entity)


def _refuse_half_symbols(text: str, offset: int, length: int) -> None:
    encoded = text.encode("utf-16-le")
    for position, sentence in (
        (offset, "entity begins in a middle of a UTF-16 symbol at byte offset {}"),
        (
            offset + length,
            (
                f"entity beginning at UTF-16 offset {offset} ends in a middle of a UTF-16 symbol "
                "at byte offset {}"
            ),
        ),
    ):
        unit = encoded[position * 2 : position * 2 + 2]
        if len(unit) == 2 and 0xDC <= unit[1] <= 0xDF:
            before = encoded[: position * 2 - 2].decode("utf-16-le")
            raise bad_request(sentence.format(len(before.encode())))


def _trimmed(text: str, entities: list[Json]) -> tuple[str, list[Json]]:
    leading = units(text) - units(text.lstrip())
    text = text.strip()
    total = units(text)
    kept = []
    for entity in entities:
        start = max(0, entity["offset"] - leading)
        end = min(total, entity["offset"] + entity["length"] - leading)
        if start < end:
            kept.append({**entity, "offset": start, "length": end - start})
    return text, kept


def _found(text: str, given: list[Json]) -> Iterator[Json]:
    taken = [(each["offset"], each["offset"] + each["length"]) for each in given if each["type"] in _OPAQUE]
    for kind, pattern in _FOUND_BY_THE_SERVER:
        for match in pattern.finditer(text):
            found = match.group().rstrip(_TRAILING_PUNCTUATION) if kind == "url" else match.group()
            start = units(text[: match.start()])
            end = start + units(found)
            if found and not any(start < stop and begin < end for begin, stop in taken):
                taken.append((start, end))
                yield {"offset": start, "length": end - start, "type": kind}


def _parsed(text: str, mode: str) -> tuple[str, list[Json]]:
    if mode == "html":
        return _from_html(text)
    if mode == "markdownv2":
        return _from_markdown(text)
    if mode == "markdown":
        raise NotImplementedError("our double does not read the old Markdown")
    raise bad_request("unsupported parse_mode")


def _from_html(source: str) -> tuple[str, list[Json]]:
    out, entities, stack, position = "", list[Json](), list[tuple[str, int, Json]](), 0
    for match in _TAG.finditer(source):
        out += unescape(source[position : match.start()])
        position = match.end()
        closing, name, attributes = match[1], match[2].lower(), match[3]
        offset = len(source[: match.start()].encode())
        if name not in _TAGS:
            raise bad_request(
                f'can\'t parse entities: Unsupported start tag "{name}" at byte offset {offset}'
            )
        if not closing:
            stack.append((name, units(out), _link(attributes) if name == "a" else {}))
            continue
        if not stack:
            raise bad_request(f"can't parse entities: Unexpected end tag at byte offset {offset}")
        opened, start, extra = stack.pop()
        if opened != name:
            raise bad_request(
                f"can't parse entities: Unmatched end tag at byte offset {offset}, "
                f'expected "</{opened}>", found "</{name}>"'
            )
        entities.append(
            {
                "offset": start,
                "length": units(out) - start,
                "type": _TAGS[name],
                **extra,
            }
        )
    if stack:
        raise bad_request(
            f"can't parse entities: Can't find end tag corresponding to start tag \"{stack[-1][0]}\""
        )
    return out + unescape(source[position:]), entities


def _link(attributes: str) -> Json:
    match = _HREF.search(attributes)
    return {"url": unescape(next(each for each in match.groups() if each is not None))} if match else {}


def _from_markdown(source: str) -> tuple[str, list[Json]]:
    out, position = "", 0
    while position < len(source):
        char = source[position]
        if char == "\\" and position + 1 < len(source):
            position += 1
            char = source[position]
        elif char in "*_~`|[":
            raise NotImplementedError("our double reads MarkdownV2 without styles only: send entities")
        elif char in _RESERVED:
            raise bad_request(
                f"can't parse entities: Character '{char}' is reserved "
                "and must be escaped with the preceding '\\'"
            )
        out += char
        position += 1
    return out, []
