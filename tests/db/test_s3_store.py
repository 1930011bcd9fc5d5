"""The S3 store against a real server of the protocol, on loopback."""

from __future__ import annotations

import hashlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from pydantic import SecretStr

from api.s3_store import open_store
from registry.document.store import DocumentCorrupted, StoreUnreachable
from registry.kernel.settings import Settings

pytestmark = pytest.mark.db

BLOB = b"sealed" * 100_000


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not _listens(port):
            assert program.poll() is None, "the server ended by itself"
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        program.kill()
        program.wait()


def _listens(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


def settings_of(server: str, folder: Path, store: str) -> Settings:
    return Settings(
        data_dir=folder,
        document_store=store,
        s3_endpoint_url=server,
        s3_access_key_id="a",
        s3_secret_access_key=SecretStr("b"),
    )


@pytest.fixture
def client(server: str) -> Any:
    client = boto3.client(
        "s3",
        endpoint_url=server,
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
    )
    client.create_bucket(Bucket="papers")
    return client


def test_store__blob__comes_back_under_its_hash(server: str, client: Any, tmp_path: Path) -> None:
    store = open_store(settings_of(server, tmp_path, "s3://papers/deeds"))

    digest = store.put([BLOB[:10], BLOB[10:]])

    assert digest == hashlib.sha256(BLOB).digest() == store.put([BLOB])
    with store.open(digest) as blob:
        assert blob.read() == BLOB
    store.remove(digest)
    with pytest.raises(DocumentCorrupted):
        store.open(digest)


def test_store__object_altered__is_an_alarm(server: str, client: Any, tmp_path: Path) -> None:
    store = open_store(settings_of(server, tmp_path, "s3://papers"))
    digest = store.put([BLOB])
    client.put_object(Bucket="papers", Key=digest.hex(), Body=b"other")

    with pytest.raises(DocumentCorrupted):
        store.open(digest)


def test_open_store__no_such_bucket__names_the_setting(server: str, tmp_path: Path) -> None:
    with pytest.raises(StoreUnreachable, match="DOCUMENT_STORE"):
        open_store(settings_of(server, tmp_path, "s3://nowhere"))


def test_store__object_that_lies_there__is_never_written_again(
    server: str, client: Any, tmp_path: Path
) -> None:
    store = open_store(settings_of(server, tmp_path, "s3://papers/once"))
    digest = hashlib.sha256(BLOB).digest()
    key = f"once/{digest.hex()}"
    client.put_object(Bucket="papers", Key=key, Body=b"other")

    assert store.put([BLOB]) == digest

    assert client.get_object(Bucket="papers", Key=key)["Body"].read() == b"other"


def test_open_store__bucket_tried__holds_nothing_after_it(
    server: str, client: Any, tmp_path: Path
) -> None:
    open_store(settings_of(server, tmp_path, "s3://papers/tried"))

    assert client.list_objects_v2(Bucket="papers", Prefix="tried")["KeyCount"] == 0


def test_open_store__nobody_listens__names_the_setting(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(StoreUnreachable, match="DOCUMENT_STORE"):
            open_store(settings_of(address, tmp_path, "s3://papers"))
