"""The web server: the socket, what is mounted on it, and whether all is well."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

from aiohttp import web

from core.errors import StormoError, message
from core.types import Platform
from stormo.config import Web
from stormo.health import Health
from stormo.instance import Instance
from stormo.metrics import Metrics, metrics_page
from stormo.vitals import healthz, readyz
from web.pages import Pages


class PortInUse(StormoError):
    """Somebody else listens where our pages should be served."""

    def __init__(self, host: str, port: int) -> None:
        self.message = message("run.port_in_use", host=host, port=str(port), other=str(port + 1))
        super().__init__(f"{host}:{port} is in use")


class NoSuchHost(StormoError):
    """The address to listen on is not one of this machine's."""

    def __init__(self, host: str, reason: str) -> None:
        self.message = message("run.no_such_host", host=host, reason=reason)
        super().__init__(f"cannot listen on {host}: {reason}")


@contextmanager
def listening(where: Web) -> Iterator[socket.socket]:
    """A socket that listens there. Raises ``PortInUse``, ``NoSuchHost``."""
    try:
        sock = _bound(where)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(where.host, where.port) from None
        raise NoSuchHost(where.host, error.strerror or str(error)) from None
    with sock:
        yield sock


def _bound(where: Web) -> socket.socket:
    found = socket.getaddrinfo(where.host, where.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = found[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(128)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def make_site(instance: Instance, health: Mapping[Platform, Health]) -> web.Application:
    """The application: how it fares, the public pages, and the playground where it is on."""
    app = web.Application()
    app.router.add_get("/healthz", healthz(instance, health))
    app.router.add_get("/readyz", readyz(instance, health))
    metrics = Metrics(
        health=health,
        counts=instance.counts,
        writer=instance.writer,
        readers=instance.readers,
        clock=instance.clock,
    )
    app.router.add_get("/metrics", metrics_page(instance.config.web, metrics))
    if instance.config.pages:
        app.add_routes(Pages(instance.readers, instance.rules, instance.words).routes())
    if instance.playground is not None:
        _mount_playground(app, instance)
    return app


def _mount_playground(app: web.Application, instance: Instance) -> None:
    from bots.playground.server import LOOPBACK, make_app

    assert instance.playground is not None

    async def to_playground(_: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("/playground/")

    # Before the page's own routes, which know no address without the slash and would say so.
    app.router.add_get("/", to_playground)
    app.router.add_get("/playground", to_playground)
    allowed = LOOPBACK | _named_hosts(instance.config.web)
    app.add_subapp("/playground", make_app(instance.playground, words=instance.words, allowed_hosts=allowed))


def _named_hosts(where: Web) -> frozenset[str]:
    """The names under which the operator wants the pages to be reached, beside this machine's own."""
    names = {where.host, urlsplit(where.public_url).hostname or ""}
    return frozenset(names - {"", "0.0.0.0", "::"})  # noqa: S104
