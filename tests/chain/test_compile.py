import hashlib
import json
import shutil
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
)

pytestmark = pytest.mark.chain

OWN = "contracts/settlement/RupeeToken.sol"
ARTIFACT = "RupeeToken.json"
PACKAGED = "node_modules/@openzeppelin/contracts/token/ERC20/extensions/ERC20Pausable.sol"


@pytest.fixture(scope="module")
def compilation() -> Compilation:
    return compile_contracts()


@pytest.fixture
def elsewhere(tmp_path: Path, compilation: Compilation) -> Path:
    """Return another folder with copies of everything that the compiler reads."""
    folder = tmp_path / "somewhere else"
    packages = [f"node_modules/{name}/package.json" for name in compilation.lock["packages"]]
    for unit in [*compilation.lock["sources"], *packages]:
        relative = unit.removeprefix("contracts/")
        (folder / relative).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CONTRACTS / relative, folder / relative)
    return folder


def _append(path: Path, text: str) -> None:
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def _sources_that_differ(left: Compilation, right: Compilation) -> list[str]:
    before, after = left.lock["sources"], right.lock["sources"]
    return [unit for unit in before | after if before.get(unit) != after.get(unit)]


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


def test_compile__other_folder__same_files(compilation: Compilation, elsewhere: Path) -> None:
    assert compile_contracts(elsewhere).files() == compilation.files()


def test_compile__changed_source__noticed(compilation: Compilation, elsewhere: Path) -> None:
    _append(elsewhere / OWN.removeprefix("contracts/"), "// one more comment\n")
    changed = compile_contracts(elsewhere)
    assert find_differences(changed) == [ARTIFACT, "lock.json"]
    assert _sources_that_differ(compilation, changed) == [OWN]


def test_compile__changed_package__noticed(compilation: Compilation, elsewhere: Path) -> None:
    _append(elsewhere / PACKAGED, "// one more comment\n")
    changed = compile_contracts(elsewhere)
    assert find_differences(changed) == [ARTIFACT, "lock.json"]
    assert _sources_that_differ(compilation, changed) == [PACKAGED]


def test_compile__added_contract__gets_artifact_of_its_own(
    compilation: Compilation, elsewhere: Path
) -> None:
    (elsewhere / "modules").mkdir()
    (elsewhere / "modules" / "Rule.sol").write_text(
        "// SPDX-License-Identifier: Apache-2.0\npragma solidity 0.8.30;\n"
        'import {ClaimIssuer} from "../ClaimIssuer.sol";\n'
        "interface IRule { function name() external pure returns (string memory); }\n"
        "contract Rule is IRule { function name() external pure returns (string memory) "
        '{ return "rule"; } }\n',
        encoding="utf-8",
    )
    added = compile_contracts(elsewhere)
    assert find_differences(added) == ["Rule.json", "lock.json"]
    assert added.artifacts["ClaimIssuer"] == compilation.artifacts["ClaimIssuer"]


def test_compile__broken_source__compiler_message(elsewhere: Path) -> None:
    _append(elsewhere / "ClaimIssuer.sol", "contract Broken {")
    with pytest.raises(SolcError, match=r"contracts/ClaimIssuer\.sol"):
        compile_contracts(elsewhere)


def test_compile__import_outside_folder__refused(elsewhere: Path) -> None:
    secret = elsewhere.parent / "Secret.sol"
    secret.write_text("contract Secret {}", encoding="utf-8")
    _append(elsewhere / "ClaimIssuer.sol", f'import "{secret}";\n')
    with pytest.raises(SolcError, match="outside the base folder"):
        compile_contracts(elsewhere)


def test_write_artifacts__folder_with_leftovers__holds_exactly_this(
    compilation: Compilation, tmp_path: Path
) -> None:
    (tmp_path / "Gone.json").write_text("{}", encoding="utf-8")
    (tmp_path / "lock.json").write_text("{}", encoding="utf-8")
    changed = compiler.write_artifacts(compilation, tmp_path)
    assert changed == sorted([*compilation.files(), "Gone.json"])
    assert {path.name for path in tmp_path.iterdir()} == set(compilation.files())
    assert compiler.write_artifacts(compilation, tmp_path) == []


def test_main__check__succeeds_on_committed_artifacts(
    compilation: Compilation, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compiler.main(["--check"]) == 0
    assert capsys.readouterr().out == f"Up to date: {', '.join(compilation.artifacts)}\n"
