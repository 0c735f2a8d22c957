"""The operators' desk: pages for people who never read a log, served read-only on this machine or written as files.

What belongs here: gathering what a page shows from the published copy of the warehouse (``queries/*.sql``, one SELECT a
file), and rendering it. What does not: working anything out (the models did), changing anything, and talking to a vendor.
"""
