"""A sharded index: one or several index folders, searched by many processes as one index."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from vtsearch._validate import available_cpus, whole_number
from vtsearch.errors import VtsearchError
from vtsearch.index import Index
from vtsearch.index.reading import Reading
from vtsearch.index.view import GenerationGoneError
from vtsearch.scale.actors import ActorShards
from vtsearch.scale.asking import of_state, unbound
from vtsearch.scale.sharded_state import ShardedState
from vtsearch.scale.shards import MOST_REPLICAS, MOST_SHARDS, LocalShards

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from os import PathLike
    from typing import Literal

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from vtsearch.index.generation import Generation
    from vtsearch.index.where import Params
    from vtsearch.scale.shards import Shards

_TRIES = 8
"""How often the shards are asked to open a state that is gone before they have done so."""

Result = TypeVar("Result")


class ShardedIndex(Reading):
    """One or several index folders as one index, of which each shard searches consecutive items.

    It answers as ``Index`` does, bit for bit, for any number of shards. This process opens the folders too: ids,
    labels and metadata come from there. Codes are compared by the shards: threads of this process, or actors on the
    nodes of a Ray cluster, which open the same paths. An answer is that of all shards, or an error.

    The ``threads`` of a question do not bound its shards, which have those of ``open``; ``explain`` is an error.

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
            shards: how many, from 1 to 4,096.
            threads: of one question to one shard, at most. By default an actor uses as many as its ``cpus``, and
                shards in this process share its CPUs.
            ray: address of a Ray cluster, whose actors are the shards; "auto" finds it, as for ``connect``. None
                means threads of this process.
            replicas: actors of each shard, up to 64, which share the questions; if one dies the others answer.
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
        count = whole_number("shards", shards, 1, MOST_SHARDS)
        copies = whole_number("replicas", replicas, 1, MOST_REPLICAS)
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
    def current(self) -> ShardedState:
        """The state that answers: all of its answers are of one generation, also after ``refresh``.

        Raises:
            VtsearchError: the index is closed.
        """
        state = self._state
        if state is None:
            raise VtsearchError(f"{self._path}: this index is closed; open it again")
        return state

    @property
    def generation(self) -> str:
        """The name of the state that answers; of several indexes all, joined by a plus sign."""
        return self.current.generation

    search = of_state(ShardedState.search)
    search_items = of_state(ShardedState.search_items)
    within = of_state(ShardedState.within)
    count = of_state(ShardedState.count)
    histogram = of_state(ShardedState.histogram)
    rank = of_state(unbound(ShardedState.rank))
    evaluate = of_state(unbound(ShardedState.evaluate))
    deduplicate = of_state(unbound(ShardedState.deduplicate))
    where = of_state(unbound(ShardedState.where))

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
            self.current  # noqa: B018 (raises if it is closed)
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
        self.current  # noqa: B018
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
            self.current  # noqa: B018 (raises if it is closed)
            changed = self._indexes[-1].reopened()
            result = change(changed)
            self.refresh()
        return result

    def _frozen(self) -> ShardedState:
        return self.current

    def _generation(self) -> Generation:
        return self.current.state
