"""Bounded queues and deadlines, with a shard that is stopped: what is sent to it, what callers are told, what it does when it goes on."""

import contextlib
import os
import pathlib
import signal
import sys
import time
import unittest
from collections import Counter

import espalier
import msgpack

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from espalier_cluster import ROOT, Cluster, Wire, predict_header, wait_until  # noqa: E402

ROW = {"rows": [{"distance_km": 4.2, "hour": 8, "vehicle": "bike", "weather": "dry"}]}
LIMIT = 4096  # Limits::requests_at_endpoint


def now_us():
    return time.monotonic_ns() // 1000


class HungShard(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(shards=1).__enter__()
        self.addCleanup(self.cluster.__exit__, None, None, None)
        rides = self.cluster.folder / "rides.csv"
        self.cluster.run("sample-data", rides, "--rows", 5000)
        self.cluster.train(ROOT / "examples" / "rides.toml", rides, where="split = train")
        self.shard = self.cluster.processes("shard")[0]
        self.assertEqual(len(self.shard["endpoints"]), 1)

    @contextlib.contextmanager
    def stopped(self):
        os.kill(self.shard["pid"], signal.SIGSTOP)
        threads = pathlib.Path(f"/proc/{self.shard['pid']}/task")
        wait_until(lambda: all((thread / "stat").read_text().rpartition(")")[2].split()[0] == "T" for thread in threads.iterdir()),
                   what="all threads stand")
        try:
            yield
        finally:
            os.kill(self.shard["pid"], signal.SIGCONT)

    def value(self, wire):
        reply, bodies = wire.ask(predict_header("acme", "duration", [["germany", "berlin"]], budget_us=5_000_000), ROW)
        return msgpack.unpackb(bodies[0])["value"] if reply["status"] == 0 else None

    def answers(self, wire, sent):
        """How often each status came for the requests of these ids; each is answered once."""
        open_, statuses = set(sent), Counter()
        while open_:
            request_id, reply, *_ = wire.receive(seconds=20)
            open_.remove(request_id)
            reply = msgpack.unpackb(reply)
            statuses[espalier.Code(reply["status"])] += 1
            if reply["status"] == espalier.Code.OVERLOADED:
                self.assertGreater(reply["retry_after_us"], 0)
        return statuses

    def test_it_is_sent_no_more_than_the_limit_and_callers_hear_at_once(self):
        with Wire(self.cluster.router()) as wire:
            before = self.value(wire)
            header = msgpack.packb(predict_header("acme", "duration", [["germany", "berlin"]], budget_us=1_500_000))
            body = msgpack.packb(ROW)
            with self.stopped():
                for _ in range(3):  # what was sent the first time is still there, though its requests are over
                    statuses = self.answers(wire, [wire.send(header, body) for _ in range(6000)])
                    print(dict(statuses))
                    self.assertEqual(set(statuses) - {espalier.Code.OVERLOADED, espalier.Code.DEADLINE_EXCEEDED}, set())
                    self.assertLessEqual(statuses[espalier.Code.DEADLINE_EXCEEDED], LIMIT)
                    self.assertGreaterEqual(statuses[espalier.Code.OVERLOADED], 6000 - LIMIT)
                self.assertEqual(statuses[espalier.Code.OVERLOADED], 6000)
            since = now_us()
            self.assertEqual(wait_until(lambda: self.value(wire), what="predictions again"), before)
            print(f"predictions again {(now_us() - since) / 1000:.0f} ms after the shard went on")

    def test_it_does_not_compute_what_has_waited_for_longer_than_its_budget(self):
        def request(budget_us):
            header = predict_header("acme", "duration", [["germany", "berlin"]], budget_us=budget_us, sent_us=now_us())
            return wire.send(header, ROW)

        with Wire(self.shard["endpoints"][0]) as wire:  # as a router would
            self.assertEqual(self.answers(wire, [request(1_000_000) for _ in range(50)]), {espalier.Code.OK: 50})
            with self.stopped():
                late = [request(150_000) for _ in range(100)]
                early = [request(30_000_000) for _ in range(100)]
                with self.assertRaises(TimeoutError):
                    wire.receive(seconds=0.3)
                soon = [request(10_000_000)]
            self.assertEqual(self.answers(wire, late), {espalier.Code.DEADLINE_EXCEEDED: 100})
            self.assertEqual(self.answers(wire, early), {espalier.Code.OK: 100})
            self.assertEqual(self.answers(wire, soon), {espalier.Code.OK: 1})


if __name__ == "__main__":
    unittest.main()
