"""A registry that is restored from a backup while the cluster runs (docs/upkeep.md), and one whose disk is full: every prediction is answered
meanwhile, and each answer is right for what the registry says, or said."""

import os
import pathlib
import signal
import sys
import unittest
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from answers import EXACT, History, ask  # noqa: E402
from espalier_cluster import wait_until  # noqa: E402
from follower import Follower  # noqa: E402
from host_cluster import HostCluster, NumberedTree  # noqa: E402
from network import own_mounts  # noqa: E402

import espalier  # noqa: E402
import msgpack  # noqa: E402

NODES = [(), *((f"c{i}",) for i in range(4)), *((f"c{i}", f"t{j}") for i in range(4) for j in range(5))]
ROW = msgpack.packb(NumberedTree.ROW)
SHARDS = ("s0", "s1", "s2")


class WithFollower(unittest.TestCase):
    def begin(self, **options):
        self.cluster = self.enterContext(HostCluster(shards=len(SHARDS), routers=2, **options))
        self.tree = NumberedTree()
        self.history = History(self.tree)

    def follower(self):
        return Follower(self.cluster, self.tree, NODES, self.cluster.routers)

    def publish(self, registry, *histories, nodes=NODES):
        epoch, release, versions = self.tree.publish(registry, nodes, wait_s=30)
        for history in histories or [self.history]:
            history.add(epoch, release, versions)
        return release

    def releases_of(self, answers):
        return {answer.provenance["release"] for answer in answers if answer.status == 0}

    def has_answered(self, follower, release):
        """Until two whole rounds have been answered by this release."""
        seen = follower.rounds
        wait_until(lambda: follower.rounds > seen + 2, what="rounds of answers")
        self.assertEqual(self.releases_of(follower.answers[-2 * len(NODES):]), {release})

    def shard_says(self, name):
        bind = self.cluster[name].words[self.cluster[name].words.index("--bind") + 1]
        with self.cluster.wire(bind) as wire:
            return wire.ask({"v": 1, "op": "shard_status"})[0]


class Restore(WithFollower):
    def test_a_backup_is_restored_under_load_and_every_reader_takes_the_new_generation(self):
        self.begin()
        restored = History(self.tree)
        file = self.cluster.folder / "backup.espalier"
        with self.cluster.registry_client() as registry:
            self.publish(registry, self.history, restored)
            kept = self.publish(registry, self.history, restored, nodes=NODES[::2])
            before = registry.call("hello", {})["generation"]
            made = self.cluster.run("registry", "backup", "--to", file)
            self.assertEqual(made.returncode, 0, made.stderr)
            lost = self.publish(registry)
        with self.follower() as follower:
            self.has_answered(follower, lost)
            process = self.cluster["registry"]
            self.assertEqual(process.end(signal.SIGTERM), 0)
            process.folder.rename(self.cluster.folder / "registry-before")
            seen = follower.rounds
            wait_until(lambda: follower.rounds > seen + 2, what="answers without a registry")
            done = self.cluster.run("registry", "restore", "--from", file, "--dir", process.folder, "--json")
            self.assertEqual(done.returncode, 0, done.stderr)
            process.start()
            with self.cluster.registry_client() as registry:
                after = registry.call("hello", {})["generation"]
                self.assertNotEqual(after, before)
                wait_until(lambda: all(self.shard_says(name).get("generation") == after for name in SHARDS), what="all shards are of the new generation")
                for name in SHARDS:
                    self.assertIn("snapshot required", self.cluster[name].log.read_text())
                begun = len(follower.answers)
                wait_until(lambda: lost not in self.releases_of(follower.answers[-2 * len(NODES):]), what="nothing answers from the release that is gone")
                taken = len(follower.answers)
                other = NumberedTree(model="late")
                _, _, versions = other.publish(registry, NODES, wait_s=30)
                for router in self.cluster.routers:  # which learn of a model by the registry's word only
                    with self.cluster.wire(router) as wire:
                        wait_until(lambda: self.are(ask(wire, router, other.header(NODES), ROW), versions), what="the new model answers")  # pylint: disable=cell-var-from-loop
                newest = self.publish(registry, restored)
            self.has_answered(follower, newest)
        answers = follower.answers
        self.assertIn(kept, self.releases_of(answers[taken:]))
        for place, answer in enumerate(answers):
            self.assertEqual((answer.status, answer.provenance.get("reason", EXACT)), (0, EXACT), answer)
            wrong = [history.violation(answer) for history in (self.history, restored)]
            self.assertIn(None, wrong if place < taken else wrong[1:], answer)
        longest = max(answer.received - answer.sent for answer in answers)
        print(f"{len(answers)} answers, none failed, longest {longest * 1000:.0f} ms; {taken - begun} from when all shards had the new generation until none came from the old one")

    @staticmethod
    def are(answers, versions):
        return all(answer.status == 0 and answer.provenance["version"] == versions[answer.asked] for answer in answers)


@unittest.skipIf(os.geteuid() != 0, "needs root, for a disk of its own")
class FullDisk(WithFollower):
    def setUp(self):
        own_mounts()
        self.begin(disk_mb=512)

    def changes(self, registry):
        """Of several kinds: (operation, members, bodies)."""
        about = {"tenant": self.tree.tenant, "model": self.tree.model}
        version = registry.call("versions", about)["versions"][-1]
        upload, bodies, publish, entries, versions = self.tree.release(NODES)
        registry.call("upload", upload, bodies)
        self.history_of = publish["release"], versions
        kinds = [("quarantine", {**about, "version": version["version"]}, []),
                 ("quarantine", {**about, "version": version["version"], "lift": True}, []),
                 ("set_tenant", {"tenant": self.tree.tenant, "requests_in_flight": 500}, []),
                 ("set_retention", {**about, "rule": {"keep_all": False, "keep_last": 5}}, []),
                 ("run_start", {**about, "run": uuid.uuid4().bytes, "name": "first"}, [])]
        return [("publish", publish, [entries]), *((operation, {**members, "idem": uuid.uuid4().bytes}, bodies) for operation, members, bodies in kinds)]

    def test_changes_are_refused_with_resource_exhausted_and_predictions_go_on(self):
        with self.cluster.registry_client() as registry:
            first = self.publish(registry)
            changes = self.changes(registry)
            with self.follower() as follower:
                self.has_answered(follower, first)
                self.cluster.fill_disk("registry")
                try:
                    for change in changes:
                        with self.assertRaises(espalier.EspalierError) as refused:
                            registry.call(*change)
                        self.assertEqual(refused.exception.code, espalier.Code.RESOURCE_EXHAUSTED, (change[0], refused.exception))
                    said = self.cluster.run("tenant", "set", self.tree.tenant, "--in-flight", 7)
                    self.assertEqual(said.returncode, 1)
                    self.assertIn("resource_exhausted", said.stderr)
                    self.assertEqual(len(registry.call("releases", {"tenant": self.tree.tenant, "model": self.tree.model})["releases"]), 1)
                    self.has_answered(follower, first)
                finally:
                    self.cluster.empty_disk("registry")
                # With space again the same changes, with the same idem, are taken.
                epoch = registry.call(*changes[0])["epoch"]
                self.history.add(epoch, *self.history_of)
                NumberedTree.wait_served(registry, epoch, 30)  # what is in quarantine next answers nowhere any more
                for change in changes[1:]:
                    registry.call(*change)
                wait_until(lambda: self.releases_of(follower.answers[-2 * len(NODES):]) == {self.history_of[0]}, what="the release that had been refused")
        for answer in follower.answers:
            self.assertEqual((answer.status, self.history.violation(answer)), (0, None), answer)
        print(f"{len(changes)} kinds of changes refused, {len(follower.answers)} answers meanwhile, none failed")
        self.assertEqual(self.cluster["registry"].end(signal.SIGTERM), 0)
        checked = self.cluster.run("registry", "check", "--dir", self.cluster["registry"].folder, "--json")
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)


if __name__ == "__main__":
    unittest.main()
