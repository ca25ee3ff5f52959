"""What every test session shares: examples that are the same on every machine, and the order in which frameworks are imported."""

import os
from contextlib import suppress

from hypothesis import settings

# The same examples in every run, so that a failure is never a matter of luck; SUBPIXEL_HYPOTHESIS=thorough tries many more of them.
settings.register_profile("repeatable", deadline=None, derandomize=True, max_examples=40)
settings.register_profile("thorough", parent=settings.get_profile("repeatable"), max_examples=2000)
settings.load_profile(os.environ.get("SUBPIXEL_HYPOTHESIS", "repeatable"))

# Where both are installed, torch comes before TensorFlow: both bring an OpenMP and a protobuf of their own.
with suppress(ImportError):
    import torch  # noqa: F401 -- imported for its place in the order
