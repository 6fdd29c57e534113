"""``HashEncoder``: what scikit-learn asks of a transformer, around a model or on features."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import estimator_checks_generator

import vtsearch
from vtsearch import HashEncoder
from vtsearch.errors import VtsearchError
from vtsearch.models import ModelConfig, build_model, save_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("estimator") / "model"
    save_model(build_model(ModelConfig("test_vit", 12, head="cls", image_size=32, pretrained=False)), folder)
    return str(folder)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)


CHECKS = {
    f"{check.func.__name__}-{number}": check
    for number, (_, check) in enumerate(estimator_checks_generator(HashEncoder()))
    if "array_api" not in check.func.__name__  # of arrays on other devices, by a switch of scipy
}


@pytest.mark.parametrize("check", CHECKS)
def test_on_features_it_is_what_scikit_learn_expects(check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        CHECKS[check](HashEncoder())


def test_codes_are_those_of_the_model(folder, images):
    codes = vtsearch.load_model(folder).encode(images)
    encoder = HashEncoder(folder)
    assert encoder.fit_transform(images).tobytes() == codes.tobytes()
    assert encoder.transform(list(images)).dtype == np.uint8
    bits = HashEncoder(folder, unpacked=True).fit(None).transform(images)
    assert bits.tobytes() == vtsearch.unpack(codes, 12).tobytes()


def test_images_are_paths_too(folder, photos):
    paths = sorted(photos.iterdir())[:3]
    expected = vtsearch.load_model(folder).encode(paths)
    for given in (paths, np.array(paths, dtype=object), np.array([str(path) for path in paths])):
        assert HashEncoder(folder).fit_transform(given).tobytes() == expected.tobytes()


def test_features_are_packed(images):
    features = np.random.default_rng(1).normal(size=(5, 20))
    assert HashEncoder().fit_transform(features).tobytes() == vtsearch.pack(features).tobytes()
    with pytest.raises(ValueError, match="NaN"):
        HashEncoder().fit(features).transform(np.full((2, 20), np.nan))


def test_parameters_are_read_set_and_cloned(folder):
    encoder = HashEncoder(folder, unpacked=True, batch_size=3)
    names = {"model", "unpacked", "device", "precision", "batch_size", "workers"}
    assert set(encoder.get_params()) == names
    copy = clone(encoder.fit(None)).set_params(batch_size=5)
    assert (copy.model, copy.unpacked, copy.batch_size) == (folder, True, 5)
    with pytest.raises(NotFittedError):
        copy.transform([])


@pytest.mark.parametrize(("unpacked", "columns"), [(False, 2), (True, 12)])
def test_columns_have_names(folder, images, unpacked, columns):
    encoder = HashEncoder(folder, unpacked=unpacked).fit(images)
    assert encoder.get_feature_names_out().tolist() == [f"hashencoder{number}" for number in range(columns)]


def test_it_is_part_of_a_pipeline(folder, images):
    labels = np.array([0, 1, 0, 1, 0, 1])
    images = images // 8 + 200 * (labels[:, None, None, None] == np.arange(3)).astype(np.uint8)
    pipeline = make_pipeline(HashEncoder(folder, unpacked=True), KNeighborsClassifier(1, metric="hamming"))
    assert pipeline.fit(images, labels).predict(images).tolist() == labels.tolist()
    on_features = make_pipeline(PCA(4), HashEncoder(unpacked=True), KNeighborsClassifier(1, metric="hamming"))
    features = np.random.default_rng(0).normal(size=(12, 8)) + 5 * np.arange(12)[:, None] % 2
    search = GridSearchCV(on_features, {"pca__n_components": [2, 4]}, cv=2, error_score="raise")
    assert 0 <= search.fit(features, np.arange(12) % 2).best_score_ <= 1


def test_tags_say_what_it_takes(folder):
    on_images, on_features = HashEncoder(folder).__sklearn_tags__(), HashEncoder().__sklearn_tags__()
    assert (on_images.input_tags.two_d_array, on_features.input_tags.two_d_array) == (False, True)
    assert (on_images.no_validation, on_features.no_validation) == (True, False)


def test_a_fitted_one_is_pickled(folder, images):
    encoder = HashEncoder(folder).fit(None)
    copy = pickle.loads(pickle.dumps(encoder))
    assert copy.transform(images).tobytes() == encoder.transform(images).tobytes()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"model": "nowhere"}, FileNotFoundError, "nowhere: expected a model folder"),
        ({"model": "."}, VtsearchError, "not a model folder"),
        ({"batch_size": 0}, ValueError, "batch_size: expected at least 1, got 0"),
        ({"precision": "fp8"}, ValueError, "precision: expected one of"),
    ],
)
def test_mistakes_are_those_of_the_encoder(folder, options, error, message):
    with pytest.raises(error, match=message):
        HashEncoder(**{"model": folder, **options}).fit(None)


def test_images_of_another_kind_are_refused(folder):
    encoder = HashEncoder(folder).fit(None)
    with pytest.raises(TypeError, match=r"images\[0\]: expected uint8 pixels"):
        encoder.transform(np.zeros((1, 8, 8, 3)))
    with pytest.raises(FileNotFoundError, match=r"images\[0\]: no such image: nowhere.png"):
        encoder.transform(["nowhere.png"])


def test_the_package_imports_no_scikit_learn():
    code = "import sys, vtsearch; assert 'sklearn' not in sys.modules; 'HashEncoder' in vtsearch.__all__ or exit(1)"
    subprocess.run([sys.executable, "-c", code], check=True)
    code = "import sys; sys.modules['sklearn'] = None; import vtsearch; vtsearch.HashEncoder"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert "ModuleNotFoundError: needs sklearn: pip install 'vtsearch[train]'" in done.stderr
