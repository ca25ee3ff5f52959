"""The suite from pytest: one test for every case that an adapter claims.

In your own tests::

    from subpixel_conformance import ConformanceTests

    class TestMine(ConformanceTests):
        adapter = MyAdapter

or without a file of tests::

    pytest --pyargs subpixel_conformance.suite --subpixel-adapter file.py:attr

The tests run in pytest's own process, so what crashes ends them all; `subpixel conform` puts every adapter into a process of its own.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest

from . import known, registry, runner
from .case import Case, claims_of
from .cases import cases_for
from .judge import Watched, judge
from .result import WRONG, Result, told

Judgement = Callable[[pytest.FixtureRequest], None]
"""What one test does."""


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
        The file of `subpixel conform --known-failures`: what it lists must fail. One test more for each entry says whether it is up to
        date; for a clause, it judges the cases of the clause until one fails. An adapter has its ``name`` here, and no other.
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
        """Make one test of every case that is claimed and of every entry of the list; or one that fails, where that cannot be done."""
        if "judged" not in metafunc.fixturenames:
            return
        try:
            judged = self._judgements(metafunc.config)
        except pytest.Collector.CollectError:
            raise
        except (Exception, SystemExit) as error:
            judged = {"adapter": partial(_broken, f"{type(self).__name__} cannot be judged: {told(error)}")}
        metafunc.parametrize("judged", list(judged.values()), ids=list(judged))

    def _judgements(self, config: pytest.Config) -> dict[str, Judgement]:
        """Return what each test does, by the name of the test."""
        adapter = self.chosen(config)
        claims = claims_of(adapter)
        watched = {device: Watched(adapter, device) for device in self.devices or claims.devices}
        entries = () if self.known_failures is None else known.read(Path(self.known_failures))
        possible = cases_for(claims, self.profile, self.seed)
        runs = {device: _run(adapter, device, possible) for device in watched}
        judged: dict[str, Judgement] = {}
        for device, on in watched.items():
            listed = [entry for entry in entries if entry.concerns(runs[device])]
            judged |= {
                f"{device}-{case.id}": partial(_conforms, case, on, device, listed)
                for case in possible
                if case.needs.missing(claims) is None
            }
        if not judged:
            raise ValueError("the adapter claims nothing that the suite judges")
        lists = {
            f"known-failures-{number}": partial(_up_to_date, entry, runs, watched, possible) for number, entry in enumerate(entries, 1)
        }
        return {**judged, **lists}

    def test_conforms(self, judged: Judgement, request: pytest.FixtureRequest) -> None:
        """Judge one case, or one entry of the list of known failures."""
        judged(request)


def _run(adapter: Any, device: str, cases: Sequence[Case]) -> runner.Run:
    """Return the run of an adapter on a device as it is before any case was judged."""
    name = str(getattr(adapter, "name", type(adapter).__name__))
    run = runner.Run(name, "", True, device, name, claims=dict(adapter.claims))
    run.planned = [runner.Case(case.id, tuple(case.clauses), case.conformance_class) for case in cases]
    return run


def _broken(message: str, request: pytest.FixtureRequest) -> None:
    pytest.fail(message, pytrace=False)


def _conforms(case: Case, adapter: Any, device: str, entries: Sequence[known.KnownFailure], request: pytest.FixtureRequest) -> None:
    """Judge one case."""
    request.node.user_properties += [("clause", clause) for clause in case.clauses]
    result = judge(case, adapter, device)
    if result.status == "unavailable":
        pytest.skip(result.message)
    if result.status in WRONG:
        listed = [entry for entry in entries if entry.matches(result)]
        if listed:
            pytest.xfail(listed[0].note)
        seen = f"\n\nTo see it:\n\n{result.reproduction}" if result.reproduction else ""
        pytest.fail(f"{result.message}{seen}", pytrace=False)


def _up_to_date(
    entry: known.KnownFailure,
    runs: Mapping[str, runner.Run],
    watched: Mapping[str, Any],
    cases: Sequence[Case],
    request: pytest.FixtureRequest,
) -> None:
    """Judge what an entry names, on each device until something is wrong, and fail as `subpixel conform` does where the entry is amiss."""
    for device, run in runs.items():
        run.results = []
        for case in cases if entry.concerns(run) else ():
            if case.id != entry.case and entry.clause not in case.clauses:
                continue
            reason = case.needs.missing(claims_of(watched[device]))
            subject = (case.id, tuple(case.clauses), case.conformance_class)
            outside = Result(*subject, "not_claimed", device, case.needs.mode, case.needs.dtype or "")
            run.results.append(judge(case, watched[device], device) if reason is None else outside)
            if run.results[-1].status in WRONG and entry.matches(run.results[-1]):
                break
    amiss = known.apply((entry,), list(runs.values()))
    if amiss:
        pytest.fail("\n".join(amiss), pytrace=False)
