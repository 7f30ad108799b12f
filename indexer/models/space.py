"""The space that both sides of the builtin profile share, apart from either so that neither loads the other."""

from __future__ import annotations

from indexer.records import Space

SPACE = Space("conse-efficientnet-lite0-minilm-l6-v2/1", 384)
"""Its number grows when a vector of the same photo or text would change."""
