"""The page's tabs, one module each: inputs become nouns of the design, and back. No tab knows another's look."""
