"""What a stranger's link may make this machine ask: public addresses, encrypted, and nothing of its own network."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import ThreadedResolver, web
from aiohttp.test_utils import TestServer

from bots.download import Downloader, require_public
from core.errors import FileRefused, FileWhy, RetryLater

CONTENT = bytes(range(256)) * 1000


@asynccontextmanager
async def serving(**handlers: object) -> AsyncIterator[str]:
    """A platform's own server on this machine, as the config may name it."""
    app = web.Application()
    for name, handler in handlers.items():
        app.router.add_get(f"/{name}", handler)  # type: ignore[arg-type]
    async with TestServer(app) as server:
        yield str(server.make_url("/"))


async def fetched(downloader: Downloader, url: str, **more: dict[str, str]) -> bytes:
    portions: list[bytes] = []
    try:
        await downloader.fetch(url, portions.append, **more)
    finally:
        await downloader.close()
    return b"".join(portions)


async def why_not(downloader: Downloader, url: str) -> FileWhy:
    with pytest.raises(FileRefused) as refused:
        await fetched(downloader, url)
    assert url not in str(refused.value)
    return refused.value.why


async def _file(_: web.Request) -> web.Response:
    return web.Response(body=CONTENT)


async def test_the_platforms_own_server_may_be_anywhere() -> None:
    async with serving(file=_file) as url:
        assert await fetched(Downloader(url), f"{url}file") == CONTENT


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/x",
        "https://[::1]/x",
        "https://10.0.0.1/x",
        "https://192.168.1.1/x",
        "https://172.16.0.1/x",
        "https://100.64.0.1/x",
        "https://169.254.169.254/latest/meta-data/",
        "https://0.0.0.0/x",
        "https://224.0.0.1/x",
        "https://255.255.255.255/x",
        "https://[fe80::1]/x",
        "https://[fc00::1]/x",
        "https://[::ffff:10.0.0.1]/x",
        "https://[64:ff9b::a00:1]/x",
        "https://[2002:a00:1::]/x",
        "https://localhost/x",
        "https://2130706433/x",
        "http://93.184.216.34/x",
        "file:///etc/passwd",
        "ftp://93.184.216.34/x",
        "https:///x",
        "http://[/x",
        "x",
    ],
)
async def test_nothing_of_this_machines_network_is_asked(url: str) -> None:
    assert await why_not(Downloader("http://127.0.0.1:1/"), url) is FileWhy.ADDRESS


async def test_another_door_of_the_platforms_machine_is_none_of_its_own() -> None:
    async with serving(file=_file) as url, serving(file=_file) as other:
        assert await why_not(Downloader(url), f"{other}file") is FileWhy.ADDRESS


async def test_a_name_that_leads_inside_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """One public address among its addresses is not enough, and nothing is asked a second time after the look."""
    asked = []

    async def both(_: ThreadedResolver, host: str, port: int = 0, family: int = 0) -> list[dict[str, object]]:
        asked.append(host)
        shape = {"hostname": host, "port": port, "family": socket.AF_INET, "proto": 0, "flags": 0}
        return [shape | {"host": "93.184.216.34"}, shape | {"host": "10.0.0.1"}]

    monkeypatch.setattr(ThreadedResolver, "resolve", both)
    assert await why_not(Downloader(), "https://rebinding.example/x") is FileWhy.ADDRESS
    assert asked == ["rebinding.example"]


async def test_a_redirect_is_judged_anew() -> None:
    async def inside(_: web.Request) -> web.Response:
        raise web.HTTPFound("https://169.254.169.254/latest/meta-data/")

    async with serving(inside=inside) as url:
        assert await why_not(Downloader(url), f"{url}inside") is FileWhy.ADDRESS


async def test_a_token_goes_to_no_other_server() -> None:
    seen: list[str | None] = []

    async def there(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        return web.Response(body=b"x")

    async with serving(there=there) as other:

        async def moved(_: web.Request) -> web.Response:
            raise web.HTTPFound(f"{other}there")

        async with serving(moved=moved, here=there) as url:
            token = {"Authorization": "Bearer secret"}
            assert await fetched(Downloader(url, other), f"{url}here", headers=token) == b"x"
            assert await fetched(Downloader(url, other), f"{url}moved", headers=token) == b"x"
    assert seen == ["Bearer secret", None]


async def test_a_redirect_without_end_ends() -> None:
    async def again(request: web.Request) -> web.Response:
        raise web.HTTPFound(request.path)

    async with serving(again=again) as url:
        assert await why_not(Downloader(url), f"{url}again") is FileWhy.UNREACHABLE


async def test_what_is_not_there_is_gone_and_what_may_come_is_asked_again() -> None:
    async def busy(_: web.Request) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": "7"})

    async def broken(_: web.Request) -> web.Response:
        return web.Response(status=502)

    async with serving(busy=busy, broken=broken) as url:
        assert await why_not(Downloader(url), f"{url}nowhere") is FileWhy.GONE
        with pytest.raises(RetryLater) as later:
            await fetched(Downloader(url), f"{url}busy")
        assert later.value.after is not None
        assert later.value.after.total_seconds() == 7
        with pytest.raises(RetryLater):
            await fetched(Downloader(url), f"{url}broken")
    with pytest.raises(RetryLater):
        await fetched(Downloader(url), f"{url}file")


async def test_a_file_that_breaks_off_is_no_file() -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"x" * 10)
        assert request.transport is not None
        request.transport.abort()
        return response

    async with serving(cut=cut) as url:
        with pytest.raises(RetryLater):
            await fetched(Downloader(url), f"{url}cut")


async def test_reading_stops_where_the_taker_has_enough() -> None:
    written = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse()
        await response.prepare(request)
        while written < 100_000_000:
            written += 100_000
            await response.write(b"x" * 100_000)
        return response

    def full(_: bytes) -> None:
        raise FileRefused(FileWhy.SIZE)

    async with serving(endless=endless) as url:
        downloader = Downloader(url)
        with pytest.raises(FileRefused):
            await downloader.fetch(f"{url}endless", full)
        await downloader.close()
        await asyncio.sleep(0)
    assert written < 100_000_000


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "64:ff9b::5db8:d822"]
)
def test_public_addresses_are_public(address: str) -> None:
    require_public([address])
