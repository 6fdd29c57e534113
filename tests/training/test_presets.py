from __future__ import annotations

from dataclasses import replace

import pytest

from vtsearch.data import PROTOCOLS
from vtsearch.frameworks import FRAMEWORKS, framework_class
from vtsearch.training.presets import PRESETS, preset

UNSUPERVISED = [name for name in FRAMEWORKS if not framework_class(name).is_supervised]
WITH_LABELS = [name for name in FRAMEWORKS if name not in UNSUPERVISED]


@pytest.mark.parametrize("name", ["modern", "paper"])
@pytest.mark.parametrize("framework", WITH_LABELS)
def test_a_preset_is_complete_for_every_framework(name, framework):
    config = preset(name, framework, "digits")
    assert config.framework == framework
    assert isinstance(config.options, framework_class(framework).Options)


def test_paper_repeats_what_the_published_code_does():
    config = preset("paper", "csq", "cifar10@54000")
    assert (config.optimizer.name, config.optimizer.lr, config.optimizer.weight_decay) == ("adam", 1e-5, 0.0)
    assert (config.batch_size, config.epochs, config.evaluate_every) == (32, 150, 30)
    assert (config.schedule.name, config.augment, config.precision) == ("constant", "none", "fp32")
    assert (config.model.head_init, config.model.preprocessing) == ("published", "published")
    assert config.model.backbone_dropout == 0.1


@pytest.mark.parametrize("framework", WITH_LABELS)
def test_paper_takes_the_options_of_the_published_code(framework):
    published = framework_class(framework).Options.published()
    assert preset("paper", framework, "mscoco@5000").options == published
    assert preset("paper", framework, "nuswide21@5000").options.published() == published


@pytest.mark.parametrize("framework", ["csq", "dpn"])
def test_published_code_sees_the_first_label_where_it_does_not_know_of_more(framework):
    seen = {name: preset("paper", framework, name).options.multi_label for name in PROTOCOLS}
    assert {name for name, rule in seen.items() if rule == "majority"} == {"nuswide21@5000", "mscoco@5000"}
    assert set(seen.values()) == {"majority", "first"}


def test_published_training_crops_photographs_alone():
    assert preset("paper", "dsh", "cifar10@all").augment == "none"
    assert preset("paper", "dsh", "mscoco@5000").augment == "flip+crop"
    assert preset("paper", "dsh", "a/folder").augment == "flip+crop"


def test_modern_weighs_pairs_and_normalizes_features_where_codes_would_collapse():
    for framework in ("dbdh", "dfh", "dhn", "dpsh", "dsdh", "idhn"):
        assert framework_class(framework).Options().weights == "equal"  # the papers'
        config = preset("modern", framework, "digits")
        assert (config.options.weights, config.model.head_norm) == ("balanced", "batch")


@pytest.mark.parametrize(("framework", "options"), [("dpn", {"shrinkage": 0.5}), ("dsh", {"margin": 1.5})])
def test_modern_normalizes_features_that_pairs_or_centers_move_far(framework, options):
    config = preset("modern", framework, "digits")
    assert (config.options, config.model.head_norm) == (framework_class(framework).Options(**options), "batch")


def test_modern_normalizes_features_that_nothing_bounds():
    config = preset("modern", "hashnet", "digits")
    expected = framework_class("hashnet").Options(alpha="10/bits", continuation=2)
    assert (config.options, config.model.head_norm) == (expected, "batch")


def test_modern_takes_the_published_scale_of_idhn_beside_the_norm():
    config = preset("modern", "idhn", "digits")
    assert (config.options.scale, config.model.head_norm) == (0.5, "batch")
    assert framework_class("idhn").Options().scale == "5/bits"  # the paper's


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_keeps_the_protocol_it_was_asked_for(name):
    framework = "dch" if name == "transhash" else "csq"
    assert preset(name, framework, "mirflickr").protocol == "mirflickr"


def test_transhash_is_the_modern_dch_with_two_streams():
    config, usual = preset("transhash", "dch", "digits"), preset("modern", "dch", "digits")
    assert config == replace(usual, model=replace(usual.model, head="dual"))


def test_transhash_is_a_preset_of_dch_alone():
    with pytest.raises(ValueError, match="preset: expected the framework dch with 'transhash', got csq"):
        preset("transhash", "csq", "digits")


def test_paper_is_the_publication_that_brought_a_framework_to_transformers():
    config = preset("paper", "adsh", "cifar10@all")
    assert (config.model.backbone, config.model.head) == ("vit_large_patch32_224.orig_in21k", "cls")
    assert (config.optimizer.name, config.optimizer.lr, config.optimizer.momentum) == ("sgd", 1e-3, 0.0)
    assert (config.optimizer.weight_decay, config.schedule.name, config.batch_size) == (1e-5, "constant", 64)
    assert config.augment == "flip+resized_crop"
    assert config.options == framework_class("adsh").Options.published()
    assert config.options.sample == 5000
    assert preset("paper", "adsh", "nuswide21@5000").options.sample == 2100
    assert config.epochs == 60 * config.options.epochs_per_sample


@pytest.mark.parametrize("framework", UNSUPERVISED)
def test_modern_uses_no_labels_with_an_unsupervised_framework(framework):
    config = preset("modern", framework, "digits")
    assert isinstance(config.options, framework_class(framework).Options)
    assert (config.validation, config.evaluate_every) == (0.0, 0)  # a chosen epoch is chosen by labels
    assert config.optimizer.lr < 2e-4 < config.optimizer.lr * config.optimizer.head_factor


@pytest.mark.parametrize("framework", UNSUPERVISED)
def test_paper_is_refused_where_no_publication_has_transformers(framework):
    with pytest.raises(
        ValueError, match=f"preset: expected 'modern' with {framework}: 'paper' repeats code for Vision"
    ):
        preset("paper", framework, "digits")


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_modern_chooses_no_epoch(framework):
    """Neither on held-out images, which are better trained on, nor on the protocol's queries."""
    config = preset("modern", framework, "digits")
    assert (config.validation, config.evaluate_every) == (0.0, 0)


def test_modern_leaves_digits_as_they_are():
    augment = {name: preset("modern", "csq", name).augment for name in ("digits", "cifar10@54000", "my-photos")}
    assert augment == {"digits": "none", "cifar10@54000": "flip+resized_crop", "my-photos": "flip+resized_crop"}
    assert preset("modern", "cibhash", "digits").augment != "none"  # its views have to differ


def test_modern_trains_on_the_backbones_own_pixels():
    assert preset("modern", "csq", "digits").model.preprocessing == "backbone"


def test_an_unknown_preset_lists_the_choices():
    with pytest.raises(ValueError, match="preset: expected one of modern, paper, transhash, got 'best'"):
        preset("best", "csq", "digits")


def test_an_unknown_framework_lists_the_choices():
    with pytest.raises(ValueError, match=", ".join(FRAMEWORKS)):
        preset("modern", "magic", "digits")
