"""`espalier shards`, and the alert where other nodes answer than should (docs/fallback.md)."""

import os
import pathlib
import signal
import sys
import unittest

import msgpack

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from espalier_cluster import ROOT, Cluster, Wire, predict_header, wait_until  # noqa: E402

import espalier  # noqa: E402

ROW = msgpack.packb({"rows": [{"distance_km": 4.2, "hour": 8, "vehicle": "standard", "weather": "dry"}]})
EXACT, CORRUPT = 0, 5


class Shards(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(shards=1, verify="always", **{"scrub-interval": 0}).__enter__()
        self.addCleanup(self.cluster.__exit__, None, None, None)
        rides = self.cluster.folder / "rides.csv"
        self.cluster.run("sample-data", rides, "--rows", 4000)
        self.cluster.train(ROOT / "examples" / "rides.toml", rides)
        with espalier.Registry(self.cluster.registry()) as registry:
            versions = registry.call("versions", {"tenant": "acme", "model": "duration"})["versions"]
        self.artefacts = {tuple(version.get("partition", [])): version["artefact"] for version in versions}
        self.leaf = max(self.artefacts, key=len)

    def shard(self):
        return self.cluster.json("shards")["shards"][0]

    def log(self):
        return (self.cluster.dir / "log" / "s0.log").read_text()

    def reason(self, wire):
        reply, _ = wire.ask(predict_header("acme", "duration", [self.leaf], budget_us=5_000_000), ROW)
        assert reply["status"] == 0 and reply["parts"][0].get("status", 0) == 0, reply
        return reply["parts"][0]["provenance"].get("reason", EXACT)

    def damage_leaf(self):
        for path in (self.cluster.dir / "shards" / "s0" / "pack").glob("*.pack"):
            at = path.read_bytes().find(self.artefacts[self.leaf])
            if at < 0:
                continue
            with path.open("r+b") as file:
                file.seek(at + 48 + 100)  # the hash is at 16 of a header of 64 bytes
                byte = file.read(1)[0]
                file.seek(at + 48 + 100)
                file.write(bytes([byte ^ 1]))
            return
        self.fail("the artefact is in no file")

    def test_an_alert_is_raised_shown_and_ended(self):
        before = self.shard()
        self.assertEqual((before["name"], before["state"], before["answers"], before["alerts"]), ("s0", "serving", True, []))
        self.assertEqual((before["nodes_wanted"], before["nodes_ready"]), (len(self.artefacts), len(self.artefacts)))
        self.assertGreater(before["disk_bytes"], 0)
        registry = self.cluster.processes("registry")[0]["pid"]
        with Wire(self.cluster.router()) as wire:
            self.assertEqual(self.reason(wire), EXACT)
            os.kill(registry, signal.SIGSTOP)  # so that it can't be fetched anew
            try:
                self.damage_leaf()
                self.assertEqual({self.reason(wire) for _ in range(30)}, {CORRUPT})
                wait_until(lambda: "alert: other nodes or versions answer than should tenant=acme model=duration reason=corrupt" in self.log(), what="the alert")
            finally:
                os.kill(registry, signal.SIGCONT)
            shown = self.shard()
            self.assertEqual([(a["tenant"], a["model"], a["reason"]) for a in shown["alerts"]], [("acme", "duration", "corrupt")])
            self.assertGreaterEqual(shown["alerts"][0]["unexpected"], 11)
            self.assertEqual(shown["damaged"], 1)
            self.assertGreaterEqual(shown["answered"]["corrupt"], 30)
            self.assertIn("alert: s0: acme/duration", self.cluster.run("shards"))
            wait_until(lambda: self.reason(wire) == EXACT, what="the leaf's own answer")
        wait_until(lambda: "alert is over tenant=acme model=duration" in self.log(), what="the alert's end")
        self.assertEqual(self.log().count("alert: other nodes"), 1, "it is said once")
        after = self.shard()
        self.assertEqual(after["alerts"], [])
        self.assertEqual(after["nodes_ready"], len(self.artefacts))

    def test_a_shard_that_does_not_answer_is_said_so(self):
        victim = self.cluster.processes("shard")[0]["pid"]
        os.kill(victim, signal.SIGSTOP)
        try:
            shard = self.shard()
            self.assertFalse(shard["answers"])
            self.assertIn("shard s0", shard["why"])
            self.assertIn("no answer", self.cluster.run("shards"))
        finally:
            os.kill(victim, signal.SIGCONT)


if __name__ == "__main__":
    unittest.main()
