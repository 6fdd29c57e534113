"""How any framework is called on the features of a batch, whatever else it compares."""

from __future__ import annotations

import torch


def loss_of(framework, features, labels, positions):
    """The loss; other views and, of the first four features, the backbone's are made of the features, row by row.

    What a framework draws is the same in each call.
    """
    torch.manual_seed(0)
    views = framework.kind.views
    if views > 1:
        features = torch.cat([features, *(features * 0.5**view for view in range(1, views))])
        labels, positions = labels.repeat(views, *[1] * (labels.ndim - 1)), positions.repeat(views)
    if framework.kind.compares_inputs:
        return framework(features, labels, positions, features.detach().float()[:, :4].cos())
    return framework(features, labels, positions)
