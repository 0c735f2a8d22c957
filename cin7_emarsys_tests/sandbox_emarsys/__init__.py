"""Tests of the simulated Emarsys: one per documented behaviour, over real HTTP."""
