"""A cluster of several hosts: a registry, routers and shards, each started by hand with the address of a host of its own, and a client's
host. In a Network the hosts are network namespaces; without one they are addresses of the loopback device, between which nothing can be cut.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import uuid

import msgpack
import zmq

import espalier
from espalier_cluster import BIN, Wire, wait_until

PORTS = {"registry": 7700, "router": 7600, "shard": 7800}



class Process:
    """One process of a cluster, on a host. Started and ended by the thread that made the cluster: the kernel ends it with that thread."""

    def __init__(self, cluster, role, name, host, words, folder=None):
        self.cluster, self.role, self.name, self.host = cluster, role, name, host
        self.folder = folder or cluster.folder / name
        self.words = [str(word) for word in words]
        self.log = cluster.folder / f"{name}.log"
        self._process = None

    @property
    def pid(self):
        return self._process.pid

    def start(self, seconds=60):
        """Returns when it has said that it is ready."""
        self.launch()
        return self.wait_ready(seconds)

    def launch(self):
        words = [*self.cluster.prefix(self.host), "setpriv", "--pdeathsig", "KILL", "--", *self.words, "--dir", str(self.folder)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        os.set_blocking(self._process.stdout.fileno(), False)
        self._said = b""
        return self

    def is_ready(self):
        """Whether it has said so. RuntimeError where it has ended."""
        said = self._process.stdout.read()
        if said:
            self._said += said
        if self._process.poll() is not None:
            raise RuntimeError(f"{self.name} ended with {self._process.returncode}:\n{self.log.read_text(errors='replace')[-3000:]}")
        return b'"ready"' in self._said

    def wait_ready(self, seconds=60):
        wait_until(self.is_ready, seconds, f"{self.name} is ready")
        return self

    def send(self, number):
        os.kill(self.pid, number)

    def stop_where_it_is(self):
        """SIGSTOP; returns when all its threads stand."""
        self.send(signal.SIGSTOP)
        threads = pathlib.Path(f"/proc/{self.pid}/task")
        wait_until(lambda: all((thread / "stat").read_text().rpartition(")")[2].split()[0] == "T" for thread in threads.iterdir()),
                   what=f"{self.name} stands")

    def go_on(self):
        self.send(signal.SIGCONT)

    def kill(self):
        self.end(signal.SIGKILL)

    def has_ended(self):
        return self._process.poll() is not None

    def wait(self, seconds=30):
        """Its exit code, once it has ended by itself."""
        code = self._process.wait(seconds)
        self._process.stdout.close()
        self._process = None
        return code

    def end(self, number=signal.SIGTERM, seconds=30):
        """Returns its exit code; nothing where it doesn't run."""
        if self._process is None:
            return None
        if self._process.poll() is None:
            self.send(number)
        try:
            code = self._process.wait(seconds)
        finally:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()
            self._process = None
        return code


class HostCluster:
    """Use as a context manager; `shard_options` and the others are words for each command line of that role."""

    def __init__(self, network=None, shards=3, routers=2, shard_options=(), router_options=(), registry_options=(), disk_mb=0):
        """`disk_mb`: registry and shards each get a disk of that size, in memory. REQUIRES: root, and own_mounts()."""
        self.network, self.folder = network, pathlib.Path(tempfile.mkdtemp(prefix="espalier-hosts-"))
        self.processes, self.addresses, self._disk_mb, self._mounted = {}, {}, disk_mb, []
        self.options = {"shard": shard_options, "router": router_options, "registry": registry_options}
        hosts = ["registry", *(f"router{i}" for i in range(routers)), *(f"s{i}" for i in range(shards)), "client"]
        # Without a network: addresses of 127/8 that another run beside this one doesn't have.
        first, second = 1 + os.getpid() // 250 % 250, 1 + os.getpid() % 250
        for number, host in enumerate(hosts, 1):
            self.addresses[host] = f"10.77.0.{number}" if network else f"127.{first}.{second}.{number}"
        self.registry = f"tcp://{self.addresses['registry']}:{PORTS['registry']}"
        self.routers = [f"tcp://{self.addresses[host]}:{PORTS['router']}" for host in hosts if host.startswith("router")]
        for host in hosts[:-1]:
            self.add(host, host)

    def add(self, name, host, folder=None):
        """A process that may be started on the host; its role is that of the name."""
        role = name if name == "registry" else "router" if name.startswith("router") else "shard"
        words = [BIN / f"espalier-{role}", "--bind", f"tcp://{self.addresses[host]}:{PORTS[role]}", "--insecure", *self.options[role]]
        if role != "registry":
            words += ["--registry", self.registry]
        if role == "shard":
            words += ["--name", name]
        self.processes[name] = Process(self, role, name, host, words, folder)
        return self.processes[name]

    def __getitem__(self, name):
        return self.processes[name]

    def of(self, role):
        return [process for process in self.processes.values() if process.role == role]

    def prefix(self, host):
        return self.network.prefix(host) if self.network else []

    def inside(self, host):
        return self.network.inside(host) if self.network else contextlib.nullcontext()

    def __enter__(self):
        try:
            if self.network:
                for host, address in self.addresses.items():
                    self.network.add(host, f"{address}/24")
            (self.folder / "cluster.json").write_text(json.dumps({"registry": [self.registry], "router": self.routers, "insecure": True}))
            self.context = self.context_on("client")
            for process in [*self.of("registry"), *self.of("shard")] if self._disk_mb else []:
                process.folder.mkdir()
                subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self._disk_mb}m", "espalier", process.folder], check=True)
                self._mounted.append(process.folder)
            for role in ("registry", "shard", "router"):
                for process in self.of(role):
                    process.launch()
            for process in self.processes.values():
                process.wait_ready()
            return self
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __exit__(self, *_):
        for process in reversed(list(self.processes.values())):
            process.end(signal.SIGKILL)
        if hasattr(self, "context"):
            self.context.destroy(linger=0)
        if os.environ.get("ESPALIER_KEEP_LOGS"):
            shutil.copytree(self.folder, os.environ["ESPALIER_KEEP_LOGS"], ignore=shutil.ignore_patterns("pack", "artefacts"), dirs_exist_ok=True)
        for folder in self._mounted:
            subprocess.run(["umount", "--lazy", folder], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def fill_disk(self, name):
        """Not a byte more can be written on the process's disk."""
        def is_done():
            disk = os.statvfs(self[name].folder)
            used = (disk.f_blocks - disk.f_bfree) * disk.f_frsize
            # It may have grown since.
            return subprocess.run(["mount", "-o", f"remount,size={used}", self[name].folder], stderr=subprocess.DEVNULL, check=False).returncode == 0
        wait_until(is_done, what=f"the disk of {name} is full")

    def empty_disk(self, name):
        """It has its space again."""
        subprocess.run(["mount", "-o", f"remount,size={self._disk_mb}m", self[name].folder], check=True)

    def context_on(self, host):
        """A ZeroMQ context whose sockets are on the host, whichever thread makes them."""
        with self.inside(host):
            context = zmq.Context()
            context.socket(zmq.DEALER).close()  # begins its threads
            return context

    def wire(self, endpoint):
        """Frames to an endpoint from the client's host."""
        return Wire(endpoint, self.context)

    def registry_client(self, timeout_s=30.0):
        return espalier.Registry(self.registry, timeout_s=timeout_s, context=self.context, insecure=True)

    def client(self):
        """Knows all routers."""
        return espalier.Client(self.routers, context=self.context, insecure=True)

    def run(self, *arguments, timeout=120, host="client"):
        """A command of `espalier` on a host; the finished process."""
        return subprocess.run([*self.prefix(host), str(BIN / "espalier"), *(str(a) for a in arguments)], timeout=timeout, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, check=False,
                              env={**os.environ, "ESPALIER_CLUSTER": str(self.folder)})


class NumberedTree:
    """A model whose versions tell themselves apart: each predicts a number of its own for ROW (bench/numbered_artefacts.cc)."""

    ROW = {"rows": [{"age": 0.5}]}

    def __init__(self, tenant="acme", model="sales", levels=("country", "city")):
        self.tenant, self.model, self._levels = tenant, model, levels
        self._next, self._artefacts = 1, []
        self.numbers = {}  # by version
        self.nodes = {}  # the same
        self.artefacts = {}  # hash, the same

    def _artefact(self):
        if not self._artefacts:
            made = subprocess.run([str(BIN / "espalier-numbered-artefacts"), str(self._next), "2000", self.model, *self._levels],
                                  capture_output=True, check=True)
            content = msgpack.unpackb(made.stdout)
            self._spec = content["spec_json"]
            self._artefacts = list(enumerate(content["artefacts"], self._next))[::-1]
            self._next += 2000
        return self._artefacts.pop()

    def release(self, nodes, tag="production"):
        """What publishes a new version of each node: (upload request and bodies, publish request and body, {node: version})."""
        made = [self._artefact() for _ in nodes]
        hashes = [_blake2b(body) for _, body in made]
        versions = {}
        for node, (number, _), artefact in zip(nodes, made, hashes):
            version = uuid.uuid4().bytes
            versions[node] = version
            self.numbers[version], self.nodes[version], self.artefacts[version] = float(number), node, artefact
        upload = {"tenant": self.tenant, "artefacts": hashes}
        publish = {"idem": uuid.uuid4().bytes, "tenant": self.tenant, "model": self.model, "tag": tag, "release": uuid.uuid4().bytes,
                   "replace": False, "spec_json": self._spec, "fields": [{"name": "age", "type": 0}]}
        entries = [{"version": versions[node], "partition": list(node), "artefact": artefact} for node, artefact in zip(nodes, hashes)]
        return upload, [body for _, body in made], publish, msgpack.packb(entries), versions

    def publish(self, registry, nodes, wait_s=0, tag="production"):
        """Publishes and, with `wait_s`, waits until all shards have it: the epoch, the release's UUID, {node: version}."""
        upload, bodies, publish, entries, versions = self.release(nodes, tag)
        registry.call("upload", upload, bodies)
        epoch = registry.call("publish", publish, [entries])["epoch"]
        if wait_s:
            self.wait_served(registry, epoch, wait_s)
        return epoch, publish["release"], versions

    @staticmethod
    def wait_served(registry, epoch, seconds):
        wait_until(lambda: registry.call("wait", {"epoch": epoch, "wait_us": 1_000_000}).get("served"), seconds, f"epoch {epoch} is served")

    def header(self, partitions, budget_us=1_000_000, **more):
        return {"v": 1, "op": "predict", "tenant": self.tenant, "model": self.model, "budget_us": budget_us,
                "parts": [{"partition": list(partition)} for partition in partitions], **more}


def _blake2b(content):

    return hashlib.blake2b(content, digest_size=32).digest()
