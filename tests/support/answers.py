"""What may be answered: the history of a tree's releases, and the judgement of an answer by it.

docs/life-of-a-prediction.md says which node answers, docs/wire-protocol.md what an answer says of itself.
"""

import dataclasses
import threading
import time

import msgpack

EXACT, NO_VERSION, PREVIOUS, COLD, CORRUPT, OVER_BUDGET = 0, 1, 2, 4, 5, 7


@dataclasses.dataclass
class Answer:
    """One part's answer; of a request that failed, or was not answered, only what was asked."""

    asked: tuple
    way: str  # the endpoint that was asked
    sent: float
    received: float
    status: int = 0  # of the part; None: nothing came
    message: str = ""
    value: float = 0
    provenance: dict = dataclasses.field(default_factory=dict)

    @property
    def shard(self):
        return self.provenance.get("shard", "")

    @property
    def epoch(self):
        return self.provenance.get("epoch", 0)


def ask(wire, way, header, row, seconds=5):
    """The answers to all parts of a request, each with this row."""
    sent = time.monotonic()
    parts = [tuple(part["partition"]) for part in header["parts"]]
    try:
        reply, bodies = wire.ask(header, *[row] * len(parts), seconds=seconds)
    except TimeoutError:
        return [Answer(asked, way, sent, time.monotonic(), None, "no answer") for asked in parts]
    return read(parts, way, sent, time.monotonic(), reply, bodies)


def read(parts, way, sent, received, reply, bodies):
    """The answers in a reply's header and bodies."""
    if reply["status"] != 0:
        return [Answer(asked, way, sent, received, reply["status"], reply.get("message", "")) for asked in parts]
    answers = []
    for asked, part, body in zip(parts, reply["parts"], bodies):
        answer = Answer(asked, way, sent, received, part.get("status", 0), part.get("message", ""), provenance=part.get("provenance", {}))
        if answer.status == 0:
            (answer.value,) = msgpack.unpackb(body)["value"]
        answers.append(answer)
    return answers


class History:
    """The releases of one tag of a NumberedTree. Any thread may call anything."""

    def __init__(self, tree):
        self._tree = tree
        self._lock = threading.Lock()
        self._of_node = {}  # (epoch, release, version), in ascending order; version None: the tag names none
        self.releases = []  # (epoch, release)

    def add(self, epoch, release, versions):
        """A release that the registry has acknowledged: by node its version, None where it unsets the node."""
        with self._lock:
            for node, version in versions.items():
                self._of_node.setdefault(node, []).append((epoch, release, version))
                self._of_node[node].sort()
            self.releases.append((epoch, release))

    def differences(self, epoch):
        """What a move to the state of this epoch moves: by node its version then, where it is another than now."""
        with self._lock:
            then = {node: self._wanted(node, epoch)[2] for node in self._of_node}
            return {node: version for node, version in then.items() if version != self._of_node[node][-1][2]}

    def _wanted(self, node, epoch):
        """What the tag says of this node as of the epoch: (epoch, release, version)."""
        return next((entry for entry in reversed(self._of_node.get(node, [])) if entry[0] <= epoch), (0, None, None))

    def violation(self, answer):
        """What is wrong with an answer whose status is 0; None where nothing is. All releases up to now have been added."""
        with self._lock:
            return self._violation(answer)

    def _violation(self, answer):
        said = answer.provenance
        version, served, asked = said.get("version"), tuple(said.get("served", [])), answer.asked
        if tuple(said.get("asked", [])) != asked:
            return "an answer to another question"
        if version not in self._tree.numbers:
            return "a version that no release has"
        if self._tree.nodes[version] != served or self._tree.numbers[version] != answer.value:
            return f"its version is {self._tree.nodes[version]}'s, which says {self._tree.numbers[version]}"
        if asked[: len(served)] != served:
            return "a node answered that doesn't stand above"
        entry = (said.get("release_epoch"), said.get("release"), version)
        if entry not in self._of_node[served]:
            return "no release of this name and epoch put this version there"
        if entry[0] > answer.epoch:
            return f"set by epoch {entry[0]}, which it doesn't know"
        return self._wrong_reason(answer, served, entry)

    def _wrong_reason(self, answer, served, entry):
        path = [answer.asked[:depth] for depth in range(len(answer.asked), -1, -1)]
        wanted = {node: self._wanted(node, answer.epoch) for node in path}
        nearest = next((node for node in path if wanted[node][2] is not None), None)
        reason = answer.provenance.get("reason", EXACT)
        if nearest is None:
            return "as of its epoch no node answers"
        if reason in (EXACT, NO_VERSION):
            if nearest != served or wanted[served] != entry:
                return f"as of its epoch {nearest} answers, by {wanted[nearest]}"
            return None if (reason == EXACT) == (served == answer.asked) else "the reason doesn't fit"
        if reason == PREVIOUS:
            return "the wanted version is no previous one" if wanted[served][2] == entry[2] else None
        if reason in (COLD, CORRUPT, OVER_BUDGET):
            return None if len(served) < len(nearest) else "nothing below was wanted"
        return "no such reason is possible here"


def epochs_that_go_back(answers):
    """Pairs of answers of one shard's run, of which the later one, sent after the other had come, knows less."""
    found, done, newest = [], sorted(answers, key=lambda answer: answer.received), None
    at = 0
    for answer in sorted(answers, key=lambda answer: answer.sent):
        while at < len(done) and done[at].received < answer.sent:
            if newest is None or done[at].epoch > newest.epoch:
                newest = done[at]
            at += 1
        if newest is not None and answer.epoch < newest.epoch:
            found.append((newest, answer))
    return found
