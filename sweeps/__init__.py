"""Plans, runs, measures and compares many pictures. Knows nothing about who looks at them."""
