"""The sandbox: one simulated merchant and both vendors' HTTP services, in a process of their own.

Written from the vendors' descriptions and from nothing in this project's clients, so that it can contradict them.
It imports no other package of the project, and nothing else imports it except the command that starts it.

- `clock`, `faults`, `requests`, `limits` – what both services share.
- `merchant/` – the business: products, people, stock book, order book, events, replay of history.
- `cin7/` – Cin7 Core as HTTP; `emarsys/` – Emarsys as HTTP.
- `server` – both on two ports of one process, with the judge and the controls under `/_sandbox/`.
"""
