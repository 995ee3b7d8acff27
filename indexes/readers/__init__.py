"""Readers: files, folders, globs and fsspec URLs in, documents out.

`plan` names the work, `read` does one piece of it. Nothing is read at planning time beyond names,
sizes and times, nothing is dropped in silence: what cannot be read comes back as `Unreadable`.
Parquet, Zstandard, remote stores, PDF and DOCX load their libraries when first needed.
"""

from guardrail.indexes.readers.options import ReadOptions
from guardrail.indexes.readers.planning import plan
from guardrail.indexes.readers.reading import changed, read
from guardrail.indexes.readers.unit import Member, Unit

__all__ = ["Member", "ReadOptions", "Unit", "changed", "plan", "read"]
