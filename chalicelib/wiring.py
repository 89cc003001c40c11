"""The composition root: puts one merchant's stores, gateways and clock together into a Shop."""
