from __future__ import annotations

import json
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr

from registry.kernel.secrets import with_embedded_secrets
from registry.kernel.settings import ROOT, Settings
from registry.kernel.vault import Vault

pytestmark = pytest.mark.unit

NAMES = ("pii_key", "pii_index_key", "token_key", "payment_webhook_secret", "signer_password")
ROUNDS = 25
# A program that asks for the secrets of one folder after another, each at an agreed instant.
PROGRAM = """
import sys, time
from pathlib import Path
from registry.kernel.secrets import with_embedded_secrets
from registry.kernel.settings import Settings
folder, rounds, *names = sys.argv[1:]
print("ready", flush=True)
start = float(sys.stdin.readline())
for number in range(int(rounds)):
    settings = Settings(data_dir=Path(folder) / str(number))
    while time.time() < start + number / 100:
        pass
    settings = with_embedded_secrets(settings)
    print(*(getattr(settings, name).get_secret_value() for name in names))
"""


def secrets_of(settings: Settings) -> list[str]:
    return [getattr(settings, name).get_secret_value() for name in NAMES]


def test_with_embedded_secrets__first_start__makes_and_keeps_them(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")

    made = with_embedded_secrets(settings)

    assert len(set(secrets_of(made))) == len(NAMES)
    assert secrets_of(with_embedded_secrets(settings)) == secrets_of(made)
    assert made.pii_key is not None
    assert made.pii_index_key is not None
    Vault(made.pii_key.get_secret_value(), made.pii_index_key.get_secret_value())


def test_with_embedded_secrets__folder_without_a_look_up_key__finds_people_as_before(
    tmp_path: Path,
) -> None:
    """Until the look-up key stood apart, the last sealing key was it."""
    kept = {name: f"{name}-kept" for name in NAMES if name != "pii_index_key"}
    (tmp_path / "secrets.json").write_text(json.dumps(kept | {"pii_key": "newer,older"}))

    made = with_embedded_secrets(Settings(data_dir=tmp_path))

    assert made.pii_index_key == SecretStr("older")


def test_with_embedded_secrets__file__is_for_its_owner_alone(tmp_path: Path) -> None:
    with_embedded_secrets(Settings(data_dir=tmp_path))

    [file] = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert set(json.loads(file.read_text())) == set(NAMES)


def test_with_embedded_secrets__setting_given__is_not_replaced(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, token_key=SecretStr("mine"))

    made = with_embedded_secrets(settings)

    assert made.token_key == SecretStr("mine")
    assert made.signer_password is not None


def test_with_embedded_secrets__production__makes_nothing(tmp_path: Path) -> None:
    settings = Settings.model_construct(environment="production", data_dir=tmp_path)

    assert with_embedded_secrets(settings) is settings
    assert list(tmp_path.iterdir()) == []


def test_with_embedded_secrets__programs_start_at_once__share_one_set(tmp_path: Path) -> None:
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(tmp_path), str(ROUNDS), *NAMES],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for program in programs:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
    start = f"{time.time() + 0.05}\n"
    with ThreadPoolExecutor(len(programs)) as pool:
        seen = list(pool.map(lambda program: program.communicate(start)[0].splitlines(), programs))

    kept = [
        " ".join(secrets_of(with_embedded_secrets(Settings(data_dir=tmp_path / str(number)))))
        for number in range(ROUNDS)
    ]
    assert seen == [kept, kept]
    assert {path.name for path in tmp_path.glob("*/*")} == {"secrets.json"}
