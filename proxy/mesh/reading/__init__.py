"""Text to objects: manifests with every field's line, the schema they are checked by, the report of what is wrong."""
