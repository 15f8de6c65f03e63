"""What every test may use: the shared folder, a fresh database of each kind, the rule about skips."""

import os
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.migrated import empty, migrated_file, migrated_template
from tests.postgres import PostgresServer

# A busy machine is no fault of an example; `make check` wants an answer soon, `make test` takes hypothesis' own number.
settings.register_profile("whole", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", parent=settings.get_profile("whole"), max_examples=5)
settings.load_profile("quick" if os.environ.get("STORMO_QUICK") else "whole")

pytest_plugins = ["tests.peers.fixtures", "tests.doubles.telegram.fixtures"]

ROOT = Path(__file__).resolve().parent.parent
#: Specifications, recordings and elections, beside the checkout; absent in an ordinary clone.
SHARED = Path(os.environ.get("STORMO_SHARED", ROOT.parent / "shared"))
#: The one reason for a skip that is always allowed outside CI.
SHARED_ABSENT = "the shared reference folder is absent"

#: Begins the reason of a look at a real service: nobody's account is a component that could be missing.
NO_ACCOUNT = "no account on the real service"

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=SHARED_ABSENT)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The shared reference folder; the test is skipped where there is none."""
    if not SHARED.is_dir():
        pytest.skip(SHARED_ABSENT)
    return SHARED


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL of this worker's own, for the whole run."""
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_url(postgres_server: PostgresServer) -> str:
    """SQLAlchemy's URL of the server's administrative database; tests that write use `fresh_postgres_url`."""
    return postgres_server.url()


@pytest.fixture
def fresh_sqlite_url(tmp_path: Path) -> str:
    """SQLAlchemy's URL of a file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'stormo.sqlite'}"


@pytest.fixture
def fresh_postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """SQLAlchemy's URL of an empty database, dropped after the test."""
    name = postgres_server.create_database()
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


@pytest.fixture
def migrated_sqlite_url(tmp_path: Path) -> str:
    """SQLAlchemy's URL of a file with every table and no row."""
    return migrated_file(tmp_path / "migrated.sqlite")


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresServer) -> str:
    """The name of the database that the migrated ones are copied from."""
    return migrated_template(postgres_server)


@pytest.fixture(scope="session")
def postgres_emptied(postgres_server: PostgresServer, postgres_template: str) -> str:
    """The name of the one that tests have after one another."""
    return postgres_server.create_database(postgres_template)


@pytest.fixture
def migrated_postgres_url(postgres_server: PostgresServer, postgres_emptied: str) -> str:
    """SQLAlchemy's URL of a database with every table and no row, for one test at a time."""
    empty(postgres_server, postgres_emptied)
    return postgres_server.url(postgres_emptied)


@pytest.fixture(params=["sqlite", "postgres"])
def migrated_url(request: pytest.FixtureRequest) -> str:
    """SQLAlchemy's URL of a database with every table and no row, for one test alone: once each kind."""
    url = request.getfixturevalue(f"migrated_{request.param}_url")
    assert isinstance(url, str)
    return url


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """SQLAlchemy's URL of an empty database: each test runs once on SQLite and once on PostgreSQL."""
    url = request.getfixturevalue(f"fresh_{request.param}_url")
    assert isinstance(url, str)
    return url


@pytest.fixture(scope="session")
def chromium() -> Path:
    """Chromium's executable, STORMO_CHROMIUM or the one on the path; without one the test is skipped."""
    names = (os.environ.get("STORMO_CHROMIUM", "chromium"), "chromium-browser", "google-chrome")
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("Chromium is not installed")
    return Path(found)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long faults to `make faults`, and the shared homeserver to one worker."""
    if not os.environ.get("STORMO_FAULTS"):
        long = [item for item in items if item.get_closest_marker("faults")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]
    _keep_the_homeserver_on_one_worker(items)


def _keep_the_homeserver_on_one_worker(items: list[pytest.Item]) -> None:
    # Starting it costs more than a second worker would save.
    for item in items:
        if "synapse" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("synapse"))
        if not _quick(item):
            item.add_marker(pytest.mark.slow)


#: Files whose tests start the whole program each, or search long: of them `make check` takes one test.
LONG = frozenset({"test_app.py", "test_backup.py", "test_metrics.py", "test_pages.py", "test_parts.py"})


def _quick(item: pytest.Item) -> bool:
    """Whether `make check` takes this test: one database is enough there, and one story."""
    folder = (
        item.path.relative_to(ROOT / "tests").parts[0] if item.path.is_relative_to(ROOT / "tests") else ""
    )
    if folder in ("doubles", "stories"):
        return item.path.name == "test_the_story.py" and "[postgres" not in item.name
    if item.path.name in LONG and item.name != "test_without_any_config_there_is_a_page_to_play_on":
        return False
    return "[postgres" not in item.name and not any(
        "postgres" in name for name in getattr(item, "fixturenames", ())
    )


def may_skip(reason: str) -> bool:
    """Tell whether a skip with this reason is acceptable in this run.

    With STORMO_TEST_ALL=1 a missing component is a failure, so that no run passes for whole that was not.
    The shared folder may still be absent, except in CI; an account on a real service anywhere.
    """
    if os.environ.get("STORMO_TEST_ALL") != "1" or NO_ACCOUNT in reason:
        return True
    return SHARED_ABSENT in reason and not os.environ.get("CI")


def _fail_unless_allowed(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not report.skipped:
        return
    reason = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if not may_skip(reason):
        report.outcome = "failed"
        report.longrepr = f"skipped, which STORMO_TEST_ALL=1 forbids: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a forbidden skip of a test into a failure."""
    report = yield
    _fail_unless_allowed(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn a forbidden skip of a whole module into a failure."""
    report = yield
    _fail_unless_allowed(report)
    return report
