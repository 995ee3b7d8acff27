"""What the service keeps: API keys and audit records, in SQLite or PostgreSQL."""
