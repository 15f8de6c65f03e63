"""Files: sending one, changing the words under it, and fetching it."""

from __future__ import annotations

import mimetypes
from typing import Any

from .args import Args, Upload
from .errors import ApiError, bad_request
from .media import KINDS, MAX_DOWNLOAD, MAX_PHOTO, MAX_RATIO, MAX_SIDES, MAX_UPLOAD, Media
from .method_messages import NOT_MODIFIED, buttons_of, editable, edited, placed
from .methods import method
from .model import Json
from .text import formatted, units
from .world import World

MAX_CAPTION = 1024


def _sends(kind: str) -> None:
    @method(f"send{kind.capitalize()}", stores=True, sends=True)
    def send(world: World, args: Args) -> Json:
        caption, entities = _caption(args)
        where = placed(world, args)
        upload = args.files.get(kind)
        if upload is None:
            # A file id or an address would stand here; ours are always uploaded.
            raise bad_request(f"there is no {kind} in the request")
        media = _kept(world, kind, upload, args)
        message = world.store(**where, text=caption, entities=entities, media=media)
        message.from_bot = True
        world.forward_to_discussion(message)
        return message.as_json()


for _kind in KINDS:
    _sends(_kind)


@method("editMessageCaption", stores=True, edits=True)
def edit_message_caption(world: World, args: Args) -> Json:
    caption, entities = _caption(args)
    buttons = buttons_of(args)
    message = editable(world, args)
    if message.media is None:
        raise bad_request("there is no caption in the message to edit")
    if (message.text, message.entities, message.buttons) == (caption, entities, buttons):
        raise bad_request(NOT_MODIFIED)
    message.text, message.entities = caption, entities
    return edited(world, message, buttons)


@method("getFile")
def get_file(world: World, args: Args) -> Json:
    media = world.cabinet.files.get(args.text("file_id"))
    if media is None:
        raise bad_request("invalid file_id")
    if len(media.data) > MAX_DOWNLOAD:
        raise bad_request("file is too big")
    return {
        "file_id": media.file_id,
        "file_unique_id": media.unique_id,
        "file_size": len(media.data),
        "file_path": media.path,
    }


def file_at(world: World, path: str) -> Media:
    """The file that an address ends with. Raises 404."""
    for media in world.cabinet.files.values():
        if media.path == path and len(media.data) <= MAX_DOWNLOAD:
            return media
    raise ApiError(404, "Not Found")


def _caption(args: Args) -> tuple[str, list[Any]]:
    text = args.text("caption")
    if not text:
        return "", []
    entities = args.json("caption_entities", "can't parse entities: can't parse entities JSON object")
    text, entities = formatted(text, entities, args.text("parse_mode"))
    if units(text) > MAX_CAPTION:
        raise bad_request("message caption is too long")
    return text, entities


def _kept(world: World, kind: str, upload: Upload, args: Args) -> Media:
    if not upload.data:
        raise bad_request("file must be non-empty")
    if len(upload.data) > MAX_UPLOAD:
        raise ApiError(413, "Request Entity Too Large")
    mime = mimetypes.guess_type(upload.name)[0] or upload.mime
    if kind == "photo":
        mime = "image/jpeg"
    media = world.cabinet.keep(kind, upload.name, mime, upload.data, spoiler=args.flag("has_spoiler"))
    if kind == "photo":
        _refuse_no_photo(media)
    return media


def _refuse_no_photo(media: Media) -> None:
    shortest, longest = sorted((media.width, media.height))
    if len(media.data) > MAX_PHOTO:
        raise bad_request(
            f"file of size {len(media.data)} bytes is too big for a photo; the maximum size is {MAX_PHOTO} bytes"
        )
    if not longest and not media.data.startswith(b"\xff\xd8\xff"):
        raise bad_request("IMAGE_PROCESS_FAILED")
    if shortest + longest > MAX_SIDES or longest > max(shortest, 1) * MAX_RATIO:
        raise bad_request("PHOTO_INVALID_DIMENSIONS")
