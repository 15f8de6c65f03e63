"""What a message may contain: lengths, embeds, components, mentions. Refuses with 50035 and nested errors."""

from __future__ import annotations

import copy
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from tests.doubles.discord.errors import FormErrors, Json, invalid, not_done_yet, refusal
from tests.doubles.discord.model import Channel, Message, Pinged, User, World
from tests.doubles.discord.permissions import Permission

CONTENT_LIMIT, EMBED_LIMIT, EMBED_TOTAL, FIELD_LIMIT = 2000, 10, 6000, 25
ROW_LIMIT, ROW_WIDTH, CUSTOM_ID_LIMIT, LABEL_LIMIT = 5, 5, 100, 80
NONCE_LIMIT, ALT_TEXT_LIMIT = 25, 1024
BUTTON, STRING_SELECT, TEXT_INPUT = 2, 3, 4
SELECTS = frozenset({3, 5, 6, 7, 8})
LINK_STYLE, PREMIUM_STYLE = 5, 6
COMPONENTS_V2 = 1 << 15

Path = tuple[str | int, ...]

_SCHEMES = ("http://", "https://", "attachment://")


def check_body(body: Json) -> None:
    """Content, embeds, components, nonce, alt texts; raises 50035 with everything that is wrong."""
    if int(body.get("flags") or 0) & COMPONENTS_V2:
        raise not_done_yet("components V2")
    errors = FormErrors()
    errors.longest(("content",), body.get("content"), CONTENT_LIMIT)
    nonce = body.get("nonce")
    errors.longest(("nonce",), nonce, NONCE_LIMIT)
    _check_embeds(errors, body.get("embeds") or [])
    _check_rows(errors, body.get("components") or [])
    for index, attachment in enumerate(body.get("attachments") or []):
        path = ("attachments", index, "description")
        errors.longest(path, attachment.get("description"), ALT_TEXT_LIMIT)
    errors.settle()


def _check_embeds(errors: FormErrors, embeds: list[Json]) -> None:
    if len(embeds) > EMBED_LIMIT:
        errors.add(("embeds",), "BASE_TYPE_MAX_LENGTH", f"Must be {EMBED_LIMIT} or fewer in length.")
    for index, embed in enumerate(embeds):
        _check_embed(errors, ("embeds", index), embed)
    if sum(map(embed_size, embeds)) > EMBED_TOTAL:
        message = f"Embed size exceeds maximum size of {EMBED_TOTAL}"
        errors.add(("embeds",), "MAX_EMBED_SIZE_EXCEEDED", message)


def _check_embed(errors: FormErrors, path: Path, embed: Json) -> None:
    errors.longest((*path, "title"), embed.get("title"), 256)
    errors.longest((*path, "description"), embed.get("description"), 4096)
    errors.longest((*path, "footer", "text"), (embed.get("footer") or {}).get("text"), 2048)
    errors.longest((*path, "author", "name"), (embed.get("author") or {}).get("name"), 256)
    fields = embed.get("fields") or []
    if len(fields) > FIELD_LIMIT:
        errors.add((*path, "fields"), "BASE_TYPE_MAX_LENGTH", f"Must be {FIELD_LIMIT} or fewer in length.")
    for index, field in enumerate(fields):
        for key, limit in (("name", 256), ("value", 1024)):
            if not str(field.get(key) or "").strip():
                errors.required((*path, "fields", index, key))
            errors.longest((*path, "fields", index, key), field.get(key), limit)
    _check_links(errors, path, embed)


def _check_links(errors: FormErrors, path: Path, embed: Json) -> None:
    pictures = (("image", "url"), ("thumbnail", "url"), ("author", "icon_url"), ("footer", "icon_url"))
    for place in (("url",), *pictures):
        value: Any = embed
        for key in place:
            value = (value or {}).get(key)
        if value and not str(value).startswith(_SCHEMES):
            message = "Scheme not supported. Scheme must be one of ('http', 'https')."
            errors.add((*path, *place), "URL_TYPE_INVALID_SCHEME", message)


def embed_size(embed: Json) -> int:
    """The characters that count towards the 6000 of a message."""
    texts = [embed.get("title"), embed.get("description")]
    texts += [(embed.get("footer") or {}).get("text"), (embed.get("author") or {}).get("name")]
    texts += [field.get(key) for field in embed.get("fields") or [] for key in ("name", "value")]
    return sum(len(text) for text in texts if text)


def _check_rows(errors: FormErrors, rows: list[Json]) -> None:
    if len(rows) > ROW_LIMIT:
        errors.add(("components",), "BASE_TYPE_BAD_LENGTH", f"Must be between 1 and {ROW_LIMIT} in length.")
    ids: list[str] = []
    for index, row in enumerate(rows):
        path = ("components", index)
        if row.get("type") != 1:
            errors.add((*path, "type"), "BASE_TYPE_CHOICES", "Value must be one of {1}.")
            continue
        parts = row.get("components") or []
        width = 1 if any(part.get("type") in SELECTS for part in parts) else ROW_WIDTH
        if not 1 <= len(parts) <= width:
            message = f"Must be between 1 and {width} in length."
            errors.add((*path, "components"), "BASE_TYPE_BAD_LENGTH", message)
        for place, part in enumerate(parts):
            _check_part(errors, (*path, "components", place), part, ids)


def _check_part(errors: FormErrors, path: Path, part: Json, ids: list[str]) -> None:
    custom_id = part.get("custom_id")
    errors.longest((*path, "custom_id"), custom_id, CUSTOM_ID_LIMIT, least=1)
    if custom_id in ids:
        message = "Component custom id cannot be duplicated"
        errors.add((*path, "custom_id"), "COMPONENT_CUSTOM_ID_DUPLICATED", message)
    elif custom_id is not None:
        ids.append(custom_id)
    if part.get("type") == BUTTON:
        _check_button(errors, path, part)
    elif part.get("type") in SELECTS:
        _check_select(errors, path, part)
    else:
        message = 'Value of field "type" must be one of (2, 3, 5, 6, 7, 8).'
        errors.add((*path, "type"), "UNION_TYPE_CHOICES", message)


def _check_button(errors: FormErrors, path: Path, part: Json) -> None:
    errors.longest((*path, "label"), part.get("label"), LABEL_LIMIT)
    style = part.get("style")
    if style == PREMIUM_STYLE:
        raise not_done_yet("premium buttons")
    if style not in range(1, 6):
        errors.add((*path, "style"), "BASE_TYPE_CHOICES", "Value must be one of {1, 2, 3, 4, 5, 6}.")
    if style == LINK_STYLE and not part.get("url"):
        errors.required((*path, "url"))
    if style != LINK_STYLE and not part.get("custom_id"):
        errors.required((*path, "custom_id"))
    if not part.get("label") and not part.get("emoji"):
        message = "A button must have a label or emoji"
        errors.add(path, "BUTTON_COMPONENT_LABEL_OR_EMOJI_REQUIRED", message)


def _check_select(errors: FormErrors, path: Path, part: Json) -> None:
    if not part.get("custom_id"):
        errors.required((*path, "custom_id"))
    errors.longest((*path, "placeholder"), part.get("placeholder"), 150)
    if part.get("type") != STRING_SELECT:
        return
    options = part.get("options") or []
    if not 1 <= len(options) <= 25:
        errors.add((*path, "options"), "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 25 in length.")
    for index, option in enumerate(options):
        for key in ("label", "value", "description"):
            errors.longest((*path, "options", index, key), option.get(key), 100)


def rows_as_stored(rows: list[Json]) -> list[Json]:
    """Components as the platform gives them back: numbered, nothing null, defaults filled in."""
    number = 0
    stored = copy.deepcopy(rows)
    for row in stored:
        for part in [row, *row.get("components", [])]:
            number += 1
            part["id"] = part.get("id") or number
            for key in [key for key, value in part.items() if value is None]:
                del part[key]
            if part["type"] in SELECTS:
                part.setdefault("min_values", 1)
                part.setdefault("max_values", 1)
            if isinstance(part.get("emoji"), dict) and part["emoji"].get("id") is None:
                part["emoji"] = {"name": part["emoji"].get("name")}
    return stored


def embeds_as_stored(embeds: list[Json]) -> list[Json]:
    """Embeds as given back: type rich, `inline` present, nothing null or empty."""
    stored = []
    for embed in copy.deepcopy(embeds):
        kept = {key: value for key, value in embed.items() if value not in (None, "", [], {})}
        kept["type"] = "rich"
        for field in kept.get("fields", []):
            field["inline"] = bool(field.get("inline"))
        stored.append(kept)
    return stored


# Mentions

_USER = re.compile(r"<@!?(\d+)>")
_ROLE = re.compile(r"<@&(\d+)>")
_EVERYONE = re.compile(r"@(?:everyone|here)\b")


@dataclass(frozen=True)
class Allowed:
    """`allowed_mentions`, read: which kinds or ids may ping. The default lets everything through."""

    everyone: bool = True
    all_users: bool = True
    all_roles: bool = True
    users: frozenset[int] = frozenset()
    roles: frozenset[int] = frozenset()
    replied: bool = True

    @classmethod
    def read(cls, given: Json | None) -> Allowed:
        if given is None:
            return cls()
        kinds = given.get("parse") or []
        for kind in ("users", "roles"):
            if kind in kinds and given.get(kind):
                message = f'parse:["{kind}"] and {kind}: [ids...] are mutually exclusive.'
                raise invalid(("allowed_mentions",), "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE", message)
        return cls(
            "everyone" in kinds,
            "users" in kinds,
            "roles" in kinds,
            frozenset(int(each) for each in given.get("users") or []),
            frozenset(int(each) for each in given.get("roles") or []),
            bool(given.get("replied_user", False)),
        )


@dataclass(frozen=True)
class Mentions:
    """What a text names, after `allowed_mentions`."""

    users: list[User]
    roles: list[int]
    everyone: bool
    pinged: Pinged


def read_mentions(
    world: World, channel: Channel, author: User, content: str, allowed: Allowed, *, reply_to: Message | None
) -> Mentions:
    """Who would be notified: `allowed_mentions` first, then what the author may do in this channel."""
    users = [
        world.users[each]
        for each in dict.fromkeys(int(found) for found in _USER.findall(content))
        if each in world.users and (allowed.all_users or each in allowed.users)
    ]
    if reply_to is not None and allowed.replied and reply_to.author.id in world.users:
        users += [] if reply_to.author in users else [reply_to.author]
    loud = author.id not in world.users or channel.allows(author, Permission.MENTION_EVERYONE)
    known = channel.guild.roles if channel.guild else {}
    roles = [
        each
        for each in dict.fromkeys(int(found) for found in _ROLE.findall(content))
        if each in known
        and (allowed.all_roles or each in allowed.roles)
        and (loud or known[each].mentionable)
    ]
    everyone = bool(channel.guild and loud and allowed.everyone and _EVERYONE.search(content))
    pinged = frozenset(each.id for each in users if each is not author)
    return Mentions(users, roles, everyone, Pinged(everyone, pinged, frozenset(roles)))


def require_something(body: Json, files: int) -> None:
    """50006 for a message without any content."""
    parts = ("embeds", "components", "sticker_ids", "poll")
    if not str(body.get("content") or "").strip() and not files and not any(body.get(part) for part in parts):
        raise refusal(50006)


def duplicates(names: list[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]
