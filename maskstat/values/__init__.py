"""What everything is about: tallies, catalogues, histograms, ledgers."""
