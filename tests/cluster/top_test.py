"""`espalier top` against a load whose rate, failures and fallbacks are known: by tenant, model, shard and version."""

import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import unittest

import msgpack

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from checked_load import train_rides  # noqa: E402
from espalier_cluster import BIN, Cluster, Wire, predict_header, wait_until  # noqa: E402

import espalier  # noqa: E402

ROW = msgpack.packb({"rows": [{"distance_km": 4.2, "hour": 8, "vehicle": "standard", "weather": "dry"}]})


class Asking:
    """Asks all the time, as often as it can; what was asked since the start by tenant."""

    def __init__(self, cluster, leaves):
        self.cluster, self.leaves = cluster, leaves
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        with Wire(self.cluster.router()) as wire:
            turn = 0
            while not self.stop.wait(0.002):
                turn += 1
                # acme is asked twice as often as other; half of other's requests name no model.
                for tenant, model in (("acme", "duration"), ("acme", "duration"), ("other", "duration" if turn % 2 else "nothing")):
                    wire.ask(predict_header(tenant, model, [self.leaves[turn % len(self.leaves)]], budget_us=5_000_000), ROW)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()


class Top(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(shards=2).__enter__()
        cls.addClassCleanup(cls.cluster.__exit__, None, None, None)
        for tenant in ("acme", "other"):
            train_rides(cls.cluster, tenant)
        with espalier.Registry(cls.cluster.registry()) as registry:
            versions = registry.call("versions", {"tenant": "acme", "model": "duration"})["versions"]
        cls.leaves = sorted(tuple(v["partition"]) for v in versions if len(v.get("partition", [])) == 2)
        cls.cluster.run("quarantine", "acme/duration@" + "/".join(cls.leaves[0]), "--wait")
        cls.asking = cls.enterClassContext(Asking(cls.cluster, cls.leaves[:4]))

    def top(self, *words, interval=1):
        said = json.loads(self.cluster.run("top", "--once", "--interval", interval, *words, "--json"))
        return said, {row["name"]: row for row in said["rows"]}

    def both(self):
        """Until both tenants have been asked for a whole interval."""
        return wait_until(lambda: (lambda rows: rows if {"acme", "other"} <= set(rows) else None)(self.top()[1]), what="both tenants")

    def test_by_tenant_rates_errors_and_fallbacks_are_those_of_the_load(self):
        rows = self.both()
        acme, other = rows["acme"], rows["other"]
        self.assertGreater(acme["rate"], 10)
        self.assertAlmostEqual(acme["rate"] / other["rate"], 2, delta=0.2)
        self.assertEqual((acme["errors"], other["fallback"]), (0, 0))
        self.assertAlmostEqual(other["errors"], 0.5, delta=0.05)
        self.assertAlmostEqual(acme["fallback"], 0.25, delta=0.05)  # one leaf of four is in quarantine
        for row in (acme, other):
            self.assertGreater(row["p50_us"], 0)
            self.assertGreaterEqual(row["p99_us"], row["p50_us"])

    def test_order_is_by_what_is_asked_for(self):
        self.both()
        for sort, first in (("rate", "acme"), ("errors", "other"), ("fallback", "acme"), ("name", "acme")):
            said, _ = self.top("--sort", sort)
            self.assertEqual(said["rows"][0]["name"], first, sort)

    def test_by_model_shard_and_version(self):
        self.both()
        _, models = self.top("--by", "model")
        self.assertLessEqual({"acme/duration", "other/duration"}, set(models))
        self.assertAlmostEqual(models["acme/duration"]["fallback"], 0.25, delta=0.05)
        _, shards = self.top("--by", "shard")
        self.assertEqual(set(shards), {"s0", "s1"})
        _, versions = self.top("--by", "version", interval=3)
        own = {name for name in versions if name.endswith(" acme/duration")}
        self.assertGreaterEqual(len(own), 3, versions)
        self.assertTrue(all(re.match(r"[0-9a-f-]{36} ", name) for name in own))

    def test_tables_fit_into_80_columns(self):
        self.both()
        for by in ("tenant", "model", "shard", "version"):
            text = self.cluster.run("top", "--once", "--interval", 0.5, "--by", by)
            lines = text.splitlines()
            self.assertTrue(lines[0].endswith(by), text)
            self.assertGreater(len(lines), 1)
            self.assertLessEqual(max(map(len, lines)), 80, text)

    def test_it_goes_on_until_it_is_ended_and_each_table_is_a_line_of_json(self):
        process = subprocess.Popen([str(BIN / "espalier"), "top", "--interval", "0.2", "--json"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
                                   env={**os.environ, "ESPALIER_CLUSTER": str(self.cluster.dir)})
        try:
            tables = [json.loads(process.stdout.readline()) for _ in range(3)]
        finally:
            process.terminate()
            self.assertEqual(process.wait(10), 0)
            process.stdout.close()
        self.assertEqual([table["by"] for table in tables], ["tenant"] * 3)

    def test_words_that_it_does_not_know_are_refused(self):
        done = subprocess.run([str(BIN / "espalier"), "top", "--by", "nonsense"], capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("nonsense", done.stderr + done.stdout)


if __name__ == "__main__":
    unittest.main()
