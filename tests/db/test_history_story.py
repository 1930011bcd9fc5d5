"""A long story of many records: at every moment of it, reading back and replaying are one."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from registry.asset.models import Asset
from registry.document.store import DocumentStore
from registry.encumbrance import service as encumbrances
from registry.encumbrance.models import Encumbrance, EncumbranceKind, EncumbranceState
from registry.kernel.clock import today
from registry.kernel.db import Database
from registry.kernel.vault import Vault
from registry.mutation import service as mutations
from registry.title import service as titles
from registry.tokenization.models import Tokenization
from registry.tokenization.title_status import TitleStatus
from tests import deeds, liens, sales
from tests import factories as make
from tests.db.past import Watch, journal_of, replay, state_of
from tests.factories import Desk

pytestmark = pytest.mark.db


@dataclass
class Story:
    """What exists, what may happen to it, and what was seen after each act."""

    database: Database
    vault: Vault
    store: DocumentStore
    chance: random.Random
    drafts: list[UUID] = field(default_factory=list)
    registered: list[UUID] = field(default_factory=list)
    mortgaged: dict[UUID, UUID] = field(default_factory=dict)

    def act(self) -> None:
        """Do something that can be done now."""
        acts: list[Callable[[Desk], None]] = [self.open]
        acts += [self.amend, self.register] if self.drafts else []
        acts += [self.value] if self.registered else []
        acts += [self.mortgage] if set(self.registered) - set(self.mortgaged) else []
        acts += [self.discharge] if self.mortgaged else []
        chosen = self.chance.choice(acts)
        with self.database.transaction() as session:
            chosen(Desk(session, self.vault, self.store))
        self.watch.look()

    def __post_init__(self) -> None:
        self.watch = Watch(self.database)

    def open(self, desk: Desk) -> None:
        opened = self.chance.choice([make.open_apartment, make.open_wheat])(desk)
        self.drafts.append(opened.id)

    def amend(self, desk: Desk) -> None:
        """Correct who claims the title."""
        title = titles.title_of_asset(desk.session, self.chance.choice(self.drafts))
        owners = make.owned_by(make.person(desk), make.person(desk))
        basis = titles.current_version(desk.session, title.id).basis
        titles.restate_title(desk.session, make.MAKER, title, basis=basis, ownership=owners)

    def register(self, desk: Desk) -> None:
        asset_id = self.drafts.pop(self.chance.randrange(len(self.drafts)))
        make.registered(desk, desk.session.get_one(Asset, asset_id))
        self.registered.append(asset_id)

    def value(self, desk: Desk) -> None:
        asset = desk.session.get_one(Asset, self.chance.choice(self.registered))
        make.value(desk, asset, make.VALUE_PAISA + self.chance.randrange(10**6) * 100)

    def mortgage(self, desk: Desk) -> None:
        free = [asset for asset in self.registered if asset not in self.mortgaged]
        asset_id = self.chance.choice(free)
        lien = liens.active(desk, desk.session.get_one(Asset, asset_id))
        self.mortgaged[asset_id] = lien.id

    def discharge(self, desk: Desk) -> None:
        asset_id = self.chance.choice(list(self.mortgaged))
        lien_id = self.mortgaged.pop(asset_id)
        liens.discharged(desk, encumbrances.get_encumbrance(desk.session, lien_id))

    def sell(self) -> None:
        """Pass a quarter of some farmland by a mutation."""
        with self.database.transaction() as session:
            desk = Desk(session, self.vault, self.store)
            title, seller, _ = deeds.half_and_half(desk)
            sold = deeds.entered(desk, title, deeds.sale(seller, make.person(desk)))
            sold_id = sold.id
        self.watch.look()
        with self.database.transaction() as session:
            desk = Desk(session, self.vault, self.store)
            deeds.implemented(desk, mutations.get_mutation(session, sold_id))
        self.watch.look()

    def tokenize(self) -> tuple[UUID, UUID]:
        """Put a token on a flat under a caveat that was in force until yesterday."""
        with self.database.transaction() as session:
            desk = Desk(session, self.vault, self.store)
            token = sales.deployed(desk, sales.wrapped_apartment(desk))
            asset = desk.session.get_one(Asset, token.asset_id)
            yesterday = today() - timedelta(days=1)
            caveat = liens.active(desk, asset, EncumbranceKind.CAVEAT, ends_on=yesterday)
            found = token.id, caveat.id
        self.watch.look()
        return found


@pytest.fixture(params=[1, 2])
def story(
    request: pytest.FixtureRequest,
    fresh_database: Database,
    vault: Vault,
    store: DocumentStore,
) -> Story:
    return Story(fresh_database, vault, store, random.Random(request.param))


def test_past__a_long_story__is_at_every_moment_what_the_journal_replays(story: Story) -> None:
    for _ in range(30):
        story.act()
    story.sell()

    token, caveat = story.tokenize()

    assert len(story.watch.seen) == 33
    story.watch.hold()
    with story.database.reading() as session:
        assert session.get_one(Encumbrance, caveat).state == EncumbranceState.LAPSED
        assert session.get_one(Tokenization, token).title_status == TitleStatus.CLEAR


@pytest.mark.parametrize("table", ["asset", "title_version", "underlying_key"])
def test_past__table_that_keeps_no_history__is_found(
    fresh_database: Database, vault: Vault, store: DocumentStore, table: str
) -> None:
    with fresh_database.engine.begin() as connection:
        connection.execute(text(f"DROP TRIGGER {table}_history_insert ON {table}"))
    with fresh_database.transaction() as session:
        make.open_apartment(Desk(session, vault, store))
    with fresh_database.reading() as session:
        moment = session.connection().scalar(text("SELECT clock_timestamp()"))
        state = state_of(session)

    assert moment is not None
    with fresh_database.reading(known_at=moment) as past:
        known = state_of(past)
    assert {name for name in state if known[name] != state[name]} == {table}
    replayed = replay(journal_of(fresh_database), moment)
    assert {name for name in state if replayed[name] != state[name]} == {table}
