"""Seeded simulation of an index under faults and crashes, audited after each step."""

from __future__ import annotations

import copy
import pickle
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

from simulation import audit
from simulation.audit import Violation
from simulation.disk import Disk
from simulation.machine import ERRORS, Crash, Machine, Plan, intercepted
from simulation.model import State, arguments, condition, new_items

from vtsearch._tables import Tables
from vtsearch.errors import VtsearchError
from vtsearch.index import Index, changes, create, opening, segments, tables

STEPS = 200
MOST_ITEMS = 70
MOST_HANDLES = 4
SIZES = {"MOST_ROWS": 24, "SMALL_ROWS": 2, "JOINED": 3}
"""Of segments: a few dozen items make several, which are joined."""
TABLED_BYTES = 9
"""Of codes that have tables, which then answer."""
WITHOUT_TABLES = (1, 5, 6)
"""Remainders by 7 of the seeds without tables and decisions: they repeat what they found before there were any."""
TROUBLE = 6
"""Steps after a fault during which others are likelier."""
IN_CHANGES = [kind for kind in ERRORS if kind not in ("link", "rename")] + ["sync commit", "sync commit", "unlink"]
"""Kinds of operations of changes; those between a commit and its cleanup are drawn more often."""
IN_CREATIONS = ["create", "write", "fsync", "fsync folder", "mkdir", "link", "link", "unlink", "unlink"]
CRASHES = ("kill", "power cut")
KINDS = ("none", "single", "multi")


@dataclass
class Counts:
    """Counts of steps, operations and faults."""

    steps: int = 0
    actions: Counter[str] = field(default_factory=Counter)
    operations: Counter[str] = field(default_factory=Counter)
    faults: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By fault and kind of operation; "between calls" are power cuts while none ran."""

    def add(self, other: Counts) -> None:
        """Count those of another simulation too."""
        self.steps += other.steps
        self.actions += other.actions
        self.operations += other.operations
        self.faults += other.faults

    @property
    def crashes(self) -> int:
        """Kills and power cuts."""
        return sum(count for (fault, _), count in self.faults.items() if fault in CRASHES)


@dataclass
class Handle:
    """An open index, and the state that it answers from."""

    index: Index
    state: State


def simulate(seed: int, steps: int = STEPS) -> Counts:
    """Run the simulation of a seed.

    Raises:
        Violation: something did not hold; the message says how to repeat it.
    """
    with _quick_folder() as folder:
        simulation = Simulation(seed, folder / "disk")
        with simulation.patched():
            return simulation.run(steps)


@contextmanager
def _quick_folder() -> Iterator[Path]:
    """A folder in memory, where the system has such a place."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="vtsearch-", dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder).resolve()


class Simulation:
    """An index in a folder on a disk that fails, its open handles, and the items that it should hold."""

    def __init__(self, seed: int, base: Path) -> None:
        self._seed, self._chance = seed, random.Random(seed)
        base.mkdir()
        self._disk = Disk(base)
        self._machine = Machine(self._disk, self._chance)
        self._folder = base / "new" / "index"
        self._handles: list[Handle] = []
        self._strangers: dict[Path, bytes] = {}
        self._state = State(self._chance.choice(KINDS), self._chance.choice((2, 3, 8)))
        self._exists = False
        self._undone: list[State] = []
        """States that a power cut may bring back, because the change that left them was not acknowledged."""
        self._trouble = TROUBLE
        """Steps during which faults are likelier: a second one meets the leftovers of the first."""
        self._between_calls = 0
        self._mapped = self._chance.choice((256, 5, 0))
        self._has_tables = seed % 7 not in WITHOUT_TABLES

    @contextmanager
    def patched(self) -> Iterator[None]:
        """File calls led to the disk, and small segments."""
        with ExitStack() as stack:
            stack.enter_context(intercepted(self._machine))
            stack.enter_context(mock.patch.multiple(changes, **SIZES))
            stack.enter_context(mock.patch.object(segments, "MOST_MAPPED", self._mapped))
            stack.enter_context(mock.patch.object(tables, "LEAST_BYTES", TABLED_BYTES))
            stack.enter_context(mock.patch.object(Tables, "plan", "tables"))
            yield

    def run(self, steps: int) -> Counts:
        """So many steps.

        Raises:
            Violation: something did not hold.
        """
        actions: Counter[str] = Counter()
        history: list[str] = []
        for step in range(steps):
            action = self._next_action()
            history.append(action.__name__.strip("_"))
            actions[history[-1]] += 1
            try:
                action()
                self._audit()
            except Exception as error:
                raise self._violation(step, steps, history, error) from error
        faults = self._machine.injected + Counter({("power cut", "between calls"): self._between_calls})
        return Counts(steps, actions, self._machine.operations, faults)

    def _violation(self, step: int, steps: int, history: list[str], error: Exception) -> Violation:
        what = str(error) if isinstance(error, Violation) else f"unexpected {error!r}"
        return Violation(
            f"seed {self._seed}, step {step}, after {', '.join(history[-6:])}: {what}\n"
            f"repeat: PYTHONPATH=tests python -m simulation {self._seed} 1 {steps}"
        )

    def _next_action(self) -> Callable[[], None]:
        if not self._exists:
            return self._create
        if not self._handles:
            return self._open
        weights = {
            self._add: 16,
            self._upsert: 16,
            self._remove: 14,
            self._remove_where: 6,
            self._compact: 5,
            self._compact_indexed: 4,
            self._describe: 2,
            self._ask: 8,
            self._refresh: 6,
            self._refresh_amid_a_change: 2,
            self._verify: 4,
            self._open: 4,
            self._close: 4,
            self._copy_handle: 2,
            self._copy_folder: 1,
            self._wrong: 4,
            self._stranger: 2,
            self._killed_commit: 2,
            self._power_cut: 8 if self._trouble else 1,
        }
        if self._has_tables:
            weights |= {self._compact_with_tables: 6, self._decide: 5, self._forget: 1}
        return self._chance.choices([*weights], [*weights.values()])[0]

    # -----------------------------------------------------------------------------------------------------------------
    # Faults

    def _plan(self) -> Plan:
        """Usually no fault; else one at an operation of any kind."""
        chance = self._chance
        self._trouble = max(0, self._trouble - 1)
        if chance.random() < (0.5 if self._trouble else 0.75):
            return Plan()
        weights = [3, 8, 1, 3] if self._trouble else [3, 4, 1, 4]
        fault = chance.choices(["kill", "power cut", "interrupt", "error"], weights)[0]
        if chance.random() < 0.5:
            return Plan(fault, None, chance.randrange(chance.choice((4, 16, 60))), chance.random() < 0.3)
        kind = chance.choice(IN_CHANGES if self._exists else IN_CREATIONS)
        return Plan(fault, kind, chance.choice((0, 0, 1, 2, 5)), chance.random() < 0.3)

    def _change(
        self, handle: Handle, call: Callable[[Index], object], after: State, *, compacted: bool = False
    ) -> None:
        """Make a change that leads to a state, or fails, or ends in a crash."""
        if self._is_done(handle, call, after):
            handle.state = after
            audit.all_is(handle.index, after, self._chance)
            if not self._machine.has_failed:
                audit.folder_is_tidy(handle.index, self._strangers)
                audit.segments_are_few(handle.index, compacted=compacted)
                if compacted:
                    audit.tables_are(handle.index, wanted=after.tables, least=TABLED_BYTES)
        elif handle in self._handles:
            self._settle(handle)

    def _is_done(self, handle: Handle, call: Callable[[Index], object], after: State) -> bool:
        """Whether a call returns; it may also fail, with or without its change, or end in a crash."""
        plan, states = self._plan(), [self._state, after]
        try:
            with self._machine.running(plan):
                call(handle.index)
        except Crash:
            self._handles.remove(handle)
            self._undone.append(self._state)
            self._crash(plan, states)
            return False
        except (KeyboardInterrupt, OSError, VtsearchError) as error:
            self._names_a_file(error)
            self._undone.append(self._state)
            self._state = self._reader(states).state
            return False
        self._state = after
        self._undone.clear()
        return True

    def _names_a_file(self, error: BaseException, folder: Path | None = None) -> None:
        """An error comes from a fault and names a file in a folder, by default that of the index."""
        self._trouble = TROUBLE
        if not self._machine.has_failed:
            raise Violation(f"no error without a fault: got {error!r}") from error
        if isinstance(error, Exception) and str(folder or self._folder) not in str(error):
            raise Violation(f"an error that names the file: got {type(error).__name__}: {error}") from error

    def _settle(self, handle: Handle) -> None:
        """After an error, a handle answers from its last state, or from that of its change if that took place."""
        handle.state = audit.which_is(handle.index, [handle.state, self._state])

    def _crash(self, plan: Plan, states: list[State]) -> None:
        """Reopen the index after a crash."""
        self._trouble = TROUBLE
        if plan.fault == "power cut":
            self._handles.clear()
            self._disk.power_cut(self._chance)
            states, self._undone = [*states, *self._undone], []
        self._handles.append(self._reader(states))
        self._state = self._handles[-1].state

    def _reader(self, states: list[State]) -> Handle:
        """A new handle, which answers from one of these states.

        Raises:
            Violation: no index, a damaged one, or another state.
        """
        index = Index.open(self._folder)
        index.verify()
        state = audit.which_is(index, states, decided=True)
        audit.all_is(index, state, self._chance)
        return Handle(index, state)

    def _audit(self) -> None:
        """All handles answer from their states, and nothing of others is gone."""
        for handle in self._handles:
            audit.items_are(handle.index, handle.state)
        if self._handles and self._chance.random() < 0.4:
            handle = self._any()
            audit.all_is(handle.index, handle.state, self._chance)
            audit.decisions_are(handle.index, self._state)
        audit.strangers_are_there(self._strangers)

    # -----------------------------------------------------------------------------------------------------------------
    # Changes

    def _create(self) -> None:
        """Create the index; it is often deleted afterwards, so that this is tried several times."""
        plan, is_acknowledged = self._plan(), False
        try:
            with self._machine.running(plan):
                Index.create(self._folder, 8 * self._state.width, description={"about": ""}).close()
            is_acknowledged = True
        except Crash:
            pass
        except (KeyboardInterrupt, OSError) as error:
            self._names_a_file(error, self._disk.base)
        if plan.fault == "power cut" and (self._machine.is_dead or self._chance.random() < 0.5):
            self._disk.power_cut(self._chance)
        self._exists = not create.is_vacant(self._folder)
        if is_acknowledged and not self._exists:
            raise Violation("an index that was created: got none")
        if not self._exists:  # parents that a killed creation has made: the next one takes them as somebody else's
            self._disk.folder(self._disk.base).sync()
        if self._exists and self._reader([self._state]) and self._chance.random() < 0.6:
            shutil.rmtree(self._folder.parent)
            self._disk.adopt()
            self._exists = False

    def _add(self) -> None:
        state, chance = self._state, self._chance
        count = self._count()
        if chance.random() < 0.2:
            items = new_items(chance, state, [str(state.added + number) for number in range(count)])
            given = None
        else:
            items = new_items(chance, state, [name for name in self._names(count) if name not in state.ids])
            given = [item.name for item in items]
        values = arguments(items, state.kind, state.width)
        self._change(self._any(), lambda index: index.add(ids=given, **values), state.with_items(items))

    def _upsert(self) -> None:
        state = self._state
        some = self._chance.sample(state.ids, min(len(state), self._chance.choice((0, 0, 1, 3))))
        items = new_items(self._chance, state, list(dict.fromkeys([*self._names(self._count()), *some])))
        values, names = arguments(items, state.kind, state.width), [item.name for item in items]
        self._change(self._any(), lambda index: index.upsert(ids=names, **values), state.with_items(items))

    def _remove(self) -> None:
        state, chance = self._state, self._chance
        count = chance.choice((0, 1, 1, 2, 5, 20, MOST_ITEMS))
        count = max(count, len(state) - MOST_ITEMS)
        gone = chance.sample(state.ids, min(len(state), count))
        if chance.random() < 0.3 and gone:  # neighbors, which may be whole segments
            start = state.ids.index(gone[0])
            gone = state.ids[start : start + count]
        self._removed(gone, lambda index: index.remove(gone))

    def _remove_where(self) -> None:
        asked = condition(self._chance, self._state)
        gone = asked.names(self._state)
        self._removed(gone, lambda index: index.remove(where=asked.sql, params=asked.params))

    def _removed(self, gone: list[str], call: Callable[[Index], int]) -> None:
        def counted(index: Index) -> None:
            audit.expect("removed items", call(index), len(gone))

        self._change(self._any(), counted, self._state.without(gone))

    def _compact(self) -> None:
        self._change(self._any(), Index.compact, self._state, compacted=True)

    def _compact_indexed(self) -> None:
        names = [name for name in ("id", "label", "n", "word") if self._chance.random() < 0.4]
        self._change(self._any(), lambda index: index.compact(indexed=names), self._state, compacted=True)

    def _compact_with_tables(self) -> None:
        wanted = self._chance.random() < 0.8
        after = replace(self._state, tables=wanted)
        self._change(self._any(), lambda index: index.compact(tables=wanted), after, compacted=True)

    def _decide(self) -> None:
        """Decisions are read from the folder: the state that handles answer from stays."""
        handle, chance = self._any(), self._chance
        names = chance.sample(handle.state.ids, min(len(handle.state), 3))
        new = [(chance.choice(("keep", "remove")), (name,)) for name in names[:2]]
        if len(names) == 3:
            new.append(("distinct", tuple(names[1:])))
        self._is_done(handle, lambda index: index.decide(new), self._state.with_decisions(new))

    def _forget(self) -> None:
        names = [name for _, names in self._state.decisions for name in names][:2]
        after = self._state.without_decisions(names)
        self._is_done(self._any(), lambda index: index.forget_decisions(names), after)

    def _describe(self) -> None:
        state = replace(self._state, description=f"images {self._chance.randrange(1000)}")
        self._change(self._any(), lambda index: index.describe({"about": state.description}), state)

    def _wrong(self) -> None:
        """Arguments that are refused: nothing changes, and the message names the argument."""
        state, index = self._state, self._any().index
        items = new_items(self._chance, state, [*self._chance.sample(state.ids, min(1, len(state))), "new"])
        values, names = arguments(items, state.kind, state.width), [item.name for item in items]
        calls: list[tuple[str, Callable[[], object]]] = [
            ("ids", lambda: index.remove(["nobody"])),
            ("where", lambda: index.remove(where="nothing = 1")),
            ("indexed", lambda: index.compact(indexed=["a b"])),
        ]
        if len(state):
            calls.append(("ids", lambda: index.add(ids=names, **values)))
        argument, call = self._chance.choice(calls)
        try:
            with self._machine.running(Plan()):
                call()
        except ValueError as error:
            audit.expect("argument of an error", str(error).partition(":")[0], argument)
        else:
            raise Violation(f"{argument}: expected an error, got none")
        self._reader([state]).index.close()

    # -----------------------------------------------------------------------------------------------------------------
    # Questions, handles and files

    def _ask(self) -> None:
        handle = self._any()
        audit.all_is(handle.index, handle.state, self._chance)

    def _refresh(self) -> None:
        handle, plan = self._any(), self._plan()
        try:
            with self._machine.running(plan):
                handle.index.refresh()
        except Crash:
            self._handles.remove(handle)
            self._crash(plan, [self._state])
        except (KeyboardInterrupt, VtsearchError) as error:
            self._names_a_file(error)
        else:
            handle.state = self._state

    def _refresh_amid_a_change(self) -> None:
        """Another handle changes the index between the reading of its segments and the opening of their files."""
        handle, states, tries = self._any(), [self._state], iter(range(self._chance.choice((1, 2, 5))))

        def delayed(*args: Any, function: Callable[..., Any] = opening.reopened) -> Any:
            if next(tries, None) is not None:
                self._upsert()
                states.append(self._state)
            return function(*args)

        with mock.patch.object(opening, "reopened", delayed), mock.patch.object(self, "_plan", Plan):
            handle.index.refresh()
        handle.state = audit.which_is(handle.index, states)

    def _verify(self) -> None:
        handle = self._any()
        handle.index.verify()

    def _open(self) -> None:
        if len(self._handles) >= MOST_HANDLES:
            self._close()
        self._handles.append(self._reader([self._state]))

    def _close(self) -> None:
        handle = self._any()
        self._handles.remove(handle)
        handle.index.close()
        try:
            handle.index.ids()
        except VtsearchError:
            return
        raise Violation("a closed index: expected an error, got ids")

    def _copy_handle(self) -> None:
        index = self._any().index
        again = copy.copy(index) if self._chance.random() < 0.5 else pickle.loads(pickle.dumps(index))
        audit.all_is(again, self._state, self._chance)
        again.close()

    def _copy_folder(self) -> None:
        copied = self._disk.base.with_name("copy")
        shutil.copytree(self._folder, copied)
        with Index.open(copied) as index:
            index.verify()
            audit.all_is(index, self._state, self._chance)
            index.compact()
            audit.all_is(index, self._state, self._chance)
        shutil.rmtree(copied)

    def _stranger(self) -> None:
        """A file of somebody else, named as the index names its own or otherwise."""
        folders = [path for path in (self._folder, *map(self._folder.joinpath, audit.FOLDERS)) if path.is_dir()]
        name = f"{self._chance.getrandbits(128):032x}"
        endings = (".npy", ".sqlite", ".tmp", "")
        path = self._chance.choice(folders) / f"{name}{self._chance.choice(endings)}"
        path.write_bytes(self._chance.randbytes(40))
        self._disk.keep(path)
        self._strangers[path] = path.read_bytes()

    def _power_cut(self) -> None:
        self._between_calls += 1
        self._crash(Plan("power cut"), [self._state])

    def _killed_commit(self) -> None:
        """A commit that others see and a power cut undoes, a change that begins from it, and a power cut."""
        plans = [Plan("kill", "sync commit"), Plan("power cut", None, self._chance.randrange(30))]
        with mock.patch.object(self, "_plan", side_effect=plans):
            self._upsert()
            self._chance.choice([self._add, self._remove, self._compact])()
        self._power_cut()

    def _any(self) -> Handle:
        return self._chance.choice(self._handles)

    def _count(self) -> int:
        """How many items come."""
        if len(self._state) > MOST_ITEMS:
            return 1
        return self._chance.choice((0, 1, 1, 1, 2, 3, 5, 9, 30))

    def _names(self, count: int) -> list[str]:
        """So many different ids, of which there are few."""
        return self._chance.sample([f"{letter}{number}" for letter in "abc" for number in range(14)], count)
