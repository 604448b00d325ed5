"""The sample content pipeline: a believable database that `make demo` protects and the benchmarks measure.

`schema.sql` is its structure, `generate` fills it from a seed, `change` works on it as a busy day would, `facts` tells what is
in it. Everything is a function of the seed: no clock and no random source is asked, so the same seed gives the same rows.
"""
