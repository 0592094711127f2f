"""The HTTP side that the mail catcher and the SMS centre share."""

import socket

import uvicorn
from fastapi import FastAPI

from deploy.local.ready import HOST


async def serve(app: FastAPI, port: int) -> None:
    """Serve the app on the local address until SIGTERM or SIGINT.

    Raises:
        OSError: the port is taken.
    """
    config = uvicorn.Config(app, lifespan="off", log_level="warning", timeout_graceful_shutdown=1)
    with socket.create_server((HOST, port)) as listener:
        await uvicorn.Server(config).serve(sockets=[listener])
