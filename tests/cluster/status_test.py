"""Faults planted in a cluster one at a time: `espalier status` names each of them, that one first, and nothing else as wrong; and nothing once it
is mended."""

import contextlib
import datetime
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest

import msgpack

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from damage import flip_bit  # noqa: E402
from espalier_cluster import BIN, ROOT, Cluster, Wire, predict_header, wait_until  # noqa: E402
from host_cluster import HostCluster, NumberedTree  # noqa: E402
from network import own_mounts  # noqa: E402

import espalier  # noqa: E402

NODES = [(), *((f"c{i}",) for i in range(4)), *((f"c{i}", f"t{j}") for i in range(4) for j in range(5))]
ROW = msgpack.packb({"rows": [{"distance_km": 4.2, "hour": 8, "vehicle": "standard", "weather": "dry"}]})


def read(done):
    """What a finished `status --json` says; its exit code fits."""
    assert done.returncode in (0, 1) and done.stdout, (done.returncode, done.stdout, done.stderr)
    said = json.loads(done.stdout)
    wrong = [problem for problem in said["problems"] if not problem["warning"]]
    assert done.returncode == (1 if wrong else 0), (done.returncode, said["problems"])
    return said


class Forwarder:
    """Passes TCP connections on, until it is cut; then it takes none."""

    def __init__(self, host, to):
        self.to, self.sockets = to, []
        self.listener = socket.create_server((host, 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                here, _ = self.listener.accept()
                try:
                    there = socket.create_connection(self.to)
                except OSError:  # nobody listens there yet
                    here.close()
                    continue
                self.sockets += [here, there]
                for a, b in ((here, there), (there, here)):
                    threading.Thread(target=self._pass, args=(a, b), daemon=True).start()

    @staticmethod
    def _pass(a, b):
        with contextlib.suppress(OSError):
            while got := a.recv(65536):
                b.sendall(got)
        for end in (a, b):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for each in self.sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


class Planted(unittest.TestCase):
    def first(self, kind, about, seconds=40):
        """Until that is the first problem; then it is the only one, and says what to do."""
        last = []

        def is_first():
            last[:] = self.status()["problems"]
            return last and (last[0]["kind"], last[0]["about"]) == (kind, about)

        try:
            wait_until(is_first, seconds, f"{kind} of {about}")
        except TimeoutError as error:
            raise AssertionError(f"{error}; status says {last}") from None
        self.assertEqual([problem["kind"] for problem in last if not problem["warning"]], [kind], last)
        self.assertTrue(all(problem["what"] and problem["remedy"] for problem in last))
        print(f"{last[0]['about']}: {last[0]['what']} -> {last[0]['remedy']}", file=sys.stderr)

    def healthy(self, seconds=60):
        wait_until(lambda: not [p for p in self.status()["problems"] if not p["warning"]], seconds, "nothing is wrong")


class HostsFaults(Planted):
    """Processes started by hand, as on hosts of their own."""

    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("mounting disks needs root")
        if shutil.which("cc") is None:
            raise unittest.SkipTest("no C compiler for the faults of a machine")
        own_mounts()
        cls.cluster = HostCluster(shards=3, routers=2, disk_mb=256, registry_options=["--lease-ms", "3000"])
        cls.faults = cls.cluster.folder / "faults.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", cls.faults, ROOT / "tests" / "support" / "faults.c", "-ldl"], check=True)
        cls.disk_fault = cls.cluster.folder / "registry-disk-fault"
        cls.with_faults("registry", f"ESPALIER_TEST_DISK_FAULT={cls.disk_fault}")
        registry = cls.cluster.registry.removeprefix("tcp://").split(":")
        cls.forwarder = Forwarder(cls.cluster.addresses["s2"], (registry[0], int(registry[1])))
        words = cls.cluster["s2"].words
        words[words.index("--registry") + 1] = f"tcp://{cls.cluster.addresses['s2']}:{cls.forwarder.port}"
        cls.cluster.__enter__()
        cls.addClassCleanup(cls.cluster.__exit__, None, None, None)
        cls.tree = NumberedTree()
        with cls.cluster.registry_client() as client:
            cls.tree.publish(client, NODES, wait_s=30)

    @classmethod
    def with_faults(cls, name, *settings):
        process = cls.cluster[name]
        process.words = ["env", f"LD_PRELOAD={cls.faults}", *settings, *process.words]

    def status(self):
        return read(self.cluster.run("status", "--json"))

    def setUp(self):
        self.healthy()

    def in_view(self):
        with self.cluster.registry_client() as client:
            return [shard["name"] for shard in client.call("view", {})["view"]["shards"]]

    def test_a_healthy_cluster_has_no_problem_and_says_what_it_is(self):
        said = self.status()
        self.assertEqual(said["problems"], [])
        self.assertEqual([(shard["reach"], shard["nodes_ready"] > 0) for shard in said["shards"]], [("answers", True)] * 3)
        self.assertEqual([router["reach"] for router in said["routers"]], ["answers"] * 2)
        done = self.cluster.run("status")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("nothing is wrong", done.stdout)
        self.assertLessEqual(max(map(len, done.stdout.splitlines())), 80, done.stdout)
        self.assertLessEqual(len(done.stdout.splitlines()), 24)

    def test_a_shard_that_is_dead(self):
        self.cluster["s1"].kill()
        try:
            self.first("shard_dead", "shard s1")
            # Others take what it held, and it leaves the view: it is dead all the same.
            wait_until(lambda: "s1" not in self.in_view(), what="s1 to leave the view")
            self.first("shard_dead", "shard s1")
        finally:
            self.cluster["s1"].start()

    def test_a_shard_that_hangs(self):
        self.cluster["s1"].stop_where_it_is()
        try:
            self.first("shard_hung", "shard s1")
        finally:
            self.cluster["s1"].go_on()

    def test_a_router_that_is_dead_and_one_that_hangs(self):
        router = self.cluster["router1"]
        about = f"router {self.cluster.routers[1]}"
        router.stop_where_it_is()
        try:
            self.first("router_hung", about)
        finally:
            router.go_on()
        router.kill()
        try:
            self.first("router_dead", about)
        finally:
            router.start()

    def test_a_registry_that_is_dead_and_one_that_hangs(self):
        self.cluster["registry"].stop_where_it_is()
        try:
            self.first("registry_hung", "the registry")
        finally:
            self.cluster["registry"].go_on()
        self.cluster["registry"].kill()
        try:
            self.first("registry_dead", "the registry")
        finally:
            self.cluster["registry"].start()

    def test_a_disk_that_is_full(self):
        for name, about in (("s1", "shard s1"), ("registry", "the registry")):
            self.healthy()
            self.cluster.fill_disk(name)
            try:
                self.first("disk_full", about)
            finally:
                self.cluster.empty_disk(name)

    def test_a_registry_that_is_read_only(self):
        self.disk_fault.touch()
        try:
            self.assertNotEqual(self.cluster.run("tenant", "set", "acme", "--in-flight", 1000).returncode, 0)
            self.first("registry_read_only", "the registry")
        finally:
            self.disk_fault.unlink()
            self.assertEqual(self.cluster.run("tenant", "set", "acme", "--in-flight", 0).returncode, 0)

    def test_a_clock_that_is_off(self):
        process = self.cluster["router1"]
        about, words = f"router {self.cluster.routers[1]}", process.words
        process.end()
        self.with_faults("router1", "ESPALIER_TEST_CLOCK_OFF=-3600")
        process.start()
        try:
            self.first("clock_off", about)
        finally:
            process.end()
            process.words = words
            process.start()

    def test_an_epoch_that_is_stuck(self):
        self.forwarder.cut()
        try:
            self.first("epoch_stuck", "shard s2")
        finally:
            registry = self.cluster.registry.removeprefix("tcp://").split(":")
            type(self).forwarder = Forwarder(self.cluster.addresses["s2"], (registry[0], int(registry[1])))
            process = self.cluster["s2"]
            process.end()
            process.words[process.words.index("--registry") + 1] = f"tcp://{self.cluster.addresses['s2']}:{self.forwarder.port}"
            process.start()

    def test_a_process_that_says_nothing_does_not_hold_the_others_up(self):
        self.cluster["s1"].stop_where_it_is()
        self.cluster["router1"].stop_where_it_is()
        try:
            began = time.monotonic()
            said = self.status()
            self.assertLess(time.monotonic() - began, 8)
            self.assertEqual({p["kind"] for p in said["problems"] if not p["warning"]}, {"shard_hung", "router_hung"})
        finally:
            self.cluster["s1"].go_on()
            self.cluster["router1"].go_on()


class RouterAlone(Planted):
    def status(self):
        return read(self.cluster.run("status", "--json"))

    def test_a_router_without_shards(self):
        with HostCluster(shards=0, routers=1) as self.cluster:
            self.first("router_without_shards", f"router {self.cluster.routers[0]}")


class UpFaults(Planted):
    """What is planted in a cluster of `espalier up`."""

    def setUp(self):
        self.cluster = Cluster(shards=1, verify="always", **{"scrub-interval": 0}).__enter__()
        self.addCleanup(self.cluster.__exit__, None, None, None)

    def status(self):
        done = subprocess.run([str(BIN / "espalier"), "status", "--json"], capture_output=True, text=True, timeout=60, check=False,
                              env={**os.environ, "ESPALIER_CLUSTER": str(self.cluster.dir)})
        return read(done)

    def train(self):
        rides = self.cluster.folder / "rides.csv"
        self.cluster.run("sample-data", rides, "--rows", 6000)
        self.cluster.train(ROOT / "examples" / "rides.toml", rides)
        with espalier.Registry(self.cluster.registry()) as registry:
            versions = registry.call("versions", {"tenant": "acme", "model": "duration"})["versions"]
        return {tuple(version.get("partition", [])): version["artefact"] for version in versions}

    @contextlib.contextmanager
    def asked(self, nodes):
        """Somebody asks for these all the time."""
        stop = threading.Event()

        def ask():
            with Wire(self.cluster.router()) as wire:
                while not stop.wait(0.005):
                    for node in nodes[:8]:
                        wire.ask(predict_header("acme", "duration", [node], budget_us=5_000_000), ROW)

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def test_a_key_that_has_expired(self):
        self.healthy()
        end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=3)
        self.cluster.run("keys", "create", "desk", "--role", "predictor", "--tenant", "acme", "--expires", end.strftime("%Y-%m-%d %H:%M:%S"),
                         "--out", self.cluster.folder / "desk.key")
        self.first("key_expired", "key desk")
        self.cluster.run("keys", "revoke", "desk")
        self.healthy()

    def test_a_pack_that_is_corrupt(self):
        artefacts = self.train()
        self.healthy()
        leaves = sorted({artefact for node, artefact in artefacts.items() if len(node) == 2} - {artefacts[()]})
        # The registry has them damaged, too: nothing can be fetched anew.
        self.flip("registry", leaves)
        self.flip("shards", leaves)
        with self.asked(sorted(node for node in artefacts if len(node) == 2)):
            self.first("corrupt_pack", "shard s0")

    def test_a_cold_storm(self):
        artefacts = self.train()
        self.healthy()
        leaves = {artefact for node, artefact in artefacts.items() if len(node) == 2} - {a for n, a in artefacts.items() if len(n) < 2}
        state = self.cluster.dir / "shards" / "s0" / "state"
        wait_until(lambda: state.exists() and all(artefact in state.read_bytes() for artefact in leaves), what="the shard has saved")
        self.flip("registry", leaves)
        shutil.rmtree(self.cluster.dir / "shards" / "s0" / "pack")
        old = self.cluster.processes("shard")[0]["pid"]
        os.kill(old, signal.SIGKILL)
        wait_until(lambda: self.cluster.processes("shard")[0]["pid"] != old, what="another process")
        with self.asked(sorted(node for node in artefacts if len(node) == 2)):
            self.first("cold_storm", "shard s0")

    def flip(self, folder, artefacts):
        chance = random.Random(3)
        paths = list((self.cluster.dir / folder).rglob("*.pack"))
        for path in paths:
            path.chmod(0o644)
        for artefact in artefacts:
            self.assertTrue(any([flip_bit(path, artefact, chance) for path in paths]))


if __name__ == "__main__":
    unittest.main()
