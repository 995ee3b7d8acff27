"""Detectors that judge by model or rule: personal data, secrets, memorization."""
