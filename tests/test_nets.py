"""Networks, and weight files in common layouts."""

import doctest
import importlib
import inspect
import json
import pickle
import subprocess
import sys

import pytest
from support.nets import SMALL, shaken, torch_or_skip

torch = torch_or_skip()

import fastrestore  # noqa: E402
from fastrestore import nets  # noqa: E402
from fastrestore.nets import DnCNN, FFDNet, UNet, load  # noqa: E402
from fastrestore.nets.files import save  # noqa: E402


def random_images(channels=1, height=21, width=30, seed=1):
    return torch.rand(2, channels, height, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", SMALL)
def test_shapes_and_sizes(name, channels, tmp_path):
    net, image = shaken(SMALL[name](channels)), random_images(channels)
    with torch.no_grad():
        expected = net(image, 0.1)
    assert expected.shape == image.shape
    torch.save(net.state_dict(), tmp_path / "net.pth")
    again = load(tmp_path / "net.pth")
    assert type(again) is type(net)
    assert (again.channels, again.radius, again.grid) == (net.channels, net.radius, net.grid)
    assert again.takes_sigma == net.takes_sigma
    torch.testing.assert_close(again(image, 0.1), expected)


@pytest.mark.parametrize(
    ("net", "parameters", "radius"),
    [
        (DnCNN(), 555_137, 17),
        (DnCNN(3, layers=20), 668_227, 20),
        (FFDNet(), 485_316, 31),
        (FFDNet(3), 852_108, 25),
        (UNet(3), 2_393_064, 97),
        (UNet(3, widths=(32, 64, 128, 256)), 4_253_664, 97),
        (UNet(3, widths=(64, 128, 256, 512), blocks=4), 32_640_960, 185),
    ],
)
def test_published_sizes(net, parameters, radius):
    assert sum(value.numel() for value in net.parameters()) == parameters
    assert net.radius == radius


@pytest.mark.parametrize("name", SMALL)
def test_radius_equals_the_receptive_field(name):
    net = shaken(SMALL[name](1))
    size = 2 * net.radius + 8 * net.grid
    size -= size % net.grid
    image = torch.rand(1, 1, size, size, requires_grad=True)
    middle = size // 2 - size // 2 % net.grid
    for place in range(middle, middle + net.grid):
        image.grad = None
        net(image, 0.1)[0, 0, place, place].backward()
        seen = torch.nonzero(image.grad[0, 0])
        assert (seen - place).abs().max() <= net.radius


def test_a_unet_without_biases_scales():
    net, image = shaken(UNet(widths=(8, 8), blocks=1)), random_images()
    torch.testing.assert_close(net(4 * image, 0.4), 4 * net(image, 0.1))


def normalized(layers=5, width=8, seed=0):
    """A DnCNN with batch normalization and running statistics."""
    torch.manual_seed(seed)
    net = DnCNN(1, layers, width, batch_norm=True).train()
    for _ in range(5):
        net(torch.rand(4, 1, 16, 16))
    return shaken(net)


def test_batch_normalization_is_merged(tmp_path):
    net, image = normalized(), random_images()
    torch.save({"params": net.state_dict()}, tmp_path / "kair.pth")
    merged = load(tmp_path / "kair.pth")
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in merged.modules())
    torch.testing.assert_close(merged(image), net(image), atol=1e-6, rtol=1e-5)


def test_the_common_pytorch_layout(tmp_path):
    """The network predicts noise, without biases and with another epsilon."""
    net = normalized()
    for part in net.model:
        if isinstance(part, torch.nn.BatchNorm2d):
            part.eps = 1e-5
        elif isinstance(part, torch.nn.Conv2d):
            torch.nn.init.zeros_(part.bias)
    renamed = {
        name.replace("model.", "module.dncnn."): value
        for name, value in net.state_dict().items()
        if not (name.endswith(".bias") and value.abs().sum() == 0)
    }
    torch.save(renamed, tmp_path / "net.pth")
    image = random_images()
    torch.testing.assert_close(load(tmp_path / "net.pth")(image), net(image), atol=1e-6, rtol=1e-5)


def test_the_layout_of_deepinv(tmp_path):
    """The network adds its output instead of subtracting it."""
    net = shaken(DnCNN(1, 5, 8))
    names = ["in_conv", "conv_list.0", "conv_list.1", "conv_list.2", "out_conv"]
    renamed = {}
    for number, name in enumerate(names):
        sign = -1 if name == "out_conv" else 1
        for kind in ("weight", "bias"):
            renamed[f"{name}.{kind}"] = sign * net.state_dict()[f"model.{2 * number}.{kind}"]
    torch.save(renamed, tmp_path / "net.pth")
    image = random_images()
    torch.testing.assert_close(load(tmp_path / "net.pth")(image), net(image))


def test_files_store_the_range_of_sigma(tmp_path):
    net = shaken(DnCNN(1, 7, 8))
    save(net, tmp_path / "net.safetensors", sigmas=(0, 55))
    again = load(tmp_path / "net.safetensors")
    assert again.sigmas == pytest.approx((0, 55 / 255))
    torch.testing.assert_close(again(random_images()), net(random_images()), atol=2e-3, rtol=0)
    assert [path.name for path in tmp_path.iterdir()] == ["net.safetensors"]


def test_shipped_weights_have_a_card_and_a_recipe():
    from importlib import resources

    folder = resources.files("fastrestore.nets") / "weights"
    total = 0
    for name in nets.names():
        total += (folder / f"{name}.safetensors").stat().st_size
        card = (folder / f"{name}.md").read_text(encoding="utf-8")
        for word in ("Trained on", "Recipe", "PSNR", "License", "Date"):
            assert word in card, (name, word)
        net = load(name)
        assert all(torch.isfinite(value).all() for value in net.parameters())
        recipe = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        if recipe.get("task", "noise") == "noise":
            assert recipe["sigma"][1] == pytest.approx(net.sigmas[1] * 255)
    assert total < 24e6


def test_cards_state_what_networks_do():
    """Cards of denoisers compare with BM3D; those of networks that make up details say so."""
    from importlib import resources

    folder = resources.files("fastrestore.nets") / "weights"
    for name in nets.names():
        card = (folder / f"{name}.md").read_text(encoding="utf-8")
        recipe = recipe_of(name)
        if recipe.get("task", "noise") == "noise":
            assert "bm3d" in card, name
        if recipe.get("adversary"):
            assert "may be wrong" in card or "is an experiment" in card, name


def recipe_of(name):
    """Return the recipe of built-in weights; an empty one if there is none."""
    from importlib import resources

    path = resources.files("fastrestore.nets") / "weights" / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


@pytest.mark.parametrize("function", ["super_resolve", "super_resolve_video"])
def test_defaults_are_trained_without_a_discriminator(function):
    parameters = inspect.signature(getattr(fastrestore, function)).parameters
    assert recipe_of(f"{parameters['model'].default}-x4")["adversary"] == ""


def broken(kind, path):
    net = DnCNN(1, 5, 8)
    tensors = net.state_dict()
    if kind == "missing":
        del tensors["model.4.weight"]
    if kind == "shape":
        tensors["model.4.weight"] = tensors["model.4.weight"][:, :4]
    if kind == "nan":
        tensors["model.4.weight"][0, 0, 0, 0] = torch.nan
    if kind == "ircnn":
        tensors = DnCNN(1, 7, 8).state_dict()
    if kind == "fdncnn":
        tensors["model.0.weight"] = torch.zeros(8, 2, 3, 3)
    if kind == "other":
        tensors = {f"layer{k}.weight": torch.zeros(3) for k in range(9)}
    if kind == "list":
        tensors = [1, 2]
    torch.save(tensors, path)
    if kind == "short":
        path.write_bytes(path.read_bytes()[:1000])
    if kind == "code":
        path.write_bytes(pickle.dumps({"a": print}, protocol=2))
    if kind == "text":
        path.write_text("weights")
    if kind == "safetensors":
        save(net, path, sigmas=(0, 55))
        path.write_bytes(path.read_bytes()[:-100])
    if kind == "tampered":
        save(net, path, sigmas=(0, 55))
        path.write_bytes(b"\xff" * 64 + path.read_bytes()[64:])


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "is not a complete network: model.4.bias fit no layer"),
        ("shape", "is not a complete DnCNN: size mismatch for model.4.weight"),
        ("nan", "model.4.weight has values that are NaN"),
        ("ircnn", "has 7 convolutions like an IRCNN"),
        ("fdncnn", "has 2 input channels, its last 1 output channels; known: DnCNN"),
        ("other", "it has the keys layer0.weight, .* and 3 more; known: DnCNN"),
        ("list", "contains a list instead of weights by name"),
        ("short", "is truncated or damaged"),
        ("code", "contains print, or is damaged, and is not loaded, because a pickle can run"),
        ("text", "not loaded, because a pickle can run code|is truncated or damaged"),
        ("safetensors", "is truncated or damaged"),
        ("tampered", "is truncated or damaged"),
    ],
)
def test_files_without_a_network(kind, message, tmp_path):
    ours = kind in ("safetensors", "tampered")
    path = tmp_path / ("net.safetensors" if ours else "net.pth")
    broken(kind, path)
    with pytest.raises(ValueError, match=message) as caught:
        load(path)
    assert "weights_only" not in str(caught.value)


def test_unknown_names():
    with pytest.raises(FileNotFoundError, match="'unet-pink' is neither a file nor one of"):
        load("unet-pink")
    for name, meant in (("srgan", "srgan-x4"), ("SRGAN", "srgan-x4"), ("unet-grey", "unet-gray")):
        if meant in nets.names():
            with pytest.raises(FileNotFoundError, match=rf"; did you mean '{meant}'\?$"):
                load(name)
    with pytest.raises(TypeError, match="name_or_path must be a name or a file, got None"):
        load(None)


def test_names_need_no_torch():
    assert set(dir(nets)) == {
        "BM3D", "LearnableBM3D", "SRVGG", "DnCNN", "FFDNet", "VideoDiscriminator", "Network",
        "RRDBNet",
        "Refine", "SRResNet", "UNet", "UNetDiscriminator", "VGGDiscriminator", "VSRGAN",
        "apply", "load", "names",
    }  # fmt: skip
    with pytest.raises(AttributeError, match=r"module .fastrestore.nets. has no attribute .GAN."):
        nets.GAN  # noqa: B018


@pytest.mark.parametrize(
    "module", ["adapter", "call", "dncnn", "ffdnet", "files", "refine", "unet"]
)
def test_examples_in_docstrings(module):
    result = doctest.testmod(importlib.import_module(f"fastrestore.nets.{module}"))
    assert result.attempted > 0
    assert result.failed == 0


def test_without_torch():
    """Names that need PyTorch raise with instructions; the module and `bm3d` work without it."""
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import numpy as np, fastrestore\n"
        "assert fastrestore.denoise(np.eye(9), 0.1).shape == (9, 9)\n"
        "dir(fastrestore.nets)\n"
        "for call in (lambda: fastrestore.nets.load, \n"
        "             lambda: fastrestore.denoise(np.eye(9), method='dncnn'),\n"
        "             lambda: fastrestore.denoise(np.eye(9), 1, method='hybrid')):\n"
        "    try:\n"
        "        call()\n"
        "    except ImportError as error:\n"
        "        print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    lines = run.stdout.splitlines()
    assert len(lines) == 3
    assert all("networks need torch, which is not installed: pip install" in line for line in lines)


def test_networks_are_imported_on_demand():
    code = "import sys, fastrestore as f; f.nets; f.denoise; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert run.stdout.strip() == "False"
