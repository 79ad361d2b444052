"""Simulate the latency of a search over many shards, from service times measured on this machine.

    python benchmarks/sharded_search.py [--vectors 200000] [--dim 128] [--queries 1000] [--mean MS]
        [--latencies FILE.npy]

Measured here: the CPU seconds of single searches with an ANN index over `--vectors` random vectors of one
shard (or given with --latencies), and of merging the k hits of all shards. With --mean they are scaled to
that mean: a larger shard is slower. Everything else is simulated:

* Queries arrive at random (Poisson) and go to all shards; each shard has `replicas` servers with a queue, and
  the replica is chosen that has the fewest queries waiting. A query is done when its last shard is.
* A server answers in a time drawn from the measured ones. During 1 % of the time, in periods as long as 50
  mean service times, it is ten times slower: a rebuild, a neighbour on the machine, pages read from the disk.
* A round trip takes 0.5 ms, and one in a hundred 5 ms more.
* Hedged: what has no answer after the 95th percentile of a shard's latency is sent to a second replica, too;
  the first answer counts, and the other request is dropped if it has not begun (Dean and Barroso, The Tail
  at Scale, 2013).

Printed are the percentiles over all queries in milliseconds, and the share of requests that hedging added.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

K = 10
SLOW_SHARE, SLOW_TIMES, SLOW_FACTOR = 0.01, 50, 10.0
ROUND_TRIP, LATE_SHARE, LATE_SECONDS = 0.0005, 0.01, 0.005

Times = NDArray[np.float64]


@dataclass
class Server:
    """One replica: when it is free, what waits, and its slow periods (start times)."""

    slow: Times
    slow_seconds: float
    queue: deque[int] = field(default_factory=deque)
    busy: int | None = None

    def factor(self, now: float) -> float:
        at = int(np.searchsorted(self.slow, now)) - 1
        return SLOW_FACTOR if at >= 0 and now < self.slow[at] + self.slow_seconds else 1.0


def simulate_shard(
    arrivals: Times, service: Times, replicas: int, hedge: float | None, random: np.random.Generator
) -> tuple[Times, int]:
    """Return when each query was answered by one shard, (n,), and the number of hedged requests."""
    end = float(arrivals[-1])
    long = SLOW_TIMES * float(service.mean())
    servers = []
    for _ in range(replicas):
        periods = random.poisson(end * SLOW_SHARE / long)
        servers.append(Server(np.sort(random.uniform(0, end, periods)), long))
    trip = ROUND_TRIP + LATE_SECONDS * (random.random((2, len(arrivals))) < LATE_SHARE)
    drawn = random.choice(service, (2, len(arrivals)))
    done = np.full(len(arrivals), np.inf)
    first = np.zeros(len(arrivals), int)
    began: set[tuple[int, int]] = set()
    hedged = 0
    tie = itertools.count()
    events: list[tuple[float, int, str, int, int]] = [
        (float(t), next(tie), "arrive", q, 0) for q, t in enumerate(arrivals)
    ]
    heapq.heapify(events)

    def start(number: int, now: float) -> None:
        server = servers[number]
        while server.busy is None and server.queue:
            query = server.queue.popleft()
            if done[query] <= now:
                continue  # the other replica has answered
            server.busy = query
            began.add((query, number))
            attempt = int(number != first[query])
            finish = now + drawn[attempt, query] * server.factor(now)
            heapq.heappush(events, (finish, next(tie), "finish", query, number))

    while events:
        now, _, kind, query, number = heapq.heappop(events)
        if kind == "finish":
            servers[number].busy = None
            answered = now + trip[int(number != first[query]), query]
            done[query] = min(done[query], answered)
        else:
            waiting = [len(s.queue) + (s.busy is not None) for s in servers]
            if kind == "hedge":
                if done[query] <= now:
                    continue
                waiting[first[query]] = 1 << 30
                hedged += 1
            number = int(np.argmin(waiting))
            if kind == "arrive":
                first[query] = number
                if hedge is not None and replicas > 1:
                    heapq.heappush(events, (now + hedge, next(tie), "hedge", query, 0))
            servers[number].queue.append(query)
        start(number, now)
    return done, hedged


def measure(vectors: int, dim: int, queries: int) -> Times:
    """Return seconds of single searches of an ANN index like the library's, one thread."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(1000, dim)).astype(np.float32)
    data = centres[random.integers(1000, size=vectors)]
    data += 0.5 * random.normal(size=data.shape).astype(np.float32)
    data /= np.linalg.norm(data, axis=1, keepdims=True)
    faiss.omp_set_num_threads(1)
    index = faiss.index_factory(dim, f"IVF{max(64, int(4 * vectors**0.5) // 2)},PQ{dim // 2}x4fs")
    index.train(data[: min(vectors, 100_000)])
    index.add(data)
    faiss.ParameterSpace().set_index_parameter(index, "nprobe", 32)
    found = []
    for query in data[random.integers(vectors, size=queries)]:
        start = time.thread_time()  # not what other processes of this machine take
        _, ids = index.search(query[None], 20 * K)
        near = data[np.sort(ids[0][ids[0] >= 0])]
        np.argsort(-(near @ query))[:K]
        found.append(time.thread_time() - start)
    return np.array(found)


def measure_merge(shards: int) -> float:
    """Return the seconds of merging the sorted hits of all shards."""
    random = np.random.default_rng(0)
    similarities, ids = random.random((shards, K)), random.integers(1 << 40, size=(shards, K))
    start = time.perf_counter()
    for _ in range(200):
        best = np.argsort(-similarities, axis=None, kind="stable")[:K]
        ids.reshape(-1)[best].tolist()
    return (time.perf_counter() - start) / 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--vectors", type=int, default=200_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--queries", type=int, default=1_000)
    parser.add_argument("--latencies", type=Path, help="measured seconds of single searches, (n,)")
    parser.add_argument("--mean", type=float, help="milliseconds that a search of a shard takes")
    options = parser.parse_args()
    if options.latencies:
        service = np.load(options.latencies).astype(np.float64)
    else:
        service = measure(options.vectors, options.dim, 2_000)
    if options.mean:
        service *= options.mean / 1e3 / service.mean()
    shown = ", ".join(f"p{p} {1e3 * np.percentile(service, p):.2f}" for p in (50, 95, 99, 99.9))
    print(f"service time of one shard, ms: mean {1e3 * service.mean():.2f}, {shown}")
    print(f"{'shards':>6} {'replicas':>8} {'load':>5} {'hedged':>7} {'p50':>7} {'p95':>7}", end="")
    print(f" {'p99':>7} {'added':>6}")
    for shards in (1, 4, 16, 64, 256):
        merge = measure_merge(shards)
        cases = [(1, 0.3, False), (2, 0.3, False), (2, 0.3, True), (3, 0.3, True)]
        for replicas, load, hedging in [*cases, (2, 0.6, False), (2, 0.6, True)]:
            random = np.random.default_rng(shards)
            rate = load * replicas / service.mean()
            arrivals = np.cumsum(random.exponential(1 / rate, options.queries))
            latest = np.zeros(options.queries)
            added = 0
            hedge = None
            for shard in range(shards):
                if hedging and hedge is None:  # as a router learns it
                    alone, _ = simulate_shard(arrivals, service, replicas, None, random)
                    hedge = float(np.percentile(alone - arrivals, 95))
                stream = np.random.default_rng((shards, shard))
                done, hedged = simulate_shard(arrivals, service, replicas, hedge, stream)
                latest = np.maximum(latest, done)
                added += hedged
            latency = 1e3 * (latest - arrivals + merge)
            columns = "".join(f" {np.percentile(latency, p):7.2f}" for p in (50, 95, 99))
            share = added / shards / options.queries
            name = "yes" if hedging else "no"
            print(
                f"{shards:6} {replicas:8} {load:5.1f} {name:>7}{columns} {share:6.1%}", flush=True
            )


if __name__ == "__main__":
    main()
