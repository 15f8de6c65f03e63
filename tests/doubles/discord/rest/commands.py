"""Application commands, everywhere or in one guild."""

from __future__ import annotations

import unicodedata
from collections import Counter

from tests.doubles.discord.content import duplicates
from tests.doubles.discord.errors import FormErrors, Json, refusal
from tests.doubles.discord.rest.pipeline import NO_CONTENT, Call, Reply, Route

GLOBAL = "/applications/{application_id}/commands"
IN_GUILD = "/applications/{application_id}/guilds/{guild_id}/commands"
SLASH, USER_MENU, MESSAGE_MENU = 1, 2, 3
COUNT_LIMITS = {SLASH: 100, USER_MENU: 15, MESSAGE_MENU: 15}
SIZE_LIMIT = 8000
LOCALES = frozenset(
    [
        "id",
        "da",
        "de",
        "en-GB",
        "en-US",
        "es-ES",
        "es-419",
        "fr",
        "hr",
        "it",
        "lt",
        "hu",
        "nl",
        "no",
        "pl",
        "pt-BR",
        "ro",
        "fi",
        "sv-SE",
        "vi",
        "tr",
        "cs",
        "el",
        "bg",
        "ru",
        "uk",
        "hi",
        "th",
        "zh-CN",
        "ja",
        "zh-TW",
        "ko",
        "he",
        "ar",
    ]
)
Path = tuple[str | int, ...]


def _is_slash_name(name: str) -> bool:
    """Letters, digits, - _ '; no upper case where the script has a lower one; 1 to 32."""
    fits = all(each in "-_'" or unicodedata.category(each)[0] in "LNM" for each in name)
    return fits and 1 <= len(name) <= 32 and name == name.lower()


def _check_names(errors: FormErrors, path: Path, item: Json, *, slash: bool) -> None:
    names = {(*path, "name"): item.get("name")}
    for locale, text in (item.get("name_localizations") or {}).items():
        names[(*path, "name_localizations", locale)] = text
        _check_locale(errors, (*path, "name_localizations"), locale)
    for where, name in names.items():
        if not isinstance(name, str):
            errors.required(where)
        elif slash and not _is_slash_name(name):
            errors.add(where, "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid")
        else:
            errors.longest(where, name, 32, least=1)


def _check_descriptions(errors: FormErrors, path: Path, item: Json) -> None:
    if not item.get("description"):
        errors.required((*path, "description"))
    errors.longest((*path, "description"), item.get("description"), 100, least=1)
    for locale, text in (item.get("description_localizations") or {}).items():
        _check_locale(errors, (*path, "description_localizations"), locale)
        errors.longest((*path, "description_localizations", locale), text, 100, least=1)


def _check_locale(errors: FormErrors, path: Path, locale: str) -> None:
    if locale not in LOCALES:
        errors.add(path, "ENUM_TYPE_COERCE", f'Value "{locale}" is not a valid enum value.')


def _check_command(errors: FormErrors, path: Path, command: Json) -> None:
    kind = command.get("type") or SLASH
    _check_names(errors, path, command, slash=kind == SLASH)
    if kind != SLASH:
        if command.get("description"):
            message = "Context menu commands cannot have description"
            errors.add((*path, "description"), "APPLICATION_COMMAND_DESCRIPTION_NOT_ALLOWED", message)
        return
    _check_descriptions(errors, path, command)
    _check_options(errors, path, command.get("options") or [])
    if _size(command) > SIZE_LIMIT:
        message = f"Command exceeds maximum size ({SIZE_LIMIT})"
        errors.add(path, "APPLICATION_COMMAND_TOO_LARGE", message)


def _check_options(errors: FormErrors, path: Path, options: list[Json]) -> None:
    here = (*path, "options")
    if len(options) > 25:
        errors.add(here, "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.")
    if duplicates([str(each.get("name")) for each in options]):
        errors.add(here, "APPLICATION_COMMAND_OPTIONS_NAME_ALREADY_EXISTS", "Option name already exists")
    optional = False
    for index, option in enumerate(options):
        where = (*here, index)
        _check_names(errors, where, option, slash=True)
        _check_descriptions(errors, where, option)
        _check_choices(errors, where, option)
        if optional and option.get("required"):
            message = "Required options must be placed before non-required options"
            errors.add(where, "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID", message)
        optional = optional or not option.get("required")
        _check_options(errors, where, option.get("options") or [])


def _check_choices(errors: FormErrors, path: Path, option: Json) -> None:
    choices = option.get("choices") or []
    if len(choices) > 25:
        errors.add((*path, "choices"), "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.")
    if choices and option.get("autocomplete"):
        message = "Autocomplete cannot be used with choices"
        errors.add((*path, "autocomplete"), "APPLICATION_COMMAND_AUTOCOMPLETE_WITH_CHOICES", message)
    for index, choice in enumerate(choices):
        errors.longest((*path, "choices", index, "name"), choice.get("name"), 100, least=1)
        errors.longest((*path, "choices", index, "value"), choice.get("value"), 100)


def _size(item: Json) -> int:
    """Name, description and choice values over the whole tree; of localizations the longest counts."""
    names = [item.get("name") or "", *(item.get("name_localizations") or {}).values()]
    words = [item.get("description") or "", *(item.get("description_localizations") or {}).values()]
    choices = sum(len(f"{each.get('value')}{each.get('name')}") for each in item.get("choices") or [])
    inner = sum(_size(each) for each in item.get("options") or [])
    return max(map(len, names)) + max(map(len, words)) + choices + inner


def _as_stored(call: Call, command: Json, command_id: int, guild_id: int | None) -> Json:
    stored: Json = {
        "id": str(command_id),
        "application_id": str(call.world.application_id),
        "version": str(call.world.ids.next()),
        "type": command.get("type") or SLASH,
        "name": command["name"],
        "name_localizations": command.get("name_localizations"),
        "description": command.get("description") or "",
        "description_localizations": command.get("description_localizations"),
        "default_member_permissions": _optional_text(command.get("default_member_permissions")),
        "nsfw": bool(command.get("nsfw")),
        "integration_types": command.get("integration_types") or [0],
    }
    if command.get("options"):
        stored["options"] = [_option_as_stored(each) for each in command["options"]]
    if guild_id is not None:
        return stored | {"guild_id": str(guild_id)}
    stored["contexts"] = command.get("contexts")
    stored["dm_permission"] = command.get("dm_permission") is not False
    return stored


def _optional_text(value: object) -> str | None:
    return None if value is None else str(value)


def _option_as_stored(option: Json) -> Json:
    """Defaults are left out, as the platform does."""
    kept = {key: value for key, value in option.items() if value not in (None, False, [], {})}
    if option.get("options"):
        kept["options"] = [_option_as_stored(each) for each in option["options"]]
    return kept


class Commands:
    """Counts creations, which are few a day."""

    def __init__(self) -> None:
        self._created: Counter[int | None] = Counter()
        #: bulk overwrites seen, by guild id: a bot that syncs unchanged commands shows here
        self.syncs: Counter[int | None] = Counter()

    def _shelf(self, call: Call) -> tuple[int | None, dict[int, Json]]:
        if call.number("application_id") != call.world.application_id:
            raise refusal(10002)
        guild_id = call.guild().id if "guild_id" in call.params else None
        return guild_id, call.world.commands.setdefault(guild_id, {})

    def list(self, call: Call) -> Reply:
        _, shelf = self._shelf(call)
        whole = call.query.get("with_localizations", "").lower() in ("1", "true")
        hidden = () if whole else ("name_localizations", "description_localizations")
        return Reply(200, [{key: each[key] for key in each if key not in hidden} for each in shelf.values()])

    def get(self, call: Call) -> Reply:
        return Reply(200, self._find(call)[1])

    def _find(self, call: Call) -> tuple[dict[int, Json], Json]:
        _, shelf = self._shelf(call)
        found = shelf.get(call.number("command_id"))
        if found is None:
            raise refusal(10063)
        return shelf, found

    def overwrite(self, call: Call) -> Reply:
        """All at once: what is not named goes, what keeps its name and kind keeps its id."""
        guild_id, shelf = self._shelf(call)
        wanted = call.body or []
        errors = FormErrors()
        for index, command in enumerate(wanted):
            _check_command(errors, (index,), command)
        for name in duplicates([f"{each.get('type') or SLASH}:{each.get('name')}" for each in wanted]):
            message = f"Application command names must be unique: {name}"
            errors.add((), "APPLICATION_COMMANDS_DUPLICATE_NAME", message)
        errors.settle()
        kinds = Counter(each.get("type") or SLASH for each in wanted)
        if any(count > COUNT_LIMITS.get(kind, 0) for kind, count in kinds.items()):
            raise refusal(30032)
        made = [self._made(call, guild_id, shelf, each) for each in wanted]
        self.syncs[guild_id] += 1
        shelf.clear()
        shelf.update({int(each["id"]): each for each in made})
        return Reply(200, made)

    def _made(self, call: Call, guild_id: int | None, shelf: dict[int, Json], command: Json) -> Json:
        """The command as stored; an unchanged one stays as it was, version too."""
        same = (command.get("type") or SLASH, command["name"])
        old = next((each for each in shelf.values() if (each["type"], each["name"]) == same), None)
        if old is None:
            self._created[guild_id] += 1
            if self._created[guild_id] > call.limits.command_creates_per_day:
                raise refusal(30034)
            return _as_stored(call, command, call.world.ids.next(), guild_id)
        new = _as_stored(call, command, int(old["id"]), guild_id)
        return old if new | {"version": ""} == old | {"version": ""} else new

    def create(self, call: Call) -> Reply:
        guild_id, shelf = self._shelf(call)
        errors = FormErrors()
        _check_command(errors, (), call.body)
        errors.settle()
        made = self._made(call, guild_id, shelf, call.body)
        fresh = int(made["id"]) not in shelf
        kind = made["type"]
        if fresh and sum(each["type"] == kind for each in shelf.values()) >= COUNT_LIMITS[kind]:
            raise refusal(30032)
        shelf[int(made["id"])] = made
        return Reply(201 if fresh else 200, made)

    def change(self, call: Call) -> Reply:
        shelf, old = self._find(call)
        merged = old | (call.body or {})
        errors = FormErrors()
        _check_command(errors, (), merged)
        errors.settle()
        guild_id = int(old["guild_id"]) if "guild_id" in old else None
        shelf[int(old["id"])] = made = _as_stored(call, merged, int(old["id"]), guild_id)
        return Reply(200, made)

    def delete(self, call: Call) -> Reply:
        shelf, found = self._find(call)
        del shelf[int(found["id"])]
        return NO_CONTENT


def routes(commands: Commands) -> tuple[Route, ...]:
    made: list[Route] = []
    for shelf in (GLOBAL, IN_GUILD):
        one = shelf + "/{command_id}"
        made += [
            Route("GET", shelf, commands.list, per="guild_id"),
            Route("PUT", shelf, commands.overwrite, per="guild_id"),
            Route("POST", shelf, commands.create, per="guild_id"),
            Route("GET", one, commands.get, per="guild_id"),
            Route("PATCH", one, commands.change, per="guild_id"),
            Route("DELETE", one, commands.delete, per="guild_id"),
        ]
    return tuple(made)
