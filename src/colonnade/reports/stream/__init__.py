"""Tasks that come back, told apart or not: what one network keeps."""
