"""The widget for denoising."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import napari.viewer
from magicgui.widgets import CheckBox, ComboBox, FloatSlider, FloatSpinBox, Label, PushButton
from napari.layers import Image

from fastrestore._napari import lazy, script
from fastrestore._napari.action import Action, Job, align_left
from fastrestore._napari.axes import Axes, stackable, usual_kind
from fastrestore._napari.compare import bind
from fastrestore._napari.estimates import Noise
from fastrestore._napari.layers import data_of
from fastrestore._napari.noise_plot import show_noise
from fastrestore._napari.preview import Preview
from fastrestore._napari.settings import MODELS, PROFILES, STACK_MODELS, Settings
from fastrestore._napari.whole import Result, denoised, script_lines

KINDS = [("each plane by itself", "planes"), ("as a volume", "volume"), ("as a film", "film")]
GIVEN = "given level"


class Denoise(Action):
    """Denoise a layer, with a preview of what is seen.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer it belongs to.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer, "Denoise")
        self.kind = ComboBox(label="Restore", choices=KINDS, value="planes")
        self.stacked = ComboBox(label="along", choices=self._free_axes)
        self.channels = ComboBox(label="Channels", choices=self._channel_axes)
        self.noise = ComboBox(label="Noise", choices=self._models)
        self.sigma = FloatSpinBox(label="Level (sigma)", min=0, max=1e9, step=1, value=10)
        self.strength = FloatSlider(label="Strength", min=0, max=2, step=0.05, value=1)
        self.method = ComboBox(label="Method", choices=_methods(), value="auto")
        self.profile = ComboBox(label="Profile", choices=self._profiles)
        self.reads = Label(label="Reads", value="", visible=False)
        self.found = Label(label="Noise found", value="")
        self.plot = PushButton(text="Plot noise", enabled=False)
        self.shown = CheckBox(text="Preview of what is seen", value=False)
        self.last: Noise | None = None
        self.preview = Preview(viewer, self.settings, self.say, self._found)
        align_left(self.found)
        align_left(self.reads)
        self.add_settings(
            self.kind, self.stacked, self.channels, self.noise, self.sigma, self.strength,
            self.method, self.profile, self.reads, self.shown, self.found, self.plot,
        )  # fmt: skip
        self._connect_settings()
        self._new_layer()

    def settings(self) -> tuple[Image, Settings]:
        """Return the layer and what is chosen for it; raise ValueError if that is impossible."""
        layer = self.source()
        kind = self.kind.value
        if kind != "planes" and layer.ndim < 3:
            raise ValueError(f"{layer.name} is one plane, neither a volume nor a film.")
        stacked = None if kind == "planes" else self.stacked.value
        channels = None if layer.rgb or layer.ndim < 3 else self.channels.value
        if channels is not None and channels == stacked:
            raise ValueError("Slices or frames, and channels, need different axes.")
        axes = Axes(tuple(layer.axis_labels), kind, stacked, channels, layer.rgb)
        given = self.noise.value == GIVEN
        return layer, Settings(
            axes,
            self.sigma.value if given else None,
            "auto" if given else self.noise.value,
            round(self.strength.value, 2),
            self.method.value if kind == "planes" else "auto",
            self.profile.value,
        )

    def job(self) -> Job:
        """Return the call for the whole layer."""
        layer, settings = self.settings()
        image, arguments = data_of(layer), settings.arguments()
        name = f"{layer.name} (denoised)"
        before, after = script_lines(image, settings)
        text = script.script(
            layer.name, name, script.call("denoise", ["image"], arguments), before, after
        )
        return Job(
            layer,
            lambda report: denoised(image, settings, report),
            "denoise",
            arguments,
            name,
            text,
        )

    def _connect_settings(self) -> None:
        """Let the preview follow what is chosen."""
        self.kind.changed.connect(self._new_kind)
        self.noise.changed.connect(self._show_settings)
        self.method.changed.connect(self._show_settings)
        self.shown.changed.connect(self._switch)
        self.plot.changed.connect(self._plot)
        for each in (self.stacked, self.channels, self.noise, self.sigma, self.strength,
                     self.method, self.profile):  # fmt: skip
            each.changed.connect(self.preview.schedule)

    def _new_layer(self) -> None:
        """Choose what the labels of the axes suggest."""
        layer = self.layer.value
        if layer is not None:
            kind, axis = usual_kind(layer.axis_labels)
            self.kind.value = kind
            self.reset_choices()
            if axis is not None:
                self.stacked.value = axis
        self.last, self.plot.enabled, self.found.value = None, False, ""
        self.preview.restart()
        self._show_settings()

    def _new_kind(self, *_: Any) -> None:
        """Offer what applies to planes, volumes or films."""
        self.reset_choices()
        self._show_settings()
        self.preview.schedule()

    def _show_settings(self, *_: Any) -> None:
        """Show the settings that apply."""
        layer, is_stack = self.layer.value, self.kind.value != "planes"
        deep = layer is not None and layer.ndim > 2
        self.stacked.visible = is_stack and deep
        self.channels.visible = deep and not layer.rgb
        self.sigma.visible = self.noise.value == GIVEN
        self.found.visible = self.plot.visible = not self.sigma.visible
        self.method.visible = not is_stack and len(self.method.choices) > 1
        self.profile.visible = self.method.value != "unet" and len(self.profile.choices) > 1
        self.reads.value = self._read()
        self.reads.visible = bool(self.reads.value)

    def _read(self) -> str:
        """Return what is read of a lazy layer."""
        try:
            layer, settings = self.settings()
        except ValueError:
            return ""
        return lazy.memory(data_of(layer), settings)

    def _added(self, job: Job, restored: Result) -> None:
        self.shown.value = False  # it would hide the result
        super()._added(job, restored)

    def _switch(self, shown: bool) -> None:
        """Show or hide the preview."""
        if shown:
            self.preview.start()
        else:
            self.preview.stop()
            self._offer()

    def _compare(self, *_: Any) -> None:
        """Show the image before and the preview in turns, if there is one."""
        if self.preview.layer is None:
            super()._compare()
        else:
            self.preview.step()

    def _offer(self) -> None:
        super()._offer()
        if self.preview.layer is not None:
            self.compare.enabled = True
            bind(self.viewer, self.preview)

    def _found(self, noise: Noise) -> None:
        """Show the noise that was found."""
        self._offer()
        self.last = noise
        self.found.value = noise.text()
        self.found.tooltip = noise.reason
        self.plot.enabled = hasattr(noise.spec, "plot")

    def _plot(self, *_: Any) -> None:
        """Open a window with the noise."""
        if self.last is None or not hasattr(self.last.spec, "plot"):
            return
        text = f"{self.last.text()}. {self.last.reason}"
        try:
            self.window_of_noise = show_noise(self.last.spec, text, self.native)
        except ImportError as error:
            self.say(str(error))

    def _removed(self, event: Any) -> None:
        """Turn the preview off if it was removed, or what it shows."""
        if event.value in (self.preview.layer, self.preview.source):
            self.shown.value = False
        super()._removed(event)

    def _detached(self) -> None:
        super()._detached()
        self.shown.value = False

    def _closed(self, *_: Any) -> None:
        super()._closed()
        self.preview.close()

    def _free_axes(self, *_: Any) -> list[tuple[str, int]]:
        """Return the axes along which slices or frames can be stacked."""
        layer = self.layer.value
        if layer is None:
            return []
        shape = data_of(layer).shape
        return [(f"{layer.axis_labels[k]} ({shape[k]})", k) for k in stackable(layer.axis_labels)]

    def _channel_axes(self, *_: Any) -> list[tuple[str, int | None]]:
        """Return the axes whose images can be filtered in the same groups."""
        together = [(f"together along {text}", axis) for text, axis in self._free_axes()]
        return [("one by one", None), *together]

    def _models(self, *_: Any) -> list[tuple[str, str]]:
        """Return what can be known of the noise."""
        models = MODELS if self.kind.value == "planes" else STACK_MODELS
        named = [(f"estimate, {name}", name) for name in models[1:]]
        return [("estimate", "auto"), *named, (GIVEN, GIVEN)]

    def _profiles(self, *_: Any) -> list[tuple[str, str | None]]:
        """Return the profiles that suit planes, or the default alone."""
        names = PROFILES[1:] if self.kind.value == "planes" else ()
        return [("default", None), *((name, name) for name in names)]


def _methods() -> list[tuple[str, str]]:
    """Return the methods that are installed."""
    networks = [("BM3D and a network", "hybrid"), ("network", "unet")] if find_spec("torch") else []
    return [("BM3D", "auto"), *networks]
