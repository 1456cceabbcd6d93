"""The loop over files, shared by the commands that restore images."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from fastrestore._arrays.validate import usable_processors
from fastrestore._io.errors import FileError, reason
from fastrestore.cli import compare, inputs, outcomes, paths, records
from fastrestore.cli.errors import CommandError
from fastrestore.cli.inputs import Input
from fastrestore.cli.kinds import IMAGES, Kind
from fastrestore.cli.outcomes import FAILED, PLANNED, RESTORED, SKIPPED, Outcome
from fastrestore.cli.paths import Work
from fastrestore.cli.streams import discard_output, one_line, show, write_line

Details = dict[str, Any]  # of noise and method, for the line and the report
Process = Callable[[Path, Path], Details]  # reads, restores and writes a file
MEMORY_VARIABLE = "FASTRESTORE_MAX_IMAGE_GB"


class _Plan(NamedTuple):
    """All that is to be done."""

    works: list[Work]
    unknown: list[Outcome]  # files of other formats
    pages: dict[Path, Path]  # of comparison, for each file
    several: bool


def process_files(args: argparse.Namespace, process: Process, kind: Kind = IMAGES) -> int:
    """Call `process` with each input and its output; return the exit status.

    Arguments are checked first. A file that cannot be restored is reported and passed over, and
    the status is then 1.
    """
    _check(args)
    plan = _plan(args, kind)
    if not args.dry_run:
        _prepare(plan, args)
    total = len(plan.works) + len(plan.unknown)
    done: list[Outcome] = []
    try:
        with _progress(args, total if plan.several else 0) as advance:
            for outcome in _outcomes(plan, args, process):
                done.append(outcome)
                _print(outcome, args)
                advance()
    except KeyboardInterrupt as stop:
        if not plan.several:
            raise
        raise KeyboardInterrupt(f"{outcomes.summary(done)}, of {total}") from stop
    finally:
        if args.report is not None and not args.dry_run:
            outcomes.write_report(args, sorted(done, key=lambda each: str(each.source)))
    if plan.several and not args.quiet:
        show(outcomes.summary(done))
    return 1 if any(outcome.status == FAILED for outcome in done) else 0


def _check(args: argparse.Namespace) -> None:
    """Check the options before a file is read."""
    if args.jobs < 1:
        raise CommandError(f"--jobs {args.jobs} is not a number of files; write 1 or more")
    if args.overwrite and args.resume:
        raise CommandError("--overwrite restores all files and --resume only some; leave one out")
    if args.max_image_gb is not None:
        if not args.max_image_gb > 0:
            raise CommandError(f"--max-image-gb {args.max_image_gb:g} is not a positive number")
        os.environ[MEMORY_VARIABLE] = str(args.max_image_gb)
    if args.jobs > 1 and getattr(args, "workers", 0) is None:
        args.workers = max(1, usable_processors() // args.jobs)
    outcomes.check_report(args)


def _plan(args: argparse.Namespace, kind: Kind) -> _Plan:
    """Find the files, and decide where each result goes."""
    found = inputs.find(args.inputs, kind, recursive=args.recursive, output=args.output)
    several = len(args.inputs) > 1 or len(found) > 1 or any(item.folder for item in found)
    known, unknown = _sorted_out(found, kind, several=several)
    works = paths.plan(
        known, args.output, kind, overwrite=args.overwrite, resume=args.resume, several=several
    )
    return _Plan(works, unknown, _pages(works, args.compare, several=several), several)


def _sorted_out(
    found: list[Input], kind: Kind, *, several: bool
) -> tuple[list[Input], list[Outcome]]:
    """Return the files of known formats, and the others, of which there must be fewer than all."""
    known, unknown = [], []
    for item in found:
        try:
            kind.require(item.path)
            known.append(item)
        except FileError as error:
            if not several:
                raise
            unknown.append(Outcome(item.path, item.path, FAILED, message=str(error)))
    if not known:
        raise CommandError(unknown[0].message if unknown else "there are no files to restore")
    return known, unknown


def _pages(works: list[Work], place: str | None, *, several: bool) -> dict[Path, Path]:
    """Return the page that compares each file with its result; names differ."""
    pages: dict[Path, Path] = {}
    if place is None:
        return pages
    used: set[str] = set()
    for source, _ in works:
        page = compare.page_path(place, source, several=several)
        if str(page) in used:
            page = page.with_name(f"{source.name}.html")
        count = 2
        while str(page) in used:
            page = page.with_name(f"{source.name}-{count}.html")
            count += 1
        used.add(str(page))
        pages[source] = page
    return pages


def _prepare(plan: _Plan, args: argparse.Namespace) -> None:
    """Create the folders of the results, and check the pages."""
    if plan.several or args.output:
        for work in plan.works:
            paths.make_folder(work.target.parent)
    if plan.several and args.compare is not None:
        paths.make_folder(Path(args.compare))
    for source, target in plan.works:
        if source in plan.pages and (args.overwrite or args.resume or not paths.exists(target)):
            compare.check_page(plan.pages[source], overwrite=args.overwrite or args.resume)


def _outcomes(plan: _Plan, args: argparse.Namespace, process: Process) -> Iterator[Outcome]:
    """Restore file by file, or several at a time."""
    yield from plan.unknown
    settings = records.digest(args)

    def restore(work: Work) -> Outcome:
        return _restored(work, args, settings, process, plan)

    if args.jobs == 1 or args.dry_run:
        yield from map(restore, plan.works)
        return
    with ThreadPoolExecutor(args.jobs) as pool:
        running = [pool.submit(restore, work) for work in plan.works]
        try:
            for future in as_completed(running):
                yield future.result()
        except BaseException:  # those that have begun are completed
            pool.shutdown(cancel_futures=True)
            raise


def _restored(
    work: Work, args: argparse.Namespace, settings: str, process: Process, plan: _Plan
) -> Outcome:
    """Restore a file; return its failure instead of raising."""
    skipped = _why_skipped(work, args, settings)
    if skipped:
        return Outcome(*work, SKIPPED, message=skipped)
    if args.dry_run:
        return Outcome(*work, PLANNED)
    start = time.perf_counter()
    try:
        content = records.digest_of(work.source)
        details = process(*work)
        records.keep(work, content, settings)
        seconds = time.perf_counter() - start
        if work.source in plan.pages:
            page = plan.pages[work.source]
            compare.write_page(page, list(work))
            details = {**details, "page": outcomes.shown(page)}
    except FileError as error:
        return Outcome(*work, FAILED, message=str(error))
    except CommandError as error:  # for a single file, wrong arguments
        if not plan.several:
            raise
        return Outcome(*work, FAILED, message=str(error))
    except OSError as error:
        if error.errno is None and not plan.several:  # of the library, such as an unknown model
            raise
        return Outcome(*work, FAILED, message=f"{error.filename or work.source}: {reason(error)}")
    return Outcome(*work, RESTORED, details, seconds)


def _why_skipped(work: Work, args: argparse.Namespace, settings: str) -> str:
    """Return why a file is not restored, or an empty text."""
    if args.overwrite or not paths.exists(work.target):
        return ""
    name = outcomes.shown(work.target)
    if not args.resume:
        return f"{name} exists already; add --overwrite to replace it"
    current = records.is_current(work, settings)
    if current is None:
        return f"{name} exists already, and was written or changed by something else"
    return f"{name} is up to date" if current else ""


def _print(outcome: Outcome, args: argparse.Namespace) -> None:
    """Print a line for a file, and its error."""
    if outcome.status == FAILED:
        show(f"fastrestore: error: {one_line(outcome.message)}")
    if args.json:
        import json

        write_line(json.dumps(outcome.fields()), sys.stdout)
    elif outcome.status != FAILED and not args.quiet:
        try:
            write_line(one_line(outcome.line()), sys.stdout)
        except OSError:  # nobody reads the lines; the files are restored nevertheless
            discard_output()


@contextmanager
def _progress(args: argparse.Namespace, total: int) -> Iterator[Callable[[], object]]:
    """Show how many files are done and the time left, on a terminal."""
    if args.quiet or args.dry_run or not total or not sys.stderr.isatty():
        yield lambda: None
        return
    import tqdm

    with tqdm.tqdm(total=total, desc="files", unit=" files", leave=False) as bar:
        yield bar.update
