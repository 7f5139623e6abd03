"""A Discord on loopback: REST and gateway on one real socket, as much as the bot's tests need.

The fields of the payloads are those that discord.py reads. The text of messages is hidden from a bot without Message
Content exactly where Discord hides it.
"""

import asyncio
import itertools
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from tests.discord_gateway import Gateway, Payload, snowflake

API = "/api/v10"
GATEWAY = "/gateway/"
CDN = "/cdn/"
MESSAGE_CONTENT_FLAG = 1 << 19  # of the application: switched on by its owner, which will do below 100 servers
REVIEWED_CONTENT_FLAG = 1 << 18  # of the application: granted by Discord
DEFAULT, REPLY = 0, 19


def user_payload(name: str, *, bot: bool = False) -> Payload:
    """A user account."""
    return {"id": snowflake(), "username": name, "discriminator": "0", "global_name": None, "avatar": None, "bot": bot}


def _member_payload() -> Payload:
    return {"roles": [], "joined_at": "2024-01-01T00:00:00+00:00", "deaf": False, "mute": False, "flags": 0}


def _answer(data: Any = None, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    if data is None:
        return web.Response(status=204)
    # Exactly this type: with a charset behind it, discord.py does not parse the body.
    body = json.dumps(data).encode()
    return web.Response(body=body, status=status, headers={"Content-Type": "application/json", **(headers or {})})


async def _half(request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
    """Send half of an answer, and break the connection."""
    assert isinstance(answer, web.Response)
    assert isinstance(answer.body, bytes)
    half = web.StreamResponse(headers={**answer.headers, "Content-Length": str(len(answer.body))})
    await half.prepare(request)
    await half.write(answer.body[: len(answer.body) // 2])
    assert request.transport is not None
    request.transport.abort()
    return half


@dataclass(frozen=True)
class Request:
    """One REST call of the bot."""

    method: str
    path: str
    body: Any


@dataclass
class Fault:
    """An answer that replaces the real one, `times` times; `late` ones replace it when all is done.

    A status of 0 is none: the connection breaks. One of 200 breaks it in the midst of the real answer; with `seconds`
    the real answer comes whole, but only after them.
    """

    method: str
    path: str
    status: int
    body: Payload
    headers: Mapping[str, str]
    times: int
    late: bool
    seconds: float


class DiscordServer:
    """Guilds with one text channel each, at first one, any number of users and DMs, and one bot account."""

    def __init__(self, *, token: str = "test-token", message_content: bool = False) -> None:
        self.token = token
        self.application_flags = MESSAGE_CONTENT_FLAG if message_content else 0
        self.bot = user_payload("chinwag", bot=True)
        self.users: dict[str, Payload] = {self.bot["id"]: self.bot}
        self.guilds: list[Payload] = []
        self.channels: dict[str, Payload] = {}
        self._channel_of: dict[str, str] = {}
        self.guild_id, self.channel_id = self.add_guild()
        self.application: Payload = {}
        """What is unusual about the application."""
        self.messages: dict[str, Payload] = {}
        self._said: dict[str, list[str]] = {}
        """The ids of the messages of each channel, those that are deleted too."""
        self.commands: list[Payload] = []
        self.answers: dict[str, list[Payload]] = {}
        """What the bot answered to each interaction, by its token."""
        self.files: dict[str, bytes] = {}
        """What was attached, by the ids of the attachments."""
        self.requests: list[Request] = []
        self.refuse_intents = False
        self.gateway = Gateway(self)
        self._faults: list[Fault] = []
        self._posted: list[Payload] = []
        self._nonces: dict[tuple[str, str], Payload] = {}

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[self._middleware])
        app.add_routes(
            [
                web.get(API + "/gateway", self._get_gateway),
                web.get(API + "/users/@me", self._get_me),
                web.get(API + "/users/@me/guilds", self._get_guilds),
                web.get(API + "/oauth2/applications/@me", self._get_application),
                web.post(API + "/channels/{channel}/typing", self._post_typing),
                web.get(API + "/channels/{channel}/messages", self._get_messages),
                web.post(API + "/channels/{channel}/messages", self._post_message),
                web.get(API + "/channels/{channel}/messages/{message}", self._get_message),
                web.patch(API + "/channels/{channel}/messages/{message}", self._patch_message),
                web.put(API + "/applications/{application}/commands", self._put_commands),
                web.post(API + "/interactions/{interaction}/{token}/callback", self._post_callback),
                web.post(API + "/webhooks/{application}/{token}", self._post_followup),
                web.get(CDN + "{file}", self._get_file),
                web.get(GATEWAY, self.gateway.serve),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.base, self.gateway_url = f"http://{host}:{port}{API}", f"ws://{host}:{port}{GATEWAY}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    # What a test does.

    @property
    def mention(self) -> str:
        """The text that mentions the bot."""
        return f"<@{self.bot['id']}>"

    @property
    def replies(self) -> list[Payload]:
        """What the bot posted."""
        return [request.body for request in self.calls("POST", "/messages")]

    def replies_since(self, count: int) -> list[Payload]:
        """What the bot posted after the first `count` posts; fast, however many there were."""
        return self._posted[count:]

    def calls(self, method: str, path: str) -> list[Request]:
        """The bot's REST calls whose path contains `path`."""
        return [request for request in self.requests if request.method == method and path in request.path]

    def user(self, name: str, *, bot: bool = False) -> Payload:
        """Make an account."""
        user = user_payload(name, bot=bot)
        self.users[user["id"]] = user
        return user

    def add_guild(self, shard: int = 0, shards: int = 1) -> tuple[str, str]:
        """Make a guild with one text channel, before the bot comes; returns their ids.

        Of so many shards it belongs to this one.
        """
        guild, channel = snowflake(), snowflake()
        time = int(guild) >> 22
        guild = str(int(guild) + ((shard - time % shards) % shards << 22))
        self.guilds.append({"id": guild, "name": "test guild", "permissions": str((1 << 53) - 1)})
        self.channels[channel] = {"id": channel, "type": 0, "guild_id": guild, "name": "general"}
        self._channel_of[guild] = channel
        self.channels[channel] |= {"position": 0, "permission_overwrites": [], "parent_id": None}
        return guild, channel

    def dm(self, user: Payload) -> str:
        """The id of a new direct message channel with the bot."""
        channel = snowflake()
        self.channels[channel] = {"id": channel, "type": 1, "recipients": [user], "last_message_id": None}
        return channel

    def fail(
        self,
        method: str,
        path: str,
        status: int,
        *,
        headers: Mapping[str, str] | None = None,
        times: int = 1,
        late: bool = False,
        seconds: float = 0.0,
        **body: Any,
    ) -> None:
        """Answer the next calls whose path contains `path` otherwise, see `Fault`."""
        body = {"message": f"test {status}", "code": 0, **body}
        self._faults.append(Fault(method, path, status, body, headers or {}, times, late, seconds))

    def post(self, author: Payload, content: str, *, channel: str | None = None, **fields: Any) -> Payload:
        """Put a message into a channel without telling the bot. `reply_to` is a message, `ping` its author."""
        target, ping = fields.pop("reply_to", None), fields.pop("ping", True)
        named = dict.fromkeys(re.findall(r"<@!?(\d+)>", content))  # a look at each user would take too long under load
        mentioned = [self.users[id] for id in named if id in self.users]
        message = {"id": snowflake(), "channel_id": channel or self.channel_id, "author": author, "content": content}
        message |= {"type": DEFAULT, "timestamp": "2026-01-01T00:00:00+00:00", "edited_timestamp": None, "flags": 0}
        message |= {"mention_everyone": "@everyone" in content, "mention_roles": [], "attachments": [], "embeds": []}
        message["components"] = []
        if target is not None:
            reference = {"type": 0, "message_id": target["id"], "channel_id": target["channel_id"]}
            message |= {"type": REPLY, "message_reference": reference}
            mentioned += [target["author"]] if ping and target["author"] not in mentioned else []
        message |= {"mentions": mentioned, **fields}
        self.messages[message["id"]] = message
        self._said.setdefault(message["channel_id"], []).append(message["id"])
        return message

    async def say(self, author: Payload, content: str, *, channel: str | None = None, **fields: Any) -> Payload:
        """Post a message and tell the bot."""
        message = self.post(author, content, channel=channel, **fields)
        await self.announce(message)
        return message

    async def announce(self, message: Payload) -> None:
        """Tell the bot of a message."""
        place: Payload = {}
        guild_id = self.channels[message["channel_id"]].get("guild_id")
        if guild_id:
            place = {"guild_id": guild_id, "member": _member_payload()}  # in a DM these keys are absent
        for session in list(self.gateway.sessions.values()):
            if session.owns(guild_id):
                shown = self._shown(message, readable=session.reads_content)
                await session.send("MESSAGE_CREATE", {**shown, **place})

    async def delete(self, message: Payload) -> None:
        """Delete a message and tell the bot."""
        del self.messages[message["id"]]
        channel = self.channels[message["channel_id"]]
        gone = {"id": message["id"], "channel_id": channel["id"]}
        await self.gateway.dispatch("MESSAGE_DELETE", gone, channel.get("guild_id"))

    async def react(self, user: Payload, message: Payload, emoji: str) -> None:
        """React to a message of a guild's channel."""
        guild = self.channels[message["channel_id"]]["guild_id"]
        reaction = {"user_id": user["id"], "message_id": message["id"], "channel_id": message["channel_id"]}
        reaction |= {"guild_id": guild, "emoji": {"id": None, "name": emoji}, "burst": False, "type": 0}
        await self.gateway.dispatch("MESSAGE_REACTION_ADD", reaction, guild)

    async def command(
        self,
        user: Payload,
        *path: str,
        message: Payload | None = None,
        files: Mapping[str, tuple[str, bytes]] = {},
        channel: str | None = None,
        **texts: str,
    ) -> str:
        """Use a command, such as `"chinwag", "optout"`, or the entry of a message's menu; returns the token.

        Files are named and attached by option; `texts` are the values of other options.
        """
        kind = 1 if message is None else 3
        (known,) = [each for each in self.commands if each["name"] == path[0] and each["type"] == kind]
        data: Payload = {"id": known["id"], "name": path[0], "type": kind}
        if message is not None:
            shown = self._shown(message, readable=True)
            data |= {"target_id": message["id"], "resolved": {"messages": {message["id"]: shown}}}
        elif len(path) > 1:
            attached = {option: self._attach(*file) for option, file in files.items()}
            options = [{"name": option, "type": 11, "value": file["id"]} for option, file in attached.items()]
            options += [{"name": option, "type": 3, "value": text} for option, text in texts.items()]
            data["options"] = [{"name": path[1], "type": 1, "options": options}]
            data["resolved"] = {"attachments": {file["id"]: file for file in attached.values()}}
        return await self._interact(user, 2, data, channel=channel)

    async def press(self, user: Payload, message: Payload, *, permissions: int = 0) -> str:
        """Press the one button under a message; returns the token of the interaction."""
        ((button,),) = [row["components"] for row in message["components"]]
        data = {"custom_id": button["custom_id"], "component_type": 2}
        return await self._interact(user, 3, data, permissions, message=self._shown(message, readable=True))

    async def _interact(
        self,
        user: Payload,
        kind: int,
        data: Payload,
        permissions: int = 0,
        channel: str | None = None,
        **fields: Payload,
    ) -> str:
        place = self.channels[channel or self.channel_id]
        guild = place["guild_id"]
        token = f"token-{snowflake()}"
        interaction: Payload = {"id": snowflake(), "application_id": self.bot["id"], "type": kind, "token": token}
        interaction |= {"version": 1, "attachment_size_limit": 0, "data": data, "locale": "en-GB", "entitlements": []}
        interaction |= {"guild_id": guild, "channel_id": place["id"], "app_permissions": "0", "context": 0}
        interaction |= {"channel": place, "authorizing_integration_owners": {}, **fields}
        interaction["member"] = {**_member_payload(), "user": user, "permissions": str(permissions)}
        await self.gateway.dispatch("INTERACTION_CREATE", interaction, guild)
        return token

    def _attach(self, name: str, content: bytes) -> Payload:
        id = snowflake()
        self.files[id] = content
        url = self.base.removesuffix(API) + CDN + id
        return {"id": id, "filename": name, "size": len(content), "url": url, "proxy_url": url}

    async def until(self, condition: Callable[[], object], *, patience: float = 5.0) -> None:
        """Wait for something to become true."""
        async with asyncio.timeout(patience):
            while not condition():  # noqa: ASYNC110 - the condition may be about the client, not only the server
                await asyncio.sleep(0.002)

    # What Discord knows.

    @property
    def content_granted(self) -> bool:
        """Whether the application may ask for Message Content."""
        return bool(self.application_flags & (MESSAGE_CONTENT_FLAG | REVIEWED_CONTENT_FLAG))

    def _shown(self, message: Payload, *, readable: bool, nested: bool = True) -> Payload:
        """The message as the bot may see it, with the one that it replies to."""
        shown = dict(message)
        private = self.channels[message["channel_id"]]["type"] == 1
        if not (readable or private or message["author"] is self.bot or self.bot in message["mentions"]):
            shown["content"] = ""
        if nested and "message_reference" in message:
            target = self.messages.get(message["message_reference"]["message_id"])
            shown["referenced_message"] = target and self._shown(target, readable=readable, nested=False)
        return shown

    def guild_payload(self, guild_id: str) -> Payload:
        """A guild as GUILD_CREATE tells it."""
        everyone = {"id": guild_id, "name": "@everyone", "permissions": str((1 << 53) - 1), "position": 0}
        everyone["colors"] = {"primary_color": 0, "secondary_color": None, "tertiary_color": None}
        channels = [self.channels[self._channel_of[guild_id]]]
        members = [{**_member_payload(), "user": self.bot}]
        guild: Payload = {"id": guild_id, "name": "test guild", "unavailable": False, "owner_id": self.bot["id"]}
        guild |= {"roles": [everyone], "channels": channels, "members": members, "member_count": 1, "threads": []}
        return guild | {"emojis": [], "stickers": [], "voice_states": [], "presences": []}

    # REST.

    @web.middleware
    async def _middleware(self, request: web.Request, handler: Callable[..., Any]) -> web.StreamResponse:
        if request.path == GATEWAY:
            return await handler(request)
        body = await request.json() if request.content_type == "application/json" and request.can_read_body else None
        path = request.path.removeprefix(API)
        self.requests.append(Request(request.method, path, body))
        found = (each for each in self._faults if each.times and each.method == request.method and each.path in path)
        fault = next(found, None)
        if fault is not None:
            fault.times -= 1
            if fault.seconds:
                await asyncio.sleep(fault.seconds)
                return await handler(request)
            if fault.status == 200:
                return await _half(request, await handler(request))
            if fault.late:
                await handler(request)
            if not fault.status:
                assert request.transport is not None
                request.transport.abort()
            return _answer(fault.body, fault.status or 500, fault.headers)
        public = path == "/gateway" or path.startswith(("/interactions/", "/webhooks/", CDN))  # the former hold tokens
        if not public and request.headers.get("Authorization") != f"Bot {self.token}":
            return _answer({"message": "401: Unauthorized", "code": 0}, 401)
        return await handler(request)

    async def _get_gateway(self, request: web.Request) -> web.Response:
        return _answer({"url": self.gateway_url})

    async def _get_me(self, request: web.Request) -> web.Response:
        return _answer(self.bot)

    async def _get_application(self, request: web.Request) -> web.Response:
        application = {"id": self.bot["id"], "name": "chinwag", "icon": None, "description": "", "bot_public": True}
        application |= {"bot_require_code_grant": False, "verify_key": "", "owner": self.bot}
        return _answer(application | {"flags": self.application_flags} | self.application)

    async def _get_guilds(self, request: web.Request) -> web.Response:
        after, limit = int(request.query.get("after", 0)), int(request.query["limit"])
        guilds = sorted(self.guilds, key=lambda guild: int(guild["id"]))
        return _answer([guild for guild in guilds if int(guild["id"]) > after][:limit])

    async def _post_typing(self, request: web.Request) -> web.Response:
        return _answer()

    async def _get_messages(self, request: web.Request) -> web.Response:
        before = int(request.query.get("before", 1 << 63))
        limit = int(request.query.get("limit", 50))
        said = reversed(self._said.get(request.match_info["channel"], []))
        there = (self.messages[id] for id in said if int(id) < before and id in self.messages)
        return _answer([self._shown(each, readable=self.content_granted) for each in itertools.islice(there, limit)])

    async def _get_message(self, request: web.Request) -> web.Response:
        message = self.messages.get(request.match_info["message"])
        if message is None:
            return _answer({"message": "Unknown Message", "code": 10008}, 404)
        return _answer(self._shown(message, readable=self.content_granted))

    async def _post_message(self, request: web.Request) -> web.Response:
        body = await request.json()  # aiohttp keeps what the middleware has read
        self._posted.append(body)
        reference = body.get("message_reference")
        target = self.messages.get(str(reference["message_id"])) if reference else None
        if not body["content"] or len(body["content"]) > 2000 or (reference and target is None):
            return _answer({"message": "Invalid Form Body", "code": 50035}, 400)
        channel = request.match_info["channel"]
        if body.get("enforce_nonce") and (channel, body["nonce"]) in self._nonces:
            return _answer(self._shown(self._nonces[channel, body["nonce"]], readable=True))
        fields = {"reply_to": target, "ping": False, "components": body.get("components", [])}
        message = await self.say(self.bot, body["content"], channel=channel, **fields)
        if "nonce" in body:
            self._nonces[channel, body["nonce"]] = message
        return _answer(self._shown(message, readable=True))

    async def _patch_message(self, request: web.Request) -> web.Response:
        message = self.messages.get(request.match_info["message"])
        if message is None:
            return _answer({"message": "Unknown Message", "code": 10008}, 404)
        message |= await request.json()
        return _answer(self._shown(message, readable=True))

    async def _get_file(self, request: web.Request) -> web.Response:
        return web.Response(body=self.files[request.match_info["file"]])

    async def _put_commands(self, request: web.Request) -> web.Response:
        application = {"application_id": self.bot["id"], "version": "1", "type": 1, "description": ""}
        self.commands = [{"id": snowflake(), **application, **command} for command in await request.json()]
        return _answer(self.commands)

    async def _post_callback(self, request: web.Request) -> web.Response:
        body, token = await request.json(), request.match_info["token"]
        if token in self.answers:
            return _answer({"message": "Interaction has already been acknowledged.", "code": 40060}, 400)
        self.answers[token] = [body]
        return _answer({"interaction": {"id": request.match_info["interaction"], "type": 2}})

    async def _post_followup(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.answers[request.match_info["token"]].append(body)
        message = self.post(self.bot, body["content"])
        return _answer(self._shown(message, readable=True))
