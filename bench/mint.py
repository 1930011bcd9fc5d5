"""`make bench-mint`: holders minted a second through the API's own path until final.

A sale of BENCH_HOLDERS (10,000) paid orders is closed over HTTP, and the program (`milkiyat
serve --processes`, as on a server) mints to every buyer. Beside it, on the same chain state, in
turns: a plain web3.py loop over BENCH_LOOP (300) of the same mints, which asks the node for
nonce, gas and fees or has them at hand; and the node by itself, which gets the very transactions
that the program signed, all at once. BENCH_RUNS (3); the median counts.
"""

from __future__ import annotations

import os
import statistics
import sys

from bench.figures import print_figure
from bench.mint_contenders import blast, mint_by_api, mint_by_loop
from bench.mint_stage import mint_stage

HOLDERS = int(os.environ.get("BENCH_HOLDERS", "10000"))
LOOP = int(os.environ.get("BENCH_LOOP", "300"))
RUNS = int(os.environ.get("BENCH_RUNS", "3"))


def main() -> None:
    rates: dict[str, list[float]] = {"ours": [], "asking": [], "local": [], "limit": []}
    with mint_stage(HOLDERS) as stage:
        print(f"load before: {os.getloadavg()}", file=sys.stderr)
        loop = min(LOOP, HOLDERS)
        for _ in range(RUNS):
            for name, local in (("asking", False), ("local", True)):
                rates[name].append(loop / mint_by_loop(stage, loop, local=local))
            minted = mint_by_api(stage)
            rates["ours"].append(HOLDERS / minted.seconds)
            rates["limit"].append(HOLDERS / blast(stage, minted.raws))
            told = {name: round(values[-1]) for name, values in rates.items()}
            print(f"holders/s in this turn: {told}", file=sys.stderr)
    _print(rates)
    print(f"load after: {os.getloadavg()}", file=sys.stderr)


def _print(rates: dict[str, list[float]]) -> None:
    ours = statistics.median(rates["ours"])
    named = {
        "asking": "web3py.loop, asking the node for nonce, gas and fees",
        "local": "web3py.loop, with local nonces and fixed gas",
        "limit": "node.limit: the same transactions, signed before, all at once",
    }
    for name, against in named.items():
        other = statistics.median(rates[name])
        told = f"{against}: {other:.0f}/s, median of {len(rates[name])}"
        print_figure("mint.per_s", ours, "holders/s", against=told, other=other)


if __name__ == "__main__":
    main()
