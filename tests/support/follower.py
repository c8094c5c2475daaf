"""A client that asks for all of a tree's nodes, over and over, and keeps every answer."""

import threading

import msgpack

from answers import ask
from host_cluster import NumberedTree


class Follower(threading.Thread):
    """Asks in requests of five nodes, by all ways in turn. Runs while its context is open; `answers` only grows."""

    def __init__(self, cluster, tree, nodes, ways, budget_us=2_000_000):
        super().__init__(daemon=True)
        self._tree, self._nodes, self._budget_us = tree, nodes, budget_us
        self._wires = [(way, cluster.wire(way)) for way in ways]
        self._row = msgpack.packb(NumberedTree.ROW)
        self._stopping = threading.Event()
        self.answers = []
        self.rounds = 0  # that are over: each asked for all nodes by each way
        self._error = None

    def run(self):
        try:
            while not self._stopping.wait(0.01):
                for way, wire in self._wires:
                    for at in range(0, len(self._nodes), 5):
                        header = self._tree.header(self._nodes[at:at + 5], self._budget_us)
                        self.answers += ask(wire, way, header, self._row)
                self.rounds += 1
        except BaseException as error:  # pylint: disable=broad-except
            self._error = error

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        self.join()
        for _, wire in self._wires:
            wire.socket.close()
        if self._error:
            raise self._error
