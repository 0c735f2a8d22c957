"""Writes SAP Emarsys, edition Emarsys: contacts, product data file, sales data, external events. Nothing here knows Cin7.

The flows talk to the account through `client.Emarsys`; a second edition is a second class with the same methods.
"""
