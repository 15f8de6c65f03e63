"""The files of a public post as strangers get them: what they are, and nothing that runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from core.body import Body, to_json
from core.mediastore import MediaStore
from core.records import Enclosure, FileState, Revision
from core.social.posts import short_id
from core.types import Platform, ThingId, Visibility
from storage.unit import SqlUnit
from stormo.app import Stormo
from stormo.config import parse
from tests.storage.conftest import NOW
from tests.storage.rows import a_post

CONFIG = """
[data]
dir = "{data}"

[web]
port = 0

[playground]
enabled = false

[media]
types = ["image", "image/svg+xml", "text/html"]
"""
PNG = b"\x89PNG\r\n\x1a\n" + bytes(2000)
HTML = b"<!doctype html><script>alert(1)</script>"
SVG = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[Stormo]:
    async with Stormo(parse(CONFIG.format(data=tmp_path / "data"), {})) as running:
        yield running


async def posted(app: Stormo, *files: tuple[bytes, str], seen_by: Visibility = Visibility.PUBLIC) -> str:
    """The path of a post whose files are stored; the first is described, the last a spoiler."""
    store, blobs = MediaStore(app.config.media.folder), []
    for content, _ in files:
        incoming = store.incoming(app.config.media)
        incoming.take(content)
        blobs.append(store.keep(incoming))

    def work(unit: SqlUnit) -> str:
        post = a_post(unit, visibility=seen_by)
        body = to_json(Body())
        unit.posts.add_revision(
            Revision(post_id=post, number=1, body=body, source="", dialect="plain", at=NOW)
        )
        for position, (blob, (_, name)) in enumerate(zip(blobs, files, strict=True)):
            unit.media.add_blob(blob, NOW)
            unit.media.add(
                [
                    Enclosure(
                        thing_id=ThingId(post),
                        position=position,
                        platform=Platform("telegram"),
                        source="",
                        key="",
                        name=name,
                        mime=blob.mime,
                        size=blob.size,
                        alt="Two <swifts>" if position == 0 else "",
                        spoiler=position > 0 and position == len(files) - 1,
                        state=FileState.STORED,
                        digest=blob.digest,
                        reason="",
                        attempts=0,
                        ready_at=NOW,
                        album="",
                    )
                ]
            )
        return f"/p/{short_id(post)}"

    return await app.writer.submit(work)


async def asked(app: Stormo, path: str, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    url = f"http://127.0.0.1:{app.address[1]}{path}"
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        return answer.status, await answer.read(), dict(answer.headers)


async def test_a_picture_is_shown_on_the_page_and_served_as_itself(app: Stormo) -> None:
    path = await posted(app, (PNG, "due rondoni é.png"), (PNG + b"2", "secret.png"))
    status, page, _ = await asked(app, path)
    assert status == 200
    assert b'alt="Two &lt;swifts&gt;"' in page
    assert page.count(b"<img") == 1
    assert b"secret.png" in page
    status, content, headers = await asked(app, f"{path}/0")
    assert (status, content, headers["Content-Type"]) == (200, PNG, "image/png")
    assert headers["Content-Disposition"] == "inline; filename*=UTF-8''due%20rondoni%20%C3%A9.png"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in headers["Content-Security-Policy"]
    status, part, _ = await asked(app, f"{path}/0", Range="bytes=0-7")
    assert (status, part) == (206, PNG[:8])


@pytest.mark.parametrize(("content", "name"), [(HTML, "a.html"), (SVG, "a.svg")], ids=["html", "svg"])
async def test_what_could_run_is_only_ever_saved(app: Stormo, content: bytes, name: str) -> None:
    path = await posted(app, (content, name))
    status, served, headers = await asked(app, f"{path}/0")
    assert (status, served, headers["Content-Type"]) == (200, content, "application/octet-stream")
    assert headers["Content-Disposition"].startswith("attachment;")
    assert b"<img" not in (await asked(app, path))[1]


@pytest.mark.parametrize("seen_by", [Visibility.COMMUNITY, Visibility.ROOM])
async def test_files_of_other_posts_are_nobodys_business(app: Stormo, seen_by: Visibility) -> None:
    path = await posted(app, (PNG, "a.png"), seen_by=seen_by)
    assert (await asked(app, f"{path}/0"))[0] == 404
    public = await posted(app, (PNG, "a.png"))
    for wrong in (f"{public}/1", f"{public}/x", "/p/zzzz/0", f"{public}/0/..%2f..%2fkey"):
        assert (await asked(app, wrong))[0] == 404


async def test_a_deleted_post_serves_nothing(app: Stormo) -> None:
    path = await posted(app, (PNG, "a.png"))
    assert (await asked(app, f"{path}/0"))[0] == 200
    await app.writer.submit(lambda unit: unit._run.cursor.execute("UPDATE posts SET deleted_at = 1"))
    assert (await asked(app, f"{path}/0"))[0] == 404
