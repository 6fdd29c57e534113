"""Errors as answers: the sentence of the command line, with a status (RFC 9457)."""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from vtsearch._error_text import format_error, is_expected
from vtsearch.errors import UnavailableError, VtsearchError
from vtsearch.index.view import GenerationGoneError
from vtsearch.serve.errors import NotThere, Overloaded, Refused, TooLarge
from vtsearch.serve.wire import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI
    from pydantic import ValidationError
    from starlette.requests import Request

MEDIA_TYPE = "application/problem+json"
RETRY = {"Retry-After": "1"}

_log = logging.getLogger("vtsearch.serve")
_STATUSES: tuple[tuple[type[Exception], HTTPStatus], ...] = (
    (NotThere, HTTPStatus.NOT_FOUND),
    (Refused, HTTPStatus.FORBIDDEN),
    (TooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (Overloaded, HTTPStatus.SERVICE_UNAVAILABLE),
    (UnavailableError, HTTPStatus.SERVICE_UNAVAILABLE),
    (GenerationGoneError, HTTPStatus.SERVICE_UNAVAILABLE),
    (VtsearchError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (ValueError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (TypeError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (KeyError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (IndexError, HTTPStatus.UNPROCESSABLE_ENTITY),
)


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """The answer that tells of an error."""
    return Response(json.dumps(content_of(status, detail)), status, dict(headers or {}), MEDIA_TYPE)


def content_of(status: int, detail: str) -> dict[str, Any]:
    """The fields of that answer."""
    return {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": int(status), "detail": detail}


def problem_of(error: Exception) -> Response:
    """The answer that tells of an exception; what nobody expected is logged and described no further."""
    if is_expected(error):
        found = (status for kind, status in _STATUSES if isinstance(error, kind))
        status = next(found, HTTPStatus.INTERNAL_SERVER_ERROR)
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:
            _log.error("%s", format_error(error))
        return problem(status, format_error(error), RETRY if status == HTTPStatus.SERVICE_UNAVAILABLE else None)
    _log.error("internal error", exc_info=error)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error; the server's log has the details")


def sentence_of(errors: list[Any]) -> str:
    """The first error of a request's fields in the form of all others: ``k: expected ..., got ...``."""
    first = errors[0]
    place = [str(part) for part in first["loc"] if part not in ("body", "query", "path")]
    name = ".".join(place) or "body"
    message = first["msg"][:1].lower() + first["msg"][1:]
    if first["type"] == "extra_forbidden":
        return f"{name}: no such field"
    if first["type"] == "missing":
        return f"{name}: expected a value, got nothing"
    if first["type"] == "json_invalid":
        return f"body: expected JSON: {first.get('ctx', {}).get('error', message)}"
    got = repr(first.get("input"))
    return f"{name}: {message}, got {got if len(got) <= 80 else got[:80] + ' ...'}"


def install(app: FastAPI) -> None:
    """Let an application answer every error with a problem."""

    async def of_fields(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, sentence_of(list(error.errors())))

    async def of_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return problem(error.status_code, _of_status(request, error), error.headers)

    async def of_others(_request: Request, error: Exception) -> Response:
        return problem_of(error)

    app.add_exception_handler(RequestValidationError, of_fields)
    app.add_exception_handler(HTTPException, of_http)
    for kind in (VtsearchError, ValueError, TypeError, KeyError, IndexError, OSError, ImportError, MemoryError):
        app.add_exception_handler(kind, of_others)
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        schema = describe()
        for operations in schema["paths"].values():
            for operation in operations.values():
                for response in operation["responses"].values():
                    _as_problem(response.get("content", {}))
        return schema

    app.openapi = openapi  # type: ignore[method-assign]


def _as_problem(content: dict[str, Any]) -> None:
    """Leave a problem its own media type alone: FastAPI describes a model as plain JSON too."""
    if MEDIA_TYPE in content:
        content.pop("application/json", None)


def of_validation(error: ValidationError) -> RequestValidationError:
    """An error of pydantic as FastAPI raises it."""
    return RequestValidationError(error.errors(include_url=False))


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems that a route may answer with, for the OpenAPI schema; those of all routes included."""
    everywhere = (400, 401, 403, 408, 413, 431, 500, 503)
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {
        status: {"description": HTTPStatus(status).phrase, "model": Problem, "content": {MEDIA_TYPE: schema}}
        for status in sorted({*everywhere, *statuses})
    }


def _of_status(request: Request, error: HTTPException) -> str:
    if error.status_code == HTTPStatus.NOT_FOUND:
        return f"no such address: {request.url.path[:200]}; the API is under /v1, its description at /v1/openapi.json"
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return f"{request.method}: not a method of this address"
    if error.status_code == HTTPStatus.BAD_REQUEST:  # what a parser met, which names none of its reasons
        return "body: expected JSON in UTF-8"
    return str(error.detail)
