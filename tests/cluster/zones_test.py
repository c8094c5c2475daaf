"""Shards of two zones and of different weights (docs/membership.md, docs/placement.md): a zone that fails as a whole costs no answer, and leaves
go by weight."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from answers import EXACT, History  # noqa: E402
from espalier_cluster import wait_until  # noqa: E402
from follower import Follower  # noqa: E402
from host_cluster import HostCluster, NumberedTree  # noqa: E402

MOST_ADDED_S = 0.3
COUNTRIES, CITIES = 8, 25
LEAVES = [(f"c{i}", f"t{j}") for i in range(COUNTRIES) for j in range(CITIES)]
INNER = [(), *((f"c{i}",) for i in range(COUNTRIES))]
NODES = [*INNER, *LEAVES]
ZONES = {"s0": "a", "s1": "a", "s2": "b", "s3": "b"}
WEIGHTS = {"s0": 1, "s1": 3, "s2": 1, "s3": 3}


class Zones(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = HostCluster(shards=4, routers=2, registry_options=["--lease-ms", "1500"])
        for name, zone in ZONES.items():
            cls.cluster[name].words += ["--zone", zone, "--weight", str(WEIGHTS[name])]
        cls.enterClassContext(cls.cluster)
        cls.registry = cls.cluster.registry_client()
        cls.addClassCleanup(cls.registry.close)
        cls.wait_for(ZONES)
        cls.tree = NumberedTree()
        cls.history = History(cls.tree)
        epoch, release, versions = cls.tree.publish(cls.registry, NODES, wait_s=30)
        cls.history.add(epoch, release, versions)
        # Before anybody has taken over from anybody; who gave a leaf to one that joined later may hold it for a moment more.
        wait_until(cls.each_leaf_has_its_own, what="nobody holds what is another's")

    @classmethod
    def serving(cls):
        view = cls.registry.call("view", {})["view"]
        return {shard["name"] for shard in view["shards"] if shard.get("state", 0) == 0}, len(view["shards"])

    @classmethod
    def wait_for(cls, names):
        wait_until(lambda: cls.serving() == (set(names), len(names)), what=f"{sorted(names)} serve, and nobody else is there")

    @classmethod
    def ask_each_shard(cls):
        """By shard: the leaves that it answers for itself."""
        held = {}
        for name in ZONES:
            bind = cls.cluster[name].words[cls.cluster[name].words.index("--bind") + 1]
            with Follower(cls.cluster, cls.tree, LEAVES, [bind]) as follower:
                wait_until(lambda: follower.rounds, what=f"answers of {name}")  # pylint: disable=cell-var-from-loop
            held[name] = {answer.asked for answer in follower.answers if answer.status == 0 and answer.provenance.get("reason", EXACT) == EXACT}
        return held

    @classmethod
    def each_leaf_has_its_own(cls):
        cls.held = cls.ask_each_shard()
        return all(sum(leaf in nodes for nodes in cls.held.values()) <= 2 for leaf in LEAVES)

    def test_two_replicas_share_no_zone_and_each_zones_leaves_go_by_weight(self):
        for leaf in LEAVES:
            self.assertEqual(sorted(ZONES[name] for name, nodes in self.held.items() if leaf in nodes), ["a", "b"], leaf)
        counts = {name: len(nodes) for name, nodes in self.held.items()}
        print(f"leaves by shard: {counts}")
        for heavy in ("s1", "s3"):
            # Three quarters of 200, and four standard deviations to each side. Names decide, so that it is the same each time.
            self.assertTrue(125 <= counts[heavy] <= 175, counts)

    def test_a_zone_that_fails_as_a_whole_costs_no_answer(self):
        for zone in ("a", "b"):
            victims = [name for name in ZONES if ZONES[name] == zone]
            others = [name for name in ZONES if ZONES[name] != zone]
            with Follower(self.cluster, self.tree, NODES, self.cluster.routers) as follower:
                self.after_a_round(follower)
                for name in victims:
                    self.cluster[name].send(9)
                for name in victims:
                    self.cluster[name].end(9)
                begun = len(follower.answers)
                self.wait_for(others)
                self.after_a_round(follower)
                ended = len(follower.answers)
                for name in victims:
                    self.cluster[name].start()
                self.wait_for(ZONES)
                since = len(follower.answers)
                wait_until(lambda: {answer.shard for answer in follower.answers[since:]} == set(ZONES), what="all answer again")  # pylint: disable=cell-var-from-loop
            self.assertLessEqual({answer.shard for answer in follower.answers[begun + len(NODES):ended]}, set(others))
            self.assert_right(follower.answers, f"zone {zone} away")

    @staticmethod
    def after_a_round(follower):
        seen = follower.rounds
        wait_until(lambda: follower.rounds > seen + 1, what="a whole round of answers")

    def assert_right(self, answers, what):
        for answer in answers:
            self.assertEqual((answer.status, answer.provenance.get("reason", EXACT), self.history.violation(answer)), (0, EXACT, None), answer)
        times = sorted(answer.received - answer.sent for answer in answers)
        median, longest = times[len(times) // 2], times[-1]
        print(f"{what}: {len(answers)} answers, median {median * 1000:.1f} ms, longest {longest * 1000:.0f} ms")
        self.assertLessEqual(longest - median, MOST_ADDED_S)


if __name__ == "__main__":
    unittest.main()
