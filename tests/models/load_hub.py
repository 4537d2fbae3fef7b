"""Load a model as a run does: ``python -m tests.models.load_hub SETTINGS`` prints what it is, or the error.

SETTINGS are those of ``model``, as JSON.
"""

from __future__ import annotations

import json
import sys

from harness.config import ModelSettings
from harness.errors import HarnessError
from harness.models.architecture import read_architecture
from harness.models.loading import load_model

if __name__ == "__main__":
    settings = ModelSettings(**json.loads(sys.argv[1]))
    try:
        read_architecture(settings)
        loaded = load_model(settings, auto_class="AutoModelForSeq2SeqLM")
    except HarnessError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    sys.stdout.write(json.dumps(loaded.identify().model_dump()) + "\n")
