"""Wrong input of every kind: a clear error that names the place; processes stay up, the connection stays open, nothing acknowledged is lost."""

import concurrent.futures
import os
import pathlib
import sys
import unittest
import uuid

import msgpack

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from espalier_cluster import INVALID_ARGUMENT, NOT_FOUND, OK, ROOT, UNIMPLEMENTED, Cluster, Failed, Wire, predict_header  # noqa: E402

CORRUPT = 11
SPEC = ROOT / "examples" / "rides.toml"
CITY = ["france", "lyon"]
ROW = {"distance_km": 4.2, "hour": 8, "vehicle": "standard", "weather": "dry"}


def header(partition=CITY, **more):
    return {**predict_header("acme", "duration", [partition]), **more}


def body(**changes):
    return {"rows": [{**ROW, **changes}]}


# name, header, bodies, code of the reply or of its first part, what the message says
TO_THE_ROUTER = [
    ("no msgpack", b"\xc1", [], INVALID_ARGUMENT, "header"),
    ("header cut short", msgpack.packb(header())[:-3], [body()], INVALID_ARGUMENT, "parts"),
    ("header not a map", [1, 2], [body()], INVALID_ARGUMENT, "expected a map, got an array"),
    ("a count without elements", b"\xdf\xff\xff\xff\xff", [], INVALID_ARGUMENT, "header"),
    ("no op", {"v": 1}, [], INVALID_ARGUMENT, "op"),
    ("unknown op", {"v": 1, "op": "explode"}, [], UNIMPLEMENTED, "explode"),
    ("newer protocol", header(v=99), [body()], UNIMPLEMENTED, "99"),
    ("budget of text", header(budget_us="soon"), [body()], INVALID_ARGUMENT, "budget_us: expected an integer, got text"),
    ("principal from a client", header(principal="root"), [body()], INVALID_ARGUMENT, "principal"),
    ("prediction id from a client", header(prediction=b"x" * 16), [body()], INVALID_ARGUMENT, "prediction"),
    ("bad UTF-8 in a partition", msgpack.packb(header(["fra\udcff", "lyon"]), unicode_errors="surrogateescape"), [body()],
     INVALID_ARGUMENT, "UTF-8"),
    ("level value too long", header(["x" * 257]), [body()], INVALID_ARGUMENT, "partition"),
    ("nine levels", header(["x"] * 9), [body()], INVALID_ARGUMENT, "partition"),
    ("a level too many", header(["france", "lyon", "centre"]), [body()], INVALID_ARGUMENT, "3 level values, the model has 2 levels"),
    ("body missing", header(), [], INVALID_ARGUMENT, "parts: 1 in the header, but 0 body frames"),
    ("body too many", header(), [body(), body()], INVALID_ARGUMENT, "2 body frames"),
    ("tenant is no name", {**header(), "tenant": "A B"}, [body()], INVALID_ARGUMENT, "tenant"),
    ("unknown tenant", {**header(), "tenant": "nobody"}, [body()], NOT_FOUND, "model nobody/duration"),
    ("unknown model", {**header(), "model": "nothing"}, [body()], NOT_FOUND, "model acme/nothing"),
    ("unknown tag", header(refs=["tag:nothing"]), [body()], NOT_FOUND, "nothing"),
    ("ref of no kind", header(refs=["newest"]), [body()], INVALID_ARGUMENT, "newest"),
    ("foreign version", header(refs=[f"version:{uuid.uuid4()}"]), [body()], NOT_FOUND, "version"),
    ("body no msgpack", header(), [b"\xc1"], INVALID_ARGUMENT, ""),
    ("body of another form", header(), [{"lines": []}], INVALID_ARGUMENT, "rows"),
    ("fewer rows than said", predict_header("acme", "duration", [CITY], rows=2), [body()], INVALID_ARGUMENT, "rows"),
    ("unknown field", header(), [body(colour="red")], INVALID_ARGUMENT, "colour"),
    ("text for a number", header(), [body(distance_km="far")], INVALID_ARGUMENT, "rows[0].distance_km: expected a number, got text"),
    ("number for a text", header(), [body(vehicle=7)], INVALID_ARGUMENT, "rows[0].vehicle: expected text"),
    ("NaN", header(), [body(distance_km=float("nan"))], INVALID_ARGUMENT, "rows[0].distance_km: NaN"),
    ("infinity", header(), [body(distance_km=float("inf"))], INVALID_ARGUMENT, "rows[0].distance_km"),
    ("over 16 MiB", header(), [b"\0" * (17 << 20)], INVALID_ARGUMENT, "16777216"),
]


def failure_of(reply):
    """Code and message of the request, or of its first part."""
    if reply["status"] != OK:
        return reply["status"], reply.get("message", "")
    part = reply["parts"][0]
    return part.get("status", OK), part.get("message", "")


class BadInput(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(shards=2).__enter__()
        cls.addClassCleanup(cls.cluster.__exit__, None, None, None)
        cls.rides = cls.cluster.folder / "rides.csv"
        cls.cluster.run("sample-data", cls.rides, "--rows", 10000)
        cls.cluster.train(SPEC, cls.rides, where="split = train")

    def setUp(self):
        self.pids = {p["name"]: p["pid"] for p in self.cluster.processes()}
        self.releases = self.cluster.json("release", "list", "acme/duration")

    def tearDown(self):
        self.assertEqual({p["name"]: p["pid"] for p in self.cluster.processes()}, self.pids, "a process was started again")
        self.assertEqual(self.cluster.json("release", "list", "acme/duration"), self.releases)

    def test_wrong_requests_to_the_router(self):
        with Wire(self.cluster.router()) as wire:
            for name, wrong, bodies, code, text in TO_THE_ROUTER:
                with self.subTest(name):
                    got, message = failure_of(wire.ask(wrong, *bodies)[0])
                    self.assertEqual(got, code, message)
                    self.assertIn(text, message)
                    reply, answers = wire.ask(header(), body())
                    self.assertEqual(failure_of(reply)[0], OK, "the connection answers as before")
                    self.assertEqual(len(msgpack.unpackb(answers[0])["value"]), 1)

    def test_a_wrong_part_leaves_the_others_alone(self):
        with Wire(self.cluster.router()) as wire:
            asked = predict_header("acme", "duration", [CITY, CITY, ["poland"]])
            reply, _ = wire.ask(asked, body(), body(colour="red"), body())
            self.assertEqual([part.get("status", OK) for part in reply["parts"]], [OK, INVALID_ARGUMENT, OK])

    def test_damaged_artefacts_are_refused(self):
        (version, *_) = self.cluster.json("versions", "acme/duration")
        digest = bytes.fromhex(version["artefact"])
        with Wire(self.cluster.registry()) as wire:
            reply, (good,) = wire.ask({"v": 1, "op": "fetch", "tenant": "acme", "artefacts": [digest]})
            self.assertEqual(reply["status"], OK)
            flipped = bytearray(good)
            flipped[len(good) // 2] ^= 1
            for name, damaged in [("flipped", bytes(flipped)), ("cut", good[:-64]), ("empty", b"")]:
                with self.subTest(name):
                    reply, _ = wire.ask({"v": 1, "op": "upload", "tenant": "acme", "artefacts": [digest]}, damaged)
                    self.assertIn(reply["status"], (CORRUPT, INVALID_ARGUMENT), reply)
                    self.assertIn(digest.hex()[:8], reply["message"])
            reply, _ = wire.ask({"v": 1, "op": "fetch", "tenant": "stranger", "artefacts": [digest]})
            self.assertEqual(reply.get("found", []), [], "another tenant's artefact")

    def test_wrong_requests_to_the_registry(self):
        idem = uuid.uuid4().bytes
        cases = [
            ({"v": 1, "op": "explode"}, UNIMPLEMENTED, "explode"),
            ({"v": 1, "op": "tag_entries", "tenant": "acme", "model": "duration", "tag": "production", "cursor": b"zzz"},
             INVALID_ARGUMENT, "cursor"),
            ({"v": 1, "op": "publish", "tenant": "acme", "model": "duration", "tag": "Not A Tag", "idem": idem}, INVALID_ARGUMENT, "tag"),
            ({"v": 1, "op": "move", "tenant": "acme", "model": "duration", "tag": "production", "idem": idem,
              "release": uuid.uuid4().bytes, "from_release": uuid.uuid4().bytes}, NOT_FOUND, "release"),
        ]
        with Wire(self.cluster.registry()) as wire:
            for wrong, code, text in cases:
                with self.subTest(wrong["op"]):
                    reply, _ = wire.ask(wrong)
                    self.assertEqual(reply["status"], code, reply)
                    self.assertIn(text, reply["message"])
            self.assertEqual(wire.ask({"v": 1, "op": "hello"})[0]["status"], OK)

    def refuses(self, text, *words):
        with self.assertRaises(Failed) as failed:
            self.cluster.run(*words)
        self.assertIn(text, failed.exception.errors)

    def test_wrong_files_on_the_command_line(self):
        folder = self.cluster.folder
        lines = self.rides.read_text().splitlines()
        short = folder / "short.csv"
        short.write_text("\n".join([*lines[:5], "too,few", *lines[5:]]))
        self.refuses("short.csv:6", "train", SPEC, "--data", short, "--tenant", "acme")
        number = folder / "number.csv"
        wrong = lines[3].split(",")
        wrong[lines[0].split(",").index("distance_km")] = "far"
        number.write_text("\n".join([*lines[:3], ",".join(wrong), *lines[4:]]))
        self.refuses("number.csv:4", "train", SPEC, "--data", number, "--tenant", "acme")
        spec = folder / "wrong.toml"
        spec.write_text(SPEC.read_text().replace("min_rows", "min_row"))
        self.refuses('did you mean "min_rows"', "train", spec, "--data", self.rides, "--tenant", "acme")
        self.refuses("^", "train", SPEC, "--data", self.rides, "--tenant", "acme", "--where", "split = train and (hour < 3")
        self.refuses("not_found", "predict", "acme/nothing", "--row", "{}")
        self.refuses("2 levels", "predict", "acme/duration@a/b/c", "--row", "{}")
        self.refuses("row 0.hour: comes twice", "predict", "acme/duration", "--row", '{"hour": 1, "hour": 2}')

    def test_a_level_value_that_is_none_is_named_with_its_line(self):
        lines = self.rides.read_text().splitlines()
        wrong = lines[7].split(",")
        wrong[lines[0].split(",").index("city")] = "x" * 300
        path = self.cluster.folder / "level.csv"
        path.write_text("\n".join([*lines[:7], ",".join(wrong), *lines[8:]]))
        for command, out in (("evaluate", []), ("batch", ["--out", self.cluster.folder / "out.csv"])):
            self.refuses("level.csv:8", command, "acme/duration", "--in" if out else "--data", path, *out)

    def test_wrong_numbers_and_words(self):
        self.refuses("--rows", "sample-data", self.cluster.folder / "x.csv", "--rows", "-1")
        self.refuses("--rows", "sample-data", self.cluster.folder / "x.csv", "--rows", "99999999999999999999")
        self.refuses("--threads", "train", SPEC, "--data", self.rides, "--tenant", "acme", "--threads", "100000")
        self.refuses("no command 'nosuch'", "nosuch")
        self.refuses("no command 'back'", "release", "back")

    def test_batch_overwrites_neither_its_input_nor_a_pipe(self):
        before = self.rides.read_bytes()
        self.refuses("is the file that is read", "batch", "acme/duration", "--in", self.rides, "--out", self.rides)
        self.assertEqual(self.rides.read_bytes(), before)
        pipe = self.cluster.folder / "pipe"
        os.mkfifo(pipe)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            read = pool.submit(pipe.read_bytes)
            self.cluster.run("batch", "acme/duration", "--in", self.rides, "--where", "split = test", "--out", pipe)
            self.assertTrue(read.result().startswith(before.split(b"\n")[0]))
        self.assertTrue(pipe.is_fifo())


if __name__ == "__main__":
    unittest.main()
