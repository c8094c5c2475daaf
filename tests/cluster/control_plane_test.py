"""The registry is away: predictions go on, also from routers and shards that start meanwhile; changes are refused. Files of routers and shards
that are damaged then cost no answer that another replica has."""

import contextlib
import fcntl
import os
import pathlib
import signal
import sys
import time
import unittest
import uuid

import espalier
import msgpack

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from espalier_cluster import ROOT, Cluster, Failed, Wire, predict_header, wait_until  # noqa: E402

ROW = {"rows": [{"distance_km": 4.2, "hour": 8, "vehicle": "bike", "weather": "dry"}]}
CITIES = [["germany", "berlin"], ["france", "paris"], ["brazil", "rio"], ["india", "delhi"], ["italy", "rome"], ["kenya", "nairobi"],
          ["nowhere"], []]
COLD = 4  # docs/wire-protocol.md
KEPT = ("asked", "served", "reason", "version", "tag", "release", "release_epoch", "epoch")


def without_epoch(answers):
    """What is the same whoever leaves and enters the view."""
    return [(value, {key: said for key, said in provenance.items() if key != "epoch"}) for value, provenance in answers]


class ControlPlaneDown(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(shards=3).__enter__()
        self.addCleanup(self.cluster.__exit__, None, None, None)
        self.rides = self.cluster.folder / "rides.csv"
        self.cluster.run("sample-data", self.rides, "--rows", 15000)
        self.train()
        self.routes = self.cluster.dir / "routers" / "router" / "routes"
        wait_until(lambda: b"duration" in self.routes.read_bytes(), what="the router has written what it knows of the model")

    def state_is_saved(self):
        """Whether all shards have written the newest release, which their replies name."""
        with Wire(self.cluster.router()) as wire:
            release = str(uuid.UUID(bytes=self.ask(wire)[0][1]["release"]))
        states = [self.cluster.dir / "shards" / p["name"] / "state" for p in self.cluster.processes("shard")]
        return all(release.encode() in state.read_bytes() for state in states)

    def train(self):
        return self.cluster.train(ROOT / "examples" / "rides.toml", self.rides, where="split = train")

    def ask(self, wire, seconds=15):
        """Values and provenance by part; None where the cluster can't answer all parts yet."""
        reply, bodies = wire.ask(predict_header("acme", "duration", CITIES, budget_us=5_000_000), *[ROW] * len(CITIES), seconds=seconds)
        if reply["status"] != 0 or any(part.get("status", 0) for part in reply["parts"]):
            codes = {reply["status"], *(part.get("status", 0) for part in reply.get("parts", []))} - {0}
            self.assertLessEqual(codes, {espalier.Code.UNAVAILABLE, espalier.Code.DEADLINE_EXCEEDED}, reply)
            return None
        return [(msgpack.unpackb(body)["value"], {key: part["provenance"].get(key) for key in KEPT})
                for body, part in zip(bodies, reply["parts"])]

    @contextlib.contextmanager
    def registry_away(self):
        """Kills it; whoever starts it again finds its folder taken until the block ends."""
        up = self.cluster.process
        old = self.cluster.processes("registry")[0]["pid"]
        os.kill(up.pid, signal.SIGSTOP)
        try:
            os.kill(old, signal.SIGKILL)
            lock = os.open(self.cluster.dir / "registry", os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(lock, fcntl.LOCK_EX)  # waits for the end of the old one
        finally:
            os.kill(up.pid, signal.SIGCONT)
        try:
            yield
        finally:
            os.close(lock)

    def kill(self, *roles):
        """Kills all processes of these roles at once, and waits until each was started again."""
        victims = [p for role in roles for p in self.cluster.processes(role)]
        for victim in victims:
            os.kill(victim["pid"], signal.SIGKILL)
        gone = {p["pid"] for p in victims}
        names = {p["name"] for p in victims}
        wait_until(lambda: not gone & {p["pid"] for p in self.cluster.processes()}, what="new processes")
        return names

    def assert_answers_again(self, before, since):
        """A client with a connection of its own is answered as before. Until the shards that hold a leaf are there again another one
        stands in for them and says so (`cold`)."""
        with Wire(self.cluster.router()) as wire:
            got = wait_until(lambda: self.ask(wire), seconds=60, what="predictions again")
            first_s = time.monotonic() - since
            while got != before:
                for now, then in zip(got, before):
                    self.assertTrue(now == then or now[1]["reason"] == COLD, (now, then))
                self.assertLess(time.monotonic() - since, 60)
                got = wait_until(lambda: self.ask(wire), seconds=60, what="predictions again")
        print(f"answered {first_s:.2f} s after the kill, as before after {time.monotonic() - since:.2f} s")

    def changes(self):
        """Changes of several kinds that a registry takes: (operation, members, bodies)."""
        about = {"tenant": "acme", "model": "duration"}
        with espalier.Registry(self.cluster.registry()) as registry:
            version = registry.call("versions", about)["versions"][-1]
            releases = registry.call("releases", about)["releases"]
        entry = {"partition": version["partition"], "version": version["version"]}
        kinds = [("move", {**about, "tag": "canary", "release": uuid.uuid4().bytes}, [msgpack.packb([entry])]),
                 ("rollback", {**about, "tag": "production", "release": uuid.uuid4().bytes, "to": {"release": releases[0]["release"]}}, []),
                 ("quarantine", {**about, "version": version["version"], "reason": "doubts"}, []),
                 ("quarantine", {**about, "version": version["version"], "lift": True}, []),
                 ("set_tenant", {"tenant": "acme", "requests_in_flight": 500}, []),
                 ("set_retention", {**about, "rule": {"keep_all": False, "keep_last": 5}}, []),
                 ("run_start", {**about, "run": uuid.uuid4().bytes, "name": "first"}, [])]
        return [(operation, {**members, "idem": uuid.uuid4().bytes}, bodies) for operation, members, bodies in kinds]

    def assert_refused(self, changes):
        """Each with `unavailable`, when its time is over; the command line says the same."""
        with espalier.Registry(self.cluster.registry(), timeout_s=0.3) as registry:
            for change in changes:
                with self.assertRaises(espalier.EspalierError) as refused:
                    registry.call(*change)
                self.assertEqual(refused.exception.code, espalier.Code.UNAVAILABLE, change)

    def assert_taken(self, changes):
        """The same ones, with the same idem, are taken; sent once more they get the same reply."""
        with espalier.Registry(self.cluster.registry()) as registry:
            replies = [registry.call(*change) for change in changes]
            self.assertEqual([registry.call(*change) for change in changes], replies)

    def test_routers_and_shards_start_without_the_registry_and_answer_as_before(self):
        with Wire(self.cluster.router()) as wire:
            before = self.ask(wire)
        self.assertIsNotNone(before)
        wait_until(self.state_is_saved, what="the shards have written their state")
        changes = self.changes()
        with self.registry_away():
            for roles in [("router",), ("shard",), ("router", "shard")]:
                since = time.monotonic()
                self.kill(*roles)
                self.assert_answers_again(before, since)
            self.assert_refused(changes)
        wait_until(lambda: self.registry_answers(), seconds=60, what="the registry again")
        self.assert_taken(changes)
        self.train()
        with Wire(self.cluster.router()) as wire:
            after = self.ask(wire)
        self.assertEqual([p["asked"] for _, p in after], [p["asked"] for _, p in before])
        for (_, old), (_, new) in zip(before, after):
            self.assertNotEqual(old["release"], new["release"])
            self.assertGreater(new["epoch"], old["epoch"])
        self.assertEqual(len(self.cluster.json("release", "list", "acme/duration")), 4, "two trainings, a move and a rollback")

    def registry_answers(self):
        try:
            return self.cluster.json("release", "list", "acme/duration")
        except Failed:
            return None

    def test_a_shard_whose_state_file_is_damaged_costs_no_answer_and_starts_from_the_registry(self):
        wait_until(self.state_is_saved, what="the shards have written their state")
        with Wire(self.cluster.router()) as wire:
            before = self.ask(wire)
            for harm in ("a flipped bit", "cut short", "empty"):
                name = self.cluster.processes("shard")[0]["name"]
                folder, log = self.cluster.dir / "shards" / name, self.cluster.dir / "log" / f"{name}.log"
                said, old = log.stat().st_size, self.pid(name)
                os.kill(self.cluster.process.pid, signal.SIGSTOP)  # so that it isn't started again before the harm is done
                try:
                    os.kill(old, signal.SIGKILL)
                    content = bytearray((folder / "state").read_bytes())
                    content[len(content) // 2] ^= 0x10
                    damaged = {"a flipped bit": content, "cut short": content[:len(content) // 2], "empty": b""}[harm]
                    (folder / "state").write_bytes(damaged)
                finally:
                    os.kill(self.cluster.process.pid, signal.SIGCONT)
                answers = 0

                def is_ready(log=log, said=said):
                    nonlocal answers
                    self.assertEqual(without_epoch(self.ask(wire)), without_epoch(before), harm)
                    answers += 1
                    return b" ready name=" in log.read_bytes()[said:]

                wait_until(is_ready, seconds=60, what=f"{name} is ready again")
                self.assertIn(b"no restart from disk", log.read_bytes()[said:], harm)
                print(f"state {harm}: {answers} requests answered as before until {name} was ready again")
                wait_until(self.state_is_saved, what="it has written its state anew")

    def pid(self, name):
        return next(p["pid"] for p in self.cluster.processes() if p["name"] == name)

    def test_a_router_whose_file_is_damaged_waits_for_the_registry_and_says_why(self):
        with Wire(self.cluster.router()) as wire:
            before = self.ask(wire)
        routes = self.routes
        with self.registry_away():
            bytes_ = bytearray(routes.read_bytes())
            bytes_[len(bytes_) // 2] ^= 0x10
            routes.write_bytes(bytes_)
            self.kill("router")
            with Wire(self.cluster.router()) as wire:
                reply, _ = wire.ask(predict_header("acme", "duration", CITIES[:1]), ROW)
            self.assertEqual(reply["status"], espalier.Code.UNAVAILABLE, reply)
            self.assertGreater(reply["retry_after_us"], 0)
            log = (self.cluster.dir / "log" / "router.log").read_text()
            self.assertIn("checksum", log)
            since = time.monotonic()
        self.assert_answers_again(before, since)
        wait_until(lambda: b"duration" in routes.read_bytes() and routes.read_bytes() != bytes(bytes_), what="the file is written anew")
        with self.registry_away():
            since = time.monotonic()
            self.kill("router")
            self.assert_answers_again(before, since)


if __name__ == "__main__":
    unittest.main()
