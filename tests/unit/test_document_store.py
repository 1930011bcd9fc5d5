from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.document.store import DocumentCorrupted, FolderStore

pytestmark = pytest.mark.unit

DEED = b"%PDF-1.7\nThe deed of Flat 7-B"


def files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=100))
def test_get__stored_bytes__come_back_under_their_sha256(tmp_path: Path, content: bytes) -> None:
    store = FolderStore(tmp_path / "documents")

    digest = store.put([content])

    assert digest == hashlib.sha256(content).digest()
    with store.open(digest) as blob:
        assert blob.read() == content


def test_put__same_bytes_twice__are_one_file(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)

    assert store.put([DEED]) == store.put([DEED])
    assert len(files(tmp_path)) == 1


def test_put__any_bytes__are_for_their_owner_alone(tmp_path: Path) -> None:
    FolderStore(tmp_path).put([DEED])

    [file] = files(tmp_path)
    assert file.stat().st_mode & 0o077 == 0


def test_put__before_it_returns__has_the_blob_and_its_folders_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `put` returned is committed next: after a power cut the blob must have its name."""
    synced: list[tuple[Path, list[Path]]] = []
    fsync = os.fsync

    def seen(opened: int) -> None:
        place = Path(f"/proc/self/fd/{opened}").readlink()
        synced.append((place, list(place.glob("*"))))
        fsync(opened)

    monkeypatch.setattr(os, "fsync", seen)
    store = FolderStore(tmp_path / "documents")
    for content in (DEED, DEED + b" and another"):
        del synced[:]
        digest = store.put([content])
        folder = tmp_path / "documents" / digest.hex()[:2]
        assert (folder, [folder / digest.hex()]) in synced
        assert any(place == folder.parent and folder in there for place, there in synced)
        if content == DEED:
            assert any(place == tmp_path for place, _ in synced)


@pytest.mark.parametrize("damage", [b"", DEED[:-1], DEED + b" ", DEED.replace(b"7-B", b"8-B")])
def test_get__file_altered__is_an_alarm(tmp_path: Path, damage: bytes) -> None:
    store = FolderStore(tmp_path)
    digest = store.put([DEED])
    [file] = files(tmp_path)
    file.write_bytes(damage)

    with pytest.raises(DocumentCorrupted) as alarm:
        store.open(digest)

    assert alarm.value.digest == digest
    assert digest.hex() in str(alarm.value)


def test_get__file_gone__is_an_alarm(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    digest = store.put([DEED])
    files(tmp_path)[0].unlink()

    with pytest.raises(DocumentCorrupted):
        store.open(digest)


def test_get__never_stored__is_an_alarm(tmp_path: Path) -> None:
    with pytest.raises(DocumentCorrupted):
        FolderStore(tmp_path).open(bytes(32))
