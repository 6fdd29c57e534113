"""What the server can be asked: requests in, answers out, without a word of HTTP."""

from __future__ import annotations

import asyncio
import time
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from vtsearch.errors import installed_version
from vtsearch.index.view import GenerationGoneError
from vtsearch.serve import bit_views, changes, duplicates, facets, mistakes, search, wire
from vtsearch.serve.errors import NotThere, Refused
from vtsearch.serve.pictures import PicturePool
from vtsearch.serve.registry import IndexRegistry
from vtsearch.serve.served_index import readable
from vtsearch.serve.thumbnail_cache import ThumbnailCache
from vtsearch.serve.work import Work

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from vtsearch.serve.engine import Engine
    from vtsearch.serve.pictures import PictureSource
    from vtsearch.serve.registry import Served
    from vtsearch.serve.served_index import IndexState
    from vtsearch.serve.work import ServiceSettings


class Upload(NamedTuple):
    """An uploaded file."""

    content: bytes
    name: str


class Picture(NamedTuple):
    """A picture that has not been read yet."""

    name: str
    """Another one whenever its content may be another."""
    content: Callable[[], Awaitable[bytes]]
    """Reads and decodes it; raises ``VtsearchError`` or ``OSError`` if it cannot, ``Overloaded`` if too many wait."""


class SearchService:
    """Answers about one or several indexes, from any number of requests at once, in one event loop.

    Searches of one moment are answered together in one thread of the engine, which itself uses all processors;
    analyses of whole indexes have threads beside it.

    Args:
        paths: folders of the indexes; the first is the default.
        settings: what is allowed.
        engines: makes what scans the codes of an index, for each; by default this process scans.
        model: folder of the model that encodes pictures; by default the one that each index remembers.
        images: folder of the pictures, if they have moved.

    Raises:
        FileNotFoundError, VtsearchError: an index that cannot be opened; pictures that are not there.
    """

    def __init__(
        self,
        paths: Sequence[str | Path],
        settings: ServiceSettings,
        *,
        engines: Callable[[], Engine] | None = None,
        model: str | None = None,
        images: str | None = None,
    ) -> None:
        self.settings = settings
        self._work = Work(settings)
        self._indexes = IndexRegistry(
            paths, self._work.engine, passes=settings.passes, engines=engines, model=model, images=images
        )
        self._pool = PicturePool(settings.decoders, most_pixels=settings.pixels)
        self._thumbnails = ThumbnailCache()
        self._loading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Load the models, beside the first requests."""
        self._loading = asyncio.create_task(self._indexes.load())

    @property
    def is_ready(self) -> bool:
        """Whether the models are loaded, as far as they can be."""
        return self._loading is not None and self._loading.done()

    async def close(self) -> None:
        """End processes and threads."""
        await self._pool.close()
        await asyncio.to_thread(self._work.close)
        await asyncio.to_thread(self._indexes.close)

    # -----------------------------------------------------------------------------------------------------------------
    # Indexes

    def about(self) -> wire.Service:
        """The server and its indexes."""
        limits = wire.Limits(
            k=wire.MOST_RESULTS,
            batch=wire.MOST_QUERIES,
            upload_bytes=self.settings.upload_bytes,
            pixels=self.settings.pixels,
        )
        return wire.Service(
            version=installed_version("vtsearch") or "",
            writable=self.settings.writable,
            decides=not self.settings.read_only,
            limits=limits,
            indexes=self._indexes.infos(),
        )

    # -----------------------------------------------------------------------------------------------------------------
    # Searches

    async def search(
        self,
        request: wire.SearchRequest,
        upload: Upload | None = None,
        *,
        turn: AbstractAsyncContextManager[object] | None = None,
    ) -> wire.SearchAnswer:
        """The nearest items of an item, a code or a picture; or those that a condition holds for.

        Args:
            request: the query.
            upload: a picture as query.
            turn: what a condition waits for, among those of one batch.

        Raises:
            NotThere: an index or an item that does not exist.
            ValueError: several queries; a code of another length; a condition that SQLite does not take.
            Refused: a picture for an index without a model.
            VtsearchError: a picture that cannot be read.
            Overloaded, TooLarge: bounds of the server.
        """
        start = time.perf_counter()
        given = [name for name in ("id", "code") if getattr(request, name) is not None]
        given += [] if upload is None else ["image"]
        if len(given) > 1:
            raise ValueError(f"{given[1]}: expected one query, got {' and '.join(given)}")
        served = self._indexes.find(request.index)
        turn = turn or nullcontext()
        state = await self._prepared(served, request.where, turn)
        if not given:
            async with turn:
                answer = await self._work.analysed(search.matching, state, request)
            return _timed(answer, wire.Timings(ranking=answer.timings.ranking), start)
        timings, code = wire.Timings(), None
        if upload is not None:
            code, timings = await self._encoded(served, upload)
        answer = await self._work.bounded(self._asked(served, state, request, code))
        return _timed(answer, timings.model_copy(update={"ranking": answer.timings.ranking}), start)

    async def batch(self, request: wire.BatchRequest) -> wire.BatchAnswer:
        """The answers of several queries, in one pass for each index and condition; errors as of ``search``."""
        turn = asyncio.Semaphore(1)  # the conditions of one batch are one long request, however many they are
        answers = await self._work.bounded(asyncio.gather(*(self.search(each, turn=turn) for each in request.queries)))
        return wire.BatchAnswer.model_construct(answers=answers)

    async def encode(self, name: str | None, upload: Upload) -> wire.Encoded:
        """The code of a picture; errors as of ``search``."""
        start = time.perf_counter()
        served = self._indexes.find(name)
        state = served.following.state
        code, timings = await self._encoded(served, upload)
        timings.total = _milliseconds(start)
        return wire.Encoded(
            index=served.following.name,
            code=code.tobytes().hex(),
            bits=state.bits,
            fingerprints=state.index.fingerprints,
            timings=timings,
        )

    async def _asked(
        self, served: Served, state: IndexState, request: wire.SearchRequest, code: NDArray[np.uint8] | None
    ) -> wire.SearchAnswer:
        """The answer of one state, or of the next if nobody has its codes any more."""
        try:
            return await served.batcher.ask(search.question(state, request, code))
        except GenerationGoneError:
            state = await asyncio.to_thread(served.following.read_again)
            return await served.batcher.ask(search.question(state, request, code))

    async def _prepared(
        self, served: Served, where: str | None, turn: AbstractAsyncContextManager[object]
    ) -> IndexState:
        """The state to answer from, with the mask of the condition: nobody else waits for a slow one."""
        state = await self._indexes.state(served.following.name)
        if where is not None and ("where", where) not in state.kept:
            async with turn:
                await self._work.analysed(search.mask_of, state, where)
        return state

    async def _encoded(self, served: Served, upload: Upload) -> tuple[NDArray[np.uint8], wire.Timings]:
        start = time.perf_counter()
        least_side = await asyncio.to_thread(served.encoder.least_side)
        loaded = time.perf_counter()
        pixels = await self._pool.decode(upload.content, upload.name, least_side)
        decoded = time.perf_counter()
        code = await self._work.bounded(asyncio.to_thread(served.encoder.code, pixels))
        return code, wire.Timings(
            decode=1_000 * (decoded - loaded), model=_milliseconds(decoded) + 1_000 * (loaded - start)
        )

    # -----------------------------------------------------------------------------------------------------------------
    # Items and pictures

    async def item(self, name: str | None, item: str) -> wire.Item:
        """An item.

        Raises:
            NotThere: an index or an item that does not exist.
        """
        state = await self._indexes.state(name)
        return state.items([search.position_of(state, item)])[0]

    async def picture(self, name: str | None, item: str, side: int) -> Picture:
        """The picture of an item as JPEG, of at most ``side`` pixels.

        Raises:
            NotThere: an index, an item or a picture that does not exist.
        """
        served, state = self._indexes.find(name), await self._indexes.state(name)
        position = search.position_of(state, item)
        if served.pictures is None:
            raise NotThere(f"id: {state.name} does not say where its pictures are")
        content = partial(self._thumbnail, state, served.pictures, position, side)
        return Picture(f"{state.generation}-{position}-{side}", content)

    async def _thumbnail(self, state: IndexState, source: PictureSource, position: int, side: int) -> bytes:
        exact = state.index.ids_at([position])[position]
        key = state.name, state.generation
        content = self._thumbnails.get(key, exact, side)
        if content is None:
            content = await self._pool.thumbnail(source, exact, side)
            self._thumbnails.put(key, exact, side, content)
        return content

    # -----------------------------------------------------------------------------------------------------------------
    # Views of a whole index

    async def facets(self, name: str | None, where: str | None) -> wire.Facets:
        """What one can filter by; errors as of ``search``."""
        return await self._work.analysed(facets.facets, await self._indexes.state(name), where)

    async def bits(self, name: str | None) -> wire.Bits:
        """Statistics of each bit."""
        return await self._work.analysed(bit_views.bits, await self._indexes.state(name))

    async def bit_sides(self, name: str | None, bit: int) -> wire.BitSides:
        """Items with 0 and with 1 at a bit."""
        return await self._work.analysed(bit_views.bit_sides, await self._indexes.state(name), bit)

    async def mistakes(
        self, name: str | None, queries: str | None, *, label: int | None, offset: int, limit: int
    ) -> wire.Mistakes:
        """Queries by average precision; errors as of ``search`` and ``mistakes.judged``."""
        database, asked = await self._sides(name, queries)
        make = partial(mistakes.mistakes, label=label, offset=offset, limit=limit, progress=self._work.deadline())
        return await self._work.analysed(make, database, asked)

    async def pairs(self, name: str | None, queries: str | None, row: int, column: int, limit: int) -> wire.Pairs:
        """Pairs behind a cell of the confusion; errors as of ``search`` and ``mistakes.judged``."""
        database, asked = await self._sides(name, queries)
        make = partial(mistakes.pairs, row=row, column=column, limit=limit, progress=self._work.deadline())
        return await self._work.analysed(make, database, asked)

    async def duplicates(
        self,
        name: str | None,
        radius: int,
        *,
        keep: str,
        answered: bool,
        where: str | None,
        offset: int,
        limit: int,
    ) -> wire.DuplicatePage:
        """Groups of near-duplicates; errors as of ``search`` and ``Index.duplicate_groups``."""
        make = partial(
            duplicates.duplicate_page,
            keep=keep,
            answered=answered,
            where=where,
            offset=offset,
            limit=limit,
            progress=self._work.deadline(),
        )
        return await self._work.analysed(make, await self._indexes.state(name), radius)

    # -----------------------------------------------------------------------------------------------------------------
    # Changes

    async def decisions(self, name: str | None) -> wire.Decisions:
        """All decisions on near-duplicates."""
        state = await self._indexes.state(name)
        found = await self._work.analysed(state.index.decisions)
        return wire.Decisions(
            decisions=[wire.Decision(verdict=each.verdict, ids=list(map(readable, each.ids))) for each in found]
        )

    async def decide(self, request: wire.DecideRequest) -> wire.DecisionCount:
        """Keep what a person said.

        Raises:
            Refused: a server that only reads.
            ValueError: an id that is not in the index, another number of ids.
        """
        state = await self._deciding(request.index)
        said = [(each.verdict, tuple(state.exact(each.ids))) for each in request.decisions]
        await self._work.changed(state.index.decide, said)
        return wire.DecisionCount(decisions=len(await self._work.changed(state.index.decisions)))

    async def forget(self, request: wire.ForgetRequest) -> wire.DecisionCount:
        """Forget what was said of some items; errors as of ``decide``."""
        state = await self._deciding(request.index)
        await self._work.changed(state.index.forget_decisions, state.exact(request.ids))
        return wire.DecisionCount(decisions=len(await self._work.changed(state.index.decisions)))

    async def add(self, request: wire.AddRequest) -> wire.Changed:
        """Add items.

        Raises:
            Refused: a server without ``--writable``.
            ValueError: as ``Index.add`` and ``Index.upsert``.
        """
        served = self._writable(request.index)
        return await self._work.changed(changes.add, served.following, request)

    async def remove(self, name: str | None, item: str) -> wire.Changed:
        """Remove an item.

        Raises:
            Refused: a server without ``--writable``.
            NotThere: an index or an item that does not exist.
        """
        served = self._writable(name)
        return await self._work.changed(changes.remove, served.following, item)

    async def _deciding(self, name: str | None) -> IndexState:
        if self.settings.read_only:
            raise Refused("decisions: this server only reads; start it without --read-only")
        return await self._indexes.state(name)

    def _writable(self, name: str | None) -> Served:
        if not self.settings.writable:
            raise Refused("items: this server does not change indexes; start it with --writable")
        return self._indexes.find(name)

    async def _sides(self, name: str | None, queries: str | None) -> tuple[IndexState, IndexState]:
        database = await self._indexes.state(name)
        return database, database if queries is None else await self._indexes.state(queries)


def _timed(answer: wire.SearchAnswer, timings: wire.Timings, start: float) -> wire.SearchAnswer:
    timings.total = _milliseconds(start)
    answer.timings = timings
    return answer


def _milliseconds(start: float) -> float:
    return 1_000 * (time.perf_counter() - start)
