"""Model families, one file each: Recipe -> stock pipeline class and arguments. Knows nothing about merging or runs."""

from collections.abc import Mapping

from pipelines.checkpoint import Checkpoint
from pipelines.families.base import Family
from pipelines.families.flux import Flux
from pipelines.families.flux2 import Flux2
from pipelines.families.sdxl import Sdxl
from pipelines.recipe import FamilyName

FAMILIES: Mapping[FamilyName, Family] = {"sdxl": Sdxl(), "flux": Flux(), "flux2": Flux2()}


def family_of(checkpoint: Checkpoint) -> Family:
    """The family that opens this checkpoint."""
    return FAMILIES[checkpoint.family]
