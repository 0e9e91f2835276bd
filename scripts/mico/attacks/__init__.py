"""The built-in attacks, a module each; `registry` names them."""
