"""Preparing exports does without TensorFlow: it would cost more memory than all the rest."""

import subprocess
import sys
from pathlib import Path


def test_preparing_does_not_load_tensorflow(corpus: Path, tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from training.__main__ import app\n"
        f"app(['prepare', {str(corpus)!r}, '--out', {str(tmp_path / 'd')!r}], standalone_mode=False)\n"
        "print('heavy:', sorted({'tensorflow', 'keras', 'discord'} & sys.modules.keys()))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("heavy: []\n")
