"""Black-box checks for anyone's fine-tuning pipeline, one module a link of the chain; see `harness.checks.suite`."""
