"""The codes of failures, and the exception that carries one."""

from __future__ import annotations

import enum


class Code(enum.IntEnum):
    """What a status says. The numbers are on the wire and never change."""

    OK = 0
    INVALID_ARGUMENT = 1
    NOT_FOUND = 2
    NO_MODEL = 3
    ALREADY_EXISTS = 4
    FAILED_PRECONDITION = 5
    PERMISSION_DENIED = 6
    RESOURCE_EXHAUSTED = 7
    OVERLOADED = 8
    DEADLINE_EXCEEDED = 9
    UNAVAILABLE = 10
    CORRUPT = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13


def code_of(number: object) -> Code:
    """The code of a status; INTERNAL for one that this version does not know."""
    try:
        return Code(number)  # type: ignore[arg-type]
    except ValueError:
        return Code.INTERNAL


class EspalierError(Exception):
    """A request or a part of it that failed.

    Attributes:
        code: what to act on.
        message: for people; it names the place ("rows[2].age: expected a number, got text").
        retry_after_us: with OVERLOADED and UNAVAILABLE, when asking again makes sense; 0 otherwise.
    """

    def __init__(self, code: Code, message: str, retry_after_us: int = 0) -> None:
        super().__init__(f"{code.name.lower()}: {message}")
        self.code = code
        self.message = message
        self.retry_after_us = retry_after_us
