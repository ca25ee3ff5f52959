"""The conformance suite of the sub-pixel convolution specification.

It talks NumPy to an `adapter.Adapter`, compares with an index-loop oracle, and never imports a framework in the process that reports:
every (adapter, device) is judged in a process of its own.
"""
