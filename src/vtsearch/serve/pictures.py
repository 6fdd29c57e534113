"""Thumbnails and uploads, decoded in a few processes that may end."""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from vtsearch.data.selection import PLACES
from vtsearch.errors import VtsearchError
from vtsearch.serve.decoding_process import DecodingError, DecodingProcess
from vtsearch.serve.errors import Overloaded

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Future
    from pathlib import Path

    from numpy.typing import NDArray

    from vtsearch.index import Index
    from vtsearch.serve.channel import Message

THUMBNAIL_TYPE = "image/jpeg"
LEAST_SIDE, MOST_SIDE = 64, 2048
"""Pixels of the longer side of a thumbnail."""
MOST_PIXELS = 2**26
"""Of an upload."""
MEMORY = 2**31
"""Bytes that each process may allocate."""


@dataclass(frozen=True)
class PictureSource:
    """Where the images of an index are.

    Args:
        description: of the index, as encoding writes it.
        root: as of ``ImageLocator``.
        index: name of the index in messages.
    """

    description: Mapping[str, str]
    root: str | None = None
    index: str = "index"

    @classmethod
    def of(cls, index: Index, root: str | Path | None = None) -> Self:
        """The source of an index."""
        places = {name: value for name, value in index.description.items() if name in PLACES}
        return cls(places, None if root is None else str(root), str(index.path))

    def to_json(self) -> str:
        """The fields as JSON; equal sources give equal texts."""
        fields = {"description": dict(self.description), "root": self.root, "index": self.index}
        return json.dumps(fields, sort_keys=True)


class PicturePool:
    """A few processes that decode images, for the requests of one server.

    One that takes too long is ended and replaced, as is one that ends by itself: the request that it worked on gets an
    error, the others nothing of it. A request that nobody waits for any more is finished all the same if it has begun.

    Args:
        processes: number of them; they start at once and take half a second to be of use.
        seconds: that a request may take, not counting its wait for a process.
        most_pixels: of an upload; images of an index are bounded as they are in encoding.
        memory: bytes that each process may allocate.
        waiting: requests that may wait for a process.
    """

    def __init__(
        self,
        processes: int = 2,
        *,
        seconds: float = 10.0,
        most_pixels: int = MOST_PIXELS,
        memory: int = MEMORY,
        waiting: int = 256,
    ) -> None:
        self._seconds, self._most = seconds, processes + waiting
        self._processes = tuple(DecodingProcess(memory, most_pixels) for _ in range(processes))
        self._idle = list(self._processes)
        self._threads = ThreadPoolExecutor(processes, "decoding")
        self._lock = threading.Lock()
        self._pending = 0
        self._is_over = False

    @property
    def pids(self) -> list[int]:
        """The processes that run now."""
        return [process.pid for process in self._processes]

    @property
    def pending(self) -> int:
        """Requests that wait or are worked on."""
        return self._pending

    async def thumbnail(self, source: PictureSource, name: str, side: int) -> bytes:
        """A JPEG of the item with an id: upright, its longer side of at most ``side`` pixels, never enlarged.

        The index is to have the id: a source of URLs fetches whatever URL it is given.

        Raises:
            ValueError: a side outside 64 to 2048.
            VtsearchError, OSError: an image that is gone, cannot be read, or is outside the images' folder.
            Overloaded: too many requests wait, or the pool is closed.
        """
        if not LEAST_SIDE <= side <= MOST_SIDE:
            raise ValueError(f"side: expected {LEAST_SIDE} to {MOST_SIDE}, got {side}")
        answer = await self._ask({"source": source.to_json(), "name": name, "side": side})
        return bytes(answer.content)

    async def decode(self, upload: bytes, name: str, least_side: int | None) -> NDArray[np.uint8]:
        """uint8 (h, w, 3) of an uploaded image, as ``Encoder.encode`` reads it from a file.

        Args:
            upload: the bytes of the file.
            name: for messages.
            least_side: ``preprocessing.least_side`` of the model; None for the whole image.

        Raises:
            TooLarge: more pixels than ``most_pixels``.
            VtsearchError: not an image, a damaged one, or one that takes too long.
            Overloaded: too many requests wait, or the pool is closed.
        """
        answer = await self._ask({"name": name, "least_side": least_side}, upload)
        height, width, channels = answer.fields["shape"]
        return np.frombuffer(answer.content, np.uint8).reshape(height, width, channels)

    async def close(self) -> None:
        """End the processes; requests that are not answered yet get an error."""
        await asyncio.to_thread(self.terminate)

    def terminate(self) -> None:
        """``close``, for a program without an event loop."""
        self._is_over = True
        for process in self._processes:
            process.terminate()
        self._threads.shutdown()
        for process in self._processes:
            process.close()

    async def _ask(self, fields: Mapping[str, Any], content: bytes = b"") -> Message:
        with self._lock:
            if self._is_over:
                raise Overloaded("images: the server is stopping")
            if self._pending >= self._most:
                raise Overloaded(f"images: {self._pending:,} requests wait already; try again later")
            self._pending += 1
        future = self._threads.submit(self._ask_one, fields, content)
        future.add_done_callback(self._finished)
        return await asyncio.wrap_future(future)

    def _ask_one(self, fields: Mapping[str, Any], content: bytes) -> Message:
        """Run in one of as many threads as there are processes."""
        process = self._idle.pop()
        try:
            return process.ask(fields, content, self._seconds)
        except DecodingError as reason:
            raise VtsearchError(f"images: cannot read image {fields['name']}: {reason}") from reason
        finally:
            self._idle.append(process)

    def _finished(self, _: Future[Message]) -> None:
        with self._lock:
            self._pending -= 1
