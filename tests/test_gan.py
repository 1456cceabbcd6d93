"""Generators and discriminators: shapes, files of other packages, losses, and training steps."""

from dataclasses import replace

import numpy as np
import pytest
from support.nets import torch_or_skip

torch = torch_or_skip()

from support.images import scene  # noqa: E402

from fastrestore import nets  # noqa: E402
from fastrestore.nets import (  # noqa: E402
    SRVGG,
    RRDBNet,
    SRResNet,
    UNetDiscriminator,
    VGGDiscriminator,
)
from fastrestore.nets.discriminators import gan_losses  # noqa: E402
from fastrestore.nets.files import save  # noqa: E402
from fastrestore.nets.training.checks import differences  # noqa: E402
from fastrestore.nets.training.data import Patches, Sampling  # noqa: E402
from fastrestore.nets.training.loop import Session, train  # noqa: E402
from fastrestore.nets.training.recipe import Recipe  # noqa: E402
from fastrestore.nets.training.state import State, checkpoint  # noqa: E402
from fastrestore.nets.training.steps import Balance, shifted, step  # noqa: E402

SMALL = {
    "srresnet": lambda scale: SRResNet(scale=scale, blocks=2, width=8),
    "srvgg": lambda scale: SRVGG(scale=scale, layers=3, width=8),
    "rrdb": lambda scale: RRDBNet(scale=scale, blocks=1, width=8, growth=4),
}


def shaken(net, seed=0):
    """Replace all weights by random values."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in net.parameters():
            value += 0.05 * torch.randn(value.shape, generator=random)
    return net.eval()


def counted(net):
    return sum(value.numel() for value in net.parameters())


@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize("name", SMALL)
def test_files_of_generators(name, scale, tmp_path):
    net = shaken(SMALL[name](scale))
    image = torch.rand(1, 3, 9, 13, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = net(image)
    assert expected.shape == (1, 3, 9 * scale, 13 * scale)
    torch.save({"params_ema": net.state_dict()}, tmp_path / "net.pth")
    again = nets.load(tmp_path / "net.pth")
    assert (type(again), again.scale, again.radius) == (type(net), scale, net.radius)
    torch.testing.assert_close(again(image), expected)


@pytest.mark.parametrize(
    ("net", "parameters"),
    [
        (SRResNet(), 1_517_571),
        (SRVGG(), 621_424),
        (SRVGG(layers=32), 1_213_296),
        (RRDBNet(), 16_697_987),
        (RRDBNet(blocks=6), 4_467_779),
        (VGGDiscriminator(), 14_499_401),
        (UNetDiscriminator(), 4_376_897),
    ],
)
def test_published_sizes(net, parameters):
    assert counted(net) == parameters


def test_old_names_of_an_rrdb(tmp_path):
    net = shaken(SMALL["rrdb"](4))
    old = {}
    for name, value in net.state_dict().items():
        if name.startswith("body."):
            name = f"RRDB_trunk.{name.removeprefix('body.')}".replace(".rdb", ".RDB")
        for new, before in (
            ("conv_body", "trunk_conv"), ("conv_up1", "upconv1"), ("conv_up2", "upconv2"),
            ("conv_hr", "HRconv"),
        ):  # fmt: skip
            name = name.replace(new, before)
        old[name] = value
    torch.save(old, tmp_path / "old.pth")
    image = torch.rand(1, 3, 8, 8)
    torch.testing.assert_close(nets.load(tmp_path / "old.pth")(image), net(image))


@pytest.mark.parametrize("name", SMALL)
def test_the_radius_is_not_too_small(name):
    net = shaken(SMALL[name](4))
    image = torch.rand(1, 3, 60, 60, generator=torch.Generator().manual_seed(1))
    image.requires_grad_()
    net(image)[0, :, 120:124, 120:124].sum().backward()
    seen = image.grad[0].abs().amax(0)
    reached = max(
        int((30 - seen.amax(0).nonzero().min()).item()), int(seen.amax(0).nonzero().max() - 30)
    )
    assert reached <= net.radius


def test_discriminators():
    for net, shape in ((VGGDiscriminator(width=4), (2, 1)), (UNetDiscriminator(width=4), None)):
        image = torch.rand(2, 3, 128, 128)
        assert net(image).shape == (shape or (2, 1, 128, 128))
        assert len(net.features(image)) >= 4
    assert UNetDiscriminator(width=4)(torch.rand(1, 3, 33, 47)).shape == (1, 1, 33, 47)
    with pytest.raises(ValueError, match=r"images must be 128 x 128 here, got \(64, 64\)"):
        VGGDiscriminator(width=4)(torch.rand(1, 3, 64, 64))


def test_gan_losses():
    """Logits far apart leave nothing to learn; equal ones give the loss of a guess."""
    sure, unsure = torch.full((4, 1), 20.0), torch.zeros(4, 1)
    assert float(gan_losses(sure, -sure, False)[0]) == pytest.approx(0, abs=1e-6)
    assert float(gan_losses(sure, -sure, False)[1]) == pytest.approx(20)
    assert float(gan_losses(unsure, unsure, False)[0]) == pytest.approx(2 * np.log(2))
    assert float(gan_losses(sure, sure, True)[0]) == pytest.approx(np.log(2))
    assert float(gan_losses(sure, -sure, True)[0]) == pytest.approx(0, abs=1e-6)
    assert float(gan_losses(sure, -sure, True)[1]) == pytest.approx(40)


@pytest.mark.parametrize("relativistic", [False, True])
def test_gradients_of_gan_losses(relativistic):
    """Both networks have gradients from both kinds of images, in opposite directions."""
    real, fake = (torch.zeros(3, 1, requires_grad=True) for _ in range(2))
    own, other = gan_losses(real, fake, relativistic)
    up, down = torch.autograd.grad(own, (real, fake), retain_graph=True)
    assert (up < 0).all()
    assert (down > 0).all()
    (wish,) = torch.autograd.grad(other, fake)
    assert (wish < 0).all()
    if relativistic:  # half of it is by the true images, which look less true beside better ones
        torch.testing.assert_close(wish, -down)


@pytest.mark.parametrize("relativistic", [False, True])
def test_discriminator_learns(relativistic):
    """After some steps it separates unseen noise images from smoothed ones."""
    torch.manual_seed(0)
    net = UNetDiscriminator(width=8)
    adam = torch.optim.Adam(net.parameters(), lr=1e-3)
    lost = []
    for _ in range(40):
        real = torch.rand(4, 3, 32, 32)
        fake = torch.nn.functional.avg_pool2d(real, 3, 1, 1)
        loss = gan_losses(net(real), net(fake), relativistic)[0]
        adam.zero_grad()
        loss.backward()
        adam.step()
        lost.append(float(loss.detach()))
    assert lost[-1] < 0.5 * lost[0]


TINY = Recipe(
    network="srresnet", channels=3, sizes={"scale": 4, "blocks": 1, "width": 8}, task="small",
    patch=64, batch=4, steps=20, rate=3e-3, warm=2, average=0.9, adversary="unet",
    adversary_sizes={"width": 8}, pixel=1.0, features=0.1, adversarial=0.01, relativistic=True,
)  # fmt: skip
DEGRADED = replace(
    TINY, network="unet", sizes={"widths": (8, 8), "blocks": 1, "takes_sigma": False},
    task="degraded", relativistic=False,
)  # fmt: skip


@pytest.fixture(scope="module")
def photographs():
    return [
        np.stack([scene(90, 100, seed=3 * k + c) for c in range(3)]).clip(0, 255).astype(np.uint8)
        for k in range(3)
    ]


def patches_of(recipe, images):
    scale = 4 if recipe.task == "small" else 1
    return Patches(images, Sampling(recipe.patch, recipe.shrink, scale=scale), "cpu")


@pytest.mark.parametrize("recipe", [TINY, DEGRADED], ids=["larger", "degraded"])
def test_each_network_has_its_own_update(recipe, photographs, monkeypatch):
    from fastrestore.nets.training import steps

    state = State(recipe, "cpu")
    moved = []

    def copies():
        return [
            [value.detach().clone() for value in net.parameters()]
            for net in (state.net, state.discriminator)
        ]

    def advance(adam, loss, rate, real=steps.advance):
        before = copies()
        real(adam, loss, rate)
        moved.append([
            any(not torch.equal(a, b) for a, b in zip(*pair, strict=True))
            for pair in zip(before, copies(), strict=True)
        ])  # fmt: skip

    monkeypatch.setattr(steps, "advance", advance)
    lost = step(state, patches_of(recipe, photographs))
    assert moved == [[True, False], [False, True]]
    assert set(lost) == {"pixel", "features", "adversarial", "adversary", "accuracy", "ratio"}
    assert 0 <= lost["accuracy"] <= 1


@pytest.mark.parametrize("recipe", [TINY, DEGRADED], ids=["larger", "degraded"])
def test_twenty_steps_lower_the_loss_of_pixels(recipe, photographs):
    state, patches = State(recipe, "cpu"), patches_of(recipe, photographs)
    first = State(recipe, "cpu")
    for _ in range(20):
        step(state, patches)

    def lost(net):
        from fastrestore.nets.training.tasks import draw_degraded

        random = torch.Generator().manual_seed(99)
        with torch.no_grad():
            pairs = [draw_degraded(recipe, patches, random) for _ in range(5)]
            return float(sum((net(seen) - wanted).abs().mean() for seen, _, wanted in pairs))

    assert lost(state.averaged()) < lost(first.net)


def test_a_resumed_gan_is_bitwise_the_same(photographs, tmp_path):
    recipe = replace(TINY, steps=6)

    def run(out, sessions):
        for k in range(sessions):
            session = Session(out, minutes=1e-9 if k < sessions - 1 else None, validate_every=1000)
            path = train(recipe, photographs[:2], photographs[2:], session, lambda *_: None)
        return nets.load(path).state_dict(), path

    (whole, path), (parts, _) = run(tmp_path / "whole", 1), run(tmp_path / "parts", 3)
    assert all(torch.equal(parts[name], whole[name]) for name in whole)
    assert path.name == "gan-x4.safetensors"
    files = {each.stem for each in checkpoint(tmp_path / "whole").glob("*.safetensors")}
    assert {"adversary_weights", "adversary_exp_avg", "weights", "mean"} <= files


def test_a_training_that_begins_with_weights(photographs, tmp_path):
    path = train(
        replace(TINY.by_pixels(), steps=2), photographs[:2], photographs[2:], Session(tmp_path),
        lambda *_: None,
    )  # fmt: skip
    assert path.name == "srresnet-x4.safetensors"
    begun = State(replace(TINY, begin=str(path)), "cpu").net.state_dict()
    assert all(
        torch.equal(begun[name], value) for name, value in nets.load(path).state_dict().items()
    )


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (SRResNet(blocks=2, width=8), "blocks is 2 there and 1 here"),
        (SRResNet(1, 2, 1, 4), "channels is 1 there and 3 here, scale is 2 .*, width is 4 there"),
        (SRVGG(layers=2, width=8), "is a SRVGG, and the recipe trains a SRResNet"),
    ],
)
def test_a_beginning_of_other_sizes(tmp_path, net, message):
    save(net, tmp_path / "other.safetensors", sigmas=(0, 0))
    with pytest.raises(ValueError, match=message):
        State(replace(TINY, begin=str(tmp_path / "other.safetensors")), "cpu")


def test_a_patch_is_whole_pixels_of_the_small_image():
    fields = {
        "network": "srvgg",
        "channels": 3,
        "task": "small",
        "patch": 128,
        "sizes": {"scale": 3},
    }
    with pytest.raises(ValueError, match="multiple of 24 for scale 3, got 128; write patch=120 or"):
        Recipe.of(fields)
    assert Recipe.of(fields | {"patch": 120.0}).patch == 120
    with pytest.raises(
        ValueError, match="task='noise' is for networks of scale 1, and this one has scale 3"
    ):
        Recipe.of(fields | {"patch": 120, "task": "noise"})
    with pytest.raises(ValueError, match="is for networks that enlarge, and this one has scale 1"):
        Recipe.of(fields | {"sizes": {"scale": 1}})
    with pytest.raises(
        ValueError, match=r"has no sigma, which unet needs; write sizes.takes_sigma=false"
    ):
        Recipe.of({"network": "unet", "task": "degraded"})


WHOLE = "a whole number of 1 or more"


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [("width", 0, WHOLE), ("width", "8", WHOLE), ("channels", 2, "1 or 3"),
     ("channels", True, WHOLE), ("scale", 2.0, WHOLE)],
)  # fmt: skip
def test_sizes_are_whole_numbers(kind, name, value, expected):
    made = {"srresnet": SRResNet, "srvgg": SRVGG, "rrdb": RRDBNet}[kind]
    error = ValueError if isinstance(value, int) and value is not True else TypeError
    with pytest.raises(error, match=f"{name} must be {expected}, got {value!r}"):
        made(**{name: value})


def test_differences_of_sizes():
    there = {"steps": 3, "sizes": {"width": 8}, "adversary_sizes": {}, "begin": ""}
    here = there | {"sizes": {"width": 8, "blocks": 2}, "begin": "x"}
    said = "begin is '' there and 'x' here, sizes.blocks is not given there and 2 here"
    assert differences(there, here) == said


def test_unbalanced_training_raises():
    balance = Balance()

    def update(accuracy, steps):
        for _ in range(steps):
            balance.update(accuracy)

    update(0.5, 1000)
    update(1.0, 2000)
    update(0.6, 100)  # too few steps to count
    with pytest.raises(RuntimeError, match="the discriminator is too strong: its accuracy was 100"):
        update(1.0, 5000)
    with pytest.raises(RuntimeError, match="the discriminator is too weak"):
        update(0.0, 8000)


def test_discriminators_take_random_crops():
    """The same part of both, of one size, beginning at every pixel sooner or later."""
    random = torch.Generator().manual_seed(0)
    made = torch.arange(48.0 * 64).view(1, 1, 48, 64)
    begins = set()
    for _ in range(300):
        one, other = shifted(made, -made, random)
        assert one.shape == (1, 1, 40, 56)
        assert torch.equal(one, -other)
        begins.add(divmod(int(one[0, 0, 0, 0]), 64))
    assert {y for y, _ in begins} == {x for _, x in begins} == set(range(9))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"adversary": "resnet"}, "adversary must be one of '', 'vgg', 'unet', 'film', got"),
        ({"adversary": "vgg", "patch": 64}, "patch for adversary='vgg' must be 128, got 64"),
        (
            {"task": "blur"},
            "task must be one of 'noise', 'small', 'blurred', 'degraded', 'photographs'",
        ),
    ],
)
def test_bad_recipes(more, message):
    with pytest.raises(ValueError, match=message):
        replace(TINY, **more)
