"""What text is made of: tokens, sentences, terms, names, time expressions. Pure functions, no models."""
