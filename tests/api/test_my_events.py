"""A phone's own events: listed, streamed, taken up again without a loss, and pushed to a server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from sqlmodel import col, select
from standardwebhooks.webhooks import Webhook

from api import sse
from api.live import MOST_OF_ONE
from api.routes import notices as stream
from api.webhooks import posting
from api.webhooks.loop import Notices
from api.webhooks.posting import Outcome, Poster
from registry.captable.models import SyncCursor, Token
from registry.kernel.actor import Actor, Role
from registry.kernel.clock import now
from registry.kernel.ids import new_id
from registry.notice import service as notices
from registry.portfolio.telling import tell_holdings
from registry.webhook import outbox
from registry.webhook.outbox import Outgoing
from registry.webhook.secret import new_secret
from tests import factories as make
from tests.api.house import Caller, House, problem_of
from tests.api.moves import frozen, minted, moved, moves, wallet_no
from tests.api.test_events import Event, Listener

pytestmark = pytest.mark.db


@pytest.fixture
def person() -> Actor:
    return make.actor(Role.INVESTOR)


def tell(house: House, who: Actor, *units: int) -> None:
    """Have things happen to somebody, and publish them."""
    with house.database.transaction() as session:
        for number in units:
            subject = ("order", new_id())
            notices.tell(session, who.subject, "order.paid", subject, units=str(number))
    publish(house)


def publish(house: House) -> None:
    published = 1
    while published:
        with house.database.transaction() as session:
            published = outbox.publish_round(session)


@contextlib.contextmanager
def listening(
    house: House, who: Actor, last: str | None = None, **headers: str
) -> Iterator[Listener]:
    headers = {"Authorization": f"Bearer {house.token(who)}"} | headers
    headers |= {"Last-Event-ID": last} if last else {}
    with house.client.stream("GET", "/v1/events", headers=headers) as response:
        assert response.status_code == 200, response.read()
        yield Listener(response)


def units_of(events: list[Event]) -> list[str]:
    return [event.data["facts"]["units"] for event in events]


# The list and the stream


def test_my_events__listed__are_the_callers_own_in_order_and_in_their_language(
    house: House, person: Actor
) -> None:
    tell(house, person, 1, 2, 3)
    tell(house, make.actor(Role.INVESTOR), 9)
    caller = house.caller(person)
    first = caller.get("/v1/me/events", limit=2).json()
    rest = caller.get("/v1/me/events", limit=2, cursor=first["next"]).json()
    urdu = caller.ask("GET", "/v1/me/events", headers={"Accept-Language": "ur"})

    rows = first["items"] + rest["items"]
    assert [row["facts"]["units"] for row in rows] == ["1", "2", "3"]
    assert rest["next"] is None
    assert rows[0]["message"] == "Your order is paid."
    assert urdu.headers["content-language"] == "ur"
    assert urdu.json()["items"][0]["message"] != rows[0]["message"]
    assert urdu.json()["items"][0]["kind"] == "order.paid"


def test_stream__while_it_is_open__tells_what_happens(house: House, person: Actor) -> None:
    with listening(house, person) as heard:
        assert heard.next().kind == "position"
        tell(house, person, 1)
        tell(house, make.actor(Role.INVESTOR), 9)
        tell(house, person, 2, 3)
        events = heard.take(3)

    assert [event.kind for event in events] == ["order.paid"] * 3
    assert units_of(events) == ["1", "2", "3"]


def test_stream__taken_up_again_after_each_event__misses_and_repeats_nothing(
    house: House, person: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "READ_AT_ONCE", 2)
    with listening(house, person) as heard:
        begin = heard.next().id
    tell(house, person, 1, 2, 3, 4, 5)
    with listening(house, person, begin) as heard:
        heard.next()
        whole = heard.take(5)

    assert units_of(whole) == ["1", "2", "3", "4", "5"]
    for place, event in enumerate(whole[:-1]):
        with listening(house, person, event.id) as heard:
            heard.next()
            assert heard.take(len(whole) - place - 1) == whole[place + 1 :]


def test_stream__quiet__gives_signs_of_life_that_move_the_id_on(
    house: House, person: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "HEARTBEAT_SECONDS", 0.2)
    with listening(house, person) as heard:
        first = heard.next()
        tell(house, make.actor(Role.INVESTOR), 9)
        last = heard.until(lambda event: int(event.id) > int(first.id))

    assert last.kind == "position"


@pytest.mark.parametrize(
    ("last", "code"), [("nonsense", "event_id_malformed"), ("9" * 17, "event_id_unknown")]
)
def test_stream__after_an_id_that_is_none__is_refused(
    house: House, person: Actor, last: str, code: str
) -> None:
    headers = {"Last-Event-ID": last}
    problem_of(house.caller(person).ask("GET", "/v1/events", headers=headers), 422, code)


def test_stream__more_than_one_person_may_have__ends_the_oldest(
    house: House, person: Actor
) -> None:
    with contextlib.ExitStack() as others:
        # Kept: a listener that nobody knows any more has hung up.
        heard = [others.enter_context(listening(house, person)) for _ in range(MOST_OF_ONE)]
        assert {listener.next().kind for listener in heard} == {"position"}
        with listening(house, make.actor(Role.INVESTOR)), listening(house, person) as newest:
            assert newest.next().kind == "position"
            with pytest.raises(AssertionError, match="the stream has ended"):
                heard[0].next()
            tell(house, person, 1)
            assert [one.next().kind for one in [*heard[1:], newest]] == ["order.paid"] * MOST_OF_ONE


def test_my_events__of_a_kind_without_a_text__stops_nobody(house: House, person: Actor) -> None:
    add(house.caller(person), "https://hooks.example.com/")
    with house.database.transaction() as session:
        notices.tell(session, person.subject, "order.eaten", ("order", new_id()))
    tell(house, person, 1)

    rows = house.caller(person).get("/v1/me/events").json()["items"]
    assert [row["kind"] for row in rows] == ["order.eaten", "order.paid"]
    assert rows[0]["message"] == "Something of yours has changed."


# What the chain did


def test_holdings__changed_on_chain__are_told_once_they_are_final(house: House) -> None:
    chain = moves(house, buyers=1)
    mine = chain.buyers[0]
    address = mine.wallet.address

    def look(final: int) -> None:
        with house.database.transaction() as session:
            cursor = session.get_one(SyncCursor, chain.chain_id)
            cursor.finalized_number = final
            session.add(cursor)
        with house.database.transaction() as session:
            tell_holdings(session, chain.chain_id)

    look(chain.mine())
    first = chain.mine(minted(address, 10))
    second = chain.mine(moved(address, wallet_no(1), 4), frozen(address, 3))
    look(first)
    look(first)
    look(second)
    publish(house)
    rows = house.caller(mine.actor).get("/v1/me/events", limit=200).json()["items"]

    told = [
        (row["kind"], row["facts"]["units"], row["facts"]["balance_units"])
        for row in rows
        if row["kind"].startswith("holding.")
    ]
    assert told == [
        ("holding.changed", "10", "10"),
        ("holding.changed", "-4", "6"),
        ("holding.frozen", "3", "6"),
    ]
    assert rows[-1]["facts"]["block_number"] == str(second)


def test_holdings__of_a_token_that_is_read_again__are_told_once_it_has_caught_up(
    house: House,
) -> None:
    chain = moves(house, buyers=1)
    mine = chain.buyers[0]

    def look(final: int, known: int | None) -> None:
        with house.database.transaction() as session:
            cursor = session.get_one(SyncCursor, chain.chain_id)
            cursor.finalized_number = final
            token = session.exec(select(Token).where(col(Token.address) == chain.token)).one()
            token.caught_up_to = known
            session.add_all([cursor, token])
        with house.database.transaction() as session:
            tell_holdings(session, chain.chain_id)

    def told() -> list[str]:
        publish(house)
        rows = house.caller(mine.actor).get("/v1/me/events", limit=200).json()["items"]
        return [row["facts"]["units"] for row in rows if row["kind"] == "holding.changed"]

    look(chain.mine(), None)
    first = chain.mine(minted(mine.wallet.address, 10))
    second = chain.mine(moved(mine.wallet.address, wallet_no(1), 4))
    look(second, first - 1)
    assert told() == []
    look(second, first)
    assert told() == ["10"], "as far as it is known"
    look(second, None)
    assert told() == ["10", "-4"]


# Webhooks


@dataclass
class Receiver:
    """A server of an app: keeps what it gets, and answers what it is told to."""

    port: int = 0
    answer: int = 204
    retry_after: str | None = None
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    heard: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            made.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(made.answer)
            if made.retry_after is not None:
                self.send_header("Retry-After", made.retry_after)
            if made.answer == 302:
                self.send_header("Location", made.url)
            self.end_headers()
            made.heard.set()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield made
        server.shutdown()
        thread.join()


def add(caller: Caller, url: str, **more: Any) -> Any:
    response = caller.post("/v1/webhook_endpoints", {"url": url, **more}, key=str(new_id()))
    assert response.status_code == 201, response.text
    return response.json()


def push(house: House, turns: int = 1) -> None:
    """Publish and send what is due, as the loop does."""

    async def run() -> None:
        services = house.services
        poster = Poster(allow_loopback=True)
        loop = Notices(services.database, services.vault, services.settings.chain_id, poster)
        for _ in range(turns):
            await loop.turn()
        await loop.finish()

    asyncio.run(run())


def test_webhook__of_what_happened__is_signed_and_delivered(
    house: House, person: Actor, receiver: Receiver
) -> None:
    caller = house.caller(person)
    endpoint = add(caller, receiver.url)
    tell(house, person, 7)
    push(house)

    (headers, body) = receiver.got[0]
    said = Webhook(endpoint["secret"]).verify(body.decode(), headers)
    assert said["type"] == "order.paid"
    assert said["data"]["units"] == "7"
    path = f"/v1/webhook_endpoints/{endpoint['id']}/deliveries"
    (row,) = caller.get(path).json()["items"]
    assert (row["state"], row["answer_status"], row["attempts"]) == ("DELIVERED", 204, 1)
    assert row["message_id"] == headers["webhook-id"]


def test_webhook__after_its_secret_was_rotated__is_signed_with_both(
    house: House, person: Actor, receiver: Receiver
) -> None:
    caller = house.caller(person)
    endpoint = add(caller, receiver.url)
    path = f"/v1/webhook_endpoints/{endpoint['id']}"
    rotated = caller.post(f"{path}/rotate_secret", key="once")
    again = caller.post(f"{path}/rotate_secret", key="once")
    assert caller.post(f"{path}/test").status_code == 201
    push(house)

    (headers, body) = receiver.got[0]
    for secret in (endpoint["secret"], rotated.json()["secret"]):
        assert Webhook(secret).verify(body.decode(), headers)["type"] == "webhook.test"
    assert again.json()["secret"] is None
    assert "secret" not in caller.get(path).json()
    assert rotated.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("answer", [302, 500])
def test_webhook__receiver_that_takes_nothing__is_tried_again_and_redirects_nowhere(
    house: House, person: Actor, receiver: Receiver, answer: int
) -> None:
    receiver.answer = answer
    caller = house.caller(person)
    endpoint = add(caller, receiver.url)
    tell(house, person, 1)
    push(house)

    assert len(receiver.got) == 1
    path = f"/v1/webhook_endpoints/{endpoint['id']}"
    (row,) = caller.get(f"{path}/deliveries", state="PENDING").json()["items"]
    assert (row["attempts"], row["answer_status"]) == (1, answer)
    assert row["next_at"] > row["recorded_at"]
    assert caller.get(path).json()["failing_since"] is not None


def test_webhook__removed__is_gone(house: House, person: Actor, receiver: Receiver) -> None:
    caller = house.caller(person)
    path = f"/v1/webhook_endpoints/{add(caller, receiver.url)['id']}"

    assert caller.delete(path).status_code == 204
    problem_of(caller.get(path), 404, "not_found")
    assert caller.get("/v1/webhook_endpoints").json() == []


def test_webhook__of_another_person__is_not_found(
    house: House, person: Actor, receiver: Receiver
) -> None:
    path = f"/v1/webhook_endpoints/{add(house.caller(person), receiver.url)['id']}"
    stranger = house.caller(make.actor(Role.INVESTOR))

    for response in (
        stranger.get(path),
        stranger.get(f"{path}/deliveries"),
        stranger.delete(path),
        stranger.post(f"{path}/test"),
        stranger.post(f"{path}/rotate_secret"),
        stranger.post(f"{path}/enable"),
    ):
        problem_of(response, 404, "not_found")


def test_webhook__to_a_network_of_our_own__is_refused(house: House, person: Actor) -> None:
    caller = house.caller(person)
    for url in ("https://10.0.0.1/", "https://169.254.169.254/", "http://example.com/"):
        problem_of(caller.post("/v1/webhook_endpoints", {"url": url}), 422, "webhook_url_refused")


def outgoing(url: str) -> Outgoing:
    payload = {"type": "webhook.test", "timestamp": "now", "data": {}}
    return Outgoing(new_id(), now(), "somebody", url, new_id(), payload, [new_secret()])


def post(url: str, *, allow_loopback: bool = False) -> Outcome:
    async def run() -> Outcome:
        poster = Poster(allow_loopback=allow_loopback)
        try:
            return await poster.post(outgoing(url))
        finally:
            await poster.close()

    return asyncio.run(run())


def test_post__name_that_leads_inside__connects_to_nothing(receiver: Receiver) -> None:
    """What was a public name when it was added may mean something else when it is sent to."""
    outcome = post(f"https://localhost:{receiver.port}/")

    assert outcome == Outcome(fault="its name leads to an address that is not public")
    assert post(receiver.url).fault == "deliveries go by https only"
    assert receiver.got == []


def test_post__name_that_is_unknown__is_a_fault() -> None:
    assert post("https://nothing.invalid/").fault == "its name is not known"


def test_post__receiver_that_never_answers__ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "TRY_SECONDS", 0.2)
    with dead_end() as port:
        outcome = post(f"http://127.0.0.1:{port}/", allow_loopback=True)

    assert outcome.fault is not None
    assert "took longer" in outcome.fault


@contextlib.contextmanager
def dead_end() -> Iterator[int]:
    """Give a port that takes connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_push__dead_receiver__holds_nobody_else_up(
    house: House, person: Actor, receiver: Receiver
) -> None:
    other = make.actor(Role.INVESTOR)
    add(house.caller(other), receiver.url)
    with dead_end() as port:
        for _ in range(3):
            add(house.caller(person), f"http://127.0.0.1:{port}/")
        tell(house, person, 1)
        tell(house, other, 2)

        async def run() -> None:
            services = house.services
            poster = Poster(allow_loopback=True)
            loop = Notices(services.database, services.vault, services.settings.chain_id, poster)
            await loop.turn()
            assert await asyncio.to_thread(receiver.heard.wait, 5)
            await poster.close()
            await loop.finish()

        asyncio.run(run())

    assert json.loads(receiver.got[0][1])["data"]["units"] == "2"


@pytest.mark.parametrize("asked", ["9" * 5_000, "Fri, 01 Jan 99999999999999999999 00:00:00 GMT"])
def test_push__retry_after_that_is_no_time__is_a_failure_like_any_other(
    house: House, person: Actor, receiver: Receiver, asked: str
) -> None:
    receiver.answer, receiver.retry_after = 503, asked
    caller = house.caller(person)
    path = f"/v1/webhook_endpoints/{add(caller, receiver.url)['id']}"
    tell(house, person, 1)
    push(house)

    (row,) = caller.get(f"{path}/deliveries").json()["items"]
    assert (row["attempts"], row["answer_status"]) == (1, 503)
    assert caller.get(path).json()["failing_since"] is not None


@contextlib.contextmanager
def stuck_names(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have the lookup of some names answered by nobody, as by a name server that is gone."""
    found, over = socket.getaddrinfo, threading.Event()

    def lookup(host: Any, *args: Any, **more: Any) -> Any:
        if str(host).endswith(".stuck.example"):
            over.wait(60)
            raise socket.gaierror
        return found(host, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    try:
        yield
    finally:
        over.set()


def test_push__names_that_nobody_answers__hold_nobody_else_up(
    house: House, person: Actor, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make.actor(Role.INVESTOR)
    monkeypatch.setattr(posting, "TRY_SECONDS", 0.1)
    for number in range(10):
        add(house.caller(person), f"https://a{number}.stuck.example/")
    add(house.caller(other), receiver.url)

    async def run() -> None:
        services = house.services
        poster = Poster(allow_loopback=True)
        loop = Notices(services.database, services.vault, services.settings.chain_id, poster)
        for units in range(8):
            await asyncio.to_thread(tell, house, person, units)
            await loop.turn()
            await asyncio.sleep(0.15)
        monkeypatch.setattr(posting, "TRY_SECONDS", 5.0)
        with house.database.transaction() as session:
            notices.tell(session, other.subject, "order.paid", ("order", new_id()), units="9")
        assert await loop.turn(), "publishing goes on"
        assert await asyncio.to_thread(receiver.heard.wait, 5)
        await loop.finish()

    with stuck_names(monkeypatch):
        asyncio.run(asyncio.wait_for(run(), 30))
    assert json.loads(receiver.got[0][1])["data"]["units"] == "9"


def test_push__one_owner_with_a_backlog__takes_four_tries_at_a_time(
    house: House, person: Actor, receiver: Receiver
) -> None:
    other = make.actor(Role.INVESTOR)
    with dead_end() as port:
        for _ in range(10):
            add(house.caller(person), f"http://127.0.0.1:{port}/")
        tell(house, person, *range(8))
        add(house.caller(other), receiver.url)
        tell(house, other, 2)

        async def run() -> None:
            services = house.services
            poster = Poster(allow_loopback=True)
            loop = Notices(services.database, services.vault, services.settings.chain_id, poster)
            for _ in range(10):
                await loop.turn()
            assert await asyncio.to_thread(receiver.heard.wait, 5)
            await poster.close()
            await loop.finish()

        asyncio.run(run())

    rows = [
        row
        for endpoint in house.caller(person).get("/v1/webhook_endpoints").json()
        for row in house.caller(person)
        .get(f"/v1/webhook_endpoints/{endpoint['id']}/deliveries", limit=100)
        .json()["items"]
    ]
    assert len(rows) == 80
    assert sum(row["attempts"] for row in rows) == 4


def test_test__asked_for_again_and_again__is_refused_while_five_wait(
    house: House, person: Actor, receiver: Receiver
) -> None:
    caller = house.caller(person)
    path = f"/v1/webhook_endpoints/{add(caller, receiver.url)['id']}/test"
    for _ in range(5):
        assert caller.post(path).status_code == 201

    problem_of(caller.post(path), 409, "too_many_tests")
    push(house, turns=2)
    assert caller.post(path).status_code == 201
