"""The API in a process of its own, with two answers more that are constant.

`/v1/bench/constant` is what the application costs with all that stands around it: the same server,
middleware and routing, and a handler like any other. `/v1/bench/known` is the same for a caller who
has signed in: the token is read, the quota counted and the access table asked.
"""

from __future__ import annotations

import uvicorn
from fastapi import APIRouter

from api.app import create_app
from api.deps import ADMITTED
from api.program import server_config, services
from api.routes.router import KnownRoute
from api.schemas.common import Read
from api.starting import load_settings
from registry.kernel.db import Database
from registry.kernel.log import configure_logging

router = APIRouter(prefix="/v1/bench")
known = APIRouter(prefix="/v1/bench", route_class=KnownRoute, dependencies=[ADMITTED])


class Constant(Read):
    """What is answered."""

    answer: int


@router.get("/constant")
def healthz() -> Constant:
    """Answer at once."""
    return Constant(answer=42)


@known.get("/known")
def get_me() -> Constant:
    """Answer whoever has signed in; under a name for which the access table lets everybody in."""
    return Constant(answer=42)


def main() -> None:
    settings = load_settings()
    configure_logging("critical")
    assert settings.database_url is not None
    database = Database(settings.database_url.get_secret_value())
    app = create_app(services(settings, database))
    app.router.routes.extend([*router.routes, *known.routes])
    uvicorn.Server(server_config(settings, app)).run()


if __name__ == "__main__":
    main()
