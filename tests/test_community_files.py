"""Networks of other packages: damaged files, inpainting, and the command line."""

import io
import pickle
import random
import warnings

import numpy as np
import pytest
from support.images import scene
from support.nets import COMMUNITY, Code, community_network, spandrel_or_skip

spandrel = spandrel_or_skip()

import torch  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

import fastrestore  # noqa: E402
from fastrestore import inpaint, nets  # noqa: E402
from fastrestore._io.images import read, write  # noqa: E402
from fastrestore._io.picture import Picture  # noqa: E402
from fastrestore.cli import main  # noqa: E402

SMALL = sorted(set(COMMUNITY) - {"LaMa", "FBCNN", "SCUNet"})  # small files


def refused(path):
    """Return the message of the documented error for a file, or "" if there is none."""
    message = ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            nets.load(path)
    except ValueError as error:
        message = str(error)
        named = str(path) in message
    assert not message or (named and "\n" not in message)
    return message


def change(tensors, draw):
    """Damage the weights of a network by name: a name, a shape, a type or a value."""
    name = draw.choice(list(tensors))
    value = tensors.pop(name)
    kind = draw.choice(["missing", "renamed", "shape", "empty", "number", "type", "nan", "more"])
    if kind == "renamed":
        tensors[name + "x"] = value
    elif kind == "shape":
        tensors[name] = value.unsqueeze(0)
    elif kind == "empty":
        tensors[name] = value[:0] if value.ndim else value
    elif kind == "number":
        tensors[f"layers.{draw.choice([50, 10**6, 10**30])}.{name}"] = value
    elif kind == "type":
        tensors[name] = value.to(draw.choice([torch.complex64, torch.int8, torch.bool]))
    elif kind == "nan" and value.is_floating_point():
        tensors[name] = value * torch.nan
    elif kind == "more":
        tensors |= {name: value, "one.weight": value}
    return kind


@pytest.mark.parametrize("name", SMALL)
def test_damaged_weights(name, tmp_path):
    path, draw = tmp_path / "net.pth", random.Random(name)
    whole = dict(community_network(name).state_dict())
    torch.save(whole, path)
    assert not refused(path)
    messages = []
    for _ in range(12):
        tensors = dict(whole)
        change(tensors, draw)
        torch.save(tensors, path)
        messages.append(refused(path))
    assert sum(map(bool, messages)) > 4
    for cut in (0, 7, 100, 5000):
        path.write_bytes(path.read_bytes()[:cut])
        assert refused(path)


def test_numbers_of_layers_that_no_memory_holds(tmp_path):
    tensors = dict(community_network("SwinIR").state_dict())
    tensors["layers.99999999.residual_group.blocks.0.norm1.weight"] = torch.ones(8)
    torch.save(tensors, tmp_path / "net.pth")
    assert "is damaged: 'layers.99999999." in refused(tmp_path / "net.pth")


def test_layers_that_no_memory_holds(tmp_path):
    """A few kilobytes describe a network of tens of GB."""
    tensors = dict(community_network("NAFNet").state_dict())
    tensors["intro.weight"] = torch.zeros(20_000, 3, 3, 3)
    torch.save(tensors, tmp_path / "net.pth")
    assert "the shapes of its weights describe a much larger" in refused(tmp_path / "net.pth")


def test_weights_that_are_nan(tmp_path):
    tensors = dict(community_network("NAFNet").state_dict())
    tensors["ending.bias"] = torch.tensor([0, np.nan, 0])
    torch.save(tensors, tmp_path / "net.pth")
    assert "net.pth: ending.bias has values that are NaN" in refused(tmp_path / "net.pth")


@pytest.mark.parametrize("protocol", range(6))
def test_no_code_is_run(protocol, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path, weights = tmp_path / "net.ckpt", dict(community_network("SPAN").state_dict())
    for value in (Code(), weights | {"more": Code()}, {"net": weights, "other": Code()}):
        path.write_bytes(pickle.dumps(value, protocol))
        assert refused(path)
        file = io.BytesIO()
        torch.save(value, file)
        path.write_bytes(file.getvalue())
        assert "because a pickle can run code" in refused(path)
    assert [each.name for each in tmp_path.iterdir()] == ["net.ckpt"]


def test_archives_of_torchscript_are_refused(tmp_path):
    path = tmp_path / "net.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch deprecates them
        torch.jit.save(torch.jit.script(torch.nn.Conv2d(3, 3, 1)), path)
    assert "is a TorchScript archive, which contains code, and is not loaded" in refused(path)


def test_wrappers_and_formats(tmp_path):
    weights = dict(community_network("SPAN").state_dict())
    image = scene(64, 64).astype(np.uint8)
    torch.save(weights, tmp_path / "plain.pth")
    torch.save({"net": weights, "epoch": 3}, tmp_path / "wrapped.pt")
    torch.save({f"module.{k}": v.half() for k, v in weights.items()}, tmp_path / "half.ckpt")
    save_file(weights, tmp_path / "safe.safetensors")
    results = [
        fastrestore.super_resolve(image, 4, model=path) for path in sorted(tmp_path.iterdir())
    ]
    assert len(results) == 4
    for result in results:
        np.testing.assert_allclose(result, results[1], atol=0.01 * results[1].std())


def test_networks_that_are_recognized_and_refused(tmp_path):
    """Seven convolutions are an IRCNN, whose dilations no file has; other networks are not ours."""
    path = tmp_path / "net.pth"
    torch.save(nets.DnCNN(1, 7, 8).state_dict(), path)
    assert "has 7 convolutions like an IRCNN" in refused(path)
    torch.save(nets.DnCNN(1, 9, 8).state_dict() | {"one": torch.ones(3)}, path)
    assert "fit no layer; spandrel " in refused(path)
    from spandrel.architectures.NAFNet import NAFNet

    torch.save(
        NAFNet(img_channel=4, width=8, enc_blk_nums=[1], dec_blk_nums=[1]).state_dict(), path
    )
    message = "is a NAFNet with 4 channels in and 4 out; fastrestore supports 1 and 3"
    assert message in refused(path)


def test_networks_for_faces_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "net.pth"
    torch.save(community_network("SPAN").state_dict(), path)
    monkeypatch.setattr(spandrel.ImageModelDescriptor, "purpose", "FaceSR")
    assert "is a SPAN, for aligned faces only, which fastrestore does not locate" in refused(path)


@pytest.fixture(scope="module")
def lama(tmp_path_factory):
    """A file of LaMa, whose sizes are fixed, and the network of spandrel."""
    path, net = tmp_path_factory.mktemp("lama") / "lama.safetensors", community_network("LaMa")
    save_file(net.state_dict(), path)
    yield path, net
    path.unlink()


@pytest.fixture(scope="module")
def net(lama):
    return nets.load(lama[0])


def colors(height=64, width=72):
    return np.stack([scene(height, width, seed=c) for c in range(3)], -1).astype(np.uint8)


def hole(height=64, width=72):
    mask = np.zeros((height, width), bool)
    mask[20:40, 10:50] = True
    return mask


def test_inpainting(lama, net):
    image, mask = colors(), hole()
    assert (net.takes_mask, net.tiling, net.channels) == (True, "whole", 3)
    result = inpaint(image, mask, model=net, channel_axis=-1)
    seen = torch.from_numpy(np.moveaxis(image, -1, 0)[None] / np.float32(255))
    with torch.inference_mode():
        expected = lama[1](seen, torch.from_numpy(mask[None, None].astype(np.float32)))[0].numpy()
    np.testing.assert_allclose(np.moveaxis(result, -1, 0) / 255, expected, atol=1e-4)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result[~mask], image[~mask])
    assert result[mask].std() > 1
    unknown = np.where(mask[..., None], np.nan, image / 255)
    again = inpaint(unknown, mask, model=net, channel_axis=-1)
    assert again.dtype == np.float64
    np.testing.assert_allclose(again * 255, result, atol=1e-2)
    np.testing.assert_array_equal(inpaint(image, mask & False, model=net, channel_axis=-1), image)


def test_inpainting_of_gray_and_alpha(net):
    image, mask = colors(), hole()
    gray = inpaint(image[..., 0], mask, model=net)
    three = inpaint(np.repeat(image[..., :1], 3, -1), mask, model=net, channel_axis=-1)
    np.testing.assert_allclose(gray, three.mean(-1), atol=1e-3)
    with_alpha = np.concatenate([image, np.full((*image.shape[:2], 1), 90, np.uint8)], -1)
    result = inpaint(with_alpha, mask, model=net, channel_axis=-1)
    np.testing.assert_allclose(result[..., 3], 90)
    expected = inpaint(image, mask, model=net, channel_axis=-1)
    np.testing.assert_allclose(result[..., :3], expected, atol=1e-3)
    red = np.zeros((*mask.shape, 3), bool)
    red[..., 0] = mask  # missing in one color only
    result = inpaint(image, red, model=net, channel_axis=-1)
    np.testing.assert_allclose(result[..., 0], expected[..., 0], atol=1e-3)
    np.testing.assert_array_equal(result[..., 1:], image[..., 1:])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sigma": 5}, "sigma=5 is not used with model=; leave it out"),
        ({"iterations": 4}, "iterations=4 is not used with model="),
        ({"profile": "np"}, "profile='np' is not used with model="),
        ({"model": None, "tile": 64}, "tile=64 is only used with model=; leave it out"),
        ({"model": None, "device": "cpu"}, "device='cpu' is only used with model="),
        ({"tile": 3}, "tile must be 16 pixels or more"),
        ({"model": "unet-gray"}, "model='unet-gray' does not take a mask; use a network for inp"),
        ({"mask": np.ones((3, 3), bool)}, r"mask has shape \(3, 3\)"),
    ],
)
def test_options_of_inpainting(options, message, net):
    arguments = {"mask": hole(), "model": net, "channel_axis": -1} | options
    with pytest.raises(ValueError, match=message):
        inpaint(colors(), **arguments)


def test_networks_for_inpainting_do_nothing_else(net):
    image = colors()
    for call in (
        lambda: fastrestore.restore(image, model=net, channel_axis=-1),
        lambda: fastrestore.denoise(image, method=net, channel_axis=-1),
        lambda: nets.apply(net, image, channel_axis=-1, data_range=255),
    ):
        with pytest.raises(ValueError, match=r"LaMa'? fills in missing pixels; use inpaint\("):
            call()


def works(*words):
    assert main([str(word) for word in (*words, "--quiet", "--overwrite")]) == 0


def test_commands(tmp_path, lama):
    image, mask, out = colors(), hole(), tmp_path / "out.png"
    alpha = np.full(mask.shape, 77, np.uint8)
    write(tmp_path / "in.png", Picture(image, alpha))
    write(tmp_path / "mask.png", Picture(mask.astype(np.uint8) * 255))
    for name in ("NAFNet", "SPAN", "FDnCNN"):
        torch.save(community_network(name).state_dict(), tmp_path / f"{name}.pth")

    def rounded(expected):
        picture = read(out)
        np.testing.assert_allclose(picture.values, expected.round().clip(0, 255), atol=1)
        assert (picture.alpha == 77).all()

    weights = tmp_path / "NAFNet.pth"
    works("denoise", tmp_path / "in.png", "-o", out, "--weights", weights, "--tile", 64)
    expected = fastrestore.denoise(image, method=weights, channel_axis=-1, tile=64)
    rounded(expected)
    works("upscale", tmp_path / "in.png", "-o", out, "--scale", 1, "--model", weights)
    rounded(fastrestore.restore(image, model=weights, channel_axis=-1))
    model = tmp_path / "SPAN.pth"
    works("upscale", tmp_path / "in.png", "-o", out, "--model", model)
    rounded(fastrestore.super_resolve(image, model=model, channel_axis=-1))
    mask_file = tmp_path / "mask.png"
    works("inpaint", tmp_path / "in.png", "-o", out, "--mask", mask_file, "--model", lama[0])
    rounded(inpaint(image, mask, model=lama[0], channel_axis=-1))
    np.save(tmp_path / "gray.npy", image[..., 0])
    weights, source = tmp_path / "FDnCNN.pth", tmp_path / "gray.npy"
    out = tmp_path / "out.npy"
    works("denoise", source, "-o", out, "--weights", weights, "--sigma", "25/255")
    expected = fastrestore.denoise(image[..., 0], 25, method=weights)
    np.testing.assert_allclose(np.load(out), expected.round().clip(0, 255), atol=1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["denoise", "--weights", "NAFNet.pth", "--sigma", "5/255"], "sigma=5"),
        (["denoise", "--weights", "NAFNet.pth", "--profile", "lc"], "--profile is for bm3d, not f"),
        (["denoise", "--weights", "none.pth"], "'none.pth' is neither a file nor one of the built"),
        (["denoise", "--method", "bm3d", "--weights", "NAFNet.pth"], "--weights is for networks"),
        (["denoise", "--tile", "64"], "--tile is for networks; add --method dncnn, unet or hybrid"),
        (["inpaint", "--mask", "m.png", "--model", "NAFNet.pth"], "does not take a mask; use"),
        (["inpaint", "--mask", "m.png", "--tile", "64"], "--tile needs --model"),
        (["inpaint", "--mask", "m.png", "--model", "NAFNet.pth", "--iterations", "3"],
         "--iterations is for bm3d, not for --model"),
    ],
)  # fmt: skip
def test_errors_of_commands(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "in.png", Picture(colors()))
    write(tmp_path / "m.png", Picture(hole().astype(np.uint8) * 255))
    torch.save(community_network("NAFNet").state_dict(), "NAFNet.pth")
    assert main([words[0], "in.png", "-o", "out.png", *words[1:]]) == 2
    assert message in capsys.readouterr().err
