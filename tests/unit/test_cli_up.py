"""What a signal does to a start in progress."""

from __future__ import annotations

import signal

import pytest

from bitgoeul.cli.up import ExitSignal


def test_a_signal_that_python_drops_is_noticed_at_the_next_look() -> None:
    """What is raised while an object is finalized goes nowhere; the start would go on to its end."""
    exit_signal = ExitSignal()
    exit_signal.check()
    with pytest.raises(SystemExit):
        exit_signal(signal.SIGTERM, None)
    with pytest.raises(SystemExit) as ended:
        exit_signal.check()
    assert ended.value.code == 143
