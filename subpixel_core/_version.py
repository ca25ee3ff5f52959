"""The version of the specification, and that of this distribution: the same with the release of the code."""

SPEC_VERSION = "1.0"
__version__ = "1.0.0"
