from __future__ import annotations

import re

import pytest
from sqlalchemy.engine import make_url

from registry.kernel.db import Database, DatabaseUnreachable

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_database__any_spelling_of_postgresql__uses_the_one_driver(scheme: str) -> None:
    database = Database(f"{scheme}://user:pass@host:5433/name")

    assert database.url == "postgresql+psycopg://user:pass@host:5433/name"
    assert database.driver_url == "postgresql://user:pass@host:5433/name"


@pytest.mark.parametrize(
    "url", ["mysql://host/name", "sqlite://", "postgresql+asyncpg://host/name"]
)
def test_database__other_database__is_refused_by_name(url: str) -> None:
    with pytest.raises(DatabaseUnreachable, match=re.escape(make_url(url).drivername)):
        Database(url)


@pytest.mark.parametrize("url", ["", "not a url", "host:5432"])
def test_database__no_url__says_how_to_write_one(url: str) -> None:
    with pytest.raises(DatabaseUnreachable, match="postgresql://user:password@host:port/name"):
        Database(url)


def test_check__nothing_answers__says_so() -> None:
    with pytest.raises(DatabaseUnreachable, match="does not answer"):
        Database("postgresql://user@127.0.0.1:1/name").check()
