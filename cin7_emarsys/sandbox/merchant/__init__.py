"""The simulated merchant: what really exists and what really happened. The services only show it.

- `ids` – GUIDs, seeded draws, time helpers. `model` – the plain records.
- `catalogue`, `people`, `places`, `seeded_sales`, `opening` – what the seed makes.
- `oddities`, `odd_sales` – one clearly named example of each strange product, customer and sale.
- `stock` – the stock book. `truth` – the judge of what can be sold.
- `documents` – arithmetic and status words of a sale. `lifecycle` – how a sale moves stock. `orders` – all sales.
- `history` – replay of real retail lines. `world` – the `Merchant` that holds it all.
- `actions`, `deal`, `actions_sales`, `actions_stock`, `actions_people`, `day` – what a test can make happen.
"""
