"""An operator reads every fault of the config at once; what is left out has a sensible value."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ConfigError
from core.types import AccountRef, Platform
from stormo.config import SECTIONS, Config, MissingConfig, find, load, parse, share
from stormo.keys import Key, Unfit
from stormo.platforms import COMMON, PLATFORMS, build
from stormo.words import Catalogue
from tests.clock import FakeClock
from tests.conftest import ROOT

EXAMPLE = (ROOT / "config.example.toml").read_text(encoding="utf-8")
WORDS = Catalogue(strict=True)


def faults(source: str, env: Mapping[str, str] | None = None, base: Path | None = None) -> list[str]:
    """What the operator reads."""
    with pytest.raises(ConfigError) as caught:
        parse(source, env or {}, base=base)
    return [WORDS(fault, "en") for fault in caught.value.faults]


def test_without_a_config_there_is_a_playground_on_this_machine_only(tmp_path: Path) -> None:
    config = parse("", {}, base=tmp_path)
    assert config.playground
    assert (config.web.host, config.web.port) == ("127.0.0.1", 8080)
    assert config.database_url == f"sqlite:///{tmp_path / 'data' / 'stormo.sqlite'}"
    assert config.room.quiet_hours is None
    assert config.room.hold == timedelta(0)
    assert config.platforms == {}


def test_a_real_platform_brings_quiet_hours_and_the_hold_and_ends_the_playground() -> None:
    config = parse('[telegram]\ntoken = "1:a"\n', {})
    assert not config.playground
    assert config.room.quiet_hours == (22, 8)
    assert config.room.hold == timedelta(seconds=60)
    assert config.platforms == {"telegram": {"token": "1:a"}}
    assert parse('[telegram]\ntoken = "1:a"\n[playground]\nenabled = true\n', {}).playground


BROKEN = """
[web]
port = "eighty"
hots = "0.0.0.0"

[room]
quiet_hours = "at night"
copies_an_hour = 0

[telegramm]
token = "1:a"

[discord]
message_content = "yes"

[matrix]
user_id = "stormo"
windows = [[1]]
"""


def test_every_fault_is_told_at_once_with_key_reason_and_example() -> None:
    told = faults(BROKEN)
    wanted = [
        "[telegramm] is not known. Did you mean [telegram]?",
        "[web] hots is not known. Did you mean host?",
        *(
            f"{key} "
            for key in (
                "[web] port",
                "[room] quiet_hours",
                "[room] copies_an_hour",
                "[discord] message_content",
                "[discord] token",
                "[matrix] user_id",
                "[matrix] windows",
                "[matrix] homeserver",
                "[matrix] access_token",
            )
        ),
    ]
    assert len(told) == len(wanted)
    for start in wanted:
        assert any(line.startswith(start) for line in told), start
    assert next(line for line in told if "port" in line).endswith("port = 8080")


def test_a_missing_token_says_where_to_get_one() -> None:
    assert "@BotFather" in faults("[telegram]\n")[0]
    assert "developer portal" in faults("[discord]\n")[0].lower()


def test_what_is_not_toml_says_in_which_line() -> None:
    assert "line 2" in faults("[web]\nport = \n")[0]


@pytest.mark.parametrize(
    ("source", "key"),
    [
        ("web = 3", "web"),
        ("[co-op]\ntimezone = 'Europe/Nowhere'", "[co-op] timezone"),
        ("[co-op]\ntimezone = '../etc'", "[co-op] timezone"),
        ("[co-op]\nlanguage = 'de'", "[co-op] language"),
        ("[co-op]\noperators = ['anna']", "[co-op] operators"),
        ("[co-op]\noperators = 'telegram:1'", "[co-op] operators"),
        ("[relay]\nrooms = [['matrix:!a']]", "[relay] rooms"),
        ("[relay]\nrooms = [['matrix:!a', 'matrix:!a']]", "[relay] rooms"),
        ("[relay]\nrooms = ['matrix:!a', 'matrix:!b']", "[relay] rooms"),
        ("[co-op]\nname = ''", "[co-op] name"),
        ("[database]\nurl = 'mysql://host/x'", "[database] url"),
        ("[database]\nurl = 'no address'", "[database] url"),
        ("[web]\nport = true", "[web] port"),
        ("[web]\nport = 70000", "[web] port"),
        ("[web]\npublic_url = 'birds.example.org'", "[web] public_url"),
        ("[web]\npublic_url = 'https://['", "[web] public_url"),
        ("[room]\nquiet_hours = '22-22'", "[room] quiet_hours"),
        ("[room]\nquiet_hours = '22-25'", "[room] quiet_hours"),
        ("[telegram]\ntoken = 5", "[telegram] token"),
        ("[telegram]\ntoken_file = 'nowhere'", "[telegram] token"),
    ],
)
def test_one_wrong_value_is_one_fault_that_names_its_key(source: str, key: str, tmp_path: Path) -> None:
    told = faults(source, base=tmp_path)
    assert len(told) == 1, told
    assert key in told[0]


def test_secrets_come_from_the_environment_or_a_file_and_are_known_as_such(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("1:from-file\n")
    source = '[telegram]\ntoken_file = "token"\n'
    assert parse(source, {}, base=tmp_path).platforms["telegram"]["token"] == "1:from-file"
    env = {
        "STORMO_TELEGRAM_TOKEN": "1:from-env",
        "STORMO_DISCORD_TOKEN": "d",
        "STORMO_DATABASE_URL": "postgresql://a:pw@h/x",
    }
    config = parse(source, env, base=tmp_path)
    assert config.platforms == {"telegram": {"token": "1:from-env"}, "discord": {"token": "d"}}
    assert config.secrets == {"1:from-env", "d", "pw"}
    assert config.database_url == "postgresql://a:pw@h/x"
    assert not any(secret in repr(config) for secret in ("from-env", "pw"))


def test_a_platform_that_is_switched_off_is_not_configured_whatever_it_lacks() -> None:
    config = parse("[discord]\nenabled = false\n", {})
    assert config.platforms == {}
    assert config.playground


def test_paths_start_at_the_configs_folder(tmp_path: Path) -> None:
    file = tmp_path / "there" / "config.toml"
    file.parent.mkdir()
    file.write_text('[data]\ndir = "d"\n[database]\nurl = "sqlite:///x.sqlite"\n')
    config = load(file, {})
    assert config.data == file.parent / "d"
    assert config.database_url == f"sqlite:///{file.parent / 'x.sqlite'}"


def test_operators_are_accounts_of_platforms() -> None:
    config = parse('[co-op]\noperators = ["telegram:5", "matrix:@anna:example.org"]\n', {})
    assert config.coop.operators == {
        AccountRef(Platform("telegram"), "5"),
        AccountRef(Platform("matrix"), "@anna:example.org"),
    }


def test_the_config_is_the_one_named_else_the_environments_else_the_one_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find(None, {}) is None
    for name in ("config.toml", "named.toml", "env.toml"):
        (tmp_path / name).touch()
    assert find(None, {}) == Path("config.toml")
    assert find(None, {"STORMO_CONFIG": "env.toml"}) == Path("env.toml")
    assert find("named.toml", {"STORMO_CONFIG": "env.toml"}) == Path("named.toml")
    with pytest.raises(MissingConfig):
        find("absent.toml", {})


def test_every_platform_is_built_from_its_section_with_its_own_pace() -> None:
    source = """
        [telegram]
        token = "1:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        tally_seconds = 7
        [matrix]
        homeserver = "http://127.0.0.1:1"
        user_id = "@stormo:x"
        access_token = "t"
        windows = [[3, 0.5]]
        tally_seconds = 8
        [discord]
        token = "t"
        tally_seconds = 9
    """
    config = parse(source, {})
    built = {
        entry.name: build(entry, config.platforms[entry.name], WORDS, FakeClock()) for entry in PLATFORMS
    }
    assert {name: adapter.capabilities.tally_every.total_seconds() for name, adapter in built.items()} == {
        "telegram": 7,
        "matrix": 8,
        "discord": 9,
    }
    assert {str(adapter.platform) for adapter in built.values()} == set(built)
    window = built["matrix"].capabilities.token_windows[0]
    assert (window.count, window.period) == (3, timedelta(seconds=0.5))


def _keys() -> Iterator[tuple[str, Key]]:
    for section, keys in SECTIONS.items():
        yield from ((section, key) for key in keys)
    for entry in PLATFORMS:
        yield from ((entry.name, key) for key in (*COMMON, *entry.keys))


def _commented() -> dict[str, dict[str, Any]]:
    """The example with every key of it switched on."""
    return tomllib.loads(re.sub(r"(?m)^#(?=\[|[a-z_]+ = )", "", EXAMPLE))


def test_the_example_config_is_sound_and_shows_every_key() -> None:
    assert parse(EXAMPLE, {}) == parse("", {})
    shown = {(section, name) for section, keys in _commented().items() for name in keys}
    assert shown == {(section, key.name) for section, key in _keys()}


def test_the_values_that_the_example_shows_are_those_that_hold_without_it(tmp_path: Path) -> None:
    examples = {
        "metrics_token",
        "operators",
        "rooms",
        "url",
        "public_url",
        "guild_ids",
        "invite_servers",
        "windows",
        "enabled",
    }
    for section, key in _keys():
        value = _commented()[section][key.name]
        key.read(value)
        if key.default is not None and key.name not in examples:
            assert key.read(value) == key.default, f"[{section}] {key.name}"


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists))
def test_no_value_whatever_breaks_the_reading(value: object) -> None:
    for section, key in _keys():
        with suppress(Unfit):
            assert hash((section, key.read(value))) is not None


def test_a_config_says_nothing_secret_of_itself() -> None:
    config = parse('[telegram]\ntoken = "1:hush"\n', {})
    assert isinstance(config, Config)
    assert "hush" not in repr(config)


SEVERAL = """
[database]
url = "postgresql://stormo@localhost/stormo"
[telegram]
token = "1:t"
[discord]
token = "d"
[matrix]
enabled = false
"""


@pytest.mark.parametrize(
    ("wanted", "platforms", "pages"),
    [
        (["telegram"], ["telegram"], False),
        (["discord", "web"], ["discord"], True),
        (["telegram", "discord"], ["discord", "telegram"], False),
        (["web"], [], True),
    ],
)
def test_a_process_serves_its_share(wanted: list[str], platforms: list[str], pages: bool) -> None:
    shared = share(parse(SEVERAL, {}), wanted)
    assert (sorted(shared.platforms), shared.pages, shared.playground) == (platforms, pages, False)
    assert shared.room == parse(SEVERAL, {}).room


def test_the_playground_is_shared_out_only_by_its_name() -> None:
    config = parse(SEVERAL + "[playground]\nenabled = true\n", {})
    assert not share(config, ["telegram", "web"]).playground
    assert share(config, ["playground"]).playground


@pytest.mark.parametrize(
    ("wanted", "faults"),
    [
        (["telegrm"], [("only.unknown_near", {"name": "telegrm", "nearest": "telegram"})]),
        (["pages"], [("only.unknown", {"name": "pages", "known": "discord, telegram, web"})]),
        (["matrix"], [("only.not_configured", {"name": "matrix"})]),
        ([], [("only.nothing", {"known": "discord, telegram, web"})]),
        (
            ["web", "Discord", "x"],
            [
                ("only.unknown_near", {"name": "Discord", "nearest": "discord"}),
                ("only.unknown", {"name": "x", "known": "discord, telegram, web"}),
            ],
        ),
    ],
)
def test_what_cannot_be_shared_out_is_said_at_once(
    wanted: list[str], faults: list[tuple[str, dict[str, str]]]
) -> None:
    with pytest.raises(ConfigError) as refused:
        share(parse(SEVERAL, {}), wanted)
    assert [(fault.id, fault.args) for fault in refused.value.faults] == faults


def test_one_file_is_served_by_one_process() -> None:
    with pytest.raises(ConfigError) as refused:
        share(parse('[telegram]\ntoken = "1:t"\n', {}), ["telegram"])
    assert [fault.id for fault in refused.value.faults] == ["only.sqlite"]
