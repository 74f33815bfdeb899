"""The strict reader: one declaration is reader, JSON Schema and reference."""
