"""Reports of runs over several tasks: terminal, Markdown, HTML, JSON; all are made from the same facts."""
