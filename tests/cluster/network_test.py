"""A network that is cut, loses and delays: each process on a host of its own (tests/support/network.py). Whatever is cut, every question is
answered, and every answer is right for the epoch that it names. Needs root; skipped with a message otherwise.
"""

import collections
import os
import pathlib
import shutil
import sys
import threading
import time
import unittest
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from answers import EXACT, History, Troubles, ask, epochs_that_go_back  # noqa: E402
from espalier_cluster import wait_until  # noqa: E402
from follower import Follower  # noqa: E402
from host_cluster import HostCluster, NumberedTree  # noqa: E402
from network import Network, why_not  # noqa: E402

import msgpack  # noqa: E402

COUNTRIES, CITIES = 4, 5
NODES = [(), *((f"c{i}",) for i in range(COUNTRIES)), *((f"c{i}", f"t{j}") for i in range(COUNTRIES) for j in range(CITIES))]
ROW = msgpack.packb(NumberedTree.ROW)
# How long the longest cut lasts. After 11 s the kernel by itself would try to connect again no earlier than 7 s later, after longer ones
# ever later: whoever leaves that to it is found out.
CUT_SECONDS = float(os.environ.get("ESPALIER_CUT_SECONDS", "11"))
# After a cut of any length everything is as before within so long: a try to connect that began before its end takes 2 s, the next half a second.
HEALED_SECONDS = 4


@unittest.skipIf(why_not(), why_not())
class CutNetwork(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.network = cls.enterClassContext(Network())
        cls.cluster = cls.enterClassContext(HostCluster(cls.network, shards=3, routers=2))
        cls.registry = cls.cluster.registry_client()
        cls.addClassCleanup(cls.registry.close)
        cls.tree = NumberedTree()
        cls.troubles = Troubles()
        cls.history = History(cls.tree, cls.troubles)
        cls.release(NODES, wait_s=30)

    @classmethod
    def release(cls, nodes, wait_s=0):
        epoch, release, versions = cls.tree.publish(cls.registry, nodes, wait_s)
        cls.history.add(epoch, release, versions)
        return epoch

    def setUp(self):
        self.addCleanup(self.heal)

    def heal(self):
        for one in self.cluster.addresses:
            for other in self.cluster.addresses:
                self.network.one_way(one, other, "open")

    def endpoint(self, name):
        return self.cluster[name].words[self.cluster[name].words.index("--bind") + 1]

    def assert_right(self, answers, run_of=lambda answer: answer.shard):
        """Every question was answered, and rightly; no run of a shard forgot what it knew."""
        self.assertTrue(answers)
        for answer in answers:
            self.assertEqual(answer.status, 0, answer)
            violation = self.history.violation(answer)
            self.assertIsNone(violation, (violation, answer))
        runs = collections.defaultdict(list)
        for answer in answers:
            runs[run_of(answer)].append(answer)
        for run in runs.values():
            self.assertEqual(epochs_that_go_back(run), [])

    def wait_for(self, seconds, progress=None):
        """Time passes, with `progress` again and again."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if progress:
                progress()
            threading.Event().wait(0.2)

    def healed(self, is_healed, what):
        """Seconds from now until is_healed()."""
        since = time.monotonic()
        wait_until(is_healed, HEALED_SECONDS, what)
        return time.monotonic() - since

    def direct(self, shard, nodes=NODES):
        """What a shard itself says of nodes; every answer is right."""
        wire = self.cluster.wire(self.endpoint(shard))
        try:
            answers = ask(wire, shard, self.tree.header(nodes, 2_000_000), ROW)
        finally:
            wire.socket.close()
        self.assert_right(answers)
        self.assertEqual({answer.shard for answer in answers}, {shard})
        return answers

    def test_shard_and_router_cut_from_the_registry_go_on_and_catch_up(self):
        before = self.release(NODES[:3], wait_s=10)
        other, router = NumberedTree(model="late"), self.cluster.routers[0]
        with Follower(self.cluster, self.tree, NODES, self.cluster.routers) as follower, self.cluster.wire(router) as wire:
            cut = self.troubles.begins("cut", "registry", "s0")
            self.addCleanup(self.troubles.ends, cut)
            for name in ("s0", "router0"):
                self.network.both_ways("registry", name, "cut")
            # A model that s0 and router0 hear nothing of is asked for while the registry still counts on s0, and after that.
            _, _, versions = other.publish(self.registry, NODES)
            wait_until(lambda: all(self.are_answers(self.ask_at(name, other), versions) for name in ("s1", "s2")), what="the others hold the new model")
            made, late = [], []

            def progress():
                made.append(self.release(NODES[len(made) % 5::5]))
                for way in self.cluster.routers:
                    late.extend(self.ask_at(way, other, NODES[len(made) % 5::5]))

            self.wait_for(CUT_SECONDS, progress)
            self.assertGreater(len(late), 100)
            for answer in late:
                self.assertTrue(self.are_answers([answer], versions), answer)
            self.assertEqual({answer.message for answer in self.ask_at("s0", other)}, {"model acme/late"}, "s0 did not hear of it")
            self.assertEqual({answer.epoch for answer in self.direct("s0", [()])}, {before})
            wait_until(lambda: all(self.direct(name, [()])[0].epoch >= made[-1] for name in ("s1", "s2")), what="the other shards know the newest")
            for name in ("s0", "router0"):
                self.network.both_ways("registry", name, "open")
            self.troubles.ends(cut)
            shard_took = self.healed(lambda: self.direct("s0", [()])[0].epoch >= made[-1], "s0 knows the newest release")
            router_took = self.healed(lambda: wire.ask({"v": 1, "op": "hello"})[0]["epoch"] >= made[-1], "router0 knows the newest release")
            wait_until(lambda: any(answer.shard == "s0" and answer.epoch >= made[-1] for answer in follower.answers[-200:]),
                       what="s0 answers from the newest release")
        self.assert_right(follower.answers)
        for name in ("s0", "s1", "s2"):
            self.assertTrue(all(answer.epoch >= made[-1] for answer in self.direct(name)), name)
            # Inner nodes are held by all shards. Each has what the newest release with it says: no step of the feed was left out.
            for answer in self.direct(name, [node for node in NODES if len(node) < 2]):
                self.assertEqual(answer.provenance.get("reason", EXACT), EXACT, answer)
        print(f"{len(made)} releases while s0 and router0 were cut off for {CUT_SECONDS:g} s; s0 knew the newest {shard_took:.2f} s after that, "
              f"router0 {router_took:.2f} s; {len(follower.answers)} answers, {len(late)} of a model that was published meanwhile")

    def ask_at(self, way, tree, nodes=NODES):
        """What a shard, by its name, or a router says of nodes."""
        with self.cluster.wire(self.endpoint(way) if way in self.cluster.addresses else way) as wire:
            return ask(wire, way, tree.header(nodes, 2_000_000), ROW)

    @staticmethod
    def are_answers(answers, versions):
        return all(answer.status == 0 and answer.provenance["version"] == versions[answer.asked] for answer in answers)

    def test_an_address_that_comes_back_as_another_process(self):
        s2 = self.cluster["s2"]
        stranger = self.cluster.add("s9", "s2")
        with Follower(self.cluster, self.tree, NODES, self.cluster.routers) as follower:
            wait_until(lambda: any(answer.shard == "s2" for answer in list(follower.answers)), what="s2 answers")
            # Another shard's name, and no models, for want of a registry; then with them.
            killed = time.monotonic()
            away = [self.troubles.begins("kill", name) for name in ("s2", "s9")]
            for trouble in away:
                self.addCleanup(self.troubles.ends, trouble)
            s2.kill()
            self.network.both_ways("registry", "s2", "cut")
            stranger.launch()
            self.wait_asked("s2")
            self.network.both_ways("registry", "s2", "open")
            stranger.wait_ready()
            self.troubles.ends(away[1])
            since = time.monotonic()
            wait_until(lambda: any(answer.shard == "s9" and answer.sent > since for answer in follower.answers[-200:]), what="s9 answers")
            self.wait_asked("s2")
            # Its own name, and nothing on its disk.
            stranger.kill()
            self.registry.call("leave", {"idem": uuid.uuid4().bytes, "shard": "s9"})
            shutil.rmtree(s2.folder)
            self.network.both_ways("registry", "s2", "cut")
            s2.launch()
            self.wait_asked("s2")
            self.network.both_ways("registry", "s2", "open")
            s2.wait_ready()
            self.troubles.ends(away[0])
            since = time.monotonic()
            wait_until(lambda: any(answer.shard == "s2" and answer.sent > since for answer in follower.answers[-200:]), what="s2 answers again")
        self.assert_right(follower.answers, lambda answer: (answer.shard, answer.sent > killed))
        print(f"{len(follower.answers)} answers; by s9: {sum(answer.shard == 's9' for answer in follower.answers)}")

    def wait_asked(self, host):
        """Until both routers have sent to the host, and it to them, again and again from now on."""
        links = [link for router in ("router0", "router1") for link in ((router, host), (host, router))]
        before = [self.network.passed(*link) for link in links]
        wait_until(lambda: all(self.network.passed(*link) >= was + 5 for link, was in zip(links, before)), what=f"{host} is asked, and replies")

    def expect_others_answer(self, *cuts):
        """While `cuts` hold nothing comes from s0 by way of router0, and all is answered; afterwards s0 answers again."""
        router = self.cluster.routers[0]
        with Follower(self.cluster, self.tree, NODES, [router]) as follower:
            wait_until(lambda: any(answer.shard == "s0" for answer in follower.answers), what="s0 answers")
            for source, target, *how in cuts:
                self.network.one_way(source, target, *how)
            since = time.monotonic()
            self.wait_for(CUT_SECONDS / 8)
            until = time.monotonic()
            for source, target, *_ in cuts:
                self.network.one_way(source, target, "open")
            took = self.healed(lambda: any(answer.shard == "s0" and answer.sent > until for answer in follower.answers[-50:]),
                               "s0 answers again")
        self.assert_right(follower.answers)
        during = [answer for answer in follower.answers if since <= answer.sent and answer.received <= until]
        self.assertNotIn("s0", {answer.shard for answer in during})
        longest = max(answer.received - answer.sent for answer in follower.answers)
        print(f"{cuts}: {len(during)} answers by others; longest {longest * 1000:.0f} ms; s0 answered again {took:.2f} s after that")

    def test_another_replica_answers_for_a_shard_that_the_router_is_cut_from(self):
        self.expect_others_answer(("router0", "s0", "cut"), ("s0", "router0", "cut"))

    def test_another_replica_answers_where_requests_are_lost_on_the_way(self):
        self.expect_others_answer(("router0", "s0", "cut"))

    def test_another_replica_answers_where_replies_are_lost_on_the_way(self):
        self.expect_others_answer(("s0", "router0", "cut"))

    def test_what_is_lost_now_and_then_is_answered(self):
        for source, target in [("router0", "s1"), ("s1", "router0"), ("registry", "s1"), ("client", "router0")]:
            self.network.one_way(source, target, "loss", 0.1)
        # A connection to be made anew waits for its first packet for as long as the kernel likes.
        lossy = self.troubles.begins("loss", "registry", "s1")
        self.addCleanup(self.troubles.ends, lossy)
        with Follower(self.cluster, self.tree, NODES, self.cluster.routers, 5_000_000) as follower:
            made = []
            self.wait_for(CUT_SECONDS / 8, lambda: made.append(self.release(NODES[::4])))
            NumberedTree.wait_served(self.registry, made[-1], 10)
        self.assert_right(follower.answers)
        self.assertGreater(self.network.dropped("router0", "s1") + self.network.dropped("s1", "router0"), 0)

    def test_delay_is_no_silence(self):
        logs = [self.cluster[f"router{i}"].log for i in range(2)]
        before = [log.read_text().count("shard is silent") for log in logs]
        for one in ("router0", "router1", "registry"):
            for other in ("s0", "s1", "s2"):
                self.network.both_ways(one, other, "delay", 25)
        with Follower(self.cluster, self.tree, NODES, self.cluster.routers) as follower:
            made = []
            self.wait_for(CUT_SECONDS / 8, lambda: made.append(self.release(NODES[::4])))
            NumberedTree.wait_served(self.registry, made[-1], 10)
        self.assert_right(follower.answers)
        times = sorted(answer.received - answer.sent for answer in follower.answers)
        self.assertGreater(times[0], 0.05)
        self.assertEqual([log.read_text().count("shard is silent") for log in logs], before)
        print(f"50 ms there and back: median {times[len(times) // 2] * 1000:.0f} ms, longest {times[-1] * 1000:.0f} ms")


if __name__ == "__main__":
    unittest.main()
