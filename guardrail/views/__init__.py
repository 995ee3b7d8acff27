"""Views: what a disguised text says, with maps back to where it stands in the raw text."""
