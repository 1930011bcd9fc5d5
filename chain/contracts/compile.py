"""Compile our Solidity and pin what came out.

``python -m chain.contracts.compile`` writes ``chain/artifacts/<Contract>.json``, from which
contracts are deployed, and ``chain/artifacts/lock.json``, which says what their bytecode was made
from. Both are committed: the program then needs no compiler, and a review sees when deployed code
would change.
With ``--check`` nothing is written, and the exit code tells whether the committed files are what
the sources give.

The compiler is handed names relative to the contracts folder only. The metadata hash at the end of
the bytecode covers those names, so an absolute path would give every machine another bytecode.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import solcx
from solcx.exceptions import SolcError

ROOT: Final = Path(__file__).resolve().parents[2]
CONTRACTS: Final = ROOT / "contracts"
SOLC: Final = CONTRACTS / "solc"
ARTIFACTS: Final = ROOT / "chain" / "artifacts"
LOCK: Final = "lock.json"

OWN_PREFIX: Final = "contracts"
PACKAGES: Final = "node_modules"
NOT_OURS: Final = frozenset({PACKAGES, "tests", "build"})

# contracts/brownie-config.yaml holds the same settings; a contract test compares the bytecodes.
SETTINGS: Final[Mapping[str, Any]] = {
    # The newest EVM that both the development node and the in-process one (py-evm) run.
    "evmVersion": "cancun",
    "optimizer": {"enabled": True, "runs": 200},
    "remappings": ["@openzeppelin/=node_modules/@openzeppelin/"],
}
OUTPUTS: Final = ["abi", "metadata", "evm.bytecode.object", "evm.deployedBytecode.object"]


@dataclass(frozen=True, slots=True)
class Compilation:
    """What one run of the compiler gave.

    Attributes
    ----------
    artifacts : Mapping[str, Mapping[str, Any]]
        ABI and bytecodes of every contract that can be deployed, by contract name.
    lock : Mapping[str, Any]
        Compiler, settings, and SHA-256 of everything that went in and came out.
    warnings : tuple[str, ...]
        The compiler's warnings, formatted by it.
    """

    artifacts: Mapping[str, Mapping[str, Any]]
    lock: Mapping[str, Any]
    warnings: tuple[str, ...] = ()

    def files(self) -> dict[str, str]:
        """Return the text of each file of the artifacts folder, by file name."""
        contents = {f"{name}.json": artifact for name, artifact in self.artifacts.items()}
        return {
            name: json.dumps(content, indent=2, sort_keys=True) + "\n"
            for name, content in (contents | {LOCK: self.lock}).items()
        }


def compile_contracts(contracts: Path = CONTRACTS) -> Compilation:
    """Compile every Solidity source of our own.

    Parameters
    ----------
    contracts : Path
        Folder that holds the sources and ``node_modules``.

    Returns
    -------
    Compilation
        The same for the same sources and packages, on every machine and in every folder.

    Raises
    ------
    SolcError
        If a source does not compile.
    """
    own = {_own_unit(contracts, path): path for path in _own_sources(contracts)}
    output = solcx.compile_standard(
        {
            "language": "Solidity",
            "sources": {unit: {"content": _text(path)} for unit, path in own.items()},
            "settings": {**SETTINGS, "outputSelection": {"*": {"*": OUTPUTS}}},
        },
        base_path=contracts,
        solc_binary=SOLC,
    )
    deployable = _deployable(output["contracts"], own)
    packaged = sorted(unit for unit in output["sources"] if unit not in own)
    inputs = own | {unit: contracts / unit for unit in packaged}
    return Compilation(
        artifacts={name: _artifact(name, contract) for name, (_, contract) in deployable.items()},
        lock={
            "compiler": _compiler_version(contract for _, contract in deployable.values()),
            "settings": SETTINGS,
            "packages": dict(_package_version(contracts, unit) for unit in packaged),
            "sources": {unit: _sha256(path.read_bytes()) for unit, path in inputs.items()},
            "contracts": {
                name: {
                    "source": unit,
                    "bytecodeSha256": _code_sha256(contract["evm"]["bytecode"]),
                    "deployedBytecodeSha256": _code_sha256(contract["evm"]["deployedBytecode"]),
                }
                for name, (unit, contract) in deployable.items()
            },
        },
        warnings=tuple(
            message["formattedMessage"].rstrip() for message in output.get("errors", ())
        ),
    )


def find_differences(compilation: Compilation, artifacts: Path = ARTIFACTS) -> list[str]:
    """Return the names of the files in `artifacts` that are missing, different or left over."""
    wanted = compilation.files()
    present = {path.name: _text(path) for path in artifacts.glob("*.json")}
    names = wanted.keys() | present.keys()
    return sorted(name for name in names if wanted.get(name) != present.get(name))


def write_artifacts(compilation: Compilation, artifacts: Path = ARTIFACTS) -> list[str]:
    """Make `artifacts` hold exactly this compilation, and return the names of changed files."""
    artifacts.mkdir(parents=True, exist_ok=True)
    wanted = compilation.files()
    changed = find_differences(compilation, artifacts)
    for name in changed:
        if name in wanted:
            (artifacts / name).write_text(wanted[name], encoding="utf-8", newline="\n")
        else:
            (artifacts / name).unlink()
    return changed


def _own_sources(contracts: Path) -> list[Path]:
    return sorted(
        path
        for path in contracts.rglob("*.sol")
        if NOT_OURS.isdisjoint(path.relative_to(contracts).parts)
    )


def _own_unit(contracts: Path, path: Path) -> str:
    return (PurePosixPath(OWN_PREFIX) / path.relative_to(contracts).as_posix()).as_posix()


def _deployable(
    output: Mapping[str, Mapping[str, Any]], own: Iterable[str]
) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """Return unit and output of each contract of ours that has code, so no interfaces."""
    found: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for unit in sorted(own):
        for name, contract in sorted(output.get(unit, {}).items()):
            if contract["evm"]["bytecode"]["object"]:
                assert name not in found, f"{name} is defined in {found[name][0]} and in {unit}"
                found[name] = (unit, contract)
    return found


def _artifact(name: str, contract: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "contractName": name,
        "abi": contract["abi"],
        "bytecode": f"0x{contract['evm']['bytecode']['object']}",
        "deployedBytecode": f"0x{contract['evm']['deployedBytecode']['object']}",
    }


def _compiler_version(contracts: Iterable[Mapping[str, Any]]) -> str:
    versions = {json.loads(contract["metadata"])["compiler"]["version"] for contract in contracts}
    assert len(versions) == 1, f"one compiler compiles everything, not {sorted(versions)}"
    return str(versions.pop())


def _package_version(contracts: Path, unit: str) -> tuple[str, str]:
    """Return name and version of the npm package that the source unit belongs to."""
    folder, *parts = PurePosixPath(unit).parts
    assert folder == PACKAGES, f"{unit} is neither ours nor from an npm package"
    name = "/".join(parts[:2] if parts[0].startswith("@") else parts[:1])
    package = json.loads(_text(contracts / PACKAGES / name / "package.json"))
    return name, str(package["version"])


def _code_sha256(bytecode: Mapping[str, str]) -> str:
    return _sha256(bytes.fromhex(bytecode["object"]))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Compile, then write or compare; the exit code is 1 if ``--check`` finds a difference."""
    parser = argparse.ArgumentParser(
        prog="python -m chain.contracts.compile", description="Compile Solidity"
    )
    parser.add_argument("--check", action="store_true", help="compare without writing")
    check_only = parser.parse_args(arguments).check
    try:
        compilation = compile_contracts()
    except SolcError as error:
        sys.stderr.write(f"{error.message}\n")
        return 1
    except (OSError, subprocess.CalledProcessError) as error:
        sys.stderr.write(f"The compiler did not run ({error}): `make setup` installs it.\n")
        return 1
    for warning in compilation.warnings:
        sys.stderr.write(f"{warning}\n")
    names = ", ".join(compilation.artifacts)
    if not check_only:
        changed = write_artifacts(compilation)
        sys.stdout.write(f"Compiled {names}; changed: {', '.join(changed) or 'nothing'}\n")
        return 0
    differing = find_differences(compilation)
    if differing:
        sys.stderr.write(f"Not what the sources give: {', '.join(differing)} (`make compile`)\n")
        return 1
    sys.stdout.write(f"Up to date: {names}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
