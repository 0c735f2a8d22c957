"""Writes SAP Emarsys, either edition: contacts, product data file, sales data, external events. Nothing here knows Cin7.

The flows talk to the account through `client.Emarsys`; the Engagement Cloud edition is a second class with the same methods.
"""
