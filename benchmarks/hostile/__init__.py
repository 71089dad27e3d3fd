"""Hostile input, killed runs and crowded stores, by the thousand: what maskstat makes of them.

    python -m benchmarks.hostile [--mutations 10000] [--kills 100] [--only png "kill scan" ...]

Every file is mutated and read in child processes with a limit on their memory and a time-out; what
is counted is compared with a plain decode by another program. Runs are killed at random moments,
stores are damaged, disks are full; results are compared with those of an undisturbed run. What
comes out is the table of `docs/reliability.md`: tried, equal, refused, crashes, hangs, wrong.

It forks, so that a thousand children take seconds: Linux only.
"""
