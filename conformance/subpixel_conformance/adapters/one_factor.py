"""What an adapter needs whose function takes a single factor for all axes."""

from typing import Any


def one_factor(scale: Any) -> Any:
    """Return the factor that all axes share; anything else as it is, so that the function itself meets it."""
    if isinstance(scale, tuple) and scale and all(type(factor) is type(scale[0]) and factor == scale[0] for factor in scale):
        return scale[0]
    return scale
