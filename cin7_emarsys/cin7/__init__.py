"""Reads Cin7 Core: pages to landing files, landing files to the tables of `raw`. Nothing here knows Emarsys."""
