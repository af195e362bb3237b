"""aiohttp as an endpoint of WebSockets over HTTP/1.1: says everything in capitals."""

import sys

from aiohttp import WSMsgType, web


async def capitals(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await socket.send_str(message.data.upper())
    return socket


if __name__ == "__main__":
    app = web.Application()
    app.router.add_get("/{path:.*}", capitals)
    web.run_app(app, host=sys.argv[1], port=int(sys.argv[2]), print=None)
