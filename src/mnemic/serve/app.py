"""The application: routes, what guards them, and what begins and ends with the server.

uvicorn.run(create_app(Settings(data=Path("mnemic-data"))))
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from mnemic._version import __version__
from mnemic.clock import Clock, SystemClock
from mnemic.errors import DependencyMissing, MnemicError

try:
    import anyio.to_thread
    from fastapi import FastAPI
    from fastapi.concurrency import run_in_threadpool
    from fastapi.exceptions import RequestValidationError
    from fastapi.openapi.utils import get_openapi
    from starlette.exceptions import HTTPException
except ImportError as error:
    raise DependencyMissing(
        f'The server needs the package {error.name}, which is not installed. Run `pip install "mnemic[server]"`.',
        name=error.name,
    ) from error

from mnemic.serve import problems
from mnemic.serve.doors import add_doors
from mnemic.serve.guard import Guard
from mnemic.serve.limits import BodyLimit
from mnemic.serve.routes import episodes, health, made, mem0, recall, upkeep
from mnemic.serve.server import Server
from mnemic.serve.settings import Settings

ABOUT = """A durable, explainable, measurable memory for AI agents.

Every request names a scope, such as `acme/alice`; its first segment is the tenant. Keys are sent as
`Authorization: Bearer mnk_…`. Errors are problem+json and say what to do."""


def create_app(settings: Settings, clock: Clock | None = None, *, holds_folder: bool = False) -> FastAPI:
    """A server over a data folder. Files are opened when it starts, and closed when it stops.

    It starts in one process at a time: StoreBusy in another. holds_folder: where the caller holds it already (`run.only_one`).
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # as many threads as were asked for: each has its own connection to each open tenant
        anyio.to_thread.current_default_thread_limiter().total_tokens = settings.threads
        server = await run_in_threadpool(Server, settings, clock or SystemClock(), holds_folder)
        app.state.server = server
        server.jobs.start()
        try:
            yield
        finally:
            await run_in_threadpool(server.close)

    app = FastAPI(
        title="Mnemic",
        version=__version__,
        description=ABOUT,
        lifespan=lifespan,
        docs_url=None,  # their pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # the target would be made of the Host header
        separate_input_output_schemas=False,
        exception_handlers={
            MnemicError: problems.on_error,
            RequestValidationError: problems.on_validation,
            HTTPException: problems.on_http,
            Exception: problems.on_fault,
        },
    )
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]
    for part in (health, episodes, recall, made, upkeep, mem0):
        app.include_router(part.router)
    add_doors(app)
    app.add_middleware(Guard, is_loopback=settings.is_loopback, allow_hosts=settings.allow_hosts)
    app.add_middleware(
        BodyLimit,
        most_mb=settings.max_body_mb,
        import_mb=settings.max_import_mb,
        import_path="/v1/import",
        knows=lambda connection: app.state.server.knows(connection),
    )
    return app


def _document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with the ways in which a key is sent."""
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            separate_input_output_schemas=False,
        )
        made["components"]["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer", "description": "a key of `mnemic keys create`"},
            "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        }
        made["security"] = [{"bearer": []}, {"key": []}, {}]  # none: on the loopback, while no key was made
        app.openapi_schema = made
    return app.openapi_schema
