"""Tags on a running cluster: compare-and-set, back, promoted, overlaid, as they were; from the command line and from Python."""

import hashlib
import os
import pathlib
import signal
import sys
import threading
import unittest
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from espalier_cluster import ROOT, Cluster, Failed, Wire, predict_header, wait_until  # noqa: E402

sys.path.insert(0, str(ROOT / "client" / "python"))
from espalier import Code, EspalierError, Registry  # noqa: E402

MODEL = "acme/duration"


class Tags(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(shards=2).__enter__()
        cls.addClassCleanup(cls.cluster.__exit__, None, None, None)
        cls.rides = cls.cluster.folder / "rides.csv"
        cls.cluster.run("sample-data", cls.rides, "--rows", 4000)
        cls.train("production")
        cls.first = cls.newest()
        cls.train("next")
        cls.next = cls.newest()

    @classmethod
    def train(cls, tag):
        cls.cluster.train(ROOT / "examples" / "rides.toml", cls.rides, tag=tag)

    @classmethod
    def newest(cls):
        return cls.cluster.json("release", "list", MODEL)[0]

    def setUp(self):
        self.cluster.run("rollback", MODEL, "--to", self.first["release"], "--wait")

    def entries(self, tag="production", *more):
        return {"/".join(e["partition"]): e["version"] for e in self.cluster.json("tags", MODEL, "--tag", tag, *more)}

    def versions(self, node):
        """By the tag that it was trained for."""
        by_release = {self.first["release"]: "production", self.next["release"]: "next"}
        found = self.cluster.json("versions", f"{MODEL}@{node}")
        return {by_release[v["release"]]: v["version"] for v in found if "/".join(v["partition"]) == node and v["release"] in by_release}

    def answer(self, node, tag):
        """(version, served, reason, tag) of who answers."""
        header = predict_header("acme", "duration", [node.split("/")], refs=[f"tag:{tag}"])
        with Wire(self.cluster.router()) as wire:
            reply, _ = wire.ask(header, {"rows": [{"distance_km": 3.0}]})
        self.assertEqual(reply["status"], 0, reply)
        given = reply["parts"][0]["provenance"]
        version = str(uuid.UUID(bytes=given["version"]))
        return version, "/".join(given.get("served", [])), given.get("reason", 0), given["tag"]

    def refused(self, code, *arguments):
        with self.assertRaises(Failed) as failed:
            self.cluster.run(*arguments)
        self.assertEqual(failed.exception.code, code, failed.exception)
        return failed.exception.errors

    def test_of_two_writers_one_gets_through(self):
        last = self.newest()["release"]
        version = self.versions("france")["next"]
        outcomes = []

        def write(note):
            try:
                self.cluster.run("tag", "set", f"{MODEL}@france", "--tag", "production", "--version", version, "--if-release", last,
                                 "--note", note)
                outcomes.append(note)
            except Failed as failed:
                outcomes.append(failed.errors)

        writers = [threading.Thread(target=write, args=(name,)) for name in ("anna", "bert", "cleo")]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        won = [o for o in outcomes if o in ("anna", "bert", "cleo")]
        self.assertEqual(len(won), 1, outcomes)
        self.assertEqual(len([o for o in outcomes if "failed_precondition" in o and "nothing was changed" in o]), 2, outcomes)
        self.assertEqual(self.entries()["france"], version)
        self.assertEqual(self.newest()["note"], won[0])
        history = self.cluster.json("tags", "history", MODEL, "--tag", "production", "--node", "france")
        self.assertEqual([m["version"] for m in history if m["release"] == self.newest()["release"]], [version])
        self.assertTrue(all(m["partition"] == ["france"] for m in history))

    def test_a_training_run_that_was_overtaken_publishes_nothing(self):
        words = ["train", ROOT / "examples" / "rides.toml", "--data", self.rides, "--tenant", "acme", "--if-release"]
        before = self.newest()
        self.assertIn("failed_precondition", self.refused(1, *words, self.next["release"]))
        self.refused(2, *words, "x")
        self.assertEqual(self.newest(), before)
        self.cluster.run(*words, before["release"])
        self.assertNotEqual(self.newest(), before)

    def test_remove_and_unset(self):
        for word in ("remove", "unset"):
            made = self.cluster.json("tag", word, f"{MODEL}@france/paris", "--tag", "production", "--wait")
            self.assertEqual((made["moved"], made["served"]), (1, True))
            _, served, reason, _ = self.answer("france/paris", "production")
            self.assertEqual((served, reason), ("france", 8 if word == "remove" else 1))
        self.assertNotIn("france/paris", self.entries())

    def test_a_dry_run_names_what_a_rollback_then_changes(self):
        self.cluster.run("release", "move", MODEL, self.next["release"], "--wait")
        before = self.entries()
        ways = [["--to", self.first["release"]], ["--to-epoch", self.first["epoch"]], ["--as-of", self.first["epoch"]],
                ["--where", "release = '" + self.next["release"] + "' and partition under 'france'"]]
        for way in ways:
            with self.subTest(way=way):
                listed = self.cluster.json("rollback", MODEL, *way, "--dry-run")
                self.assertEqual(self.entries(), before)
                names = ["/".join(node["partition"]) for node in listed]
                self.assertEqual(len(names), len(set(names)))
                self.assertTrue(all("rmse" in node["delta"] for node in listed))
                table = self.cluster.run("rollback", MODEL, *way, "--dry-run")
                self.assertIn(f"{len(listed)} nodes", table)
                made = self.cluster.json("rollback", MODEL, *way, "--wait", "--note", "drill")
                self.assertEqual(made["moved"], len(listed))
                after = self.entries()
                self.assertEqual({n for n in before if before[n] != after[n]}, set(names))
                self.assertEqual(all(n.startswith("france") for n in names), way[0] == "--where")
                self.assertEqual(self.answer("france/paris", "production")[0], self.versions("france/paris")["production"])
                self.assertEqual(self.cluster.json("rollback", MODEL, *way, "--dry-run"), [])
                diff = self.cluster.json("release", "diff", MODEL, made["release"], self.next["release"])
                self.assertEqual({"/".join(n["partition"]) for n in diff}, set(names))
                self.cluster.run("release", "move", MODEL, self.next["release"], "--wait")

    def test_what_is_wrong_is_said_and_changes_nothing(self):
        before = self.newest()
        nowhere = str(uuid.uuid4())
        self.refused(2, "rollback", MODEL)
        self.refused(2, "rollback", MODEL, "--to", "x")
        self.refused(2, "rollback", MODEL, "--to", nowhere, "--where", "rows > 1")
        self.refused(2, "tags")
        self.refused(2, "tag", "set", f"{MODEL}@france", "--tag", "production")
        self.refused(2, "tag", "paint", MODEL)
        self.assertIn("not_found", self.refused(1, "rollback", MODEL, "--to", nowhere))
        self.assertIn("^", self.refused(1, "rollback", MODEL, "--where", "metrics_rmse > 1", "--dry-run"))
        self.assertIn("not committed", self.refused(1, "rollback", MODEL, "--to-epoch", "99999"))
        self.assertIn("UTC", self.refused(1, "tags", MODEL, "--as-of", "yesterday"))
        self.assertIn("not_found", self.refused(1, "tags", MODEL, "--as-of", "2020-01-01"))
        self.assertIn("another node", self.refused(1, "tag", "set", f"{MODEL}@france", "--version", self.versions("germany")["next"]))
        self.assertIn("itself", self.refused(1, "tag", "overlay", MODEL, "next", "--on", "next"))
        self.assertIn("nothing to promote", self.refused(1, "promote", f"{MODEL}@atlantis", "--from", "next"))
        self.assertEqual(self.newest(), before)

    def test_reads_are_as_they_were(self):
        epoch = self.first["epoch"]
        self.assertEqual([t["tag"] for t in self.cluster.json("tags", MODEL, "--as-of", epoch)], ["production"])
        self.assertEqual([r["release"] for r in self.cluster.json("release", "list", MODEL, "--as-of", epoch)], [self.first["release"]])
        self.assertEqual(self.cluster.json("release", "show", MODEL, "--as-of", epoch)["release"], self.first["release"])
        self.assertIn("not_found", self.refused(1, "release", "show", MODEL, self.next["release"], "--as-of", epoch))
        then = self.cluster.json("versions", MODEL, "--as-of", epoch)
        self.assertEqual({v["release"] for v in then}, {self.first["release"]})
        self.cluster.run("tag", "remove", f"{MODEL}@france/paris", "--wait")
        now = self.cluster.json("explain", f"{MODEL}@france/paris")
        was = self.cluster.json("explain", f"{MODEL}@france/paris", "--as-of", epoch)
        self.assertEqual((now["answer"]["served"], now["answer"]["reason"]), (["france"], "removed"))
        self.assertEqual((was["answer"]["served"], was["answer"]["reason"]), (["france", "paris"], "exact"))
        self.assertIn("if it was ready", self.cluster.run("explain", f"{MODEL}@france/paris", "--as-of", epoch))

    def test_an_overlay_decides_where_it_says_something(self):
        self.cluster.run("tag", "overlay", MODEL, "canary", "--on", "production", "--wait")
        self.addCleanup(self.cluster.run, "tag", "overlay", MODEL, "canary")
        paris, france = self.versions("france/paris"), self.versions("france")
        self.assertEqual(self.answer("france/paris", "canary"), (paris["production"], "france/paris", 0, "production"))
        self.cluster.run("tag", "set", f"{MODEL}@france/paris", "--tag", "canary", "--version", paris["next"], "--wait")
        self.assertEqual(self.answer("france/paris", "canary"), (paris["next"], "france/paris", 0, "canary"))
        self.assertEqual(self.answer("france/paris", "production")[0], paris["production"])
        self.cluster.run("tag", "remove", f"{MODEL}@france/paris", "--tag", "canary", "--wait")
        self.assertEqual(self.answer("france/paris", "canary"), (france["production"], "france", 8, "production"))
        steps = self.cluster.json("explain", f"{MODEL}@france/paris", "--tag", "canary")["levels"]
        self.assertEqual([(s["state"] == "removed", s["tag"]) for s in steps[:2]], [(True, "canary"), (False, "production")])
        self.assertIn({"tag": "canary", "on": "production"},
                      [{k: t[k] for k in ("tag", "on")} for t in self.cluster.json("tags", MODEL)])
        self.assertIn("a loop: production on canary on production",
                      self.refused(1, "tag", "overlay", MODEL, "production", "--on", "canary"))
        # A restart of everything keeps it: shards answer from what they have on disk.
        self.cluster.stop()
        self.cluster.start()
        self.assertEqual(self.answer("france/paris", "canary"), (france["production"], "france", 8, "production"))
        self.cluster.run("tag", "unset", f"{MODEL}@france/paris", "--tag", "canary", "--wait")
        self.assertEqual(self.answer("france/paris", "canary")[:3], (paris["production"], "france/paris", 0))

    def artefact_in_pack(self, node, tag):
        """Of the artefact that the tag names for the node: its bytes, and (file, offset) within them on the registry's disk."""
        entry = next(e for e in self.cluster.json("tags", MODEL, "--tag", tag) if "/".join(e["partition"]) == node)
        with Wire(self.cluster.registry()) as wire:
            _, (artefact,) = wire.ask({"v": 1, "op": "fetch", "tenant": "acme", "artefacts": [bytes.fromhex(entry["artefact"])]})
        for pack in (self.cluster.dir / "registry" / "artefacts").rglob("*.pack"):
            at = pack.read_bytes().find(artefact)
            if at >= 0:
                return artefact, (pack, at + len(artefact) // 2)
        self.fail("the artefact is in no pack")

    @staticmethod
    def flip(pack, at):
        with open(pack, "r+b") as file:
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 1]))

    def test_an_overlay_that_is_not_ready_is_answered_for_by_the_tag_below(self):
        self.cluster.run("tag", "overlay", MODEL, "next", "--on", "production", "--wait")
        self.cluster.run("tag", "overlay", MODEL, "trial", "--on", "next", "--wait")
        paris = self.versions("france/paris")
        shards = [process["pid"] for process in self.cluster.processes("shard")]
        for pid in shards:
            os.kill(pid, signal.SIGSTOP)
        try:
            self.cluster.run("train", ROOT / "examples" / "rides.toml", "--data", self.rides, "--tenant", "acme", "--tag", "trial",
                             "--where", "split = train and hour != 12")
            artefact, place = self.artefact_in_pack("france/paris", "trial")
            self.flip(*place)
        finally:
            for pid in shards:
                os.kill(pid, signal.SIGCONT)
        trained = self.newest()
        wanted = self.entries("trial")
        wait_until(lambda: self.answer("france", "trial")[0] == wanted["france"], what="the release is served")
        self.assertEqual(self.answer("france", "trial"), (wanted["france"], "france", 0, "trial"))
        self.assertEqual(self.answer("france/paris", "trial"), (paris["next"], "france/paris", 3, "next"))
        self.assertEqual(self.answer("france/paris", "production"), (paris["production"], "france/paris", 0, "production"))
        with Wire(self.cluster.registry()) as wire:
            reply, _ = wire.ask({"v": 1, "op": "wait", "epoch": trained["epoch"], "wait_us": 0})
        self.assertEqual({"/".join(f["partition"]) for f in reply["failed"]}, {"france/paris"})
        # Uploaded anew it is mended, and fetched by the shards by themselves.
        with Wire(self.cluster.registry()) as wire:
            digest = hashlib.blake2b(artefact, digest_size=32).digest()
            reply, _ = wire.ask({"v": 1, "op": "upload", "tenant": "acme", "artefacts": [digest]}, artefact)
        self.assertEqual(reply["status"], 0, reply)
        wait_until(lambda: self.answer("france/paris", "trial")[0] == wanted["france/paris"], what="it is fetched anew")

    def test_a_promotion_moves_three_tags_at_once(self):
        before = self.entries()
        self.cluster.run("release", "move", MODEL, self.next["release"], "--tag", "staging", "--wait")
        staged = self.entries("staging")
        made = self.cluster.json("promote", f"{MODEL}@france", "--from", "staging", "--to", "production", "--wait")
        france = {n for n in before if n == "france" or n.startswith("france/")}
        self.assertEqual(made["moved"], len(france))
        after = self.entries()
        self.assertEqual({n: after[n] for n in france}, {n: staged[n] for n in france})
        self.assertEqual({n: v for n, v in after.items() if n not in france}, {n: v for n, v in before.items() if n not in france})
        self.assertEqual(self.entries("archived"), {n: before[n] for n in france})
        self.assertEqual(set(self.entries("staging")), set(staged) - france)
        for tag, version in (("production", staged["france"]), ("archived", before["france"])):
            self.assertEqual(self.answer("france", tag)[0], version)
        self.assertNotEqual(self.answer("france", "staging")[1], "france")
        epochs = {r["epoch"] for r in self.cluster.json("release", "list", MODEL)[:3]}
        self.assertEqual(epochs, {made["epoch"]})

    def test_the_same_from_python(self):
        with Registry(self.cluster.registry()) as registry:
            last = uuid.UUID(self.newest()["release"])
            version = uuid.UUID(self.versions("france")["next"])
            made = registry.set_tag("acme", "duration", "production", ["france"], version, expected_release=last, note="python")
            self.assertEqual(made["moved"], 1)
            with self.assertRaises(EspalierError) as error:
                registry.set_tag("acme", "duration", "production", ["france"], None, expected_release=last)
            self.assertEqual(error.exception.code, Code.FAILED_PRECONDITION)
            history = list(registry.tag_history("acme", "duration", "production", node=["france"]))
            self.assertEqual((history[0]["version"], history[0]["note"]), (version, "python"))
            listed = list(registry.rollback_preview("acme", "duration", "production", where=f"version = '{version}'"))
            self.assertEqual([n["partition"] for n in listed], [["france"]])
            back = registry.rollback("acme", "duration", "production", where=f"version = '{version}'")
            self.assertEqual(back["moved"], 1)
            diff = list(registry.release_diff("acme", "duration", made["release"], back["release"]))
            self.assertEqual([(n["partition"], n["before"]["version"]) for n in diff], [(["france"], version)])
            registry.promote("acme", "duration", "next", "draft", archive=None, under=["france"], keep=True)
            draft = list(registry.tag_entries("acme", "duration", "draft"))
            self.assertTrue(draft and all(e["partition"][0] == "france" for e in draft))
            self.assertIsNone(registry.overlay("acme", "duration", "draft", "production").get("message"))
            registry.overlay("acme", "duration", "draft", "")


if __name__ == "__main__":
    unittest.main()
