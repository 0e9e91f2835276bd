"""The formats of data sets, a module each."""
