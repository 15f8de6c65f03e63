"""Answers that say no, with the sentences of the genuine server."""

from __future__ import annotations

from collections.abc import Mapping


class ApiError(Exception):
    """A refused call: `code` is both the HTTP status and `error_code`, `parameters` a ResponseParameters."""

    def __init__(self, code: int, description: str, parameters: Mapping[str, int] | None = None) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.parameters = dict(parameters or {})


def bad_request(sentence: str) -> ApiError:
    return ApiError(400, f"Bad Request: {sentence}")


def forbidden(sentence: str) -> ApiError:
    return ApiError(403, f"Forbidden: {sentence}")


def conflict(sentence: str) -> ApiError:
    return ApiError(409, f"Conflict: {sentence}")


def too_many_requests(retry_after: int) -> ApiError:
    return ApiError(
        429,
        f"Too Many Requests: retry after {retry_after}",
        {"retry_after": retry_after},
    )


def migrated(chat_id: int) -> ApiError:
    sentence = "Bad Request: group chat was upgraded to a supergroup chat"
    return ApiError(400, sentence, {"migrate_to_chat_id": chat_id})
