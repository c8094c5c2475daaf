"""Random faults on a HostCluster: a schedule that a seed repeats, and an account of what was broken when."""

import dataclasses
import random
import signal
import time
import uuid

import espalier
from damage import flip_bit, frames
from espalier_cluster import wait_until

# Until a fault's victim is taken to be as before, so that the next one may begin: its own end is waited for besides.
RECOVERY_SECONDS = {"shard": 2.5, "router": 2.5, "registry": 1.0}
# Damage is found by then: what isn't asked for is checked by the scrub, every five seconds in this test.
FOUND_SECONDS = 7.0
# One of so many shard faults begins although another shard is broken.
ONE_IN_TOO_MANY = 12
# Of the packets on a way that loses some, and what a slow way adds.
LOSS, DELAY_MS = 0.1, 25


@dataclasses.dataclass
class Fault:
    at: float  # seconds since the beginning
    seconds: float  # how long it lasts, for those that last
    kind: str
    target: str  # a process; of a cut, the host at one end
    other: str = ""  # of a cut, or a way that loses or delays: the host at the other
    ways: str = "both"  # of these: "both", "there" or "back"
    seed: int = 0

    def __str__(self):
        between = f"{self.target}-{self.other} {self.ways}" if self.other else self.target
        return f"{self.at:6.2f} s  {self.kind} {between} {self.seconds:.2f} s"


def schedule(seed, seconds, shards, routers, can_cut):
    """The faults, by time: at most one shard broken at a time but for some, one router, one of the registry."""
    chance = random.Random(seed)
    kinds = ["kill", "kill", "stop", "corrupt", "corrupt", "drain"] + (["cut", "cut", "cut", "loss", "delay", "disk full"] if can_cut else [])
    free_at, faults, at = {}, [], 1.0
    while at < seconds:
        at += chance.uniform(0.05, 0.8)
        kind, lasts, part = chance.choice(kinds), chance.uniform(0.2, 4.0), chance.random()
        fault = Fault(at, lasts, kind, "", seed=chance.getrandbits(32), ways=chance.choice(["both", "both", "there", "back"]))
        shard, router = chance.choice(shards), chance.choice(routers)
        if kind == "corrupt":
            fault.target, slot = shard, None
        elif kind in ("cut", "loss", "delay"):
            fault.target, fault.other, slot = chance.choice([(router, shard, "shard"), ("registry", shard, "registry"),
                                                             ("registry", router, "registry"), ("client", router, "router")])
        elif kind == "drain":
            fault.target, slot = shard, "shard"
        elif kind == "disk full":
            fault.target, slot = chance.choice([(shard, "registry"), ("registry", "registry")])
        else:
            fault.target, slot = (shard, "shard") if part < 0.5 else (router, "router") if part < 0.75 else ("registry", "registry")
        slot = None if kind == "delay" else slot  # nothing is broken for it
        too_many = slot == "shard" and chance.randrange(ONE_IN_TOO_MANY) == 0
        if slot and free_at.get(slot, 0) > at and not too_many:
            continue
        if slot:
            free_at[slot] = max(free_at.get(slot, 0), at + lasts + RECOVERY_SECONDS[slot])
        faults.append(fault)
    return [fault for fault in faults if fault.at < seconds]


class Account:
    """What was broken when. Written by one thread, read by it."""

    def __init__(self):
        self.broken = {}  # by process: [since, until], until being None while it lasts
        self.killed = {}  # by process: when

    def breaks(self, name, now):
        times = self.broken.setdefault(name, [])
        if times and times[-1][1] is None:
            return
        times.append([now, None])

    def mends(self, name, now):
        times = self.broken.get(name)
        if times and times[-1][1] is None:
            times[-1][1] = now

    def broken_during(self, names, since, until):
        """Those of `names` that were broken at some time between."""
        return [name for name in names
                if any(began <= until and (ended is None or ended >= since) for began, ended in self.broken.get(name, []))]

    def run_of(self, name, since, until):
        """Which run of a process answered then; None where it may have been either of two."""
        kills = self.killed.get(name, [])
        before = sum(kill < since for kill in kills)
        return before if before == sum(kill < until for kill in kills) else None


class Chaos:
    """Makes the faults of a schedule and mends them. Belongs to the thread that made the cluster.

    A shard that drains leaves the view, ends by itself, and joins anew `seconds` later; while it does it counts as broken.
    A shard is broken in the account from before the harm until it is mended and has said that it is ready; a cut between a router and a
    shard breaks the shard, one between client and router the router.
    """

    def __init__(self, cluster, faults, artefacts, troubles):
        """`artefacts`: gives the hashes of artefacts that may be damaged; `troubles`: what excuses answers by others."""
        self.cluster, self.account, self._troubles = cluster, Account(), troubles
        self._trouble_of = {}  # of each fault that lasts
        self._coming, self._going, self._artefacts = list(faults), [], artefacts
        self._starting = {}  # processes that are not ready yet, with the fault that killed them
        self._leaving = {}  # shards that drain and haven't ended: the idem of the change until the registry has taken it, then None
        self.done = []  # (fault, whether it did harm)
        self.begin = time.monotonic()

    def step(self):
        """What is due; false once nothing is left."""
        now = time.monotonic() - self.begin
        while self._coming and self._coming[0].at <= now:
            self._make(self._coming.pop(0))
        for name in list(self._leaving):
            self._leave(name)
        for fault in [fault for fault in self._going if fault.at + fault.seconds <= now and fault.target not in self._leaving]:
            self._going.remove(fault)
            self._mend(fault)
        for name in list(self._starting):
            if self.cluster[name].is_ready():
                self._is_up(name)
        return bool(self._coming or self._going or self._starting)

    def _make(self, fault):
        """Does the harm, unless its victim suffers from another already."""
        victims = {one for going in self._going for one in (going.target, going.other) if one} | set(self._starting)
        is_taken = bool({fault.target, fault.other} & victims) and fault.kind != "corrupt"
        trouble = self._troubles.begins(fault.kind, *filter(None, (fault.target, fault.other)))
        is_done = not is_taken and getattr(self, "_" + fault.kind.replace(" ", "_"))(fault)
        self.done.append((fault, bool(is_done)))
        if not is_done:
            self._troubles.never_mind(trouble)
        elif fault.kind == "corrupt":
            trouble.until = trouble.since + FOUND_SECONDS
        else:
            self._going.append(fault)
            self._trouble_of[id(fault)] = trouble

    def _victim(self, fault):
        """Whom the account says to be broken; the registry may be away at any time."""
        for name in (fault.other, fault.target):
            if name and name not in ("registry", "client") and "registry" not in (fault.target, fault.other):
                return name
        return "registry"

    def _settle(self, name):
        if not any(self._victim(fault) == name for fault in self._going) and name not in self._starting:
            self.account.mends(name, time.monotonic())

    def _is_up(self, name):
        """It has said that it is ready again."""
        self._troubles.ends(self._trouble_of.pop(id(self._starting.pop(name))))
        self._settle(name)

    def _mend(self, fault):
        if fault.kind in ("kill", "drain"):
            self.cluster[fault.target].launch()
            self._starting[fault.target] = fault
        elif fault.kind == "stop":
            self.cluster[fault.target].go_on()
        elif fault.kind in ("cut", "loss", "delay"):
            self.cluster.network.both_ways(fault.target, fault.other, "open")
        elif fault.kind == "disk full":
            self.cluster.empty_disk(fault.target)
        if fault.kind not in ("kill", "drain"):
            self._troubles.ends(self._trouble_of.pop(id(fault)))
        self._settle(self._victim(fault))

    def _kill(self, fault):
        self.account.breaks(fault.target, time.monotonic())
        self.cluster[fault.target].end(signal.SIGKILL)
        self.account.killed.setdefault(fault.target, []).append(time.monotonic())
        return True

    def _drain(self, fault):
        self.account.breaks(fault.target, time.monotonic())
        self._leaving[fault.target] = uuid.uuid4().bytes
        return True

    def _leave(self, name):
        """One step of a drain: it is asked for until the registry takes or refuses it, then waited for."""
        fault = next(fault for fault in self._going if fault.target == name and fault.kind == "drain")
        if self._leaving[name] is not None:
            try:
                with self.cluster.registry_client(timeout_s=0.1) as registry:
                    registry.call("drain", {"idem": self._leaving[name], "shard": name})
                self._leaving[name] = None
            except espalier.EspalierError as error:
                if error.code in (espalier.Code.UNAVAILABLE, espalier.Code.RESOURCE_EXHAUSTED, espalier.Code.OVERLOADED):
                    return
                if error.code not in (espalier.Code.FAILED_PRECONDITION, espalier.Code.NOT_FOUND):
                    raise
                self._stays(fault)
        elif self.cluster[name].has_ended():
            code = self.cluster[name].wait()
            if code != 0:
                raise AssertionError(f"{name} was drained and ended with {code}")
            self.account.killed.setdefault(name, []).append(time.monotonic())
            fault.seconds += time.monotonic() - self.begin - fault.at
            del self._leaving[name]

    def _stays(self, fault):
        """Nobody else serves, or it has only begun to join: it isn't drained."""
        del self._leaving[fault.target]
        self._going.remove(fault)
        self._troubles.never_mind(self._trouble_of.pop(id(fault)))
        self.done[:] = [(done, is_done and done is not fault) for done, is_done in self.done]
        self._settle(fault.target)

    def _stop(self, fault):
        self.account.breaks(fault.target, time.monotonic())
        self.cluster[fault.target].stop_where_it_is()
        return True

    def _cut(self, fault):
        self.account.breaks(self._victim(fault), time.monotonic())
        return self._on_its_ways(fault, "cut")

    def _loss(self, fault):
        """The same as a cut for those who judge: a connection may be given up for it."""
        self.account.breaks(self._victim(fault), time.monotonic())
        return self._on_its_ways(fault, "loss", LOSS)

    def _delay(self, fault):
        """No excuse for a failure."""
        return self._on_its_ways(fault, "delay", DELAY_MS)

    def _on_its_ways(self, fault, *how):
        if fault.ways in ("both", "there"):
            self.cluster.network.one_way(fault.target, fault.other, *how)
        if fault.ways in ("both", "back"):
            self.cluster.network.one_way(fault.other, fault.target, *how)
        return True

    def _disk_full(self, fault):
        self.cluster.fill_disk(fault.target)
        return True

    def _corrupt(self, fault):
        """A bit in some of the artefacts that the shard holds; none of the root's, above which nobody answers."""
        chance, allowed = random.Random(fault.seed), set(self._artefacts())
        done = False
        for path in sorted((self.cluster[fault.target].folder / "pack").glob("*.pack")):
            held = sorted(allowed.intersection(frames(path)))
            for artefact in chance.sample(held, min(len(held), 4)):
                done = flip_bit(path, artefact, chance) or done
        return done

    def heal(self):
        """Everything that is still broken is mended; returns when all processes are ready."""
        self._coming.clear()
        for fault in [fault for fault in self._going if fault.target not in self._leaving]:
            self._going.remove(fault)
            self._mend(fault)
        wait_until(lambda: [self._leave(name) for name in list(self._leaving)] == [], 60, "the shards that drain have ended")
        for fault in list(self._going):
            self._going.remove(fault)
            self._mend(fault)
        for name in list(self._starting):
            self.cluster[name].wait_ready()
            self._is_up(name)
