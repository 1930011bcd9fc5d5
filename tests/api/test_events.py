"""The stream of a token: every block once, rollbacks told, taken up again from any event."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from api import live, sse
from api.schemas.common import address_of
from registry.captable import feed
from registry.captable import service as captable
from registry.captable.models import EventKind
from registry.kernel.actor import Role
from tests import factories as make
from tests.api.house import House, problem_of
from tests.api.moves import FIRST_BLOCK, Moves, frozen, minted, moved, moves, wallet_no
from tests.factories import ACTORS

pytestmark = pytest.mark.db

ONE, TWO = wallet_no(1), wallet_no(2)


@dataclass(frozen=True)
class Event:
    kind: str
    id: str
    data: Any


class Listener:
    """Reads one stream, event by event, as a browser does."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.iter_lines()

    def next(self) -> Event:
        fields: dict[str, str] = {}
        for line in self._lines:
            if not line and fields:
                return Event(fields["event"], fields["id"], json.loads(fields["data"]))
            name, _, value = line.partition(": ")
            fields[name] = value
        raise AssertionError("the stream has ended")

    def take(self, count: int) -> list[Event]:
        return [self.next() for _ in range(count)]

    def until(self, is_wanted: Callable[[Event], bool]) -> Event:
        while not is_wanted(event := self.next()):
            pass
        return event


def path_of(chain: Moves) -> str:
    return f"/v1/tokens/{chain.token_id}/events"


@contextmanager
def listening(chain: Moves, last: str | None = None) -> Iterator[Listener]:
    token = chain.house.token(ACTORS[Role.REGULATOR])
    headers = {"Authorization": f"Bearer {token}"} | ({"Last-Event-ID": last} if last else {})
    with chain.house.client.stream("GET", path_of(chain), headers=headers) as response:
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Listener(response)


def held(chain: Moves) -> dict[str, tuple[str, str]]:
    caller = chain.house.caller(Role.REGULATOR)
    table = caller.get(f"/v1/tokens/{chain.token_id}/cap_table", limit=200).json()
    return {row["wallet"]: (row["balance_units"], row["frozen_units"]) for row in table["items"]}


def holders_of(event: Event) -> dict[str, tuple[str, str]]:
    return {
        row["wallet"]: (row["balance_units"], row["frozen_units"]) for row in event.data["holders"]
    }


def test_stream__blocks_while_it_is_open__come_one_by_one(house: House) -> None:
    chain = moves(house)
    start = chain.mine(minted(ONE, 10))
    with listening(chain) as stream:
        first = stream.next()
        assert (first.kind, first.data["number"]) == ("position", start)
        chain.mine(moved(ONE, TWO, 4), {"kind": EventKind.PAUSED})
        chain.mine()
        last = chain.mine(frozen(TWO, 3), minted(TWO, 1))
        one, two = stream.take(2)

    assert [event.kind for event in (one, two)] == ["block", "block"]
    assert [event.data["block"]["number"] for event in (one, two)] == [start + 1, last]
    assert holders_of(one) == {address_of(ONE): ("6", "0"), address_of(TWO): ("4", "0")}
    assert holders_of(two) == {address_of(TWO): ("5", "3")}
    assert [row["nature"] for row in one.data["transfers"]] == ["TRANSFERRED"]
    assert [act["kind"] for act in one.data["acts"]] == ["PAUSED"]
    assert (one.data["supply_units"], two.data["supply_units"]) == ("10", "11")
    assert two.id == f"{last}-{chain.block(last).hash.hex()}"


def test_stream__new_branch_between_what_was_stored__is_told_whole(house: House) -> None:
    chain = moves(house)
    start = chain.mine(minted(ONE, 10))
    with listening(chain) as stream:
        stream.next()
        lost = chain.mine(moved(ONE, TWO, 4), silent=4)
        assert stream.next().data["block"]["number"] == lost
        # In one transaction, and into blocks of which the old branch had stored none.
        chain.replace(start, "other", (start + 2, moved(ONE, TWO, 3)), (lost + 1, minted(TWO, 1)))
        gone, *told = stream.take(3)

    assert (gone.kind, gone.data["number"]) == ("rolled_back", lost)
    assert [event.data["block"]["number"] for event in told] == [start + 2, lost + 1]
    assert held(chain) == {address_of(ONE): ("7", "0"), address_of(TWO): ("4", "0")}


def test_stream__taken_up_again_after_each_event__misses_and_repeats_nothing(house: House) -> None:
    chain = moves(house)
    chain.mine(minted(ONE, 100))
    with listening(chain) as stream:
        begin = stream.next()
    numbers = [chain.mine(moved(ONE, TWO, part)) for part in range(1, 6)]
    with listening(chain, begin.id) as stream:
        stream.next()
        whole = stream.take(5)

    assert [event.data["block"]["number"] for event in whole] == numbers
    for place, event in enumerate(whole[:-1]):
        with listening(chain, event.id) as stream:
            assert stream.next().id == event.id
            assert stream.take(len(whole) - place - 1) == whole[place + 1 :]


def test_stream__reorg_while_it_is_open__tells_each_block_that_is_gone(house: House) -> None:
    chain = moves(house)
    fork = chain.mine(minted(ONE, 100))
    with listening(chain) as stream:
        stream.next()
        lost = [chain.mine(moved(ONE, TWO, part)) for part in (1, 2)]
        hashes = [f"0x{chain.block(number).hash.hex()}" for number in lost]
        stream.take(2)
        chain.take_back_to(fork, "open")
        gone = stream.take(2)
        new = chain.mine(moved(ONE, TWO, 9))
        event = stream.next()

    assert [item.kind for item in gone] == ["rolled_back"] * 2
    assert [item.data["hash"] for item in gone] == hashes[::-1]
    assert gone[-1].id.startswith(f"{fork}-")
    assert (event.kind, event.data["block"]["number"]) == ("block", new)
    assert holders_of(event) == held(chain)


def test_stream__reorgs_while_away__are_told_first_from_any_place(house: House) -> None:
    chain = moves(house)
    fork = chain.mine(minted(ONE, 100))
    with listening(chain) as stream:
        begin = stream.next()
    for part in (1, 2, 3):
        chain.mine(moved(ONE, TWO, part))
    with listening(chain, begin.id) as stream:
        known = stream.take(4)[1:]
    chain.take_back_to(fork + 1, "away once")
    chain.mine(minted(TWO, 50))
    chain.mine()
    chain.take_back_to(fork, "away twice")
    chain.mine(moved(ONE, TWO, 7))

    for seen, event in enumerate(known, 1):
        with listening(chain, event.id) as stream:
            stream.next()
            gone, (new,) = stream.take(seen), stream.take(1)
            assert [item.kind for item in gone] == ["rolled_back"] * seen
            numbers = [item.data["number"] for item in gone]
            assert numbers == [fork + place for place in range(seen, 0, -1)]
            assert new.kind == "block"
            assert holders_of(new) == held(chain)
        # Cut off among the rollbacks, it goes on with the next of them.
        for place, item in enumerate(gone):
            with listening(chain, item.id) as stream:
                stream.next()
                assert stream.take(seen - place) == [*gone[place + 1 :], new]


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_stream__more_lost_blocks_than_go_at_once__are_told_in_pieces(
    house: House, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(feed, "LOST_AT_ONCE", at_once)
    chain = moves(house)
    fork = chain.mine(minted(ONE, 100))
    # Every other block says nothing of the token.
    lost = [(chain.mine(moved(ONE, TWO, part)), chain.mine())[0] for part in range(1, 5)]
    with listening(chain) as stream:
        known = stream.next()
    chain.take_back_to(fork, f"pieces {at_once}")
    new = chain.mine(moved(ONE, TWO, 9))

    with house.database.reading() as session:
        token = captable.get_token(session, chain.token)
        piece = feed.read_feed(session, token, feed.Place.parse(known.id))
        place = feed.kept_place(session, chain.chain_id, feed.Place.parse(known.id))
    assert (piece.more, len(piece.news) <= 2 * at_once) == (True, True)
    assert place.number == fork
    with listening(chain, known.id) as stream:
        stream.next()
        gone, (event,) = stream.take(len(lost)), stream.take(1)
    assert [item.data["number"] for item in gone] == lost[::-1]
    assert (event.kind, event.data["block"]["number"]) == ("block", new)


def test_stream__deployment_mined_again_while_away__tells_each_block_that_is_gone(
    fresh_house: House,
) -> None:
    chain = moves(fresh_house)
    lost = [chain.mine(minted(ONE, 100)), chain.mine(moved(ONE, TWO, 1))]
    with listening(chain) as stream:
        known = stream.next()
    chain.take_back_to(FIRST_BLOCK, "second")
    chain.mine()
    chain.mine(deploy=True)
    new = chain.mine(minted(TWO, 7))

    with listening(chain, known.id) as stream:
        stream.next()
        gone, (event,) = stream.take(2), stream.take(1)

    assert [item.kind for item in gone] == ["rolled_back"] * 2
    assert [item.data["number"] for item in gone] == lost[::-1]
    assert (event.kind, event.data["block"]["number"]) == ("block", new)
    assert holders_of(event) == held(chain)


def test_stream__nothing_of_the_token_happens__gives_signs_of_life(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "HEARTBEAT_SECONDS", 0.2)
    chain = moves(house)
    with listening(chain) as stream:
        first = stream.next()
        assert stream.next().id == first.id
        number = chain.mine()
        later = stream.until(lambda event: event.id != first.id)

    assert (later.kind, later.data["number"]) == ("position", number)


@pytest.mark.parametrize("is_open", [True, False], ids=["open", "taken up again"])
def test_stream__token_that_is_read_apart__tells_its_blocks_once_they_are_read(
    house: House, monkeypatch: pytest.MonkeyPatch, is_open: bool
) -> None:
    monkeypatch.setattr(sse, "HEARTBEAT_SECONDS", 0.2)
    monkeypatch.setattr(sse, "LONGEST_SECONDS", 8.0)
    chain = moves(house)
    place = chain.mine(minted(ONE, 100))
    with listening(chain) as stream:
        first = stream.next()
        chain.set_apart()
        for _ in range(5):
            chain.mine()
        # It has looked, and says how far it is.
        assert [event.id for event in stream.take(3)] == [first.id] * 3
        chain.read_apart([], [moved(ONE, TWO, 1)], first=place + 1, joins=False)
        told = [stream.until(lambda event: event.kind != "position")]
        if is_open:
            chain.read_apart([], [moved(ONE, TWO, 2)], [], first=place + 3, joins=True)
            told.append(stream.until(lambda event: event.kind != "position"))
            last = stream.until(lambda event: event.id != told[-1].id)
            assert (last.kind, last.data["number"]) == ("position", place + 5)
    if not is_open:
        chain.read_apart([], [moved(ONE, TWO, 2)], [], first=place + 3, joins=True)
        with listening(chain, told[-1].id) as stream:
            stream.next()
            told += stream.take(1)

    assert [event.kind for event in told] == ["block", "block"]
    assert [event.data["block"]["number"] for event in told] == [place + 2, place + 4]
    assert holders_of(told[1]) == held(chain)


@pytest.mark.parametrize("is_open", [True, False], ids=["open", "taken up again"])
def test_stream__token_that_is_read_again__says_that_it_is_to_be_read_anew_and_ends(
    house: House, is_open: bool
) -> None:
    chain = moves(house)
    chain.mine(minted(ONE, 100))
    with listening(chain) as stream:
        stream.next()
        wrong = chain.mine(moved(ONE, TWO, 1))
        known = stream.next()
        chain.read_again(wrong - 1)
        newest = chain.mine()
        if is_open:
            said = stream.next()
            assert (said.kind, said.id) == ("read_anew", known.id)
            with pytest.raises(AssertionError, match="ended"):
                stream.next()
    problem_of(house.caller(Role.REGULATOR).get(path_of(chain)), 503, "token_catching_up")
    chain.read_apart([moved(ONE, TWO, 9)], [], first=wrong, joins=True)

    with listening(chain, known.id) as stream:
        assert stream.next().id == known.id
        said = stream.next()
        with pytest.raises(AssertionError, match="ended"):
            stream.next()
    assert (said.kind, said.data["number"]) == ("read_anew", newest)
    assert said.id == f"{newest}-{chain.block(newest).hash.hex()}-1"
    number = chain.mine(moved(TWO, ONE, 4))
    with listening(chain, said.id) as stream:
        assert stream.next().id == said.id
        event = stream.next()
    assert (event.kind, event.data["block"]["number"]) == ("block", number)
    assert event.id.endswith("-1")
    assert holders_of(event) == held(chain)


def test_stream__its_time_is_over__ends(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "LONGEST_SECONDS", 0.0)
    chain = moves(house)
    with listening(chain) as stream:
        stream.next()
        with pytest.raises(AssertionError, match="ended"):
            stream.next()


def test_stream__many_slow_readers__hold_no_connection(house: House) -> None:
    chain = moves(house)
    chain.mine(minted(ONE, 1))
    asked = f"GET {path_of(chain)} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
    address = (house.client.base_url.host, house.client.base_url.port)
    many = 3 * house.database.pool_size
    readers = [socket.create_connection(address) for _ in range(many)]
    try:
        for reader in readers:
            token = house.token(make.actor(Role.REGULATOR))
            reader.sendall(f"{asked}{token}\r\n\r\n".encode())
            assert reader.recv(15) == b"HTTP/1.1 200 OK"
        # Nobody reads on; everybody else is served, and in the end no connection is taken.
        for _ in range(5):
            chain.mine(moved(ONE, ONE, 1))
            assert held(chain) == {address_of(ONE): ("1", "0")}
        assert eventually(lambda: house.database.engine.pool.checkedout() == 0)  # type: ignore[attr-defined]
    finally:
        for reader in readers:
            reader.close()


def eventually(is_so: Callable[[], bool], tries: int = 200) -> bool:
    for _ in range(tries):
        if is_so():
            return True
        time.sleep(0.05)
    return False


def test_stream__more_than_there_is_room_for__are_refused(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "MOST_STREAMS", 0)
    chain = moves(house)

    problem_of(house.caller(Role.REGULATOR).get(path_of(chain)), 503, "too_many_streams")


@pytest.mark.parametrize(
    ("last", "code"),
    [
        ("rubbish", "event_id_malformed"),
        ("1-00", "event_id_malformed"),
        (f"-1-{'0' * 64}", "event_id_malformed"),
        (f"{'9' * 16}-{'0' * 64}", "event_id_malformed"),
        (f"101-{'0' * 64}", "event_id_unknown"),
        (f"{'9' * 15}-{'0' * 64}", "event_id_unknown"),
        ("x" * 101, "request_invalid"),
    ],
)
def test_stream__id_that_was_never_given__is_refused(house: House, last: str, code: str) -> None:
    chain = moves(house)
    caller = house.caller(Role.REGULATOR)

    answer = caller.ask("GET", path_of(chain), headers={"Last-Event-ID": last})

    problem_of(answer, 422, code)


def test_stream__an_investor__is_refused(house: House) -> None:
    chain = moves(house, buyers=1)

    problem_of(house.caller(chain.buyers[0].actor).get(path_of(chain)), 403, "role_missing")
