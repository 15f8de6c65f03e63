"""What holds for the whole checkout, whichever part of it is worked on."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, text

from tests.conftest import NO_ACCOUNT, ROOT, SHARED_ABSENT, may_skip
from tests.postgres import PostgresServer
from tests.syntax import tree

LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
LONGEST_FUNCTION = 70

# Written in pieces, or this file would be its own first finding.
FORBIDDEN = re.compile(
    "|".join(
        (
            "py" + r"pi\.org",
            "python" + r"hosted\.org",
            "registry\\." + r"npmjs",
            r"--(extra-)?index-" + "url [^ ]*[:/]",
            "--find-" + "links[ =]",
            r"(?<![\w.])/(root|work|farm)/",
            r"(?<![\w./])/" + r"tmp/[a-z]",
            r"(?<![\w.])/opt/" + "(wheels|py)",
        )
    )
)


def committed_files() -> list[Path]:
    # The checkout may belong to somebody else than who runs the tests.
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    files = (ROOT / name for name in listed.split("\0") if name)
    return [path for path in files if path.is_file()]


def test_no_committed_file_names_a_registry_or_a_path_of_one_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line[:120]}"
        for path in committed_files()
        for number, line in enumerate(path.read_bytes().decode("utf-8", "replace").splitlines(), 1)
        if FORBIDDEN.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_pin_of_a_lock_is_exact_and_hashed(lock: Path) -> None:
    logical = lock.read_text().replace("\\\n", " ").splitlines()
    pins = [line for line in logical if line and not line.lstrip().startswith("#")]
    loose = [
        pin
        for pin in pins
        if not re.match(r"[a-z0-9._\[\]-]+==\S+( ;[^#]*?)?( +--hash=sha256:[0-9a-f]{64})+$", pin)
    ]
    assert pins
    assert loose == []


def test_locks_hold_what_the_project_declares() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = {
        "run.txt": declared["project"]["dependencies"],
        "dev.txt": declared["project"]["dependencies"] + declared["dependency-groups"]["dev"],
        "synapse.txt": declared["dependency-groups"]["synapse"],
    }
    assert {lock.name for lock in LOCKS} == set(wanted)
    for name, requirements in wanted.items():
        pinned = set(
            re.findall(r"^([a-z0-9._-]+)==", (ROOT / "requirements" / name).read_text(), re.MULTILINE)
        )
        asked = {
            re.split(r"[\[<>=!~;, ]", each, maxsplit=1)[0].lower().replace(".", "-") for each in requirements
        }
        assert asked <= pinned, f"run `make lock`: {name} lacks {sorted(asked - pinned)}"


def test_developers_run_the_versions_that_operators_get() -> None:
    def pins(name: str) -> set[str]:
        return set(
            re.findall(r"^[a-z0-9._-]+==\S+", (ROOT / "requirements" / name).read_text(), re.MULTILINE)
        )

    assert pins("run.txt") <= pins("dev.txt")


def test_no_function_is_longer_than_a_screen() -> None:
    long = []
    for path in committed_files():
        # A revision is one list of tables, in the order in which they must be made.
        if path.suffix != ".py" or path.parent == ROOT / "storage" / "migrations" / "versions":
            continue
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > LONGEST_FUNCTION:
                    long.append(f"{path.relative_to(ROOT)}:{node.lineno}: {node.name} has {lines} lines")
    assert long == []


def test_programs_find_their_own_packages_from_any_directory(tmp_path: Path) -> None:
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "__init__.py").write_text("raise SystemExit('the wrong core')\n")
    command = [sys.executable, "-P", "-c", "import core; print(core.__file__)"]
    found = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout.strip()
    assert Path(found) == ROOT / "core" / "__init__.py"


def test_each_database_starts_empty(database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.begin() as connection:
        assert inspect(connection).get_table_names() == []
        connection.execute(text("CREATE TABLE left_behind (number INTEGER)"))
    engine.dispose()


def test_each_test_gets_another_database(database_url: str) -> None:
    test_each_database_starts_empty(database_url)


@pytest.mark.slow
def test_a_killed_postgres_comes_back_with_what_was_committed() -> None:
    with PostgresServer() as server:
        engine = create_engine(server.url())
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE kept (number INTEGER)"))
            connection.execute(text("INSERT INTO kept VALUES (7)"))
        engine.dispose()
        server.kill()
        server.start()
        with engine.connect() as connection:
            assert connection.scalar(text("SELECT number FROM kept")) == 7
        engine.dispose()


@pytest.mark.slow
def test_a_postgres_leaves_nothing_behind() -> None:
    with PostgresServer() as server:
        folder, pid = server.folder, server.pid
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize(
    ("everything", "ci", "reason", "allowed"),
    [
        ("", "", "Chromium is not installed", True),
        ("1", "", "Chromium is not installed", False),
        ("1", "true", "Chromium is not installed", False),
        ("", "true", SHARED_ABSENT, True),
        ("1", "", SHARED_ABSENT, True),
        ("1", "true", SHARED_ABSENT, False),
        ("1", "true", f"{NO_ACCOUNT}: no token is set", True),
    ],
)
def test_which_skips_a_run_may_have(
    monkeypatch: pytest.MonkeyPatch, everything: str, ci: str, reason: str, *, allowed: bool
) -> None:
    monkeypatch.setenv("STORMO_TEST_ALL", everything)
    monkeypatch.setenv("CI", ci)
    assert may_skip(reason) is allowed


SKIPPING = {
    "test_inside.py": "import pytest\ndef test_it():\n    pytest.skip('no peer')\n",
    "test_mark.py": "import pytest\n@pytest.mark.skipif(True, reason='no peer')\ndef test_it(): ...\n",
    "test_module.py": "import pytest\npytest.skip('no peer', allow_module_level=True)\n",
    "test_fixture.py": (
        "import pytest\n@pytest.fixture\ndef peer():\n    pytest.skip('no peer')\ndef test_it(peer): ...\n"
    ),
}


def run_skipping_tests(folder: Path, everything: str) -> subprocess.CompletedProcess[str]:
    for name, code in SKIPPING.items():
        (folder / name).write_text(code)
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, "--continue-on-collection-errors", str(folder)],
        cwd=folder,
        env={**os.environ, "STORMO_TEST_ALL": everything, "CI": "", "PYTHONPATH": str(ROOT)},
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_a_run_of_everything_fails_on_a_missing_component(tmp_path: Path) -> None:
    strict = run_skipping_tests(tmp_path, "1")
    assert "1 failed, 3 errors in " in strict.stdout
    assert strict.stdout.count("STORMO_TEST_ALL=1 forbids: ") >= len(SKIPPING)
    assert strict.returncode != 0


@pytest.mark.slow
def test_an_ordinary_run_goes_on_without_a_missing_component(tmp_path: Path) -> None:
    ordinary = run_skipping_tests(tmp_path, "")
    assert "4 skipped in " in ordinary.stdout
    assert "failed" not in ordinary.stdout
