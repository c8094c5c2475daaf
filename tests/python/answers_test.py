"""The judge of answers (tests/support/answers.py) by answers that are made up: what is excused, by what, and for how long."""

import pathlib
import sys
import types
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "client" / "python")]
from answers import (COLD, CORRUPT, EXACT, NO_VERSION, NONE_HERE, OVER_BUDGET, PREVIOUS, QUARANTINED, REMOVED, SETTLED_S, Answer,  # noqa: E402
                     History, Troubles)  # noqa: E402

ROOT_NODE, COUNTRY, CITY = (), ("de",), ("de", "berlin")
LEASE_S = 2.0


class Judge(unittest.TestCase):
    def setUp(self):
        self.now = 100.0
        self.tree = types.SimpleNamespace(numbers={}, nodes={})
        self.troubles = Troubles(LEASE_S, lambda: self.now)
        self.history = History(self.tree, self.troubles, lambda: self.now)
        self.epoch = 0
        self.first = self.release(ROOT_NODE, COUNTRY, CITY)
        self.now += 100

    def release(self, *nodes):
        """What an answer from this release says of each node."""
        self.epoch += 1
        said = {}
        for node in nodes:
            version = f"{node}@{self.epoch}"
            self.tree.numbers[version], self.tree.nodes[version] = float(len(self.tree.numbers)), node
            said[node] = {"served": node, "version": version, "release": f"r{self.epoch}", "release_epoch": self.epoch}
        self.history.add(self.epoch, f"r{self.epoch}", {node: said[node]["version"] for node in nodes})
        return said

    def answer(self, said, reason, asked=CITY, shard="s0", epoch=None):
        provenance = {**said, "asked": asked, "reason": reason, "shard": shard, "epoch": epoch or self.epoch}
        return Answer(asked, "client", self.now, self.now + 0.001, 0, "", self.tree.numbers[said["version"]], provenance)

    def judge(self, *words, **more):
        return self.history.violation(self.answer(*words, **more))

    def after(self, seconds):
        self.now += seconds

    def broken(self, kind, *hosts, seconds):
        trouble = self.troubles.begins(kind, *hosts)
        self.after(seconds)
        self.troubles.ends(trouble)

    def test_what_is_wanted_is_right(self):
        self.assertIsNone(self.judge(self.first[CITY], EXACT))

    def test_the_version_before_is_right_for_a_while_after_a_release(self):
        self.release(CITY)
        self.after(SETTLED_S - 1)
        self.assertIsNone(self.judge(self.first[CITY], PREVIOUS))
        self.after(2)
        self.assertIn("another version since epoch 2", self.judge(self.first[CITY], PREVIOUS))

    def test_further_releases_of_the_node_are_no_excuse(self):
        for _ in range(4):
            self.release(CITY)
            self.after(SETTLED_S / 3)
        self.assertIn("another version since epoch 2", self.judge(self.first[CITY], PREVIOUS))

    def change(self, node, version=NONE_HERE):
        self.epoch += 1
        self.history.add(self.epoch, f"r{self.epoch}", {node: version})

    def quarantine(self, said, is_in=True):
        self.epoch += 1
        self.history.quarantine(self.epoch, said["version"], is_in)

    def test_what_is_in_quarantine_never_answers_and_others_say_why_they_do(self):
        self.assertIn("nothing below is in quarantine", self.judge(self.first[COUNTRY], QUARANTINED))
        self.quarantine(self.first[CITY])
        self.after(1)
        self.assertIsNone(self.judge(self.first[COUNTRY], QUARANTINED))
        self.assertIn("is in quarantine", self.judge(self.first[CITY], EXACT))
        self.assertIn("answers, by", self.judge(self.first[COUNTRY], NO_VERSION))
        self.assertIn("nothing below is in quarantine", self.judge(self.first[COUNTRY], QUARANTINED, COUNTRY))
        self.quarantine(self.first[CITY], False)
        self.after(1)
        self.assertIsNone(self.judge(self.first[CITY], EXACT))
        self.assertIn("nothing below is in quarantine", self.judge(self.first[COUNTRY], QUARANTINED))

    def test_a_quarantine_may_be_in_force_before_its_epoch_but_not_before_it_was_asked_for(self):
        self.quarantine(self.first[CITY])
        self.assertIsNone(self.judge(self.first[COUNTRY], QUARANTINED, epoch=1))
        self.assertIsNone(self.judge(self.first[CITY], EXACT, epoch=1))
        self.now -= 1
        self.assertIn("nothing below is in quarantine", self.judge(self.first[COUNTRY], QUARANTINED, epoch=1))

    def test_a_removed_node_is_answered_for_with_that_reason_and_no_other(self):
        self.assertIn("nothing below is removed", self.judge(self.first[COUNTRY], REMOVED))
        self.change(CITY)
        self.after(SETTLED_S + 1)
        self.assertIsNone(self.judge(self.first[COUNTRY], REMOVED))
        self.assertIn("the reason doesn't fit", self.judge(self.first[COUNTRY], NO_VERSION))
        self.assertIn("answers, by", self.judge(self.first[CITY], EXACT))
        self.assertIn("nothing below was wanted", self.judge(self.first[COUNTRY], COLD))
        again = self.release(CITY)
        self.after(1)
        self.assertIsNone(self.judge(again[CITY], EXACT))
        self.assertIsNone(self.judge(self.first[COUNTRY], COLD))
        self.after(SETTLED_S)
        self.assertIn("is wanted", self.judge(self.first[COUNTRY], COLD))
        self.assertIn("nothing below is removed", self.judge(self.first[COUNTRY], REMOVED))

    def test_a_stale_root_is_no_answer_to_everything(self):
        for nodes in [(CITY,), (COUNTRY,), (ROOT_NODE,), (CITY, ROOT_NODE)]:
            self.release(*nodes)
        self.after(SETTLED_S + 1)
        for asked in (CITY, COUNTRY):
            self.assertIn("is wanted", self.judge(self.first[ROOT_NODE], COLD, asked))
        self.assertIn("another version since epoch 4", self.judge(self.first[ROOT_NODE], PREVIOUS, ROOT_NODE))

    def test_a_stale_root_is_none_either_after_a_restart(self):
        self.release(ROOT_NODE)
        self.after(SETTLED_S + 1)
        self.broken("kill", "s0", seconds=1)
        self.after(LEASE_S + SETTLED_S - 1)
        self.assertIsNone(self.judge(self.first[CITY], EXACT))
        self.assertIn("another version since epoch 2", self.judge(self.first[ROOT_NODE], COLD))

    def test_an_epoch_that_is_old_is_known_by_now(self):
        self.release(COUNTRY)
        self.assertIsNone(self.judge(self.first[CITY], EXACT, epoch=1))
        self.after(SETTLED_S + 1)
        self.assertIn("doesn't know epoch 2", self.judge(self.first[CITY], EXACT, epoch=1))

    def test_a_shard_without_the_registry_is_excused_until_it_has_had_time(self):
        trouble = self.troubles.begins("cut", "registry", "s0")
        self.after(1)
        self.release(CITY)
        self.after(60)
        self.assertIsNone(self.judge(self.first[CITY], EXACT, epoch=1))
        self.assertIn("doesn't know", self.judge(self.first[CITY], EXACT, epoch=1, shard="s1"))
        self.troubles.ends(trouble)
        self.after(SETTLED_S - 1)
        self.assertIsNone(self.judge(self.first[CITY], EXACT, epoch=1))
        self.after(2)
        self.assertIn("doesn't know", self.judge(self.first[CITY], EXACT, epoch=1))

    def test_a_cut_from_a_router_excuses_nothing(self):
        self.release(CITY)
        self.broken("cut", "router0", "s0", seconds=SETTLED_S + 1)
        self.assertIsNotNone(self.judge(self.first[CITY], PREVIOUS))

    def test_another_shard_s_end_moves_leaves_and_nothing_else(self):
        self.broken("kill", "s1", seconds=1)
        self.assertIsNone(self.judge(self.first[COUNTRY], COLD))
        self.assertIn("is wanted", self.judge(self.first[ROOT_NODE], COLD, COUNTRY))
        self.after(LEASE_S + SETTLED_S + 1)
        self.assertIn("is wanted", self.judge(self.first[COUNTRY], COLD))

    def test_damage_and_a_full_disk_must_have_been_there(self):
        for reason, kind in [(CORRUPT, "corrupt"), (OVER_BUDGET, "disk full")]:
            with self.subTest(kind):
                self.release(CITY)
                self.assertIn(f"nothing was {kind}", self.judge(self.first[COUNTRY], reason))
                self.broken(kind, "s0", seconds=1)
                self.assertIsNone(self.judge(self.first[COUNTRY], reason))
                self.assertIn(f"nothing was {kind}", self.judge(self.first[COUNTRY], reason, shard="s1"))
                self.after(LEASE_S + SETTLED_S + 1)
                self.assertIn("is wanted", self.judge(self.first[COUNTRY], reason))

    def test_a_node_without_a_version_does_not_answer_for_others(self):
        self.epoch += 1
        self.history.add(self.epoch, "unset", {COUNTRY: None})
        self.broken("kill", "s0", seconds=1)
        self.assertIn("nothing of the node that answers", self.judge(self.first[COUNTRY], COLD))

    def test_a_node_keeps_the_last_version_that_was_ready(self):
        second = self.release(CITY)
        ready = self.answer(second[CITY], EXACT)
        self.after(0.5)
        self.release(CITY)
        older = self.answer(self.first[CITY], PREVIOUS)
        self.assertIsNone(self.history.violation(older))
        self.assertEqual(self.history.versions_that_go_back([ready, older]), [(ready, older)])
        self.assertEqual(self.history.versions_that_go_back([ready, self.answer(second[CITY], PREVIOUS)]), [])

    def test_damage_may_cost_the_last_version_that_was_ready(self):
        second = self.release(CITY)
        ready = self.answer(second[CITY], EXACT)
        self.after(0.5)
        self.broken("corrupt", "s0", seconds=0.5)
        self.assertEqual(self.history.versions_that_go_back([ready, self.answer(self.first[CITY], PREVIOUS)]), [])


if __name__ == "__main__":
    unittest.main()
