"""Requests to one of several routers and their replies: which router is used, and what happens when it falls silent."""

from __future__ import annotations

import random
import time
from typing import Dict, List, Optional, Sequence, Tuple

import msgpack
import zmq
from zmq.utils.monitor import recv_monitor_message

from .errors import Code, EspalierError
from .messages import renewed

#: The router answers at the end of the budget itself; its answer still has to arrive.
_GRACE_S = 0.1
#: So long a router may be silent before it is asked whether it is there, and so long it may take to say so.
_SILENCE_S = 0.06
_HELLO_S = 0.1
#: The wait before the next router once all were tried in vain: at first, and at most.
_FIRST_MOVE_S = 0.02
_LONGEST_MOVE_S = 1.0

_HELLO_ID = bytes(8)


class _Request:
    def __init__(self, frames: List[bytes], now: float, budget_us: int) -> None:
        self.frames = frames
        self.deadline = now + budget_us / 1e6


class Routers:
    """One connection at a time, to the router that answers. Belongs to one thread.

    A connection that is lost, or silent while something is under way, is given up: what is under way is sent again to the next
    router with what remains of its budget, and answered once, since the old connection is closed.
    """

    def __init__(self, endpoints: Sequence[str], context: "zmq.Context[zmq.Socket[bytes]]") -> None:
        if not endpoints:
            raise EspalierError(Code.INVALID_ARGUMENT, "no endpoint of a router is given")
        self._endpoints = list(endpoints)
        self._context = context
        self._place = 0
        self._under_way: Dict[bytes, _Request] = {}
        self._moves = 0
        self._may_move = 0.0
        self._heard = 0.0
        self._hello_sent: Optional[float] = None
        self._connect()

    @property
    def endpoint(self) -> str:
        """Of the router that is used now."""
        return self._endpoints[self._place]

    def close(self) -> None:
        """Ends the connection; what is under way is lost."""
        self._socket.disable_monitor()
        self._news.close(linger=0)
        self._socket.close()

    def send(self, request_id: bytes, frames: List[bytes], budget_us: int) -> None:
        """Sends header and bodies under an id of 8 bytes that was not used before."""
        now = time.monotonic()
        if not self._under_way:
            self._heard = max(self._heard, now)
        self._under_way[request_id] = _Request(frames, now, budget_us)
        self._socket.send_multipart([request_id, *frames])

    def receive(self) -> Tuple[bytes, Optional[List[bytes]]]:
        """The next reply with its request's id, in the order of arrival; None: it did not come within its budget.

        REQUIRES: something was sent and not received.
        """
        while True:
            now = time.monotonic()
            request_id, request = min(self._under_way.items(), key=lambda item: item[1].deadline)
            wait_s = min(request.deadline + _GRACE_S, self._next_look()) - now
            ready = dict(self._poller.poll(max(0, int(wait_s * 1000) + 1)))
            if self._socket in ready:
                answered, *frames = self._socket.recv_multipart()
                self._heard, self._hello_sent, self._moves = time.monotonic(), None, 0
                if frames and self._under_way.pop(answered, None) is not None:
                    return answered, frames
                continue
            now = time.monotonic()
            if now >= request.deadline + _GRACE_S:
                del self._under_way[request_id]
                if self._has_others() and self._hello_sent is not None:
                    self._use_next(now)
                return request_id, None
            self._look(now)

    def _has_others(self) -> bool:
        return len(self._endpoints) > 1

    def _next_look(self) -> float:
        if not self._has_others():
            return float("inf")
        due = self._heard + _SILENCE_S if self._hello_sent is None else self._hello_sent + _HELLO_S
        return max(due, self._may_move) if self._hello_sent is not None else due

    def _look(self, now: float) -> None:
        """Moves on where the router is there no more; asks it where it is silent."""
        lost = False
        while self._news.poll(0):
            event = recv_monitor_message(self._news)["event"]
            lost = lost or event == zmq.EVENT_DISCONNECTED or self._has_others()
        if lost:
            self._move_on(now)
        elif not self._has_others():
            return
        elif self._hello_sent is not None:
            if now >= self._hello_sent + _HELLO_S:
                self._move_on(now)
        elif now >= self._heard + _SILENCE_S:
            self._say_hello(now)

    def _move_on(self, now: float) -> None:
        """To the next router, or, once all were tried since the last message, after a while."""
        if now < self._may_move:
            self._hello_sent = self._hello_sent or now - _HELLO_S  # looked at again as soon as it may
            return
        self._moves += 1
        if self._moves >= len(self._endpoints):
            longest_s = min(_LONGEST_MOVE_S, _FIRST_MOVE_S * 2 ** min(self._moves // len(self._endpoints), 6))
            self._may_move = now + random.uniform(longest_s / 2, longest_s)
        self._use_next(now)

    def _use_next(self, now: float) -> None:
        self.close()
        self._place = (self._place + 1) % len(self._endpoints)
        self._connect()
        for request_id, request in self._under_way.items():
            left_us = int((request.deadline - now) * 1e6)
            if left_us > 0:
                self._socket.send_multipart([request_id, renewed(request.frames[0], left_us), *request.frames[1:]])
        if self._has_others() and self._under_way:
            self._say_hello(now)

    def _say_hello(self, now: float) -> None:
        """Any answer is a sign of life; its id is nobody's."""
        self._socket.send_multipart([_HELLO_ID, bytes(msgpack.packb({"v": 1, "op": "hello", "role": "client"}))])
        self._hello_sent = now

    def _connect(self) -> None:
        socket = self._context.socket(zmq.DEALER)
        socket.setsockopt(zmq.LINGER, 0)
        news = socket.get_monitor_socket(zmq.EVENT_DISCONNECTED | zmq.EVENT_CONNECT_RETRIED)
        try:
            socket.connect(self.endpoint)
        except zmq.ZMQError as error:
            socket.disable_monitor()
            news.close(linger=0)
            socket.close()
            raise EspalierError(Code.INVALID_ARGUMENT, f"cannot connect to {self.endpoint}: {error}") from error
        self._socket, self._news = socket, news
        self._poller = zmq.Poller()
        self._poller.register(socket, zmq.POLLIN)
        self._poller.register(news, zmq.POLLIN)
        self._heard, self._hello_sent = time.monotonic(), None
