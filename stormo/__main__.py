"""``python -m stormo``."""

import sys

from stormo.cli import main

sys.exit(main())
