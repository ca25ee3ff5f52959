"""The suite from pytest: one test for every case that an adapter claims.

In your own tests::

    from subpixel_conformance import ConformanceTests

    class TestMine(ConformanceTests):
        adapter = MyAdapter

or without a file of tests::

    pytest --pyargs subpixel_conformance.suite --subpixel-adapter file.py:attr

The tests run in pytest's own process, so what crashes ends them all; `subpixel conform` puts every adapter into a process of its own.
"""

from pathlib import Path
from typing import Any, ClassVar

import pytest

from . import known, registry
from .case import Case, claims_of
from .cases import cases_for
from .judge import Watched, judge
from .result import WRONG


class ConformanceTests:
    """Derive from it, under a name that begins with Test, and say what is judged.

    Attributes
    ----------
    adapter : object
        An adapter, or a class or function without arguments that makes one.
    profile : {"full", "quick", "exhaustive"}
    seed : int
        Of the sampled cases.
    devices : tuple of str
        Those to judge on; empty for every device that is claimed. A device that is absent is skipped, with the reason.
    known_failures : path-like or None
        The file of `subpixel conform --known-failures`: what it lists must fail.
    """

    adapter: ClassVar[Any] = None
    profile: ClassVar[str] = "full"
    seed: ClassVar[int] = 0
    devices: ClassVar[tuple[str, ...]] = ()
    known_failures: ClassVar[str | Path | None] = None

    def chosen(self, config: pytest.Config) -> Any:
        """Return the adapter to judge."""
        return registry.instance(type(self).adapter, f"{type(self).__name__}.adapter")

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Make one test of every case that is claimed."""
        if "judged" not in metafunc.fixturenames:
            return
        adapter = self.chosen(metafunc.config)
        claims = claims_of(adapter)
        watched = {device: Watched(adapter, device) for device in self.devices or claims.devices}
        entries = () if self.known_failures is None else known.read(Path(self.known_failures))
        possible = cases_for(claims, self.profile, self.seed)
        cases = [case for case in possible if case.needs.missing(claims) is None]
        judged = [pytest.param((case, on, device, entries), id=f"{device}-{case.id}") for device, on in watched.items() for case in cases]
        if not judged:
            raise pytest.Collector.CollectError(f"{type(self).__name__}: the adapter claims nothing that the suite judges")
        metafunc.parametrize("judged", judged)

    def test_conforms(self, judged: tuple[Case, Any, str, tuple[known.KnownFailure, ...]], request: pytest.FixtureRequest) -> None:
        """Judge one case."""
        case, adapter, device, entries = judged
        request.node.user_properties += [("clause", clause) for clause in case.clauses]
        result = judge(case, adapter, device)
        if result.status == "unavailable":
            pytest.skip(result.message)
        listed = [entry for entry in entries if entry.adapter in (None, adapter.name) and entry.matches(result)]
        if result.status in WRONG:
            if listed:
                pytest.xfail(listed[0].note)
            seen = f"\n\nTo see it:\n\n{result.reproduction}" if result.reproduction else ""
            pytest.fail(f"{result.message}{seen}", pytrace=False)
        unexpected = [entry for entry in listed if entry.case is not None]
        if unexpected:
            pytest.fail(f"{unexpected[0]} is listed as a known failure, and passes", pytrace=False)
