"""Generate the API's clients for TypeScript, Swift and Kotlin from the committed description.

Each is made by OpenAPI Generator with the settings of ``clients/LANGUAGE.yaml`` into
``clients/build/LANGUAGE``. A warning of the generator is a failure: what it does not understand of
the description, the client would do wrong.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
CLIENTS: Final = ROOT / "clients"
BUILD: Final = CLIENTS / "build"
GENERATOR: Final = ROOT / ".tools" / "clients" / "bin" / "openapi-generator-cli"
DESCRIPTION: Final = ROOT / "docs" / "reference" / "openapi.json"
LANGUAGES: Final = tuple(sorted(path.stem for path in CLIENTS.glob("*.yaml")))
GENERATE_SECONDS = 600.0
FAULTS: Final = (" WARN ", " ERROR ", "Exception")


class ClientsError(Exception):
    """The generator failed, or is not sure of something."""


def generate(language: str, description: Path = DESCRIPTION) -> Path:
    """Generate one client anew and return its folder.

    Raises
    ------
    ClientsError
        With the generator's own words.
    """
    if not GENERATOR.exists():
        raise ClientsError("The generator is not installed. Remedy: make clients")
    target = BUILD / language
    shutil.rmtree(target, ignore_errors=True)
    command = [
        str(GENERATOR), "generate",
        "--input-spec", str(description),
        "--config", str(CLIENTS / f"{language}.yaml"),
        "--output", str(target),
    ]  # fmt: skip
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=GENERATE_SECONDS, check=False, cwd=ROOT
    )
    said = (ran.stdout + ran.stderr).splitlines()
    faults = [line for line in said if any(fault in line for fault in FAULTS)]
    if ran.returncode or faults:
        told = "\n".join(faults or said[-15:])
        raise ClientsError(f"The {language} client is not generated cleanly:\n{told}")
    return target


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("languages", nargs="*", metavar="LANGUAGE", help=", ".join(LANGUAGES))
    wanted = parser.parse_args().languages or LANGUAGES
    if unknown := set(wanted) - set(LANGUAGES):
        print(f"clients: no settings for {', '.join(sorted(unknown))}; see clients/*.yaml")
        return 2
    try:
        for language in wanted:
            print(f"clients: {generate(language).relative_to(ROOT)}", flush=True)
    except ClientsError as fault:
        print(f"clients: {fault}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
