"""Requests with a picture: multipart forms with the file and, as JSON, the query."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from vtsearch.serve.service import Upload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.datastructures import FormData
    from starlette.requests import Request

FORM = "multipart/form-data"
MOST_NAME = 255


def media_type(request: Request) -> str:
    """The media type of a request's body."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def refuse_other(request: Request, *expected: str) -> None:
    """Refuse a body of another media type.

    Raises:
        HTTPException: 415.
    """
    if media_type(request) not in expected:
        raise HTTPException(415, f"body: expected {' or '.join(expected)}, got {media_type(request) or 'nothing'}")


async def read_form(request: Request, file_name: str, *fields: str) -> tuple[Upload, dict[str, str]]:
    """The file and the fields of a form.

    Raises:
        ValueError: no file; other fields; a form that cannot be read.
    """
    try:
        async with request.form(max_files=1, max_fields=8, max_part_size=2**20) as form:
            return await _parts_of(form, file_name, fields)
    except HTTPException as error:  # of the parser
        raise ValueError(f"body: expected a form of the type {FORM}: {error.detail}") from error


async def _parts_of(form: FormData, file_name: str, fields: Sequence[str]) -> tuple[Upload, dict[str, str]]:
    values: dict[str, str] = {}
    upload = None
    for name, value in form.multi_items():
        if name == file_name and isinstance(value, UploadFile):
            upload = Upload(await value.read(), (value.filename or "upload")[:MOST_NAME])
        elif name in fields and isinstance(value, str):
            values[name] = value
        else:
            raise ValueError(f"{name[:80]}: expected a file {file_name!r} and the fields {', '.join(fields) or 'none'}")
    if upload is None or not upload.content:
        raise ValueError(f"{file_name}: expected a file in the form, got none")
    return upload, values
