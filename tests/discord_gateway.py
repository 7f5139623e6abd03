"""The gateway of the loopback Discord: sessions over websockets, and what was missed in them."""

import itertools
import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType, web

if TYPE_CHECKING:
    from tests.discord_server import DiscordServer

Payload = dict[str, Any]

MESSAGE_CONTENT_INTENT = 1 << 15

_counter = itertools.count(1)


def snowflake() -> str:
    """A new id, greater than every one before it."""
    return str((int((time.time() - 1_420_070_400) * 1000) << 22) | next(_counter))


@dataclass
class Session:
    """A gateway session: what was sent in it, for a RESUME, and the socket that listens now."""

    reads_content: bool
    shard: int = 0
    shards: int = 1
    events: list[Payload] = field(default_factory=list)
    socket: web.WebSocketResponse | None = None

    def owns(self, guild_id: str | None) -> bool:
        """Whether it hears of a guild, or of direct messages if there is none."""
        return (int(guild_id or 0) >> 22) % self.shards == self.shard

    async def send(self, name: str, data: Payload) -> None:
        """Send an event, or keep it until the bot resumes."""
        event = {"op": 0, "t": name, "s": len(self.events) + 1, "d": data}
        self.events.append(event)
        if self.socket is not None and not self.socket.closed:
            with suppress(ConnectionError):  # the bot is just being killed
                await self.socket.send_json(event)


class Gateway:
    """Speaks the gateway protocol for a server."""

    def __init__(self, server: "DiscordServer") -> None:
        self.sessions: dict[str, Session] = {}
        self.identified: list[Payload] = []
        self.down = False
        """Whether new connections are refused."""
        self.heartbeat, self.acknowledges = 41.25, True
        """Seconds between heartbeats, and whether they are answered."""
        self.resumed = 0
        self._server = server

    async def dispatch(self, name: str, data: Payload, guild: str | None = None) -> None:
        """Send any event, to those who hear of a guild."""
        for session in list(self.sessions.values()):
            if guild is None or session.owns(guild):
                await session.send(name, data)

    async def tell(self, **payload: Any) -> None:
        """Send what is no event, such as op 7 and op 9; what happens then is kept for a RESUME."""
        for session in self.sessions.values():
            socket, session.socket = session.socket, None
            if socket is not None:
                await socket.send_json({"s": None, "t": None, "d": None, **payload})

    async def close(self, code: int) -> None:
        """End the connections with a close code; the sessions can be resumed."""
        for session in self.sessions.values():
            socket, session.socket = session.socket, None
            if socket is not None:
                await socket.close(code=code)

    def cut(self, *, in_a_frame: bool = False) -> None:
        """Let the network go away: the sockets break without a word, or in the midst of one."""
        for session in self.sessions.values():
            socket, session.socket = session.socket, None
            if socket is not None:
                end = socket.get_extra_info("socket")
                if in_a_frame:
                    os.write(end.fileno(), b'\x81\x7e\x10\x00{"op":0,"t":"MESS')
                end.shutdown(2)

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one connection until it ends."""
        if self.down:
            raise web.HTTPServiceUnavailable
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json(
            {"op": 10, "d": {"heartbeat_interval": int(1000 * self.heartbeat)}, "s": None, "t": None}
        )
        async for frame in socket:
            if frame.type is not WSMsgType.TEXT:
                break
            payload = json.loads(frame.data)
            match payload["op"]:
                case 1:
                    if self.acknowledges:
                        await socket.send_json({"op": 11})
                case 2:
                    await self._identify(socket, payload["d"])
                case 6:
                    await self._resume(socket, payload["d"])
        return socket

    async def _identify(self, socket: web.WebSocketResponse, data: Payload) -> None:
        self.identified.append(data)
        server = self._server
        wants_content = bool(data["intents"] & MESSAGE_CONTENT_INTENT)
        if data["token"] != server.token:
            await socket.close(code=4004)
        elif wants_content and (server.refuse_intents or not server.content_granted):
            await socket.close(code=4014)
        else:
            shard, shards = data.get("shard", [0, 1])
            session_id, session = snowflake(), Session(wants_content, shard, shards, socket=socket)
            others = {id: each for id, each in self.sessions.items() if shards > 1 and each.shard != shard}
            self.sessions = {**others, session_id: session}
            ready: Payload = {"v": 10, "user": server.bot, "guilds": []}
            guilds = [guild["id"] for guild in server.guilds if session.owns(guild["id"])]
            ready["guilds"] = [{"id": guild, "unavailable": True} for guild in guilds]
            ready |= {"session_id": session_id, "resume_gateway_url": server.gateway_url, "shard": [shard, shards]}
            ready |= {"application": {"id": server.bot["id"], "flags": server.application_flags}}
            await session.send("READY", ready)
            for guild in guilds:
                await session.send("GUILD_CREATE", server.guild_payload(guild))

    async def _resume(self, socket: web.WebSocketResponse, data: Payload) -> None:
        session = self.sessions.get(data["session_id"])
        if session is None:
            await socket.send_json({"op": 9, "d": False})
            return
        for event in itertools.islice(session.events, data["seq"], None):  # sees what is added meanwhile
            await socket.send_json(event)
        session.socket = socket
        self.resumed += 1
        await session.send("RESUMED", {})
