"""The page's server: who is let in, and what is answered to whom. Knows nothing about how pictures are made.

No torch is loaded anywhere under it: the page only reads run folders and writes down what a person asks for.
"""
