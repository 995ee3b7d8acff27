"""Adapters for other libraries; each imports its own, and needs the extra of its name."""
