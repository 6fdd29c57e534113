"""``vtsearch serve`` under load: throughput beside that of the engine alone, and a soak with additions and removals.

    python benchmarks/serve_load.py throughput --items 1000000
    python benchmarks/serve_load.py servers --items 1000000
    python benchmarks/serve_load.py soak --seconds 300

`servers` compares one process with `--workers 2` and, where Ray is installed, with actors on a cluster of this machine,
and with further commands, which get the folder of the index as their last word and print their URL first, such as
`--also "python benchmarks/serve_ray_serve.py"`. They are asked in turns, in several rounds, and CPU is that of all
their processes: on a machine with other work it says more than the clock.

The server is a process of its own, its clients one other; both share the processors with whatever else runs. Answers
are compared with those of the engine. Microseconds are those of the wall clock per request, and of the server's CPU.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import random
import shlex
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import httptools
import numpy as np
from synthetic_codes import random_codes

import vtsearch
from vtsearch import Index

BITS, K, QUERIES, CHUNK = 64, 10, 4096, 2**22
CLIENTS = (1, 16, 64)
CLASSES = 10


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("throughput", "servers", "soak"))
    parser.add_argument("--items", type=int, help="of the index; by default 1,000,000, in a soak 100,000")
    parser.add_argument("--seconds", type=float, help="of each measurement; by default 5, of the soak 300")
    parser.add_argument("--clients", type=int, default=64, help="of the soak")
    parser.add_argument("--rounds", type=int, default=10, help="of the servers")
    parser.add_argument("--index", help="folder of the servers' index, made if it is not there")
    parser.add_argument("--also", action="append", default=[], help="command of one more server")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if given.what == "throughput":
            throughput(Path(folder) / "index", given.items or 1_000_000, given.seconds or 5.0)
        elif given.what == "servers":
            place = Path(given.index or Path(folder) / "index")
            servers(place, given.items or 1_000_000, given.seconds or 1.0, given.rounds, given.also)
        else:
            asyncio.run(soak(Path(folder) / "index", given.items or 100_000, given.seconds or 300.0, given.clients))


def make(folder, items, *, described=False):
    """An index of random codes, in a soak with labels and metadata."""
    rng = np.random.default_rng(0)
    with Index.create(folder, BITS) as index:
        for begin in range(0, items, CHUNK):
            count = min(CHUNK, items - begin)
            names = [f"{begin + number:09}" for number in range(count)]
            labels = rng.integers(0, CLASSES, count) if described else None
            metadata = {"width": rng.integers(0, 1000, count).tolist()} if described else None
            index.add(random_codes(rng, BITS, count), names, labels, metadata)
    return random_codes(rng, BITS, QUERIES)


def machine():
    return f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}"


# -- Server and clients ------------------------------------------------------------------------------------------------


class Server:
    """A server's processes as the system sees them."""

    def __init__(self, process, port):
        self.port, self._pid = port, process.pid

    def processes(self, pid=None):
        """The first process and all that it has started, directly or not."""
        found = [pid or self._pid]
        with suppress(FileNotFoundError):
            for each in Path(f"/proc/{found[0]}/task").glob("*/children"):
                for child in each.read_text().split():
                    found += self.processes(int(child))
        return found

    def resident(self):
        """MiB."""
        return self._sum("Rss")

    def proportional(self):
        """MiB, of which those that processes share count once."""
        return self._sum("Pss")

    def private(self):
        """MiB that are not those of mapped files."""
        return self._sum("Anonymous")

    def seconds(self):
        """Of CPU, so far."""
        ticks = 0
        for pid in self.processes():
            with suppress(FileNotFoundError, ProcessLookupError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def _sum(self, name):
        total = 0
        for pid in self.processes():
            if b"decoding_worker" not in Path(f"/proc/{pid}/cmdline").read_bytes():
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                total += sum(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
        return total / 2**10


def serving(folder, *words):
    return started([sys.executable, "-m", "vtsearch", "serve", str(folder), "--port", "0", *words])


@contextmanager
def started(command):
    # Each server has a session of its own, as `--workers` has: where a system shares processors out among sessions, one
    # in that of its clients would be woken sooner on a busy machine.
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        address = process.stdout.readline().split()[0]
        try:
            yield Server(process, int(address.rstrip("/").rpartition(":")[2]))
        finally:
            process.terminate()
            code = process.wait(30)
        if code:
            raise SystemExit(f"the server ended with exit code {code}")


class Client(asyncio.Protocol):
    """A connection that asks one thing after another."""

    def connection_made(self, transport):
        self.transport, self.waiting = transport, None

    async def ask(self, request):
        """The status and the body of an answer."""
        self.parser, self.body = httptools.HttpResponseParser(self), []
        self.waiting = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self.waiting

    def data_received(self, data):
        self.parser.feed_data(data)

    def on_body(self, body):
        self.body.append(body)

    def on_message_complete(self):
        self.waiting.set_result((self.parser.get_status_code(), b"".join(self.body)))

    def connection_lost(self, reason):
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_exception(ConnectionError(str(reason)))


def request_of(method, path, content=None):
    body = b"" if content is None else json.dumps(content).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def connected(port):
    return (await asyncio.get_running_loop().create_connection(Client, "127.0.0.1", port))[1]


# -- Throughput --------------------------------------------------------------------------------------------------------


def throughput(folder, items, seconds):
    queries = make(folder, items)
    print(f"{items:,} codes of {BITS} bits, k={K}, {machine()}\n")
    print("| what | clients or batch | queries/s | µs each | µs of the server's CPU | p50, p99 in ms |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    with Index.open(folder) as index:
        database = index.database()
        for histogram, batch in itertools.product((False, True), (1, 16, 64)):
            engine(database, queries, batch, seconds, histogram=histogram)
        expected = vtsearch.rank(queries[:64], database, K).distances
    with serving(folder) as server:
        asyncio.run(check(server.port, queries, expected))
        for histogram, clients in itertools.product((False, True), CLIENTS):
            asyncio.run(load(server, queries, clients, seconds, histogram=histogram))


def engine(database, queries, batch, seconds, *, histogram):
    """The library alone, in this process."""
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        chosen = queries[count % QUERIES : count % QUERIES + batch]
        vtsearch.rank(chosen, database, K)
        if histogram:
            vtsearch.histogram(chosen, database)
        count += len(chosen)
    told(f"engine{' and histogram' if histogram else ''}", batch, count, time.perf_counter() - began)


def told(what, size, count, seconds, *, cpu=None, times=None):
    more = "" if cpu is None else f"{1e6 * cpu / count:,.0f}"
    spread = "" if times is None else ", ".join(f"{1e3 * np.quantile(times, share):.1f}" for share in (0.5, 0.99))
    print(
        f"| {what} | {size} | {count / seconds:,.0f} | {1e6 * seconds / count:,.0f} | {more} | {spread} |", flush=True
    )


def search_of(code, *, histogram):
    return request_of("POST", "/v1/search", {"code": code.tobytes().hex(), "k": K, "histogram": histogram})


async def check(port, queries, expected):
    """Raise unless the server's answers are the engine's."""
    client = await connected(port)
    for code, distances in zip(queries, expected, strict=False):
        _, body = await client.ask(search_of(code, histogram=False))
        assert [result["distance"] for result in json.loads(body)["results"]] == distances.tolist()


async def load(server, queries, clients, seconds, *, histogram):
    cpu = server.seconds()
    times, took = await asked(server.port, queries, clients, seconds, histogram=histogram)
    cpu = server.seconds() - cpu
    told(f"server{' with histogram' if histogram else ''}", clients, len(times), took, cpu=cpu, times=times)


async def asked(port, queries, clients, seconds, *, histogram=False):
    """The seconds of each answer, and of all, of clients that ask one thing after another."""
    requests = [search_of(code, histogram=histogram) for code in queries]
    end, times = time.perf_counter() + seconds, []

    async def run(number):
        client = await connected(port)
        for request in itertools.cycle(requests[number:] + requests[:number]):
            began = time.perf_counter()
            if began > end:
                return
            status, _ = await client.ask(request)
            assert status == 200, status
            times.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(run(number * 61) for number in range(clients)))
    return times, time.perf_counter() - began


# -- Servers -----------------------------------------------------------------------------------------------------------

KINDS = {"one process": (), "--workers 2": ("--workers", "2")}
ACTORS = ("--ray", "local", "--cpus", "0.5", "--shards")
RAY_KINDS = {f"--ray --shards {count}": (*ACTORS, str(count)) for count in (1, 2)}


def servers(folder, items, seconds, rounds, also):
    """The kinds of servers in turns: the median of rounds, as other work comes and goes."""
    queries = random_codes(np.random.default_rng(1), BITS, QUERIES) if folder.exists() else make(folder, items)
    folder = folder.absolute()
    kinds = KINDS | (RAY_KINDS if find_spec("ray") else {})
    with Index.open(folder) as index, ExitStack() as stack:
        items, expected = len(index), vtsearch.rank(queries[:64], index.database(), K).distances
        running = {name: stack.enter_context(serving(folder, *words)) for name, words in kinds.items()}
        for command in also:
            running[command] = stack.enter_context(started([*shlex.split(command), str(folder)]))
        print(f"{items:,} codes of {BITS} bits, k={K}, {rounds} rounds of {seconds:g} s, {machine()}\n")
        for server in running.values():
            asyncio.run(check(server.port, queries, expected))
        compared(running, queries, seconds, rounds)
        print("\n| server | resident MiB | of it shared ones once |\n| --- | ---: | ---: |")
        for name in KINDS:
            print(f"| {name} | {running[name].resident():,.0f} | {running[name].proportional():,.0f} |")


def compared(running, queries, seconds, rounds):
    print("| server | clients | queries/s | to one process | p50 ms | p95 ms | µs of CPU |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for clients in CLIENTS:
        seen = {name: [] for name in running}
        for _, (name, server) in itertools.product(range(rounds), running.items()):
            cpu = server.seconds()
            times, took = asyncio.run(asked(server.port, queries, clients, seconds))
            spread = (1e3 * np.quantile(times, share) for share in (0.5, 0.95))
            seen[name].append((len(times) / took, *spread, 1e6 * (server.seconds() - cpu) / len(times)))
        first = np.array(next(iter(seen.values())))[:, 0]
        for name, rows in seen.items():
            measured = np.array(rows)
            rate, middle, most, cpu = np.median(measured, axis=0)
            share = np.median(measured[:, 0] / first)
            print(
                f"| {name} | {clients} | {rate:,.0f} | {share:.2f} | {middle:.1f} | {most:.1f} | {cpu:,.0f} |",
                flush=True,
            )


# -- Soak --------------------------------------------------------------------------------------------------------------


class Soak:
    """What clients saw, and what became of the server meanwhile."""

    def __init__(self, server, seconds, queries):
        self.server, self.queries, self.seconds = server, queries, seconds
        self.begin = time.monotonic()
        self.times, self.failures = {}, []

    @property
    def is_over(self):
        return time.monotonic() - self.begin > self.seconds

    async def ask(self, client, what, request):
        began = time.perf_counter()
        status, body = await client.ask(request)
        self.times.setdefault(what, []).append(time.perf_counter() - began)
        if status != 200:
            self.failures.append((what, status, body[:200]))

    async def search(self, number):
        """One client: mostly searches by code and by id, sometimes with a condition, sometimes a view."""
        chosen, client = random.Random(number), await connected(self.server.port)
        while not self.is_over:
            await self.ask(client, *self._question(chosen))

    def _question(self, chosen):
        code, turn = chosen.choice(self.queries).tobytes().hex(), chosen.random()
        if turn < 0.6:
            return "code", request_of("POST", "/v1/search", {"code": code, "k": K})
        if turn < 0.85:
            where = f"width < {chosen.randrange(100, 1000, 100)} AND label <> {chosen.randrange(CLASSES)}"
            return "condition", request_of("POST", "/v1/search", {"code": code, "k": K, "where": where})
        if turn < 0.95:
            return "id", request_of("POST", "/v1/search", {"id": f"{chosen.randrange(1000, 9000):09}", "k": 50})
        if turn < 0.98:
            batch = {"queries": [{"code": code, "k": k} for k in range(1, 9)]}
            return "batch of 8", request_of("POST", "/v1/search/batch", batch)
        return "facets", request_of("GET", "/v1/facets")

    async def change(self):
        """Ten items come and one goes, every second."""
        client = await connected(self.server.port)
        for number in itertools.count():
            if self.is_over:
                return
            items = [
                {"id": f"n{number}-{at}", "code": self.queries[at].tobytes().hex(), "labels": [at % CLASSES]}
                for at in range(10)
            ]
            await self.ask(client, "add", request_of("POST", "/v1/items", {"items": items}))
            await self.ask(client, "remove", request_of("DELETE", f"/v1/items/n{number}-0"))
            await asyncio.sleep(1)

    async def watch(self):
        """A line at the start, every minute, and at the end."""
        while True:
            count, minutes = sum(map(len, self.times.values())), (time.monotonic() - self.begin) / 60
            print(
                f"| {minutes:.1f} | {self.server.resident():,.0f} | {self.server.private():,.0f} | {count:,} |",
                flush=True,
            )
            await asyncio.sleep(min(60, max(self.seconds / 5, 1)))


async def soak(folder, items, seconds, clients):
    queries = make(folder, items, described=True)
    print(f"{items:,} codes of {BITS} bits, {clients} clients, {machine()}\n")
    print("| minute | resident MiB | of it private | requests |\n| ---: | ---: | ---: | ---: |")
    with serving(folder, "--writable") as server:
        run = Soak(server, seconds, queries)
        watching = asyncio.create_task(run.watch())
        await asyncio.gather(*(run.search(number) for number in range(clients)), run.change())
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        print(f"| {run.seconds / 60:.1f} | {server.resident():,.0f} | {server.private():,.0f} | |\n")
        report(run)


def report(run):
    print("| request | count | per second | p50 ms | p95 ms | p99 ms |\n| --- | ---: | ---: | ---: | ---: | ---: |")
    for what, times in sorted(run.times.items(), key=lambda each: -len(each[1])):
        spread = " | ".join(f"{1e3 * np.quantile(times, share):.1f}" for share in (0.5, 0.95, 0.99))
        print(f"| {what} | {len(times):,} | {len(times) / run.seconds:,.1f} | {spread} |")
    print(f"\n{len(run.failures):,} failures")
    for failure in run.failures[:10]:
        print(failure)


if __name__ == "__main__":
    main()
