# PYTHON_ARGCOMPLETE_OK
"""`python -m lit_resnet`, the same as `lit-resnet`."""

import sys

from lit_resnet.cli import main

if __name__ == "__main__":
    sys.exit(main())
