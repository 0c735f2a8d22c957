"""Keeps SAP Emarsys (marketing) true to Cin7 Core (stock, orders, products)."""
