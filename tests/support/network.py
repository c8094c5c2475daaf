"""Hosts on one machine: each a network namespace with an address of its own, and links between them that a test cuts, delays or makes
lose packets. `espalier-packet-switch` (tests/support/network/packet_switch.cc) makes them and carries their packets; they end with it and
the processes that run there, also when the test is killed.

Needs root and /dev/net/tun; why_not() says what is missing.
"""

import contextlib
import ctypes
import os
import subprocess
import threading

from espalier_cluster import BIN

CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _must(result, what):
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def why_not():
    """Why there can be no network here; None where there can."""
    if os.geteuid() != 0:
        return "needs root, for network namespaces"
    if not os.path.exists("/dev/net/tun"):
        return "needs /dev/net/tun"
    try:
        with Network() as network:
            network.add("host", "10.77.0.1/24")
    except OSError as error:
        return f"no network namespaces here: {error}"
    return None


def own_mounts():
    """What this thread, and what it starts, mounts from now on is seen by them alone, and ends with them."""
    _must(_libc.unshare(CLONE_NEWNS), "a mount namespace")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)


class Network:
    """Use as a context manager. Belongs to the thread that made it, which outlives it; what changes a link may be called by any."""

    def __init__(self, seed=0):
        self._seed = seed
        self._lock = threading.Lock()
        self._namespaces = {}

    def __enter__(self):
        self._switch = subprocess.Popen([str(BIN / "espalier-packet-switch")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, "ESPALIER_NETWORK_SEED": str(self._seed)})
        return self

    def __exit__(self, *_):
        self._switch.stdin.close()
        self._switch.wait()
        self._switch.stdout.close()

    def _say(self, *words):
        with self._lock:
            self._switch.stdin.write(" ".join(str(word) for word in words) + "\n")
            self._switch.stdin.flush()
            kind, _, said = self._switch.stdout.readline().strip().partition(" ")
        if kind != "ok":
            raise OSError(f"{words}: {said or 'the switch has ended'}")
        return said

    def add(self, name, address):
        """A host; `address` with the network's bits, such as 10.77.0.1/24, the same network for all."""
        self._namespaces[name] = f"/proc/{self._switch.pid}/fd/{self._say('host', name, address)}"

    def prefix(self, name):
        """The words before a command that is to run on this host; the process id stays the command's."""
        return ["nsenter", f"--net={self._namespaces[name]}"]

    @contextlib.contextmanager
    def inside(self, name):
        """This thread is on the host, and the threads that it starts: a zmq.Context begins its threads with its first socket."""
        own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(self._namespaces[name], os.O_RDONLY)
        try:
            _must(_libc.setns(there, CLONE_NEWNET), name)
            yield
        finally:
            _must(_libc.setns(own, CLONE_NEWNET), "the way back")
            os.close(own)
            os.close(there)

    def one_way(self, source, target, *how):
        """Packets from `source` to `target`: "open", "cut", "loss" with a share of 0 to 1, or "delay" with milliseconds."""
        self._say("link", source, target, *how)

    def both_ways(self, one, other, *how):
        """The same for both directions."""
        self.one_way(one, other, *how)
        self.one_way(other, one, *how)

    def dropped(self, source, target):
        """How many packets from `source` to `target` were lost so far."""
        return int(self._say("count", source, target).split()[1])

    def passed(self, source, target):
        """How many packets from `source` to `target` passed so far."""
        return int(self._say("count", source, target).split()[0])
