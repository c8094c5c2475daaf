"""Bits that flip on a shard's disk, files that are cut or vanish (docs/damage.md): no request fails, no number is wrong, each node touched is
answered for with the reason `corrupt` (`cold` where nothing of it is left), and answers again once its artefact is fetched anew. All of it under load."""

import os
import pathlib
import random
import re
import shutil
import signal
import sys
import threading
import time
import unittest

import msgpack

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from damage import end_segment, flip_bit, frames  # noqa: E402
from espalier_cluster import ROOT, Cluster, Wire, predict_header, wait_until  # noqa: E402

import espalier  # noqa: E402

ROW = msgpack.packb({"rows": [{"distance_km": 4.2, "hour": 8, "vehicle": "standard", "weather": "dry"}]})
EXACT, NO_VERSION, COLD, CORRUPT = 0, 1, 4, 5


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

    def is_right(self, node, answer, reasons=(CORRUPT,)):
        """The node's own answer, or that of one above it for one of these reasons. True: its own."""
        body, version, reason, served = answer
        own = self.expected[node]
        if (body, version) == own[:2]:
            assert reason == EXACT, answer
            return True
        assert reason in reasons, (node, answer)
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

    def others_answer_for(self, wire, reasons=(CORRUPT,)):
        """The nodes that do not answer themselves, each asked once."""
        return {node for node in self.artefacts if not self.is_right(node, self.ask(wire, node), reasons)}

    def all_are_exact(self, wire, reasons=(CORRUPT,)):
        return not self.others_answer_for(wire, reasons)

    def is_saved(self, state):
        """Whether a shard's state file names all that is served."""
        return state.exists() and all(artefact in state.read_bytes() for artefact in self.artefacts.values())

    def sharing(self, nodes):
        """All nodes that have an artefact of these."""
        artefacts = {self.artefacts[node] for node in nodes}
        return {node for node, artefact in self.artefacts.items() if artefact in artefacts}

    def under_load(self, reasons=(CORRUPT,)):
        return Load(self, reasons)


class Load:
    """Two clients that ask for nodes at random, some hundred times a second, and look at every answer."""

    def __init__(self, served, reasons):
        self.served, self.reasons = served, reasons
        self.asked = self.answered_for = 0
        self.wrong = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(i,)) for i in range(2)]

    def _ask(self, seed):
        chance = random.Random(seed)
        nodes = sorted(self.served.artefacts)
        with Wire(self.served.cluster.router()) as wire:
            while not self._stop.wait(0.003):
                node = chance.choice(nodes)
                try:
                    is_own = self.served.is_right(node, self.served.ask(wire, node), self.reasons)
                except Exception as e:  # noqa: BLE001: told by the main thread
                    self.wrong.append(repr(e))
                    return
                self.asked += 1
                self.answered_for += not is_own

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if kind is None:
            assert not self.wrong, self.wrong
            assert self.asked > 0
            print(f"under load: {self.asked} answers, {self.answered_for} of them by others", file=sys.stderr)


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
            with Wire(cluster.router()) as wire, served.under_load() as load:
                for _ in range(3):
                    touched |= set().union(*served.flip_bits(chance).values())
                    before = load.answered_for
                    answered_for = served.others_answer_for(wire)
                    self.assertTrue(answered_for or load.answered_for > before, "no damage was found")
                    self.assertLessEqual(answered_for, touched, "a node was answered for that has no damage")
                    wait_until(lambda: served.all_are_exact(wire), what="every node's own answer")

    def test_a_start_lets_nothing_damaged_answer(self):
        for verify in ("admission", "always"):
            with self.subTest(verify=verify), Cluster(shards=1, verify=verify, **{"scrub-interval": 0}) as cluster:
                served = Served(cluster)
                registry = cluster.processes("registry")[0]["pid"]
                state = cluster.dir / "shards" / "s0" / "state"
                wait_until(lambda: served.is_saved(state), what="the shard to save what it knows")
                with Wire(cluster.router()) as wire:
                    os.kill(registry, signal.SIGSTOP)  # so that nothing is mended before it is seen
                    try:
                        touched = served.sharing(served.flip_bits(random.Random(5))["s0"])
                        kill_and_wait(cluster, "s0")
                        wait_for_answers(wire, "s0")
                        with served.under_load():
                            for _ in range(5):
                                self.assertEqual(served.others_answer_for(wire), touched)
                            os.kill(registry, signal.SIGCONT)
                            wait_until(lambda: served.all_are_exact(wire), what="every node's own answer")
                    finally:
                        os.kill(registry, signal.SIGCONT)

    def test_nothing_damaged_is_taken_in_from_the_registry(self):
        for verify in ("admission", "always"):
            chance = random.Random(8)
            with self.subTest(verify=verify), Cluster(shards=1, verify=verify, **{"scrub-interval": 0}) as cluster:
                served = Served(cluster)
                nodes = sorted(node for node in served.artefacts if node)
                touched = served.sharing(chance.sample(nodes, max(1, len(nodes) // 10)))
                flip_in_registry(cluster, {served.artefacts[node] for node in touched}, chance)
                shutil.rmtree(cluster.dir / "shards" / "s0" / "pack")
                kill_and_wait(cluster, "s0")
                amiss = (CORRUPT, COLD)
                with Wire(cluster.router()) as wire:
                    wait_for_answers(wire, "s0")
                    with served.under_load(amiss) as load:
                        wait_until(lambda: served.others_answer_for(wire, amiss) == touched, what="all but what the registry has damaged")
                        while load.asked < 200 and not load.wrong:
                            self.assertEqual(served.others_answer_for(wire, amiss), touched)

    def test_the_other_replica_answers_for_a_root_that_is_damaged_on_one(self):
        """The root has nobody above it, and the root's own answer is wanted by every node without a version."""
        chance = random.Random(9)
        asked = [(), ("nowhere",), ("nowhere", "at-all")]
        with Cluster(shards=2, verify="always", **{"scrub-interval": 0}) as cluster:
            served = Served(cluster)
            registry = cluster.processes("registry")[0]["pid"]
            with Wire(cluster.router()) as wire, served.under_load():
                # Nothing is mended while the registry stands, so that each answer below is given with the root damaged.
                os.kill(registry, signal.SIGSTOP)
                try:
                    self.assertTrue(any(flip_bit(path, served.artefacts[()], chance) for path in (cluster.dir / "shards" / "s0" / "pack").glob("*.pack")))
                    shards = [shard for _ in range(40) for node in asked for shard in [self.answers_as_root(served, wire, node)]]
                    self.assertEqual(set(shards), {"s1"}, shards)
                finally:
                    os.kill(registry, signal.SIGCONT)
                wait_until(lambda: "s0" in {self.answers_as_root(served, wire, node) for node in asked}, what="s0's root answers again")
                self.assertEqual(self.found(cluster, "s0"), 1)

    def answers_as_root(self, served, wire, node):
        """Which shard answered, with the root's own numbers."""
        reply, bodies = wire.ask(predict_header("acme", "duration", [node], budget_us=5_000_000), ROW)
        self.assertEqual((reply["status"], reply["parts"][0].get("status", 0)), (0, 0), reply)
        said = reply["parts"][0]["provenance"]
        self.assertEqual((bodies[0], said["version"], said.get("served", [])), (*served.expected[()][:2], []), said)
        self.assertEqual(said.get("reason", EXACT), NO_VERSION if node else EXACT, said)
        return said["shard"]

    def test_the_scrub_finds_what_nobody_asks_for_within_its_interval(self):
        chance = random.Random(6)
        interval = 4
        with Cluster(shards=2, **{"scrub-interval": interval}) as cluster:
            served = Served(cluster)
            touched = served.flip_bits(chance)
            began = time.monotonic()
            damaged = {shard: len({served.artefacts[node] for node in nodes}) for shard, nodes in touched.items()}
            wait_until(lambda: all(self.found(cluster, shard) == count for shard, count in damaged.items()), what=f"the scrubs to find {damaged}")
            found = time.monotonic() - began
            with Wire(cluster.router()) as wire:
                wait_until(lambda: served.all_are_exact(wire), what="every node's own answer")
            mended = time.monotonic() - began
            print(f"scrub every {interval} s: found after {found:.1f} s, mended after {mended:.1f} s", file=sys.stderr)
            self.assertLess(mended, interval)

    def test_a_cut_pack_takes_no_other_node_with_it(self):
        for verify in ("admission", "always"):
            with self.subTest(verify=verify), Cluster(shards=1, verify=verify, **{"scrub-interval": 0}) as cluster:
                self.cut_pack(cluster, verify)

    def cut_pack(self, cluster, verify):
        served = Served(cluster)
        (path,) = (cluster.dir / "shards" / "s0" / "pack").glob("*.pack")
        places = frames(path)
        ends = {node: sum(places[artefact]) for node, artefact in served.artefacts.items()}
        page = os.sysconf("SC_PAGESIZE")
        cut = -(-sorted(ends.values())[len(ends) // 2] // page) * page
        lost = {node for node, end in ends.items() if end > cut}
        self.assertTrue(lost and () not in lost, "the root is to stay, which has nobody above it")
        with Wire(cluster.router()) as wire, served.under_load():
            os.truncate(path, cut)
            answered_for = served.others_answer_for(wire)
            self.assertLessEqual(answered_for, lost, "a node was answered for of which nothing is lost")
            wait_until(lambda: served.all_are_exact(wire), what="every node's own answer")
            found = self.found(cluster, "s0")
        self.assertGreater(found, 0, "nothing was found to be lost")
        print(f"verify {verify}: cut to {cut} bytes: {len(lost)} nodes lost, {found} artefacts fetched anew", file=sys.stderr)

    def test_a_vanished_segment_takes_no_node_of_another_with_it(self):
        chance, amiss = random.Random(10), (CORRUPT, COLD)
        with Cluster(shards=1, **{"scrub-interval": 0}) as cluster:
            served = Served(cluster)
            registry = cluster.processes("registry")[0]["pid"]
            pack, state = cluster.dir / "shards" / "s0" / "pack", cluster.dir / "shards" / "s0" / "state"
            wait_until(lambda: served.is_saved(state), what="the shard to save what it knows")
            with Wire(cluster.router()) as wire:
                # The first segment takes no more, so that what was damaged in it is fetched into another.
                (first,) = pack.glob("*.pack")
                places = frames(first)
                last = sorted(set(served.artefacts.values()) - {served.artefacts[()]}, key=places.get)[-8:]
                for artefact in last:
                    self.assertTrue(flip_bit(first, artefact, chance))
                end_segment(first)
                kill_and_wait(cluster, "s0")
                wait_for_answers(wire, "s0")
                wait_until(lambda: served.all_are_exact(wire), what="every node's own answer")
                (second,) = set(pack.glob("*.pack")) - {first}
                self.assertEqual(set(frames(second)), set(last))
                wait_until(lambda: served.is_saved(state), what="the shard to save what it knows")
                lost = {node for node, artefact in served.artefacts.items() if artefact in last}
                os.kill(registry, signal.SIGSTOP)  # so that nothing is mended before it is seen
                try:
                    second.unlink()
                    kill_and_wait(cluster, "s0")
                    wait_for_answers(wire, "s0")
                    with served.under_load(amiss):
                        for _ in range(5):
                            self.assertEqual(served.others_answer_for(wire, amiss), lost)
                        os.kill(registry, signal.SIGCONT)
                        wait_until(lambda: served.all_are_exact(wire, amiss), what="every node's own answer")
                finally:
                    os.kill(registry, signal.SIGCONT)
            print(f"{len(lost)} of {len(served.artefacts)} nodes lost with {second.name}", file=sys.stderr)

    def test_a_vanished_pack_is_fetched_anew(self):
        with Cluster(shards=2, **{"scrub-interval": 0}) as cluster:
            served = Served(cluster)
            amiss = (CORRUPT, COLD)
            with Wire(cluster.router()) as wire, served.under_load(amiss):
                shutil.rmtree(cluster.dir / "shards" / "s0" / "pack")
                self.assertTrue(served.all_are_exact(wire), "what is mapped answers")
                kill_and_wait(cluster, "s0")
                wait_for_answers(wire, "s0")
                wait_until(lambda: served.all_are_exact(wire, amiss), what="every node's own answer")


def kill_and_wait(cluster, name):
    """Until another process is there in its place."""

    def pid():
        return next(p["pid"] for p in cluster.processes("shard") if p["name"] == name)

    old = pid()
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: pid() != old, what=f"{name} to be started again")


def wait_for_answers(wire, shard):
    """Until the shard answers again."""

    def is_answered():
        reply, _ = wire.ask(predict_header("acme", "duration", [[]], budget_us=5_000_000), ROW)
        part = reply["parts"][0] if reply["status"] == 0 else {"status": reply["status"]}
        return part.get("status", 0) == 0 and part["provenance"]["shard"] == shard

    wait_until(is_answered, what=f"an answer of {shard}")


def flip_in_registry(cluster, artefacts, chance):
    """Flips a bit of each in the registry's packs."""
    for artefact in sorted(artefacts):
        paths = list((cluster.dir / "registry").rglob("*.pack"))
        for path in paths:
            path.chmod(0o644)
        assert any([flip_bit(path, artefact, chance) for path in paths]), "it is in no pack"


if __name__ == "__main__":
    unittest.main()
