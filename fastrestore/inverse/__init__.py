"""Restore blurred, incomplete or small images with any denoiser (plug-and-play).

>>> from fastrestore import inverse
>>> forward = inverse.Blur(psf)  # doctest: +SKIP
>>> restored = inverse.pnp(image, forward, sigma=2)  # doctest: +SKIP

`fastrestore.deblur`, `fastrestore.inpaint` and `fastrestore.demosaic` are built from these parts.
The public names are listed in ``__init__.pyi`` and loaded on first use.
"""

from fastrestore import _attach_stub

__getattr__, __dir__ = _attach_stub(__name__, __file__)
