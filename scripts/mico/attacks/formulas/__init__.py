"""The built-in attacks, a module each; see `mico.attacks.registry`."""
