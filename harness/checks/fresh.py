"""Calling a function in a fresh process: what depends on the state of this one comes out otherwise there.

Starting Python and importing torch takes seconds, so one process an environment is started, imports the heavy libraries
where they are asked for, and computes nothing; each call then runs in a fork of it, which has seen nothing of what was
done before.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import io
import os
import pickle
import signal
import struct
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from types import MethodType, ModuleType
from typing import IO, Any

import cloudpickle

from harness.checks.check import CheckSkipped, PartError

HEAVY = frozenset({"torch", "transformers", "tokenizers", "datasets", "peft", "trl", "accelerate", "harness"})
"""What this process has loaded of these is imported before the call, so that no later fork has to do it again."""
LENGTH = struct.Struct("<Q")


class FreshProcessError(PartError):
    """A function raised in the fresh process; the message is its traceback."""


def call_fresh(
    function: Callable[..., Any], *args: Any, hash_seed: int = 0, timeout: float = 60.0, libraries: bool = True
) -> Any:
    """What ``function(*args)`` returns in a process that has run nothing else.

    Args:
        function: any callable; closures and lambdas travel too.
        args: what it is given.
        hash_seed: Python's ``PYTHONHASHSEED`` there: it salts ``hash()`` of texts.
        timeout: seconds.
        libraries: whether what is loaded here of the heavy libraries is loaded there first; what reads rows can mostly
            do without, and is then back at once.

    Raises:
        CheckSkipped: the function or its arguments cannot travel to another process.
        FreshProcessError: it raised there, or did not come back in time.
    """
    try:
        payload = _pack(function, args, libraries=libraries)
    except Exception as error:  # pickling runs code of the user's objects
        raise CheckSkipped(f"this part cannot be sent to a fresh process ({type(error).__name__}: {error})") from error
    with _lock:
        server = _servers.get(hash_seed)
        if server is None or server.poll() is not None:
            server = _servers[hash_seed] = _start(hash_seed)
        kill = threading.Timer(timeout, _kill, [server])
        kill.start()
        try:
            assert server.stdin is not None  # noqa: S101 - it is a pipe, see _start
            assert server.stdout is not None  # noqa: S101
            _write(server.stdin, payload)
            answer = _read(server.stdout)
        except (EOFError, BrokenPipeError):
            _stop(_servers.pop(hash_seed))
            raise FreshProcessError(f"the fresh process ended, or took more than {timeout:g} s") from None
        except BaseException:
            # Interrupted half-way: its answer would be taken for that to the next call.
            _stop(_servers.pop(hash_seed))
            raise
        finally:
            kill.cancel()
    kind, value = pickle.loads(answer)  # noqa: S301 - our own process wrote it
    if kind == "error":
        raise FreshProcessError(value)
    return value


_servers: dict[int, subprocess.Popen[bytes]] = {}
_lock = threading.Lock()


def _pack(function: Callable[..., Any], args: tuple[Any, ...], *, libraries: bool) -> bytes:
    """Pickle a call; functions of the user's own files travel by value, for the other process may not find them."""
    own = {module for value in (function, *args) for module in _modules_of(value) if not _is_installed(module)}
    for module in own:
        cloudpickle.register_pickle_by_value(module)
    try:
        call = _dump((function, args))
    finally:
        for module in own:
            cloudpickle.unregister_pickle_by_value(module)
    heavy = [name for name in sys.modules if name.partition(".")[0] in HEAVY] if libraries else []
    return pickle.dumps((list(sys.path), heavy, call))


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # the base class is untyped
    """Has methods travel with their owner and by name; cloudpickle would take the code of one that is decorated."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, MethodType) and getattr(value.__self__, value.__name__, None) == value:
            return getattr, (value.__self__, value.__name__)
        return super().reducer_override(value)


def _dump(value: object) -> bytes:
    buffer = io.BytesIO()
    _Pickler(buffer).dump(value)
    return buffer.getvalue()


def _modules_of(value: object) -> list[ModuleType]:
    """The module of a function or object, and those of what it closes over."""
    names = {getattr(value, "__module__", None)}
    for cell in getattr(value, "__closure__", None) or ():
        names.add(getattr(cell.cell_contents, "__module__", None))
    return [sys.modules[name] for name in names if name in sys.modules and name != "__main__"]


def _is_installed(module: ModuleType) -> bool:
    path = getattr(module, "__file__", None)
    if path is None or module.__name__.partition(".")[0] == "harness":
        return True
    return "site-packages" in Path(path).parts or Path(path).is_relative_to(Path(os.__file__).parent)


def _start(hash_seed: int) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "PYTHONHASHSEED": str(hash_seed),
        # Threads of before a fork are not there behind it: waiting for them is slow, or never ends.
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONWARNINGS": "ignore",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    return subprocess.Popen(
        [sys.executable, "-c", "from harness.checks.fresh import serve; serve()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        stderr=subprocess.DEVNULL,  # what goes wrong is in the answer; the rest is what the functions print
        start_new_session=True,  # so that it ends together with its forks
    )


def _kill(server: subprocess.Popen[bytes]) -> None:
    """End a server and its forks."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
    else:
        server.kill()


def _stop(server: subprocess.Popen[bytes]) -> None:
    """End a server, and give back what it held."""
    _kill(server)
    with server:
        server.wait()


@atexit.register
def _stop_servers() -> None:
    while _servers:
        _stop(_servers.popitem()[1])


def _write(stream: IO[bytes], payload: bytes) -> None:
    stream.write(LENGTH.pack(len(payload)) + payload)
    stream.flush()


def _read(stream: IO[bytes]) -> bytes:
    header = stream.read(LENGTH.size)
    if len(header) < LENGTH.size:
        raise EOFError
    (length,) = LENGTH.unpack(header)
    payload = stream.read(length)
    if len(payload) < length:
        raise EOFError
    return payload


def serve() -> None:
    """Answer calls from standard input on standard output, each from a fork of this process."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the user's functions print must not mix with the answers
    while True:
        try:
            path, heavy, call = pickle.loads(_read(sys.stdin.buffer))  # noqa: S301 - our own process wrote it
        except EOFError:
            return
        sys.path[:] = path
        for name in [name for name in heavy if name not in sys.modules]:
            with contextlib.suppress(Exception):  # a part of a library that cannot be imported by its own name
                importlib.import_module(name)
        if hasattr(os, "fork"):
            _answer_from_fork(answers, call)
        else:
            _write(answers, _run(call))
            return


def _answer_from_fork(answers: IO[bytes], call: bytes) -> None:
    child = os.fork()
    if child == 0:
        try:
            _write(answers, _run(call))
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    if status:
        _write(answers, pickle.dumps(("error", f"the process ended with status {status}")))


def _run(call: bytes) -> bytes:
    try:
        function, args = pickle.loads(call)  # noqa: S301 - our own process wrote it
        return _dump(("value", function(*args)))
    except BaseException:  # noqa: BLE001 - whatever happens there is told here
        return pickle.dumps(("error", traceback.format_exc()))
