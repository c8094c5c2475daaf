"""A leaf that is asked for far more than the others is held by more shards, and by fewer again once it isn't; no answer is cold."""

import pathlib
import sys
import time
import unittest
from collections import Counter

import msgpack

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from espalier_cluster import ROOT, Cluster, Wire, predict_header, wait_until  # noqa: E402

ROW = {"rows": [{"distance_km": 4.2, "hour": 8, "vehicle": "bike", "weather": "dry"}]}
WINDOW = 64  # requests under way
LEAF = ["germany", "berlin"]


class HotNodes(unittest.TestCase):
    def test_a_leaf_gets_and_gives_back_a_replica(self):
        with Cluster(shards=3, **{"lease-ms": 1000}) as cluster:
            rides = cluster.folder / "rides.csv"
            cluster.run("sample-data", rides, "--rows", 5000)
            cluster.train(ROOT / "examples" / "rides.toml", rides, where="split = train")
            with Wire(cluster.registry()) as registry:
                def entries():
                    nodes = registry.ask({"v": 1, "op": "view"})[0]["view"].get("hot_nodes", [])
                    return [(node["partition"], node.get("replicas", 0)) for node in nodes]

                held = lambda: cluster.json("explain", "acme/duration@" + "/".join(LEAF))["placement"]
                self.assertEqual((held()["replicas"], held()["hot"], entries()), (2, False, []))
                shards, wrong, asked = Counter(), [], 0
                began = time.monotonic()
                with Wire(cluster.router()) as wire:
                    header = msgpack.packb(predict_header("acme", "duration", [LEAF], budget_us=5_000_000))
                    body = msgpack.packb(ROW)
                    for _ in range(WINDOW):
                        wire.send(header, body)
                    hot_after = None
                    while time.monotonic() < began + 20 and (hot_after is None or len(shards) < 3):
                        _, reply, *_ = wire.receive()
                        wire.send(header, body)
                        part = msgpack.unpackb(reply).get("parts", [{"status": -1}])[0]
                        asked += 1
                        if part.get("status", 0) or part["provenance"].get("reason", 0):
                            wrong.append(part)
                        shards[part.get("provenance", {}).get("shard")] += 1
                        if hot_after is None and asked % 500 == 0 and entries() == [(LEAF, 3)]:
                            hot_after = time.monotonic() - began
                    rate = asked / (time.monotonic() - began)
                    print(f"hot after {hot_after:.1f} s at {rate:.0f} requests/s, by shard {dict(shards)}")
                    self.assertEqual((held()["replicas"], held()["hot"]), (3, True))
                    for _ in range(WINDOW):
                        wire.receive()
                self.assertEqual(wrong[:3], [])
                self.assertEqual(len(shards), 3)
                since = time.monotonic()
                wait_until(lambda: entries() == [], seconds=20, what="the replica is given back")
                print(f"given back after {time.monotonic() - since:.1f} s")
                self.assertEqual(held()["replicas"], 2)


if __name__ == "__main__":
    unittest.main()
