"""The command line: what an operator can ask, said in the terminal's language."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from core.errors import ConfigError, Message, StormoError, message
from stormo import config as configuration
from stormo.config import Config
from stormo.logs import Redacting, set_up
from stormo.usage import speak
from stormo.words import Catalogue

Say = Callable[[Message], str]
Args = argparse.Namespace

_EXAMPLE = Path(__file__).resolve().parent.parent / "config.example.toml"
_WRONG: Final = 1
#: As argparse itself ends for a command line that it does not understand.
_UNUSABLE: Final = 2


def terminal_language(env: Mapping[str, str]) -> str:
    """As gettext chooses: the first of these that is set."""
    wishes = (env.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    return next((wish.partition(".")[0] for wish in wishes if wish), "en")


def parser(words: Callable[[str], str]) -> argparse.ArgumentParser:
    """The whole command line. ``words`` gives the text of an id."""
    top = argparse.ArgumentParser(
        prog="stormo", description=words("cli.about"), epilog=words("cli.epilog"), allow_abbrev=False
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("-c", "--config", metavar="FILE", help=words("cli.config"))
    commands = top.add_subparsers(
        dest="command", required=True, metavar="COMMAND", title=words("cli.commands")
    )

    def add(name: str, act: Callable[[Args, Say], int]) -> argparse.ArgumentParser:
        text = words(f"cli.{name.replace('-', '_')}")
        made = commands.add_parser(name, help=text, description=text, parents=[common], allow_abbrev=False)
        made.set_defaults(act=act)
        return made

    add("init", init)
    add("check", check)
    serving = add("run", run)
    serving.add_argument("-v", "--verbose", action="store_true", help=words("cli.verbose"))
    serving.add_argument("--only", metavar="NAME,...", help=words("cli.only"))
    serving.add_argument("--shards", type=_shards, metavar="FIRST-LAST/COUNT", help=words("cli.shards"))
    serving.add_argument("--port", type=_port, metavar="PORT", help=words("cli.port"))
    add("migrate", migrate_database)
    for name, act in (("backup", backup), ("restore", restore)):
        made = add(name, act)
        made.add_argument("file", metavar="FILE", type=Path, help=words(f"cli.{name}.file"))
        made.add_argument("--passphrase-file", metavar="FILE", type=Path, help=words("cli.passphrase"))
    add("resume", resume)
    add("doubts", doubts)
    add("outbox", outbox)
    add("rooms", rooms)
    letters = add("dead-letters", dead_letters)
    letters.add_argument(
        "do",
        nargs="?",
        choices=["list", "show", "retry", "drop"],
        default="list",
        help=words("cli.letters.do"),
    )
    letters.add_argument("id", nargs="?", type=int, metavar="ID", help=words("cli.letters.id"))
    return top


def _port(word: str) -> int:
    """Raises ``ValueError``, as argparse wants it."""
    if not 0 <= (port := int(word)) < 65536:  # noqa: PLR2004
        raise ValueError(word)
    return port


def _shards(word: str) -> tuple[int, int, int]:
    """Raises ``ValueError``, as argparse wants it."""
    found = re.fullmatch(r"(\d{1,5})-(\d{1,5})/(\d{1,5})", word)
    if found is None or not int(found[1]) <= int(found[2]) < int(found[3]):
        raise ValueError(word)
    return int(found[1]), int(found[2]), int(found[3])


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command. Returns the exit code: 0 done, 1 it went wrong, 2 the config or the call is unusable."""
    catalogue, language = Catalogue(), terminal_language(os.environ)
    say: Say = partial(catalogue, language=language)
    speak(lambda id_: say(message(id_)))
    args = parser(lambda id_: say(message(id_)).replace("%", "%%")).parse_args(argv)
    try:
        code = args.act(args, say)
        assert isinstance(code, int)
        return code
    except configuration.NoShare as error:
        for fault in error.faults:
            _complain(say(fault))
        return _UNUSABLE
    except ConfigError as error:
        _complain(say(message("config.faults", n=len(error.faults))))
        for fault in error.faults:
            _complain(f"  {say(fault)}")
        return _UNUSABLE
    except StormoError as error:
        _complain(_told(error, say))
        return _WRONG
    except BrokenPipeError:
        # Whoever read us has seen enough (`stormo dead-letters | head`); nothing more may be written at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _WRONG
    except OSError as error:
        what = f"{error.filename}: " if error.filename else ""
        _complain(say(message("cli.system", reason=f"{what}{error.strerror or error}")))
        return _WRONG
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).partition("\n")[0]
        _complain(say(message("check.database_closed", reason=Redacting().redact(reason))))
        return _WRONG
    except KeyboardInterrupt:
        return 130


def _told(error: StormoError, say: Say) -> str:
    told = getattr(error, "message", None)
    return say(told) if isinstance(told, Message) else Redacting().redact(str(error))


def _complain(line: str) -> None:
    print(line, file=sys.stderr)


def _config(args: Args) -> Config:
    return configuration.load(configuration.find(args.config))


def init(args: Args, say: Say) -> int:
    """Writes a commented config; what is there stays."""
    file = Path(args.config or os.environ.get("STORMO_CONFIG") or configuration.DEFAULT_FILE)
    try:
        # It will hold tokens: nobody else needs to read it.
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        _complain(say(message("init.exists", file=str(file))))
        return _WRONG
    except OSError as error:
        _complain(say(message("init.unwritable", file=str(file), reason=error.strerror or "")))
        return _WRONG
    with os.fdopen(descriptor, "w", encoding="utf-8") as made:
        made.write(_EXAMPLE.read_text(encoding="utf-8"))
    print(say(message("init.written", file=str(file))))
    return 0


def run(args: Args, say: Say) -> int:
    """Serves until asked to end."""
    from stormo.serve import greeting, serve

    config = _config(args)
    if args.only is not None:
        config = configuration.share(config, [name.strip() for name in args.only.split(",") if name.strip()])
    if args.shards is not None:
        config = configuration.part(config, args.shards)
    if args.port is not None:
        config = replace(config, web=replace(config.web, port=args.port))
    set_up(config.secrets, verbose=args.verbose)
    print(say(greeting(config)), flush=True)

    def ready(address: str) -> None:
        print(say(message("run.ready", address=address)), flush=True)

    return 0 if asyncio.run(serve(config, ready)) else _WRONG


def migrate_database(args: Args, say: Say) -> int:
    """Brings the database to this program's version."""
    from storage import migrate
    from stormo import lock

    config = _config(args)
    with lock.held(config.data, config.database_url):
        before = migrate.version(config.database_url)
        after = migrate.upgrade(config.database_url)
    print(say(message("migrate.same" if before == after else "migrate.done", version=after)))
    return 0


def check(args: Args, say: Say) -> int:
    """Proves config, database, port, tokens and permissions."""
    from stormo.checks import findings

    config = _config(args)
    set_up(config.secrets)
    found = asyncio.run(findings(config))
    redact = Redacting(config.secrets).redact
    for finding in found:
        print(redact(f"{'ok' if finding.ok else '!!'}  {say(finding.message)}"))
    return 0 if all(finding.ok for finding in found) else _WRONG


def backup(args: Args, say: Say) -> int:
    """Writes an encrypted backup while the program may go on running."""
    from stormo.backup import back_up
    from stormo.passphrase import passphrase

    config = _config(args)
    made = back_up(config, args.file, passphrase(args.passphrase_file, say, twice=True))
    print(say(message("backup.done", file=str(args.file), n=made.rows)))
    return 0


def restore(args: Args, say: Say) -> int:
    """Fills an empty target; the instance starts paused."""
    from stormo.backup import restore as restore_into
    from stormo.passphrase import passphrase

    config = _config(args)
    made = restore_into(config, args.file, passphrase(args.passphrase_file, say, twice=False))
    print(say(message("restore.done", when=made.at, n=made.rows)))
    print(say(message("restore.doubts", n=made.doubts)))
    print(say(message("restore.next")))
    return 0


def resume(args: Args, say: Say) -> int:
    """Ends the pause of a restored instance."""
    from stormo.desk import end_pause

    left = end_pause(_config(args))
    print(say(message("resume.not_paused") if left is None else message("resume.done", n=left)))
    return 0


def doubts(args: Args, say: Say) -> int:
    """Lists sends that may be there twice or not at all."""
    from stormo import desk

    return desk.show_doubts(_config(args), say)


def outbox(args: Args, say: Say) -> int:
    """Counts what waits, and lists what was refused or is in doubt."""
    from stormo import desk

    return desk.show_outbox(_config(args), say)


def rooms(args: Args, say: Say) -> int:
    """Lists rooms that Stormo lost or may not write in."""
    from stormo import desk

    return desk.show_rooms(_config(args), say)


def dead_letters(args: Args, say: Say) -> int:
    """Lists, shows, retries or drops events that kept failing."""
    from stormo import desk

    if args.do != "list" and args.id is None:
        _complain(say(message("letters.which", do=args.do)))
        return _UNUSABLE
    return desk.dead_letters(_config(args), args.do, args.id, say)
