"""What an approximation costs in scores is measured against the reference in float32."""

from __future__ import annotations

from click.testing import CliRunner

from harness.benchmark.approximation import main


def test_an_exact_engine_costs_nothing_and_bfloat16_is_measured_beside() -> None:
    """Two precisions of one engine, each with the difference of every score and its interval."""
    asked = ["--rows", "8", "--beams", "2", "--engine", "graph", "--dtype", "float32", "--dtype", "bfloat16"]
    done = CliRunner().invoke(main, asked, catch_exceptions=False)
    head, exact, rounded = done.output.splitlines()
    assert "2 beams; reference: rouge1 " in head
    assert exact.startswith("graph, float32: an approximation; against transformers on 8 rows: rouge1 +0.00 (+0.00 to")
    assert rounded.startswith("graph, bfloat16: an approximation; against transformers on 8 rows: rouge1 ")


def test_an_engine_that_cannot_is_a_sentence() -> None:
    """A name that is none ends in one line, without a traceback."""
    done = CliRunner().invoke(main, ["--rows", "2", "--beams", "1", "--engine", "grahp"])
    assert done.exit_code == 1
    assert "grahp" in done.output.splitlines()[-1]
