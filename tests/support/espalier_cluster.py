"""A real cluster for a test or a bench: `espalier up` in a folder of its own, and ways to talk to it.

Programs are taken from $ESPALIER_BIN, else from build/release/bin. Nothing here sleeps to let something happen: waits are
for a condition, with a limit after which they fail.
"""

import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import msgpack
import zmq

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("ESPALIER_BIN", ROOT / "build" / "release" / "bin"))
NO_DATA = "no data sets here: set ESPALIER_DATA to their folder"

OK, INVALID_ARGUMENT, NOT_FOUND, NO_MODEL = 0, 1, 2, 3
UNIMPLEMENTED = 12


def data_folder():
    """The folder of the data sets, or None."""
    named = os.environ.get("ESPALIER_DATA")
    for folder in [pathlib.Path(named)] if named else [ROOT.parent / "shared" / "data", ROOT / "shared" / "data"]:
        if folder.is_dir():
            return folder
    return None


def wait_until(condition, seconds=30, what="the condition"):
    """The first true value of condition(), asked every few milliseconds; TimeoutError after `seconds`."""
    until = time.monotonic() + seconds
    pause = threading.Event()
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            raise TimeoutError(f"{what}: not within {seconds} s")
        pause.wait(0.005)


class Failed(Exception):
    """A command ended with another exit code than 0."""

    def __init__(self, arguments, code, output, errors):
        super().__init__(f"espalier {' '.join(arguments)}: exit code {code}\n{output}{errors}")
        self.code = code
        self.output = output
        self.errors = errors


class Cluster:
    """`espalier up` with a folder that goes away with it. Use as a context manager."""

    def __init__(self, shards=2, prefix=(), **options):
        """`prefix`: a command to run it under, such as taskset; `options`: further options of `up` by name."""
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="espalier-test-"))
        self.dir = self.folder / "cluster"
        self._arguments = ["setpriv", "--pdeathsig", "KILL", "--", *prefix, BIN / "espalier", "up", "--dir", self.dir, "--shards", str(shards)]
        for name, value in options.items():
            self._arguments += [f"--{name}"] if value is True else [f"--{name}", str(value)]
        self.process = None

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def change(self, option, value):
        """Another value of an option that it was made with, from the next start on."""
        self._arguments[self._arguments.index(f"--{option}") + 1] = str(value)

    def start(self):
        """Returns when the cluster has said that it is ready. It ends at the latest with the thread that calls this."""
        self.said = []
        self.process = subprocess.Popen(
            [str(a) for a in self._arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        until = time.monotonic() + 90
        unread = b""
        while b"ready" not in [line.encode() for line in self.said]:
            if not select.select([self.process.stdout], [], [], max(0, until - time.monotonic()))[0]:
                raise TimeoutError("the cluster did not get ready:\n" + "\n".join(self.said))
            got = os.read(self.process.stdout.fileno(), 65536)
            if not got:
                raise RuntimeError("the cluster did not start:\n" + "\n".join(self.said) + unread.decode())
            unread += got
            *lines, unread = unread.split(b"\n")
            self.said += [line.decode() for line in lines]
        # What it says later must be read too, or it would wait for us.
        threading.Thread(target=self._keep_reading, args=(self.process.stdout,), daemon=True).start()
        return self

    def _keep_reading(self, pipe):
        with pipe:
            for line in pipe:
                self.said.append(line.decode(errors="replace").rstrip("\n"))

    def stop(self):
        """Ends the cluster as Ctrl-C does; returns the exit code of `up`."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            code = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.process = None
        return code

    def file(self):
        """What cluster.json says now."""
        return json.loads((self.dir / "cluster.json").read_text())

    def processes(self, role=None):
        return [p for p in self.file()["processes"] if role in (None, p["role"])]

    def router(self, transport="ipc"):
        return next(e for e in self.file()["router"] if e.startswith(transport))

    def registry(self):
        return self.file()["registry"][0]

    def run(self, *arguments, timeout=300):
        """Runs a command of `espalier` on this cluster; returns its stdout."""
        words = [str(a) for a in arguments]
        done = subprocess.run([str(BIN / "espalier"), *words], timeout=timeout, stdin=subprocess.DEVNULL, capture_output=True,
                              env={**os.environ, "ESPALIER_CLUSTER": str(self.dir)})
        if done.returncode != 0:
            raise Failed(words, done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))
        return done.stdout.decode()

    def json(self, *arguments, timeout=300):
        """The same with --json, as a value."""
        return json.loads(self.run(*arguments, "--json", timeout=timeout))

    def train(self, spec, data, tenant="acme", where=None, **options):
        """Trains and waits until all shards answer from the release; returns the trainer's last line."""
        words = ["train", spec, "--data", data, "--wait"]
        words += ["--tenant", tenant] if tenant else []
        words += ["--where", where] if where else []
        for name, value in options.items():
            words += [f"--{name.replace('_', '-')}", str(value)]
        return json.loads(self.run(*words, "--json").strip().splitlines()[-1])


class Wire:
    """Frames to the cluster over a DEALER socket, one request after the other or many under way."""

    def __init__(self, endpoint, context=None, key=None):
        """`context`: one to share; one of its own by default. `key`: file of the key that says who asks."""
        self._own_context = None if context else zmq.Context()
        self._context = context or self._own_context
        self.socket = self._context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        if key:
            from espalier import keys  # not everybody who uses this file has the package
            keys.connect(self.socket, endpoint, keys.Key(key))
        else:
            self.socket.connect(endpoint)
        self._next = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        if self._own_context:
            self._own_context.term()

    def send(self, header, *bodies):
        """Sends a header (a map or bytes) with bodies (values or bytes); returns the request id."""
        self._next += 1
        request_id = self._next.to_bytes(8, "little")
        frames = [header if isinstance(header, bytes) else msgpack.packb(header)]
        frames += [body if isinstance(body, bytes) else msgpack.packb(body) for body in bodies]
        self.socket.send_multipart([request_id, *frames])
        return request_id

    def receive(self, seconds=10):
        """The next message's frames; TimeoutError when none comes."""
        if not self.socket.poll(int(seconds * 1000)):
            raise TimeoutError(f"no answer within {seconds} s")
        return self.socket.recv_multipart()

    def ask(self, header, *bodies, seconds=10):
        """Sends and waits: the reply's header as a map, and its body frames as bytes."""
        request_id = self.send(header, *bodies)
        while True:
            got, reply, *frames = self.receive(seconds)
            if got == request_id:
                return msgpack.unpackb(reply), frames


def predict_header(tenant, model, partitions, rows=1, **more):
    """The header of a prediction with one part a partition, `rows` rows each."""
    parts = [{"partition": list(partition), "rows": rows} for partition in partitions]
    return {"v": 1, "op": "predict", "tenant": tenant, "model": model, "parts": parts, **more}
