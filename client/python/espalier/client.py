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
from .keys import Key
from .messages import (DEFAULT_BUDGET_US, Part, PartPrediction, Prediction, Row, Value, clock_us, decode_reply, encode_request,
                       is_temporary)
from .routers import MOST_REQUESTS, Routers

#: From a refusal to the next try, where the reply advises nothing.
_USUAL_WAIT_US = 20_000


class Client:
    """Predictions from a router, one at a time or many in flight. Belongs to one thread.

    Args:
        endpoints: a router's endpoint, such as "tcp://10.0.0.5:4711#6f0c…", or several, best one for each router: the next is used
            when the connection is lost, or the one in use answers nothing for 60 ms and then no hello for 100 ms. What is under
            way is sent again there with what remains of its budget, and answered once.
        context: a ZeroMQ context to share; the process's own by default.
        key: who asks: Key(path of a key file). Endpoints that end in "#" and a public key need one.
        insecure: use endpoints, too, where anybody could answer or listen in: over TCP without a public key.

    Raises:
        EspalierError: INVALID_ARGUMENT; FAILED_PRECONDITION: such an endpoint without `insecure`.
    """

    def __init__(self, endpoints: Union[str, Sequence[str]], context: Optional["zmq.Context[zmq.Socket[bytes]]"] = None,
                 key: Optional[Key] = None, insecure: bool = False) -> None:
        self._routers = Routers([endpoints] if isinstance(endpoints, str) else list(endpoints), context or zmq.Context.instance(), key,
                                insecure)
        self._tickets = itertools.count(1)
        self._kept: Deque[Tuple[int, Prediction]] = collections.deque()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection; answers not received yet are lost."""
        self._routers.close()

    def predict(self, tenant: str, model: str, partition: Sequence[str] = (), *, rows: Optional[Sequence[Row]] = None,
                columns: Optional[Mapping[str, Sequence[Value]]] = None,
                vectors: Optional[Sequence[Sequence[Value]]] = None, schema: Optional[int] = None, unit: str = "",
                ref: Optional[str] = None, budget_us: int = DEFAULT_BUDGET_US, all_scores: bool = False,
                min_epoch: int = 0, ask_again: bool = False) -> PartPrediction:
        """Predicts the rows of one partition and waits for the answer.

        Args:
            partition: level values, outermost first; empty: the root.
            rows, columns, vectors, schema, unit: as in Part; give exactly one of the three forms.
            ref: "tag:NAME" or "version:UUID"; tag:production by default.
            budget_us: how long the answer may take, in microseconds.
            all_scores: give every class's probability.
            min_epoch: fail (UNAVAILABLE) unless the shard knows this epoch.
            ask_again: wait and ask again, within the budget, as long as the answer is OVERLOADED or UNAVAILABLE.

        Raises:
            EspalierError: the request or its part failed; DEADLINE_EXCEEDED when no answer came within the budget.
        """
        part = Part(partition, rows, columns, vectors, schema, unit)
        prediction = self.predict_parts(tenant, model, [part], ref=ref, budget_us=budget_us, all_scores=all_scores,
                                        min_epoch=min_epoch, ask_again=ask_again)
        if prediction.error is not None:
            raise prediction.error
        answer = prediction.parts[0]
        if answer.error is not None:
            raise answer.error
        return answer

    def predict_parts(self, tenant: str, model: str, parts: Sequence[Part], *, ref: Optional[str] = None,
                      budget_us: int = DEFAULT_BUDGET_US, all_scores: bool = False, min_epoch: int = 0,
                      ask_again: bool = False) -> Prediction:
        """Predicts the rows of several partitions in one request. Failures are in the answer, of the whole or of each part.

        Answers to submitted requests that arrive meanwhile are kept for receive(). With `ask_again` what is OVERLOADED or
        UNAVAILABLE is asked again, after the wait that the reply advises and within the budget: of many parts those that are.

        Raises:
            EspalierError: INVALID_ARGUMENT, where the request could not even be sent.
        """
        until = time.monotonic() + budget_us / 1e6
        prediction = self._ask(tenant, model, parts, ref, budget_us, all_scores, min_epoch)
        if not ask_again:
            return prediction
        last, asked = prediction, list(range(len(parts)))
        while True:
            asked = [place for i, place in enumerate(asked) if is_temporary(last.error or last.parts[i].error)]
            wait_s = (last.error.retry_after_us if last.error and last.error.retry_after_us else _USUAL_WAIT_US) / 1e6
            left_s = until - time.monotonic() - wait_s
            if not asked or left_s <= 0:
                return prediction
            time.sleep(wait_s)
            last = self._ask(tenant, model, [parts[place] for place in asked], ref, int(left_s * 1e6) + 1, all_scores, min_epoch)
            if len(asked) == len(parts):
                prediction = last
                continue
            for i, place in enumerate(asked):
                prediction.parts[place] = PartPrediction(error=last.error) if last.error else last.parts[i]

    def _ask(self, tenant: str, model: str, parts: Sequence[Part], ref: Optional[str], budget_us: int, all_scores: bool,
             min_epoch: int) -> Prediction:
        try:
            ticket = self.submit(tenant, model, parts, ref=ref, budget_us=budget_us, all_scores=all_scores, min_epoch=min_epoch)
        except EspalierError as error:
            if error.code is not Code.OVERLOADED:
                raise
            return Prediction(error=error)
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
        """Sends a request without waiting; returns the ticket under which receive() gives its answer.

        Raises EspalierError: INVALID_ARGUMENT, or OVERLOADED where too much is under way already.
        """
        frames = encode_request(tenant, model, parts, ref=ref, budget_us=budget_us, all_scores=all_scores, min_epoch=min_epoch,
                                sent_us=clock_us())
        if len(self._kept) >= MOST_REQUESTS:
            raise EspalierError(Code.OVERLOADED, f"{len(self._kept)} answers were not received")
        ticket = next(self._tickets)
        self._routers.send(struct.pack("<Q", ticket), frames, budget_us)
        return ticket

    def receive(self) -> Tuple[int, Prediction]:
        """The next answer to what was submitted, in the order of arrival, with its ticket.

        One that does not come within its budget is answered here with DEADLINE_EXCEEDED, one that waits for half of it to be sent with OVERLOADED.
        REQUIRES: something was submitted and not received.
        """
        if self._kept:
            return self._kept.popleft()
        request_id, frames = self._routers.receive()
        (ticket,) = struct.unpack("<Q", request_id)
        if not isinstance(frames, Code):
            return ticket, decode_reply(frames)
        what = "did not answer within the budget" if frames is Code.DEADLINE_EXCEEDED else "takes requests too slowly"
        return ticket, Prediction(error=EspalierError(frames, f"the router at {self._routers.endpoint} {what}"))

    def _next_of(self, waiting: List[int], arrived: Dict[int, Prediction]) -> Prediction:
        first = waiting.pop(0)
        while first not in arrived:
            ticket, prediction = self.receive()
            arrived[ticket] = prediction
        return arrived.pop(first)
