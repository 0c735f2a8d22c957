"""``python -m cin7_emarsys.cli``: the same command without the installed script."""

from cin7_emarsys.cli import main

main()
