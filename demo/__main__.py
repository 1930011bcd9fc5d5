"""The main job, end to end, through the public API: `make demo`, or `make demo ONCE=1`."""

from __future__ import annotations

import argparse
import os
import sys
import time

from rich.console import Console

from api.program import running_program
from api.starting import clear_errors, load_settings, say, wait_for_signal
from chain.runtime import open_client
from demo.client import DemoFailed, Office
from demo.kyc import ensure_sanctions_list
from demo.onboarding import ensure_panel, onboard
from demo.reckoning import Reckoning, reckon
from demo.seed import load_seed
from demo.tokenizing import enrol_buyers, is_sold, refuse, tokenize
from registry.kernel.settings import Settings


def play(address: str, settings: Settings, console: Console) -> Reckoning:
    """Play the whole story, going on from wherever an earlier run stopped."""
    assert settings.payment_webhook_secret is not None
    office = Office(address, settings.payment_webhook_secret.get_secret_value(), console)
    seed = load_seed()
    office.await_platform()
    ensure_panel(office)
    ensure_sanctions_list(office)
    sold = []
    for asset in seed.assets:
        record = onboard(office, seed, asset)
        if is_sold(asset):
            sold.append((asset, record))
        elif asset["expect"] != "PASS":
            refuse(office, asset, record)
    enrol_buyers(office)
    tokens = tokenize(office, seed, sold)
    rpc_url = settings.rpc_url or f"http://127.0.0.1:{settings.devnet_port}"
    return reckon(office, open_client(settings, rpc_url), tokens, console)


def main() -> int:
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="end after the story")
    wanted = parser.parse_args()
    os.environ.setdefault("LOG_LEVEL", "error")
    console = Console(width=max(Console().width, 118))
    started = time.monotonic()
    code = 1
    with clear_errors():
        settings = load_settings()
        with running_program(settings, say) as address:
            say(f"ready on {address} after {time.monotonic() - started:.1f} s")
            try:
                reckoning = play(address, settings, console)
            except DemoFailed as failure:
                console.print(f"[red]demo: {failure}[/red]")
                return 1
            console.print(f"played in {time.monotonic() - started:.1f} s", style="dim")
            print(reckoning.line, flush=True)
            code = 1 if reckoning.differences else 0
            if not wanted.once:
                say(f"serving {address} (docs at {address}/docs); Ctrl-C stops")
                wait_for_signal().wait()
    return code


if __name__ == "__main__":
    sys.exit(main())
