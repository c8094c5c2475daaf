"""Random faults with releases and predictions running: processes are killed and stopped, hosts cut from each other, ways lose and delay, disks
fill up, bits of artefacts flip, shards drain and join anew; versions go into quarantine and come back, nodes are removed. Every answer is judged by what may be answered
(tests/support/answers.py); no question may fail unless the schedule itself broke too much at once, and then only for that; in the end all is as if
nothing had been.

$ESPALIER_CHAOS_SECONDS sets how long it goes on (default 120); the seed is printed, and $ESPALIER_CHAOS_SEED repeats its schedule. As root
each process has a host of its own; otherwise nothing is cut and no disk fills up.
"""

import collections
import json
import os
import pathlib
import random
import signal
import sys
import threading
import time
import unittest
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from answers import NONE_HERE, SETTLED_S, Answer, History, Troubles, ask, epochs_that_go_back  # noqa: E402
from chaos import Chaos, schedule  # noqa: E402
from espalier_cluster import wait_until  # noqa: E402
from host_cluster import HostCluster, NumberedTree  # noqa: E402
from network import Network, own_mounts, why_not  # noqa: E402

import espalier  # noqa: E402
import msgpack  # noqa: E402

SECONDS = float(os.environ.get("ESPALIER_CHAOS_SECONDS", "120"))
SEED = int(os.environ.get("ESPALIER_CHAOS_SEED", time.time_ns() % 1_000_000))
# Long enough for a moment in which a busy machine stands still.
BUDGET_S = 5.0
# The router's timer and the client's wake-up come after the deadline itself, on a busy machine later than on an idle one.
LATE_S = 0.2
CLIENTS, SHARDS, ROUTERS = 3, ["s0", "s1", "s2"], ["router0", "router1"]
# What a request may be told where too much was broken at once: nobody who holds it is there, or not in time, or not with room.
EXCUSED = {espalier.Code.UNAVAILABLE, espalier.Code.DEADLINE_EXCEEDED, espalier.Code.OVERLOADED}
# Of the publisher's steps: back to an earlier release, into quarantine or out of it, a node removed; the others publish.
GO_BACK, QUARANTINE, REMOVE = 0.15, 0.1, 0.07
MOST_IN_QUARANTINE = 3
# A failed sync, or damage in what was written last, begins a new segment of 64 MiB in a shard's pack; the old one goes after ten minutes.
DISK_MB = int(1024 + 12 * SECONDS)
NODES = [(), *((f"c{i}",) for i in range(5)), *((f"c{i}", f"t{j}") for i in range(5) for j in range(6))]


class Worker(threading.Thread):
    """Does a step again and again until it is told to stop; an error ends it, and the test."""

    def __init__(self, step, pause):
        super().__init__(daemon=True)
        self._step, self._pause, self._stopping = step, pause, threading.Event()
        self.error = None

    def run(self):
        try:
            while not self._stopping.wait(self._pause()):
                self._step()
        except BaseException as error:  # pylint: disable=broad-except
            self.error = error

    def stop(self):
        self._stopping.set()
        self.join(90)
        if self.is_alive():
            raise TimeoutError("a worker doesn't end")
        if self.error:
            raise self.error


class Asker:
    """Asks for random nodes and keeps the answers."""

    def __init__(self, cluster, tree, number):
        self._tree, self._chance, self.client = tree, random.Random(SEED + number), cluster.client()
        self.answers = []

    def step(self):
        nodes = self._chance.sample(NODES, self._chance.randint(1, 6))
        parts = [espalier.Part(node, rows=NumberedTree.ROW["rows"]) for node in nodes]
        sent = time.monotonic()
        got = self.client.predict_parts(self._tree.tenant, self._tree.model, parts, budget_us=int(BUDGET_S * 1e6))
        received = time.monotonic()
        for number, asked in enumerate(nodes):
            error = got.error or got.parts[number].error
            answer = Answer(asked, "client", sent, received, int(error.code) if error else 0, str(error or ""))
            if not error:
                said = got.parts[number].provenance
                (answer.value,) = got.parts[number].values
                answer.provenance = {"asked": said.asked, "served": said.served, "reason": int(said.reason), "version": said.version.bytes,
                                     "release": said.release.bytes, "release_epoch": said.release_epoch, "epoch": said.epoch, "shard": said.shard}
            self.answers.append(answer)


class Publisher:
    """Releases of random nodes, quarantines and removals; one without an answer is sent again until it has one."""

    def __init__(self, cluster, tree, history):
        self._tree, self._history, self._chance = tree, history, random.Random(SEED)
        self.registry = cluster.registry_client(timeout_s=2.0)
        self.refused, self.done = collections.Counter(), collections.Counter()

    def call(self, *words):
        while True:
            try:
                return self.registry.call(*words)
            except espalier.EspalierError as error:
                # Away, or its disk is full.
                if error.code not in (espalier.Code.UNAVAILABLE, espalier.Code.RESOURCE_EXHAUSTED, espalier.Code.OVERLOADED):
                    raise
                self.refused[error.code.name] += 1
                threading.Event().wait(0.05)

    def step(self, nodes=None):
        if nodes is None:
            what = self._chance.random()
            for share, step in ((GO_BACK, self.go_back), (QUARANTINE, self.quarantine), (REMOVE, self.remove)):
                if what < share:
                    self.done[step.__name__] += 1
                    return step()
                what -= share
        nodes = nodes or self._chance.sample(NODES, self._chance.randint(1, 6))
        upload, bodies, publish, entries, versions = self._tree.release(nodes)
        self.call("upload", upload, bodies)
        epoch = self.call("publish", publish, [entries])["epoch"]
        self._history.add(epoch, publish["release"], versions)
        return epoch

    def go_back(self):
        """The whole tag to the state of an earlier release."""
        since, earlier = self._chance.choice(self._history.releases)
        versions, release = self._history.differences(since), uuid.uuid4().bytes
        if not versions:
            return
        self.move(release, versions, {"from_release": earlier})

    def move(self, release, versions, more, *bodies):
        begun = self._history.now()
        move = {"idem": uuid.uuid4().bytes, "tenant": self._tree.tenant, "model": self._tree.model, "tag": "production", "release": release, **more}
        self._history.add(self.call("move", move, bodies)["epoch"], release, versions, begun)

    def remove(self):
        """One node, or the inner node above some; the root stays, above which nobody answers."""
        node = self._chance.choice([node for node in NODES if node and self._history.wanted_now(node) != NONE_HERE])
        self.move(uuid.uuid4().bytes, {node: NONE_HERE}, {}, msgpack.packb([{"partition": list(node), "kind": 1}]))

    def quarantine(self):
        """A version that answers now, or out of it one that is in it."""
        there = self._history.in_quarantine()
        is_in = len(there) < MOST_IN_QUARANTINE and self._chance.random() < 0.6 or not there
        version = self._chance.choice(there if not is_in else sorted(
            {self._history.wanted_now(node) for node in NODES if node} - {NONE_HERE, *there}))
        begun = self._history.now()
        asked = {"idem": uuid.uuid4().bytes, "tenant": self._tree.tenant, "model": self._tree.model, "version": version, "lift": not is_in}
        self._history.quarantine(self.call("quarantine", asked)["epoch"], version, is_in, begun)


class RandomFaults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        reason = why_not()
        print(f"ESPALIER_CHAOS_SEED={SEED} ESPALIER_CHAOS_SECONDS={SECONDS:g}{f'; nothing is cut: {reason}' if reason else ''}", flush=True)
        network = None
        if not reason:
            own_mounts()
            network = cls.enterClassContext(Network(SEED))
        cls.cluster = cls.enterClassContext(HostCluster(network, len(SHARDS), len(ROUTERS), disk_mb=DISK_MB if network else 0,
                                                        shard_options=["--verify", "always", "--scrub-interval", "5"], registry_options=["--lease-ms", "1500"]))
        cls.tree = NumberedTree()
        cls.troubles = Troubles(lease_s=1.5)
        cls.history = History(cls.tree, cls.troubles)

    def test_whatever_breaks_every_answer_is_right(self):
        publisher = Publisher(self.cluster, self.tree, self.history)
        chance = random.Random(SEED)
        self.addCleanup(publisher.registry.close)
        self.served(publisher.step(NODES))
        askers = [Asker(self.cluster, self.tree, number) for number in range(CLIENTS)]
        workers = [Worker(asker.step, lambda: 0.02) for asker in askers] + [Worker(publisher.step, lambda: chance.uniform(0.02, 0.5))]
        self.chaos = Chaos(self.cluster, schedule(SEED, SECONDS, SHARDS, ROUTERS, self.cluster.network is not None), self.damageable,
                           self.troubles)
        for worker in workers:
            worker.start()
        while self.chaos.step() or time.monotonic() - self.chaos.begin < SECONDS:
            for worker in workers:
                self.assertIsNone(worker.error)
            threading.Event().wait(0.01)
        self.chaos.heal()
        # Releases go on, and all that happened must be over within a while: the last answers are judged by that.
        healed = time.monotonic()
        while time.monotonic() - healed < 3 * SETTLED_S:
            for worker in workers:
                self.assertIsNone(worker.error)
            threading.Event().wait(0.05)
        for worker in workers:
            worker.stop()
        for asker in askers:
            asker.client.close()
        answers = [answer for asker in askers for answer in asker.answers]
        self.report(answers, publisher)
        self.judge(answers)
        self.all_is_as_before(publisher)

    def damageable(self):
        return [artefact for version, artefact in list(self.tree.artefacts.items()) if self.tree.nodes[version]][-60:]

    def served(self, epoch):
        with self.cluster.registry_client() as registry:
            NumberedTree.wait_served(registry, epoch, 60)

    def report(self, answers, publisher):
        faults = collections.Counter(fault.kind for fault, is_done in self.chaos.done if is_done)
        reasons = collections.Counter(espalier.Reason(answer.provenance.get("reason", 0)).name for answer in answers if answer.status == 0)
        errors = collections.Counter(espalier.Code(answer.status).name for answer in answers if answer.status)
        times = sorted(answer.received - answer.sent for answer in answers if answer.status == 0)
        print(f"{dict(faults)}: {len(answers)} answers {dict(reasons)}, {dict(errors) or 'no error'}; median {times[len(times) // 2] * 1e3:.1f} ms, "
              f"99 % {times[len(times) * 99 // 100] * 1e3:.0f} ms, longest {times[-1] * 1e3:.0f} ms; {len(self.history.releases)} releases, "
              f"{dict(publisher.done)}, refused on the way: {dict(publisher.refused)}", flush=True)

        self.say("the longest", max(answers, key=lambda answer: answer.received - answer.sent))

    def say(self, what, answer):
        """With the faults around it."""
        at = answer.sent - self.chaos.begin
        near = [str(fault) for fault, is_done in self.chaos.done if is_done and fault.at - 1 <= at <= fault.at + fault.seconds + 5]
        print(f"{at:.2f} s: {what}, {answer.received - answer.sent:.3f} s: {answer}\n  " + "\n  ".join(near), flush=True)

    def violation(self, answer):
        account = self.chaos.account
        if answer.status:
            shards = account.broken_during(SHARDS, answer.sent, answer.received)
            routers = account.broken_during(ROUTERS, answer.sent, answer.received)
            # A leaf has two shards, and the client two routers.
            if len(shards) > 1 or len(routers) > 1:
                return None if answer.status in EXCUSED else "a failure that nothing broken explains"
            return f"a failure, with {[*shards, *routers] or 'nothing'} broken"
        if answer.received - answer.sent > BUDGET_S + LATE_S:
            return "an answer after its deadline"
        return self.history.violation(answer)

    def judge(self, answers):
        found = [(violation, answer) for answer in answers if (violation := self.violation(answer))]
        runs = collections.defaultdict(list)
        for answer in answers:
            run = self.chaos.account.run_of(answer.shard, answer.sent, answer.received)
            if answer.status == 0 and run is not None:
                runs[answer.shard, run].append(answer)
        for (shard, run), of_run in runs.items():
            found += [(f"run {run} of {shard} knew epoch {newer.epoch} before", answer) for newer, answer in epochs_that_go_back(of_run)]
            found += [(f"run {run} of {shard} had answered from {newer.provenance} before", answer)
                      for newer, answer in self.history.versions_that_go_back(of_run)]
        for violation, answer in found[:20]:
            self.say(violation, answer)
        self.assertEqual(len(found), 0, f"{len(found)} violations; ESPALIER_CHAOS_SEED={SEED} repeats the schedule")

    def all_is_as_before(self, publisher):
        since = time.monotonic()
        newest = publisher.step(NODES)
        self.served(newest)
        for way in self.cluster.routers:
            with self.cluster.wire(way) as wire:
                behind = []
                try:
                    wait_until(lambda: self.all_are_exact(wire, way, newest, behind), 30, "all nodes' own answers")  # pylint: disable=cell-var-from-loop
                except TimeoutError as error:
                    raise AssertionError(f"{error}: {behind}") from error
        print(f"all shards served a release of all nodes {time.monotonic() - since:.2f} s after the end")
        for process in [*self.cluster.of("router"), *self.cluster.of("shard"), *self.cluster.of("registry")]:
            self.assertEqual(process.end(signal.SIGTERM), 0, process.name)
        checked = self.cluster.run("registry", "check", "--dir", self.cluster["registry"].folder, "--json")
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
        self.assertTrue(json.loads(checked.stdout)["clean"])

    def all_are_exact(self, wire, way, newest, behind):
        """Whether all nodes answer from the release of epoch `newest`; `behind`: what others say."""
        answers = ask(wire, way, self.tree.header(NODES, int(BUDGET_S * 1e6)), msgpack.packb(NumberedTree.ROW))
        for answer in answers:
            self.assertEqual(answer.status, 0, answer)
            self.assertIsNone(self.history.violation(answer), answer)
        behind[:] = [answer for answer in answers if answer.provenance["release_epoch"] != newest]
        return not behind


if __name__ == "__main__":
    unittest.main()
