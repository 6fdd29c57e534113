"""From images to codes. Knows models and images, no loss; the only package that writes codes of images."""

from __future__ import annotations
