"""Guilds, members, roles, and the bot's own account."""

from __future__ import annotations

from tests.doubles.discord import acts, payloads
from tests.doubles.discord.errors import FormErrors, refusal
from tests.doubles.discord.events import Intent
from tests.doubles.discord.model import Guild, Member, Role
from tests.doubles.discord.permissions import Permission, in_guild
from tests.doubles.discord.rest.pipeline import NO_CONTENT, Call, Reply, Route

GUILD = "/guilds/{guild_id}"


def gateway_bot(call: Call) -> Reply:
    left = max(0, 1000 - len(call.gateway.identifies))
    reset = int(call.gateway.sessions_reset_seconds * 1000)
    limits = call.limits
    start = {
        "total": 1000,
        "remaining": left,
        "reset_after": reset,
        "max_concurrency": limits.max_concurrency,
    }
    return Reply(200, {"url": call.gateway.url, "shards": limits.shards, "session_start_limit": start})


def gateway(call: Call) -> Reply:
    return Reply(200, {"url": call.gateway.url})


def me(call: Call) -> Reply:
    return Reply(200, payloads.me(call.bot))


def application(call: Call) -> Reply:
    return Reply(200, payloads.application(call.world, call.gateway.application_flags()))


def user(call: Call) -> Reply:
    found = call.world.users.get(call.number("user_id"))
    if found is None:
        raise refusal(10013)
    return Reply(200, payloads.user(found))


def my_guilds(call: Call) -> Reply:
    """By growing id; `before`, `after` and `limit` page."""
    after, before = int(call.query.get("after", 0)), int(call.query.get("before", 1 << 63))
    mine = sorted((each for each in call.world.guilds.values() if each.has_bot), key=lambda each: each.id)
    page = [each for each in mine if after < each.id < before][: call.limit(200, 200)]
    return Reply(200, [payloads.my_guild(each, call.bot) for each in page])


def leave(call: Call) -> Reply:
    call.guild().remove_bot()
    return NO_CONTENT


def guild(call: Call) -> Reply:
    found = call.guild()
    body = payloads.guild(found)
    if call.query.get("with_counts", "").lower() in ("1", "true"):
        body |= {"approximate_member_count": len(found.members), "approximate_presence_count": 1}
    return Reply(200, body)


def channels(call: Call) -> Reply:
    """Channels without threads."""
    return Reply(200, [payloads.channel(each) for each in call.guild().channels.values()])


def roles(call: Call) -> Reply:
    return Reply(200, [payloads.role(each) for each in call.guild().roles.values()])


def role(call: Call) -> Reply:
    return Reply(200, payloads.role(_role(call, call.guild())))


def _role(call: Call, where: Guild) -> Role:
    found = where.roles.get(call.number("role_id"))
    if found is None:
        raise refusal(10011)
    return found


def _member(call: Call, where: Guild) -> Member:
    user_id = call.number("user_id")
    found = where.members.get(user_id)
    if found is None:
        raise refusal(10007 if user_id in call.world.users else 10013)
    return found


def member(call: Call) -> Reply:
    return Reply(200, payloads.member(_member(call, call.guild())))


def members(call: Call) -> Reply:
    """By growing id; only with the members intent switched on for the application."""
    where = call.guild()
    if not call.gateway.enabled_intents & Intent.GUILD_MEMBERS:
        raise refusal(50001)
    after, limit = int(call.query.get("after", 0)), call.limit(1, 1000)
    ids = sorted(each for each in where.members if each > after)[:limit]
    return Reply(200, [payloads.member(where.members[each]) for each in ids])


def _names(each: Member) -> tuple[str | None, ...]:
    return each.user.username, each.nick, each.user.name


def search_members(call: Call) -> Reply:
    where, query = call.guild(), call.query.get("query", "").lower()
    found = [
        payloads.member(each)
        for each in where.members.values()
        if any((name or "").lower().startswith(query) for name in _names(each))
    ]
    return Reply(200, found[: call.limit(1, 1000)])


def change_me(call: Call) -> Reply:
    """The bot's nickname."""
    where = call.guild()
    errors = FormErrors()
    errors.longest(("nick",), call.body.get("nick"), 32)
    errors.settle()
    if not in_guild(where, call.bot.id) & Permission.CHANGE_NICKNAME:
        raise refusal(50013)
    mine = where.members[call.bot.id]
    mine.nick = call.body.get("nick") or None
    call.world.events.member_updated(where, mine)
    return Reply(200, payloads.member(mine))


def _change_role(call: Call, *, give: bool) -> Reply:
    where = call.guild()
    target, chosen = _member(call, where), _role(call, where)
    if not in_guild(where, call.bot.id) & Permission.MANAGE_ROLES:
        raise refusal(50013)
    highest = max((each.position for each in where.members[call.bot.id].roles), default=0)
    if chosen.position >= highest:
        raise refusal(50013)
    if give:
        where.give(target.user, chosen)
    elif chosen in target.roles:
        where.take(target.user, chosen)
    return NO_CONTENT


def give_role(call: Call) -> Reply:
    return _change_role(call, give=True)


def take_role(call: Call) -> Reply:
    return _change_role(call, give=False)


def create_channel(call: Call) -> Reply:
    where, body = call.guild(), call.body or {}
    if not in_guild(where, call.bot.id) & Permission.MANAGE_CHANNELS:
        raise refusal(50013)
    errors = FormErrors()
    errors.longest(("name",), body.get("name"), 100, least=1)
    errors.settle()
    made = where.add_channel(body["name"], int(body.get("type") or 0), topic=body.get("topic"))
    acts.need(made, call.bot, Permission.VIEW_CHANNEL)
    return Reply(201, payloads.channel(made))


ROUTES = (
    Route("GET", "/gateway", gateway, token=False),
    Route("GET", "/gateway/bot", gateway_bot),
    Route("GET", "/users/@me", me),
    Route("GET", "/users/@me/guilds", my_guilds),
    Route("DELETE", "/users/@me/guilds/{guild_id}", leave),
    Route("GET", "/users/{user_id}", user),
    Route("GET", "/applications/@me", application),
    Route("GET", "/oauth2/applications/@me", application),
    Route("GET", GUILD, guild, per="guild_id"),
    Route("GET", GUILD + "/channels", channels, per="guild_id"),
    Route("POST", GUILD + "/channels", create_channel, per="guild_id"),
    Route("GET", GUILD + "/roles", roles, per="guild_id"),
    Route("GET", GUILD + "/roles/{role_id}", role, per="guild_id"),
    Route("GET", GUILD + "/members", members, per="guild_id"),
    Route("GET", GUILD + "/members/search", search_members, per="guild_id"),
    Route("PATCH", GUILD + "/members/@me", change_me, per="guild_id"),
    Route("GET", GUILD + "/members/{user_id}", member, per="guild_id"),
    Route("PUT", GUILD + "/members/{user_id}/roles/{role_id}", give_role, per="guild_id"),
    Route("DELETE", GUILD + "/members/{user_id}/roles/{role_id}", take_role, per="guild_id"),
)
