"""The only reader of the environment: which engine runs, and the names of everything it uses."""
