"""Costs of chunks: overlap, workers, scheduler.

    python bench/chunked.py overlap      time of chunks of 1024x1024 relative to the whole image
    python bench/chunked.py workers      time of one worker process relative to two
    python bench/chunked.py scheduler    overhead of 10,000 chunks whose kernels are replaced by a
                                         sleep of their measured time; --chunks, --threads

The times of `overlap`, and the overhead of `scheduler`, are those of the processors, so that other
programs matter little.
"""

import argparse
import time
from functools import partial

import numpy as np
import skimage.data

import fastrestore

SIGMA, SIDE = 20.0, 1024


def photograph(side):
    """A photograph of a side, repeated and mirrored, with noise."""
    gray = skimage.data.camera().astype(np.float32)
    times = -(-side // len(gray))
    tiles = [[gray[:: 1 - 2 * (j % 2), :: 1 - 2 * (k % 2)] for k in range(times)]
             for j in range(times)]  # fmt: skip
    clean = np.block(tiles)[:side, :side]
    noise = np.random.default_rng(0).normal(0, SIGMA, clean.shape)
    return clean, (clean + noise).astype(np.float32)


def lazy(image, side=SIDE):
    import dask.array as da

    return fastrestore.bm3d(da.from_array(image, chunks=side), SIGMA)


def processor_time(function):
    start = time.process_time()
    result = function()
    return time.process_time() - start, result


def overlap(args):
    """Compare chunks with the whole image, both on one thread."""
    clean, noisy = photograph(args.side)
    part = noisy[:256, :256]
    fastrestore.bm3d(part, SIGMA, workers=1)  # kernels are compiled
    chunked = lazy(noisy)
    times = {"whole": [], "chunks": []}
    for _ in range(args.repeats):
        spent, whole = processor_time(lambda: fastrestore.bm3d(noisy, SIGMA, workers=1))
        times["whole"].append(spent)
        spent, result = processor_time(lambda: chunked.compute(scheduler="synchronous"))
        times["chunks"].append(spent)
        assert np.array_equal(result, whole)
    assert fastrestore.metrics.psnr(clean, whole, data_range=255) > 29
    least = {name: min(each) for name, each in times.items()}
    print(f"{args.side}x{args.side}, {chunked.npartitions} chunks of {SIDE}x{SIDE}: "
          f"whole {least['whole']:.2f} s, chunks {least['chunks']:.2f} s, "
          f"overhead {least['chunks'] / least['whole'] - 1:.1%}")  # fmt: skip


def workers(args):
    """Compare one and two worker processes, of one thread each."""
    from distributed import Client, LocalCluster, wait

    clean, noisy = photograph(args.side)
    image = lazy(noisy, 512)
    times = {1: [], 2: []}
    for _ in range(args.repeats):
        for count in times:
            with (
                LocalCluster(
                    n_workers=count, threads_per_worker=1, dashboard_address=None
                ) as cluster,
                Client(cluster) as client,
            ):
                client.run(partial(fastrestore.bm3d, noisy[:128, :128], SIGMA))
                start = time.perf_counter()
                future = client.persist(image)
                wait(future)
                times[count].append(time.perf_counter() - start)
                result = future.compute()
    assert fastrestore.metrics.psnr(clean, result, data_range=255) > 29
    one, two = (min(each) for each in times.values())
    print(f"{args.side}x{args.side} in {image.npartitions} chunks: 1 worker {one:.2f} s, "
          f"2 workers {two:.2f} s, {one / two:.2f} times")  # fmt: skip


def kernel_seconds():
    """Time of both stages for a chunk in the middle of an image, on one thread."""
    _, noisy = photograph(SIDE + 94)
    fastrestore.bm3d(noisy[:128, :128], SIGMA, workers=1)
    return min(
        processor_time(lambda: fastrestore.bm3d(noisy, SIGMA, workers=1))[0] for _ in range(2)
    )


def sleeping(seconds):
    """Replace the kernels, in a worker, by a sleep of half this time for each stage."""
    from fastrestore._chunked import stages

    def restored(joined, facts, task, inner):
        time.sleep(seconds / 2)
        return np.zeros((1, *(part.stop - part.start for part in inner)), np.float32)

    stages.restored = restored


def tasks_of(array):
    """Count the tasks that Dask runs for an array."""
    import dask

    (optimized,) = dask.optimize(array)
    return len(dict(optimized.__dask_graph__()))


def scheduler(args):
    """Measure what scheduler and graph add to the work of many chunks."""
    import dask.array as da
    from distributed import Client, LocalCluster, wait

    seconds = kernel_seconds()
    rows = round(args.chunks**0.5)
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=args.threads // 2, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        client.run(sleeping, seconds)
        sleeping(seconds)
        start, before = time.perf_counter(), processors(client)
        image = da.zeros((rows * SIDE, rows * SIDE), chunks=SIDE, dtype=np.float32)
        sums = fastrestore.bm3d(image, SIGMA).map_blocks(corner, chunks=(1, 1), dtype=np.float32)
        total = client.persist(sums)
        submitted = time.perf_counter() - start
        wait(total)
        spent, used = time.perf_counter() - start, processors(client) - before
    work, each = rows**2 * seconds, tasks_of(sums) / rows**2
    print(f"{rows**2} chunks of {SIDE}x{SIDE}, kernels of {seconds:.2f} s: {work:.0f} s of work on "
          f"{args.threads} threads in {spent:.0f} s, {submitted:.1f} s of them to build and send "
          f"the graph of {each:.1f} tasks a chunk; scheduler, graph and chunks took {used:.0f} s "
          f"of the processors, {used / work:.1%} of the work")  # fmt: skip


def processors(client):
    """Time of the processors that scheduler, client and workers have used."""
    return time.process_time() + sum(client.run(time.process_time).values())


def corner(chunk):
    """Return one pixel of a chunk, without the chunk."""
    return chunk[:1, :1].copy()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["overlap", "workers", "scheduler"])
    parser.add_argument("--side", type=int, default=3072)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--chunks", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=32)
    args = parser.parse_args()
    {"overlap": overlap, "workers": workers, "scheduler": scheduler}[args.what](args)


if __name__ == "__main__":
    main()
