"""Analyse our Solidity with Slither, and compare its findings with those that are answered.

Every finding of whatever weight has to be answered in ``docs/reference/slither.md``: a row with the
detector, the place and why it stands. A finding without a row fails, and so does a row without a
finding. Slither takes the compiler that compiles what is deployed, with the same settings, through
standard JSON; that needs the sources one folder below the project, as brownie does.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from scripts.test_contracts import CONTRACTS, ROOT, TOOLS, stage_project

SLITHER: Final = TOOLS / "slither" / "bin" / "slither"
ANSWERS: Final = ROOT / "docs" / "reference" / "slither.md"
LOCK: Final = ROOT / "chain" / "artifacts" / "lock.json"
ROW: Final = re.compile(r"^\| `([a-z0-9-]+)` \| `([^`]+)` \|", re.MULTILINE)


def standard_json(project: Path) -> dict[str, Any]:
    """Give the compiler's input: our sources, and the settings of what is deployed."""
    lock = json.loads(LOCK.read_text("utf-8"))
    own = [unit for unit in lock["sources"] if unit.startswith("contracts/")]
    selection = {"*": {"*": ["*"], "": ["ast"]}}
    return {
        "language": "Solidity",
        "sources": {unit: {"content": (project / unit).read_text("utf-8")} for unit in own},
        "settings": {**lock["settings"], "outputSelection": selection},
    }


def analyse(project: Path) -> list[dict[str, Any]]:
    """Run Slither and return its findings in our own sources."""
    (project / "input.json").write_text(json.dumps(standard_json(project)))
    answer = project / "findings.json"
    command = [str(SLITHER), "input.json", "--compile-force-framework", "Solc-json"]
    command += ["--solc", str(CONTRACTS / "solc"), "--filter-paths", "node_modules"]
    process = subprocess.run(
        [*command, "--json", answer.name], cwd=project, capture_output=True, text=True, check=False
    )
    if not answer.exists():
        raise SystemExit(f"slither did not run:\n{process.stderr[-3000:]}")
    result = json.loads(answer.read_text("utf-8"))
    if not result["success"]:
        raise SystemExit(f"slither failed: {result['error']}")
    return list(result["results"].get("detectors", []))


def place_of(finding: dict[str, Any]) -> str:
    """Name where a finding is, without line numbers: ``Contract.function``."""
    for element in finding["elements"]:
        if element["type"] in {"function", "contract", "variable", "event"}:
            parent = element.get("type_specific_fields", {}).get("parent", {})
            owner = f"{parent['name']}." if parent.get("type") == "contract" else ""
            return f"{owner}{element['name']}"
    return Path(finding["elements"][0]["source_mapping"]["filename_relative"]).name


def main() -> int:
    if not SLITHER.exists():
        print("Slither is missing. Remedy: make slither", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="slither-run-", dir=TOOLS) as folder:
        project = Path(folder) / "project"
        stage_project(project)
        findings = analyse(project)
    found: dict[tuple[str, str], str] = {}
    for finding in findings:
        found.setdefault((finding["check"], place_of(finding)), finding["description"])
    answered = set(ROW.findall(ANSWERS.read_text("utf-8")))
    for key in sorted(found.keys() - answered):
        print(f"not answered: {key[0]} in {key[1]}\n{found[key]}")
    for check, place in sorted(answered - found.keys()):
        print(f"answered but no longer found: {check} in {place}")
    print(f"slither: {len(findings)} findings in {len(found)} places, {len(answered)} answered")
    return 0 if found.keys() == answered else 1


if __name__ == "__main__":
    sys.exit(main())
