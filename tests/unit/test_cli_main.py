"""How the command is called, and how a shell completes it."""

from __future__ import annotations

import pytest

from bitgoeul.cli.main import called_as, main


@pytest.mark.parametrize(
    ("program", "name"),
    [
        pytest.param("/usr/bin/bitgoeul", "bitgoeul", id="by its name"),
        pytest.param("/usr/bin/kubectl-bitgoeul", "kubectl bitgoeul", id="by kubectl, as a plugin"),
        pytest.param("-c", "bitgoeul", id="from Python"),
    ],
)
def test_help_names_the_command_as_it_was_called(program: str, name: str) -> None:
    """What help shows can be typed."""
    assert called_as(program) == name


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_its_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It asks the command itself, by the variable that the command listens to."""
    with pytest.raises(SystemExit, match="0"):
        main(["completion", shell])
    assert f"_BITGOEUL_COMPLETE={shell}_complete" in capsys.readouterr().out


def test_commands_complete(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What the script asks is answered with the commands that begin so."""
    monkeypatch.setenv("_BITGOEUL_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "bitgoeul ex")
    monkeypatch.setenv("COMP_CWORD", "1")
    with pytest.raises(SystemExit, match="0"):
        main([])
    assert capsys.readouterr().out == "plain,expiring\n"
