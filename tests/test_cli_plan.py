"""``fastrestore plan``: the prediction against counts of real graphs, and wrong arguments."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from skimage import data
from support.commandline import fails, works

import fastrestore
from fastrestore.cli import cost, rates
from fastrestore.cli.cost import Job, Rates, Used

dask = pytest.importorskip("dask")
pytest.importorskip("dask.array")
zarr = pytest.importorskip("zarr")
pytest.importorskip("distributed")

NOTHING = Used(0.0, 0.0)
RATES = Rates({"basic": 2e-6, "final": 3e-6}, Used(0.2, 0.1), NOTHING, 6.0, 8)
JOB = Job((5000, 3100), np.dtype("u2"), 1024, 4)


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def test_pixels_that_the_stages_read(monkeypatch):
    """They are those that the stages of a Dask array read."""
    from fastrestore._chunked import stages

    read = {"basic": 0, "final": 0}
    region = stages.Region.filtered

    def counting(self, which, pilot):
        read[which] += self.planes[0].size
        return region(self, which, pilot)

    monkeypatch.setattr(stages.Region, "filtered", counting)
    noisy = np.random.default_rng(0).normal(0, 10, (300, 250)).astype(np.float32)
    chunked = dask.array.from_array(noisy, chunks=128)
    fastrestore.bm3d(chunked, 10, profile="fast").compute(scheduler="sync")
    job = Job((300, 250), np.dtype("f4"), 128, 2, "fast")
    assert {which: job.read(which) for which in read} == read


def test_cost():
    found = cost.cost(JOB, RATES, 3e8)
    assert found.chunks == 5 * 4
    assert 0.1 < found.overlap < 0.2
    assert cost.cost(JOB._replace(workers=1), RATES, 3e8).network == 0
    more = cost.cost(JOB._replace(shape=(3, 5000, 3100)), RATES, 3e8)
    assert (more.chunks, more.tasks) == (3 * found.chunks, 3 * found.tasks)
    assert found.overlap < cost.cost(JOB._replace(side=512), RATES, 3e8).overlap


def test_time():
    """It is that of the workers or of the scheduler, and longer if they share processors."""

    def seconds(job=JOB, **changes):
        return cost.cost(job, RATES._replace(start=0.0, **changes), 0).seconds

    work = JOB.read("basic") * 2e-6 + JOB.read("final") * 3e-6 + JOB.parts * 0.2
    assert seconds() == pytest.approx(work / 4)
    assert cost.cost(JOB, RATES, 0).seconds == pytest.approx(work / 4 + 6)
    assert seconds(processors=4) == pytest.approx((work + JOB.parts * 0.1) / 4)
    assert seconds(processors=2) == seconds()  # workers of other computers
    assert seconds(idle=Used(0.5, 0.0)) == pytest.approx(work / 2)
    assert seconds(idle=Used(0.5, 0.5), processors=4) == pytest.approx((work + 2) / (4 - 2 - 0.5))
    many = JOB._replace(shape=(50000, 50000), workers=5000)
    assert seconds(many) == pytest.approx(many.parts * 0.1)  # the scheduler cannot keep up
    three = JOB._replace(shape=(1024, 3072), workers=2)
    one = three._replace(workers=1)
    assert seconds(three) == pytest.approx(seconds(one) * 2 / 3)  # one worker has two chunks


def test_the_image_that_rates_are_measured_on():
    """It is the middle of the image with its noise, or a drawn one."""
    from fastrestore._io.stores import choose

    noisy = data.camera() + np.random.default_rng(0).normal(0, 12, (512, 512))
    zarr.create_array("in.zarr", data=np.stack([noisy, noisy[::-1]]).astype("f4"))
    job = Job((2, 512, 512), np.dtype("f4"), 128, 1, "fast")
    part = rates.sample(job, choose.read_source(Path("in.zarr")))
    wide = 128 + 2 * cost.depth_of(job)
    first = (512 - wide) // 2
    middle = slice(first, first + wide)
    np.testing.assert_array_equal(part.values, noisy[::-1][middle, middle].astype("f4"))
    assert part.sigma == pytest.approx(12, rel=0.15)
    zarr.create_array("clean.zarr", data=np.zeros((512, 512), "u2"))
    drawn = rates.sample(job, choose.read_source(Path("clean.zarr")))
    assert drawn.values.std() > 1e-6 < drawn.sigma
    assert rates.sample(job._replace(dtype=np.dtype("u2")), None).values.max() > 50000


def test_tasks_are_those_of_a_graph():
    """The number is about that of the graph that Dask computes."""
    from fastrestore._io.stores.regions import parts_of
    from fastrestore._io.stores.source import Place, Source
    from fastrestore.cli import layers

    shape = (5000, 5000)
    source = Source(Place("zarr", "x"), None, shape, np.dtype("u2"), (1, 1), "YX")
    values = layers.opened(source, parts_of("YX", shape, (1, 1), {"Y": 1024, "X": 1024})[0])
    plan = layers.Plan("YX", "planes", {})
    result = layers.result(values, plan, source, lambda part, *_: fastrestore.bm3d(part, 10))
    (graph,) = dask.optimize(result)
    count = len(dict(graph.__dask_graph__())) + result.npartitions  # which are written
    predicted = cost.cost(Job(shape, source.dtype, 1024, 2), RATES, 0).tasks
    assert predicted == pytest.approx(count, rel=0.15)


def test_chunks_within_memory():
    sides = [cost.side_within(limit, JOB, 0) for limit in (1e6, 3e8, 1e9, 1e11)]
    assert sides == sorted(sides)
    assert (sides[0], sides[-1]) == (0, 1024)


def test_rates_are_measured(capsys, monkeypatch):
    """The rate that is given is used; one that is measured is positive."""
    monkeypatch.setattr(rates, "_PAUSE", 0.5)
    monkeypatch.setattr(rates, "_ROWS", (2, 2))
    argv = ("plan", "--shape", "300x500", "--workers", "1", "--profile", "fast")
    found = json.loads(works(capsys, *argv, "--json", "--rate", "0.5"))
    assert found["rate"] == pytest.approx(0.5)
    lines = works(capsys, *argv, "--stage", "basic").splitlines()
    names = [line.split()[0] for line in lines]
    assert names == ["image", "chunks", "overlap", "memory", "network", "time"]
    assert lines[0] == "image    300 x 500, uint16, 300 kB"
    assert lines[1].startswith("chunks   1 of 500 x 500, about ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "write either IN or --shape, such as --shape 100000x100000"),
        (["--shape", "9"], "--shape 9 is not two or more numbers such as 100000x100000"),
        (["--shape", "9x0"], "--shape 9x0 is not two or more numbers such as 100000x100000"),
        (["--shape", "9x9", "--chunks", "3"], "--chunks 3 is too small; write 64 or more"),
        (["--shape", "9x9", "--rate", "0"], "--rate 0 is not a positive number of megapixels"),
        (["--shape", "9x9", "--dtype", "u3"], "--dtype u3 is not a type such as uint16"),
        (["none.zarr"], "none.zarr: no such file"),
    ],
)
def test_wrong_arguments(capsys, words, message):
    assert fails(capsys, "plan", "--workers", "2", *words) == message
