"""The Python package against a running cluster: answers, fallback, typed errors, streams, and a router that stays silent."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "client" / "python"))
from espalier_cluster import ROOT, Cluster  # noqa: E402

from espalier import Client, Code, EspalierError, Part, Reason  # noqa: E402

ROW = {"distance_km": 4.2, "hour": 8.0, "vehicle": "standard", "weather": "dry"}
CITY = ["france", "lyon"]


class PythonClient(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(shards=2).__enter__()
        cls.addClassCleanup(cls.cluster.__exit__, None, None, None)
        rides = cls.cluster.folder / "rides.csv"
        cls.cluster.run("sample-data", rides, "--rows", 20000)
        cls.cluster.train(ROOT / "examples" / "rides.toml", rides)
        cls.versions = {tuple(v["partition"]): v["version"] for v in cls.cluster.json("versions", "acme/duration")}

    def setUp(self):
        self.client = Client(self.cluster.router())
        self.addCleanup(self.client.close)

    def test_says_what_answered_and_why(self):
        exact = self.client.predict("acme", "duration", CITY, rows=[ROW, {}])
        self.assertEqual(len(exact.values), 2)
        self.assertEqual(exact.provenance.reason, Reason.EXACT)
        self.assertEqual(exact.provenance.served, CITY)
        self.assertEqual(str(exact.provenance.version), self.versions[tuple(CITY)])
        nowhere = self.client.predict("acme", "duration", ["france", "nowhere"], rows=[ROW])
        self.assertEqual(nowhere.provenance.reason, Reason.NO_VERSION)
        self.assertEqual((nowhere.provenance.level, nowhere.provenance.served), ("country", ["france"]))
        moon = self.client.predict("acme", "duration", ["moon", "crater"], rows=[ROW])
        self.assertEqual((moon.provenance.level, moon.provenance.served), ("global", []))

    def test_rows_columns_and_the_command_line_agree(self):
        rows = self.client.predict("acme", "duration", CITY, rows=[ROW, ROW])
        columns = self.client.predict("acme", "duration", CITY, columns={name: [value, value] for name, value in ROW.items()})
        self.assertEqual(rows.values, columns.values)
        row = '{"distance_km": 4.2, "hour": 8, "vehicle": "standard", "weather": "dry"}'
        said = self.cluster.json("predict", "acme/duration@france/lyon", "--row", row)
        self.assertEqual(said["predictions"][0]["value"], rows.values[0])

    def test_a_part_may_fail_alone(self):
        answer = self.client.predict_parts("acme", "duration", [Part(CITY, rows=[ROW]), Part(["a", "b", "c"], rows=[ROW])])
        self.assertIsNone(answer.error)
        self.assertEqual(len(answer.parts[0].values), 1)
        self.assertEqual(answer.parts[1].error.code, Code.INVALID_ARGUMENT)

    def test_errors_have_a_code_and_name_the_place(self):
        for code, text, arguments in [
            (Code.NOT_FOUND, "acme/nothing", dict(model="nothing")),
            (Code.NOT_FOUND, "tag", dict(ref="tag:nothing")),
            (Code.INVALID_ARGUMENT, "hour", dict(rows=[{"hour": "eight"}])),
            (Code.INVALID_ARGUMENT, "levels", dict(partition=["a", "b", "c"])),
            (Code.UNAVAILABLE, "epoch", dict(min_epoch=1_000_000)),
        ]:
            with self.subTest(arguments), self.assertRaises(EspalierError) as failed:
                asked = {"tenant": "acme", "model": "duration", "partition": CITY, "rows": [ROW], **arguments}
                self.client.predict(**asked)
            self.assertEqual(failed.exception.code, code, failed.exception)
            self.assertIn(text, failed.exception.message)

    def test_a_stream_is_answered_in_order(self):
        asked = [{**ROW, "distance_km": 1.0 + i % 50} for i in range(1000)]
        answers = list(self.client.predict_many("acme", "duration", ([Part(CITY, rows=[row])] for row in asked), window=32))
        self.assertEqual(len(answers), len(asked))
        alone = [self.client.predict("acme", "duration", CITY, rows=[row]).values[0] for row in asked[:50]]
        for i, answer in enumerate(answers):
            self.assertEqual(answer.parts[0].values, [alone[i % 50]])

    def test_the_next_router_is_used_at_once_where_nobody_listens(self):
        nobody = f"ipc://{self.cluster.folder}/nobody.sock"
        with Client([nobody, self.cluster.router()]) as client:
            for _ in range(2):
                answer = client.predict("acme", "duration", CITY, rows=[ROW], budget_us=5_000_000)
                self.assertEqual(answer.provenance.reason, Reason.EXACT)
        with Client(nobody) as client:
            with self.assertRaises(EspalierError) as failed:
                client.predict("acme", "duration", CITY, rows=[ROW], budget_us=20_000)
            self.assertEqual(failed.exception.code, Code.DEADLINE_EXCEEDED)


if __name__ == "__main__":
    unittest.main()
