"""
The errors that cross a boundary of this package.

    BitgoeulError
    ├── UserError          one line for the person at the keyboard; never a traceback
    │   └── NotReadyError  the thing exists but has not settled; exit code 2
    ├── QuantityError      a quantity, duration or decimal that cannot be read
    └── ClusterError       the API server answered no, or not at all (see ``cluster.client``)

Whatever else escapes is a defect and keeps its traceback.
"""


class BitgoeulError(Exception):
    """Base of all errors raised on purpose."""


class UserError(BitgoeulError):
    """Wrong use or a missing precondition; the message is one line that says what would be right."""

    exit_code = 1


class NotReadyError(UserError):
    """What was asked about has not settled."""

    exit_code = 2


class QuantityError(BitgoeulError, ValueError):
    """A quantity that is not a plain number with a known suffix."""


class ClusterError(BitgoeulError):
    """A request to the API server that did not succeed."""
