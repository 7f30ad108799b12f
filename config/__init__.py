"""The settings, and what must hold before anything else: every process of ours imports this package first.

That is why `daemon`, `indexer`, `search` and `benchmarks` import it in their own `__init__`: libraries read these
variables when they are imported, and a module imports libraries before it imports our modules.
"""

import os

from config.silence import silence

silence(os.environ)
