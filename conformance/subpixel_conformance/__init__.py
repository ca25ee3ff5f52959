"""The conformance suite of the sub-pixel convolution specification.

It talks NumPy to an `Adapter`, compares with an index-loop oracle, and never imports a framework in the process that reports:
every (adapter, device) is judged in a process of its own.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from subpixel_conformance.adapter import AdapterProtocol, Claims, Layer, LayerConfig
    from subpixel_conformance.callables import Adapter
    from subpixel_conformance.testing import ConformanceTests

__all__ = ["Adapter", "AdapterProtocol", "Claims", "ConformanceTests", "Layer", "LayerConfig"]

_modules = {"Adapter": "callables", "ConformanceTests": "testing"}


def __getattr__(name: str) -> Any:
    # Only when it is asked for: pytest's plugin is loaded in every run of pytest, and ConformanceTests needs pytest.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_modules.get(name, 'adapter')}"), name)
