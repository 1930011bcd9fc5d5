"""The outbox of webhooks: who gets what, claimed once, tried again, given up, disabled at last."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import update
from sqlmodel import Session, col, select

from registry.kernel.actor import Actor, Role
from registry.kernel.clock import now
from registry.kernel.db import Database
from registry.kernel.errors import Conflict, Invalid, NotFound
from registry.kernel.ids import new_id
from registry.kernel.vault import Vault
from registry.notice import service as notices
from registry.webhook import outbox, rotation
from registry.webhook import service as webhooks
from registry.webhook.models import DeliveryState, WebhookDelivery, WebhookEndpoint
from registry.webhook.outbox import PATIENCE, PAUSES, Lane, Outgoing
from registry.webhook.secret import OVERLAP, secrets_of
from tests import factories as make
from tests.db.races import meanwhile

pytestmark = pytest.mark.db

URL = "https://hooks.example.com/milkiyat"


@pytest.fixture
def owner() -> Actor:
    return make.actor(Role.INVESTOR)


@pytest.fixture
def endpoint(session: Session, vault: Vault, owner: Actor) -> WebhookEndpoint:
    return webhooks.add_endpoint(session, vault, owner, url=URL)[0]


def tell(session: Session, owner: Actor, kind: str = "order.paid") -> None:
    notices.tell(session, owner.subject, kind, ("order", new_id()), units="5")


def publish(session: Session) -> None:
    while outbox.publish_round(session):
        pass


def deliveries(session: Session, endpoint: WebhookEndpoint) -> list[WebhookDelivery]:
    query = select(WebhookDelivery).where(col(WebhookDelivery.endpoint_id) == endpoint.id)
    return list(session.exec(query.order_by(col(WebhookDelivery.id))).all())


def claimed(session: Session, vault: Vault, lane: Lane = Lane.WELL) -> list[UUID]:
    return [item.delivery_id for item in tries(session, vault, lane)]


def tries(session: Session, vault: Vault, lane: Lane = Lane.WELL) -> list[Outgoing]:
    return outbox.claim(session, vault, lane, 100)


def fail(
    session: Session,
    sent: Outgoing,
    fault: str = "it answered 500",
    *,
    status: int | None = None,
    wait: timedelta | None = None,
) -> None:
    outbox.note_failed(session, sent.delivery_id, fault, until=sent.until, status=status, wait=wait)


def let_time_come(session: Session) -> None:
    """Do what the pause after a try does."""
    session.execute(
        update(WebhookDelivery)
        .where(col(WebhookDelivery.state) == DeliveryState.PENDING)
        .values(next_at=now())
    )
    session.expire_all()


def test_publish__each_endpoint_of_the_principal__gets_what_it_wants(
    session: Session, vault: Vault, owner: Actor, endpoint: WebhookEndpoint
) -> None:
    picky, _ = webhooks.add_endpoint(session, vault, owner, url=URL, kinds=["payout.paid"])
    other, _ = webhooks.add_endpoint(session, vault, make.actor(Role.INVESTOR), url=URL)
    tell(session, owner)
    tell(session, owner, "payout.paid")
    publish(session)

    assert [row.kind for row in deliveries(session, endpoint)] == ["order.paid", "payout.paid"]
    assert [row.kind for row in deliveries(session, picky)] == ["payout.paid"]
    assert deliveries(session, other) == []
    payload = deliveries(session, endpoint)[0].payload
    assert payload["type"] == "order.paid"
    assert payload["data"]["units"] == "5"
    assert payload["data"]["message"] != payload["data"]["message_ur"]


def test_claim__of_two_workers__the_same_message_goes_to_one(
    session: Session, vault: Vault, owner: Actor, endpoint: WebhookEndpoint
) -> None:
    tell(session, owner)
    publish(session)

    assert len(claimed(session, vault)) == 1
    assert claimed(session, vault) == []
    assert deliveries(session, endpoint)[0].attempts == 1


def test_claim__while_another_worker_holds_it__passes_it_over(
    fresh_database: Database, vault: Vault, owner: Actor
) -> None:
    with fresh_database.transaction() as session:
        webhooks.add_endpoint(session, vault, owner, url=URL)
        tell(session, owner)
        publish(session)
    with fresh_database.transaction() as first:
        assert len(claimed(first, vault)) == 1
        with fresh_database.transaction() as second:
            assert claimed(second, vault) == []


def test_note_delivered__taken__is_over(
    session: Session, vault: Vault, owner: Actor, endpoint: WebhookEndpoint
) -> None:
    tell(session, owner)
    publish(session)
    (sent,) = claimed(session, vault)
    outbox.note_delivered(session, sent, 204)

    row = deliveries(session, endpoint)[0]
    assert (row.state, row.answer_status, row.next_at) == (DeliveryState.DELIVERED, 204, None)
    let_time_come(session)
    assert claimed(session, vault) == []


def test_note_failed__again_and_again__grows_its_pauses_and_is_given_up(
    session: Session, vault: Vault, owner: Actor, endpoint: WebhookEndpoint
) -> None:
    tell(session, owner)
    publish(session)
    waits = []
    lane = Lane.WELL
    for _ in range(len(PAUSES)):
        (sent,) = tries(session, vault, lane)
        fail(session, sent, status=500)
        row = deliveries(session, endpoint)[0]
        assert row.next_at is not None
        waits.append(row.next_at - now())
        let_time_come(session)
        lane = Lane.FAILING
    (sent,) = tries(session, vault, lane)
    fail(session, sent, status=500)

    assert waits == sorted(waits)
    assert waits[-1] > timedelta(hours=19)
    row = deliveries(session, endpoint)[0]
    assert (row.state, row.attempts) == (DeliveryState.ABANDONED, len(PAUSES) + 1)
    assert row.fault == "it answered 500"


def test_note_failed__receiver_asks_for_more_time__gets_it(
    session: Session, vault: Vault, owner: Actor, endpoint: WebhookEndpoint
) -> None:
    tell(session, owner)
    publish(session)
    (sent,) = tries(session, vault)
    fail(session, sent, "it answered 429", status=429, wait=timedelta(hours=1))

    row = deliveries(session, endpoint)[0]
    assert row.next_at is not None
    assert row.next_at - now() > timedelta(minutes=59)


def test_claim__of_receivers_that_fail__is_another_lane_and_one_at_a_time(
    session: Session, vault: Vault, owner: Actor, endpoint: WebhookEndpoint
) -> None:
    good = make.actor(Role.INVESTOR)
    webhooks.add_endpoint(session, vault, good, url=URL)
    for _ in range(3):
        tell(session, owner)
    endpoint.failing_since = now()
    session.add(endpoint)
    tell(session, good)
    publish(session)

    assert len(claimed(session, vault, Lane.WELL)) == 1
    assert len(claimed(session, vault, Lane.FAILING)) == 1


def test_note_failed__for_days__disables_and_tells_the_owner(
    session: Session, vault: Vault, owner: Actor, endpoint: WebhookEndpoint
) -> None:
    tell(session, owner)
    tell(session, owner)
    endpoint.failing_since = now() - PATIENCE
    session.add(endpoint)
    publish(session)
    (sent,) = tries(session, vault, Lane.FAILING)
    fail(session, sent, "ConnectError: refused")
    publish(session)

    assert endpoint.disabled_because is not None
    assert "ConnectError" in endpoint.disabled_because
    session.expire_all()
    assert {row.state for row in deliveries(session, endpoint)} == {DeliveryState.ABANDONED}
    kinds = [row.kind for row in notices.list_notices(session, owner.subject, after=0, limit=9)]
    assert kinds[-1] == "webhook.disabled"
    with pytest.raises(Conflict, match="webhook_disabled"):
        webhooks.send_test(session, owner, endpoint.id)


def test_note_failed__gone__disables_at_once(
    session: Session, vault: Vault, owner: Actor, endpoint: WebhookEndpoint
) -> None:
    tell(session, owner)
    publish(session)
    (sent,) = tries(session, vault)
    fail(session, sent, "it answered 410", status=410)

    assert endpoint.disabled_at is not None
    enabled = webhooks.enable_endpoint(session, owner, endpoint.id)
    assert enabled.disabled_at is enabled.failing_since is None
    with pytest.raises(Conflict, match="webhook_enabled"):
        webhooks.enable_endpoint(session, owner, endpoint.id)


def test_note_failed__gone_told_of_a_try_before_it_was_enabled__disables_it_no_second_time(
    session: Session, vault: Vault, owner: Actor, endpoint: WebhookEndpoint
) -> None:
    for _ in range(3):
        tell(session, owner)
    publish(session)
    first, second, third = tries(session, vault)
    fail(session, first, "it answered 410", status=410)
    webhooks.enable_endpoint(session, owner, endpoint.id)
    fail(session, second, "it answered 410", status=410)
    assert endpoint.disabled_at is None

    session.expire_all()
    webhooks.retry_delivery(session, owner, third.delivery_id)
    fail(session, third, "it answered 410", status=410)
    assert endpoint.disabled_at is None
    (again,) = tries(session, vault, Lane.FAILING)
    assert again.delivery_id == third.delivery_id
    fail(session, again, "it answered 410", status=410)
    assert endpoint.disabled_at is not None


def test_enable__queued_while_it_was_disabled__is_not_sent(
    fresh_database: Database, vault: Vault, owner: Actor
) -> None:
    with fresh_database.transaction() as session:
        endpoint, _ = webhooks.add_endpoint(session, vault, owner, url=URL)
        tell(session, owner)
    with fresh_database.transaction() as closing:
        webhooks.disable_all(closing, owner, owner.subject, "It was left")
        with meanwhile(fresh_database, outbox.publish_round) as published:
            closing.commit()  # it still saw the endpoint enabled
        assert published.result()

    with fresh_database.transaction() as session:
        webhooks.enable_endpoint(session, owner, endpoint.id)
        assert claimed(session, vault) == []
        states = {row.kind: row.state for row in deliveries(session, endpoint)}
        assert states == {"order.paid": DeliveryState.ABANDONED}


def test_retry__of_one_that_was_given_up__sends_it_anew(
    session: Session, vault: Vault, owner: Actor, endpoint: WebhookEndpoint
) -> None:
    delivery = webhooks.send_test(session, owner, endpoint.id)
    with pytest.raises(Conflict, match="delivery_pending"):
        webhooks.retry_delivery(session, owner, delivery.id)
    claimed(session, vault)
    outbox.note_delivered(session, delivery.id, 200)
    webhooks.retry_delivery(session, owner, delivery.id)

    assert claimed(session, vault) == [delivery.id]
    assert deliveries(session, endpoint)[0].message_id == delivery.message_id


def test_note_failed__its_owner_retried_it_meanwhile__leaves_the_new_try_alone(
    session: Session, vault: Vault, owner: Actor, endpoint: WebhookEndpoint
) -> None:
    tell(session, owner)
    publish(session)
    (old,) = tries(session, vault)
    webhooks.disable_endpoint(session, owner, endpoint, "The receiver answered 410 Gone.")
    webhooks.enable_endpoint(session, owner, endpoint.id)
    session.expire_all()
    webhooks.retry_delivery(session, owner, old.delivery_id)
    fail(session, old, wait=timedelta(hours=1))

    row = deliveries(session, endpoint)[0]
    assert row.state == DeliveryState.PENDING
    assert row.next_at is not None
    assert row.next_at - now() <= PAUSES[0]
    let_time_come(session)
    # The endpoint is known to fail since the old try.
    (new,) = tries(session, vault, Lane.FAILING)
    assert new.delivery_id == old.delivery_id
    # The old one counts for nothing while the new one, which is the first again, is under way.
    fail(session, old)
    assert deliveries(session, endpoint)[0].next_at == new.until
    fail(session, new, wait=timedelta(hours=1))
    row = deliveries(session, endpoint)[0]
    assert (row.attempts, row.next_at is not None) == (1, True)
    assert row.next_at != new.until


def test_rotate_secret__for_a_day__both_sign(session: Session, vault: Vault, owner: Actor) -> None:
    endpoint, first = webhooks.add_endpoint(session, vault, owner, url=URL)
    _, second = webhooks.rotate_secret(session, vault, owner, endpoint.id)

    assert secrets_of(vault, endpoint) == [second, first]
    assert endpoint.old_secret_until is not None
    endpoint.old_secret_until -= OVERLAP
    assert secrets_of(vault, endpoint) == [second]
    _, third = webhooks.rotate_secret(session, vault, owner, endpoint.id)
    assert secrets_of(vault, endpoint) == [third, second]


def test_reseal__under_a_new_key__signs_as_before(
    session: Session, vault: Vault, owner: Actor
) -> None:
    first, second, index = (Fernet.generate_key().decode() for _ in range(3))
    old, new = Vault(first, index), Vault(f"{second},{first}", index)
    endpoint, secret = webhooks.add_endpoint(session, old, owner, url=URL)
    lost, _ = webhooks.add_endpoint(session, vault, owner, url=URL)
    left = rotation.list_left(session, new, after=None, limit=9)

    assert {endpoint.id, lost.id} <= set(left)
    assert rotation.reseal_one(session, new, endpoint.id)
    assert not rotation.reseal_one(session, new, lost.id)
    assert rotation.count_left(session, new) == len(left) - 1
    assert secrets_of(Vault(second, index), endpoint) == [secret]


def test_claim__secret_that_opens_with_no_key__is_a_fault_and_holds_nobody_up(
    session: Session, vault: Vault, owner: Actor, endpoint: WebhookEndpoint
) -> None:
    tell(session, owner)
    publish(session)
    endpoint.sealed = b"lost"
    session.add(endpoint)
    session.flush()

    assert claimed(session, vault) == []
    assert deliveries(session, endpoint)[0].fault == "its secret does not open any more"


def test_remove__endpoint__gets_nothing_more_and_is_gone(
    session: Session, vault: Vault, owner: Actor, endpoint: WebhookEndpoint
) -> None:
    tell(session, owner)
    publish(session)
    webhooks.remove_endpoint(session, owner, endpoint.id)
    tell(session, owner)
    publish(session)

    assert claimed(session, vault) == []
    assert len(deliveries(session, endpoint)) == 1
    with pytest.raises(NotFound):
        webhooks.get_endpoint(session, owner, endpoint.id)


def test_endpoint__of_somebody_else__is_not_found(
    session: Session, vault: Vault, endpoint: WebhookEndpoint
) -> None:
    stranger = make.actor(Role.INVESTOR)
    delivery = WebhookDelivery(
        endpoint_id=endpoint.id, message_id=new_id(), kind="order.paid", payload={}, next_at=now()
    )
    session.add(delivery)
    session.flush()

    with pytest.raises(NotFound):
        webhooks.rotate_secret(session, vault, stranger, endpoint.id)
    with pytest.raises(NotFound):
        webhooks.retry_delivery(session, stranger, delivery.id)
    assert webhooks.list_endpoints(session, stranger) == []


def test_add__the_eleventh__is_refused(session: Session, vault: Vault, owner: Actor) -> None:
    for _ in range(webhooks.MOST_ENDPOINTS):
        webhooks.add_endpoint(session, vault, owner, url=URL)

    with pytest.raises(Conflict, match="too_many_webhooks"):
        webhooks.add_endpoint(session, vault, owner, url=URL)


def test_add__of_a_kind_that_is_none__is_refused(
    session: Session, vault: Vault, owner: Actor
) -> None:
    with pytest.raises(Invalid, match="notice_kind_unknown"):
        webhooks.add_endpoint(session, vault, owner, url=URL, kinds=["order.eaten"])


@pytest.fixture(autouse=True)
def nothing_waits(session: Session) -> None:
    publish(session)


def test_claim__owners_with_a_backlog__leave_room_to_whoever_has_nothing_under_way(
    session: Session, vault: Vault, owner: Actor, endpoint: WebhookEndpoint
) -> None:
    for _ in range(6):
        tell(session, owner)
    publish(session)
    other = make.actor(Role.INVESTOR)
    webhooks.add_endpoint(session, vault, other, url=URL)
    tell(session, other)
    publish(session)

    first, second = outbox.claim(session, vault, Lane.WELL, 2)
    assert {first.owner, second.owner} == {owner.person, other.person}
    rest = outbox.claim(session, vault, Lane.WELL, 100, {owner.person: 1, other.person: 1})
    assert [item.owner for item in rest] == [owner.person] * 3
    assert outbox.claim(session, vault, Lane.WELL, 100, {owner.person: 4}) == []
