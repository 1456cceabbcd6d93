"""Where parts of large images are restored: threads, processes of this computer, or a cluster."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import fastrestore
from fastrestore._arrays.install import extra
from fastrestore._arrays.validate import usable_processors
from fastrestore.cli.elsewhere import Elsewhere, Process
from fastrestore.cli.errors import CommandError
from fastrestore.cli.reports import is_performance

TIMEOUT = 15  # seconds to wait for a scheduler
ANSWER = 60  # seconds to wait for workers, which may have to load the package from a slow disk
_LOCAL = re.compile(r"local:(\d+)")
_ADDRESS = re.compile(r"\w+://\S+")
HELP = (
    "where to restore parts of a store, or files: local:N for N processes, the address of a Dask "
    "scheduler, such as tcp://host:8786, or its file .json; default: threads of this process"
)
Finished = Callable[[Any], None]


class Runner(Protocol):
    """Computes tasks."""

    workers: int  # tasks at a time

    def run(self, tasks: Sequence[Any], finished: Finished) -> None:
        """Compute tasks, and call `finished` with each result."""

    def check_paths(self, source: Path, folder: Path) -> None:
        """Raise if a worker cannot read or write files."""


class Threads:
    """Computes tasks in threads of this process."""

    def __init__(self, workers: int | None) -> None:
        self.workers = workers or usable_processors()

    def run(self, tasks: Sequence[Any], finished: Finished) -> None:
        """Compute tasks, and call `finished` with each result."""
        import dask
        from dask.callbacks import Callback

        keys = {task.key for task in tasks}

        def after(key: Any, result: Any, *_: Any) -> None:
            if key in keys:
                finished(result)

        # A pool of its own, so that no thread still writes a part when an error or an interrupt
        # has ended the call
        pool = ThreadPoolExecutor(self.workers)
        try:
            with Callback(posttask=after):
                dask.compute(*tasks, scheduler="threads", pool=pool)
        finally:
            pool.shutdown(cancel_futures=True)

    def check_paths(self, source: Path, folder: Path) -> None:
        """Do nothing: paths were checked in this process."""


class Cluster:
    """Computes tasks by the workers of a Dask scheduler."""

    def __init__(self, client: Any, name: str) -> None:
        self.client, self.name = client, name
        self.workers = sum(client.nthreads().values())
        if not self.workers:
            raise CommandError(f"--scheduler {name} has no workers; start some, for example by "
                               f"`dask worker {name}`")  # fmt: skip
        self._check_versions()

    def _check_versions(self) -> None:
        """Raise unless all workers have this version of the package."""
        # A function of the package could not be sent to a worker that lacks it
        found = self._asked(eval, "__import__('fastrestore').__version__")
        for worker, version in found.items():
            if isinstance(version, BaseException):
                raise CommandError(f"worker {worker} cannot import fastrestore ({version}); "
                                   f"install version {fastrestore.__version__} there")  # fmt: skip
            if version != fastrestore.__version__:
                raise CommandError(f"worker {worker} has fastrestore {version}, and this is "
                                   f"{fastrestore.__version__}; install one version")  # fmt: skip

    def check_paths(self, source: Path, folder: Path) -> None:
        """Raise if a worker cannot read the source, or write into the folder of the result."""
        for worker, problem in self._asked(_problem, str(source), str(folder)).items():
            if problem:
                raise CommandError(f"worker {worker} {problem}; scheduler and workers need "
                                   "a common file system")  # fmt: skip

    def _asked(self, function: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
        """Call a function on each worker; raise if one does not answer, such as a stopped one."""
        answers: dict[str, Any] = {}

        def ask(worker: str) -> None:  # `run` waits without limit
            call = {"workers": [worker], "on_error": "return"}
            with suppress(Exception, asyncio.CancelledError):  # the worker or the client has ended
                answers.update(self.client.run(function, *arguments, **call))

        workers, deadline = list(self.client.nthreads()), time.monotonic() + ANSWER
        threads = [threading.Thread(target=ask, args=[each], daemon=True) for each in workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        silent = [each for each in workers if each not in answers]
        if silent:
            raise CommandError(f"worker {silent[0]} of --scheduler {self.name} does not answer; "
                               "end it, or start it again")  # fmt: skip
        return answers

    def run(self, tasks: Sequence[Any], finished: Finished) -> None:
        """Compute tasks, and call `finished` with each result."""
        from distributed import KilledWorker, as_completed

        futures = self.client.compute(list(tasks))
        try:
            for future in as_completed(futures):
                finished(future.result())
        except KilledWorker as error:
            raise CommandError(f"several workers of --scheduler {self.name} ended while they "
                               f"restored a part, probably for lack of memory; write a smaller "
                               f"--chunks: {error}") from error  # fmt: skip
        except CancelledError as error:  # by the client, which has lost the scheduler
            raise CommandError(f"the connection to --scheduler {self.name} is lost; start it, and "
                               "then the same command again, which goes on: chunks that are "
                               "complete are kept") from error  # fmt: skip
        except BaseException:
            self.client.cancel(futures)
            raise

    def files(self, process: Process, is_possible: Callable[[Path], bool]) -> Elsewhere:
        """Return the workers as what restores files."""
        return Elsewhere(self.client.get_executor(pure=False), process, is_possible)


def _problem(source: str, folder: str) -> str:
    """Return what a worker cannot do."""
    import os

    if not os.access(source, os.R_OK):
        return f"cannot read {source}"
    return "" if os.access(folder, os.W_OK) else f"cannot write into {folder}"


def threads(args: argparse.Namespace) -> Threads:
    """Return what computes the tasks of a command without --scheduler."""
    need_dask()
    return Threads(args.workers)


@contextmanager
def connected(args: argparse.Namespace) -> Iterator[Cluster | None]:
    """Yield the workers of --scheduler; None without the option, or if nothing is to be done."""
    name = args.scheduler
    if name is None or args.dry_run:
        yield None
        return
    need_dask()
    need_dask("distributed")
    with ExitStack() as stack:
        for logger in ("distributed", "distributed.client"):
            logging.getLogger(logger).setLevel(logging.CRITICAL)
        client = stack.enter_context(_client(name, args))
        cluster = Cluster(client, name)
        if is_performance(args):
            from distributed import performance_report

            stack.enter_context(performance_report(filename=args.report))
        yield cluster


def need_dask(name: str = "dask") -> None:
    """Raise if Dask is not installed."""
    import importlib

    try:
        importlib.import_module(f"{name}.array" if name == "dask" else name)
    except ImportError:
        raise CommandError(f"this needs {name}; install it with {extra('dask')}") from None


def check(args: argparse.Namespace) -> None:
    """Raise if --scheduler is neither local:N, nor an address, nor a file."""
    name = args.scheduler
    if name is None:
        return
    local = _LOCAL.fullmatch(name)
    if local and int(local[1]) > 0:
        return
    if _ADDRESS.fullmatch(name) or Path(name).is_file():
        return
    raise CommandError(f"--scheduler {name} is neither local:N with the number of processes, nor "
                       "an address such as tcp://host:8786, nor a file")  # fmt: skip


def is_local(name: str) -> bool:
    """Whether --scheduler names processes of this computer."""
    return bool(_LOCAL.fullmatch(name))


@contextmanager
def _client(name: str, args: argparse.Namespace) -> Iterator[Any]:
    """Yield a client of a scheduler; one of this computer ends with the block."""
    from distributed import Client

    if local := _LOCAL.fullmatch(name):
        with processes(int(local[1]), args.memory, is_sampled=is_performance(args)) as client:
            yield client
        return
    try:
        address = (
            name if _ADDRESS.fullmatch(name) else json.loads(Path(name).read_text())["address"]
        )
        _probe(address)
        client = Client(address, timeout=TIMEOUT)
    except Exception as error:  # what is no scheduler may send anything, and a file contain it
        text = str(error) or type(error).__name__
        raise CommandError(f"cannot reach --scheduler {name}, or it is none: {text}") from None
    with client:
        yield client


@contextmanager
def processes(
    count: int, memory: float | None = None, *, is_sampled: bool = False
) -> Iterator[Any]:
    """Yield a client of worker processes of this computer, which end with the block."""
    import dask
    from distributed import Client, LocalCluster

    limit = "auto" if memory is None else memory / count
    # Samples of what workers do take some percent of their time, and only the page shows them
    profile = {"distributed.worker.profile.enabled": is_sampled}
    options = {"processes": True, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"}
    with (
        dask.config.set(profile),
        LocalCluster(
            n_workers=count, memory_limit=limit, silence_logs=logging.CRITICAL, **options
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def _probe(address: str) -> None:
    """Raise if no scheduler answers in time; `Client` waits forever for one that is silent."""
    from distributed.comm import connect
    from distributed.security import Security

    async def attempt() -> None:
        options = Security().get_connection_args("client")
        comm = await connect(address, timeout=TIMEOUT, **options)
        await comm.close()

    async def bounded() -> None:
        try:
            await asyncio.wait_for(attempt(), 2 * TIMEOUT)
        except TimeoutError:
            raise OSError(f"no answer in {2 * TIMEOUT:g} seconds") from None

    asyncio.run(bounded())
