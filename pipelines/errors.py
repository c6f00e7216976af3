"""Errors a person can fix; they print as one line. Knows nothing about who raises or prints them.

SidelightError                 exit code
├── InputError                 2    a value, file or combination that cannot be
│   ├── RecipeError            2    ... in a Recipe, for this family or checkpoint
│   ├── SweepError             2    ... in a sweep file, an axis or a condition
│   ├── CheckpointError        2    a checkpoint that is missing, damaged or of an unknown kind
│   └── NumericsError          2    a run's numerics that this machine cannot honour
├── CellError                  1    one picture could not be made; the run goes on
├── HubError                   1    the hub gives up or gives wrong bytes: try again later
├── BusyError                  3    another process holds the run or the device
├── DiskError                  4    paused: the disk does not take what is written
│   └── DiskFullError          4    ... it is full: free space and run the same command again
└── Cancelled                130    stopped by the user; what is whole is kept

Anything else is our bug and keeps its traceback. Every message says what was given, what is allowed, what to do.
"""


class SidelightError(Exception):
    """Something a person can fix; `exit_code` is what the command line leaves with."""

    exit_code = 2


class InputError(SidelightError):
    """A value, file or combination that cannot be."""


class RecipeError(InputError):
    """A Recipe that this family or checkpoint cannot make."""


class SweepError(InputError):
    """A sweep file, axis or condition that cannot be read or makes no sense."""


class CheckpointError(InputError):
    """A checkpoint that is missing, damaged or of a kind that is not opened."""


class NumericsError(InputError):
    """Numerics that a run was started with and this machine cannot honour."""


class CellError(SidelightError):
    """One picture could not be made; it is recorded as failed and the run goes on."""

    exit_code = 1


class HubError(SidelightError):
    """The hub cannot be reached, or does not give what it lists; what was fetched is kept."""

    exit_code = 1


class BusyError(SidelightError):
    """Another process holds the run or the device."""

    exit_code = 3


class DiskError(SidelightError):
    """The disk does not take what is written: the run is paused; what is whole is kept."""

    exit_code = 4


class DiskFullError(DiskError):
    """The disk is full: the run is paused and goes on after space is made."""


class Cancelled(SidelightError):
    """The user stopped it; what is whole is kept."""

    exit_code = 130
