"""Adapters of the reference, of native ops and of peers. Each is imported only in the process that judges it."""
