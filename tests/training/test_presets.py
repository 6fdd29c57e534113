from __future__ import annotations

import pytest

from vtsearch.frameworks import FRAMEWORKS, framework_class
from vtsearch.training.presets import PRESETS, preset


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_preset_is_complete_for_every_framework(name, framework):
    config = preset(name, framework)
    assert config.framework == framework
    assert isinstance(config.options, framework_class(framework).Options)


def test_paper_repeats_what_the_published_code_does():
    config = preset("paper", "csq")
    assert (config.optimizer.name, config.optimizer.lr, config.optimizer.weight_decay) == ("adam", 1e-5, 0.0)
    assert (config.batch_size, config.epochs, config.evaluate_every) == (32, 150, 30)
    assert (config.schedule.name, config.augment, config.precision) == ("constant", "none", "fp32")
    assert (config.model.head_init, config.model.preprocessing) == ("published", "published")
    assert config.model.backbone_dropout == 0.1


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_paper_takes_the_options_of_the_published_code(framework):
    assert preset("paper", framework).options == framework_class(framework).Options.published()
    assert preset("modern", framework).options == framework_class(framework).Options()


def test_paper_is_the_publication_that_brought_a_framework_to_transformers():
    config = preset("paper", "adsh")
    assert (config.model.backbone, config.model.head) == ("vit_large_patch32_224.orig_in21k", "cls")
    assert (config.optimizer.name, config.optimizer.lr, config.optimizer.momentum) == ("sgd", 1e-3, 0.0)
    assert (config.optimizer.weight_decay, config.schedule.name, config.batch_size) == (1e-5, "constant", 64)
    assert config.augment == "flip+resized_crop"
    assert config.options == framework_class("adsh").Options.published()
    assert config.options.sample == 5000
    assert config.epochs == 60 * config.options.epochs_per_sample


def test_modern_trains_on_the_backbones_own_pixels():
    assert preset("modern", "csq").model.preprocessing == "backbone"


def test_an_unknown_preset_lists_the_choices():
    with pytest.raises(ValueError, match="preset: expected one of modern, paper, got 'best'"):
        preset("best", "csq")


def test_an_unknown_framework_lists_the_choices():
    with pytest.raises(ValueError, match=", ".join(FRAMEWORKS)):
        preset("modern", "magic")
