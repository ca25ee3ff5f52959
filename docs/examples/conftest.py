"""Lets pytest import the examples as Python runs them: their folder comes first."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
