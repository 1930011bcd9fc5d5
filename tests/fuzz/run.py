"""`make fuzz-api`: schemathesis over the whole description, as every role and as nobody.

First FUZZ_EXAMPLES (3) of each operation for each role that may call it, then for FUZZ_SECONDS
(240) walks along the links of the description, where what one answer names is asked for next; 0
leaves one of them out. SEED (1) draws the same again, ONLY (a part of the operation's id) asks
less. The last line counts what went against the description: a 5xx, a status, a header or a content
type that it does not name, an answer off its schema, a Location where nothing is, a repetition
answered otherwise.
"""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from random import Random

from registry.kernel import migrate
from registry.kernel.actor import Role
from registry.kernel.db import Database
from registry.kernel.embedded import EmbeddedPostgres
from registry.kernel.log import configure_logging
from tests.api.house import House, house_settings, open_house
from tests.api.moves import minted, moves
from tests.api.other_chain import ONE
from tests.api.scene import Scene
from tests.api.town import build_town
from tests.factories import ACTORS, panel_valuer
from tests.fuzz.asking import Asker
from tests.fuzz.known import Known
from tests.fuzz.play import ask_each, schema_of, walk

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "3"))
SECONDS = float(os.environ.get("FUZZ_SECONDS", "240"))
SEED = int(os.environ.get("SEED", "1"))
ONLY = os.environ.get("ONLY", "")
PROGRESS_SECONDS = 15
CHANCE = 0.7


def main() -> None:
    configure_logging("critical")
    with tempfile.TemporaryDirectory(prefix="milkiyat-fuzz-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL's account enters it
        with EmbeddedPostgres(folder / "postgres") as server:
            database = Database(server.start())
            migrate.upgrade(database)
            with database.transaction() as session:
                session.add(panel_valuer())
            with open_house(house_settings(folder / "data"), database) as house:
                asker = asker_of(house, SEED)
                schema = schema_of(asker, ONLY)
                if EXAMPLES:
                    _show("operations", asker, ask_each(asker, schema, SEED, EXAMPLES))
                ends_at = time.monotonic() + SECONDS
                walks: Iterable[int] = walk(asker, schema, SEED) if SECONDS else ()
                _show(
                    "walks",
                    asker,
                    itertools.takewhile(lambda _: time.monotonic() < ends_at, walks),
                )
            database.dispose()
    sys.exit(tell(asker))


def asker_of(house: House, seed: int) -> Asker:
    """Fill the register with something in every state, and let everybody sign in."""
    scene, town, chain = Scene(house), build_town(house), moves(house)
    chain.mine(minted(ONE, 7))
    known = Known(CHANCE)
    known.learn_ids(scene.ids)
    known.learn_ids({"offering_id": str(town.sale.id), "token_id": str(chain.token_id)})
    people = {role: [ACTORS[role]] for role in Role}
    people[Role.INVESTOR] = [scene.owner, scene.applicant, town.buyer.actor]
    people[Role.ISSUER].append(town.live_issuer.actor)
    signed_in: dict[Role | None, list[str | None]] = {
        role: [house.token(each) for each in who] for role, who in people.items()
    }
    return Asker(house, {None: [None], **signed_in}, known, Random(seed), print)


def tell(asker: Asker) -> int:
    """Say what was asked and found; return the status to exit with."""
    played = asker.played
    counts = ", ".join(f"{status}: {count}" for status, count in sorted(played.statuses().items()))
    print(f"answers: {counts}")
    done = f"{played.succeeded()} of them with success"
    print(
        f"fuzz-api: {len(played.operations)} operations ({done}), {played.requests} requests, "
        f"{len(played.roles)} roles, {len(played.failures)} failures"
    )
    return 1 if played.failures else 0


def _show(what: str, asker: Asker, turns: Iterable[int]) -> None:
    shown_at = time.monotonic()
    for number in turns:
        if time.monotonic() - shown_at > PROGRESS_SECONDS:
            shown_at = time.monotonic()
            played = asker.played
            print(
                f"fuzz-api: {number} {what}, {played.requests} requests, "
                f"{len(played.failures)} failures", flush=True,
            )  # fmt: skip


if __name__ == "__main__":
    main()
