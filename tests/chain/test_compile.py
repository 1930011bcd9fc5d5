import json
import shutil
from pathlib import Path

import pytest

from chain.compile import (
    ARTIFACTS,
    CONTRACTS,
    LOCK,
    Compilation,
    compile_contracts,
    find_differences,
    write_artifacts,
)

pytestmark = pytest.mark.chain


@pytest.fixture(scope="module")
def compilation() -> Compilation:
    return compile_contracts()


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Return our sources in another folder, with the same packages and compiler."""
    copied = tmp_path / "somewhere else" / "contracts"
    copied.mkdir(parents=True)
    for source in CONTRACTS.glob("*.sol"):
        shutil.copy(source, copied)
    (copied / "node_modules").symlink_to(CONTRACTS / "node_modules")
    (copied / "solc").symlink_to(CONTRACTS / "solc")
    return copied


def _append(source: Path, text: str) -> None:
    source.write_text(source.read_text(encoding="utf-8") + text, encoding="utf-8")


def test_compile_contracts__committed_sources__gives_committed_artifacts(
    compilation: Compilation,
) -> None:
    assert find_differences(compilation) == []
    assert compilation.warnings == ()
