"""A shard that starts with very many nodes (docs/shard-memory.md): it answers from ancestors while leaves still arrive, each leaf answers exactly
once it is in and goes on doing so, and the other shard answers as before. Both from a full disk and from an empty one.

ESPALIER_START_NODES: how many nodes (20,000; the design speaks of 100,000). Prints the times."""

import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import unittest

import msgpack

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from espalier_cluster import BIN, Cluster, Wire, predict_header, wait_until  # noqa: E402

NODES = int(os.environ.get("ESPALIER_START_NODES", "20000"))
READY_SECONDS = 5  # until it answers
ALL_SECONDS = 60  # until all leaves do
ROW = msgpack.packb({"rows": [{"age": 41}]})
OK, UNAVAILABLE = 0, 10
EXACT, COLD = 0, 4


def partition_of(node):
    """As espalier-release-scale lays its nodes out."""
    return [f"country-{node // 2500}", f"state-{node // 50 % 50}", f"town-{node % 50}"] if node else []


class Start(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(shards=2).__enter__()
        cls.addClassCleanup(cls.cluster.__exit__, None, None, None)
        subprocess.run([str(BIN / "espalier-release-scale"), "--registry", cls.cluster.registry(), "--rounds", "0", "--nodes", str(NODES)], check=True,
                       stdout=subprocess.DEVNULL)
        chance = random.Random(7)
        cls.leaves = [tuple(partition_of(node)) for node in chance.sample(range(1, NODES), 200)]
        with Wire(cls.endpoint("s0")) as wire:
            cls.expected = {node: cls.ask(wire, node)[1:3] for node in [(), *cls.leaves]}

    @classmethod
    def process(cls, name):
        return next(p for p in cls.cluster.processes("shard") if p["name"] == name)

    @classmethod
    def endpoint(cls, name):
        return cls.process(name)["endpoints"][0]

    @staticmethod
    def ask(wire, node, seconds=5, **more):
        """(status, body, version, reason)."""
        reply, bodies = wire.ask(predict_header("acme", "sales", [node], budget_us=5_000_000, **more), ROW, seconds=seconds)
        if reply["status"] != OK:
            return reply["status"], None, None, None
        part = reply["parts"][0]
        assert part.get("status", OK) == OK, part
        return OK, bodies[0], part["provenance"]["version"], part["provenance"].get("reason", EXACT)

    def right(self, node, answer):
        """The reason; the answer is the node's own, or the root's because it is cold."""
        _, body, version, reason = answer
        self.assertIn(reason, (EXACT, COLD), answer)
        self.assertEqual((body, version), self.expected[node if reason == EXACT else ()], (node, answer))
        return reason

    def log(self):
        return (self.cluster.dir / "log" / "s0.log").read_text()

    def start_again(self, what, from_disk):
        state = self.cluster.dir / "shards" / "s0" / "state"
        if from_disk:
            wait_until(lambda: state.exists() and state.stat().st_size > 100 * NODES, what="s0 to save what it knows")
        said = len(self.log())
        old = self.process("s0")["pid"]
        os.kill(old, signal.SIGKILL)
        killed = wait_until(lambda: self.process("s0")["pid"] != old and time.monotonic(), what="s0 to be started again")
        seen = {"starting": 0, "cold": 0, "exact": 0}
        answers = None
        exact = set()
        with Wire(self.endpoint("s0")) as wire:
            while len(exact) < len(self.leaves):
                self.assertLess(time.monotonic(), killed + ALL_SECONDS, f"{len(exact)} leaves of {len(self.leaves)} are in: {self.log()[said:]}")
                for node in self.leaves:
                    answer = self.ask(wire, node, seconds=30)
                    if answer[0] != OK:
                        self.assertEqual((answer[0], answers), (UNAVAILABLE, None), "once it answers, it goes on")
                        seen["starting"] += 1
                        continue
                    answers = answers or time.monotonic()
                    reason = self.right(node, answer)
                    if reason == EXACT:
                        exact.add(node)
                    else:
                        self.assertNotIn(node, exact, "a leaf that was in is cold again")
                    seen["exact" if reason == EXACT else "cold"] += 1
        all_in = time.monotonic()
        self.assertGreater(seen["cold"], 0, "no ancestor answered for a leaf")
        self.assertLess(answers - killed, READY_SECONDS)
        lines = self.log()[said:]
        ready = re.search(r"ready name=s0 epoch=\d+ workers=\d+ nodes_ready=(\d+) nodes_wanted=(\d+)", lines)
        self.assertEqual(int(ready[2]), NODES)
        self.assertLess(int(ready[1]), NODES)
        wait_until(lambda: f"all nodes are in ready={NODES} wanted={NODES}" in self.log()[said:], what="the log to say that all are in")
        print(f"{what}, {NODES} nodes: answers after {answers - killed:.2f} s, all leaves after {all_in - killed:.2f} s; {seen}", file=sys.stderr)

    def test_it_answers_from_ancestors_while_leaves_arrive(self):
        stop = threading.Event()
        through_router = {EXACT: 0, COLD: 0}
        failures = []

        def load():
            with Wire(self.cluster.router()) as wire:
                for i in range(10**9):
                    if stop.wait(0.002):
                        return
                    node = self.leaves[i % len(self.leaves)]
                    try:
                        answer = self.ask(wire, node)
                        if answer[0] != OK:
                            raise AssertionError(answer)
                        through_router[self.right(node, answer)] += 1
                    except Exception as e:  # noqa: BLE001: told by the main thread
                        failures.append(repr(e))

        thread = threading.Thread(target=load)
        thread.start()
        try:
            self.start_again("from a full disk", from_disk=True)
            shutil.rmtree(self.cluster.dir / "shards" / "s0")
            self.start_again("from an empty disk", from_disk=False)
            registry = self.cluster.processes("registry")[0]["pid"]
            state = self.cluster.dir / "shards" / "s0" / "state"
            wait_until(lambda: state.exists() and state.stat().st_size > 100 * NODES, what="s0 to save what it knows")
            os.kill(registry, signal.SIGSTOP)
            try:
                self.start_again("from a full disk with the registry stopped", from_disk=True)
            finally:
                os.kill(registry, signal.SIGCONT)
        finally:
            stop.set()
            thread.join()
        self.assertEqual(failures, [])
        print(f"through the router meanwhile: {through_router}", file=sys.stderr)


if __name__ == "__main__":
    unittest.main()
