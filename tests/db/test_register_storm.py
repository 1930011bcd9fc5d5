"""Many registrars at once, doing anything: no rule of the register is ever broken."""

from __future__ import annotations

import os
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from psycopg import errors as postgres
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm.exc import StaleDataError

from registry.document.store import DocumentStore
from registry.kernel.db import Database
from registry.kernel.errors import RegistryError
from registry.kernel.vault import Vault
from tests.db.storm import Registrars, broken, found_town, whole_of
from tests.factories import Desk

pytestmark = pytest.mark.db

PEOPLE = 6
ACTS_EACH = int(os.environ.get("STORM_ACTS", "60"))
MUST_HAPPEN = {"sell", "go_on", "mortgage", "discharge", "submit"}


@pytest.mark.parametrize("seed", [1, 2])
def test_register__many_people_at_once__breaks_no_rule(
    fresh_database: Database, vault: Vault, store: DocumentStore, seed: int
) -> None:
    with fresh_database.transaction() as session:
        town = found_town(Desk(session, vault, store))
    registrars = Registrars(town)

    def work(person: int) -> Counter[tuple[str, str]]:
        dice, tally = random.Random(seed * 100 + person), Counter[tuple[str, str]]()
        for _ in range(ACTS_EACH):
            act = dice.choice(registrars.acts())
            try:
                with fresh_database.transaction() as session:
                    act(Desk(session, vault, store), dice)
                outcome = "done"
            except (RegistryError, IntegrityError, StaleDataError):
                outcome = "refused"
            except OperationalError as error:
                # The server breaks a circle of waiting people by sending one of them back.
                outcome = "sent back"
                if not isinstance(error.orig, postgres.DeadlockDetected):
                    raise
            tally[act.__name__, outcome] += 1
        return tally

    with ThreadPoolExecutor(PEOPLE) as pool:
        tally = sum(pool.map(work, range(PEOPLE)), Counter[tuple[str, str]]())

    assert broken(fresh_database) == set()
    done = {act for act, outcome in tally if outcome == "done"}
    assert done >= MUST_HAPPEN, tally
    with fresh_database.reading() as session:
        assert [whole_of(session, title) for title in town.farms] == [1, 1, 1]
