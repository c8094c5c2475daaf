"""Requests to one of several routers and their replies: which router is used, and what happens when it falls silent."""

from __future__ import annotations

import random
import time
from collections import deque
from typing import Deque, Dict, List, Optional, Sequence, Tuple, Union

import msgpack
import zmq
from zmq.utils.monitor import recv_monitor_message

from .errors import Code, EspalierError
from .keys import Key, connect, usable
from .messages import renewed

#: The router answers at the end of the budget itself; its answer still has to arrive.
_GRACE_S = 0.1
#: So long a router may be silent before it is asked whether it is there, and so long it may take to say so.
_SILENCE_S = 0.06
_HELLO_S = 0.1
#: The wait before the next router once all were tried in vain: at first, and at most.
_FIRST_MOVE_S = 0.02
_LONGEST_MOVE_S = 1.0
#: A round in which nobody answered a request makes the next so much more patient: twice, and 8 times at most.
_MOST_PATIENCE = 3
#: How many bytes are believed to arrive in a second, at the slowest: the time that they take is nobody's silence.
_BYTES_PER_S = 8e6
#: After so long without a silence all that was under way is sent again, whatever the budget says.
_CALM_S = 10.0
#: Sent again after a silence sooner than that: of each request that is sent first, and beyond that so many, which fills up anew.
_RESEND_SHARE = 0.1
_RESEND_RESERVE = 4096

#: What may be under way: requests, and their bytes.
MOST_REQUESTS = 65536
MOST_BYTES = 1 << 30

_HELLO_ID = bytes(8)


class _Request:
    def __init__(self, frames: List[bytes], now: float, budget_us: int) -> None:
        self.frames = frames
        self.begun, self.deadline = now, now + budget_us / 1e6
        self.way_s = _way_s(frames)
        self.bytes = sum(map(len, frames))
        self.is_stale = False  # its header says what was true some time ago


def _way_s(frames: Sequence[bytes]) -> float:
    return sum(map(len, frames)) / _BYTES_PER_S


class Routers:
    """One connection at a time, to the router that answers. Belongs to one thread.

    A connection that is lost, or silent while something is under way, is given up: what is under way is sent again to the next
    router with what remains of its budget, and answered once, since the old connection is closed. Sending never waits: what the
    connection's queue has no room for is kept. What is sent again after one silence soon after another has a budget, since who is silent may be busy.
    """

    def __init__(self, endpoints: Sequence[str], context: "zmq.Context[zmq.Socket[bytes]]", key: Optional[Key] = None,
                 insecure: bool = False) -> None:
        if not endpoints:
            raise EspalierError(Code.INVALID_ARGUMENT, "no endpoint of a router is given")
        self._endpoints, self._key = usable(endpoints, key, "a router", insecure), key
        self._insecure = insecure
        self._context = context
        self._place = 0
        self._under_way: Dict[bytes, _Request] = {}
        self._bytes = 0  # of what is under way
        self._refused: Deque[bytes] = deque()  # waited too long to be sent
        self._unsent: Deque[bytes] = deque()  # no room in the connection's queue
        self._waiting: Deque[bytes] = deque()  # to be sent again, where the budget allows it
        self._resend_room: float = _RESEND_RESERVE
        self._largest_sent = 0.0  # how long it may be on its way, since something has been under way
        self._largest_heard = 0.0
        self._hello_up = 0.0
        self._moves = 0
        self._may_move = 0.0
        self._last_silence: Optional[float] = None  # for which a router was given up
        self._heard = 0.0  # or since when it could have been
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
        """Sends header and bodies under an id of 8 bytes that was not used before.

        Raises EspalierError: OVERLOADED where too much is under way already, or it would wait too long until it is sent.
        """
        if self._unsent and self._has_waited(self._unsent[0], budget_us / 2e6):
            raise EspalierError(Code.OVERLOADED, "requests wait too long until a router takes them")
        if len(self._under_way) >= MOST_REQUESTS or self._bytes >= MOST_BYTES:
            raise EspalierError(Code.OVERLOADED, f"{len(self._under_way)} requests with {self._bytes} bytes are under way; at most "
                                                 f"{MOST_REQUESTS} and {MOST_BYTES} may be")
        now = time.monotonic()
        if not self._under_way:
            self._heard = max(self._heard, now)
            self._up = max(0.0, self._there - now)
            self._largest_sent = 0.0
        request = self._under_way[request_id] = _Request(frames, now, budget_us)
        request.is_stale = bool(self._unsent)
        self._bytes += request.bytes
        self._largest_sent = max(self._largest_sent, request.way_s)
        self._resend_room = min(_RESEND_RESERVE, self._resend_room + _RESEND_SHARE)
        self._unsent.append(request_id)
        self._send_kept()

    def receive(self) -> Tuple[bytes, Union[List[bytes], Code]]:
        """The next reply with its request's id, in the order of arrival; DEADLINE_EXCEEDED: it did not come within its budget;
        OVERLOADED: it waited for half of it to be sent.

        REQUIRES: something was sent and not received.
        """
        while True:
            if self._refused:
                return self._refused.popleft(), Code.OVERLOADED
            now = time.monotonic()
            request_id, request = min(self._under_way.items(), key=lambda item: item[1].deadline)
            wait_s = min(request.deadline + _GRACE_S, self._next_look()) - now
            self._send_kept()
            if self._refused:
                continue
            self._poller.register(self._socket, zmq.POLLIN | zmq.POLLOUT if self._unsent else zmq.POLLIN)
            ready = dict(self._poller.poll(max(0, int(wait_s * 1000) + 1)))
            if ready.get(self._socket, 0) & zmq.POLLIN:
                answered, *frames = self._socket.recv_multipart()
                self._hear(answered, frames)
                if frames and answered in self._under_way:
                    self._end(answered)
                    return answered, frames
                continue
            now = time.monotonic()
            if now >= request.deadline + _GRACE_S:
                self._end(request_id)
                if self._has_others() and self._hello_sent is not None:
                    self._move_on(now)
                return request_id, Code.DEADLINE_EXCEEDED
            self._look(now)

    def _end(self, request_id: bytes) -> None:
        self._bytes -= self._under_way.pop(request_id).bytes

    def _hear(self, answered: bytes, frames: Sequence[bytes]) -> None:
        """A whole message is a sign of life; only an answer to a request says that moving has helped."""
        self._heard = self._message = time.monotonic()
        self._hello_sent = None
        self._up = max(0.0, self._there - self._heard)
        if answered != _HELLO_ID:
            self._moves = 0
            self._largest_heard = max(self._largest_heard * 15 / 16, _way_s(frames))

    def _send_kept(self) -> None:
        """What was asked of somebody silent, as far as the budget goes, and what there is room for in the queue."""
        while self._waiting and self._resend_room >= 1:
            request_id = self._waiting.popleft()
            if request_id in self._under_way:
                self._resend_room -= 1
                self._unsent.append(request_id)
        self._refuse_waiting()
        while self._unsent:
            request = self._under_way.get(self._unsent[0])
            if request is not None and not self._try_send(self._unsent[0], request):
                request.is_stale = True
                return
            self._unsent.popleft()

    def _has_waited(self, request_id: bytes, wait_s: float) -> bool:
        """While the router answers: one that doesn't isn't overloaded, but left."""
        request, now = self._under_way.get(request_id), time.monotonic()
        return request is not None and now - request.begun > wait_s and now - self._message < _SILENCE_S

    def _refuse_waiting(self) -> None:
        while self._unsent:
            request_id = self._unsent[0]
            request = self._under_way.get(request_id)
            if request is not None and not self._has_waited(request_id, (request.deadline - request.begun) / 2):
                return
            self._unsent.popleft()
            if request is not None:
                self._end(request_id)
                self._refused.append(request_id)

    def _try_send(self, request_id: bytes, request: _Request) -> bool:
        now = time.monotonic()
        header = request.frames[0]
        if request.is_stale:
            left_us = int((request.deadline - now) * 1e6)
            if left_us <= 0:  # too late to send it; it ends with its time
                return True
            header = renewed(header, left_us)
        try:
            self._socket.send_multipart([request_id, header, *request.frames[1:]], zmq.NOBLOCK)
        except zmq.Again:
            return False
        self._there = max(self._there, now) + request.way_s
        self._up += request.way_s
        return True

    def _patience(self) -> int:
        return int(2 ** min(self._moves // len(self._endpoints), _MOST_PATIENCE))

    def _back(self) -> float:
        """How long the next message may be on its way back: as large as the largest, or as what was asked."""
        return max(self._largest_sent, self._largest_heard) * self._patience()

    def _silent_at(self) -> float:
        return self._heard + _SILENCE_S + self._up + self._back()

    def _hello_over(self, sent: float) -> float:
        return sent + self._hello_up + _HELLO_S * self._patience() + self._back()

    def _has_others(self) -> bool:
        return len(self._endpoints) > 1

    def _next_look(self) -> float:
        if self._was_lost:
            return self._may_move
        if not self._has_others():
            return float("inf")
        if self._hello_sent is None:
            return self._silent_at()
        return max(self._hello_over(self._hello_sent), self._may_move)

    def _look(self, now: float) -> None:
        """Moves on where the router is there no more; asks it where it is silent."""
        lost = False
        while self._news.poll(0):
            event = recv_monitor_message(self._news)["event"]
            lost = lost or event == zmq.EVENT_DISCONNECTED or self._has_others()
        self._was_lost = self._was_lost or lost
        if self._was_lost:
            self._move_on(now)
        elif not self._has_others():
            return
        elif self._hello_sent is not None:
            if now >= self._hello_over(self._hello_sent):
                self._move_on(now)
        elif now >= self._silent_at():
            self._say_hello(now)

    def _move_on(self, now: float) -> None:
        """To the next router, or, once all were tried since the last answer, after a while."""
        if now < self._may_move:
            if self._hello_sent is None:  # looked at again as soon as it may
                self._hello_sent = now - self._hello_over(0.0)
            return
        self._moves += 1
        if self._moves >= len(self._endpoints):
            longest_s = min(_LONGEST_MOVE_S, _FIRST_MOVE_S * 2 ** min(self._moves // len(self._endpoints), 6))
            self._may_move = now + random.uniform(longest_s / 2, longest_s)
        self._use_next(now)

    def _use_next(self, now: float) -> None:
        was_lost = self._was_lost
        self.close()
        self._place = (self._place + 1) % len(self._endpoints)
        self._connect()
        if self._has_others() and self._under_way:
            self._say_hello(now)
        calm = self._last_silence is None or now - self._last_silence >= _CALM_S
        if not was_lost:
            self._last_silence = now
        unsent = set(self._unsent)
        self._waiting.clear()
        for request_id, request in self._under_way.items():
            if request_id not in unsent:
                request.is_stale = True
                (self._unsent if was_lost or calm else self._waiting).append(request_id)
        self._send_kept()

    def _say_hello(self, now: float) -> None:
        """Any answer is a sign of life; its id is nobody's."""
        try:
            hello = bytes(msgpack.packb({"v": 1, "op": "hello", "role": "client"}))
            self._socket.send_multipart([_HELLO_ID, hello], zmq.NOBLOCK)
        except zmq.Again:
            pass  # where the queue is full the silence says enough
        self._hello_sent = now
        self._hello_up = max(0.0, self._there - now)

    def _connect(self) -> None:
        socket = self._context.socket(zmq.DEALER)
        socket.setsockopt(zmq.LINGER, 0)
        news = socket.get_monitor_socket(zmq.EVENT_DISCONNECTED | zmq.EVENT_CONNECT_RETRIED)
        try:
            connect(socket, self.endpoint, self._key, self._insecure)
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
        self._message = 0.0  # when the last one came over this connection
        self._there = 0.0  # when all that was sent will have arrived, at the slowest
        self._up = 0.0  # what has been sent since the last message may take to arrive
        self._was_lost = False  # the connection, with whatever was sent over it
