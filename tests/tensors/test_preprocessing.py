from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'vtsearch[train]'")

from PIL import Image  # noqa: E402

from vtsearch.tensors.preprocessing import Preprocessing, to_tensor  # noqa: E402


def noise(height, width, seed=0):
    return torch.randint(256, (3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def test_a_batch_gives_the_pixels_of_its_images_alone():
    preprocessing = Preprocessing(48)
    images = torch.stack([noise(32, 32, seed) for seed in range(3)])
    alone = torch.stack([preprocessing.prepare(image) for image in images])
    assert torch.equal(preprocessing.prepare(images), alone)


def test_values_are_normalized_per_channel():
    preprocessing = Preprocessing(4, mean=(0.5, 0.25, 0.0), std=(0.5, 0.25, 1.0))
    white = torch.full((3, 4, 4), 255, dtype=torch.uint8)
    torch.testing.assert_close(preprocessing.normalize(white)[:, 0, 0], torch.tensor([1.0, 3.0, 1.0]))


def test_small_square_images_are_resized_without_a_crop():
    preprocessing = Preprocessing(96)
    image = Image.fromarray(noise(32, 32).permute(1, 2, 0).numpy())
    whole = image.resize((96, 96), Image.Resampling.BICUBIC)
    difference = preprocessing.square(to_tensor(image)).int() - to_tensor(whole).int()
    assert difference.abs().max() <= 1  # Pillow rounds between its two passes


def test_large_images_are_resized_by_the_shorter_side_and_center_cropped():
    preprocessing = Preprocessing(90, crop_pct=0.9)
    image = Image.fromarray(noise(200, 300).permute(1, 2, 0).numpy())
    middle = image.resize((150, 100), Image.Resampling.BICUBIC).crop((30, 5, 120, 95))
    difference = preprocessing.square(to_tensor(image)).int() - to_tensor(middle).int()
    assert difference.abs().max() <= 1


@pytest.mark.parametrize("shape", [(31, 200), (200, 31), (96, 97), (1, 1), (300, 300)])
def test_every_shape_ends_square(shape):
    assert Preprocessing(96).prepare(noise(*shape)).shape == (3, 96, 96)


def test_grey_and_transparent_images_become_three_channels():
    for mode in ("L", "RGBA", "P", "1"):
        assert to_tensor(Image.new(mode, (5, 4))).shape == (3, 4, 5)


def test_fields_survive_json():
    preprocessing = Preprocessing(96, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6), "bilinear", 0.875)
    fields = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(preprocessing).items()}
    assert Preprocessing.from_dict(fields) == preprocessing
    assert Preprocessing.from_dict(preprocessing.to_dict()) == preprocessing
    with pytest.raises(TypeError, match="crop"):
        Preprocessing.from_dict({**fields, "crop": 1})


def test_other_fields_have_another_fingerprint():
    assert Preprocessing(96).fingerprint() == Preprocessing(96).fingerprint()
    assert Preprocessing(96).fingerprint() != Preprocessing(96, crop_pct=1.0).fingerprint()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"image_size": 0}, "image_size: expected at least 1, got 0"),
        ({"crop_pct": 1.5}, "crop_pct: expected a number above 0 and at most 1, got 1.5"),
        ({"interpolation": "nearest"}, "interpolation: expected 'bilinear' or 'bicubic', got 'nearest'"),
        ({"std": (1.0, 1.0, 0.0)}, "mean, std: expected three numbers each"),
        ({"mean": (0.5, 0.5)}, "mean, std: expected three numbers each"),
    ],
)
def test_fields_out_of_range_are_named(fields, message):
    with pytest.raises(ValueError, match=message):
        Preprocessing(**{"image_size": 32, **fields})


def test_pixels_of_another_kind_are_refused():
    with pytest.raises(TypeError, match=r"images: expected uint8 pixels, got torch.float32"):
        Preprocessing(8).prepare(torch.zeros(3, 8, 8))
    with pytest.raises(ValueError, match=r"images: expected shape \(..., 3, h, w\), got \(1, 8, 8\)"):
        Preprocessing(8).prepare(torch.zeros(1, 8, 8, dtype=torch.uint8))
