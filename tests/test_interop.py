"""Conversion between array libraries: NumPy layouts, torch, the array API, a stand-in for CuPy."""

import sys

import numpy as np
import pytest

from fastrestore._arrays import interop

IMAGE = np.arange(24.0).reshape(4, 6)


@pytest.mark.parametrize(
    "image",
    [IMAGE, IMAGE[::-1, ::2], IMAGE.T, IMAGE.astype(">f4"), IMAGE.astype(">u2"), np.float32(3)],
    ids=["plain", "strides", "transposed", "big-endian float", "big-endian integer", "scalar"],
)
def test_numpy_arrays_are_not_copied(image):
    values, restore = interop.recognize("image", image)
    assert isinstance(values, np.ndarray)
    assert values.dtype == image.dtype
    assert values.shape == image.shape
    np.testing.assert_array_equal(values, image)
    assert not isinstance(image, np.ndarray) or np.shares_memory(values, image)
    assert restore(values) is values


def test_read_only_arrays_stay_read_only():
    image = IMAGE.copy()
    image.flags.writeable = False
    assert not interop.recognize("image", image)[0].flags.writeable


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("u1", "f4"), ("i8", "f4"), (">u2", "f4"), ("f2", "f2"), ("f4", "f4"), (">f8", "f8")],
)
def test_types_of_results(dtype, expected):
    result = interop.result_dtype(np.dtype(dtype))
    assert result == np.dtype(expected)
    assert result.isnative


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.ma.array(IMAGE), r"image is a masked array.*mask=~image.mask"),
        (IMAGE * 1j, r"image is complex \(complex128\); restore image.real and image.imag"),
        (IMAGE > 3, r"image is boolean; convert it: image.astype\('float32'\)"),
        (np.array(["a"]), "image must hold real numbers, got dtype <U1"),
        (np.array([None]), "image must hold real numbers, got dtype object"),
        ([[1, 2]], r"image must be an array, got list \[\[1, 2\]\]; numpy.asarray\(image\) may"),
        ("a.png", "image must be an array, got str 'a.png'; read the file first"),
        (None, "image must be an array, got NoneType None"),
    ],
)
def test_other_objects_raise(image, message):
    with pytest.raises(TypeError, match=message):
        interop.recognize("image", image)


def test_torch_tensors_share_memory():
    torch = pytest.importorskip("torch")
    tensor = torch.arange(6, dtype=torch.float32).reshape(2, 3)
    values, restore = interop.recognize("image", tensor)
    values[0, 0] = 9
    assert tensor[0, 0] == 9
    back = restore(values)
    assert isinstance(back, torch.Tensor)
    assert back.data_ptr() == tensor.data_ptr()
    for wrong, message in (
        (tensor.requires_grad_(), r"image requires a gradient.*pass image.detach\(\)"),
        (torch.zeros(2, device="meta"), r"image is on device 'meta', which no backend uses"),
        (torch.zeros(2, dtype=torch.bfloat16), r"image cannot be used as it is .*image.float\(\)"),
    ):
        with pytest.raises(TypeError, match=message):
            interop.recognize("image", wrong)


class Other:
    """An array of another library that follows the array API standard."""

    def __init__(self, values, device=(1, 0)):
        self.values, self.device = values, device

    def __dlpack__(self, **options):
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.device

    def __array_namespace__(self):
        return type("namespace", (), {"from_dlpack": lambda array: Other(np.from_dlpack(array))})


def test_arrays_of_the_array_api_share_memory():
    image = IMAGE.copy()
    values, restore = interop.recognize("image", Other(image))
    assert np.shares_memory(values, image)
    back = restore(values)
    assert isinstance(back, Other)
    assert np.shares_memory(back.values, image)


def test_unsupported_devices(monkeypatch):
    with pytest.raises(TypeError, match=r"on device \(8, 0\), which no backend uses; move image"):
        interop.recognize("image", Other(IMAGE, (8, 0)))
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(TypeError, match=r"\(2, 0\), which needs CuPy .*; or move image to the"):
        interop.recognize("image", Other(IMAGE, (2, 0)))


def test_axes():
    image = np.zeros((4, 5, 3))
    assert interop.channels_first(image, -1).shape == (3, 4, 5)
    assert interop.channels_first(image[0], None).shape == (1, 5, 3)
    for source in range(-3, 3):
        for target in range(-3, 3):
            moved = interop.move_axis(image, source, target)
            assert moved.shape == np.moveaxis(image, source, target).shape
            assert np.shares_memory(moved, image)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_planes_become_images(axis):
    image = np.random.default_rng(0).random((3, 4, 5)).astype(">f4")
    planes = interop.channels_first(image, axis).astype(np.float64)
    result = interop.planes_to_image(planes, image, axis)
    np.testing.assert_array_equal(result, image)
    assert result.flags.c_contiguous
    assert result.dtype == np.float32
    gray = interop.planes_to_image(planes[:1], image[0].astype(np.uint8), None)
    assert gray.shape == planes.shape[1:]
    assert gray.dtype == np.float32


def test_float64():
    assert interop.to_float64([1, 2]).dtype == np.float64
    assert interop.to_float64(IMAGE) is IMAGE


def test_the_host():
    copies = interop.DeviceCopies(IMAGE)
    assert copies.like(IMAGE) is IMAGE
    assert interop.namespace(IMAGE) is np
    assert interop.ndimage(IMAGE).__name__ == "scipy.ndimage"
    assert interop.place_like(IMAGE, IMAGE) is interop.to_host(IMAGE) is IMAGE
    with interop.use_device_of(IMAGE):
        pass


@pytest.mark.usefixtures("fake")
def test_arrays_on_a_gpu():
    cupy = interop.load_cupy()
    first = cupy.asarray(IMAGE)
    with cupy.cuda.Device(1):
        second = cupy.asarray(IMAGE)
    values, restore = interop.recognize("image", first)
    assert restore(values) is values is first
    assert interop.namespace(first) is cupy
    assert not interop.on_host(first)
    np.testing.assert_array_equal(interop.to_host(first), IMAGE)
    with interop.use_device_of(second):
        placed = interop.place_like(IMAGE, second)
    assert placed.device.id == 1
    assert interop.place_like(first, second) is first
    interop.check_same_device("guide", first, first)
    with pytest.raises(ValueError, match="guide is on the host and image on GPU 0; move one"):
        interop.check_same_device("guide", IMAGE, first)
    with pytest.raises(ValueError, match="guide is on GPU 1 and video on GPU 0; move one"):
        interop.check_same_device("guide", second, first, "video")


def test_one_copy_for_each_gpu(fake):
    copies, images = interop.DeviceCopies(IMAGE), []
    for number in (0, 1):
        with fake.cuda.Device(number):
            images.append(fake.asarray(IMAGE))
    before = fake.count("h2d")
    for image in (*images, *images):
        with image.device:
            copy = copies.like(image)
        assert copy.device.id == image.device.id
        np.testing.assert_array_equal(copy.get(), IMAGE)
    assert fake.count("h2d") == before + 2
    assert copies.like(IMAGE) is IMAGE


def test_results_return_to_the_gpu(fake):
    image = fake.asarray(np.zeros((4, 5, 3), np.uint8))
    result = interop.planes_to_image(np.ones((3, 4, 5)), image, -1)
    assert interop.is_cupy(result)
    assert result.shape == (4, 5, 3)
    assert result.dtype == np.float32
