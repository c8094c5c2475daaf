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
from espalier_cluster import BIN, ROOT, Cluster, Wire, predict_header, wait_until  # noqa: E402

import espalier  # noqa: E402

NODES = int(os.environ.get("ESPALIER_BUDGET_NODES", "2000"))
SHARE = 0.3  # of all artefacts that fit
ROW = msgpack.packb({"rows": [{"age": 41}]})
EXACT, OVER_BUDGET = 0, 7


RIDES_ROW = msgpack.packb({"rows": [{"distance_km": 4.2, "hour": 8, "vehicle": "standard", "weather": "dry"}]})
SLOWEST_SECONDS = 1  # nothing waits for a leaf to come back; the rest is for a busy machine


def ask(wire, node, model="sales", row=ROW):
    """(body, version, reason, partition that answered), and how long it took."""
    began = time.monotonic()
    reply, bodies = wire.ask(predict_header("acme", model, [node], budget_us=5_000_000), row)
    assert reply["status"] == 0 and reply["parts"][0].get("status", 0) == 0, reply
    said = reply["parts"][0]["provenance"]
    return (bodies[0], said["version"], said.get("reason", EXACT), tuple(said.get("served", []))), time.monotonic() - began


def versions_of(cluster, model):
    """By partition."""
    with espalier.Registry(cluster.registry()) as registry:
        page, cursor = [], b""
        while True:
            reply = registry.call("versions", {"tenant": "acme", "model": model, "cursor": cursor})
            page += reply["versions"]
            cursor = reply.get("cursor", b"")
            if not cursor:
                return {tuple(v.get("partition", [])): v for v in page}


def resident_of_pack(pid):
    """Bytes of a shard's pack that are in its memory."""
    total, is_pack = 0, False
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if line[:1].islower() or line[:1].isdigit():
            is_pack = "/segment-" in line
        elif is_pack and line.startswith("Rss:"):
            total += int(line.split()[1]) * 1024
    return total


def disk_of(cluster):
    """What the files of its shard's pack take: the larger of their sizes and of their blocks."""
    sizes, blocks = 0, 0
    for path in (cluster.dir / "shards" / "s0" / "pack").iterdir():
        try:
            said = path.stat()
        except FileNotFoundError:  # renamed or removed meanwhile
            continue
        sizes, blocks = sizes + said.st_size, blocks + 512 * said.st_blocks
    return max(sizes, blocks)


class Budget(unittest.TestCase):
    def test_the_least_recently_used_leaves_make_room(self):
        # Every artefact of the bench has the same size; its cluster is only there to learn that size.
        budget = int(SHARE * NODES * 704)
        with Cluster(shards=1, **{"memory-budget": budget}) as cluster:
            subprocess.run([str(BIN / "espalier-release-scale"), "--registry", cluster.registry(), "--rounds", "0", "--nodes", str(NODES)], check=True,
                           stdout=subprocess.DEVNULL)
            versions = versions_of(cluster, "sales")
            bytes_of = {node: version["artefact_bytes"] for node, version in versions.items()}
            self.assertEqual(len(bytes_of), NODES)

            def shard():
                return cluster.json("shards")["shards"][0]

            wait_until(lambda: 0 < shard()["memory_bytes"] <= budget, what="the leaves that don't fit to go")
            leaves = sorted(node for node in bytes_of if node)
            hot = random.Random(3).sample(leaves, int(SHARE * NODES * 0.5))
            slowest = 0
            body_of = {}  # of each version
            with Wire(cluster.router()) as wire:

                def ask_all(nodes):
                    nonlocal slowest
                    exact = set()
                    for node in nodes:
                        (body, version, reason, served), seconds = ask(wire, node)
                        slowest = max(slowest, seconds)
                        self.assertIn(reason, (EXACT, OVER_BUDGET))
                        self.assertEqual(served, node if reason == EXACT else (), "the root answers for all others")
                        self.assertEqual(version, versions[served]["version"])
                        self.assertEqual(body, body_of.setdefault(version, body), "a version always says the same")
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
            self.assertGreater(len(set(body_of.values())), 1, "all versions say the same, so nothing was compared")
            self.assertLess(slowest, SLOWEST_SECONDS)
            self.assertLessEqual(said["memory_bytes"], budget)
            self.assertEqual(said["memory_budget"], budget)
            self.assertEqual(set(said["not_ready"]), {"over_budget"})
            print(f"{NODES} nodes, budget {budget}: {said['memory_bytes']} bytes in, {said['nodes_ready']} nodes, {said['evicted']} evicted, "
                  f"{len(kept)} of {len(hot)} hot leaves kept through a scan, slowest answer {slowest * 1000:.1f} ms", file=sys.stderr)

    def test_memory_of_leaves_that_go_is_given_back_to_the_system(self):
        # What is asked for lies side by side in the pack: pages on which anything answers stay.
        share = 0.15
        budget = int(share * NODES * 704)
        with Cluster(shards=1, **{"memory-budget": budget}) as cluster:
            shard = cluster.processes("shard")[0]["pid"]
            seen = [0]
            publish = subprocess.Popen([BIN / "espalier-release-scale", "--registry", cluster.registry(), "--rounds", "0", "--nodes", str(NODES)],
                                       stdout=subprocess.DEVNULL)

            def is_published():
                seen.append(resident_of_pack(shard))
                return publish.poll() is not None

            wait_until(is_published, what="the release")
            self.assertEqual(publish.returncode, 0)
            versions = versions_of(cluster, "sales")
            hot = sorted(node for node in versions if node)[: int(0.95 * share * NODES)]
            with Wire(cluster.router()) as wire:

                def all_hot_are_in():
                    seen.append(resident_of_pack(shard))
                    return all(ask(wire, node)[0][2] == EXACT for node in hot)

                # What was taken in just before it was asked for may go with the rest at the first look, and comes back.
                after = wait_until(lambda: all_hot_are_in() and seen[-1] < max(seen) / 2 and seen[-1], seconds=60,
                                   what="the shard's resident memory to go down while all that is asked for is in")
                most = max(seen)
            self.assertGreaterEqual(most, 0.8 * NODES * 704, "all were in memory before")
            print(f"{NODES} nodes, memory budget {budget}: pack's resident memory {most} -> {after} bytes (Rss in /proc/PID/smaps)", file=sys.stderr)

    def test_a_disk_budget_is_never_exceeded(self):
        budget = 1 << 20
        with Cluster(shards=1, **{"disk-budget": 2 * budget}) as cluster:
            release = [BIN / "espalier-release-scale", "--registry", cluster.registry(), "--rounds", "0", "--nodes", str(NODES)]
            subprocess.run(release, check=True, stdout=subprocess.DEVNULL)
            body_of = {}  # of each version, while everything is in
            versions = versions_of(cluster, "sales")
            nodes = sorted(versions)
            with Wire(cluster.router()) as wire:
                for node in nodes:
                    (body_of[node], version, reason, _), _ = ask(wire, node)
                    self.assertEqual((version, reason), (versions[node]["version"], EXACT))
            self.assertGreater(len(set(body_of.values())), 1, "all versions say the same, so nothing was compared")
            self.assertGreater(disk_of(cluster), budget)
            cluster.stop()

            cluster.change("disk-budget", budget)
            cluster.start()
            most = disk_of(cluster)
            self.assertLessEqual(most, budget, "within it before it answers")
            wait_until(lambda: set(cluster.json("shards")["shards"][0]["not_ready"]) == {"over_budget"}, what="the leaves that the disk has to be taken in")
            slowest, exact, asked = 0, set(), 0
            hot = random.Random(3).sample([node for node in nodes if node], 300)
            with Wire(cluster.router()) as wire:

                def ask_all(nodes):
                    nonlocal slowest, most, exact, asked
                    exact = set()
                    for i, node in enumerate(nodes):
                        (body, version, reason, served), seconds = ask(wire, node)
                        slowest, asked = max(slowest, seconds), asked + 1
                        self.assertIn(reason, (EXACT, OVER_BUDGET))
                        self.assertEqual(served, node if reason == EXACT else (), "the root answers for all others")
                        self.assertEqual((body, version), (body_of[served], versions[served]["version"]))
                        if reason == EXACT:
                            exact.add(node)
                        if i % 20 == 0:
                            most = max(most, disk_of(cluster))
                    self.assertLessEqual(most, budget)
                    return exact

                first = ask_all(nodes)
                self.assertLess(len(first), NODES)
                self.assertGreater(len(first), NODES // 4)
                missing = [node for node in hot if node not in first]
                self.assertGreater(len(missing), 0)
                wait_until(lambda: len(ask_all(hot)) == len(hot), seconds=60, what="all that is asked for to be fetched again")
                kept = len(ask_all(nodes) & set(hot))
                self.assertGreaterEqual(kept, 0.8 * len(hot), "one pass over all drives nothing out that is asked for all the time")
                # A release of all leaves, with what is asked for all the time in it.
                subprocess.run(release[:-3] + ["1", "--nodes", str(NODES)], check=True, stdout=subprocess.DEVNULL)
                most = max(most, disk_of(cluster))
                self.assertLessEqual(most, budget)
            said = wait_until(lambda: (now := cluster.json("shards")["shards"][0])["disk_bytes"] == disk_of(cluster) and now,
                              what="the shard to say what its files take")
            self.assertEqual(said["disk_budget"], budget)
            self.assertGreater(said["evicted"], 0)
            cluster.stop()
            cluster.start()
            self.assertLessEqual(disk_of(cluster), budget, "also after a restart")
            print(f"{NODES} nodes, disk budget {budget}: at most {most} bytes of files, {len(first)} nodes in after the start, {len(missing)} of {len(hot)} "
                  f"hot leaves fetched again, {kept} kept through a scan, {asked} answers, slowest {slowest * 1000:.1f} ms", file=sys.stderr)

    def test_the_nearest_inner_node_answers_for_a_leaf_that_is_out(self):
        with Cluster(shards=1) as cluster:
            rides = cluster.folder / "rides.csv"
            cluster.run("sample-data", rides, "--rows", 6000)
            cluster.train(ROOT / "examples" / "rides.toml", rides)
            versions = versions_of(cluster, "duration")
            expected = {}
            with Wire(cluster.router()) as wire:
                for node in versions:
                    expected[node] = ask(wire, node, "duration", RIDES_ROW)[0]
                    self.assertEqual(expected[node][2], EXACT)
        depth = max(len(node) for node in versions)
        leaves = {node for node in versions if len(node) == depth}
        self.assertGreater(depth, 1, "the tree has inner levels")
        size = {version["artefact"]: version["artefact_bytes"] for version in versions.values()}
        inner = {version["artefact"] for node, version in versions.items() if node not in leaves}
        budget = sum(size[artefact] for artefact in inner) + sum(size[a] for a in size if a not in inner) // 2
        with Cluster(shards=1, **{"memory-budget": budget}) as cluster:
            cluster.run("sample-data", rides := cluster.folder / "rides.csv", "--rows", 6000)
            cluster.train(ROOT / "examples" / "rides.toml", rides)
            wait_until(lambda: 0 < cluster.json("shards")["shards"][0]["memory_bytes"] <= budget, what="leaves to make room")
            again = versions_of(cluster, "duration")
            seen = {EXACT: 0, OVER_BUDGET: 0}
            with Wire(cluster.router()) as wire:
                for node in sorted(again):
                    (body, version, reason, served), seconds = ask(wire, node, "duration", RIDES_ROW)
                    self.assertLess(seconds, SLOWEST_SECONDS)
                    seen[reason] += 1
                    above = max((inner for inner in again if inner not in leaves and node[: len(inner)] == inner), key=len)
                    self.assertEqual(served, node if reason == EXACT else above)
                    self.assertTrue(reason == EXACT or node in leaves, "an inner node is out")
                    self.assertEqual((body, version), (expected[served][0], again[served]["version"]), "trained alike, it says the same")
            self.assertGreater(seen[OVER_BUDGET], 0)
            print(f"{len(leaves)} leaves, {len(again) - len(leaves)} inner nodes, budget {budget}: {seen}", file=sys.stderr)


if __name__ == "__main__":
    unittest.main()
