"""The network for videos: its parts, losses, training steps, and files of other packages."""

import dataclasses
from dataclasses import replace

import numpy as np
import pytest
from support.nets import torch_or_skip

torch = torch_or_skip()

from PIL import Image  # noqa: E402
from scipy import ndimage  # noqa: E402
from support.images import scene  # noqa: E402

from fastrestore import nets  # noqa: E402
from fastrestore.cli import main  # noqa: E402
from fastrestore.nets import VSRGAN, SRResNet, VideoDiscriminator  # noqa: E402
from fastrestore.nets.files import save  # noqa: E402
from fastrestore.nets.frnet import enlarged, space_to_depth, warped  # noqa: E402
from fastrestore.nets.training import clips as clips_module  # noqa: E402
from fastrestore.nets.training import steps  # noqa: E402
from fastrestore.nets.training.clips import Clips, films  # noqa: E402
from fastrestore.nets.training.loop import Session, train  # noqa: E402
from fastrestore.nets.training.recipe import Recipe  # noqa: E402
from fastrestore.nets.training.state import State  # noqa: E402
from fastrestore.nets.training.steps import step  # noqa: E402
from fastrestore.nets.training.tasks import degraded_videos  # noqa: E402
from fastrestore.nets.video_discriminator import triplets  # noqa: E402


def counted(net):
    return sum(value.numel() for value in net.parameters())


def small(scale=4, seed=0, **more):
    """A small network with random weights."""
    torch.manual_seed(seed)
    return VSRGAN(scale=scale, **({"blocks": 1, "width": 8} | more)).eval()


def video(count=4, height=24, width=32, seed=1):
    return torch.rand(1, count, 3, height, width, generator=torch.Generator().manual_seed(seed))


def test_published_sizes():
    net = VSRGAN()
    assert (counted(net.fnet), counted(net.srnet), counted(net)) == (1_745_506, 843_587, 2_589_093)
    assert counted(VideoDiscriminator()) == 819_457


@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize("upsample", ["bilinear", "bicubic"])
def test_files(scale, upsample, tmp_path):
    """Files for blurred videos contain the upsampling filter twice."""
    net, frames = small(scale, upsample=upsample), video()
    tensors = dict(net.state_dict())
    filters = {f"{part}upsample_func.kernels" for part in ("", "srnet.")}
    assert {name for name in tensors if "upsample" in name} == (
        filters if upsample == "bicubic" else set()
    )
    torch.save(tensors, tmp_path / "net.pth")
    save(net, tmp_path / "net.safetensors", sigmas=(0, 0))
    torch.save(
        tensors | {name: torch.ones(4, 4) for name in filters & set(tensors)},
        tmp_path / "others.pth",
    )
    for name in ("net.pth", "others.pth", "net.safetensors"):
        again = nets.load(tmp_path / name)
        assert (type(again), again.scale, again.upsample) == (VSRGAN, scale, upsample)
        bound = 0.02 if name == "net.safetensors" else 1e-5  # half precision
        with torch.no_grad():
            error = (again.video(frames)[0] - net.video(frames)[0]).abs().max()
        assert float(error) < bound
    bare = {name: value for name, value in tensors.items() if name not in filters}
    VSRGAN(scale=scale, blocks=1, width=8, upsample=upsample).load_state_dict(bare)


def test_upsample_is_one_of_two():
    with pytest.raises(ValueError, match="upsample must be 'bilinear' or 'bicubic', got 'nearest'"):
        VSRGAN(upsample="nearest")


def test_names_of_weights():
    names = set(VSRGAN().state_dict())
    for name in (
        "fnet.encoder1.0.weight", "fnet.encoder3.2.bias", "fnet.decoder1.0.weight",
        "fnet.decoder3.2.weight", "fnet.flow.0.weight", "fnet.flow.2.bias",
        "srnet.conv_in.0.weight", "srnet.resblocks.9.conv.2.bias", "srnet.conv_up.0.weight",
        "srnet.conv_up.2.bias", "srnet.conv_out.weight",
    ):  # fmt: skip
        assert name in names
    judge = set(VideoDiscriminator().state_dict())
    assert {"conv_in.0.bias", "discriminator_block.block4.1.running_var", "dense.weight"} <= judge


def test_warping_reads_where_the_flow_points():
    image = torch.rand(1, 2, 9, 12)
    flow = torch.zeros(1, 2, 9, 12)
    torch.testing.assert_close(warped(image, flow), image, atol=1e-5, rtol=1e-5)
    flow[:, 0], flow[:, 1] = 2, -1
    moved = warped(image, flow)
    torch.testing.assert_close(moved[..., 1:, :-2], image[..., :-1, 2:], atol=1e-5, rtol=1e-5)
    half = warped(image, torch.full((1, 2, 9, 12), 0.5))[0, 0].numpy()
    expected = ndimage.shift(image[0, 0].numpy(), -0.5, order=1, mode="nearest")
    np.testing.assert_allclose(half, expected, atol=1e-5)
    # Half precision has no fractions at large numbers
    wide = torch.rand(1, 1, 1, 3001)
    flow = torch.full((1, 2, 1, 3001), 0.25, dtype=torch.bfloat16)
    torch.testing.assert_close(warped(wide, flow), warped(wide, flow.float()))


def test_cells_become_channels():
    image = torch.arange(2 * 3 * 8 * 12.0).view(2, 3, 8, 12)
    cells = space_to_depth(image, 4)
    for dy, dx, c in ((0, 0, 0), (1, 2, 1), (3, 3, 2)):
        assert torch.equal(cells[:, (4 * dy + dx) * 3 + c], image[:, c, dy::4, dx::4])


def test_cubic_enlargement():
    """Cubic interpolation at quarters to the right of each pixel, the slope being -0.75."""
    image = torch.rand(1, 2, 10, 12)
    large = enlarged(image, 4, "bicubic")
    assert large.shape == (1, 2, 40, 48)
    torch.testing.assert_close(large[..., ::4, ::4], image)
    half = torch.tensor([-0.09375, 0.59375, 0.59375, -0.09375])
    torch.testing.assert_close(large[..., ::4, 4 * 5 + 2], image[..., 4:8] @ half)
    torch.testing.assert_close(large[..., 4 * 5 + 2, ::4], image[..., 4:8, :].mT @ half)


@pytest.mark.parametrize("size", [(8, 8), (16, 24), (21, 35), (1, 3), (7, 90)])
def test_any_size(size):
    net = small()
    now, before = torch.rand(2, 1, 3, *size)
    with torch.no_grad():
        first = net.first(before)
        assert first.shape == (1, 3, 4 * size[0], 4 * size[1])
        assert net.next(now, before, first).shape == first.shape
        assert net.flow(now, before).shape == (1, 2, *size)


def test_video_equals_its_frames_one_by_one():
    net, frames = small(), video()
    with torch.no_grad():
        made, flows = net.video(frames)
        one = net.first(frames[:, 0])
        torch.testing.assert_close(made[:, 0], one)
        for k in range(1, 4):
            one = net.next(frames[:, k], frames[:, k - 1], one)
            torch.testing.assert_close(made[:, k], one)
    assert flows.shape == (1, 3, 2, 24, 32)


def test_the_flow_is_learned():
    """The warping loss alone recovers a motion of whole pixels."""
    torch.manual_seed(0)
    net = VSRGAN(blocks=1, width=8)
    image = torch.from_numpy(scene(64, 64)).float()[None, None].expand(1, 3, -1, -1) / 255
    image = nn_blur(image)
    now, before = image[..., 8:56, 8:56], image[..., 8:56, 6:54]  # was two to the right
    adam = torch.optim.Adam(net.fnet.parameters(), lr=1e-3)
    for _ in range(60):
        loss = (warped(before, net.flow(now, before)) - now).abs().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    flow = net.flow(now, before).detach()[0, :, 8:-8, 8:-8].mean((1, 2))
    assert float((flow - torch.tensor([2.0, 0.0])).abs().max()) < 0.7


def nn_blur(image):
    blurred = ndimage.gaussian_filter(image.numpy(), (0, 0, 1.5, 1.5))
    return torch.from_numpy(blurred)


def test_input_of_the_discriminator():
    """Three frames, the same warped to the middle one with a zero border, and the small ones."""
    net = small()
    small_ones, large = video(7, 16, 16), video(7, 64, 64, seed=2)
    seen = triplets(net, large, small_ones)
    assert seen.shape == (2, 27, 64, 64)
    for c in range(3):  # colors one after the other, in each its three frames
        for t in range(3):
            assert torch.equal(seen[1, 3 * c + t], large[0, 3 + t, c])
    moved = seen[0, 9:18]
    assert not moved[:, :8].any()
    assert not moved[:, :, -8:].any()
    torch.testing.assert_close(moved[1, 8:-8, 8:-8], large[0, 1, 0, 8:-8, 8:-8])
    torch.testing.assert_close(seen[0, 18], enlarged(small_ones[:, 0], 4, "bilinear")[0, 0])
    assert VideoDiscriminator(width=4, side=64)(seen).shape == (2, 1)
    with pytest.raises(ValueError, match=r"frames must be 128 x 128 here, got \(64, 64\)"):
        VideoDiscriminator(width=4)(seen)
    with pytest.raises(ValueError, match="side must be a multiple of 16, got 40"):
        VideoDiscriminator(side=40)


TINY = Recipe(
    network="vsrgan", channels=3, sizes={"scale": 4, "blocks": 1, "width": 8}, task="small",
    frames=4, patch=64, batch=2, steps=20, rate=1e-3, warm=2, average=0.9, loss="charbonnier",
    warp=1.0, adversary="film", adversary_sizes={"width": 4}, adversarial=0.01, features=0.1,
    pingpong=0.5,
)  # fmt: skip


@pytest.fixture(scope="module")
def photographs():
    return [
        np.stack([scene(90, 100, seed=3 * k + c) for c in range(3)]).clip(0, 255).astype(np.uint8)
        for k in range(3)
    ]


@pytest.mark.parametrize("lead", [0.0, 1e-9])
def test_each_network_has_its_own_update(photographs, monkeypatch, lead):
    """A discriminator that leads by more than the limit is not updated."""
    state = State(replace(TINY, lead=lead), "cpu")
    with torch.no_grad():
        state.discriminator.dense.weight.mul_(50)
    moved = []

    def copies():
        nets_ = (state.net, state.discriminator)
        return [[value.detach().clone() for value in net.parameters()] for net in nets_]

    def advance(adam, loss, rate, real=steps.advance):
        before = copies()
        real(adam, loss, rate)
        pairs = zip(before, copies(), strict=True)
        moved.append([any(not torch.equal(a, b) for a, b in zip(*p, strict=True)) for p in pairs])

    monkeypatch.setattr(steps, "advance", advance)
    monkeypatch.setattr(steps, "_lead", lambda real, fake: 0.1)
    lost = step(state, Clips(photographs, (4, 64), "cpu"))
    assert moved == ([[True, False]] if lead else [[True, False], [False, True]])
    names = {"pixel", "warp", "pingpong", "features", "adversarial", "adversary", "accuracy"}
    assert set(lost) == names | {"ratio"}


def test_lead_follows_the_paper():
    real, fake = torch.full((4, 1), 2.0), torch.full((4, 1), -1.0)
    expected = np.log(1 / (1 + np.exp(-2))) - np.log(1 / (1 + np.exp(1)))
    assert steps._lead(real, fake) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("task", ["small", "blurred", "degraded", "noise"])
def test_twenty_steps_lower_the_loss_of_pixels(photographs, task, tmp_path):
    scale = 4 if task in ("small", "blurred") else 1
    recipe = replace(
        TINY.by_pixels(), task=task, sizes={**TINY.sizes, "scale": scale}, patch=32, batch=4,
        rate=3e-3,
    )  # fmt: skip
    state, clips = State(recipe, "cpu"), Clips(photographs, (4, 32), "cpu")
    first = State(recipe, "cpu").net
    for _ in range(20):
        step(state, clips)
    random = torch.Generator().manual_seed(9)
    wanted = clips.draw(8, random)
    seen = degraded_videos(recipe, wanted, random, scale)
    with torch.no_grad():
        before, after = (
            float((net.video(seen)[0] - wanted).abs().mean()) for net in (first, state.averaged())
        )
    assert after < before


def test_a_resumed_training_is_bitwise_the_same(photographs, tmp_path):
    recipe = replace(TINY, steps=4)

    def run(out, sessions):
        for k in range(sessions):
            session = Session(out, minutes=1e-9 if k < sessions - 1 else None, validate_every=1000)
            path = train(recipe, photographs[:2], photographs[2:], session, lambda *_: None)
        return nets.load(path).state_dict(), path

    (whole, path), (parts, _) = run(tmp_path / "whole", 1), run(tmp_path / "parts", 2)
    assert all(torch.equal(parts[name], whole[name]) for name in whole)
    assert path.name == "vsrgan-x4.safetensors"


def test_clips_move_over_photographs():
    """Panned frames are crops of the photograph; consecutive frames differ little."""
    image = scene(90, 100).clip(0, 255).astype(np.uint8)
    clips = Clips([image[None]], (5, 32), "cpu")
    random = torch.Generator().manual_seed(0)
    views = np.lib.stride_tricks.sliding_window_view(image, (32, 32)).reshape(-1, 32, 32)
    places = {np.ascontiguousarray(view).tobytes() for view in views}
    whole = 0
    for _ in range(30):
        drawn = clips.draw(1, random)[0, :, 0]
        assert drawn.shape == (5, 32, 32)
        assert float(drawn.min()) >= 0
        assert float(drawn.max()) <= 1
        frames = (drawn * 255).round().byte().numpy()
        found = [
            any(np.ascontiguousarray(way).tobytes() in places for way in (frame, frame[:, ::-1]))
            for frame in frames
        ]
        whole += all(found)
        assert float((drawn[1:] - drawn[:-1]).abs().mean()) < 0.25
    assert 8 < whole < 24  # about half


@pytest.mark.parametrize("layered", [0.0, 1.0])
def test_motion_points_to_where_a_pixel_was(layered, monkeypatch):
    """The previous frame, read at the motion, equals the frame except where it was occluded."""
    monkeypatch.setattr(clips_module, "LAYERED", layered)
    smooth = ndimage.gaussian_filter(scene(150, 160), 2).clip(0, 255).astype(np.uint8)
    clips, random = Clips([smooth[None]], (4, 64), "cpu"), torch.Generator().manual_seed(0)
    line = torch.arange(64.0)
    right, wrong = [], []
    for _ in range(12):
        frames, motion = (each[0] for each in clips.draw_moving(1, random))
        assert motion.shape == (3, 2, 64, 64)
        there = torch.stack([line + motion[:, 0], line[:, None] + motion[:, 1]])
        inside = ((there >= 1) & (there <= 62)).all(0)
        for found, flow in ((right, motion), (wrong, -motion)):
            apart = (warped(frames[:-1], flow) - frames[1:]).abs()[:, 0]
            found.append(float(apart[inside].median()))
    assert max(right) < (0.01 if layered else 0.0025)
    assert np.mean(wrong) > 10 * np.mean(right)


def test_flow_alone_learns_how_photographs_move(photographs):
    """The loss decreases on unseen videos; the other weights do not change."""
    recipe = replace(
        TINY.by_pixels(), pixel=0.0, motion=1.0, warp=0.0, frames=2, batch=4, steps=60, rate=2e-3
    )
    state, clips = State(recipe, "cpu"), Clips(photographs, (2, 64), "cpu")
    first = State(recipe, "cpu").net
    lost = [step(state, clips) for _ in range(60)]
    assert set(lost[0]) == {"motion"}
    random = torch.Generator().manual_seed(9)
    wanted, motion = clips.draw_moving(16, random)
    seen = degraded_videos(recipe, wanted, random, 4)
    true = nn_pool(motion[:, 0])
    with torch.no_grad():
        before, after = (
            float((net.flow(seen[:, 1], seen[:, 0]) - true).square().sum(1).sqrt().mean())
            for net in (first, state.averaged())
        )
    assert after < 0.9 * before
    kept = zip(first.srnet.parameters(), state.net.srnet.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in kept)


def nn_pool(motion):
    return torch.nn.functional.avg_pool2d(motion, 4) / 4


def test_unknown_motion_adds_no_loss(photographs, monkeypatch):
    """Videos without known motion add only the warping loss, and weights stay finite."""
    video = np.stack([np.roll(photographs[0], k, 2) for k in range(4)])
    state = State(replace(TINY.by_pixels(), motion=1.0), "cpu")
    clips = Clips(photographs, (4, 64), "cpu", [video])
    monkeypatch.setattr(clips_module, "REAL", 1.0)
    lost = step(state, clips)
    assert lost["motion"] == 0
    assert lost["warp"] > 0
    assert all(torch.isfinite(value).all() for value in state.net.parameters())


def test_real_videos(tmp_path):
    for name, count in (("one", 6), ("two", 5)):
        (tmp_path / name).mkdir()
        for k in range(count):
            pixels = np.full((40, 50, 3), 10 * k, np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{k:03}.png")
    (tmp_path / "notes").mkdir()
    found = films(tmp_path, 3)
    assert [each.shape for each in found] == [(6, 3, 40, 50), (5, 3, 40, 50)]
    photograph = np.full((1, 3, 64, 64), 255, np.uint8)[0]
    drawn = Clips([photograph], (4, 32), "cpu", found).draw(20, torch.Generator().manual_seed(0))
    real = [clip for clip in drawn if float(clip.max()) < 0.9]
    assert 4 < len(real) < 16
    for clip in real:
        torch.testing.assert_close(clip[1:] - clip[:-1], torch.full_like(clip[1:], 10 / 255))
    with pytest.raises(ValueError, match="a video of 5 frames of 50 x 40 pixels is smaller than 6"):
        Clips([photograph], (6, 32), "cpu", found)
    with pytest.raises(ValueError, match="has no subfolders with images"):
        films(tmp_path / "one", 3)


def test_blurred_videos_are_every_fourth_pixel_of_a_gaussian(photographs):
    recipe = replace(TINY, task="blurred")
    wanted = torch.from_numpy(photographs[0][:, :88, :96] / 255).float()[None, None]
    seen = degraded_videos(recipe, wanted, torch.Generator(), 4)[0, 0].numpy()
    expected = ndimage.gaussian_filter(
        wanted[0, 0].numpy().astype(float), (0, 1.5, 1.5), radius=6, mode="mirror"
    )
    np.testing.assert_allclose(seen, expected[:, ::4, ::4], atol=1e-5)


def test_the_frames_of_a_degraded_video_are_degraded_alike():
    frames = torch.rand(1, 1, 3, 64, 64).expand(2, 3, -1, -1, -1).contiguous()
    recipe = replace(TINY, task="degraded", sizes={**TINY.sizes, "scale": 1})
    seen = degraded_videos(recipe, frames, torch.Generator().manual_seed(3), 1)
    within = (seen[:, 1:] - seen[:, :-1]).abs().mean((1, 2, 3, 4))
    between = (seen[0] - seen[1]).abs().mean()
    assert float(within.max()) < float(between)  # their noise differs, their blur does not
    assert float(within.min()) > 0


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"frames": 1, "pingpong": 0.0}, "frames for network='vsrgan' must be 2 or more"),
        ({"adversary": "unet"}, "adversary for videos must be 'film' if and only if frames"),
        ({"frames": 0}, "frames must be a whole number of 1 or more, got 0"),
        ({"network": "srresnet", "frames": 1, "adversary": "", "task": "blurred", "pingpong": 0.0},
         "task of images must be another than 'blurred', got 'blurred'"),
    ],
)  # fmt: skip
def test_bad_recipes(more, message):
    with pytest.raises(ValueError, match=message):
        replace(TINY, **more)


def test_the_command(tmp_path, capsys):
    (tmp_path / "photographs").mkdir()
    for k in range(2):
        planes = [scene(90, 100, seed=k + c) for c in range(3)]
        Image.fromarray(np.stack(planes, -1).clip(0, 255).astype(np.uint8)).save(
            tmp_path / "photographs" / f"{k}.png"
        )
    words = ["train", "vsrgan", "--images", tmp_path / "photographs", "--out", tmp_path / "out",
             "--set", "steps=2", "--set", "frames=3", "--set", "patch=32", "--set", "batch=1",
             "--set", "sizes.blocks=1", "--set", "sizes.width=8", "--set",
             "adversary_sizes.width=4", "--quiet"]  # fmt: skip
    assert main([str(word) for word in words]) == 0
    assert capsys.readouterr().err == ""
    for name in ("vsrgan-x4.safetensors", "pixels/vsr-x4.safetensors", "log.csv", "crops.png"):
        assert (tmp_path / "out" / name).is_file()
    assert nets.load(tmp_path / "out" / "vsrgan-x4.safetensors").scale == 4
    assert main([str(w) for w in [*words, "--films", tmp_path / "photographs"]]) == 2
    assert "has no subfolders with images" in capsys.readouterr().err
    words[words.index("steps=2")] = "sizes.scale=3"
    assert main([str(word) for word in words]) == 2
    assert "sizes of vsrgan: scale must be 1, 2 or 4, got 3" in capsys.readouterr().err


def test_a_video_network_begins_with_one_for_images(tmp_path):
    """The blocks are those of the file, and the weights of its other inputs are zero at first."""
    single = SRResNet(blocks=2, width=8)
    save(single, tmp_path / "one.safetensors", sigmas=(0, 0))
    recipe = replace(TINY, sizes={"blocks": 2, "width": 8}, begin=str(tmp_path / "one.safetensors"))
    net, kept = State(recipe, "cpu").net, single.half().float()
    torch.testing.assert_close(net.srnet.conv_in[0].weight[:, :3], kept.conv_first.weight)
    assert not net.srnet.conv_in[0].weight[:, 3:].any()
    features = torch.rand(1, 8, 5, 6)
    torch.testing.assert_close(net.srnet.resblocks(features), kept.body(features))


def test_a_video_network_begins_with_the_flow_of_another(photographs, tmp_path):
    """Start from a file with the flow, and take the other weights from a network for images."""
    sizes = {"blocks": 2, "width": 8, "flow_width": 4}
    flow = replace(TINY.by_pixels(), sizes=sizes, pixel=0.0, motion=1.0, steps=2)
    session = Session(tmp_path / "flow")
    path = train(flow, photographs[:2], photographs[2:], session, lambda *_: None)
    assert path.name == "flow-x4.safetensors"
    header = (tmp_path / "flow" / "log.csv").read_text().split("\n")[0]
    assert "motion" in header
    assert "psnr" not in header
    single = SRResNet(blocks=2, width=8)
    save(single, tmp_path / "one.safetensors", sigmas=(0, 0))
    recipe = Recipe.of(
        dataclasses.asdict(replace(TINY, sizes=sizes))
        | {"begin": [str(path), str(tmp_path / "one.safetensors")]}
    )
    net, found = State(recipe, "cpu").net, nets.load(path)
    assert counted(found.fnet) < counted(VSRGAN(blocks=1, width=8).fnet) / 50
    assert all(
        torch.equal(a, b)
        for a, b in zip(net.fnet.parameters(), found.fnet.parameters(), strict=True)
    )
    kept = single.half().float()
    torch.testing.assert_close(net.srnet.conv_in[0].weight[:, :3], kept.conv_first.weight)
