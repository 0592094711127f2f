"""The HTTP side that the mail catcher and the SMS centre share."""

import socket

import uvicorn
from fastapi import FastAPI

from deploy.local.ready import HOST


async def serve(app: FastAPI, port: int, host: str = HOST) -> None:
    """Serve the app on `host`, this machine alone unless told otherwise, until SIGTERM or SIGINT.

    Raises:
        OSError: the port is taken.
    """
    config = uvicorn.Config(app, lifespan="off", log_level="warning", timeout_graceful_shutdown=1)
    with socket.create_server((host, port)) as listener:
        await uvicorn.Server(config).serve(sockets=[listener])
