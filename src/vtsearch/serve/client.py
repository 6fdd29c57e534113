"""A client of the HTTP API in one file, of the standard library alone: copy it where vtsearch is not installed."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

Json = dict[str, Any]


class ApiError(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        """Of HTTP."""
        self.detail = detail
        """One sentence: what was expected and what came."""


class Client:
    """Questions to a server that ``vtsearch serve`` started; answers are the JSON of docs/serve.md.

    Args:
        url: of the server.
        token: of the server, if it demands one.
        index: name of the index that is meant where a call names none; by default the server's first.
        timeout: seconds to wait for an answer.

    Example:
        >>> client = Client("http://127.0.0.1:8000")  # doctest: +SKIP
        >>> [each["id"] for each in client.search(image="photo.jpg", k=5)["results"]]  # doctest: +SKIP
        ['dog/00421.jpg', 'dog/00017.jpg', 'dog/00088.jpg', 'wolf/00003.jpg', 'dog/00250.jpg']
    """

    def __init__(self, url: str, *, token: str | None = None, index: str | None = None, timeout: float = 60.0) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"url: expected one that begins with http:// or https://, got {url!r}")
        self._url, self._token, self._index, self._timeout = url.rstrip("/"), token, index, timeout

    def about(self) -> Json:
        """The server, its limits and its indexes."""
        return self._get("/v1/index")

    def search(
        self,
        *,
        image: str | Path | bytes | None = None,
        id: str | None = None,  # noqa: A002 (the API's word)
        code: str | bytes | None = None,
        k: int = 50,
        radius: int | None = None,
        where: str | None = None,
        **options: Any,
    ) -> Json:
        """The nearest items of a picture, an item or a code; or the items that a condition holds for.

        Args:
            image: a picture: its file, or the bytes of one.
            id: an item of the index.
            code: in hexadecimal, or its bytes.
            k: results at most.
            radius: largest distance of a result.
            where: a condition in SQL on id, label and metadata.
            options: ``exclude_self``, ``exclude``, ``bits``, ``histogram``, ``index``, as the API has them.

        Raises:
            ApiError: an answer that is an error.
            OSError: no server, or a file that cannot be read.
        """
        query = self.query(id=id, code=code, k=k, radius=radius, where=where, **options)
        if image is None:
            return self._send("POST", "/v1/search", query)
        return self._form("/v1/search", image, {"query": json.dumps(query)})

    def query(self, *, code: str | bytes | None = None, **values: Any) -> Json:
        """A query of ``search_batch``; arguments as of ``search``."""
        values["code"] = code.hex() if isinstance(code, bytes) else code
        values.setdefault("index", self._index)
        return {name: value for name, value in values.items() if value is not None}

    def search_batch(self, queries: list[Json]) -> list[Json]:
        """The answers of several queries, made by ``query``; errors as of ``search``."""
        answers: list[Json] = self._send("POST", "/v1/search/batch", {"queries": queries})["answers"]
        return answers

    def encode(self, image: str | Path | bytes, *, index: str | None = None) -> str:
        """The code of a picture, in hexadecimal; errors as of ``search``."""
        return str(self._form(self._address("/v1/encode", index=index), image, {})["code"])

    def item(self, id: str, *, index: str | None = None) -> Json:  # noqa: A002
        """An item: labels, code, metadata; errors as of ``search``."""
        return self._get(self._address(f"/v1/items/{quote(id, safe='')}", index=index))

    def thumbnail(self, id: str, *, side: int = 192, index: str | None = None) -> bytes:  # noqa: A002
        """The picture of an item as JPEG, its longer side of at most ``side`` pixels; errors as of ``search``."""
        address = self._address(f"/v1/items/{quote(id, safe='')}/thumbnail", index=index, side=side)
        return self._request("GET", address, None, {})

    def add(self, items: list[Json], *, upsert: bool = False, index: str | None = None) -> Json:
        """Add items, each with "id", "code", and perhaps "labels" and "metadata"; errors as of ``search``."""
        return self._send("POST", "/v1/items", {"index": index or self._index, "items": items, "upsert": upsert})

    def remove(self, id: str, *, index: str | None = None) -> Json:  # noqa: A002
        """Remove an item; errors as of ``search``."""
        return self._send("DELETE", self._address(f"/v1/items/{quote(id, safe='')}", index=index), None)

    def duplicates(self, radius: int, *, index: str | None = None, **options: Any) -> Json:
        """Groups of near-duplicates; options ``keep``, ``answered``, ``where``, ``offset``, ``limit``."""
        return self._get(self._address("/v1/duplicates", index=index, radius=radius, **options))

    def decisions(self, *, index: str | None = None) -> list[Json]:
        """What people said of near-duplicates."""
        found: list[Json] = self._get(self._address("/v1/decisions", index=index))["decisions"]
        return found

    def decide(self, decisions: list[Json], *, index: str | None = None) -> int:
        """Keep decisions, each with a "verdict" and "ids"; returns how many there are."""
        body = {"index": index or self._index, "decisions": decisions}
        return int(self._send("POST", "/v1/decisions", body)["decisions"])

    def forget(self, ids: list[str], *, index: str | None = None) -> int:
        """Forget what was said of some items; returns how many decisions there are."""
        body = {"index": index or self._index, "ids": ids}
        return int(self._send("POST", "/v1/decisions/forget", body)["decisions"])

    def _address(self, path: str, *, index: str | None, **values: Any) -> str:
        values["index"] = index or self._index
        texts = {
            name: str(value).lower() if value is True or value is False else value for name, value in values.items()
        }
        given = urlencode({name: value for name, value in texts.items() if value is not None})
        return f"{path}?{given}" if given else path

    def _get(self, address: str) -> Json:
        return self._send("GET", address, None)

    def _send(self, method: str, address: str, body: Json | None) -> Json:
        content = None if body is None else json.dumps(body).encode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        answer: Json = json.loads(self._request(method, address, content, headers))
        return answer

    def _form(self, address: str, image: str | Path | bytes, fields: dict[str, str]) -> Json:
        name, content = ("image", image) if isinstance(image, bytes) else (Path(image).name, Path(image).read_bytes())
        mark = uuid.uuid4().hex
        escaped = name.encode("utf-8", "replace").decode().replace('"', "%22").replace("\r", " ").replace("\n", " ")
        parts = [_part(mark, f'name="image"; filename="{escaped}"', content)]
        parts += [_part(mark, f'name="{field}"', value.encode()) for field, value in fields.items()]
        body = b"".join([*parts, f"--{mark}--\r\n".encode()])
        headers = {"Content-Type": f"multipart/form-data; boundary={mark}"}
        answer: Json = json.loads(self._request("POST", address, body, headers))
        return answer

    def _request(self, method: str, address: str, content: bytes | None, headers: dict[str, str]) -> bytes:
        if self._token is not None:
            headers = headers | {"Authorization": f"Bearer {self._token}"}
        request = Request(self._url + address, content, headers, method=method)  # noqa: S310 (checked above)
        try:
            with urlopen(request, timeout=self._timeout) as answer:  # noqa: S310
                body: bytes = answer.read()
                return body
        except HTTPError as error:
            with error:
                raise _error_of(error.code, error.read()) from None


def _part(mark: str, disposition: str, content: bytes) -> bytes:
    return f"--{mark}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n".encode() + content + b"\r\n"


def _error_of(status: int, body: bytes) -> ApiError:
    try:
        return ApiError(status, str(json.loads(body)["detail"]))
    except (ValueError, KeyError, TypeError):
        return ApiError(status, f"the server answered with status {status}")
