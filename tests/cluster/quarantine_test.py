"""A version is taken out of service: its parent answers from then on, through restarts, until it is put back (docs/quarantine.md)."""

import os
import pathlib
import signal
import sys
import unittest

import msgpack

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from espalier_cluster import ROOT, Cluster, Failed, Wire, predict_header, wait_until  # noqa: E402

ROW = msgpack.packb({"rows": [{"distance_km": 4.2, "hour": 8, "vehicle": "standard", "weather": "dry"}]})
EXACT, QUARANTINED = 0, 6


class Quarantine(unittest.TestCase):
    def test_its_parent_answers_until_it_is_put_back(self):
        with Cluster(shards=2) as cluster:
            rides = cluster.folder / "rides.csv"
            cluster.run("sample-data", rides, "--rows", 6000)
            cluster.train(ROOT / "examples" / "rides.toml", rides)
            versions = cluster.json("versions", "acme/duration")
            leaf = max((v["partition"] for v in versions), key=len)
            name = "acme/duration@" + "/".join(leaf)
            with Wire(cluster.router()) as wire:

                def reasons():
                    """Of both shards, more than once."""
                    seen = {}
                    for _ in range(40):
                        reply, _ = wire.ask(predict_header("acme", "duration", [leaf], budget_us=5_000_000), ROW)
                        if reply["status"] == 10:
                            continue  # the router begins
                        assert reply["status"] == 0 and reply["parts"][0].get("status", 0) == 0, reply
                        said = reply["parts"][0]["provenance"]
                        seen[said["shard"]] = (said.get("reason", EXACT), tuple(said.get("served", [])))
                    return set(seen.values())

                self.assertEqual(reasons(), {(EXACT, tuple(leaf))})
                done = cluster.json("quarantine", name, "--reason", "a test", "--wait")
                self.assertTrue(done["quarantined"])
                above = reasons()
                self.assertEqual({reason for reason, _ in above}, {QUARANTINED})
                self.assertNotIn(tuple(leaf), {served for _, served in above})
                for role in ("shard", "registry"):
                    before = {p["name"]: p["pid"] for p in cluster.processes(role)}
                    for pid in before.values():
                        os.kill(pid, signal.SIGKILL)
                    wait_until(lambda role=role, before=before: all(p["pid"] != before[p["name"]] for p in cluster.processes(role)), what=f"{role} to be started again")
                    wait_until(lambda: reasons() == above, what="the same answers as before")
                cluster.json("quarantine", "acme/duration", "--version", done["version"], "--lift", "--wait")
                self.assertEqual(reasons(), {(EXACT, tuple(leaf))})
                # Killed right after it was acknowledged, and started with the registry away, the shards know it.
                registry = cluster.processes("registry")[0]["pid"]
                before = {p["name"]: p["pid"] for p in cluster.processes("shard")}
                cluster.json("quarantine", name, "--reason", "a test", "--wait")
                os.kill(registry, signal.SIGSTOP)
                try:
                    for pid in before.values():
                        os.kill(pid, signal.SIGKILL)
                    wait_until(lambda: all(p["pid"] != before[p["name"]] for p in cluster.processes("shard")), what="the shards to be started again")
                    wait_until(lambda: reasons() == above, what="the same answers as before")
                finally:
                    os.kill(registry, signal.SIGCONT)
            with self.assertRaises(Failed) as refused:
                cluster.run("quarantine", "acme/duration@nowhere")
            self.assertIn("names no version", refused.exception.errors)


if __name__ == "__main__":
    unittest.main()
