"""Discord messages in, generated replies out."""
