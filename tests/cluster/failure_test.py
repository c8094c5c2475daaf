"""Processes that die, and what callers see of it."""

import concurrent.futures
import json
import os
import pathlib
import signal
import subprocess
import sys
import unittest

import espalier
import msgpack
import zmq

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from espalier_cluster import BIN, ROOT, Cluster, Wire, predict_header, wait_until  # noqa: E402

ROW = {"rows": [{"distance_km": 4.2, "hour": 8, "vehicle": "bike", "weather": "dry"}]}
CITIES = [["germany", "berlin"], ["france", "paris"], ["brazil", "rio"], ["india", "delhi"], ["italy", "rome"], ["poland", "lodz"],
          ["kenya", "nairobi"], ["chile", "santiago"], ["norway", "oslo"], ["portugal", "porto"], []]


def alive(pid):
    """Whether the process runs; one that has ended and is not yet collected does not."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def prepare(cluster):
    rides = cluster.folder / "rides.csv"
    cluster.run("sample-data", rides, "--rows", 15000)
    cluster.train(ROOT / "examples" / "rides.toml", rides, where="split = train")


class DyingProcesses(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(shards=3).__enter__()
        self.addCleanup(self.cluster.__exit__, None, None, None)
        prepare(self.cluster)

    def ask_all(self, wire):
        """One request for many cities; the values by part, every part answered."""
        reply, bodies = wire.ask(predict_header("acme", "duration", CITIES, budget_us=10_000_000), *[ROW] * len(CITIES), seconds=15)
        self.assertEqual(reply["status"], 0, reply)
        for part in reply["parts"]:
            self.assertEqual(part.get("status", 0), 0, part)
        return [msgpack.unpackb(body)["value"] for body in bodies], [part["provenance"]["shard"] for part in reply["parts"]]

    def knows_the_cluster(self, wire):
        """A router that has just begun tells its clients to come again."""
        reply, _ = wire.ask(predict_header("acme", "duration", CITIES[:1], budget_us=10_000_000), ROW, seconds=15)
        return reply["status"] != espalier.Code.UNAVAILABLE

    def test_another_replica_answers_for_a_shard_that_was_killed(self):
        with Wire(self.cluster.router()) as wire:
            before, shards = self.ask_all(wire)
            victim = next(p for p in self.cluster.processes("shard") if p["name"] == shards[0])
            os.kill(victim["pid"], signal.SIGKILL)
            for _ in range(20):
                after, _ = self.ask_all(wire)
                self.assertEqual(after, before)
            new = wait_until(lambda: next((p for p in self.cluster.processes("shard")
                                           if p["name"] == victim["name"] and p["pid"] != victim["pid"]), None),
                             what="the shard started again")
            self.assertTrue(alive(new["pid"]))
            wait_until(lambda: victim["name"] in self.ask_all(wire)[1], seconds=60, what="the shard answers again")

    def test_another_replica_answers_for_a_shard_that_hangs(self):
        with Wire(self.cluster.router()) as wire:
            before, shards = self.ask_all(wire)
            victim = next(p for p in self.cluster.processes("shard") if p["name"] == shards[0])
            os.kill(victim["pid"], signal.SIGSTOP)
            try:
                for _ in range(20):
                    self.assertEqual(self.ask_all(wire)[0], before)
            finally:
                os.kill(victim["pid"], signal.SIGCONT)

    def test_predictions_go_on_without_the_registry(self):
        with Wire(self.cluster.router()) as wire:
            before, _ = self.ask_all(wire)
            registry = self.cluster.processes("registry")[0]
            os.kill(registry["pid"], signal.SIGKILL)
            for _ in range(20):
                self.assertEqual(self.ask_all(wire)[0], before)
            wait_until(lambda: self.cluster.processes("registry")[0]["pid"] != registry["pid"], what="the registry started again")
            # What was acknowledged is still there, and changes are taken again.
            self.assertEqual(len(self.cluster.json("release", "list", "acme/duration")), 1)
            prepare(self.cluster)
            self.assertEqual(len(self.cluster.json("release", "list", "acme/duration")), 2)

    def test_a_router_that_was_killed_comes_back_where_it_was(self):
        endpoints = self.cluster.file()["router"]
        os.kill(self.cluster.processes("router")[0]["pid"], signal.SIGKILL)
        for endpoint in endpoints:
            with Wire(endpoint, key=self.cluster.dir / "keys" / "admin.key") as wire:
                wait_until(lambda: self.knows_the_cluster(wire), what="the router heard of the cluster again")
                self.ask_all(wire)
        self.assertEqual(self.cluster.file()["router"], endpoints)


class GoingDown(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(shards=2).__enter__()
        self.addCleanup(self.cluster.__exit__, None, None, None)
        self.pids = [p["pid"] for p in self.cluster.processes()]

    def assert_all_gone(self):
        for pid in self.pids:
            wait_until(lambda: not alive(pid), what=f"process {pid} ends")

    def test_an_interrupt_takes_it_down_whole_though_a_child_died(self):
        os.kill(self.cluster.processes("shard")[0]["pid"], signal.SIGKILL)
        up = self.cluster.process
        wait_until(lambda: any("ended" in line for line in self.cluster.said), what="the death is reported")
        up.send_signal(signal.SIGINT)
        self.assertEqual(up.wait(60), 0)
        self.assert_all_gone()
        self.assertFalse((self.cluster.dir / "cluster.json").exists())

    def test_a_child_that_stands_ends_with_an_interrupt(self):
        os.kill(self.cluster.processes("shard")[0]["pid"], signal.SIGSTOP)
        self.cluster.process.send_signal(signal.SIGINT)
        self.assertEqual(self.cluster.process.wait(60), 0)
        self.assert_all_gone()
        self.assertFalse([line for line in self.cluster.said if "is killed" in line])

    def test_children_end_with_a_parent_that_was_killed_also_one_that_stands(self):
        os.kill(self.cluster.processes("router")[0]["pid"], signal.SIGSTOP)
        self.cluster.process.kill()
        self.cluster.process.wait()
        self.assert_all_gone()
        self.cluster.start()

    def test_a_new_one_waits_for_what_is_left_of_the_one_before(self):
        self.cluster.process.kill()
        self.cluster.process.wait()
        self.assert_all_gone()
        # Stands for a process of that one which takes its time to end.
        left = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", BIN / "espalier-registry", "--dir", self.cluster.folder / "left",
                                 "--bind", f"ipc://{self.cluster.folder}/left.sock"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(left.stdout.close)
        self.addCleanup(left.wait)
        self.addCleanup(left.kill)
        self.assertIn(b"ready", left.stdout.readline())
        said = self.cluster.file()
        next(process for process in said["processes"] if process["role"] == "router")["pid"] = left.pid
        (self.cluster.dir / "cluster.json").write_text(json.dumps(said))
        was_ready = []

        def end_it_once_waited_for():
            wait_until(lambda: any(str(left.pid) in line for line in self.cluster.said), what="the new one waits for the old")
            was_ready.append(any(line == "ready" for line in self.cluster.said))
            left.kill()

        with concurrent.futures.ThreadPoolExecutor() as pool:
            self.cluster.said = []
            ended = pool.submit(end_it_once_waited_for)
            self.cluster.start()
            ended.result()
        self.assertEqual(was_ready, [False], "the new cluster was ready before the old had ended")

    def test_one_folder_has_one_cluster(self):
        second = subprocess.run([BIN / "espalier", "up", "--dir", self.cluster.dir], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(second.returncode, 1)
        self.assertIn("a cluster runs in", second.stderr)
        self.assertTrue(all(alive(pid) for pid in self.pids))


class PlainSockets(unittest.TestCase):
    def test_a_req_socket_works(self):
        with Cluster(shards=2, insecure=True) as cluster:
            prepare(cluster)
            context = zmq.Context()
            socket = context.socket(zmq.REQ)
            socket.setsockopt(zmq.LINGER, 0)
            socket.connect(cluster.router("tcp"))
            try:
                for city in CITIES:
                    socket.send_multipart([b"1", msgpack.packb(predict_header("acme", "duration", [city])), msgpack.packb(ROW)])
                    self.assertTrue(socket.poll(10_000), "no answer")
                    request_id, header, body = socket.recv_multipart()
                    self.assertEqual(request_id, b"1")
                    self.assertEqual(msgpack.unpackb(header)["status"], 0)
                    self.assertEqual(len(msgpack.unpackb(body)["value"]), 1)
            finally:
                socket.close()
                context.term()


if __name__ == "__main__":
    unittest.main()
