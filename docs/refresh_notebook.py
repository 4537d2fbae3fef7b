"""Run the notebook beside this file and store it with what it shows: python docs/refresh_notebook.py."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).with_name("notebook.ipynb")


def run_notebook(path: Path = NOTEBOOK) -> nbformat.NotebookNode:
    """The notebook, run in a fresh kernel; what libraries say on standard error, and times, are left out."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=600, record_timing=False, resources={"metadata": {"path": path.parent}}).execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    notebook.metadata.language_info = {"name": "python"}
    return notebook


if __name__ == "__main__":
    nbformat.write(run_notebook(), NOTEBOOK)
