"""`python -m workbench` is `sidelight`. Knows nothing else."""

from workbench.cli import main

main()
