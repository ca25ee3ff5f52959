"""The refusals of the command, one line with the exit status that goes with it; and that of a single layer, which is left."""


class RefusalError(Exception):
    """The command ends without having written anything. The text is one line."""

    status = 3


class MisusedError(RefusalError):
    """The command cannot be carried out as it was given."""

    status = 2


class UnsuitableError(RefusalError):
    """The file is damaged, or of a kind that is not converted."""

    status = 3


class DiffersError(RefusalError):
    """What came out does not compute the same."""

    status = 1


class LeftError(ValueError):
    """A layer has no exact equal here, or none that is known to be: the text is the reason."""


def one_line(error: BaseException) -> str:
    """Return the text of an error in one line."""
    return " ".join(str(error).split()) or type(error).__name__
