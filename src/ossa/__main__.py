"""``python -m ossa`` is the ``ossa`` program."""

from ossa.cli import main

main()
