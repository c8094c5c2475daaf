"""A shard with a memory budget (docs/shard-memory.md): no request fails or waits, what had to go is answered for by the next node up, what is asked
for comes back, and the bytes are those of the artefacts that answer."""

import os
import pathlib
import random
import subprocess
import sys
import time
import unittest

import msgpack

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from espalier_cluster import BIN, Cluster, Wire, predict_header, wait_until  # noqa: E402

import espalier  # noqa: E402

NODES = int(os.environ.get("ESPALIER_BUDGET_NODES", "2000"))
SHARE = 0.3  # of all artefacts that fit
ROW = msgpack.packb({"rows": [{"age": 41}]})
EXACT, OVER_BUDGET = 0, 7


def ask(wire, node):
    """(body, reason), and how long it took."""
    began = time.monotonic()
    reply, bodies = wire.ask(predict_header("acme", "sales", [node], budget_us=5_000_000), ROW)
    assert reply["status"] == 0 and reply["parts"][0].get("status", 0) == 0, reply
    return (bodies[0], reply["parts"][0]["provenance"].get("reason", EXACT)), time.monotonic() - began


class Budget(unittest.TestCase):
    def test_the_least_recently_used_leaves_make_room(self):
        # Every artefact of the bench has the same size; its cluster is only there to learn that size.
        budget = int(SHARE * NODES * 704)
        with Cluster(shards=1, **{"memory-budget": budget}) as cluster:
            subprocess.run([str(BIN / "espalier-release-scale"), "--registry", cluster.registry(), "--rounds", "0", "--nodes", str(NODES)], check=True,
                           stdout=subprocess.DEVNULL)
            with espalier.Registry(cluster.registry()) as registry:
                page, cursor = [], b""
                while True:
                    reply = registry.call("versions", {"tenant": "acme", "model": "sales", "cursor": cursor})
                    page += reply["versions"]
                    cursor = reply.get("cursor", b"")
                    if not cursor:
                        break
            bytes_of = {tuple(v.get("partition", [])): v["artefact_bytes"] for v in page}
            self.assertEqual(len(bytes_of), NODES)

            def shard():
                return cluster.json("shards")["shards"][0]

            wait_until(lambda: 0 < shard()["memory_bytes"] <= budget, what="the leaves that don't fit to go")
            leaves = sorted(node for node in bytes_of if node)
            hot = random.Random(3).sample(leaves, int(SHARE * NODES * 0.5))
            slowest = 0
            with Wire(cluster.router()) as wire:

                def ask_all(nodes):
                    nonlocal slowest
                    exact = set()
                    for node in nodes:
                        (_, reason), seconds = ask(wire, node)
                        slowest = max(slowest, seconds)
                        self.assertIn(reason, (EXACT, OVER_BUDGET))
                        if reason == EXACT:
                            exact.add(node)
                    return exact

                wait_until(lambda: len(ask_all(hot)) == len(hot), seconds=60, what="all that is asked for to be in")
                # A pass over all of them does not drive out what is asked for all the time.
                ask_all(leaves)
                kept = ask_all(hot)
                self.assertGreaterEqual(len(kept), 0.8 * len(hot))
                def is_quiet():
                    """Nothing came or went for three looks."""
                    seen = shard()["evicted"]
                    until = time.monotonic() + 3
                    return wait_until(lambda: shard()["evicted"] != seen or time.monotonic() > until) and shard()["evicted"] == seen

                # What answers adds up to what the shard says. Asking is using, so what is in may change by it.
                def adds_up():
                    wait_until(is_quiet, seconds=60, what="what is in to settle")
                    before = shard()
                    exact = ask_all(leaves) | {()}
                    after = shard()
                    return before["memory_bytes"] == after["memory_bytes"] == sum(bytes_of[node] for node in exact) and after

                said = wait_until(adds_up, seconds=60, what="the sum of what answers to be what the shard says")
            self.assertLessEqual(said["memory_bytes"], budget)
            self.assertEqual(said["memory_budget"], budget)
            self.assertEqual(set(said["not_ready"]), {"over_budget"})
            print(f"{NODES} nodes, budget {budget}: {said['memory_bytes']} bytes in, {said['nodes_ready']} nodes, {said['evicted']} evicted, "
                  f"{len(kept)} of {len(hot)} hot leaves kept through a scan, slowest answer {slowest * 1000:.1f} ms", file=sys.stderr)


if __name__ == "__main__":
    unittest.main()
