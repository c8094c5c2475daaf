"""Bits that flip on a shard's disk (docs/damage.md): no request fails, no number is wrong, each node touched is answered for with the
reason `corrupt`, and answers again once its artefact is fetched anew."""

import pathlib
import random
import re
import sys
import unittest

import msgpack

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from damage import flip_bit  # noqa: E402
from espalier_cluster import ROOT, Cluster, Wire, predict_header, wait_until  # noqa: E402

import espalier  # noqa: E402

ROW = msgpack.packb({"rows": [{"distance_km": 4.2, "hour": 8, "vehicle": "standard", "weather": "dry"}]})
EXACT, CORRUPT = 0, 5


class Served:
    """A cluster with a trained tree, and what each of its nodes says."""

    def __init__(self, cluster):
        self.cluster = cluster
        rides = cluster.folder / "rides.csv"
        cluster.run("sample-data", rides, "--rows", 6000)
        cluster.train(ROOT / "examples" / "rides.toml", rides)
        with espalier.Registry(cluster.registry()) as registry:
            versions = registry.call("versions", {"tenant": "acme", "model": "duration"})["versions"]
        self.artefacts = {tuple(version.get("partition", [])): version["artefact"] for version in versions}
        with Wire(cluster.router()) as wire:
            self.expected = {node: self.ask(wire, node) for node in self.artefacts}
        assert all(reason == EXACT for _, _, reason, _ in self.expected.values()), self.expected

    def ask(self, wire, node):
        """(body, version, reason, partition that answered)."""
        reply, bodies = wire.ask(predict_header("acme", "duration", [node], budget_us=5_000_000), ROW)
        assert reply["status"] == 0, reply
        part = reply["parts"][0]
        assert part.get("status", 0) == 0, part
        said = part["provenance"]
        return bodies[0], said["version"], said.get("reason", EXACT), tuple(said.get("served", []))

    def is_right(self, node, answer):
        """The node's own answer, or that of one above it because it is damaged. True: its own."""
        body, version, reason, served = answer
        own = self.expected[node]
        if (body, version) == own[:2]:
            assert reason == EXACT, answer
            return True
        assert reason == CORRUPT, (node, answer)
        assert node[: len(served)] == served and served != node, (node, answer)
        assert (body, version) == self.expected[served][:2], (node, answer)
        return False

    def flip_bits(self, chance):
        """One bit in a tenth of the artefacts, on each shard; the root is spared, which has nobody above it. By shard: the nodes touched."""
        nodes = sorted(node for node in self.artefacts if node)
        touched = {}
        for segments in (self.cluster.dir / "shards").glob("*/pack"):
            chosen = chance.sample(nodes, max(1, len(nodes) // 10))
            found = {node for node in chosen if any(flip_bit(path, self.artefacts[node], chance) for path in segments.glob("*.pack"))}
            assert found, f"nothing was damaged in {segments}"
            touched[segments.parent.name] = found
        return touched

    def all_are_exact(self, wire):
        return all([self.is_right(node, self.ask(wire, node)) for node in self.artefacts])


class Damage(unittest.TestCase):
    def found(self, cluster, shard):
        """Damaged artefacts, as the shard's log says."""
        log = (cluster.dir / "log" / f"{shard}.log").read_text()
        return sum(int(count) for count in re.findall(r"artefacts are damaged, fetching them anew artefacts=(\d+)", log))

    def test_with_verify_always_no_answer_is_wrong_and_all_are_mended(self):
        chance = random.Random(4)
        with Cluster(shards=2, verify="always", **{"scrub-interval": 0}) as cluster:
            served = Served(cluster)
            touched = set()
            with Wire(cluster.router()) as wire:
                for _ in range(3):
                    touched |= set().union(*served.flip_bits(chance).values())
                    answered_for = {node for node in served.artefacts if not served.is_right(node, served.ask(wire, node))}
                    self.assertTrue(answered_for, "no damage was found")
                    self.assertLessEqual(answered_for, touched, "a node was answered for that has no damage")
                    wait_until(lambda: served.all_are_exact(wire), what="every node's own answer")

    def test_a_start_lets_nothing_damaged_answer(self):
        chance = random.Random(5)
        with Cluster(shards=2, **{"scrub-interval": 0}) as cluster:
            served = Served(cluster)
            cluster.stop()
            served.flip_bits(chance)
            cluster.start()
            with Wire(cluster.router()) as wire:
                served.all_are_exact(wire)  # right, whichever answers
                wait_until(lambda: served.all_are_exact(wire), what="every node's own answer")

    def test_the_scrub_finds_what_nobody_asks_for(self):
        chance = random.Random(6)
        with Cluster(shards=2, **{"scrub-interval": 1}) as cluster:
            served = Served(cluster)
            touched = served.flip_bits(chance)
            damaged = {shard: len({served.artefacts[node] for node in nodes}) for shard, nodes in touched.items()}
            wait_until(lambda: all(self.found(cluster, shard) == count for shard, count in damaged.items()), what=f"the scrubs to find {damaged}")
            with Wire(cluster.router()) as wire:
                wait_until(lambda: served.all_are_exact(wire), what="every node's own answer")


if __name__ == "__main__":
    unittest.main()
