"""Damaged files of weights: one error that names the file, and no code of a pickle is run."""

import io
import json
import pickle
import random
import tomllib
import warnings
from pathlib import Path

import numpy as np
import pytest
from support.damage import damaged
from support.nets import Code, torch_or_skip

torch = torch_or_skip()

from safetensors.torch import save as serialized  # noqa: E402

from fastrestore import nets  # noqa: E402
from fastrestore.nets.files import NOTES, WEIGHTS  # noqa: E402
from fastrestore.nets.training.perceptual import Perceptual  # noqa: E402

SMALL = {
    "dncnn": lambda: nets.DnCNN(1, 4, 8),
    "batch norm": lambda: nets.DnCNN(1, 4, 8, batch_norm=True),
    "ffdnet": lambda: nets.FFDNet(1, layers=4, width=8),
    "unet": lambda: nets.UNet(1, widths=(8, 8), blocks=1),
    "srresnet": lambda: nets.SRResNet(3, scale=4, blocks=2, width=8),
    "srvgg": lambda: nets.SRVGG(3, scale=2, layers=3, width=8),
    "rrdb": lambda: nets.RRDBNet(3, scale=4, blocks=1, width=8, growth=4),
    "vsrgan": lambda: nets.VSRGAN(3, blocks=1, width=8, flow_width=8),
}
FORMATS = "pth", "legacy pth", "safetensors", "our safetensors"


def written(tensors, kind):
    """The bytes of a file."""
    if kind.endswith("safetensors"):
        notes = {NOTES: json.dumps({"sigmas": [0, 55]})} if kind.startswith("our") else None
        return serialized({str(k): v.contiguous() for k, v in tensors.items()}, notes)
    file = io.BytesIO()
    torch.save(tensors, file, _use_new_zipfile_serialization=kind == "pth")
    return file.getvalue()


def loads(path, data):
    """Load a file, or return False if the documented error names it in one line."""
    path.write_bytes(data)
    message = ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            net = nets.load(path)
    except ValueError as error:
        message = f"{type(error).__name__}: {error}"
    if message:
        assert message.startswith("ValueError: ")
        assert str(path) in message
        assert "\n" not in message
        assert len(message) < 1500
        return False
    assert all(torch.isfinite(value).all() for value in net.state_dict().values())
    return True


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", SMALL)
def test_damaged_bytes(name, kind, tmp_path):
    data = written(dict(SMALL[name]().state_dict()), kind)
    path = tmp_path / f"net.{kind.split()[-1]}"
    assert loads(path, data)
    good = sum(loads(path, damaged(data, seed)) for seed in range(25))
    assert good < 20  # a changed weight cannot be noticed


def changes(value):
    """Tensors in the place of another one."""
    yield from (torch.tensor(1.0), torch.zeros(0), value.flatten(), value[None], value[:0])
    yield from (value.to(torch.complex64), value.to(torch.int8), value.repeat(3, 1, 1, 1))
    yield from (value.transpose(0, 1), value[:, :0], value.bool(), torch.full_like(value, np.nan))
    yield torch.zeros(10_000, 1, 3, 3)


@pytest.mark.parametrize("kind", ["pth", "our safetensors"])
@pytest.mark.parametrize("name", SMALL)
def test_tensors_of_other_shapes_and_types(name, kind, tmp_path):
    tensors = dict(SMALL[name]().state_dict())
    path = tmp_path / f"net.{kind.split()[-1]}"
    names = [key for key, value in tensors.items() if value.ndim == 4]
    keys = {names[0], names[len(names) // 2], names[-1]}
    for key in keys | ({"srnet.conv_in.0.weight"} & {*names}):
        for value in changes(tensors[key]):
            loads(path, written(tensors | {key: value}, kind))
        rest = {other: value for other, value in tensors.items() if other != key}
        assert not loads(path, written(rest, kind))
        for number in ("999999", "9" * 20):
            renamed = key.replace("0", number)
            if renamed != key:
                assert not loads(path, written(rest | {renamed: tensors[key]}, kind))


@pytest.mark.parametrize(
    "value",
    [
        torch.zeros(1).expand(2**40),
        torch.zeros(8, 8).to_sparse(),
        torch.zeros(8, 1, 3, 3, device="meta"),
        [1, 2],
        None,
    ],
    ids=["huge", "sparse", "meta", "list", "none"],
)
def test_values_that_are_no_weights(value, tmp_path):
    tensors = dict(SMALL["dncnn"]().state_dict()) | {"model.0.weight": value}
    assert not loads(tmp_path / "net.pth", written(tensors, "pth"))


NOTED = [
    "{", "[]", "5", "null", '"sigmas"', '{"sigmas": 5}', '{"sigmas": [1]}', '{"sigmas": ["a", 1]}',
    '{"sigmas": [0, 1e999]}', '{"sigmas": [-1, 2]}', '{"sigmas": [[1], [2]]}', "[" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("text", NOTED)
def test_damaged_metadata(text, tmp_path):
    tensors = dict(SMALL["dncnn"]().state_dict())
    bad = loads(tmp_path / "net.safetensors", serialized(tensors, {NOTES: text}))
    assert not bad or text in ("[]", "5", "null", '"sigmas"')


@pytest.mark.parametrize("protocol", range(6))
def test_no_code_is_run(protocol, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for value in (Code(), {"model.0.weight": Code()}, [Code()]):
        assert not loads(tmp_path / "net.pth", pickle.dumps(value, protocol))
    file = io.BytesIO()
    torch.save({"model.0.weight": Code()}, file)
    assert not loads(tmp_path / "net.pth", file.getvalue())
    assert [path.name for path in tmp_path.iterdir()] == ["net.pth"]


@pytest.fixture(scope="module")
def keras(tmp_path_factory):
    """A file of SqueezeNet with random weights."""
    h5py = pytest.importorskip("h5py", reason="the perceptual loss reads HDF5 with h5py")
    path, net = tmp_path_factory.mktemp("keras") / "net.h5", Perceptual()
    layers = {"conv1": net.first}
    for k, fire in enumerate(net.fires, 2):
        layers |= {f"fire{k}/{name}": layer for name, layer in fire.named_children()}
    with h5py.File(path, "w") as file:
        for name, layer in layers.items():
            file[f"{name}/kernel"] = layer.weight.detach().permute(2, 3, 1, 0).numpy()
            file[f"{name}/bias"] = layer.bias.detach().numpy()
    return path


def test_damaged_files_of_the_perceptual_loss(keras, tmp_path):
    data, path, messages = keras.read_bytes(), tmp_path / "net.h5", []
    Perceptual.read(keras)
    draw = random.Random(0)
    for seed in range(60):
        head = data[: draw.choice([3000, 30_000, len(data)])]
        path.write_bytes(damaged(head, seed) + data[len(head) :])
        try:
            Perceptual.read(path)
        except ValueError as error:
            messages.append(str(error))
    assert len(messages) > 20
    assert all(str(path) in message for message in messages)


@pytest.mark.parametrize("value", ["shape", "type", "nan"])
def test_wrong_arrays_of_the_perceptual_loss(keras, tmp_path, value):
    import h5py

    path = tmp_path / "net.h5"
    path.write_bytes(keras.read_bytes())
    with h5py.File(path, "a") as file:
        bias = file["fire3/squeeze1x1/bias"][:]
        del file["fire3/squeeze1x1/bias"]
        file["fire3/squeeze1x1/bias"] = {
            "shape": bias[:-1], "type": bias.astype("S4"), "nan": bias * np.nan
        }[value]  # fmt: skip
    with pytest.raises(ValueError, match=r"net.h5: the biases of fire3/squeeze1x1 have "):
        Perceptual.read(path)


def test_the_extra_test_has_what_networks_need():
    """Where PyTorch is installed, `.[test]` is enough to run the tests of networks."""
    path = Path(__file__).parents[1] / "pyproject.toml"
    extras = tomllib.loads(path.read_text())["project"]["optional-dependencies"]
    others = {need for need in extras["nets"] if not need.startswith("torch")}
    assert others
    assert others <= set(extras["test"])


def test_the_weights_in_the_wheel_are_small():
    assert sum(path.stat().st_size for path in WEIGHTS.iterdir()) < 16e6
