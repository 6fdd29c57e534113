"""The indexes of a server, by name, each with the model, the pictures and the batches that answer for it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from vtsearch.data.locate import ImageLocator, has_images
from vtsearch.errors import did_you_mean
from vtsearch.exchange.hub import locate_model, may_be_model
from vtsearch.serve.batching import Batcher
from vtsearch.serve.encoders import QueryEncoder, SharedEncoders
from vtsearch.serve.errors import NotThere
from vtsearch.serve.pictures import PictureSource
from vtsearch.serve.search import search_each
from vtsearch.serve.served_index import ServedIndex, readable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor

    from vtsearch.serve import wire
    from vtsearch.serve.engine import Engine
    from vtsearch.serve.search import Question
    from vtsearch.serve.served_index import IndexState


class Served(NamedTuple):
    """An index with all that answers for it."""

    following: ServedIndex
    encoder: QueryEncoder
    pictures: PictureSource | None
    batcher: Batcher[Question, wire.SearchAnswer]


class IndexRegistry:
    """The served indexes.

    Args:
        paths: their folders; the first is the default.
        executor: where searches run.
        passes: that go on at once for an index.
        engines: makes what scans the codes of an index; by default this process does.
        model: folder of the model that encodes pictures, or its name on the Hugging Face hub; by default the one that
            each index remembers.
        images: folder of the pictures, if they have moved.

    Raises:
        ValueError: no folder, or one that is given twice.
        FileNotFoundError, VtsearchError: an index that cannot be opened; a model or pictures that are not there.
    """

    def __init__(
        self,
        paths: Sequence[str | Path],
        executor: Executor,
        *,
        passes: int = 1,
        engines: Callable[[], Engine] | None = None,
        model: str | None = None,
        images: str | None = None,
    ) -> None:
        if images is not None and not Path(images).exists():
            raise FileNotFoundError(2, "no such images", images)
        self._model = None if model is None else _located(model)
        self._executor, self._passes, self._images = executor, passes, images
        self._make_engine = engines
        self._engines: list[Engine] = []
        self._encoders = SharedEncoders()
        try:
            self._served = {name: self._open(name, path) for name, path in _named(paths).items()}
        except BaseException:
            self.close()
            raise

    def find(self, name: str | None) -> Served:
        """The index with a name, or the first.

        Raises:
            NotThere: no index has the name.
        """
        if name is None:
            return next(iter(self._served.values()))
        if name not in self._served:
            hint = did_you_mean(name, self._served) or f"expected one of {', '.join(self._served)}"
            raise NotThere(f"index: no index {name!r} is served; {hint}")
        return self._served[name]

    async def state(self, name: str | None) -> IndexState:
        """The state of an index as its folder has it; errors as of ``find``."""
        following = self.find(name).following
        if following.is_due():  # in a thread: a writer may hold the folder
            return await asyncio.to_thread(following.follow)
        return following.state

    def infos(self) -> list[wire.IndexInfo]:
        """All indexes in words."""
        return [served.following.info() for served in self._served.values()]

    async def load(self) -> None:
        """Read what the first requests would wait for: labels and models."""
        for served in self._served.values():
            await asyncio.to_thread(served.following.state.warm)
            if served.encoder.exists:
                try:
                    await asyncio.to_thread(served.encoder.load)
                except Exception:  # noqa: BLE001 (whoever uploads a picture gets the reason)
                    served.following.encodes = False

    def close(self) -> None:
        """End what scans."""
        for engine in self._engines:
            engine.close()

    def _open(self, name: str, path: Path) -> Served:
        engine = None if self._make_engine is None else self._make_engine()
        if engine is not None:
            self._engines.append(engine)
        following = ServedIndex(name, path, engine)
        index = following.state.index
        encoder = QueryEncoder(index, self._model, self._encoders)
        following.encodes = encoder.exists
        pictures = PictureSource.of(index, self._images) if has_images(index.description) else None
        if pictures is not None and self._images is not None:
            ImageLocator.of(index, root=self._images)  # raises if they are not there
        return Served(following, encoder, pictures, Batcher(search_each, self._executor, passes=self._passes))


def _named(paths: Sequence[str | Path]) -> dict[str, Path]:
    """Short, different names: the last part of each path, with as many parts before it as that takes."""
    folders = [Path(path).absolute() for path in paths]
    if not folders:
        raise ValueError("index: expected at least one folder, got none")
    for count in range(1, max(len(folder.parts) for folder in folders) + 1):
        names = ["/".join(folder.parts[-count:]) for folder in folders]
        if len(set(names)) == len(names):
            return {readable(name): folder for name, folder in zip(names, folders, strict=True)}
    raise ValueError("index: expected different folders, got one twice")


def _located(model: str) -> str:
    """The folder of a model that is named by it or on the hub, where it is fetched from before anybody asks.

    Raises:
        FileNotFoundError: no such model.
    """
    if not may_be_model(model):
        raise FileNotFoundError(2, "no such model", model)
    return str(locate_model(model).folder)
