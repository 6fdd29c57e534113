"""What the server can be asked: requests in, answers out, without a word of HTTP."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from vtsearch.data.locate import ImageLocator, has_images
from vtsearch.errors import did_you_mean, installed_version
from vtsearch.serve import bit_views, changes, duplicates, facets, mistakes, search, wire
from vtsearch.serve.batching import Batcher
from vtsearch.serve.encoders import QueryEncoder, SharedEncoders
from vtsearch.serve.errors import NotThere, Overloaded, Refused
from vtsearch.serve.pictures import PicturePool, PictureSource
from vtsearch.serve.served_index import ServedIndex, readable
from vtsearch.serve.thumbnail_cache import ThumbnailCache

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from vtsearch.serve.search import Question
    from vtsearch.serve.served_index import IndexState

Made = TypeVar("Made")


@dataclass(frozen=True)
class ServiceSettings:
    """What the server allows."""

    writable: bool = False
    """Whether items can be added and removed."""
    read_only: bool = False
    """Whether even decisions are refused."""
    upload_bytes: int = 32 * 2**20
    """Of one request."""
    pixels: int = 2**26
    """Of an uploaded picture."""
    seconds: float = 30.0
    """For one answer."""
    slow_requests: int = 8
    """Analyses and conditions at a time, those that wait included."""
    decoders: int = 2
    """Processes that decode pictures."""


class Upload(NamedTuple):
    """An uploaded file."""

    content: bytes
    name: str


class Served(NamedTuple):
    """An index with all that answers for it."""

    following: ServedIndex
    encoder: QueryEncoder
    pictures: PictureSource | None
    batcher: Batcher[Question, wire.SearchAnswer]


class SearchService:
    """Answers about one or several indexes, from any number of requests at once, in one event loop.

    Searches of one moment are answered together in one thread of the engine, which itself uses all processors;
    analyses of whole indexes have threads beside it.

    Args:
        paths: folders of the indexes; the first is the default.
        settings: what is allowed.
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
        model: str | None = None,
        images: str | None = None,
    ) -> None:
        self.settings = settings
        self._engine = ThreadPoolExecutor(1, "engine")
        self._slow = ThreadPoolExecutor(2, "analysis")
        self._slow_requests = 0
        self._pool = PicturePool(settings.decoders, most_pixels=settings.pixels)
        self._thumbnails = ThumbnailCache()
        self._loading: asyncio.Task[None] | None = None
        encoders = SharedEncoders()
        self._served: dict[str, Served] = {}
        for name, path in _named(paths).items():
            self._served[name] = self._open(name, path, encoders, model, images)

    def _open(self, name: str, path: Path, encoders: SharedEncoders, model: str | None, images: str | None) -> Served:
        first = ServedIndex(name, path)
        index = first.state.index
        encoder = QueryEncoder(index, model, encoders)
        first.encodes = encoder.exists
        pictures = PictureSource.of(index, images) if has_images(index.description) else None
        if pictures is not None and images is not None:
            ImageLocator.of(index, root=images)  # raises if they are not there
        return Served(first, encoder, pictures, Batcher(_search_each, self._engine))

    async def start(self) -> None:
        """Load the models, beside the first requests."""
        self._loading = asyncio.create_task(self._load())

    @property
    def is_ready(self) -> bool:
        """Whether the models are loaded, as far as they can be."""
        return self._loading is not None and self._loading.done()

    async def _load(self) -> None:
        for served in self._served.values():
            await asyncio.to_thread(served.following.state.warm)
            if served.encoder.exists:
                try:
                    await asyncio.to_thread(served.encoder.load)
                except Exception:  # noqa: BLE001 (whoever uploads a picture gets the reason)
                    served.following.encodes = False

    async def close(self) -> None:
        """End processes and threads; what is under way is finished."""
        await self._pool.close()
        for executor in (self._engine, self._slow):
            executor.shutdown(wait=True, cancel_futures=True)

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
            indexes=[served.following.info() for served in self._served.values()],
        )

    def _find(self, name: str | None) -> Served:
        if name is None:
            return next(iter(self._served.values()))
        if name not in self._served:
            hint = did_you_mean(name, self._served) or f"expected one of {', '.join(self._served)}"
            raise NotThere(f"index: no index {name!r} is served; {hint}")
        return self._served[name]

    def _state(self, name: str | None) -> IndexState:
        """The state of an index as the folder has it, or had it a second ago."""
        return self._find(name).following.follow(time.monotonic())

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
        served = self._find(request.index)
        turn = turn or nullcontext()
        state = await self._prepared(served, request.where, turn)
        if not given:
            async with turn:
                answer = await self._analysed(search.matching, state, request)
            return _timed(answer, wire.Timings(ranking=answer.timings.ranking), start)
        timings, code = wire.Timings(), None
        if upload is not None:
            code, timings = await self._encoded(served, upload)
        question = search.question(state, request, code)
        answer = await self._bounded(served.batcher.ask(question))
        return _timed(answer, timings.model_copy(update={"ranking": answer.timings.ranking}), start)

    async def batch(self, request: wire.BatchRequest) -> wire.BatchAnswer:
        """The answers of several queries, in one pass for each index and condition; errors as of ``search``."""
        turn = asyncio.Semaphore(1)  # the conditions of one batch are one long request, however many they are
        answers = await self._bounded(asyncio.gather(*(self.search(each, turn=turn) for each in request.queries)))
        return wire.BatchAnswer.model_construct(answers=answers)

    async def encode(self, name: str | None, upload: Upload) -> wire.Encoded:
        """The code of a picture; errors as of ``search``."""
        start = time.perf_counter()
        served = self._find(name)
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

    async def _prepared(
        self, served: Served, where: str | None, turn: AbstractAsyncContextManager[object]
    ) -> IndexState:
        """The state to answer from, with the mask of the condition: nobody else waits for a slow one."""
        state = served.following.follow(time.monotonic())
        if where is not None and ("where", where) not in state.kept:
            async with turn:
                await self._analysed(search.mask_of, state, where)
        return state

    async def _encoded(self, served: Served, upload: Upload) -> tuple[NDArray[np.uint8], wire.Timings]:
        start = time.perf_counter()
        least_side = await asyncio.to_thread(served.encoder.least_side)
        loaded = time.perf_counter()
        pixels = await self._pool.decode(upload.content, upload.name, least_side)
        decoded = time.perf_counter()
        code = await self._bounded(asyncio.to_thread(served.encoder.code, pixels))
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
        state = self._state(name)
        return state.items([search.position_of(state, item)])[0]

    async def picture(self, name: str | None, item: str, side: int) -> tuple[bytes, str]:
        """The picture of an item as JPEG, of at most ``side`` pixels, and a name of its content.

        Raises:
            NotThere: an index, an item or a picture that does not exist.
            VtsearchError: a picture that cannot be read.
            Overloaded: too many wait.
        """
        served, state = self._find(name), self._state(name)
        position = search.position_of(state, item)
        if served.pictures is None:
            raise NotThere(f"id: {state.name} does not say where its pictures are")
        exact = state.index.ids_at([position])[position]
        key = state.name, state.generation
        content = self._thumbnails.get(key, exact, side)
        if content is None:
            content = await self._pool.thumbnail(served.pictures, exact, side)
            self._thumbnails.put(key, exact, side, content)
        return content, f"{state.generation}-{position}-{side}"

    # -----------------------------------------------------------------------------------------------------------------
    # Views of a whole index

    async def facets(self, name: str | None, where: str | None) -> wire.Facets:
        """What one can filter by; errors as of ``search``."""
        return await self._analysed(facets.facets, self._state(name), where)

    async def bits(self, name: str | None) -> wire.Bits:
        """Statistics of each bit."""
        return await self._analysed(bit_views.bits, self._state(name))

    async def bit_sides(self, name: str | None, bit: int) -> wire.BitSides:
        """Items with 0 and with 1 at a bit."""
        return await self._analysed(bit_views.bit_sides, self._state(name), bit)

    async def mistakes(
        self, name: str | None, queries: str | None, *, label: int | None, offset: int, limit: int
    ) -> wire.Mistakes:
        """Queries by average precision; errors as of ``search`` and ``mistakes.judged``."""
        database, asked = self._sides(name, queries)
        make = partial(mistakes.mistakes, label=label, offset=offset, limit=limit, progress=self._deadline())
        return await self._analysed(make, database, asked)

    async def pairs(self, name: str | None, queries: str | None, row: int, column: int, limit: int) -> wire.Pairs:
        """Pairs behind a cell of the confusion; errors as of ``search`` and ``mistakes.judged``."""
        database, asked = self._sides(name, queries)
        make = partial(mistakes.pairs, row=row, column=column, limit=limit, progress=self._deadline())
        return await self._analysed(make, database, asked)

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
            progress=self._deadline(),
        )
        return await self._analysed(make, self._state(name), radius)

    # -----------------------------------------------------------------------------------------------------------------
    # Changes

    async def decisions(self, name: str | None) -> wire.Decisions:
        """All decisions on near-duplicates."""
        found = await self._analysed(self._state(name).index.decisions)
        return wire.Decisions(
            decisions=[wire.Decision(verdict=each.verdict, ids=list(map(readable, each.ids))) for each in found]
        )

    async def decide(self, request: wire.DecideRequest) -> wire.DecisionCount:
        """Keep what a person said.

        Raises:
            Refused: a server that only reads.
            ValueError: an id that is not in the index, another number of ids.
        """
        state = self._deciding(request.index)
        said = [(each.verdict, tuple(state.exact(each.ids))) for each in request.decisions]
        await self._analysed(state.index.decide, said)
        return wire.DecisionCount(decisions=len(await self._analysed(state.index.decisions)))

    async def forget(self, request: wire.ForgetRequest) -> wire.DecisionCount:
        """Forget what was said of some items; errors as of ``decide``."""
        state = self._deciding(request.index)
        await self._analysed(state.index.forget_decisions, state.exact(request.ids))
        return wire.DecisionCount(decisions=len(await self._analysed(state.index.decisions)))

    async def add(self, request: wire.AddRequest) -> wire.Changed:
        """Add items.

        Raises:
            Refused: a server without ``--writable``.
            ValueError: as ``Index.add`` and ``Index.upsert``.
        """
        served = self._writable(request.index)
        return await self._analysed(changes.add, served.following, request)

    async def remove(self, name: str | None, item: str) -> wire.Changed:
        """Remove an item.

        Raises:
            Refused: a server without ``--writable``.
            NotThere: an index or an item that does not exist.
        """
        served = self._writable(name)
        return await self._analysed(changes.remove, served.following, item)

    def _deciding(self, name: str | None) -> IndexState:
        if self.settings.read_only:
            raise Refused("decisions: this server only reads; start it without --read-only")
        return self._state(name)

    def _writable(self, name: str | None) -> Served:
        if not self.settings.writable:
            raise Refused("items: this server does not change indexes; start it with --writable")
        return self._find(name)

    def _sides(self, name: str | None, queries: str | None) -> tuple[IndexState, IndexState]:
        database = self._state(name)
        return database, database if queries is None else self._state(queries)

    # -----------------------------------------------------------------------------------------------------------------
    # Bounds

    async def _analysed(self, make: Callable[..., Made], *arguments: Any) -> Made:
        """What a function returns in a thread of analyses.

        Raises:
            Overloaded: too many are under way.
        """
        if self._slow_requests >= self.settings.slow_requests:
            raise Overloaded(f"the server has {self._slow_requests} long requests under way; try again in a moment")
        self._slow_requests += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._slow, partial(make, *arguments))
        finally:
            self._slow_requests -= 1

    async def _bounded(self, answer: Any) -> Any:
        try:
            return await asyncio.wait_for(answer, self.settings.seconds)
        except TimeoutError:
            raise Overloaded(f"the answer took more than {self.settings.seconds:g} s; try again in a moment") from None

    def _deadline(self) -> Callable[[int, int], None]:
        """Progress of a scan that raises when its time is over."""
        end = time.monotonic() + self.settings.seconds

        def check(_done: int, _total: int) -> None:
            if time.monotonic() > end:
                raise Overloaded(
                    f"the analysis took more than {self.settings.seconds:g} s; use a smaller radius or index"
                )

        return check


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


def _search_each(questions: Sequence[Question]) -> list[wire.SearchAnswer | Exception]:
    """The answers of questions; where one of them raises, each has its own error or answer."""
    by_state: dict[int, list[int]] = {}
    for number, each in enumerate(questions):
        by_state.setdefault(id(each.state), []).append(number)
    answers: dict[int, wire.SearchAnswer | Exception] = {}
    for numbers in by_state.values():
        answers.update(zip(numbers, _search_state([questions[number] for number in numbers]), strict=True))
    return [answers[number] for number in range(len(questions))]


def _search_state(questions: Sequence[Question]) -> Sequence[wire.SearchAnswer | Exception]:
    try:
        return search.search(questions[0].state, questions)
    except Exception as error:  # noqa: BLE001 (it is told to those who asked)
        if len(questions) == 1:
            return [error]
        return [_search_state([each])[0] for each in questions]


def _timed(answer: wire.SearchAnswer, timings: wire.Timings, start: float) -> wire.SearchAnswer:
    timings.total = _milliseconds(start)
    answer.timings = timings
    return answer


def _milliseconds(start: float) -> float:
    return 1_000 * (time.perf_counter() - start)
