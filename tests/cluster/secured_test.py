"""A cluster over tcp with keys: who gets an answer, how soon a revoked key is shut out, and what goes on meanwhile."""

import contextlib
import itertools
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest

import msgpack
import zmq

import espalier

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from espalier_cluster import BIN, ROOT, Cluster, Failed, predict_header, wait_until  # noqa: E402

ROW = {"distance_km": 4.2, "hour": 8, "vehicle": "bike", "weather": "dry"}
PERMISSION_DENIED, UNIMPLEMENTED = 6, 12
GREETING = 64  # bytes: all that ZeroMQ says to whoever has connected and proved nothing


def documented_requests():
    """By operation: the header of each request that the protocol's document shows."""
    found = {}
    for page in [ROOT / "docs" / "wire-protocol.md", *sorted((ROOT / "docs" / "wire-protocol").glob("*.md"))]:
        for block in re.findall(r"```hex [a-z_.]*request\n(.*?)```", page.read_text(), re.DOTALL):
            header = msgpack.unpackb(bytes.fromhex("".join(line.split(";")[0] for line in block.splitlines())))
            found.setdefault(header["op"], header)
    return found


class Load(threading.Thread):
    """Asks one request after the other; notes when each was answered and with what."""

    def __init__(self, endpoints, key, tenant="acme"):
        super().__init__(daemon=True)
        self.endpoints, self.key, self.tenant = endpoints, key, tenant
        self.answers, self.stopping = [], threading.Event()
        self.start()

    def run(self):
        with espalier.Client(self.endpoints, key=self.key) as client:
            while not self.stopping.is_set():
                try:
                    client.predict(self.tenant, "duration", ["fr"], rows=[ROW], budget_us=2_000_000)
                    code = None
                except espalier.EspalierError as error:
                    code = error.code
                self.answers.append((time.monotonic(), code))

    def wait_for(self, count):
        wait_until(lambda: len(self.answers) >= count or not self.is_alive(), what=f"{count} answers")

    def end(self):
        self.stopping.set()
        self.join(10)
        return [code for _, code in self.answers]


class Secured(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(shards=2, tcp=True).__enter__()
        cls.addClassCleanup(cls.cluster.__exit__, None, None, None)
        rides = cls.cluster.folder / "rides.csv"
        cls.cluster.run("sample-data", rides, "--rows", 3000)
        for tenant in ("acme", "globex"):
            cls.cluster.train(ROOT / "examples" / "rides.toml", rides, tenant=tenant, where="split = train")
        cls.router = cls.cluster.router("tcp")
        cls.number = 0

    def key(self, role="predictor", tenant="acme"):
        """A new key, its name and its file."""
        type(self).number += 1
        name = f"k{self.number}"
        file = self.cluster.folder / f"{name}.key"
        who = ["--tenant", tenant] if tenant else []
        self.cluster.run("keys", "create", name, "--role", role, *who, "--out", file)
        return name, file

    def client(self, file):
        client = espalier.Client(self.router, key=espalier.Key(file))
        self.addCleanup(client.close)
        return client

    def refusal(self, client, tenant, model):
        with self.assertRaises(espalier.EspalierError) as caught:
            client.predict(tenant, model, ["fr"], rows=[ROW])
        return caught.exception

    def endpoints(self):
        return [endpoint for process in self.cluster.processes() for endpoint in process["endpoints"] if endpoint.startswith("tcp")]

    def test_each_connection_over_tcp_is_secured(self):
        self.assertEqual(len(self.endpoints()), 4)
        for endpoint in self.endpoints():
            self.assertRegex(endpoint, "#[0-9a-f]{64}$")
        for process in self.cluster.processes():
            words = pathlib.Path(f"/proc/{process['pid']}/cmdline").read_bytes().decode().split("\0")
            self.assertIn("--key", words)
        secrets = [file.read_text().split('secret = "')[1][:64] for file in (self.cluster.dir / "keys").iterdir()]
        self.assertEqual(len(secrets), 5)
        commands = subprocess.run(["ps", "axww"], capture_output=True, text=True, check=True).stdout
        logs = "".join(file.read_text() for file in (self.cluster.dir / "log").iterdir())
        for secret in secrets:
            self.assertNotIn(secret, commands)
            self.assertNotIn(secret, logs)

    def test_commands_take_the_key_of_the_clusters_folder(self):
        shards = self.cluster.json("shards")
        self.assertIn("s0", str(shards))
        self.assertNotIn("needs a key", str(shards))
        self.assertIn("exact", self.cluster.run("predict", "acme/duration@germany/berlin", "--row", '{"hour": 8}'))

    def test_a_client_without_a_key_does_not_get_a_word(self):
        plain = b"\xff\0\0\0\0\0\0\0\1\x7f\3\0NULL".ljust(64, b"\0") + b"\4\x26\5READY\x0bSocket-Type\0\0\0\6DEALER\x08Identity\0\0\0\0"
        message = msgpack.packb(predict_header("acme", "duration", [["fr"]]))
        for endpoint in self.endpoints():
            host, port = endpoint.split("#")[0].removeprefix("tcp://").split(":")
            for said in (b"", b"GET / HTTP/1.0\r\n\r\n", plain + b"\1\2id\0" + bytes([len(message)]) + message):
                with self.subTest(f"{endpoint} {said[:8]}"), socket.create_connection((host, int(port))) as raw:
                    raw.settimeout(5)
                    heard = b""
                    with contextlib.suppress(ConnectionError):  # nor is it told goodbye
                        raw.sendall(said)
                        while more := raw.recv(4096):
                            heard += more
                    self.assertLessEqual(len(heard), GREETING)
        with self.assertRaisesRegex(espalier.EspalierError, "needs a key"):
            espalier.Client(self.router)

    def test_nobody_is_made_to_speak_in_clear_text(self):
        address = self.router.split("#")[0]
        _, file = self.key()
        with self.assertRaisesRegex(espalier.EspalierError, "anybody could answer there"):
            espalier.Client(address, key=espalier.Key(file))
        folder = self.cluster.folder / "plain"
        folder.mkdir()
        (folder / "cluster.json").write_text(json.dumps({"registry": [self.cluster.registry().split("#")[0]], "router": [address]}))
        command = [BIN / "espalier", "--cluster", folder, "--key", self.cluster.dir / "keys" / "admin.key", "versions", "acme/duration"]
        refused = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("--insecure", refused.stderr)
        trained = subprocess.run([BIN / "espalier-trainer", "--registry", self.cluster.registry().split("#")[0], "--spec", ROOT / "examples" / "rides.toml",
                                  "--data", self.cluster.folder / "rides.csv", "--tenant", "acme"], capture_output=True, text=True, timeout=30, check=False)
        self.assertNotEqual(trained.returncode, 0)
        self.assertIn("--insecure", trained.stderr)
        for program, words in [("router", []), ("shard", ["--name", "s9"])]:
            ended = subprocess.run([BIN / f"espalier-{program}", *words, "--dir", folder / program, "--registry", self.cluster.registry().split("#")[0],
                                    "--bind", f"ipc://{folder}/{program}.sock"], capture_output=True, text=True, timeout=30, check=False)
            self.assertNotEqual(ended.returncode, 0)
            self.assertIn("--insecure", ended.stderr)

    def test_a_key_asks_for_its_own_tenant_and_learns_nothing_of_others(self):
        _, file = self.key()
        client = self.client(file)
        client.predict("acme", "duration", ["fr"], rows=[ROW])
        texts = set()
        for tenant, model in [("globex", "duration"), ("globex", "absent"), ("nobody", "duration"), ("nobody", "absent")]:
            error = self.refusal(client, tenant, model)
            self.assertEqual(error.code, espalier.Code.PERMISSION_DENIED)
            texts.add(str(error).replace(tenant, "TENANT"))
        self.assertEqual(len(texts), 1)
        _, reader = self.key("reader")
        self.assertEqual(self.refusal(self.client(reader), "acme", "duration").code, espalier.Code.PERMISSION_DENIED)

    def test_shards_answer_routers_only(self):
        _, file = self.key()
        shard = self.cluster.processes("shard")[0]["endpoints"][0]
        address, server = shard.split("#")
        context = zmq.Context()
        direct = context.socket(zmq.DEALER)
        try:
            espalier.Key(file).use_on(direct, bytes.fromhex(server))
            direct.connect(address)

            def ask(header):
                direct.send_multipart([b"id", msgpack.packb(header), msgpack.packb({"rows": [ROW]})])
                self.assertTrue(direct.poll(10_000))
                return msgpack.unpackb(direct.recv_multipart()[1])

            # Not for its own tenant either: that would pass by the limits that routers keep.
            refusals = [ask(predict_header(tenant, "duration", [["fr"]])) for tenant in ("acme", "globex", "nobody")]
            self.assertEqual([refusal["status"] for refusal in refusals], [PERMISSION_DENIED] * 3)
            self.assertEqual(len({refusal["message"] for refusal in refusals}), 1)
            self.assertEqual(ask({**predict_header("acme", "duration", [["fr"]]), "principal": "admin"})["status"], PERMISSION_DENIED)
            self.assertEqual(ask({"v": 1, "op": "shard_status"})["status"], PERMISSION_DENIED)
        finally:
            direct.close(0)
            context.term()

    def test_routers_and_shards_answer_what_the_protocol_has_and_nothing_of_a_foreign_tenant(self):
        # Every request that the protocol's document shows, whoever it is for, with a key of another tenant's.
        _, file = self.key("admin", tenant="globex")
        requests = documented_requests()
        self.assertGreater(len(requests), 50)
        for process in self.cluster.processes("router")[:1] + self.cluster.processes("shard")[:1]:
            address, server = next(endpoint for endpoint in process["endpoints"] if endpoint.startswith("tcp")).split("#")
            with zmq.Context() as context, context.socket(zmq.DEALER) as direct:
                direct.setsockopt(zmq.LINGER, 0)
                espalier.Key(file).use_on(direct, bytes.fromhex(server))
                direct.connect(address)

                def ask(header):
                    direct.send_multipart([b"id", msgpack.packb(header), msgpack.packb({"rows": [ROW]})])
                    self.assertTrue(direct.poll(10_000), header)
                    return msgpack.unpackb(direct.recv_multipart()[1])

                own_list = ask({"v": 1, "op": "none"})["message"]
                for op in requests:
                    said = set()
                    for tenant, model in [("acme", "duration"), ("acme", "absent"), ("nobody", "duration")]:
                        header = {**requests[op], "tenant": tenant, "model": model}
                        reply = ask({key: value for key, value in header.items() if key not in ("principal", "prediction", "shard", "sent_us", "attempt")})
                        said.add((reply["status"], reply["message"].replace(tenant, "TENANT")) if reply["status"] else (0, ""))
                    with self.subTest(f"{process['name']} {op}"):
                        self.assertEqual(len(said), 1, said)
                        ((status, text),) = said
                        if op == "hello":
                            self.assertEqual(status, 0)
                        elif f" {op}" in own_list.split(":")[1].replace(",", " "):
                            self.assertEqual(status, PERMISSION_DENIED, text)
                        else:
                            self.assertEqual(status, UNIMPLEMENTED, text)

    def test_a_revoked_key_is_shut_out_within_a_second_under_load(self):
        (name, file), (_, other) = self.key(), self.key()
        load, beside = Load(self.router, espalier.Key(file)), Load(self.router, espalier.Key(other))
        load.wait_for(200)
        self.cluster.run("keys", "revoke", name)
        revoked = time.monotonic()
        wait_until(lambda: load.answers[-1][1] is not None, 10, "a refusal")
        so_far, refused = len(load.answers), load.answers[-1][0]
        load.wait_for(so_far + 200)
        load.end()
        beside.end()
        late = [when - revoked for when, code in load.answers if code is None]
        print(f"revoked: the last answer {max(late) * 1000:.1f} ms after the command had returned, the first refusal {(refused - revoked) * 1000:.1f} ms")
        self.assertLess(max(late), 1.0)
        after = [code for when, code in load.answers if when > revoked + 1.0 or when > refused]
        self.assertTrue(after and set(after) == {espalier.Code.PERMISSION_DENIED}, set(after))
        self.assertEqual({code for _, code in load.answers if code is not None}, {espalier.Code.PERMISSION_DENIED})
        self.assertEqual({code for _, code in beside.answers}, {None}, "nobody else notices")

    def test_a_rotation_fails_no_request(self):
        name, file = self.key()
        load = Load(self.router, espalier.Key(file))
        load.wait_for(100)
        fresh = self.cluster.folder / f"{name}-new.key"
        self.cluster.run("keys", "rotate", name, "--overlap-seconds", 3, "--out", fresh)
        done = time.monotonic()
        second = Load(self.router, espalier.Key(fresh))
        second.wait_for(100)
        load.wait_for(len(load.answers) + 100)
        ended = time.monotonic()
        self.assertLess(ended - done, 2.9, "the machine is too slow for this test")
        wait_until(lambda: load.answers[-1][1] is not None, 10, "the old secret's end")
        over = load.answers[-1][0]
        codes = [code for when, code in load.answers if when < ended]
        load.end()
        fresh_codes = second.end()
        print(f"rotation: {len(codes)} and {len(fresh_codes)} requests with the old and the new secret, {sum(code is not None for code in codes + fresh_codes)} failed; "
              f"the old one ended {over - done:.2f} s after")
        self.assertEqual(set(codes + fresh_codes), {None})
        self.assertLess(over - done, 4.0)

    def test_a_shard_that_comes_with_a_stolen_name_gets_nowhere(self):
        (name, file), registry = self.key("shard", tenant=None), self.cluster.registry()
        done = subprocess.run([BIN / "espalier-shard", "--name", "s0", "--dir", self.cluster.folder / "fake", "--registry", registry, "--key", file,
                               "--bind", "tcp://127.0.0.1:*"], capture_output=True, text=True, timeout=30, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("not this shard's", done.stderr)
        with espalier.Registry(registry, key=espalier.Key(file)) as wire:
            for shard, endpoint in [("s0", "tcp://127.0.0.1:1"), (name, "tcp://127.0.0.1:1"), (name, "tcp://127.0.0.1:1#" + "ab" * 32)]:
                with self.assertRaises(espalier.EspalierError) as caught:
                    wire.call("join", {"idem": os.urandom(16), "shard": {"name": shard, "endpoints": [endpoint]}})
                self.assertEqual(caught.exception.code, espalier.Code.PERMISSION_DENIED)


class Stolen(unittest.TestCase):
    def test_a_shard_whose_key_is_revoked_is_asked_no_more_and_no_request_fails(self):
        with Cluster(shards=2, tcp=True) as cluster:
            rides = cluster.folder / "rides.csv"
            cluster.run("sample-data", rides, "--rows", 3000)
            cluster.train(ROOT / "examples" / "rides.toml", rides, where="split = train")
            key = espalier.Key(cluster.dir / "keys" / "admin.key")
            answers, stopping = [], threading.Event()

            def load():
                with espalier.Client(cluster.router("tcp"), key=key) as client:
                    for partition in itertools.cycle([["germany", "berlin"], ["france", "paris"], ["brazil", "rio"], ["brazil"], ["france"]]):
                        if stopping.is_set():
                            return
                        try:
                            shard = client.predict("acme", "duration", partition, rows=[ROW], budget_us=5_000_000).provenance.shard
                        except espalier.EspalierError as error:
                            shard = str(error)
                        answers.append((time.monotonic(), shard))

            thread = threading.Thread(target=load, daemon=True)
            thread.start()
            try:
                wait_until(lambda: {shard for _, shard in answers} == {"s0", "s1"}, what="answers of both shards")
                cluster.run("keys", "revoke", "s1")
                revoked = time.monotonic()
                wait_until(lambda: answers[-1][0] > revoked + 1.5, what="a second and a half")
            finally:
                stopping.set()
                thread.join(10)
            late = [when - revoked for when, shard in answers if shard == "s1"]
            print(f"a shard's key revoked: {len(answers)} requests, its last answer {max(late) * 1000:.1f} ms after the command had returned")
            self.assertLess(max(late), 1.0)
            self.assertEqual({shard for _, shard in answers}, {"s0", "s1"}, "no request failed")
            with self.assertRaisesRegex(Failed, "revoked"):
                cluster.run("keys", "rotate", "s1", "--out", cluster.folder / "again.key")


class Frozen(unittest.TestCase):
    def test_the_last_known_keys_count_while_the_registry_is_away_also_after_a_restart(self):
        with Cluster(shards=1, tcp=True) as cluster:
            rides = cluster.folder / "rides.csv"
            cluster.run("sample-data", rides, "--rows", 2000)
            cluster.train(ROOT / "examples" / "rides.toml", rides, where="split = train")
            files = {}
            for name in ("known", "revoked"):
                files[name] = cluster.folder / f"{name}.key"
                cluster.run("keys", "create", name, "--role", "predictor", "--tenant", "acme", "--out", files[name])
            cluster.run("keys", "revoke", "revoked")

            def answer(name):
                with espalier.Client(cluster.router("tcp"), key=espalier.Key(files[name])) as client:
                    try:
                        client.predict("acme", "duration", ["fr"], rows=[ROW], budget_us=1_000_000)
                        return "answered"
                    except espalier.EspalierError as error:
                        return error.code

            wait_until(lambda: answer("known") == "answered", what="the key is known")
            (registry,) = cluster.processes("registry")
            os.kill(registry["pid"], signal.SIGSTOP)
            try:
                for role in ("router", "shard"):
                    (process,) = cluster.processes(role)
                    os.kill(process["pid"], signal.SIGTERM)  # what it knows is on the disk then
                    wait_until(lambda: cluster.processes(role)[0]["pid"] != process["pid"], what=f"another {role}")
                wait_until(lambda: answer("known") == "answered", what="an answer from what is on the disk")
                self.assertEqual(answer("revoked"), espalier.Code.DEADLINE_EXCEEDED, "it isn't even let in")
            finally:
                os.kill(registry["pid"], signal.SIGCONT)


if __name__ == "__main__":
    unittest.main()
