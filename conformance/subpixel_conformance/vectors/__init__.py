"""Golden vectors: inputs and expected outputs as JSON files that any language can read, made by the oracle.

Their format is in ``docs/vectors.md``. ``subjects`` says which vectors there are, ``tensor`` how an array is written, ``answer`` what the
oracle and the rules of refusal give for a vector, ``make`` puts the two together, ``files`` reads and writes, ``lock`` knows which vectors
are published, ``check`` whether all of this holds, and ``command`` is the command line.
"""

from .check import Checked, check
from .files import FOLDER, read_folder
from .lock import publish
from .make import make
from .tensor import VectorError, decode, encode

__all__ = ["FOLDER", "Checked", "VectorError", "check", "decode", "encode", "make", "publish", "read_folder"]
