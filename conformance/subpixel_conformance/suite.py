"""The tests that ``pytest --pyargs subpixel_conformance.suite --subpixel-adapter file.py:attr`` runs."""

import os
from typing import Any

import pytest

from . import registry
from .testing import ConformanceTests


class TestConformance(ConformanceTests):
    """One test for every case that the adapter of the command line claims."""

    def chosen(self, config: pytest.Config) -> Any:
        """Return the adapter that ``--subpixel-adapter`` names."""
        target = config.getoption("--subpixel-adapter")
        if target is None:
            raise pytest.Collector.CollectError(
                "--subpixel-adapter must name an adapter: pkg.mod:attr, file.py:attr, or one that `subpixel conform` knows"
            )
        try:
            spec = registry.located(target) if ":" in target else registry.find(target)
            os.environ.update(spec.environment)
            return registry.load(spec.target)
        except Exception as error:
            raise pytest.Collector.CollectError(f"--subpixel-adapter {target}: {type(error).__name__}: {error}") from error

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Take profile and seed from the command line as well."""
        type(self).profile = metafunc.config.getoption("--subpixel-profile")
        type(self).seed = metafunc.config.getoption("--subpixel-seed")
        super().pytest_generate_tests(metafunc)
