"""The bot itself: who it is, its updates, its menu and its descriptions."""

from __future__ import annotations

import json
import re

from .args import Args
from .errors import bad_request, conflict
from .methods import chat_of, method
from .model import Json
from .world import World

LONGEST_POLL = 50
WEBHOOK_ACTIVE = (
    "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
)


@method("getMe")
def get_me(world: World, args: Args) -> Json:
    return world.bot.as_json() | {
        "can_join_groups": True,
        "can_read_all_group_messages": not world.privacy,
        "supports_inline_queries": False,
        "supports_guest_queries": False,
        "can_connect_to_business": False,
        "has_main_web_app": False,
        "has_topics_enabled": False,
        "allows_users_to_create_topics": False,
        "can_manage_bots": False,
    }


@method("getUpdates")
async def get_updates(world: World, args: Args) -> list[Json]:
    if world.settings.get("webhook"):
        raise conflict(WEBHOOK_ACTIVE)
    _remember_allowed(world, args)
    limit = min(max(args.integer("limit", 100), 1), 100)
    timeout = min(max(args.integer("timeout"), 0), LONGEST_POLL)
    return await world.updates.take(args.integer("offset"), limit, timeout)


@method("setWebhook")
def set_webhook(world: World, args: Args) -> bool:
    url = args.text("url")
    if url and not url.startswith("https://"):
        raise bad_request("bad webhook: An HTTPS URL must be provided for webhook")
    if not re.fullmatch(r"[A-Za-z0-9_-]{0,256}", args.text("secret_token")):
        raise bad_request("secret token contains unallowed characters")
    world.settings["webhook"] = url
    _remember_allowed(world, args)
    return _drop_pending(world, args)


@method("deleteWebhook")
def delete_webhook(world: World, args: Args) -> bool:
    world.settings["webhook"] = ""
    return _drop_pending(world, args)


@method("getWebhookInfo")
def get_webhook_info(world: World, args: Args) -> Json:
    shape: Json = {
        "url": world.settings.get("webhook", ""),
        "has_custom_certificate": False,
        "pending_update_count": len(world.updates.pending),
    }
    return shape | ({"allowed_updates": list(world.updates.allowed)} if world.updates.allowed else {})


@method("setMyCommands")
def set_my_commands(world: World, args: Args) -> bool:
    commands = args.json("commands", "can't parse commands JSON object")
    if not isinstance(commands, list):
        raise bad_request("expected an Array of BotCommand")
    if len(commands) > 100:
        raise bad_request("BOT_COMMANDS_TOO_MUCH")
    for command in commands:
        if not re.fullmatch(r"[a-z0-9_]{1,32}", command["command"]):
            raise bad_request("BOT_COMMAND_INVALID")
        if not 1 <= len(command["description"]) <= 256:
            raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
    _commands(world)[_scope(world, args)] = commands
    return True


@method("getMyCommands")
def get_my_commands(world: World, args: Args) -> list[Json]:
    return _commands(world).get(_scope(world, args), [])


@method("deleteMyCommands")
def delete_my_commands(world: World, args: Args) -> bool:
    _commands(world).pop(_scope(world, args), None)
    return True


def _scope(world: World, args: Args) -> tuple[str, str]:
    scope = args.json("scope", "can't parse BotCommandScope JSON object") or {"type": "default"}
    if "chat_id" in scope:
        chat_of(world, Args(scope))
    return json.dumps(scope, sort_keys=True), args.text("language_code")


def _commands(world: World) -> dict[tuple[str, str], list[Json]]:
    commands: dict[tuple[str, str], list[Json]] = world.settings.setdefault("commands", {})
    return commands


def _remember_allowed(world: World, args: Args) -> None:
    allowed = args.json("allowed_updates", "can't parse allowed updates")
    if allowed is not None:
        world.updates.allowed = tuple(allowed)


def _drop_pending(world: World, args: Args) -> bool:
    if args.flag("drop_pending_updates"):
        world.updates.pending.clear()
    return True


def _described(name: str, key: str, longest: int) -> None:
    @method(f"setMy{name}")
    def set_it(world: World, args: Args) -> bool:
        if len(args.text(key)) > longest:
            raise bad_request(f"{key} is too long")
        world.settings[key, args.text("language_code")] = args.text(key)
        return True

    @method(f"getMy{name}")
    def get_it(world: World, args: Args) -> Json:
        chosen = world.settings.get((key, args.text("language_code")))
        default = world.settings.get((key, ""), world.bot.first_name if key == "name" else "")
        return {key: default if chosen is None else chosen}


_described("Name", "name", 64)
_described("Description", "description", 512)
_described("ShortDescription", "short_description", 120)
