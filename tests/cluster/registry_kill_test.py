"""kill -9 of the registry at random moments while many publish, set tags, go back, collect and erase: after each kill `registry check` finds nothing, and
everything acknowledged is there. $ESPALIER_KILL_SECONDS sets how long it goes on (default 8); the seed is printed.
"""

import json
import os
import pathlib
import random
import subprocess
import sys
import threading
import time
import unittest
import uuid

import msgpack

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from espalier_cluster import BIN, ROOT, Cluster, Wire, wait_until  # noqa: E402

import espalier  # noqa: E402
import espalier.registry  # noqa: E402

SECONDS = float(os.environ.get("ESPALIER_KILL_SECONDS", "8"))
SEED = int(os.environ.get("ESPALIER_SEED", time.time_ns() % 1_000_000))
CLIENTS = 6
VERSION, REMOVED = 0, 1


def fresh():
    return uuid.uuid4().bytes


class Writer(threading.Thread):
    """Changes things until it is told to stop; a change without an answer is sent again until it has one."""

    def __init__(self, test, number):
        super().__init__(daemon=True)
        self.test, self.tag = test, f"tag{number}"
        self.chance = random.Random(SEED + number)
        self.acknowledged, self.erased, self.seen_failures = [], [], 0
        self.is_stopping = threading.Event()
        self.error = None

    def run(self):
        try:
            with espalier.Registry(self.test.endpoint, timeout_s=2.0) as self.registry:
                while not self.is_stopping.is_set():
                    self.test.may_write.wait()
                    self.change()
        except BaseException as error:  # pylint: disable=broad-except
            self.error = error

    def call(self, op, members, body=None):
        while True:
            try:
                return self.registry.call(op, members, [] if body is None else [body])
            except espalier.EspalierError as error:
                if error.code == espalier.Code.FAILED_PRECONDITION and "collected" in str(error):
                    return None  # it went back to what is gone
                if error.code == espalier.Code.OVERLOADED and op in ("collect", "erase"):
                    return None  # enough are waiting
                if error.code != espalier.Code.UNAVAILABLE:
                    raise
                self.seen_failures += 1
                if self.is_stopping.is_set():
                    return None

    def erase(self):
        """A tenant that has no more than a release."""
        tenant, receipt, node, model = f"gone{fresh().hex()[:12]}", fresh(), self.test.nodes[0], self.test.model
        request = {"idem": fresh(), "tenant": tenant, "model": "duration", "tag": self.tag, "release": fresh(),
                   "spec_json": model["spec_json"], "fields": model["fields"]}
        self.call("upload", {"tenant": tenant, "artefacts": [node["artefact"]]}, self.test.artefact)
        if self.call("publish", request, msgpack.packb([{**node, "version": fresh()}])) is None:
            return
        if self.call("erase", {"idem": fresh(), "tenant": tenant, "receipt": receipt}) is not None:
            self.erased.append((tenant, receipt))

    def change(self):
        release, versions = fresh(), []
        request = {"idem": fresh(), "tenant": "acme", "model": "duration", "tag": self.tag, "release": release}
        kind = self.chance.random()
        if kind < 0.02:
            self.call("collect", {"idem": fresh(), "tenant": "acme", "receipt": fresh()})
            return
        if kind < 0.03:
            self.erase()
            return
        if kind < 0.7 or not self.acknowledged:
            nodes = self.chance.sample(self.test.nodes, self.chance.randint(1, 8))
            versions = [{**node, "version": fresh()} for node in nodes]
            model = self.test.model
            reply = self.call("publish", {**request, "spec_json": model["spec_json"], "fields": model["fields"],
                                          "replace": self.chance.random() < 0.5}, msgpack.packb(versions))
        elif kind < 0.85:
            back = self.chance.choice(self.acknowledged)[0]
            reply = self.call("move", {**request, "from_release": back})
        else:
            node = self.chance.choice(self.test.nodes)
            reply = self.call("move", request, msgpack.packb([{"partition": node["partition"], "kind": REMOVED}]))
        if reply is not None:
            self.acknowledged.append((release, [version["version"] for version in versions]))


class KilledRegistry(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        print(f"ESPALIER_SEED={SEED}")
        espalier.registry._RESEND_S = 0.1  # pylint: disable=protected-access
        cls.cluster = Cluster(shards=1).__enter__()
        cls.addClassCleanup(cls.cluster.__exit__, None, None, None)
        rides = cls.cluster.folder / "rides.csv"
        cls.cluster.run("sample-data", rides, "--rows", 4000)
        cls.cluster.train(ROOT / "examples" / "rides.toml", rides)
        with espalier.Registry(cls.cluster.registry()) as registry:
            cls.model = registry.call("models", {"tenant": "acme"})["models"][0]
            versions = registry.call("versions", {"tenant": "acme", "model": "duration"})["versions"]
            registry.call("set_retention", {"idem": fresh(), "tenant": "acme", "model": "duration", "rule": {"keep_all": False, "keep_last": 2}})
        with Wire(cls.cluster.registry()) as wire:
            _, (cls.artefact,) = wire.ask({"v": 1, "op": "fetch", "tenant": "acme", "artefacts": [versions[0]["artefact"]]})
        cls.nodes = [{"partition": version.get("partition", []), "artefact": version["artefact"]} for version in versions]
        cls.cluster.stop()
        cls.folder = cls.cluster.dir / "registry"
        cls.endpoint = f"ipc://{cls.cluster.folder}/registry.sock"

    def start(self):
        """The registry, ready."""
        self.process = subprocess.Popen([str(BIN / "espalier-registry"), "--dir", str(self.folder), "--bind", self.endpoint],
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(self.kill)
        self.assertTrue(self.process.stdout.readline(), "the registry did not start")

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def check(self):
        done = subprocess.run([str(BIN / "espalier"), "registry", "check", "--dir", str(self.folder), "--json"],
                              capture_output=True, timeout=300, check=False)
        self.assertEqual(done.returncode, 0, done.stdout.decode() + done.stderr.decode())
        self.assertTrue(json.loads(done.stdout)["clean"])

    def expect_there(self, acknowledged):
        with espalier.Registry(self.endpoint) as registry:
            for release, versions in acknowledged:
                found = registry.call("releases", {"tenant": "acme", "model": "duration", "release": release})
                self.assertEqual([one["release"] for one in found["releases"]], [release])
                for version in versions:
                    registry.call("versions", {"tenant": "acme", "model": "duration", "version": version})

    def expect_erased(self, erased):
        with espalier.Registry(self.endpoint) as registry:
            for tenant, receipt in erased:
                members = {"tenant": tenant, "receipt": receipt}
                wait_until(lambda: registry.call("receipt", members)["receipt"].get("finished_us", 0) != 0, 60, "its end")  # pylint: disable=cell-var-from-loop
                self.assertEqual(registry.call("verify_erasure", members).get("left", []), [])

    def test_what_it_acknowledged_is_there_and_everything_holds(self):
        chance = random.Random(SEED)
        writers = [Writer(self, number) for number in range(CLIENTS)]
        self.may_write = threading.Event()
        self.start()
        for writer in writers:
            writer.start()
        until, kills, looked_at = time.monotonic() + SECONDS, 0, [0] * CLIENTS
        while time.monotonic() < until:
            self.may_write.set()
            threading.Event().wait(chance.uniform(0.02, 0.8))  # the random moment
            self.kill()
            kills += 1
            self.may_write.clear()  # what is looked up next must come to an end
            counts = [len(writer.acknowledged) for writer in writers]
            self.check()
            self.start()
            for number, writer in enumerate(writers):
                self.expect_there(writer.acknowledged[looked_at[number]:counts[number]])
                self.assertIsNone(writer.error)
            looked_at = counts
        self.may_write.set()
        for writer in writers:
            writer.is_stopping.set()
        for writer in writers:
            writer.join(60)
            self.assertIsNone(writer.error)
            self.expect_there(writer.acknowledged)
        erased = [one for writer in writers for one in writer.erased]
        self.expect_erased(erased)
        changes = sum(len(writer.acknowledged) for writer in writers)
        print(f"{kills} kills, {changes} changes and {len(erased)} erasures acknowledged")
        self.assertGreater(changes, 10 * kills)
        self.kill()
        self.check()


if __name__ == "__main__":
    unittest.main()
