"""The version of this distribution: that of the specification, and a number for the release of the code."""

__version__ = "1.0.0"
