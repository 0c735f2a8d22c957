"""The warehouse room: one DuckDB database, its SQL models and its gates.

Belongs here: opening the database, turning the SQL files of `models/` into Dagster assets, writing the merchant's
policy into tables, and the gates which the exports ask. Does not belong here: reading Cin7, sending to Emarsys.
"""
