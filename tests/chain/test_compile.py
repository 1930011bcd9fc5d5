import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from solcx.exceptions import SolcError

from chain.contracts import compile as compiler
from chain.contracts.compile import (
    ARTIFACTS,
    CONTRACTS,
    Compilation,
    compile_contracts,
    find_differences,
    write_artifacts,
)

pytestmark = pytest.mark.chain

FEW = ("Operated.sol", "RegistryAnchor.sol", "settlement/RupeeToken.sol")
"""Sources that compile by themselves; all of ours take twenty seconds."""

RUPEE = "settlement/RupeeToken.sol"
PACKAGED = "node_modules/@openzeppelin/contracts/token/ERC20/extensions/ERC20Pausable.sol"


@pytest.fixture(scope="module")
def compilation() -> Compilation:
    return compile_contracts()


@pytest.fixture
def elsewhere(tmp_path: Path, compilation: Compilation) -> Path:
    """Return another folder with copies of a few sources and of all packages."""
    folder = tmp_path / "somewhere else"
    packages = [f"node_modules/{name}/package.json" for name in compilation.lock["packages"]]
    packaged = [unit for unit in compilation.lock["sources"] if unit.startswith("node_modules/")]
    for relative in [*FEW, *packages, *packaged]:
        (folder / relative).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CONTRACTS / relative, folder / relative)
    return folder


@pytest.fixture(scope="module")
def few(compilation: Compilation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the artifacts of those few, as written."""
    folder = tmp_path_factory.mktemp("few")
    names = ("RegistryAnchor", "RupeeToken")
    artifacts = {name: compilation.artifacts[name] for name in names}
    write_artifacts(replace(compilation, artifacts=artifacts), folder)
    return folder


def _append(path: Path, text: str) -> None:
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def _sources_that_differ(left: Compilation, right: Compilation) -> list[str]:
    """List the sources of `right` that `left` has otherwise."""
    before, after = left.lock["sources"], right.lock["sources"]
    return [unit for unit in after if before.get(unit) != after[unit]]


def test_compile__committed_sources__give_committed_artifacts(compilation: Compilation) -> None:
    assert find_differences(compilation) == []
    assert compilation.warnings == ()


def test_compile__artifact__has_interface_and_code_of_lock(compilation: Compilation) -> None:
    artifact = json.loads((ARTIFACTS / "ClaimIssuer.json").read_text(encoding="utf-8"))
    assert "isClaimValid" in {entry.get("name") for entry in artifact["abi"]}
    pinned = compilation.lock["contracts"]["ClaimIssuer"]
    for field in ("bytecode", "deployedBytecode"):
        code = bytes.fromhex(artifact[field].removeprefix("0x"))
        assert hashlib.sha256(code).hexdigest() == pinned[f"{field}Sha256"]


def test_compile__few_in_another_folder__same_artifacts(few: Path, elsewhere: Path) -> None:
    assert find_differences(compile_contracts(elsewhere), few) == ["lock.json"]


def test_compile__changed_source__noticed(
    compilation: Compilation, few: Path, elsewhere: Path
) -> None:
    _append(elsewhere / RUPEE, "// one more comment\n")
    changed = compile_contracts(elsewhere)
    assert find_differences(changed, few) == ["RupeeToken.json", "lock.json"]
    assert _sources_that_differ(compilation, changed) == [f"contracts/{RUPEE}"]


def test_compile__changed_package__noticed(
    compilation: Compilation, few: Path, elsewhere: Path
) -> None:
    _append(elsewhere / PACKAGED, "// one more comment\n")
    changed = compile_contracts(elsewhere)
    assert find_differences(changed, few) == ["RupeeToken.json", "lock.json"]
    assert _sources_that_differ(compilation, changed) == [PACKAGED]


def test_compile__added_contract__gets_artifact_of_its_own(few: Path, elsewhere: Path) -> None:
    (elsewhere / "modules").mkdir()
    (elsewhere / "modules" / "Rule.sol").write_text(
        "// SPDX-License-Identifier: Apache-2.0\npragma solidity 0.8.30;\n"
        'import {Operated} from "../Operated.sol";\n'
        "interface IRule { function name() external pure returns (string memory); }\n"
        "contract Rule is IRule { function name() external pure returns (string memory) "
        '{ return "rule"; } }\n',
        encoding="utf-8",
    )
    assert find_differences(compile_contracts(elsewhere), few) == ["Rule.json", "lock.json"]


def test_compile__broken_source__compiler_message(elsewhere: Path) -> None:
    _append(elsewhere / "RegistryAnchor.sol", "contract Broken {")
    with pytest.raises(SolcError, match=r"contracts/RegistryAnchor\.sol"):
        compile_contracts(elsewhere)


def test_compile__import_outside_folder__refused(elsewhere: Path) -> None:
    secret = elsewhere.parent / "Secret.sol"
    secret.write_text("contract Secret {}", encoding="utf-8")
    _append(elsewhere / "RegistryAnchor.sol", f'import "{secret}";\n')
    with pytest.raises(SolcError, match="outside the base folder"):
        compile_contracts(elsewhere)


def test_write_artifacts__folder_with_leftovers__holds_exactly_this(
    compilation: Compilation, tmp_path: Path
) -> None:
    (tmp_path / "Gone.json").write_text("{}", encoding="utf-8")
    (tmp_path / "lock.json").write_text("{}", encoding="utf-8")
    changed = write_artifacts(compilation, tmp_path)
    assert changed == sorted([*compilation.files(), "Gone.json"])
    assert {path.name for path in tmp_path.iterdir()} == set(compilation.files())
    assert write_artifacts(compilation, tmp_path) == []


def test_main__check__succeeds_on_committed_artifacts(
    compilation: Compilation,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(compiler, "compile_contracts", lambda: compilation)
    assert compiler.main(["--check"]) == 0
    assert capsys.readouterr().out == f"Up to date: {', '.join(compilation.artifacts)}\n"
