"""What a request's token (a signed JWT) is worth: keys, signatures, claims. Pure; what is said of time is given."""
