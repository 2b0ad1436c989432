"""What every kind of measurement has in common."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from harness import processes
from harness.backends import Backend, Backends
from harness.targets import Target

Figures = dict[str, float]      # name with its unit last -> value


@dataclass(frozen=True)
class Context:
    """What a measurement runs in. A value."""

    backends: Backends
    window_s: float             # length of the steady stretch that is measured
    quick: bool                 # fewer connections
    one_core: bool              # client, target and backend share a core in every workload

    @property
    def postgres(self) -> Backend:
        """The one that most workloads are measured with."""
        return self.backends.get("postgres")

    def core(self, backend: Backend, always: bool = False) -> AbstractContextManager[None]:
        """Everything shares one core in there, if it is to."""
        if always or self.one_core:
            return processes.on_one_core(backend.pids())
        return nullcontext()


@dataclass(frozen=True)
class Measured:
    """What one measurement found. A value."""

    figures: Figures
    note: str = ""              # what the reader of the table must know about the target


@dataclass(frozen=True)
class Column:
    """One figure of the printed table. A value."""

    figure: str
    title: str
    decimals: int


class Described(Protocol):
    """What every kind of measurement says about itself."""

    name: str
    group: str                  # what --only may name to mean several
    text: str                   # one line for --list
    columns: tuple[Column, ...]
    ratio_figure: str           # the figure that is compared with the reference target's
    targets: tuple[str, ...]    # names that make sense here; empty: all but pgweir-2
    needs: tuple[str, ...]      # names that are measured even when they were not asked for
    once: bool                  # does not vary from run to run: --repeat is ignored


@runtime_checkable
class Separate(Described, Protocol):
    """A measurement of one target at a time."""

    def measure(self, context: Context, target: Target) -> Measured:
        """Errors: BenchError, Unsupported."""


@runtime_checkable
class Together(Described, Protocol):
    """A measurement of all targets at the same time."""

    def measure_together(self, context: Context,
                         targets: list[Target]) -> dict[str, Measured | Exception]:
        """For each target what was found, or the BenchError or Unsupported."""


Workload = Separate | Together
