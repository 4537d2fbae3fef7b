"""What comes from outside runs nothing, leaves no folder, and fills no memory; what refuses it names what allows it."""

from __future__ import annotations

import contextlib
import copy
import gzip
import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

import datasets
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

import conftest
from harness.arm import Arm
from harness.atomic import LOCK_FILE, locked
from harness.baselines import newest_run, prune, read_baseline
from harness.baselines.approval import refuse_carelessness
from harness.baselines.store import arm_names, read_run, store_baseline
from harness.config import DataSettings, ModelSettings
from harness.data.files import read_path
from harness.errors import BaselineError, DataError, ModelError, UsageError
from harness.models.architecture import read_architecture
from harness.models.loading import load_model
from harness.models.locate import Place
from harness.models.trust import require_trust
from harness.places import place_inside
from harness.printable import UNSAFE, escape, printable, printable_all
from harness.progress import Unfinished
from harness.report.account import give_account
from harness.report.folder import write_reports, write_run
from harness.report.templating import fill
from harness.scaffold import write_project
from harness.settings import why_unsafe
from harness.tasks.summarization import SUMMARIZATION
from tests.arms import make_arm
from tests.runs import make_run

BAD_NAMES = [
    "", ".", "..", "../x", "/etc", "a/b", "a\\b", "a\0b", "CON", "con.txt", "nul", "LPT1", "a.", "-rf", ".git", "a b",
    "a\n", "x" * 101, "\uff58", "\u0430pple", "é", "e\u0301", "a\u202eb", "~", "$HOME", "a:b", "*",
]  # fmt: skip
PICKLE = b"cos\nsystem\n(S'touch attacked'\ntR."
"""Unpacked, it makes a file."""


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A copy of the embedded model."""
    folder = tmp_path / "model"
    shutil.copytree(Path(str(resources.files("harness"))) / "models" / "tiny-t5", folder)
    return folder


def change_json(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8")


def load(folder: Path, **settings: object) -> None:
    model = ModelSettings.model_validate({"name": str(folder), **settings})
    read_architecture(model)
    load_model(model, auto_class="AutoModelForSeq2SeqLM")


@pytest.mark.parametrize("name", BAD_NAMES)
def test_name_that_leads_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    """Dots, separators, devices, look-alikes and long names, wherever a name becomes a folder."""
    for use in (
        lambda: place_inside(tmp_path, name, "an experiment"),
        lambda: read_baseline(tmp_path, name),
        lambda: newest_run(tmp_path, name),
    ):
        with pytest.raises(UsageError, match="is no name of an experiment"):
            use()
    assert list(tmp_path.iterdir()) == []


@given(st.text(max_size=120))
def test_safe_name_is_one_part_of_a_path(name: str) -> None:
    """Whatever is allowed is its own last part, in ASCII, and no hidden file."""
    if why_unsafe(name) is None:
        assert Path("a", name).parts == ("a", name)
        assert name.isascii()
        assert name[0] != "."


def test_link_is_refused_and_pruned_as_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a link leads to is neither read as a baseline nor removed with it."""
    monkeypatch.delenv("CI", raising=False)
    other, baselines = tmp_path / "other", tmp_path / "baselines"
    other.mkdir()
    (other / "kept").write_text("", encoding="utf-8")
    baselines.mkdir()
    (baselines / "x").symlink_to(other)
    with pytest.raises(UsageError, match=r"x is a link to .*other"):
        read_baseline(baselines, "x")
    assert prune(baselines, set(), force=True) == [baselines / "x"]
    assert (other / "kept").exists()
    assert not (baselines / "x").is_symlink()


def test_python_of_a_checkpoint_runs_only_where_it_is_allowed(checkpoint: Path, tmp_path: Path) -> None:
    """Refused with the setting that allows it, before anything is imported; with it, it runs."""
    mark = tmp_path / "attacked"
    (checkpoint / "own.py").write_text(
        f"open({str(mark)!r}, 'w').close()\nfrom transformers import T5Config\nclass Own(T5Config):\n"
        "    model_type = 'own'\n",
        encoding="utf-8",
    )
    change_json(checkpoint / "config.json", model_type="own", auto_map={"AutoConfig": "own.Own"})
    with pytest.raises(ModelError, match=r"auto_map in config\.json.*model\.trust_remote_code = true"):
        load(checkpoint)
    assert not mark.exists()
    with pytest.raises(ModelError, match="cannot be loaded"):  # no model is registered for it
        load(checkpoint, trust_remote_code=True)
    assert mark.exists()


def test_python_of_a_tokenizer_is_refused(checkpoint: Path) -> None:
    """Where transformers has no tokenizer of that name; where it has one, that is used and nothing else."""
    rules = checkpoint / "tokenizer_config.json"
    change_json(rules, auto_map={"AutoTokenizer": ["own.Own", None]})
    load(checkpoint)
    change_json(rules, tokenizer_class="OwnTokenizer")
    with pytest.raises(ModelError, match=r"auto_map in tokenizer_config\.json.*model\.trust_remote_code = true"):
        load(checkpoint)


def test_pickled_weights_are_read_only_where_that_is_allowed(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the setting tensors come out of the pickle, and what it would run besides does not."""
    from safetensors.torch import load_file  # noqa: PLC0415

    monkeypatch.chdir(tmp_path)
    torch.save(load_file(checkpoint / "model.safetensors"), checkpoint / "pytorch_model.bin")
    (checkpoint / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"pytorch_model\.bin.*model\.allow_pickle = true"):
        load(checkpoint)
    load(checkpoint, allow_pickle=True)
    (checkpoint / "pytorch_model.bin").write_bytes(PICKLE)
    with pytest.raises(ModelError, match="cannot be loaded"):
        load(checkpoint, allow_pickle=True)
    assert not (tmp_path / "attacked").exists()


def hide_adapter(checkpoint: Path, **changes: object) -> None:
    """Put an adapter among the files of a checkpoint, where transformers would put it on the base by itself."""
    from peft import LoraConfig, get_peft_model  # noqa: PLC0415
    from transformers import AutoModelForSeq2SeqLM  # noqa: PLC0415

    from harness.methods.stored import StoredAdapter  # noqa: PLC0415 - PEFT takes seconds to import

    base = AutoModelForSeq2SeqLM.from_pretrained(checkpoint)
    config = LoraConfig(r=1, target_modules=["q"], init_lora_weights=False)
    folder = checkpoint.with_name("adapter")
    StoredAdapter.of(get_peft_model(copy.deepcopy(base), config)).save(folder, base, base="0" * 64)
    change_json(folder / "adapter_config.json", **changes)
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.copy(folder / name, checkpoint)


def test_adapter_hidden_in_a_checkpoint_is_refused(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would change the base unseen; one that names a module of Megatron would have it imported, and so run."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "evil_of_a_stranger.py").write_text("open('attacked', 'w').close()\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    hide_adapter(checkpoint, megatron_config={"a": 1}, megatron_core="evil_of_a_stranger")
    with pytest.raises(ModelError, match=r"holds an adapter \(adapter_config\.json\) beside its weights"):
        load(checkpoint)
    (checkpoint / "adapter_config.json").unlink()
    load(checkpoint)
    assert not Path("attacked").exists()


def test_adapter_that_names_a_module_to_import_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    """PEFT before 0.21 imports it without a question."""
    from harness.methods.stored import StoredAdapter  # noqa: PLC0415

    hide_adapter(checkpoint, megatron_config={"a": 1}, megatron_core="evil_of_a_stranger")
    with pytest.raises(ModelError, match="megatron_core = 'evil_of_a_stranger'"):
        StoredAdapter.read(tmp_path / "adapter", base="0" * 64)
    settings = tmp_path / "adapter" / "adapter_config.json"
    change_json(settings, megatron_config=None)
    StoredAdapter.read(tmp_path / "adapter", base="0" * 64)
    words = {"prompt_tuning_init": "TEXT", "prompt_tuning_init_text": "a", "tokenizer_name_or_path": "evil/tokenizer"}
    prompt = {"peft_type": "PROMPT_TUNING", "task_type": "SEQ_2_SEQ_LM", "num_virtual_tokens": 2, **words}
    settings.write_text(json.dumps(prompt), encoding="utf-8")
    with pytest.raises(ModelError, match="begins with the words of 'evil/tokenizer'"):
        StoredAdapter.read(tmp_path / "adapter", base="0" * 64)


@pytest.mark.parametrize(
    "name",
    ["../outside.safetensors", "/outside.safetensors", "..\\outside.safetensors", "pytorch_model.bin", 7],
)
def test_index_of_weights_that_leads_elsewhere_is_refused(name: object, checkpoint: Path) -> None:
    """An index says in which file each tensor is: only files of the checkpoint, and no pickles."""
    index = {"metadata": {}, "weight_map": {"shared.weight": "a.safetensors", "lm_head.weight": name}}
    (checkpoint / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    with pytest.raises(ModelError, match=re.escape(f"{name!r}, says model.safetensors.index.json")):
        load(checkpoint)


def test_checkpoint_of_several_files_loads(checkpoint: Path) -> None:
    """The index that transformers writes is in order; of pickles it is where those are allowed."""
    from transformers import AutoModelForSeq2SeqLM  # noqa: PLC0415

    model = AutoModelForSeq2SeqLM.from_pretrained(checkpoint)
    (checkpoint / "model.safetensors").unlink()
    model.save_pretrained(checkpoint, max_shard_size="3MB")
    assert len([*checkpoint.glob("model-*.safetensors")]) > 1
    load(checkpoint)
    names = json.loads((checkpoint / "model.safetensors.index.json").read_text(encoding="utf-8"))["weight_map"]
    for path in checkpoint.glob("model*.safetensors*"):
        path.unlink()
    torch.save(model.state_dict(), checkpoint / "pytorch_model-1.bin")
    index = {"metadata": {}, "weight_map": dict.fromkeys(names, "pytorch_model-1.bin")}
    (checkpoint / "pytorch_model.bin.index.json").write_text(json.dumps(index), encoding="utf-8")
    with pytest.raises(ModelError, match=r"model\.allow_pickle = true"):
        load(checkpoint)
    load(checkpoint, allow_pickle=True)


@pytest.mark.parametrize("kind", ["XLORA", "SHADOW", "MULTITASK_PROMPT_TUNING", "lora", None])
def test_adapter_of_a_type_that_the_harness_does_not_write_is_refused(kind: str | None, checkpoint: Path) -> None:
    """Some of PEFT's types read further checkpoints and pickles from where their settings say, unlooked at."""
    from harness.methods.stored import StoredAdapter  # noqa: PLC0415

    hide_adapter(checkpoint)
    settings = checkpoint.with_name("adapter") / "adapter_config.json"
    changes: dict[str, object] = {"peft_type": kind, "adapters": {"0": "elsewhere"}, "shadow_model": "elsewhere"}
    change_json(settings, **changes)
    with pytest.raises(ModelError, match=f"is of the type {kind!r}"):
        StoredAdapter.read(settings.parent, base="0" * 64)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("configuration_files", ["config.4.0.0.json"]),
        ("transformers_weights", "w.safetensors.index.json"),
        ("transformers_weights", "../other.safetensors"),
    ],
)
def test_config_that_stands_elsewhere_is_refused(name: str, value: object, checkpoint: Path) -> None:
    """What is looked at must be what is used: other settings and other weights are named by none of these."""
    change_json(checkpoint / "config.json", **{name: value})
    with pytest.raises(ModelError, match=f"{name} = "):
        load(checkpoint)


@pytest.mark.parametrize(
    "name",
    ["attn_implementation", "_attn_implementation", "_attn_implementation_internal", "experts_implementation"],
)
def test_native_code_of_the_hub_is_refused(name: str, checkpoint: Path) -> None:
    """A config may ask for a kernel by its place on the hub: compiled code, which transformers would fetch and run."""
    change_json(checkpoint / "config.json", parts=[{name: "evil/kernel"}])
    with pytest.raises(ModelError, match=rf"{name} = .*evil/kernel"):
        load(checkpoint)
    change_json(checkpoint / "config.json", parts=None)
    for value in ("evil/kernel", {"decoder": "evil/kernel:forward"}):
        change_json(checkpoint / "config.json", **{name: value})
        with pytest.raises(ModelError, match=rf"{name} = .*evil/kernel"):
            load(checkpoint)
    change_json(checkpoint / "config.json", **{name: "eager"})
    load(checkpoint)


def test_config_of_endless_depth_is_walked_to_its_end(checkpoint: Path) -> None:
    """As deep as Python reads JSON at all, what stands at the bottom is seen, and nothing ends in a RecursionError."""
    settings = ModelSettings(name=str(checkpoint))
    readable, seen = 0, 0
    for depth in range(700, 1_100):
        text = '{"attn_implementation":' * depth + '"a/b"' + "}" * depth
        with contextlib.suppress(RecursionError):
            json.loads(text)
            readable = depth
        (checkpoint / "config.json").write_text(text, encoding="utf-8")
        try:
            require_trust(Place(path=str(checkpoint), local=True), settings)
        except ModelError:
            seen = depth
    # Where it is read, a few more calls stand around it.
    assert seen >= readable - 20 > 700


def test_config_of_endless_layers_is_refused(checkpoint: Path) -> None:
    """Found by fuzzing: layers are made one by one before any weight is looked at."""
    change_json(checkpoint / "config.json", num_decoder_layers=2**63)
    with pytest.raises(ModelError, match="num_decoder_layers = 9223372036854775808"):
        load(checkpoint)


def test_no_file_behind_a_link_is_written(tmp_path: Path) -> None:
    """A run of a stranger may hold links where reports are written, and locks are: what they lead to stays as it is."""
    mine = tmp_path / "mine"
    mine.write_text("mine", encoding="utf-8")
    run = make_run([50.0, 60.0], [60.0, 70.0])
    folder = write_run(run, tmp_path / "runs")
    for name in ("report.md", "report.html"):
        (folder / name).unlink()
        (folder / name).symlink_to(mine)
    write_reports(give_account(run), folder)
    assert mine.read_text(encoding="utf-8") == "mine"
    assert "<html" in (folder / "report.html").read_text(encoding="utf-8")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / LOCK_FILE).symlink_to(mine)
    with pytest.raises(UsageError, match=r"\.lock is a link to .*mine"), locked(tmp_path / "other"):
        pass
    assert mine.read_text(encoding="utf-8") == "mine"


def test_git_of_a_strangers_folder_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Baselines that came with a repository of their own: its settings may name a program for git to start."""
    monkeypatch.delenv("CI", raising=False)
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    mark = tmp_path / "attacked"
    for name in ("core.fsmonitor", "core.hooksPath"):
        subprocess.run(["git", "-C", tmp_path, "config", name, f"touch {mark}; false"], check=True)
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(BaselineError, match="differs from its commit"):
        refuse_carelessness(tmp_path / "baselines", force=False)
    assert not mark.exists()


@pytest.mark.parametrize("seed", ["x/../../../../elsewhere", "8", -1, True, None, 1.5])
def test_seed_of_a_stored_run_is_no_path(seed: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of a further seed's arm is named after it, and a stranger's run says what it likes."""
    monkeypatch.delenv("CI", raising=False)
    run = tmp_path / "run"
    make_arm([50.0, 60.0]).write(run / "base")
    make_arm([60.0, 70.0], outputs=["a", "b"], role="tuned").write(run / "tuned")
    make_arm([60.0, 70.0], outputs=["a", "b"], role="tuned", training={"seed": seed}).write(run / "tuned.7")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BaselineError, match=r"tuned\.7 holds the arm of seed "):
        store_baseline(tmp_path / "a" / "baselines", read_run(run, "x"), force=True)
    assert sorted(tmp_path.rglob("*")) == before


def test_arm_behind_a_device_or_of_a_strange_number_is_none(tmp_path: Path) -> None:
    """A file that never ends is not read, and what is no number of ours names no arm."""
    make_arm([50.0, 60.0]).write(tmp_path / "base")
    (tmp_path / "tuned.²").mkdir()
    assert arm_names(tmp_path) == ["base", "tuned"]
    (tmp_path / "base" / "rows.jsonl").unlink()
    (tmp_path / "base" / "rows.jsonl").symlink_to("/dev/zero")
    with pytest.raises(BaselineError, match=r"rows\.jsonl"):
        Arm.read(tmp_path / "base")


def test_nothing_unfinished_is_behind_a_link(tmp_path: Path) -> None:
    """To begin anew empties the folder of the run; a link would have another one emptied."""
    (tmp_path / "home" / "precious").mkdir(parents=True)
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished" / "KEY").symlink_to(tmp_path / "home")
    with (
        pytest.raises(UsageError, match=r"KEY is a link to .*home"),
        Unfinished(tmp_path / "unfinished", fresh=True) as it,
    ):
        it.open("KEY", print)
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["precious"]


def test_new_project_goes_behind_no_link(tmp_path: Path) -> None:
    """A folder of a stranger may have a link where a project has a folder."""
    (tmp_path / "home").mkdir()
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / ".github").symlink_to(tmp_path / "home")
    with pytest.raises(UsageError, match=r"There already: .*\.github"):
        write_project(tmp_path / "project", name="x")
    assert not [*(tmp_path / "home").iterdir()]
    assert [path.name for path in (tmp_path / "project").iterdir()] == [".github"]


def rows_of(path: Path, **limits: int) -> int:
    settings = DataSettings.model_validate({"limits": limits})
    return sum(1 for _ in read_path(path, settings, SUMMARIZATION, split="train"))


def test_data_set_reads_no_media(tmp_path: Path) -> None:
    """A column of pictures may name places on the network; no row of text needs it, so none is looked at."""
    text = datasets.Value("string")
    picture = {"bytes": datasets.Value("binary"), "path": text}
    columns = {"document": text, "summary": text, "picture": picture, "several": [picture]}
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = {"bytes": None, "path": f"http://127.0.0.1:{server.getsockname()[1]}/x.png"}
        row = {"document": "a", "summary": "b", "picture": place, "several": [place]}
        saved = datasets.Dataset.from_list([row], features=datasets.Features(columns))
        saved.save_to_disk(tmp_path / "saved")
        info = json.loads((tmp_path / "saved" / "dataset_info.json").read_text(encoding="utf-8"))
        info["features"] |= {"picture": {"_type": "Image"}, "several": {"_type": "List", "feature": {"_type": "Image"}}}
        (tmp_path / "saved" / "dataset_info.json").write_text(json.dumps(info), encoding="utf-8")
        assert rows_of(tmp_path / "saved") == 1
        server.settimeout(0.2)
        with pytest.raises(TimeoutError):
            server.accept()


def test_saved_data_set_leaves_no_folder(tmp_path: Path) -> None:
    """Its notes name its own files and splits, and no others."""
    saved = datasets.Dataset.from_list([{"document": "a", "summary": "b"}])
    saved.save_to_disk(tmp_path / "other")
    datasets.DatasetDict(train=saved).save_to_disk(tmp_path / "mine")
    assert rows_of(tmp_path / "mine") == 1
    change_json(tmp_path / "mine" / "dataset_dict.json", splits=["../other"])
    with pytest.raises(DataError, match=r"dataset_dict\.json names '\.\./other'"):
        rows_of(tmp_path / "mine")
    change_json(tmp_path / "mine" / "dataset_dict.json", splits=["train"])
    state = tmp_path / "mine" / "train" / "state.json"
    for name in ("../../other/data-00000-of-00001.arrow", "/etc/passwd", 7):
        change_json(state, _data_files=[{"filename": name}])
        with pytest.raises(DataError, match=re.escape(f"state.json names {name!r}")):
            rows_of(tmp_path / "mine")


RECORDS = [{"document": "a" * 30, "summary": "b"} for _ in range(5)]
LINES = "".join(json.dumps(record) + "\n" for record in RECORDS)


@pytest.mark.parametrize("name", ["r.jsonl", "r.csv", "r.tsv", "r.json", "r.jsonl.gz", "r.parquet"])
@pytest.mark.parametrize(
    ("limit", "low", "enough"), [("rows", 4, 5), ("row_characters", 30, 99), ("file_bytes", 40, 9999)]
)
def test_source_beyond_a_limit_is_refused_by_its_name(
    name: str, limit: str, low: int, enough: int, tmp_path: Path
) -> None:
    """Of every format: one more than allowed is refused with the setting that raises the limit, and as many pass."""
    path = tmp_path / name
    cells = {"r.csv": ",", "r.tsv": "\t"}
    if name in cells:
        lines = [cells[name].join(record.values()) for record in RECORDS]
        path.write_text("\n".join([cells[name].join(RECORDS[0]), *lines]) + "\n", encoding="utf-8")
    elif name == "r.json":
        path.write_text(json.dumps(RECORDS), encoding="utf-8")
    elif name == "r.parquet":
        from pyarrow import Table, parquet  # noqa: PLC0415

        parquet.write_table(Table.from_pylist(RECORDS), path)
    else:
        path.write_bytes(gzip.compress(LINES.encode()) if name.endswith(".gz") else LINES.encode())
    limit = "document_bytes" if (name, limit) == ("r.json", "file_bytes") else limit
    with pytest.raises(DataError, match=rf"the limit is {low}.*raise data\.limits\.{limit}"):
        rows_of(path, **{limit: low})
    assert rows_of(path, **{limit: enough}) == 5


def test_bomb_is_refused_while_it_is_unpacked(tmp_path: Path) -> None:
    """A small packed file of one endless line, and a Parquet file whose text stands once for every row."""
    from pyarrow import Table, parquet  # noqa: PLC0415

    bomb = tmp_path / "bomb.jsonl.gz"
    bomb.write_bytes(gzip.compress(b" " * 50_000_000, 9))
    assert bomb.stat().st_size < 60_000
    with pytest.raises(DataError, match=r"data\.limits\.row_characters"):
        rows_of(bomb)
    with pytest.raises(DataError, match=r"data\.limits\.file_bytes"):
        rows_of(bomb, file_bytes=1_000_000)
    table = Table.from_pylist([{"document": "a" * 100_000, "summary": "b"}] * 2_000)
    parquet.write_table(table, tmp_path / "bomb.parquet")
    assert (tmp_path / "bomb.parquet").stat().st_size < 1_000_000
    with pytest.raises(DataError, match=r"in row 1 \(counted from 1\).*data\.limits\.row_characters"):
        rows_of(tmp_path / "bomb.parquet", row_characters=50_000)


@pytest.mark.parametrize("depth", [900, 100_000])
def test_deep_json_is_no_traceback(depth: int, tmp_path: Path) -> None:
    """As deep as Python goes, and deeper."""
    for name in ("r.json", "r.jsonl"):
        (tmp_path / name).write_text('{"document":' * depth + "1" + "}" * depth, encoding="utf-8")
        with pytest.raises(DataError):
            rows_of(tmp_path / name)


def test_pipe_and_device_are_refused(tmp_path: Path) -> None:
    """To open a pipe that nobody writes to would never end."""
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "zero.json").symlink_to("/dev/zero")
    for name in ("pipe.jsonl", "zero.json"):
        with pytest.raises(DataError, match="is a pipe or a device"):
            rows_of(tmp_path / name)


def test_pickled_data_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what it is, and nothing of it runs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.pkl").write_bytes(PICKLE)
    with pytest.raises(DataError, match="is a pickle"):
        rows_of(tmp_path / "rows.pkl")
    assert not (tmp_path / "attacked").exists()


@given(st.text())
def test_printable_text_commands_no_terminal(text: str) -> None:
    """No control character is left but tab and line feed, nothing reorders a line, and other texts stay."""
    shown = printable(text)
    assert not UNSAFE.search(shown)
    assert all(character.isprintable() or character.isspace() or ord(character) > 127 for character in shown)
    assert UNSAFE.search(text) or shown == text
    assert json.loads(printable(json.dumps([text], ensure_ascii=False))) == [text]


def test_texts_are_spelled_out_wherever_they_are_shown() -> None:
    """On terminals, in errors, in Markdown and in HTML; marks of direction that Arabic needs stay."""
    attack = "\x1b[2J\u202eevil\x9b1m\u200f"
    plain = "\\u001b[2J\\u202eevil\\u009b1m\u200f"
    assert printable_all({"a": [attack, 1]}) == {"a": [plain, 1]}
    assert plain in str(DataError(attack, fix=""))
    assert escape(attack).replace("\\\\", "\\").replace("\\[", "[") == plain
    page = fill(
        "notebook.html", {"title": attack, "outcome": "", "headline": "", "lines": (), "findings": (), "notes": ()}
    )
    assert plain in page


def test_telemetry_of_all_dependencies_is_off() -> None:
    """The variables are set before any library is imported, and the libraries that tell say so."""
    from huggingface_hub import constants  # noqa: PLC0415

    assert conftest.TELEMETRY.items() <= dict(os.environ).items()
    assert constants.HF_HUB_DISABLE_TELEMETRY
    assert constants.HF_HUB_OFFLINE


def test_workflows_name_actions_by_commit_and_may_only_read() -> None:
    """Ours, and the one that a new project gets: a tag can be moved, and an expression in a shell is code."""
    root = Path(conftest.__file__).parent
    files = [*(root / ".github/workflows").glob("*.yml"), root / "harness/project/workflow.yml.in"]
    assert len(files) > 3
    for file in files:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        assert content["permissions"] == {"contents": "read"}, file
        assert not [name for name, job in content["jobs"].items() if "permissions" in job], file
        require_safe([step for job in content["jobs"].values() for step in job["steps"]])
    require_safe(yaml.safe_load((root / "action.yml").read_text(encoding="utf-8"))["runs"]["steps"])


@pytest.mark.parametrize("step", [{"uses": "actions/checkout@v4"}, {"run": "echo ${{ inputs.name }}"}])
def test_unsafe_step_is_seen(step: dict[str, str]) -> None:
    """What the test of the workflows looks for, it finds."""
    with pytest.raises(AssertionError):
        require_safe([step])


def require_safe(steps: Sequence[Mapping[str, str]]) -> None:
    """Each action is named by its commit, and no shell holds an expression."""
    for step in steps:
        action = step.get("uses", ".")
        assert action.startswith(".") or re.search(r"@[0-9a-f]{40}$", action), step
        assert "${{" not in step.get("run", ""), step
