"""The protocols, a file for each."""
