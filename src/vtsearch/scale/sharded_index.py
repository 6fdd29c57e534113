"""A sharded index: one or several index folders, searched by many processes as one index."""

from __future__ import annotations

import functools
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from vtsearch import ranking
from vtsearch._validate import available_cpus, whole_number
from vtsearch.errors import VtsearchError
from vtsearch.index import Index
from vtsearch.index.reading import Reading
from vtsearch.index.view import GenerationGoneError
from vtsearch.scale.actors import ActorShards
from vtsearch.scale.sharded_state import ShardedState
from vtsearch.scale.shards import LocalShards

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from os import PathLike
    from typing import Literal

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from vtsearch._database import Database
    from vtsearch._exclusions import Exclude
    from vtsearch.duplicates import Duplicates
    from vtsearch.evaluation import Evaluation
    from vtsearch.index.generation import Generation
    from vtsearch.index.where import Params
    from vtsearch.metrics import Normalizer
    from vtsearch.ranking import Ranking
    from vtsearch.scale.shards import Shards

_POSITIONS = "mask", "exclude"
"""Arguments that name items by their positions."""

_TRIES = 8
"""How often the shards are asked to open a state that is gone before they have done so."""

Method = TypeVar("Method", bound="Callable[..., Any]")
Result = TypeVar("Result")


def _again(method: Method) -> Method:
    """A question that is asked once more, of the newest state, where a shard finds the state that was asked gone.

    Masks and positions are those of the items of one state: such questions raise the error.
    """

    @functools.wraps(method)
    def asked(self: ShardedIndex, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except GenerationGoneError:
            if any(kwargs.get(name) is not None for name in _POSITIONS):
                raise
        self.refresh()
        return method(self, *args, **kwargs)

    return cast("Method", asked)


class ShardedIndex(Reading):
    """One or several index folders as one index, of which each shard searches consecutive items.

    It answers as ``Index`` does, bit for bit, for any number of shards. This process opens the folders too: ids,
    labels and metadata come from there. Codes are compared by the shards: threads of this process, or actors on the
    nodes of a Ray cluster, which open the same paths. An answer is that of all shards, or an error.

    Positions go on from one folder to the next. An id that several folders have names its item in the last of them.

    Questions are answered from the state that ``open``, ``refresh`` or its own last change has opened, also while
    another state is being opened; it may be used by any number of threads at once. Where a shard has lost that state
    (an actor that was started again after the index has changed), a question without mask and positions is asked of
    the newest state instead.

    Example:
        >>> import numpy as np, vtsearch
        >>> from vtsearch.scale import ShardedIndex
        >>> codes = np.arange(100, dtype=np.uint8)[:, None]
        >>> with vtsearch.Index.create("numbers", bits=8) as index:
        ...     index.add(codes)
        >>> with ShardedIndex.open("numbers", shards=3) as index:
        ...     index.search(codes[:1], k=2).ids
        [['0', '1']]
    """

    def __init__(self, indexes: Sequence[Index], shards: Shards) -> None:
        """``indexes``: open, to be closed with this one; as are the shards."""
        self._indexes, self._shards = list(indexes), shards
        self._state: ShardedState | None = None
        self._changing = threading.RLock()
        self._path = indexes[0].path
        try:
            self._open_state()
        except BaseException:
            shards.close()
            raise

    @classmethod
    def open(
        cls,
        paths: str | PathLike[str] | Sequence[str | PathLike[str]],
        shards: int = 4,
        *,
        threads: int | None = None,
        ray: str | None = None,
        replicas: int = 1,
        cpus: float = 1,
        timeout: float = 60,
        name: str | None = None,
    ) -> Self:
        """Open one or several indexes that exist, and their shards.

        Args:
            paths: folders of indexes whose codes belong together: of one length, model and preprocessing, with labels
                of one form. On a cluster every node that has a shard sees them at the same absolute paths.
            shards: how many, at least 1.
            threads: of one question to one shard, at most. By default an actor uses as many as its ``cpus``, and
                shards in this process share its CPUs.
            ray: address of a Ray cluster, whose actors are the shards; "auto" finds it, as for ``connect``. None
                means threads of this process.
            replicas: actors of each shard, which share the questions; if one dies the others answer.
            cpus: that Ray reserves for each actor.
            timeout: seconds that a question waits for a shard of which no actor is alive, until one is started again.
            name: of actors that stay when this process ends, and that other processes find by this name. By default
                they end with this process or by ``close``.

        Raises:
            TypeError: numbers of another type.
            ValueError: no paths; numbers out of range; replicas or a name without Ray.
            FileNotFoundError: no such folder.
            ModuleNotFoundError: Ray is not installed; names the command that installs it.
            VtsearchError: a folder that is no index, or a damaged one; indexes whose codes do not belong together; no
                cluster at this address; shards that the cluster does not start.
        """
        folders = [paths] if isinstance(paths, str) or hasattr(paths, "__fspath__") else list(paths)
        if not folders:
            raise ValueError("paths: expected at least one folder of an index, got none")
        count = whole_number("shards", shards, 1)
        copies = whole_number("replicas", replicas, 1)
        most = None if threads is None else whole_number("threads", threads, 1)
        indexes = [Index.open(Path(folder)) for folder in folders]
        if ray is None:
            if copies > 1 or name is not None:
                raise ValueError("replicas, name: expected an address of a Ray cluster beside them, got ray=None")
            return cls(indexes, LocalShards(count, most or max(available_cpus() // count, 1)))
        actors = ActorShards(count, replicas=copies, cpus=cpus, threads=most, timeout=timeout, name=name, address=ray)
        return cls(indexes, actors)

    @property
    def path(self) -> Path:
        """The folder of the index, or of the first one."""
        return self._path

    @property
    def paths(self) -> tuple[Path, ...]:
        """The folders of all indexes, in the order of their items."""
        return tuple(index.path for index in self._indexes)

    @property
    def shards(self) -> int:
        """The number of shards."""
        return len(self._shards)

    @property
    def generation(self) -> str:
        """The name of the state that answers; of several indexes all, joined by a plus sign."""
        return self._frozen().generation

    search = _again(Reading.search)
    search_items = _again(Reading.search_items)
    within = _again(Reading.within)
    count = _again(Reading.count)
    histogram = _again(Reading.histogram)

    @_again
    def rank(
        self,
        query_codes: NDArray[np.uint8],
        k: int | None = None,
        *,
        where: str | None = None,
        params: Params = (),
        mask: ArrayLike | None = None,
        exclude: Exclude | None = None,
        weights: ArrayLike | None = None,
        progress: Callable[[int, int], object] | None = None,
        bits: int | None = None,
    ) -> Ranking:
        """The k nearest items of each query as positions, without their ids; with weights, as ``vtsearch.rank``.

        Raises:
            TypeError, ValueError: as ``search`` and ``vtsearch.rank``.
            VtsearchError: as ``search``.
        """
        _, codes, database, allowed = self._asked(query_codes, where, params, mask, bits)
        return ranking.rank(codes, database, k, mask=allowed, exclude=exclude, weights=weights, progress=progress)

    @_again
    def evaluate(
        self,
        query_codes: NDArray[np.uint8],
        query_labels: NDArray[np.generic],
        k: int | None = None,
        *,
        normalizer: Normalizer = "retrieved",
        where: str | None = None,
        params: Params = (),
        mask: ArrayLike | None = None,
        exclude: Exclude | None = None,
        threads: int | None = None,
        progress: Callable[[int, int], object] | None = None,
        bits: int | None = None,
    ) -> Evaluation:
        """Retrieval metrics of queries against the labels of the items, as ``Index.evaluate``.

        Shards count items by distance, and their counts are added up: no code, label or ranking is sent. mAP by index
        takes a second question, with the counts of the shards before each.

        Raises:
            TypeError, ValueError: as ``Index.evaluate``.
            VtsearchError: as ``search``.
        """
        return self._frozen().evaluate(
            query_codes,
            query_labels,
            k,
            normalizer=normalizer,
            where=where,
            params=params,
            mask=mask,
            exclude=exclude,
            threads=threads,
            progress=progress,
            bits=bits,
        )

    @_again
    def deduplicate(
        self,
        radius: int,
        *,
        against: NDArray[np.uint8] | Database | None = None,
        max_diameter: int | None = None,
        where: str | None = None,
        params: Params = (),
        threads: int | None = None,
        progress: Callable[[int, int], object] | None = None,
        work: str | PathLike[str] | None = None,
    ) -> Duplicates:
        """Groups of near-duplicate items, as ``Index.deduplicate``, found by tasks that the shards run.

        With against, max_diameter or where this process searches its own maps of the codes. An index that is changed
        meanwhile is searched once more.

        Args:
            radius: largest distance of a step, in bits.
            against: as for ``Index.deduplicate``.
            max_diameter: as for ``Index.deduplicate``.
            where: as for ``Index.deduplicate``.
            params: as for ``Index.deduplicate``.
            threads: of each task, at most.
            progress: called with items done and items in all; `done` is an estimate.
            work: folder for the files of the tasks, which all nodes reach at this path; one of an unfinished search is
                continued. By default a temporary folder of this machine.

        Raises:
            TypeError, ValueError: as ``Index.deduplicate``; work beside against, max_diameter or where.
            VtsearchError: a shard that cannot be reached; as ``vtsearch.scale.duplicates.deduplicate``.
        """
        if against is None and max_diameter is None and where is None:
            return self._frozen().deduplicate_by_shards(radius, work=work, threads=threads, progress=progress)
        if work is not None:
            raise ValueError("work: expected none beside against, max_diameter or where, got a folder")
        own = {"against": against, "max_diameter": max_diameter, "where": where, "params": params}
        return super().deduplicate(radius, threads=threads, progress=progress, **own)  # type: ignore[arg-type]

    @_again
    def where(self, condition: str, params: Params = (), *, seconds: float | None = None) -> NDArray[np.bool_]:
        """As ``Index.where``; each shard looks at its own items, for this time at most."""
        return self._frozen().where(condition, params, seconds=seconds)

    def add(
        self,
        codes: NDArray[np.uint8],
        ids: Sequence[str] | None = None,
        labels: ArrayLike | None = None,
        metadata: Mapping[str, Iterable[Any]] | None = None,
        *,
        fingerprints: Mapping[str, str] | None = None,
    ) -> None:
        """Append items to the last index, and ``refresh``; arguments and errors are those of ``Index.add``."""
        self._change(lambda index: index.add(codes, ids, labels, metadata, fingerprints=fingerprints))

    def upsert(
        self,
        codes: NDArray[np.uint8],
        ids: Sequence[str],
        labels: ArrayLike | None = None,
        metadata: Mapping[str, Iterable[Any]] | None = None,
        *,
        fingerprints: Mapping[str, str] | None = None,
    ) -> None:
        """Append items to the last index, in place of those that have the same ids there, and ``refresh``.

        Arguments and errors are those of ``Index.upsert``.
        """
        self._change(lambda index: index.upsert(codes, ids, labels, metadata, fingerprints=fingerprints))

    def remove(
        self,
        ids: Sequence[str] | None = None,
        *,
        where: str | None = None,
        params: Params = (),
        missing: Literal["error", "ignore"] = "error",
    ) -> int:
        """Remove items from the last index, and ``refresh``; arguments and errors are those of ``Index.remove``."""
        return self._change(lambda index: index.remove(ids, where=where, params=params, missing=missing))

    def refresh(self) -> None:
        """Answer from the states that the folders have now, once all shards have opened them.

        Raises:
            VtsearchError: a damaged index, or a folder that holds another one by now; a shard that cannot be reached.
        """
        with self._changing:
            self._frozen()
            self._indexes = [index.reopened() for index in self._indexes]
            self._open_state()

    def close(self, *, stop: bool = False) -> None:
        """End the shards, those that have a name only with ``stop``, and close the files.

        Arrays that were returned stay valid.
        """
        with self._changing:
            self._state = None
            self._shards.close(stop=stop)

    def __enter__(self) -> Self:
        self._frozen()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        text = ", ".join(str(path) for path in self.paths)
        state = self._state
        return f"ShardedIndex({text}, {'closed' if state is None else f'{len(state)} items in {self.shards} shards'})"

    def _open_state(self) -> None:
        """Have the shards open the state of the open indexes, or a later one."""
        for _ in range(_TRIES):
            state = ShardedState(self._indexes, self._shards)
            try:
                self._shards.open(state.shard_items)
            except GenerationGoneError:
                self._indexes = [index.reopened() for index in self._indexes]
                continue
            self._state = state
            return
        raise VtsearchError(f"{self._path}: expected an index that stays, got one that changes again and again")

    def _change(self, change: Callable[[Index], Result]) -> Result:
        with self._changing:
            self._frozen()
            changed = self._indexes[-1].reopened()
            result = change(changed)
            self.refresh()
        return result

    def _frozen(self) -> ShardedState:
        state = self._state
        if state is None:
            raise VtsearchError(f"{self._path}: this index is closed; open it again")
        return state

    def _generation(self) -> Generation:
        return self._frozen().state
