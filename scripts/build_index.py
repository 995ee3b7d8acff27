"""Build an index of a private corpus: `guardrail index build`, as a script.

python scripts/build_index.py PATH... --out DIR --key-file FILE
"""

from __future__ import annotations

import sys

from guardrail.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["index", "build"]
    main()
