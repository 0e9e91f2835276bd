"""The built-in attacks: one module each, found by its file's name; see `mico.attacks.registry`."""
