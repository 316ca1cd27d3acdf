"""
What is remembered about a control plane between commands: one JSON file in its folder, replaced as a whole.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from bitgoeul.errors import UserError
from bitgoeul.local.components import COMPONENTS, Options, Ports
from bitgoeul.local.pki import write_private
from bitgoeul.local.processes import ProcessId

FILE_NAME = "state.json"


@dataclass(frozen=True)
class State:
    """A control plane as it was last started."""

    name: str
    options: Options
    kubernetes: str  # v1.36.3
    ports: Ports | None = None  # None: never started
    kubeconfigs: tuple[Path, ...] = ()  # copies that the user asked for, outside of the folder
    processes: dict[str, ProcessId] = field(default_factory=dict)  # component → process, in the order of starting

    def with_process(self, component: str, process: ProcessId) -> State:
        processes = {**self.processes, component: process}
        return replace(self, processes={name: processes[name] for name in COMPONENTS if name in processes})

    @property
    def dead(self) -> list[str]:
        """The components that should run and do not."""
        return [name for name in COMPONENTS if name not in self.processes or not self.processes[name].alive]


def save_state(directory: Path, state: State) -> None:
    write_private(directory / FILE_NAME, json.dumps(asdict(state), default=str, indent=1).encode())


def load_state(directory: Path) -> State | None:
    """
    Read the state of a control plane; None when there is no such folder.

    Raises:
        UserError: The folder was not made by us, or its state cannot be read.
    """
    if not directory.exists():
        return None
    path = directory / FILE_NAME
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        options = raw["options"]
        return State(
            name=raw["name"],
            options=Options(
                port=options["port"],
                audit_log=Path(options["audit_log"]) if options["audit_log"] else None,
                kcm_qps=options["kcm_qps"],
            ),
            kubernetes=raw["kubernetes"],
            ports=Ports(**raw["ports"]) if raw["ports"] else None,
            kubeconfigs=tuple(Path(item) for item in raw["kubeconfigs"]),
            processes={name: ProcessId(**process) for name, process in raw["processes"].items()},
        )
    except FileNotFoundError as error:
        raise UserError(
            f"{directory} was not made by 'bitgoeul up' (it has no {FILE_NAME}): choose another --name"
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} cannot be read ({error}): end its processes and remove {directory} by hand") from error
