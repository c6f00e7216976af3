"""Makes or changes the pixels of one picture and can say how they were made. Knows nothing about sweeps or people."""
