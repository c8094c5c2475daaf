"""What may be answered: the history of a tree's releases, and the judgement of an answer by it.

docs/life-of-a-prediction.md says which node answers, docs/wire-protocol.md what an answer says of itself.
"""

import dataclasses
import math
import threading
import time

import msgpack

EXACT, NO_VERSION, PREVIOUS, COLD, CORRUPT, QUARANTINED, OVER_BUDGET, REMOVED = 0, 1, 2, 4, 5, 6, 7, 8
# What a release says of a node that it removes, in place of a version.
NONE_HERE = "removed"
# What must have been amiss on the shard itself before it gives one of these reasons.
CAUSES = {CORRUPT: "corrupt", OVER_BUDGET: "disk full"}
# After so long a stretch in which nothing that a shard needs is broken, it knows what was released before and answers exactly.
SETTLED_S = 5.0


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


@dataclasses.dataclass(eq=False)
class Trouble:
    """Something that is broken: a host, or the way between two."""

    kind: str
    hosts: frozenset
    since: float
    until: float = math.inf

    def concerns(self, shard):
        """Whether it keeps the shard from knowing, fetching or keeping what it should: the ways to routers and clients don't."""
        return self.hosts in ({shard}, {"registry"}, {shard, "registry"})

    def begins_anew(self, shard):
        """Whether it costs the shard something that it had ready."""
        return self.hosts == {shard} and self.kind in ("kill", "drain", "corrupt")

    def moves_leaves(self):
        """Whether it may cost a shard its lease, or is that of one that comes back."""
        return not any(host.startswith(("router", "client")) for host in self.hosts)


class Troubles:
    """What is broken when. Written by one thread; judged by it, or after it."""

    def __init__(self, lease_s=10.0, clock=time.monotonic):
        """`lease_s`: so long after one shard's trouble the others may still take leaves from it, or give them back."""
        self._lease_s, self._clock, self._all = lease_s, clock, []

    def begins(self, kind, *hosts):
        self._all.append(Trouble(kind, frozenset(hosts), self._clock()))
        return self._all[-1]

    def never_mind(self, trouble):
        """It did no harm."""
        self._all.remove(trouble)

    def ends(self, trouble):
        trouble.until = min(trouble.until, self._clock())

    def has_been(self, kind, host, until):
        return any(trouble.kind == kind and trouble.hosts == {host} and trouble.since <= until for trouble in self._all)

    def longest_whole(self, shard, is_leaf, since, until):
        """Seconds of the longest stretch, since what last made the shard begin anew, in which nothing was broken that it needs to serve a
        node; for a leaf that is also what makes leaves change hands."""
        concerning = sorted((trouble for trouble in self._all if trouble.since < until and
                             (trouble.moves_leaves() if is_leaf else trouble.concerns(shard))), key=lambda trouble: trouble.since)
        lease_s = self._lease_s if is_leaf else 0
        whole_since = max([since, *(trouble.since for trouble in concerning if is_leaf or trouble.begins_anew(shard))])
        longest = 0.0
        for trouble in concerning:
            longest = max(longest, trouble.since - whole_since)
            whole_since = max(whole_since, trouble.until + lease_s)
        return max(longest, until - whole_since)


class History:
    """The releases of one tag of a NumberedTree. Any thread may call anything."""

    def __init__(self, tree, troubles=None, clock=time.monotonic):
        """`troubles`: what may excuse answers by others; none: nothing is ever broken."""
        self._tree, self._troubles, self._clock = tree, troubles or Troubles(), clock
        self._lock = threading.Lock()
        self._of_node = {}  # (epoch, release, version), in ascending order; version None: the tag names none; NONE_HERE: removed
        self._quarantine = {}  # by version: (epoch, whether it is in quarantine since), in ascending order
        self._begun, self._added = {}, {}  # when the change was first asked for, and acknowledged, by epoch
        self.releases = []  # (epoch, release)

    def now(self):
        return self._clock()

    def add(self, epoch, release, versions, begun=None):
        """A release that the registry has acknowledged just now: by node its version, None where it unsets the node, NONE_HERE where it
        removes it. `begun`: when it was asked for; a removal may be in force before its epoch is."""
        with self._lock:
            self._note(epoch, begun)
            for node, version in versions.items():
                self._of_node.setdefault(node, []).append((epoch, release, version))
                self._of_node[node].sort()
            self.releases.append((epoch, release))

    def quarantine(self, epoch, version, is_in, begun=None):
        """The version has gone into quarantine, or left it; the registry has acknowledged it just now."""
        with self._lock:
            self._note(epoch, begun)
            self._quarantine.setdefault(version, []).append((epoch, is_in))

    def _note(self, epoch, begun):
        self._added[epoch] = self._clock()
        self._begun[epoch] = self._added[epoch] if begun is None else begun

    def in_quarantine(self):
        """The versions that are."""
        with self._lock:
            return [version for version, changes in self._quarantine.items() if changes[-1][1]]

    def wanted_now(self, node):
        """Its version, None or NONE_HERE."""
        with self._lock:
            return self._of_node[node][-1][2]

    def differences(self, epoch):
        """What a move to the state of this epoch moves: by node its version then, where it is another than now."""
        with self._lock:
            then = {node: self._wanted(node, epoch)[2] for node in self._of_node}
            return {node: version for node, version in then.items() if version != self._of_node[node][-1][2]}

    def _wanted(self, node, epoch):
        """What the tag says of this node as of the epoch: (epoch, release, version)."""
        return next((entry for entry in reversed(self._of_node.get(node, [])) if entry[0] <= epoch), (0, None, None))

    def _may_be(self, answer, changes, is_so):
        """Whether the last of `changes` that the shard knew may have been one that is_so(): a later one than its epoch may be in force."""
        known = [change for change in changes if change[0] <= answer.epoch]
        ahead = [change for change in changes if change[0] > answer.epoch and self._begun[change[0]] <= answer.received]
        return any(is_so(change) for change in [*known[-1:], *ahead])

    def _may_be_in_quarantine(self, answer, version):
        return self._may_be(answer, self._quarantine.get(version, []), lambda change: change[1])

    def _may_be_out_of_quarantine(self, answer, version):
        return self._may_be(answer, [(0, False), *self._quarantine.get(version, [])], lambda change: not change[1])

    def _may_be_removed(self, answer, node):
        return self._may_be(answer, self._of_node.get(node, []), lambda entry: entry[2] == NONE_HERE)

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
        if not self._may_be_out_of_quarantine(answer, version):
            return "its version is in quarantine"
        if entry[0] > answer.epoch:
            return f"set by epoch {entry[0]}, which it doesn't know"
        newer = min((epoch for epoch in self._added if epoch > answer.epoch), default=None)
        if newer is not None and (late := self._is_late(answer, (), self._added[newer])):
            return f"it doesn't know epoch {newer}, {late}"
        return self._wrong_reason(answer, served, entry)

    def _is_late(self, answer, node, since):
        """In words, that what was wanted from `since` on should be there by now; nothing where it needn't."""
        is_leaf = len(node) == max(map(len, self._of_node))
        whole_s = self._troubles.longest_whole(answer.shard, is_leaf, since, answer.sent)
        return f"although all was whole for {whole_s:.2f} s since" if whole_s > SETTLED_S else None

    def _wrong_reason(self, answer, served, entry):
        path = [answer.asked[:depth] for depth in range(len(answer.asked), -1, -1)]
        wanted = {node: self._wanted(node, answer.epoch) for node in path}
        nearest = next((node for node in path if wanted[node][2] not in (None, NONE_HERE)), None)
        below = [node for node in path if len(node) > len(served)]
        reason = answer.provenance.get("reason", EXACT)
        if nearest is None:
            return "as of its epoch no node answers"
        if reason in (EXACT, NO_VERSION):
            if nearest != served or wanted[served] != entry:
                return f"as of its epoch {nearest} answers, by {wanted[nearest]}"
            is_passed_over = any(wanted[node][2] == NONE_HERE for node in below)
            return None if (reason == EXACT) == (served == answer.asked) and not is_passed_over else "the reason doesn't fit"
        if reason in CAUSES and not self._troubles.has_been(CAUSES[reason], answer.shard, answer.received):
            return f"nothing was {CAUSES[reason]} there"
        if reason == PREVIOUS:
            if served != nearest or wanted[served] == entry:
                return "the wanted version is no previous one, or another node's was wanted"
            if self._may_be_in_quarantine(answer, wanted[served][2]):
                return None  # it isn't waited for
        elif reason in (COLD, CORRUPT, OVER_BUDGET):
            if len(served) >= len(nearest) or wanted[served][2] in (None, NONE_HERE):
                return "nothing below was wanted, or nothing of the node that answers"
            if late := self._is_late(answer, nearest, self._wanted_since(nearest, answer.epoch, reason)):
                return f"{nearest} is wanted, {late}"
        elif reason == QUARANTINED:
            if not any(self._may_be_in_quarantine(answer, wanted[node][2]) for node in below):
                return "nothing below is in quarantine"
        elif reason == REMOVED:
            if not any(self._may_be_removed(answer, node) for node in below):
                return "nothing below is removed"
        else:
            return "no such reason is possible here"
        return self._wrong_version(answer, served, entry, wanted[served])

    def _wanted_since(self, node, epoch, reason):
        """Since when it has had an answer of its own; where that was damaged, since when this one is wanted."""
        since = None
        for of_epoch, _, version in self._of_node[node]:
            if of_epoch <= epoch:
                since = None if version in (None, NONE_HERE) else self._added[of_epoch] if since is None or reason == CORRUPT else since
                if version in self._quarantine and version is not None:
                    # While it was in quarantine the node had no answer, and none was waited for.
                    since = max(self._added[of_epoch], *(self._added[changed] for changed, _ in self._quarantine[version]))
        return since

    def _wrong_version(self, answer, served, entry, wanted):
        """The node that answers for another may itself be behind, but no longer than it would be on its own."""
        if entry == wanted:
            return None
        if wanted[2] is not None and self._may_be_in_quarantine(answer, wanted[2]):
            return None
        replaced = next(later for later in self._of_node[served] if later > entry)
        late = self._is_late(answer, served, self._added[replaced[0]])
        return f"{served} has had another version since epoch {replaced[0]}, {late}" if late else None

    def versions_that_go_back(self, answers):
        """Pairs of answers of one shard's run by one node, of which the later one is by an older version: a node keeps the last version that
        was ready, unless something broke between, or that was in quarantine at any time."""
        by_node, found = {}, []
        for answer in answers:
            by_node.setdefault(tuple(answer.provenance["served"]), []).append(answer)
        for node, of_node in by_node.items():
            is_leaf = len(node) == max(map(len, self._of_node))
            for newer, older in go_back(of_node, lambda answer: answer.provenance["release_epoch"]):
                if newer.provenance["version"] in self._quarantine:
                    continue
                since = newer.received - SETTLED_S
                if self._troubles.longest_whole(older.shard, is_leaf, since, older.sent) == older.sent - since:
                    found.append((newer, older))
        return found


def epochs_that_go_back(answers):
    """Pairs of answers of one shard's run, of which the later one, sent after the other had come, knows less."""
    return go_back(answers, lambda answer: answer.epoch)


def go_back(answers, number):
    """Pairs of which the later one, sent after the other had come, has a smaller number."""
    found, done, newest = [], sorted(answers, key=lambda answer: answer.received), None
    at = 0
    for answer in sorted(answers, key=lambda answer: answer.sent):
        while at < len(done) and done[at].received < answer.sent:
            if newest is None or number(done[at]) > number(newest):
                newest = done[at]
            at += 1
        if newest is not None and number(answer) < number(newest):
            found.append((newest, answer))
    return found
