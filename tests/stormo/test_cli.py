"""The command line as an operator uses it, in processes of its own."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from core import codec
from core.events import MessageDeleted, Missed
from core.types import ChatRef, MessageRef, Platform
from storage import migrate
from stormo.cli import main
from tests.conftest import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

ENV = {"PATH": os.environ["PATH"], "LANG": "en_US.UTF-8", "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
PASSPHRASE = {"STORMO_BACKUP_PASSPHRASE": "correct horse"}


def stormo(folder: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """A call in a process of its own, which is forked from one that has loaded the program: that costs most of it."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["stormo.cli", "stormo.desk", "stormo.app"])
    with TemporaryDirectory() as said:
        files = Path(said) / "stdout", Path(said) / "stderr"
        process = context.Process(target=_called, args=(folder, args, ENV | env, *files))
        process.start()
        process.join(60)
        process.kill()
        process.join()
        output, errors = (file.read_text() for file in files)
    assert process.exitcode is not None
    return subprocess.CompletedProcess(args, process.exitcode, output, errors)


def _called(folder: Path, args: Sequence[str], env: Mapping[str, str], stdout: Path, stderr: Path) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    for number, (file, flags) in enumerate(
        (
            (Path(os.devnull), os.O_RDONLY),
            (stdout, os.O_WRONLY | os.O_CREAT),
            (stderr, os.O_WRONLY | os.O_CREAT),
        )
    ):
        os.dup2(os.open(file, flags, 0o600), number)
    sys.exit(main(args))


def started(folder: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """The same with everything that a terminal's call begins with."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "stormo", *args],
        cwd=folder,
        env=ENV | env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def running(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """`stormo run`, ready. Ended at the end of the block if it was not before."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "stormo", "run"],
        cwd=folder,
        env=ENV,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = []
        while "Ready" not in (line := process.stdout.readline()):
            said.append(line)
            assert line, "".join(said)
        yield process
    finally:
        process.kill()
        process.communicate(timeout=30)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An operator's folder with a config that takes any free port."""
    (tmp_path / "config.toml").write_text("[web]\nport = 0\n")
    return tmp_path


COMMANDS = (
    "init",
    "check",
    "run",
    "migrate",
    "backup",
    "restore",
    "resume",
    "doubts",
    "outbox",
    "rooms",
    "dead-letters",
)


def test_help_is_there_for_everything_in_both_languages(tmp_path: Path) -> None:
    overview = started(tmp_path, "--help")
    assert overview.returncode == 0
    assert all(f"\n    {command}" in overview.stdout for command in COMMANDS)
    for command in COMMANDS[4:6]:
        shown = stormo(tmp_path, command, "--help")
        assert "--passphrase-file" in shown.stdout
        assert "[cli." not in shown.stdout
    italian = started(tmp_path, "backup", "--help", LANG="it_IT.UTF-8").stdout
    assert italian.startswith("uso: stormo backup")
    assert not [word for word in ("usage", "options", "positional", "show this help") if word in italian]


@pytest.mark.parametrize(
    ("args", "english", "italian"),
    [
        (("frob",), "there is no 'frob'", "'frob' non esiste"),
        (("backup",), "this is missing: FILE", "manca: FILE"),
        (("dead-letters", "show", "x"), "'x' is not of the right kind", "'x' non è del tipo giusto"),
        (("run", "--frob"), "this is not known: --frob", "non è conosciuto: --frob"),
        (("run", "--port"), "a value is missing", "manca un valore"),
    ],
)
def test_a_call_that_is_not_understood_ends_with_two_and_says_why_in_both_languages(
    tmp_path: Path, args: tuple[str, ...], english: str, italian: str
) -> None:
    for language, words in (("en_US.UTF-8", english), ("it_IT.UTF-8", italian)):
        ended = stormo(tmp_path, *args, LANG=language)
        assert ended.returncode == 2
        assert words in ended.stderr


def test_init_writes_the_example_for_its_owner_only_and_never_over_a_file(tmp_path: Path) -> None:
    assert stormo(tmp_path, "init").returncode == 0
    made = tmp_path / "config.toml"
    assert made.read_text() == (ROOT / "config.example.toml").read_text()
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    made.write_text("mine")
    again = stormo(tmp_path, "init")
    assert again.returncode == 1
    assert "config.toml" in again.stderr
    assert made.read_text() == "mine"


def test_a_faulty_config_ends_with_every_fault_and_two(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[web]\nport = "x"\n[discrod]\n[telegram]\n')
    ended = stormo(tmp_path, "run")
    assert ended.returncode == 2
    assert ended.stderr.startswith("The config has 3 faults:")
    for part in ("[web] port", "Did you mean [discord]?", "@BotFather"):
        assert part in ended.stderr
    assert not (tmp_path / "data").exists()


def test_a_config_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    ended = stormo(tmp_path, "check", "--config", "absent.toml")
    assert ended.returncode == 2
    assert "absent.toml" in ended.stderr


def test_check_changes_nothing_and_says_what_is_right(folder: Path) -> None:
    found = stormo(folder, "check")
    assert found.returncode == 0, found.stdout + found.stderr
    assert all(line.startswith("ok  ") for line in found.stdout.splitlines())
    assert sorted(path.name for path in folder.iterdir()) == ["config.toml"]


def test_check_says_what_is_wrong_and_ends_with_one(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        config = f"""
            [web]
            port = {port}
            [telegram]
            token = "123456:ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghi"
            base_url = "http://127.0.0.1:9/bot"
            [database]
            url = "postgresql://nobody:hush@127.0.0.1:9/nothing"
        """
        (tmp_path / "config.toml").write_text(config)
        found = stormo(tmp_path, "check")
    wrong = [line for line in found.stdout.splitlines() if line.startswith("!!  ")]
    assert found.returncode == 1
    assert len(wrong) == 3, found.stdout + found.stderr
    assert any(str(port) in line and str(port + 1) in line for line in wrong)
    assert any("Telegram" in line for line in wrong)
    assert "hush" not in found.stdout + found.stderr
    assert "ABCDEFGH" not in found.stdout + found.stderr


def test_sigterm_ends_it_in_order_within_ten_seconds(folder: Path) -> None:
    with running(folder) as process:
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=10)
    assert process.returncode == 0, output
    assert "Traceback" not in output


def test_a_second_one_is_refused_and_tools_work_beside_it(folder: Path) -> None:
    with running(folder) as process:
        second = stormo(folder, "run")
        assert second.returncode == 1
        assert str(process.pid) in second.stderr
        assert f"process {process.pid}" in stormo(folder, "check").stdout
        assert stormo(folder, "outbox").returncode == 0
        assert stormo(folder, "doubts").stdout.startswith("0 ")
        assert stormo(folder, "backup", "b", **PASSPHRASE).returncode == 0
        assert stormo(folder, "migrate").returncode == 1


def test_a_port_in_use_is_told_with_another_one(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        (tmp_path / "config.toml").write_text(f"[web]\nport = {port}\n")
        ended = stormo(tmp_path, "run")
    assert ended.returncode == 1
    assert str(port) in ended.stderr
    assert f"port = {port + 1}" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_tools_need_a_database_of_this_version(folder: Path) -> None:
    for command in (
        ("doubts",),
        ("outbox",),
        ("rooms",),
        ("resume",),
        ("dead-letters",),
        ("dead-letters", "drop", "1"),
    ):
        ended = stormo(folder, *command)
        assert (ended.returncode, ended.stdout) == (1, "")
        assert "stormo run" in ended.stderr
    assert not (folder / "data").exists()


def test_a_newer_database_is_refused_in_words(folder: Path) -> None:
    assert migrate.newest() in stormo(folder, "migrate").stdout
    database = folder / "data" / "stormo.sqlite"
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    for command in ("run", "migrate", "outbox"):
        ended = stormo(folder, command)
        assert ended.returncode == 1
        assert "9999" in ended.stderr
        assert "Traceback" not in ended.stderr


def test_a_backup_goes_out_and_comes_back(folder: Path, tmp_path: Path) -> None:
    assert started(folder, "migrate").returncode == 0
    assert stormo(folder, "backup", "../none/b", **PASSPHRASE).returncode == 1
    assert "STORMO_BACKUP_PASSPHRASE" in stormo(folder, "backup", "b").stderr
    assert stormo(folder, "backup", "b", **PASSPHRASE).returncode == 0
    target = tmp_path / "new"
    target.mkdir()
    (target / "config.toml").write_text("[web]\nport = 0\n")
    (target / "wrong").write_text("another")
    wrong = stormo(target, "restore", "../b", "--passphrase-file", "wrong")
    assert wrong.returncode == 1
    assert not (target / "data").exists()
    assert stormo(target, "restore", "../b", **PASSPHRASE).returncode == 0
    assert stormo(target, "restore", "../b", **PASSPHRASE).returncode == 1
    assert "stormo resume" in stormo(target, "outbox").stdout
    assert stormo(target, "resume").returncode == 0
    assert "stormo resume" not in stormo(target, "outbox").stdout


def test_dead_letters_are_listed_shown_retried_and_dropped(folder: Path) -> None:
    assert stormo(folder, "migrate").returncode == 0
    message = MessageRef(ChatRef(Platform("telegram"), "-5"), "7")
    payload = codec.dump(MessageDeleted(key="telegram:1:update:7", at=None, message=message))
    with sqlite3.connect(folder / "data" / "stormo.sqlite") as connection:
        letters = [(number, "MessageDeleted", payload, "KeyError: 'x'", 0) for number in (1, 2)]
        connection.executemany(
            "INSERT INTO dead_letters (id, kind, payload, error, at) VALUES (?, ?, ?, ?, ?)", letters
        )
    connection.close()
    assert "KeyError: 'x'" in stormo(folder, "dead-letters").stdout
    assert stormo(folder, "dead-letters", "show", "1").stdout.strip() == payload
    assert stormo(folder, "dead-letters", "retry", "1").returncode == 0
    assert stormo(folder, "dead-letters", "drop", "2").returncode == 0
    assert stormo(folder, "dead-letters").stdout.startswith("0 ")
    assert stormo(folder, "dead-letters", "drop", "2").returncode == 1
    assert stormo(folder, "dead-letters", "drop").returncode == 2


def test_a_dead_letter_that_cannot_be_tried_again_says_why_and_stays(folder: Path) -> None:
    assert stormo(folder, "migrate").returncode == 0
    missed = codec.dump(Missed(key="telegram:1:missed", platform=Platform("telegram"), reason="a day"))
    with sqlite3.connect(folder / "data" / "stormo.sqlite") as connection:
        connection.executemany(
            "INSERT INTO dead_letters (id, kind, payload, error, at) VALUES (?, ?, ?, 'x', 0)",
            [(1, "Missed", missed), (2, "MessageDeleted", "{}")],
        )
    connection.close()
    for letter, part in (("1", "stormo dead-letters drop 1"), ("2", "KeyError")):
        tried = stormo(folder, "dead-letters", "retry", letter)
        assert (tried.returncode, tried.stdout) == (1, "")
        assert part in tried.stderr
        assert "Traceback" not in tried.stderr
    assert stormo(folder, "dead-letters").stdout.splitlines()[-1].startswith("2 ")


def test_a_share_that_does_not_exist_names_the_nearest(folder: Path) -> None:
    (folder / "config.toml").write_text(
        '[database]\nurl = "postgresql://nobody@localhost/none"\n[telegram]\ntoken = "1:t"\n'
    )
    refused = stormo(folder, "run", "--only", "telegramm")
    assert refused.returncode == 2
    assert "Did you mean telegram?" in refused.stderr
    assert stormo(folder, "run", "--port", "70000").returncode == 2
    for shards in ("0-3", "3-2/4", "0-4/4", "x"):
        assert stormo(folder, "run", "--shards", shards).returncode == 2


def test_a_share_of_a_sqlite_file_says_what_to_do(folder: Path) -> None:
    refused = stormo(folder, "run", "--only", "web")
    assert refused.returncode == 2
    assert "PostgreSQL" in refused.stderr
    assert not (folder / "data").exists()
