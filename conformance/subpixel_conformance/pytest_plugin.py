"""The options of ``pytest --pyargs subpixel_conformance.suite``. Every run of pytest loads this file, so it imports nothing."""

from typing import Any


def pytest_addoption(parser: Any) -> None:
    """Add the options."""
    group = parser.getgroup("subpixel", "conformance to the sub-pixel convolution specification")
    group.addoption(
        "--subpixel-adapter", metavar="SPEC", help="what subpixel_conformance.suite judges: pkg.mod:attr, file.py:attr or a name"
    )
    group.addoption("--subpixel-profile", choices=("quick", "full", "exhaustive"), default="full", help="which cases")
    group.addoption("--subpixel-seed", type=int, default=0, metavar="N", help="of the sampled cases")
