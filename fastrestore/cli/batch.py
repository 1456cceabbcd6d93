"""The loop over files, shared by the commands that restore images."""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from fastrestore._arrays import threads
from fastrestore._arrays.validate import usable_processors
from fastrestore._io import films
from fastrestore._io.errors import FileError
from fastrestore.backends import select
from fastrestore.cli import compare, inputs, options, outcomes, paths, records, reports
from fastrestore.cli.elsewhere import Answer, Elsewhere
from fastrestore.cli.errors import CommandError, require_torch
from fastrestore.cli.failures import message_of
from fastrestore.cli.inputs import Input
from fastrestore.cli.kinds import IMAGES, Kind
from fastrestore.cli.outcomes import FAILED, PLANNED, RESTORED, SKIPPED, Outcome
from fastrestore.cli.paths import Work
from fastrestore.cli.records import Records
from fastrestore.cli.signals import described, stopping
from fastrestore.cli.streams import discard_output, one_line, show, write_line
from fastrestore.errors import BackendUnavailableError

Details = dict[str, Any]  # of noise and method, for the line and the report
Process = Callable[[Path, Path], Details]  # reads, restores and writes a file
MEMORY_VARIABLE = "FASTRESTORE_MAX_IMAGE_GB"
UP_TO_DATE = "is up to date"  # the end of why a file is skipped
_POSITIVE = {  # options that are positive numbers, in words
    "workers": "a number of threads; write 1 or more",
    "data_range": "a positive number",
    "max_image_gb": "a positive number",
}
_CAPABILITIES = {"sharpen": "sharpen"}  # of a backend, for commands that need others than "image"


class _Plan(NamedTuple):
    """All that is to be done."""

    works: list[Work]
    failed: list[Outcome]  # files that cannot be restored, or have no place for the result
    pages: dict[Path, Path]  # of comparison, for each file
    several: bool


def process_files(
    args: argparse.Namespace,
    process: Process,
    kind: Kind = IMAGES,
    elsewhere: Elsewhere | None = None,
) -> int:
    """Call `process` with each input and its output; return the exit status.

    Arguments are checked first. A file that cannot be restored is reported and passed over, and
    the status is then 1. Processes of a cluster restore the files that they can, `elsewhere`.
    """
    _check(args)
    known = Records()
    plan = _plan(args, kind, known)
    if not args.dry_run:
        _prepare(plan, args)
    batch = _Batch(plan, args, process, known, elsewhere)
    try:
        batch.run()
    except KeyboardInterrupt as stop:
        _write_report(args, batch.done)
        if not plan.several:
            raise
        text = f"{outcomes.summary(batch.done)}, of {batch.total}; --resume goes on"
        raise described(stop, text) from stop
    if plan.several and not args.quiet:
        show(outcomes.summary(batch.done))
        written = sum("page" in outcome.details for outcome in batch.done)
        if written:
            show(f"{written} page{'' if written == 1 else 's'} in {args.compare}")
    if batch.lost:
        show(f"fastrestore: error: standard output: {batch.lost}; lines of it are lost")
    failed = bool(batch.lost) or any(outcome.status == FAILED for outcome in batch.done)
    return 0 if _write_report(args, batch.done) and not failed else 1


def _write_report(args: argparse.Namespace, done: list[Outcome]) -> bool:
    """Write the report, if there is to be one; print an error and return False if that fails."""
    if args.report is None or args.dry_run or reports.is_performance(args):
        return True
    try:
        reports.write(args, sorted(done, key=lambda each: str(each.source)))
    except FileError as error:
        show(f"fastrestore: error: {one_line(str(error))}")
        return False
    return True


def _check(args: argparse.Namespace) -> None:
    """Check the options before a file is read."""
    if args.jobs < 1:
        raise CommandError(f"--jobs {args.jobs} is not a number of files; write 1 or more")
    if args.overwrite and args.resume:
        raise CommandError("--overwrite restores all files and --resume only some; leave one out")
    if args.in_place and not args.overwrite:
        raise CommandError("--in-place replaces originals; add --overwrite, too, or leave it out")
    for name, words in _POSITIVE.items():
        value = getattr(args, name, None)
        if value is not None and not 0 < value < math.inf:
            raise CommandError(f"{options.spelled(name)} {value:g} is not {words}")
    if args.max_image_gb is not None:
        os.environ[MEMORY_VARIABLE] = str(args.max_image_gb)
    if getattr(args, "scheduler", None) is not None and args.workers is None:
        args.workers = 1  # tasks run beside each other
    if args.jobs > 1 and getattr(args, "workers", 0) is None:
        args.workers = max(1, usable_processors() // args.jobs)
    reports.check(args)
    _check_devices(args)


def _check_devices(args: argparse.Namespace) -> None:
    """Raise if the backend or the device cannot be used here."""
    backend, device = getattr(args, "backend", None), getattr(args, "device", None)
    try:
        if backend is not None or os.environ.get(select.VARIABLE):
            select.select(backend, capability=_CAPABILITIES.get(args.command, "image"))
        if device is not None:
            require_torch()
            from fastrestore.nets.run import check_device

            check_device(device)
    except (BackendUnavailableError, ValueError) as error:
        text = str(error)
        for name in ("backend", "device"):
            text = text.replace(f"{name}='{getattr(args, name, None)}'",
                                f"--{name} {getattr(args, name, None)}")  # fmt: skip
        raise CommandError(text) from None


def _plan(args: argparse.Namespace, kind: Kind, known: Records) -> _Plan:
    """Find the files, and decide where each result goes."""
    found = inputs.find(args.inputs, kind, recursive=args.recursive, output=args.output)
    found, results = known.split(found)
    for folder in dict.fromkeys(item.folder for item in results):
        assert folder is not None
        inside = [item.path for item in results if item.folder == folder]
        inputs.warn_skipped(folder, "results of earlier calls", inside)
    several = len(args.inputs) > 1 or len(found) > 1 or any(item.folder for item in found)
    usable, failed = _sorted_out(found, kind, several=several)
    works = paths.plan(
        usable, args.output, kind, overwrite=args.overwrite, resume=args.resume,
        in_place=args.in_place, several=several,
    )  # fmt: skip
    blocked = paths.blocked(works, kind, replace=args.overwrite or args.resume)
    if blocked and len(blocked) == len(works):
        raise CommandError(next(iter(blocked.values())))
    failed += [Outcome(*work, FAILED, message=text) for work, text in blocked.items()]
    works = [work for work in works if work not in blocked]
    folders = {item.path: item.folder for item in usable}
    pages = compare.pages([work.source for work in works], folders, args.compare, several=several)
    return _Plan(works, failed, pages, several)


def _sorted_out(
    found: list[Input], kind: Kind, *, several: bool
) -> tuple[list[Input], list[Outcome]]:
    """Return the files of known formats, and the others, of which there must be fewer than all."""
    known, failed = [], []
    for item in found:
        try:
            if item.problem:
                raise FileError(item.problem)
            kind.require(item.path)
            known.append(item)
        except FileError as error:
            if not several:
                raise
            failed.append(Outcome(item.path, None, FAILED, message=str(error)))
    if not known:
        raise CommandError(failed[0].message if failed else "there are no files to restore")
    return known, failed


def _prepare(plan: _Plan, args: argparse.Namespace) -> None:
    """Create the folder of the results and that of the pages, and check the pages."""
    if args.output is not None and plan.works:
        single = not plan.several and not Path(args.output).is_dir()
        paths.make_folder(plan.works[0].target.parent if single else Path(args.output))
    for folder in {work.target.parent for work in plan.works}:
        paths.remove_leftovers(folder)
    for source, target in plan.works:
        if source in plan.pages and (args.overwrite or args.resume or not paths.exists(target)):
            if plan.several:
                paths.make_folder(plan.pages[source].parent)
            compare.check_page(plan.pages[source], overwrite=args.overwrite or args.resume)


class _Batch:
    """Files that are restored one by one, or several at a time."""

    def __init__(
        self,
        plan: _Plan,
        args: argparse.Namespace,
        process: Process,
        known: Records,
        elsewhere: Elsewhere | None,
    ) -> None:
        self.plan, self.args, self.process, self.records = plan, args, process, known
        self.elsewhere = elsewhere
        self.settings = records.digest(args)
        self.total = len(plan.works) + len(plan.failed)
        self.done: list[Outcome] = []
        self.lost = ""  # why lines of output were lost

    def run(self) -> None:
        """Restore the files, and print a line for each."""
        with _progress(self.args, self.total if self.plan.several else 0) as advance:

            def finished(outcome: Outcome) -> None:
                self.done.append(outcome)
                self._print(outcome)
                advance()

            for outcome in self.plan.failed:
                finished(outcome)
            if self.elsewhere is not None and not self.args.dry_run:
                self._run_elsewhere(self.elsewhere, finished)
            elif self.args.jobs == 1 or self.args.dry_run:
                for work in self.plan.works:
                    finished(self._outcome(work))
            else:
                self._run_threads(finished)

    def _print(self, outcome: Outcome) -> None:
        """Print a line; if that fails, the files are restored nevertheless."""
        try:
            _print(outcome, self.args)
        except BrokenPipeError:  # the reader of the lines has ended
            if self.args.json:
                raise
            discard_output()
        except OSError as error:
            discard_output()
            self.lost = error.strerror or str(error)

    def _run_threads(self, finished: Callable[[Outcome], None]) -> None:
        """Restore several files at a time; after an interrupt, complete those that have begun."""
        completed: list[Outcome] = []  # an interrupt may come before a future is returned

        def restored(work: Work) -> Outcome:
            outcome = self._outcome(work)
            completed.append(outcome)
            return outcome

        threads.prepare()
        try:
            with ThreadPoolExecutor(self.args.jobs) as pool:
                try:
                    running = [pool.submit(restored, work) for work in self.plan.works]
                    for future in as_completed(running):
                        finished(future.result())
                except BaseException:
                    stopping.set()  # videos take long; images that have begun are completed
                    pool.shutdown(cancel_futures=True)
                    self._count(completed, finished)
                    raise
        finally:
            stopping.clear()

    def _run_elsewhere(self, elsewhere: Elsewhere, finished: Callable[[Outcome], None]) -> None:
        """Restore files by a cluster, and those that have to be restored here."""
        remote: list[Work] = []
        here: list[Work] = []
        for work in self.plan.works:
            skipped = self._skipped(work)
            if skipped is not None:
                finished(skipped)
            else:
                (remote if elsewhere.is_possible(work.source) else here).append(work)
        for folder in {work.target.parent for work in remote}:
            paths.make_folder(folder)
        for work, answer in elsewhere.restored(remote):
            finished(self._collected(work, answer))
        for work in here:
            finished(self._outcome(work))

    def _collected(self, work: Work, answer: Answer | Exception) -> Outcome:
        """Return what a cluster did with a file."""
        if isinstance(answer, Exception):
            message = message_of(answer, work.source, several=self.plan.several)
            return Outcome(*work, FAILED, message=message)
        for text in answer.warnings:
            show(f"fastrestore: warning: {one_line(text)}")
        self.records.keep(work, answer.content, self.settings)
        try:
            details = self._compared(work, answer.details)
        except FileError as error:
            return Outcome(*work, FAILED, message=str(error))
        return Outcome(*work, RESTORED, details, answer.seconds)

    def _count(self, completed: list[Outcome], finished: Callable[[Outcome], None]) -> None:
        """Report the files that were completed after an interrupt."""
        counted = {id(outcome) for outcome in self.done}
        for outcome in completed:
            if id(outcome) not in counted:
                finished(outcome)

    def _outcome(self, work: Work) -> Outcome:
        """Restore a file; return its failure instead of raising."""
        before = self._skipped(work)
        if before is not None:
            return before
        if self.args.dry_run:
            return Outcome(*work, PLANNED)
        start = time.perf_counter()
        try:
            details = self._restored(work)
        except Exception as error:
            message = message_of(error, work.source, several=self.plan.several)
            return Outcome(*work, FAILED, message=message)
        return Outcome(*work, RESTORED, details, time.perf_counter() - start)

    def _skipped(self, work: Work) -> Outcome | None:
        """Return why a file is not restored, or None."""
        skipped = _why_skipped(work, self.args, self.records, self.settings)
        if skipped and films.is_part(*work):
            text = f"{outcomes.shown(work.target)}: only a part of the images exists"
            return Outcome(*work, FAILED, message=f"{text}; add --overwrite to replace it")
        if skipped:
            return Outcome(*work, SKIPPED, message=skipped, kept=skipped.endswith(UP_TO_DATE))
        return None

    def _restored(self, work: Work) -> Details:
        """Restore a file, and write the page that compares it."""
        paths.make_folder(work.target.parent)
        content = records.digest_of(work.source)
        details = self.process(*work)
        self.records.keep(work, content, self.settings)
        return self._compared(work, details)

    def _compared(self, work: Work, details: Details) -> Details:
        """Write the page that compares a result, if there is to be one."""
        if work.source not in self.plan.pages:
            return details
        page = self.plan.pages[work.source]
        try:
            compare.write_page(page, list(work))
        except Exception as error:
            text = message_of(error, page, several=True)
            name = outcomes.shown(work.target)
            raise FileError(
                f"{name} was written, but not the page that compares it: {text}"
            ) from error
        return {**details, "page": outcomes.shown(page)}


def _why_skipped(work: Work, args: argparse.Namespace, known: Records, settings: str) -> str:
    """Return why a file is not restored, or an empty text."""
    if args.overwrite or not paths.exists(work.target):
        return ""
    name = outcomes.shown(work.target)
    if not args.resume:
        return f"{name} exists already; add --overwrite to replace it"
    current = known.is_current(work, settings)
    if current is None:
        return f"{name} exists already, and was written or changed by something else"
    return f"{name} {UP_TO_DATE}" if current else ""


def _print(outcome: Outcome, args: argparse.Namespace) -> None:
    """Print a line for a file, and its error."""
    if outcome.status == FAILED:
        show(f"fastrestore: error: {one_line(outcome.message)}")
    if args.json:
        import json

        write_line(json.dumps(outcome.fields()), sys.stdout)
    elif outcome.status != FAILED and not args.quiet:
        write_line(one_line(outcome.line()), sys.stdout)


@contextmanager
def _progress(args: argparse.Namespace, total: int) -> Iterator[Callable[[], object]]:
    """Show how many files are done and the time left, on a terminal."""
    if args.quiet or args.dry_run or not total or not sys.stderr.isatty():
        yield lambda: None
        return
    import tqdm

    with tqdm.tqdm(total=total, desc="files", unit=" files", leave=False) as bar:
        yield bar.update
