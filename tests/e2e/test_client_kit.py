"""The generated clients: no generator is unsure of the description, and the TypeScript one buys."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from demo.client import Office
from demo.kyc import pass_kyc
from demo.onboarding import ensure_panel, ensure_party, onboard
from demo.people import COMPLIANCE, issuer_for
from demo.seed import load_seed
from demo.tokenizing import (
    await_identity,
    begin,
    close_sale,
    enrol,
    offering_of,
    open_sale,
)
from registry.kernel.secrets import with_embedded_secrets
from registry.kernel.settings import ROOT, Settings
from scripts.clients import CLIENTS, LANGUAGES, ClientsError, generate
from tests.e2e.program import environment, kill_group, kill_servers, start, wait_until_ready

pytestmark = pytest.mark.e2e

NODE = ROOT / ".tools" / "bin" / "node"
EXAMPLE = CLIENTS / "example"
BUILD_SECONDS = 300
ASSET = "LHR-APT-0001"
UNITS = "25"


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "data"
    yield folder
    kill_servers(folder)


@pytest.fixture(scope="module")
def built() -> None:
    """Generate the TypeScript client, and build the example with it."""
    generate("typescript")
    tsc = EXAMPLE / "node_modules/typescript/bin/tsc"
    subprocess.run([NODE, tsc, "-p", EXAMPLE], check=True, timeout=BUILD_SECONDS)


@pytest.mark.parametrize("language", [each for each in LANGUAGES if each != "typescript"])
def test_client__generated_from_the_description__without_a_warning(language: str) -> None:
    folder = generate(language)

    sources = [path for path in folder.rglob("*") if path.suffix in {".swift", ".kt"}]
    assert {"OrderRead", "MoneyAmount"} <= {path.stem for path in sources}


def test_client__of_a_description_that_is_not_clear__is_refused(tmp_path: Path) -> None:
    unclear = tmp_path / "openapi.json"
    unclear.write_text(json.dumps({"openapi": "3.0.3", "info": {"title": "t"}, "paths": []}))

    with pytest.raises(ClientsError, match="not generated cleanly"):
        generate("typescript", unclear)


class Story:
    """The sale that the phone buys in, and everybody who does their part in it.

    Parameters
    ----------
    office
        The API, as staff see it.
    """

    def __init__(self, office: Office) -> None:
        self._office = office
        seed = load_seed()
        self._asset = next(asset for asset in seed.assets if asset["code"] == ASSET)
        office.await_platform()
        ensure_panel(office)
        record = onboard(office, seed, self._asset)
        company = self._asset["wrapper"]["party"]
        enrolment = {"party_id": ensure_party(office, seed, company)}
        enrol(office, issuer_for(company), enrolment, company)
        await_identity(office, issuer_for(company), company)
        self._token = open_sale(office, self._asset, begin(office, self._asset, record))
        self.offering = offering_of(office, self._token)

    def go_on(self, said: Mapping[str, Any]) -> None:
        """Do what has to follow after a step of the buyer's."""
        if said["step"] == "wallet_proven":
            pass_kyc(self._office, COMPLIANCE, said["investor_id"], "the buyer")
        elif said["step"] == "ordered":
            self._office.notify_payment(said["order"])
            close_sale(self._office, self._asset, self._token)


@pytest.mark.usefixtures("built")
def test_purchase__with_the_typescript_client__from_sign_in_to_the_portfolio(
    data_dir: Path, tmp_path: Path
) -> None:
    env, log = environment(data_dir), tmp_path / "log"
    program = start(["api.cli", "serve"], env, log)
    try:
        address = f"http://127.0.0.1:{env['PORT']}"
        wait_until_ready(address, log)
        secret = with_embedded_secrets(Settings(data_dir=data_dir)).payment_webhook_secret
        assert secret is not None
        office = Office(address, secret.get_secret_value(), Console(file=io.StringIO()))
        with contextlib.closing(office):
            steps = buy(address, Story(office), tmp_path / "buyer")
    finally:
        kill_group(program)

    assert [said["step"] for said in steps] == ["wallet_proven", "ordered", "settled"]
    (holding,) = steps[-1]["portfolio"]["holdings"]
    assert holding["balanceUnits"] == UNITS
    assert [row["wallet"] for row in holding["wallets"]] == [steps[-1]["wallet"]]


def buy(address: str, story: Story, faults: Path) -> list[dict[str, Any]]:
    """Run the example, and let the others do their part after each of its steps."""
    command = [str(NODE), str(EXAMPLE / "build/example/purchase.js"), address, "KIT-BUYER"]
    steps = []
    with (
        faults.open("w") as sink,
        subprocess.Popen(
            [*command, story.offering["id"], UNITS], stdout=subprocess.PIPE, stderr=sink, text=True
        ) as phone,
    ):
        assert phone.stdout is not None
        for line in phone.stdout:
            steps.append(json.loads(line))
            story.go_on(steps[-1])
    assert phone.returncode == 0, faults.read_text()[-2000:]
    return steps
