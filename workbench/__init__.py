"""What a person touches: command line, page, notes. Knows nothing about tensors."""
