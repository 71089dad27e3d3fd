"""From the bytes of one mask to its raw value counts, or to its pixels: one module a format."""
