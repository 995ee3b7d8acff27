"""How likely a passage is recited rather than composed: scores, calibration, references.

Only `models` and `training` import torch and transformers (extra `score`), and only when they run.
"""
