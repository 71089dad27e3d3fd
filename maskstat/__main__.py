"""`python -m maskstat`."""

from maskstat.cli import main

main()
