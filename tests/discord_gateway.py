"""The gateway of the loopback Discord: sessions over websockets, and what was missed in them."""

import itertools
import json
import time
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
    events: list[Payload] = field(default_factory=list)
    socket: web.WebSocketResponse | None = None

    async def send(self, name: str, data: Payload) -> None:
        """Send an event, or keep it until the bot resumes."""
        event = {"op": 0, "t": name, "s": len(self.events) + 1, "d": data}
        self.events.append(event)
        if self.socket is not None and not self.socket.closed:
            await self.socket.send_json(event)


class Gateway:
    """Speaks the gateway protocol for a server."""

    def __init__(self, server: "DiscordServer") -> None:
        self.sessions: dict[str, Session] = {}
        self.identified: list[Payload] = []
        self.down = False
        """Whether new connections are refused."""
        self._server = server

    async def dispatch(self, name: str, data: Payload) -> None:
        """Send any event."""
        for session in self.sessions.values():
            await session.send(name, data)

    def cut(self) -> None:
        """Let the network go away: the sockets break without a word."""
        for session in self.sessions.values():
            socket, session.socket = session.socket, None
            if socket is not None:
                socket.get_extra_info("socket").shutdown(2)

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one connection until it ends."""
        if self.down:
            raise web.HTTPServiceUnavailable
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"op": 10, "d": {"heartbeat_interval": 41_250}, "s": None, "t": None})
        async for frame in socket:
            if frame.type is not WSMsgType.TEXT:
                break
            payload = json.loads(frame.data)
            match payload["op"]:
                case 1:
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
            session_id, session = snowflake(), Session(wants_content, socket=socket)
            self.sessions = {session_id: session}
            ready: Payload = {"v": 10, "user": server.bot, "guilds": []}
            ready["guilds"] = [{"id": guild["id"], "unavailable": True} for guild in server.guilds]
            ready |= {"session_id": session_id, "resume_gateway_url": server.gateway_url, "shard": [0, 1]}
            ready |= {"application": {"id": server.bot["id"], "flags": server.application_flags}}
            await session.send("READY", ready)
            for guild in server.guilds:
                await session.send("GUILD_CREATE", server.guild_payload(guild["id"]))

    async def _resume(self, socket: web.WebSocketResponse, data: Payload) -> None:
        session = self.sessions.get(data["session_id"])
        if session is None:
            await socket.send_json({"op": 9, "d": False})
            return
        for event in itertools.islice(session.events, data["seq"], None):  # sees what is added meanwhile
            await socket.send_json(event)
        session.socket = socket
        await session.send("RESUMED", {})
