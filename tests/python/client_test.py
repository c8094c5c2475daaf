"""The Python client against the hexdumps of docs/wire-protocol.md, and over a socket against a router played by the test."""

import math
import pathlib
import re
import threading
import time
import unittest
import unittest.mock
import uuid
import warnings

import msgpack
import zmq

from espalier import Client, Code, EspalierError, Part, Reason
from espalier.messages import decode_reply, encode_request

ROOT = pathlib.Path(__file__).resolve().parents[2]


def document_blocks():
    """Name to bytes of each hexdump."""
    blocks = {}
    text = (ROOT / "docs" / "wire-protocol.md").read_text(encoding="utf-8")
    for name, content in re.findall(r"^```hex (\S+)\n(.*?)^```", text, flags=re.S | re.M):
        digits = "".join(line.split(";")[0] for line in content.splitlines())
        blocks[name] = bytes.fromhex(digits)
    return blocks


BLOCKS = document_blocks()
TOWN = ["usa", "ca", "fresno"]


class Messages(unittest.TestCase):
    def test_request_is_that_of_the_document(self):
        part = Part(TOWN, rows=[{"sex": "M", "bodyweight_kg": 81.5}], unit="user 7")
        header, body = encode_request("acme", "total", [part], ref="tag:production", budget_us=250_000)
        self.assertEqual(header, BLOCKS["predict.request"])
        self.assertEqual(body, BLOCKS["predict.body.rows"])

    def test_bodies_are_those_of_the_document(self):
        columns = Part(TOWN, columns={"sex": ["M", "F"], "bodyweight_kg": [81.5, None]})
        self.assertEqual(columns.row_count(), 2)
        self.assertEqual(columns.body(), BLOCKS["predict.body.columns"])
        vectors = Part(TOWN, vectors=[["M", 81.5]], schema=2)
        self.assertEqual(vectors.body(), BLOCKS["predict.body.vectors"])

    def test_reads_the_replies_of_the_document(self):
        prediction = decode_reply([BLOCKS["predict.reply"], BLOCKS["predict.reply.body.value"]])
        self.assertIsNone(prediction.error)
        (part,) = prediction.parts
        self.assertEqual(part.values, [512.5])
        provenance = part.provenance
        self.assertEqual(provenance.asked, TOWN)
        self.assertEqual(provenance.served, TOWN[:2])
        self.assertEqual(provenance.level, "state")
        self.assertIs(provenance.reason, Reason.NO_VERSION)
        self.assertEqual(provenance.version, uuid.UUID("019a9d3c-4be0-7000-8000-000000000002"))
        self.assertEqual(provenance.release, uuid.UUID("019a9d3c-4be0-7000-8000-000000000003"))
        self.assertEqual((provenance.tag, provenance.arm, provenance.exposed), ("production", "b", True))
        self.assertEqual((provenance.release_epoch, provenance.epoch), (11, 12))
        self.assertEqual((provenance.shard, provenance.attempt), ("s0", 2))

        labels = decode_reply([BLOCKS["predict.reply"], BLOCKS["predict.reply.body.label"]]).parts[0]
        self.assertEqual((labels.labels, labels.probabilities), (["yes"], [0.75]))
        self.assertEqual((labels.classes, labels.scores), (["no", "yes"], [[0.25, 0.75]]))

    def test_reads_failures_of_the_document(self):
        failed = decode_reply([BLOCKS["error"]])
        self.assertEqual(failed.error.code, Code.OVERLOADED)
        self.assertEqual(failed.error.retry_after_us, 20_000)
        part = decode_reply([BLOCKS["predict.reply.part"], b""]).parts[0]
        self.assertEqual(part.error.code, Code.NO_MODEL)

    def test_refuses_before_sending(self):
        cases = [
            (dict(), "exactly one of"),
            (dict(rows=[{}], columns={"a": [1]}), "exactly one of"),
            (dict(vectors=[[1]]), "schema"),
            (dict(columns={"a": [1], "b": []}), "same number"),
            (dict(columns={}), "same number"),
            (dict(rows=[{"age": math.nan}]), r"rows\[0\]\.age"),
            (dict(rows=[{}, {"age": -math.inf}]), r"rows\[1\]\.age"),
            (dict(rows=[{"age": True}]), "bool"),
            (dict(rows=[{"age": [1]}]), "list"),
            (dict(columns={"a": [b"bytes"]}), r"columns\.a\[0\]"),
            (dict(vectors=[[1, object()]], schema=2), r"vectors\[0\]\[1\]"),
            (dict(rows=[{"text": "x" * (16 << 20)}]), "bytes"),
        ]
        for arguments, message in cases:
            with self.assertRaisesRegex(EspalierError, message) as raised:
                encode_request("acme", "total", [Part(**arguments)])
            self.assertEqual(raised.exception.code, Code.INVALID_ARGUMENT)
        with self.assertRaises(EspalierError):
            encode_request("acme", "total", [])
        with self.assertRaises(EspalierError):
            encode_request("acme", "total", [Part(rows=[{}])], budget_us=0)

    def test_refuses_what_is_no_reply(self):
        reply, body = BLOCKS["predict.reply"], BLOCKS["predict.reply.body.value"]
        two_rows = msgpack.packb({"value": [1.0, 2.0]})
        for frames in ([], [b""], [b"\xc1"], [b"\x93"], [msgpack.packb([])], [reply], [reply, body, body], [reply, b""],
                       [reply, two_rows], [reply[:-1], body], [msgpack.packb({"status": 0, "parts": 3}), body],
                       [msgpack.packb({"status": 0, "parts": [{"rows": 1, "provenance": {"version": b"short"}}]}), body]):
            self.assertEqual(decode_reply(frames).error.code, Code.CORRUPT, frames)


def client_of(endpoints, context=None):
    """A client of the fake routers here, which have no keys."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return Client(endpoints, context, insecure=True)


class Router(threading.Thread):
    """Answers each request with what `answer(header, bodies)` gives; None: not at all. `held` are kept back and answered in reverse."""

    def __init__(self, answer, held=1, port=None):
        super().__init__()
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.ROUTER)
        if port is None:
            port = self.socket.bind_to_random_port("tcp://127.0.0.1")
        else:
            self.socket.bind(f"tcp://127.0.0.1:{port}")
        self.endpoint = f"tcp://127.0.0.1:{port}"
        self.answer, self.held = answer, held
        self.stopping = threading.Event()
        self.start()

    def run(self):
        kept = []
        while not self.stopping.is_set():
            if not self.socket.poll(20):
                continue
            kept.append(self.socket.recv_multipart())
            if len(kept) < self.held:
                continue
            for peer, request_id, header, *bodies in reversed(kept):
                reply = self.answer(msgpack.unpackb(header), bodies)
                if reply is not None:
                    self.socket.send_multipart([peer, request_id, *reply])
            kept = []
        self.socket.close(linger=0)
        self.context.term()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.join()


def echo(header, bodies):
    """Predicts for each row its field "x"."""
    parts = [{"rows": part.get("rows", 1), "provenance": {"asked": part.get("partition", []), "level": "global"}}
             for part in header["parts"]]
    values = [msgpack.packb({"value": [row["x"] for row in msgpack.unpackb(body)["rows"]]}) for body in bodies]
    return [msgpack.packb({"status": 0, "parts": parts}), *values]


class Connection(unittest.TestCase):
    def test_predicts(self):
        with Router(echo) as router, client_of(router.endpoint) as client:
            answer = client.predict("acme", "total", TOWN, rows=[{"x": 1}, {"x": 2.5}], budget_us=20_000_000)
            self.assertEqual(answer.values, [1.0, 2.5])
            self.assertEqual(answer.provenance.asked, TOWN)

    def test_many_in_flight_come_in_order(self):
        with Router(echo, held=4) as router, client_of(router.endpoint) as client:
            requests = ([Part(rows=[{"x": i}]), Part(["a"], rows=[{"x": -i}])] for i in range(40))
            answers = list(client.predict_many("acme", "total", requests, window=4, budget_us=20_000_000))
            self.assertEqual([[part.values for part in answer.parts] for answer in answers],
                             [[[float(i)], [float(-i)]] for i in range(40)])

    def test_keeps_answers_to_what_was_submitted_while_it_predicts(self):
        with Router(echo) as router, client_of(router.endpoint) as client:
            ticket = client.submit("acme", "total", [Part(rows=[{"x": 7}])], budget_us=20_000_000)
            self.assertEqual(client.predict("acme", "total", rows=[{"x": 8}], budget_us=20_000_000).values, [8.0])
            answered, prediction = client.receive()
            self.assertEqual((answered, prediction.parts[0].values), (ticket, [7.0]))

    def test_failures_are_raised(self):
        def refuse(header, bodies):
            return [BLOCKS["error"]] if header["model"] == "busy" else [BLOCKS["predict.reply.part"], b""]

        with Router(refuse) as router, client_of(router.endpoint) as client:
            for model, code in (("busy", Code.OVERLOADED), ("empty", Code.NO_MODEL)):
                with self.assertRaises(EspalierError) as raised:
                    client.predict("acme", model, rows=[{}], budget_us=20_000_000)
                self.assertEqual(raised.exception.code, code)

    def test_gives_up_when_the_budget_is_over_and_uses_the_next_router(self):
        with Router(lambda header, bodies: None) as silent, Router(echo) as router:
            with client_of([silent.endpoint, router.endpoint]) as client:
                with self.assertRaises(EspalierError) as raised:
                    client.predict("acme", "total", rows=[{"x": 1}], budget_us=1000)
                self.assertEqual(raised.exception.code, Code.DEADLINE_EXCEEDED)
                self.assertEqual(client.predict("acme", "total", rows=[{"x": 1}], budget_us=20_000_000).values, [1.0])

    def test_sends_again_to_the_next_router_when_one_says_nothing(self):
        budgets = []

        def answer(header, bodies):
            if header["op"] == "hello":
                return [msgpack.packb({"status": 0, "role": "router"})]
            budgets.append(header["budget_us"])
            return echo(header, bodies)

        with Router(lambda header, bodies: None) as silent, Router(answer) as router:
            with client_of([silent.endpoint, router.endpoint]) as client:
                started = time.monotonic()
                tickets = {client.submit("acme", "total", [Part(rows=[{"x": i}])], budget_us=20_000_000) for i in range(3)}
                values = {}
                for _ in range(3):
                    ticket, prediction = client.receive()
                    values[ticket] = prediction.parts[0].values
                self.assertEqual(set(values), tickets)
                self.assertGreater(time.monotonic() - started, 0.15)
                self.assertLess(max(budgets), 20_000_000 - 150_000)

    def test_sends_again_when_the_connection_is_lost(self):
        def hello(header, bodies):
            return [msgpack.packb({"status": 0, "role": "router"})] if header["op"] == "hello" else None

        dying = Router(hello)
        with Router(lambda header, bodies: hello(header, bodies) or echo(header, bodies)) as router:
            with client_of([dying.endpoint, router.endpoint]) as client:
                client.submit("acme", "total", [Part(rows=[{"x": 1}])], budget_us=20_000_000)
                dying.__exit__()
                self.assertEqual(client.receive()[1].parts[0].values, [1.0])

    def test_nothing_waits_for_room_beyond_the_budget(self):
        context = zmq.Context()
        client = client_of(["tcp://127.0.0.1:1", "tcp://127.0.0.1:2"], context)
        answers = []

        def ask():
            for _ in range(1500):  # more than a connection's queue takes
                client.submit("acme", "total", [Part(TOWN, rows=[{}])], budget_us=300_000)
            for _ in range(1500):
                answers.append(client.receive()[1].error.code)

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        asking.join(20)
        self.assertFalse(asking.is_alive())
        self.assertEqual(answers, [Code.DEADLINE_EXCEEDED] * 1500)
        client.close()
        context.term()

    def test_refuses_what_it_has_no_room_for(self):
        with Router(lambda header, bodies: None) as router, Client(router.endpoint, insecure=True) as client, \
                unittest.mock.patch("espalier.routers.MOST_REQUESTS", 3):
            for _ in range(3):
                client.submit("acme", "total", [Part(rows=[{"x": 1}])], budget_us=1000)
            with self.assertRaises(EspalierError) as refused:
                client.submit("acme", "total", [Part(rows=[{"x": 1}])])
            self.assertEqual(refused.exception.code, Code.OVERLOADED)
            asked = client.predict_parts("acme", "total", [Part(rows=[{"x": 1}])], budget_us=30_000, ask_again=True)
            self.assertEqual(asked.error.code, Code.OVERLOADED)
            self.assertEqual(client.receive()[1].error.code, Code.DEADLINE_EXCEEDED)
            client.submit("acme", "total", [Part(rows=[{"x": 1}])], budget_us=1000)

    def test_refuses_what_a_router_that_is_there_does_not_take_in_time(self):
        context, crowded = zmq.Context(), zmq.Context()
        crowded.setsockopt(zmq.SNDHWM, 1)
        socket = context.socket(zmq.ROUTER)
        socket.setsockopt(zmq.RCVHWM, 1)
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        client = Client(f"tcp://127.0.0.1:{port}", crowded, insecure=True)
        for _ in range(30):  # the system takes some of them
            client.submit("acme", "total", [Part(columns={"x": ["y" * 1_000_000]})])
        peer = socket.recv_multipart()[0]
        stopping = threading.Event()

        def live():
            while not stopping.wait(0.01):
                socket.send_multipart([peer, b"nobody's", msgpack.packb({"status": 0})])

        living = threading.Thread(target=live)
        living.start()
        begin = time.monotonic()
        self.assertEqual(client.receive()[1].error.code, Code.OVERLOADED)
        self.assertLess(time.monotonic() - begin, 0.9)
        stopping.set()
        living.join()
        client.close()
        socket.close(linger=0)
        crowded.destroy(linger=0)
        context.term()

    def test_says_when_it_sent_a_request_also_when_it_had_to_wait(self):
        context = zmq.Context()
        free = context.socket(zmq.ROUTER)
        port = free.bind_to_random_port("tcp://127.0.0.1")
        free.close()
        client = Client(f"tcp://127.0.0.1:{port}", context, insecure=True)
        begin_us = time.monotonic_ns() // 1000
        for i in range(1500):  # more than a connection's queue takes
            client.submit("acme", "total", [Part(rows=[{"x": i}])], budget_us=2_000_000)
        client.submit("acme", "total", [Part(rows=[{"x": 0}])], budget_us=300_000)
        self.assertEqual(client.receive()[1].error.code, Code.DEADLINE_EXCEEDED)
        headers = []
        with Router(lambda header, bodies: headers.append(header) or echo(header, bodies), port=port):
            answers = [client.receive() for _ in range(1500)]
        client.close()
        context.term()
        self.assertEqual({str(prediction.error) for _, prediction in answers}, {"None"})
        stamps = [header["sent_us"] for header in headers]
        self.assertEqual(stamps, sorted(stamps))
        self.assertGreaterEqual(stamps[-1] - begin_us, 300_000)
        for header in headers:
            self.assertLessEqual(header["sent_us"] + header["budget_us"], begin_us + 2_500_000)

    def test_what_many_bytes_may_take_on_their_way_is_no_silence(self):
        asked = []
        with Router(lambda header, bodies: None) as busy, \
                Router(lambda header, bodies: asked.append(header["op"])) as other, \
                client_of([busy.endpoint, other.endpoint]) as client:
            client.submit("acme", "total", [Part(TOWN, columns={"x": ["y" * 4_000_000]})], budget_us=400_000)
            self.assertEqual(client.receive()[1].error.code, Code.DEADLINE_EXCEEDED)
            self.assertEqual(asked, [])

    def test_after_long_calm_all_is_sent_again_and_after_the_next_silence_what_the_budget_allows(self):
        context = zmq.Context()
        sockets = [context.socket(zmq.ROUTER) for _ in range(3)]
        endpoints = [f"tcp://127.0.0.1:{each.bind_to_random_port('tcp://127.0.0.1')}" for each in sockets]
        with unittest.mock.patch("espalier.routers._RESEND_RESERVE", 3):
            client = client_of(endpoints, context)
            for _ in range(5):
                client.submit("acme", "total", [Part(TOWN, rows=[{}])], budget_us=320_000)
            for _ in range(5):
                self.assertEqual(client.receive()[1].error.code, Code.DEADLINE_EXCEEDED)
        requests = []
        for each in sockets[1:]:
            requests.append(0)
            while each.poll(200):
                requests[-1] += msgpack.unpackb(each.recv_multipart()[2])["op"] == "predict"
        self.assertEqual(requests, [5, 3])
        client.close()
        context.destroy(linger=0)

    def test_a_router_that_is_slow_but_there_is_kept(self):
        asked = []

        def slow(header, bodies):
            if header["op"] == "hello":
                return [msgpack.packb({"status": 0, "role": "router"})]
            asked.append(header)
            return None

        with Router(slow) as router, Router(echo) as other, client_of([router.endpoint, other.endpoint]) as client:
            with self.assertRaises(EspalierError) as raised:
                client.predict("acme", "total", rows=[{"x": 1}], budget_us=400_000)
            self.assertEqual(raised.exception.code, Code.DEADLINE_EXCEEDED)
            self.assertEqual(len(asked), 1)

    def test_asks_again_for_what_was_refused_where_that_is_wanted(self):
        asked = []

        def answer(header, bodies):
            asked.append(len(bodies))
            if len(asked) == 1:
                return [BLOCKS["error"]]
            reply = msgpack.unpackb(echo(header, bodies)[0])
            if len(bodies) > 1:
                reply["parts"][1] = {"status": int(Code.OVERLOADED), "message": "played", "rows": 1}
                return [msgpack.packb(reply), echo(header, bodies)[1], b""]
            return echo(header, bodies)

        with Router(answer) as router, client_of(router.endpoint) as client:
            parts = [Part(rows=[{"x": 1}]), Part(rows=[{"x": 2}])]
            prediction = client.predict_parts("acme", "total", parts, budget_us=20_000_000, ask_again=True)
            self.assertEqual([part.values for part in prediction.parts], [[1.0], [2.0]])
            self.assertEqual(asked, [2, 2, 1])
            asked.clear()
            with self.assertRaises(EspalierError):
                client.predict("acme", "total", rows=[{"x": 1}])

    def test_refuses_endpoints_that_cannot_be(self):
        for endpoints in ([], "nonsense", ["smoke://signals"]):
            with self.assertRaises(EspalierError):
                Client(endpoints)


if __name__ == "__main__":
    unittest.main()
