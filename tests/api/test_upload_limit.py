"""Uploads without end, from a sender that says anything of their length: cut off, and forgotten.

Over a plain socket, against the server as it is run. The sender offers 2 GB of zeros.
"""

from __future__ import annotations

import gc
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from api.app import MULTIPART_ROOM_BYTES
from api.body_limit import LINGER_BYTES
from registry.kernel.actor import Role
from tests import factories as make
from tests.api.house import House, house_settings, open_house
from tests.conftest import DatabaseMaker, open_folder

pytestmark = pytest.mark.db

OFFERED = 2 * 1024**3
LIMIT = 4 * 1024 * 1024
"""More than a form keeps in memory: it writes the paper to the disk while it comes in."""
ZEROS = bytes(256 * 1024)
HEAD = (
    b'--x\r\nContent-Disposition: form-data; name="kind"\r\n\r\nDEED\r\n'
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="deed.pdf"\r\n'
    b"Content-Type: application/pdf\r\n\r\n%PDF-1.7\n"
)


@pytest.fixture(scope="module")
def house(make_database: DatabaseMaker) -> Iterator[House]:
    with open_folder() as folder, make_database() as database:
        settings = house_settings(folder, max_upload_bytes=LIMIT)
        with open_house(settings, database) as house:
            yield house


@dataclass(frozen=True)
class Cut:
    """What came of an upload: the answer, and how much the sender got rid of."""

    answer: bytes
    sent: int

    @property
    def status(self) -> bytes:
        return self.answer.split(b" ", 2)[1] if self.answer else b""


def upload(house: House, *headers: str, chunked: bool = False) -> Cut:
    """Offer 2 GB, and go on until the server does not take any more."""
    with house.desk() as desk:
        asset = make.open_apartment(desk)
    token = house.token(make.ACTORS[Role.REGISTRAR_MAKER])
    lines = [
        f"POST /v1/assets/{asset.id}/documents HTTP/1.1",
        "Host: x",
        f"Authorization: Bearer {token}",
        "Content-Type: multipart/form-data; boundary=x",
        *headers,
    ]
    frame: Callable[[bytes], bytes] = in_chunk if chunked else bytes
    url = house.client.base_url
    with house.unchanged(), socket.create_connection((url.host, url.port or 0)) as connection:
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode() + frame(HEAD))
        sent = stream(connection, frame(ZEROS))
        return Cut(read_all(connection), sent)


def in_chunk(content: bytes) -> bytes:
    return f"{len(content):x}\r\n".encode() + content + b"\r\n"


def stream(connection: socket.socket, piece: bytes) -> int:
    """Send `piece` again and again until the server closes its side, or everything is sent."""
    sent = 0
    try:
        while sent < OFFERED:
            rest = memoryview(piece)
            while rest:
                written = connection.send(rest)
                rest, sent = rest[written:], sent + written
    except (BrokenPipeError, ConnectionResetError):
        return sent
    return sent


def read_all(connection: socket.socket) -> bytes:
    answer = b""
    try:
        while piece := connection.recv(65536):
            answer += piece
    except ConnectionResetError:
        return answer
    return answer


def kernel_buffers() -> int:
    """How much two ends of a connection may hold that nobody has taken."""
    largest = 0
    for name in ("tcp_rmem", "tcp_wmem"):
        largest += int(Path("/proc/sys/net/ipv4", name).read_text("ascii").split()[2])
    return largest


def deleted_files() -> set[str]:
    """Files without a name that this process, the server in it, still holds open."""
    gc.collect()
    found = set()
    for link in Path("/proc/self/fd").iterdir():
        try:
            target = str(link.readlink())
        except FileNotFoundError:
            continue  # the descriptor of this very listing
        if target.endswith("(deleted)"):
            found.add(target)
    return found


def named_files(house: House) -> set[Path]:
    return {path for path in house.services.settings.data_dir.rglob("*") if path.is_file()}


SENDERS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "chunked": (("Transfer-Encoding: chunked",), {"chunked": True}),
    "chunked_with_a_key": (
        ("Transfer-Encoding: chunked", "Idempotency-Key: k-1"),
        {"chunked": True},
    ),
    "announced": ((f"Content-Length: {OFFERED}",), {}),
    "announced_less": ((f"Content-Length: {len(HEAD) + 1000}",), {}),
    "announced_nothing": ((), {}),
}


# Starlette leaves the file of a form that breaks off to Python, which warns, and closes it.
@pytest.mark.filterwarnings("ignore:Unclosed file:ResourceWarning")
@pytest.mark.parametrize(("headers", "how"), SENDERS.values(), ids=SENDERS)
def test_upload__without_end__is_cut_off_and_leaves_nothing(
    house: House, headers: tuple[str, ...], how: dict[str, Any]
) -> None:
    blobs, open_before = named_files(house), deleted_files()

    cut = upload(house, *headers, **how)

    taken = LIMIT + MULTIPART_ROOM_BYTES + LINGER_BYTES
    assert cut.sent < taken + kernel_buffers() + 1024 * 1024
    assert named_files(house) == blobs
    assert deleted_files() <= open_before


@pytest.mark.parametrize("name", ["chunked", "chunked_with_a_key", "announced"])
def test_upload__without_end__is_answered_before_the_connection_closes(
    house: House, name: str
) -> None:
    headers, how = SENDERS[name]

    cut = upload(house, *headers, **how)

    assert cut.status == b"413"
    assert b'"code":"request_too_large"' in cut.answer
    assert b"\r\nconnection: close\r\n" in cut.answer
