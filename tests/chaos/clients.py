"""Who asks the registry meanwhile: under an idempotency key, several times at once, until answered.

As a route of the API does it (`api.idempotency`): the key is claimed, the use case runs and the
answer is stored in one transaction. A client whose connection breaks asks again with the same key.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from hashlib import sha256
from uuid import UUID

import structlog
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session, col, select

from registry.idempotency import service as idempotency
from registry.idempotency.models import StoredAnswer
from registry.investor.models import Wallet
from registry.kernel.actor import THE_SYSTEM
from registry.kernel.clock import now
from registry.kernel.db import Database
from registry.kernel.errors import Conflict, Unavailable
from registry.offering import service as offerings
from registry.operation import service as operations
from registry.operation.models import Operation, OperationKind
from registry.payment.rails import BANK, Receipt
from registry.payment.receiving import book_receipt
from registry.tokenization import service as tokenizations
from registry.tokenization.models import TokenizationState
from tests.chaos.schedule import Asked, Request, Schedule
from tests.chaos.stage import Sale
from tests.factories import COMPLIANCE

log = structlog.get_logger()

AGAIN_SECONDS = 0.02
PRINCIPAL = "chaos"


class _NotYet(Exception):
    """What must come first is not ordered yet."""


class Clients:
    """Everybody who asks something in one schedule.

    Parameters
    ----------
    database
        As the API reaches it: through the proxy.
    """

    def __init__(self, database: Database, sale: Sale, schedule: Schedule) -> None:
        self._database = database
        self._sale = sale
        self._schedule = schedule
        self._threads: list[threading.Thread] = []
        self._stop = threading.Event()
        self.asked: list[Request] = []
        self.troubles: list[str] = []

    def ask(self, request: Request) -> None:
        """Send a request as often as it says, at the same moment."""
        self.asked.append(request)
        for _ in range(request.copies):
            thread = threading.Thread(target=self._until_answered, args=(request,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def await_answers(self) -> None:
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def ask_again(self) -> None:
        """Ask everything once more, as people do of a register that has forgotten it."""
        for request in self.asked:
            self._until_answered(request)

    def _until_answered(self, request: Request) -> None:
        while True:
            try:
                self._once(request)
            except (DBAPIError, Unavailable, _NotYet):
                time.sleep(AGAIN_SECONDS)
            except Conflict as refused:
                if refused.code != "idempotency_in_flight":
                    self.troubles.append(f"{request}: {refused.code}: {refused.detail}")
                    return
                time.sleep(AGAIN_SECONDS)
            except Exception as fault:  # noqa: BLE001 (told in the end)
                self.troubles.append(f"{request}: {fault!r}")
                return
            else:
                return

    def _once(self, request: Request) -> None:
        key = f"{request.asked}:{request.number}"
        digest = sha256(key.encode()).digest()
        with self._database.transaction() as session:
            if idempotency.claim(session, PRINCIPAL, key, digest) is not None:
                return
            carry_out(session, self._sale, self._schedule, request)
            answer = StoredAnswer(
                principal=PRINCIPAL, key=key, request_hash=digest, status=202, headers="{}"
            )
            answer.body = b"{}"
            idempotency.store(session, answer)


def pay(session: Session, sale: Sale, schedule: Schedule) -> None:
    """Book the payments of those who pay."""
    for number in schedule.paid:
        buyer = sale.buyers[number]
        receipt = Receipt(f"chaos-{number}", buyer.reference, buyer.amount_paisa, now())
        book_receipt(session, BANK, receipt)


def carry_out(session: Session, sale: Sale, schedule: Schedule, request: Request) -> None:
    """Do what is asked, as the registry's use cases do it."""
    doers: dict[Asked, Callable[[Session, Sale, Schedule, int], None]] = {
        Asked.CLOSE: _close,
        Asked.TITLE: _tell_title,
        Asked.IDENTITY: _open_identity,
    }
    doers[request.asked](session, sale, schedule, request.number)


def key_of(request: Request) -> str:
    """Give the key of the operation that a request plans (but for the sale's)."""
    return f"chaos:{request.asked.name.lower()}:{request.number}"


def title_root(seed: int, number: int) -> bytes:
    return sha256(f"{seed}:{number}".encode()).digest()


def _close(session: Session, sale: Sale, schedule: Schedule, number: int) -> None:
    tokenization = tokenizations.get_tokenization(session, UUID(sale.tokenization_id), lock=True)
    if tokenization.state != TokenizationState.OFFERING:
        return
    offerings.close_and_mint(session, COMPLIANCE, tokenization.id)
    alone = {sale.buyers[each].wallet for each in schedule.alone}
    wallets = session.exec(select(Wallet).where(col(Wallet.address).in_(alone))).all()
    for wallet in wallets:
        registration = operations.find_by_key(
            session, f"register_identity:{tokenization.id}:{wallet.id}"
        )
        for planned in [registration, *_mints(session, wallet)]:
            if planned is not None:
                planned.batch_limit = 1
                session.add(planned)


def _mints(session: Session, wallet: Wallet) -> list[Operation]:
    rows = session.exec(
        select(Operation).where(
            col(Operation.kind) == OperationKind.MINT,
            col(Operation.params)["wallet_id"].as_string() == str(wallet.id),
        )
    )
    return list(rows)


def _tell_title(session: Session, sale: Sale, schedule: Schedule, number: int) -> None:
    earlier = operations.find_by_key(session, f"chaos:title:{number - 1}")
    if number and earlier is None:
        raise _NotYet
    _plan(
        session,
        sale,
        OperationKind.SET_TITLE_STATUS,
        f"chaos:title:{number}",
        after=[earlier] if earlier else [],
        status="NOTICE",
        root=title_root(schedule.seed, number).hex(),
    )


def _open_identity(session: Session, sale: Sale, schedule: Schedule, number: int) -> None:
    address = sale.buyers[number].wallet
    wallet = session.exec(select(Wallet).where(col(Wallet.address) == address)).one()
    _plan(
        session,
        sale,
        OperationKind.CREATE_IDENTITY,
        f"chaos:identity:{number}",
        wallet="0x" + address.hex(),
        wallet_id=str(wallet.id),
    )


def _plan(
    session: Session,
    sale: Sale,
    kind: OperationKind,
    key: str,
    *,
    after: list[Operation] | None = None,
    **params: str,
) -> None:
    operations.plan(
        session,
        THE_SYSTEM,
        kind,
        key=key,
        subject=("tokenization", UUID(sale.tokenization_id)),
        params={"tokenization_id": sale.tokenization_id} | params,
        after=after or [],
    )
