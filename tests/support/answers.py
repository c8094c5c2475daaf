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
        self._of_node = {}  # (epoch, version) by node, in ascending order
        self._committed = {}  # (epoch, release) by version
        self.newest = 0

    def add(self, epoch, release, versions):
        """A release that the registry has acknowledged."""
        with self._lock:
            for node, version in versions.items():
                self._committed[version] = (epoch, release)
                self._of_node.setdefault(node, []).append((epoch, version))
                self._of_node[node].sort()
            self.newest = max(self.newest, epoch)

    def wanted(self, node, epoch):
        """The version that the tag names for this node as of the epoch; None where it names none."""
        return next((version for since, version in reversed(self._of_node.get(node, [])) if since <= epoch), None)

    def violation(self, answer):
        """What is wrong with an answer whose status is 0; None where nothing is. All releases up to now have been added."""
        with self._lock:
            return self._violation(answer)

    def _violation(self, answer):
        said = answer.provenance
        version, served, reason = said.get("version"), tuple(said.get("served", [])), said.get("reason", EXACT)
        asked = answer.asked
        if tuple(said.get("asked", [])) != asked:
            return "an answer to another question"
        if version not in self._committed:
            return "a version that no release has"
        if self._tree.nodes[version] != served or self._tree.numbers[version] != answer.value:
            return f"its version is {self._tree.nodes[version]}'s, which says {self._tree.numbers[version]}"
        if asked[: len(served)] != served:
            return "a node answered that doesn't stand above"
        since, release = self._committed[version]
        if (said.get("release_epoch"), said.get("release")) != (since, release):
            return f"another release than that which set it, of epoch {since}"
        if since > answer.epoch:
            return f"set by epoch {since}, which it doesn't know"
        return self._wrong_reason(answer, served, version, reason)

    def _wrong_reason(self, answer, served, version, reason):
        path = [answer.asked[:depth] for depth in range(len(answer.asked), -1, -1)]
        wanted = {node: self.wanted(node, answer.epoch) for node in path}
        nearest = next((node for node in path if wanted[node] is not None), None)
        is_wanted = wanted[served] == version
        if reason in (EXACT, NO_VERSION):
            if nearest != served or not is_wanted:
                return f"as of its epoch {nearest} answers"
            return None if (reason == EXACT) == (served == answer.asked) else "the reason doesn't fit"
        if reason == PREVIOUS:
            return "the wanted version is no previous one" if is_wanted else None
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
