"""Hashes of weights, texts and settings, and a description of the environment: what evidence is made of."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from harness import processes

if TYPE_CHECKING:
    import torch

PACKAGE = "finetune-harness"
LIBRARIES = ("accelerate", "datasets", "numpy", "rouge_score", "tokenizers", "torch", "transformers")
"""The libraries whose versions are written into every manifest."""


def hash_text(text: str) -> str:
    """SHA-256 of a text, 64 hex digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hex digits.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_json(value: object) -> str:
    """SHA-256 of a value's canonical JSON form (sorted keys, no blanks), 64 hex digits."""
    return hash_text(_write_json(value))


def hash_list(values: Iterable[object]) -> str:
    """`hash_json` of a list, however long: its values are met one by one."""
    digest = hashlib.sha256(b"[")
    for number, value in enumerate(values):
        digest.update((b"," if number else b"") + _write_json(value).encode("utf-8", "surrogatepass"))
    digest.update(b"]")
    return digest.hexdigest()


def _write_json(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def hash_weights(model: torch.nn.Module) -> str:
    """SHA-256 over name, type, shape and bytes of every parameter and of every buffer that is saved, 64 hex digits.

    Shared tensors count once, under their first name, so the hash does not depend on how a library version lists ties.
    What a library computes anew at each loading, as the frequencies of rotary positions, is no weight, and differs
    between its versions.
    """
    saved = model.state_dict().keys()
    buffers = ((name, buffer) for name, buffer in model.named_buffers() if name in saved)
    return hash_tensors(dict([*model.named_parameters(), *buffers]))


def hash_tensors(tensors: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 over name, type, shape and bytes of every tensor, 64 hex digits."""
    import torch  # noqa: PLC0415 - the module must load without torch

    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        plain = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {plain.dtype} {tuple(plain.shape)}\n".encode())
        digest.update(plain.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def hash_code() -> str:
    """SHA-256 over the harness's own modules, 64 hex digits."""
    home = Path(__file__).parent
    return hash_list(
        (path.relative_to(home).as_posix(), path.read_text("utf-8")) for path in sorted(home.rglob("*.py"))
    )


def describe_cpu() -> str:
    """The processor's name and the instructions that torch uses on it: they decide how sums are rounded."""
    import torch  # noqa: PLC0415

    names = [line for line in _read_lines("/proc/cpuinfo") if line.startswith("model name")]
    name = names[0].partition(":")[2].strip() if names else platform.processor() or platform.machine()
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"


def _read_lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def describe_environment() -> dict[str, str]:
    """Python, platform, device and library versions, as they stand in a manifest."""
    import torch  # noqa: PLC0415

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else describe_cpu()
    return {
        "python": platform.python_version(),
        "platform": platform.system(),
        "device": device,
        "threads": str(torch.get_num_threads()),
        **({"processes": str(processes.count())} if processes.count() > 1 else {}),
        **{name: importlib.metadata.version(name) for name in LIBRARIES},
    }


def list_versions() -> dict[str, str]:
    """The version of every dependency that is installed, those of the extras included."""
    versions = {}
    try:
        requirements = importlib.metadata.requires(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:  # a checkout that is not installed
        requirements = list(LIBRARIES)
    for requirement in requirements:
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return dict(sorted(versions.items()))
