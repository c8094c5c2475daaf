"""`espalier trace`: where one prediction's time went, and what was asked; and the router's log of slow requests."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from espalier_cluster import BIN, ROOT, Cluster, Failed, Wire, wait_until  # noqa: E402

ROW = '{"distance_km": 4.2, "hour": 8, "vehicle": "bike", "weather": "dry"}'


class Trace(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(shards=2, **{"log-format": "json"})
        cls.addClassCleanup(cls.cluster.__exit__, None, None, None)
        cls.cluster.__enter__()
        cls.cluster.run("sample-data", cls.cluster.folder / "rides.csv", "--rows", "20000")
        cls.cluster.train(ROOT / "examples" / "rides.toml", cls.cluster.folder / "rides.csv")

    def trace(self, node, *words):
        return self.cluster.json("trace", node, *words)

    def slow(self):
        return [line for line in map(json.loads, (self.cluster.dir / "log" / "router.log").read_text().splitlines()) if line["message"] == "slow request"]

    def test_times_add_up_and_the_nodes_are_named(self):
        traced = self.trace("acme/duration@germany/nowhere", "--row", ROW)
        self.assertEqual(traced["on_the_way_us"] + traced["router"]["us"], traced["us"])
        (attempt,) = traced["attempts"]
        self.assertEqual((attempt["status"], attempt["answered"], attempt["stand_in"], attempt["attempt"]), ("ok", True, False, 1))
        self.assertEqual(attempt["waited_us"] + attempt["computed_us"] + attempt["on_the_way_us"], attempt["took_us"])
        self.assertEqual(attempt["took_us"] + traced["router"]["own_us"], traced["router"]["us"])
        self.assertLessEqual(traced["router"]["sent_us"], traced["router"]["us"])
        self.assertGreater(attempt["computed_us"], 0)
        self.assertEqual([(n["level"], n["answers"], n["reason"]) for n in attempt["nodes"]], [("city", False, "no_version"), ("country", True, "exact")])
        self.assertEqual((traced["provenance"]["served"], traced["provenance"]["shard"]), (["germany"], attempt["shard"]))
        self.assertEqual(attempt["nodes"][1]["version"], traced["provenance"]["version"])
        plain = self.cluster.json("predict", "acme/duration@germany/nowhere", "--row", ROW)
        self.assertEqual(traced["predictions"], plain["predictions"])
        print(f"client {traced['us']} us, router {traced['router']['us']} us, shard {attempt['computed_us']} us", file=sys.stderr)
        self.assertNotIn("trace", json.dumps(plain))

    def test_people_get_it_in_lines(self):
        said = self.cluster.run("trace", "acme/duration@germany/berlin")
        for text in ("in all, as this client saw it", "attempt 1, shard s", "waiting at the shard", "germany/berlin  answers", "reason exact"):
            self.assertIn(text, said)
        self.assertLessEqual(max(map(len, said.splitlines())), 130)

    def test_a_failure_is_traced_too(self):
        with self.assertRaises(Failed) as failed:
            self.cluster.run("trace", "acme/absent@germany", "--json")
        traced = json.loads(failed.exception.output)
        self.assertEqual({a["status"] for a in traced["attempts"]}, {"not_found"})
        self.assertIn("not_found", traced["error"])
        for words, message in [(("acme",), "acme"), (("acme/duration@germany", "--row", "{"), "no JSON"), (("acme/duration@germany", "--budget-ms", "0"), "0")]:
            with self.subTest(words), self.assertRaises(Failed) as failed:
                self.cluster.run("trace", *words)
            self.assertIn(message, failed.exception.errors + failed.exception.output)

    def test_of_a_request_of_many_parts_each_piece_is_told(self):
        parts = [{"partition": [f"nowhere{i}", f"city{i}"]} for i in range(32)]
        header = {"v": 1, "op": "predict", "tenant": "acme", "model": "duration", "trace": True, "budget_us": 5_000_000, "parts": parts}
        with Wire(self.cluster.router()) as wire:
            def both_asked():
                reply, bodies = wire.ask(header, *[{"rows": [{}]}] * len(parts))
                self.assertEqual((reply["status"], len(reply["parts"]), len(bodies)), (0, 32, 32))
                return len({a["shard"] for a in reply["trace"]["attempts"]}) == 2 and reply
            # One may have stood still a moment ago.
            attempts = wait_until(both_asked, what="a request to both")["trace"]["attempts"]
            self.assertEqual(sorted(part for a in attempts for part in a["parts"]), list(range(32)), "each part once")
            del header["trace"]
            untraced, _ = wire.ask(header, *[{"rows": [{}]}] * len(parts))
            self.assertEqual(set(untraced), {"status", "parts"})

    def test_a_slow_request_is_in_the_log_with_where_its_time_went(self):
        before = len(self.slow())
        # Who is asked first.
        first = self.trace("acme/duration@germany/berlin")["attempts"][0]["shard"]
        (victim,) = [p for p in self.cluster.processes("shard") if p["name"] == first]
        os.kill(victim["pid"], signal.SIGSTOP)
        try:
            with Wire(self.cluster.router()) as wire:
                header = {"v": 1, "op": "predict", "tenant": "acme", "model": "duration", "budget_us": 5_000_000, "trace": True, "parts": [{"partition": ["germany", "berlin"]}]}
                last, _ = wire.ask(header, {"rows": [{}]})
        finally:
            os.kill(victim["pid"], signal.SIGCONT)
        silent, answered = last["trace"]["attempts"]
        self.assertEqual((silent["shard"], silent.get("answered", False)), (victim["name"], False))
        self.assertTrue(answered["answered"])
        self.assertGreater(answered["sent_us"], 50_000, "after the shard's silence")
        lines = wait_until(lambda: self.slow()[before:], what="the slow request's line")
        prediction = last["parts"][0]["provenance"]["prediction"].hex()
        (line,) = [line for line in lines if line["prediction"].replace("-", "") == prediction]
        self.assertEqual([line[key] for key in ("tenant", "model", "node", "attempts", "shards", "status")],
                         ["acme", "duration", "germany/berlin", 2, f"{victim['name']},{answered['shard']}", "ok"])
        self.assertIsInstance(line["epoch"], int)
        self.assertGreater(line["epoch"], 0)
        self.assertGreaterEqual(line["us"], 50_000)
        self.assertEqual(line["in_router_us"], answered["sent_us"])
        self.assertEqual(line["shard_queue_us"] + line["computing_us"] + line["on_the_way_us"], line["at_shard_us"])
        self.assertIn(f"{victim['name']} at 0.0 ms: no answer", line["way"])
        print(f"slow request: {line['us']} us, {line['way']}", file=sys.stderr)


class SlowMs(unittest.TestCase):
    def test_the_limit_is_an_option(self):
        self.assertIn("--slow-ms", subprocess.run([BIN / "espalier-router", "--help"], capture_output=True, text=True, check=True).stdout)


if __name__ == "__main__":
    unittest.main()
