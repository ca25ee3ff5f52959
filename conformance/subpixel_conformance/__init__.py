"""The conformance suite of the sub-pixel convolution specification.

It talks NumPy to an `Adapter`, compares with an index-loop oracle, and never imports a framework in the process that reports:
every (adapter, device) is judged in a process of its own.
"""

from subpixel_conformance.adapter import Adapter, Claims, Layer, LayerConfig, from_callables

__all__ = ["Adapter", "Claims", "Layer", "LayerConfig", "from_callables"]
