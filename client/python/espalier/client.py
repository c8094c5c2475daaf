"""The connection to a router."""

from __future__ import annotations

import collections
import itertools
import struct
import time
from types import TracebackType
from typing import Deque, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple, Type, Union

import zmq

from .errors import Code, EspalierError
from .messages import (DEFAULT_BUDGET_US, Part, PartPrediction, Prediction, Row, Value, decode_reply, encode_request)

#: The router answers at the end of the budget itself; its answer still has to arrive.
_GRACE_US = 100_000


class Client:
    """Predictions from a router, one at a time or many in flight. Belongs to one thread.

    Args:
        endpoints: a router's endpoint, such as "tcp://127.0.0.1:4711", or several of which the next is used when one stays silent.
        context: a ZeroMQ context to share; the process's own by default.
    """

    def __init__(self, endpoints: Union[str, Sequence[str]], context: Optional["zmq.Context[zmq.Socket[bytes]]"] = None) -> None:
        self._endpoints = [endpoints] if isinstance(endpoints, str) else list(endpoints)
        if not self._endpoints:
            raise EspalierError(Code.INVALID_ARGUMENT, "no endpoint of a router is given")
        self._context = context or zmq.Context.instance()
        self._endpoint = 0
        self._tickets = itertools.count(1)
        self._deadlines: Dict[int, float] = {}
        self._kept: Deque[Tuple[int, Prediction]] = collections.deque()
        self._socket = self._connect()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection; answers not received yet are lost."""
        self._socket.close()

    def predict(self, tenant: str, model: str, partition: Sequence[str] = (), *, rows: Optional[Sequence[Row]] = None,
                columns: Optional[Mapping[str, Sequence[Value]]] = None,
                vectors: Optional[Sequence[Sequence[Value]]] = None, schema: Optional[int] = None, unit: str = "",
                ref: Optional[str] = None, budget_us: int = DEFAULT_BUDGET_US, all_scores: bool = False,
                min_epoch: int = 0) -> PartPrediction:
        """Predicts the rows of one partition and waits for the answer.

        Args:
            partition: level values, outermost first; empty: the root.
            rows, columns, vectors, schema, unit: as in Part; give exactly one of the three forms.
            ref: "tag:NAME" or "version:UUID"; tag:production by default.
            budget_us: how long the answer may take, in microseconds.
            all_scores: give every class's probability.
            min_epoch: fail (UNAVAILABLE) unless the shard knows this epoch.

        Raises:
            EspalierError: the request or its part failed; DEADLINE_EXCEEDED when no answer came within the budget.
        """
        part = Part(partition, rows, columns, vectors, schema, unit)
        prediction = self.predict_parts(tenant, model, [part], ref=ref, budget_us=budget_us, all_scores=all_scores,
                                        min_epoch=min_epoch)
        if prediction.error is not None:
            raise prediction.error
        answer = prediction.parts[0]
        if answer.error is not None:
            raise answer.error
        return answer

    def predict_parts(self, tenant: str, model: str, parts: Sequence[Part], *, ref: Optional[str] = None,
                      budget_us: int = DEFAULT_BUDGET_US, all_scores: bool = False, min_epoch: int = 0) -> Prediction:
        """Predicts the rows of several partitions in one request. Failures are in the answer, of the whole or of each part.

        Answers to submitted requests that arrive meanwhile are kept for receive().

        Raises:
            EspalierError: INVALID_ARGUMENT, where the request could not even be sent.
        """
        ticket = self.submit(tenant, model, parts, ref=ref, budget_us=budget_us, all_scores=all_scores, min_epoch=min_epoch)
        others: List[Tuple[int, Prediction]] = []
        while True:
            answered, prediction = self.receive()
            if answered == ticket:
                self._kept.extendleft(reversed(others))
                return prediction
            others.append((answered, prediction))

    def predict_many(self, tenant: str, model: str, requests: Iterable[Sequence[Part]], *, window: int = 64,
                     ref: Optional[str] = None, budget_us: int = DEFAULT_BUDGET_US,
                     all_scores: bool = False) -> Iterator[Prediction]:
        """Predicts a stream of requests with up to `window` of them in flight; answers come in the order of the requests.

        Memory does not grow with the stream. REQUIRES: nothing else was submitted.
        """
        waiting: List[int] = []
        arrived: Dict[int, Prediction] = {}
        for parts in requests:
            while len(waiting) >= window:
                yield self._next_of(waiting, arrived)
            waiting.append(self.submit(tenant, model, parts, ref=ref, budget_us=budget_us, all_scores=all_scores))
        while waiting:
            yield self._next_of(waiting, arrived)

    def submit(self, tenant: str, model: str, parts: Sequence[Part], *, ref: Optional[str] = None,
               budget_us: int = DEFAULT_BUDGET_US, all_scores: bool = False, min_epoch: int = 0) -> int:
        """Sends a request without waiting; returns the ticket under which receive() gives its answer."""
        frames = encode_request(tenant, model, parts, ref=ref, budget_us=budget_us, all_scores=all_scores, min_epoch=min_epoch)
        ticket = next(self._tickets)
        self._deadlines[ticket] = time.monotonic() + (budget_us + _GRACE_US) / 1e6
        self._socket.send_multipart([struct.pack("<Q", ticket), *frames])
        return ticket

    def receive(self) -> Tuple[int, Prediction]:
        """The next answer to what was submitted, in the order of arrival, with its ticket.

        One that does not come within its budget is answered here with DEADLINE_EXCEEDED.
        REQUIRES: something was submitted and not received.
        """
        if self._kept:
            return self._kept.popleft()
        while True:
            ticket, deadline = min(self._deadlines.items(), key=lambda item: item[1])
            left_ms = int((deadline - time.monotonic()) * 1000) + 1
            if left_ms > 0 and self._socket.poll(left_ms):
                frames = self._socket.recv_multipart()
                if len(frames) < 2 or len(frames[0]) != 8:
                    continue
                (answered,) = struct.unpack("<Q", frames[0])
                if self._deadlines.pop(answered, None) is not None:
                    return answered, decode_reply(frames[1:])
            elif time.monotonic() >= deadline:
                del self._deadlines[ticket]
                endpoint = self._endpoints[self._endpoint]
                self._use_next_endpoint()
                return ticket, Prediction(
                    error=EspalierError(Code.DEADLINE_EXCEEDED, f"the router at {endpoint} did not answer within the budget"))

    def _next_of(self, waiting: List[int], arrived: Dict[int, Prediction]) -> Prediction:
        first = waiting.pop(0)
        while first not in arrived:
            ticket, prediction = self.receive()
            arrived[ticket] = prediction
        return arrived.pop(first)

    def _connect(self) -> "zmq.Socket[bytes]":
        socket = self._context.socket(zmq.DEALER)
        socket.setsockopt(zmq.LINGER, 0)
        try:
            socket.connect(self._endpoints[self._endpoint])
        except zmq.ZMQError as error:
            socket.close()
            raise EspalierError(Code.INVALID_ARGUMENT, f"cannot connect to {self._endpoints[self._endpoint]}: {error}") from error
        return socket

    def _use_next_endpoint(self) -> None:
        if len(self._endpoints) > 1 and not self._deadlines:
            self._socket.close()
            self._endpoint = (self._endpoint + 1) % len(self._endpoints)
            self._socket = self._connect()
