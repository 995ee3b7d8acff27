"""Corpus readers, canonical grams, fingerprint segments, phrases, and the detectors over them."""
