"""What the tests of more than one backend share."""

import pytest


@pytest.fixture(scope="module")
def x64_in_jax():
    """64-bit numbers in JAX, which its adapter asks for at its first import and for the whole process: here for one module of tests."""
    try:
        from jax import config
    except ImportError:
        yield
        return
    before = config.jax_enable_x64
    config.update("jax_enable_x64", True)
    yield
    config.update("jax_enable_x64", before)
