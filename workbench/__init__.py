"""What a person touches: command line, page, notes. Knows nothing about tensors."""

import sys

if sys.platform == "win32":  # before anything that needs POSIX file locks is imported
    sys.stderr.write("sidelight: native Windows is not supported; run it in WSL2, where it is a Linux program\n")
    raise SystemExit(2)
