"""Personal data: rules by form, and named entities."""
